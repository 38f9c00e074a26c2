/* The control plane: which parts `up` runs with the settings at hand, where they listen, and what they are told. */
#ifndef CLI_PLANE_H
#define CLI_PLANE_H

#include "core/config.h"
#include "core/json.h"
#include "jobs/supervisor.h"

#define PLANE_PARTS 8
#define PLANE_ENV 12

struct plane {
	struct supervisor_service services[PLANE_PARTS];
	const char *argv[PLANE_PARTS][6];
	size_t n;
	char *env[PLANE_ENV + 1]; /* owned */
	cJSON *credentials;       /* of the built-in Telegram server; NULL with the real one */
	char *dir;                /* of the supervisor */
};

/** Whether the built-in Telegram server is used. ERR_CONFIG for a TELEGRAM_API_URL without a token. */
int plane_builtin_telegram(const struct config *cfg, bool *builtin, struct err *err);

/** Fill ${plane} from ${cfg} and the files of ${state_dir}; release with plane_free. */
int plane_make(struct plane *plane, const struct config *cfg, const char *state_dir, struct err *err);
void plane_free(struct plane *plane);

/** Refuse when a port that a part of ${plane} needs is taken, naming port, setting and what to do. */
int plane_check_ports(const struct plane *plane, const struct config *cfg, struct err *err);

/** Directory of the supervisor's socket and logs. The caller frees it. */
char *plane_dir(const char *state_dir);

/** [{part, url (of /health; NULL: the worker, which has none)}] of what should run. */
cJSON *plane_health_urls(const struct config *cfg, bool builtin);

#endif
