/* Asking a compose tool for its version takes up to 0.3 s, so the answer is remembered as long as the tool's files do not
 * change. */
#ifndef COMPOSE_PROVIDER_MEMORY_H
#define COMPOSE_PROVIDER_MEMORY_H

#include "core/json.h"

/** Keep it in ${dir}/providers.json; made when first needed. */
void provider_remember(const char *dir);

/** What tells the installed files of ${command} ({"docker", "compose", NULL}) from others: paths, sizes and times of the program in PATH
 * and, where it is a plugin, of the plugin. The caller frees it. */
char *provider_fingerprint(const char *const *command);

/** What was remembered of ${fingerprint}; NULL when nothing was. The caller deletes it. */
cJSON *provider_recall(const char *fingerprint);

/** Remember ${answer} (borrowed). Without a file, or when it cannot be written, it is asked again next time. */
void provider_memorize(const char *fingerprint, const cJSON *answer);

#endif
