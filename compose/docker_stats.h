/* What a container uses, by the Engine API (docker.h). */
#ifndef COMPOSE_DOCKER_STATS_H
#define COMPOSE_DOCKER_STATS_H

#include "core/err.h"
#include "core/json.h"

/** Add {"cpu_us","memory_bytes","memory_limit_bytes","pids"} to the object ${into}, read from an answer of
 * GET /containers/{id}/stats: CPU time since its start; memory as the docker client shows it, without the pages of files that can be dropped
 * at once; and "cpu_percent" of one CPU where ${stats} holds two readings (cpu_stats and precpu_stats). Zeros where ${stats} (may be NULL) does not say, for a stopped container say. */
void docker_stats_add(cJSON *into, const cJSON *stats);

/**
 * Ask for each of the ${n} containers ${ids} at once and add the same to the object ${into}[i]; nothing is added where one does not
 * answer. Takes a second or two however many they are: Docker answers with its next two readings, which tell the share of a CPU as well.
 */
void docker_stats(const char *const *ids, cJSON *const *into, size_t n);

#endif
