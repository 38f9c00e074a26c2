/* What a session costs: its services' CPU and memory, its files and volumes, as a share of this machine. */
#include "core/file.h"
#include "core/mem.h"
#include "sessions/operation.h"
#include "sessions/session.h"
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

/* The ${nth} (from 0) of ${stats} that is called ${name}: a service may have several containers. */
static const cJSON *nth_of(const cJSON *stats, const char *name, int nth)
{
	const cJSON *one;
	cJSON_ArrayForEach(one, stats)
	{
		if (!strcmp(json_text_or(one, "name", ""), name) && nth-- == 0)
			return one;
	}
	return NULL;
}

static void add_to_services(cJSON *services, const cJSON *stats)
{
	static const char *const keys[] = {"cpu_percent", "memory_bytes", "memory_limit_bytes", "pids"};
	cJSON *service;
	cJSON_ArrayForEach(service, services)
	{
		int nth = 0;
		const char *name = json_text_or(service, "name", "?");
		for (const cJSON *s = services->child; s != service; s = s->next)
			nth += !strcmp(json_text_or(s, "name", ""), name);
		const cJSON *used = nth_of(stats, name, nth);
		for (size_t i = 0; used && i < ARRAY_LEN(keys); i++)
			json_add(service, keys[i], cJSON_Duplicate(json_at(used, keys[i]), true));
	}
}

static double sum_of(const cJSON *stats, const char *key)
{
	double sum = 0;
	const cJSON *one;
	cJSON_ArrayForEach(one, stats)
	{
		const cJSON *value = json_at(one, key);
		sum += cJSON_IsNumber(value) ? value->valuedouble : 0;
	}
	return sum;
}

/* Bytes, or -1 when nobody tells. */
static int64_t disk_of(struct state *st, const struct session_row *row)
{
	struct err ignored = {0};
	const struct engine *engine = engine_by_name(row->engine, &ignored);
	int64_t files = tree_bytes(row->dir), objects = 0;
	if (!engine || files < 0 || (engine->disk && engine->disk(st, row, &objects, &ignored)))
		return -1;
	return files + objects;
}

static cJSON *machine(const char *dir)
{
	cJSON *j = json_object();
	struct sysinfo memory = {0};
	struct statvfs fs = {0};
	sysinfo(&memory);
	statvfs(dir, &fs);
	json_add_int(j, "cpus", sysconf(_SC_NPROCESSORS_ONLN));
	json_add_int(j, "memory_bytes", (int64_t)memory.totalram * memory.mem_unit);
	json_add_int(j, "disk_bytes", (int64_t)(fs.f_blocks * fs.f_frsize));
	return j;
}

/* Percent with two decimals: small sessions on large machines. */
static void add_share(cJSON *cost, const char *key, double part, const char *whole)
{
	double all = (double)json_int(cost, whole, 0);
	if (part < 0 || all <= 0)
		json_add(cost, key, cJSON_CreateNull());
	else
		json_add(cost, key, cJSON_CreateNumber((double)(int64_t)(part / all * 10000 + 0.5) / 100));
}

static void add_amount(cJSON *cost, const char *key, double value)
{
	json_add(cost, key, value < 0 ? cJSON_CreateNull() : cJSON_CreateNumber(value));
}

void session_add_cost(struct state *st, cJSON *session)
{
	cleanup_row struct session_row row = {0};
	struct err ignored = {0};
	if (store_by_name(st, json_text_or(session, "name", ""), &row, &ignored) ||
	    strcmp(row.uuid, json_text_or(session, "uuid", "")) != 0)
		return;
	bool runs = row.state == SESSION_RUNNING;
	cleanup_json cJSON *stats = runs ? session_usage(st, row.name, &ignored) : json_array();
	add_to_services(cJSON_GetObjectItem(session, "services"), stats);
	double cpu = stats ? sum_of(stats, "cpu_percent") : -1,
	       memory = stats ? sum_of(stats, "memory_bytes") : -1, disk = (double)disk_of(st, &row);
	cJSON *cost = json_object();
	json_add(cost, "machine", machine(st->dir));
	add_amount(cost, "cpu_percent", cpu);
	add_amount(cost, "memory_bytes", memory);
	add_amount(cost, "disk_bytes", disk);
	add_share(cost, "cpu_share", cpu / 100, "machine.cpus");
	add_share(cost, "memory_share", memory, "machine.memory_bytes");
	add_share(cost, "disk_share", disk, "machine.disk_bytes");
	json_add(session, "cost", cost);
}
