/* What a container uses, by the Engine API (docker.h). */
#ifndef COMPOSE_DOCKER_STATS_H
#define COMPOSE_DOCKER_STATS_H

#include "core/err.h"
#include "core/json.h"

/** Add {"cpu_us","memory_bytes","memory_limit_bytes","pids"} to the object ${into}, read from an answer of
 * GET /containers/{id}/stats: CPU time since its start; memory as the docker client shows it, without the pages of files that can be dropped
 * at once. Zeros where ${stats} (may be NULL) does not say, for a stopped container say. */
void docker_stats_add(cJSON *into, const cJSON *stats);

/** Ask for ${container} and add the same. One reading, nothing is waited for. */
int docker_stats(const char *container, cJSON *into, struct err *err);

#endif
