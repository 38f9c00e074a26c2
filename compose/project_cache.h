/* Frozen projects by the digest of all they are made of, in files that hold a checksum of themselves: a damaged one is none. */
#ifndef COMPOSE_PROJECT_CACHE_H
#define COMPOSE_PROJECT_CACHE_H

#include "core/json.h"

/* Projects kept; the ones not used for the longest time go first. */
#define PROJECT_CACHE_MAX 50

/** The project kept under ${key} (hex), or NULL. The caller deletes it. */
cJSON *project_cache_get(const char *dir, const char *key);

/** Keep ${project} (0600, ${dir} 0700). A failure only costs the next one time. */
void project_cache_put(const char *dir, const char *key, const cJSON *project);

#endif
