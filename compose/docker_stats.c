#include "compose/docker_stats.h"
#include "compose/docker.h"
#include "core/mem.h"

/* control groups v1 say it with total_, v2 without */
static int64_t inactive_file(const cJSON *memory)
{
	return json_int(memory, "stats.total_inactive_file", json_int(memory, "stats.inactive_file", 0));
}

void docker_stats_add(cJSON *into, const cJSON *stats)
{
	const cJSON *memory = json_at(stats, "memory_stats");
	int64_t usage = json_int(memory, "usage", 0), inactive = inactive_file(memory);
	json_add_int(into, "cpu_us", json_int(stats, "cpu_stats.cpu_usage.total_usage", 0) / 1000);
	json_add_int(into, "memory_bytes", inactive < usage ? usage - inactive : usage);
	json_add_int(into, "memory_limit_bytes", json_int(memory, "limit", 0));
	json_add_int(into, "pids", json_int(stats, "pids_stats.current", 0));
}

int docker_stats(const char *container, cJSON *into, struct err *err)
{
	cleanup_free char *id = docker_escape(container);
	/* one-shot: without it the engine waits a second for a second reading */
	cleanup_free char *path = mem_printf("/containers/%s/stats?stream=false&one-shot=true", id);
	cleanup_json cJSON *stats = docker_get(path, err);
	if (!stats)
		return -1;
	docker_stats_add(into, stats);
	return 0;
}
