#include "compose/docker_stats.h"
#include "compose/docker.h"
#include "core/clock.h"
#include "core/mem.h"
#include <pthread.h>
#include <string.h>

#define AT_ONCE 64

/* control groups v1 say it with total_, v2 without */
static int64_t inactive_file(const cJSON *memory)
{
	return json_int(memory, "stats.total_inactive_file", json_int(memory, "stats.inactive_file", 0));
}

/* In percent of one CPU between the two readings of an answer, to a tenth; nothing when it holds one only. */
static void add_percent(cJSON *into, const cJSON *stats)
{
	int64_t from = clock_parse_iso(json_text_or(stats, "preread", "")),
	        to = clock_parse_iso(json_text_or(stats, "read", ""));
	int64_t used = json_int(stats, "cpu_stats.cpu_usage.total_usage", 0) -
	               json_int(stats, "precpu_stats.cpu_usage.total_usage", 0);
	if (from > 0 && to > from && used >= 0)
		cJSON_AddNumberToObject(into, "cpu_percent", (double)(used / 1000 / (to - from)) / 10);
}

void docker_stats_add(cJSON *into, const cJSON *stats)
{
	const cJSON *memory = json_at(stats, "memory_stats");
	int64_t usage = json_int(memory, "usage", 0), inactive = inactive_file(memory);
	json_add_int(into, "cpu_us", json_int(stats, "cpu_stats.cpu_usage.total_usage", 0) / 1000);
	json_add_int(into, "memory_bytes", inactive < usage ? usage - inactive : usage);
	json_add_int(into, "memory_limit_bytes", json_int(memory, "limit", 0));
	json_add_int(into, "pids", json_int(stats, "pids_stats.current", 0));
	add_percent(into, stats);
}

struct reading {
	pthread_t thread;
	const char *id;
	cJSON *into;
};

static void *read_one(void *arg)
{
	struct reading *r = arg;
	struct err ignored = {0};
	cleanup_free char *id = docker_escape(r->id);
	cleanup_free char *path = mem_printf("/containers/%s/stats?stream=false", id);
	cleanup_json cJSON *stats = docker_get(path, &ignored);
	/* an engine that cannot read a container's control groups says so by the year 1 */
	if (strncmp(json_text_or(stats, "read", "0001-"), "0001-", 5) != 0)
		docker_stats_add(r->into, stats);
	return NULL;
}

void docker_stats(const char *const *ids, cJSON *const *into, size_t n)
{
	for (size_t from = 0; from < n; from += AT_ONCE) {
		struct reading readings[AT_ONCE];
		size_t count = n - from < AT_ONCE ? n - from : AT_ONCE, started = 0;
		for (size_t i = 0; i < count; i++)
			readings[i] = (struct reading){.id = ids[from + i], .into = into[from + i]};
		while (started < count &&
		       pthread_create(&readings[started].thread, NULL, read_one, &readings[started]) == 0)
			started++;
		for (size_t i = started; i < count; i++) /* no more threads: one after the other */
			read_one(&readings[i]);
		for (size_t i = 0; i < started; i++)
			pthread_join(readings[i].thread, NULL);
	}
}
