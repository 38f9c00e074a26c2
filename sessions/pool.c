#include "sessions/pool.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/version.h"
#include "sessions/adopt.h"
#include "sessions/guard.h"
#include "sessions/operation.h"
#include "sessions/session.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PREFIX "pool_"
#define NAME_BYTES 4
#define RECIPE_MAX (1u << 20)
#define LOOK_EVERY_MS 5000
#define FILL_AT_ONCE 2
#define REST_MS 60000 /* after a start that failed: what failed once fails again at once */

char *pool_name(void)
{
	char hex[2 * NAME_BYTES + 1];
	id_random_hex(hex, NAME_BYTES);
	return mem_printf(PREFIX "%s", hex);
}

bool pool_is_name(const char *name)
{
	size_t n = strlen(PREFIX);
	return name && !strncmp(name, PREFIX, n) && strlen(name) == n + 2 * NAME_BYTES &&
	       strspn(name + n, "0123456789abcdef") == 2 * NAME_BYTES;
}

bool pool_fits(const cJSON *args)
{
	const cJSON *one;
	cJSON_ArrayForEach(one, args)
	{
		if (strcmp(one->string, "name") != 0 && strcmp(one->string, "chat") != 0)
			return false;
	}
	return true;
}

/* -- the recipe -- */

/* Another build of the program makes another stack, also where it has the same version, as with uncommitted changes. */
static void add_program(struct str *out)
{
	struct stat s;
	str_addf(out, "%s\n", version_text);
	if (stat(proc_self(), &s) == 0)
		str_addf(out, "%lld %lld %lld.%09ld\n", (long long)s.st_ino, (long long)s.st_size,
		         (long long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
}

/* What a session is made from; those of the pool itself and of who may have how many say nothing of it. */
static void add_settings(const struct config *cfg, struct str *out)
{
	static const char *const apart[] = {"SESSION_POOL",         "SESSION_MAX_COUNT",
	                                    "SESSION_MAX_PER_USER", "SESSION_PORT_RANGE",
	                                    "SESSION_SUBNET_POOL",  NULL};
	static const char *const handed[] = {"LOG_LEVEL", "BOT_LANG", "COMPOSE_PROJECT_NAME", "DOCKER_HOST",
	                                     NULL};
	for (const struct setting *s = session_settings; s->key; s++) {
		bool counts = true;
		for (size_t i = 0; apart[i]; i++)
			counts &= strcmp(apart[i], s->key) != 0;
		if (counts)
			str_addf(out, "%s=%s\n", s->key, config_text(cfg, s->key) ?: "");
	}
	for (size_t i = 0; handed[i]; i++)
		str_addf(out, "%s=%s\n", handed[i], config_text(cfg, handed[i]) ?: "");
}

void pool_recipe(const struct config *cfg, const struct session_row *row, char recipe[SHA256_HEX + 1])
{
	cleanup_str struct str all = STR_INIT_MAX(RECIPE_MAX);
	cleanup_json cJSON *spec = cJSON_Duplicate(row->spec, true);
	cJSON_DeleteItemFromObjectCaseSensitive(spec, "project"); /* has the session's name */
	cleanup_free char *what = json_print(spec), *plan = row->plan ? json_print(row->plan) : NULL;
	add_program(&all);
	add_settings(cfg, &all);
	str_addf(&all, "%s\n%s\n%s\n", row->engine, what, plan ? plan : "");
	sha256_hex(str_text(&all), all.len, recipe);
}

/* -- taking one over -- */

static int retire(struct state *st, const char *uuid, struct err *err)
{
	return db_run(st->db, err, "UPDATE sessions SET pool = '' WHERE uuid = ? AND pool IS NOT NULL", "t",
	              uuid);
}

static bool is_healthy(struct state *st, const struct session_row *row)
{
	struct err ignored = {0};
	const struct engine *engine = engine_by_name(row->engine, &ignored);
	cleanup_json cJSON *services = engine ? engine->services(st, row) : NULL;
	const cJSON *one;
	bool healthy = cJSON_GetArraySize(services) > 0;
	cJSON_ArrayForEach(one, services) healthy &= session_service_up(json_text(one, "state"));
	return healthy;
}

/* Under its guard. A row of an old backup may tell of one that has been somebody's since. */
static int judge(struct state *st, const struct session_row *row, const char *recipe, struct err *err)
{
	int old = adopt_is_old(st, row, err);
	if (old)
		return old < 0 ? -1 : 0;
	if (strcmp(row->pool, recipe) != 0)
		return retire(st, row->uuid, err);
	if (is_healthy(st, row))
		return 1;
	log_warn("warm session %s is not healthy: it is replaced", row->name);
	return retire(st, row->uuid, err);
}

static int look_at(struct state *st, struct session_row *row, const char *recipe, int *guard, struct err *err)
{
	int busy = guard_take(st, row->name, guard, err);
	if (busy)
		return busy < 0 ? -1 : 0;
	int rc = judge(st, row, recipe, err);
	if (rc != 1)
		guard_release(st, guard);
	return rc;
}

int pool_find(struct state *st, const char *recipe, int *guard, struct session_row *row, struct err *err)
{
	struct session_row *rows = NULL;
	size_t n = 0;
	int rc = 0;
	if (store_rows(st, STORE_WARM, 0, &rows, &n, err))
		return -1;
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = rows[i].state == SESSION_RUNNING ? look_at(st, &rows[i], recipe, guard, err) : 0;
		if (rc == 1) {
			*row = rows[i];
			rows[i] = (struct session_row){0};
		}
	}
	store_rows_free(rows, n);
	return rc;
}

int pool_take(struct state *st, struct session_row *row, const struct session_row *want, struct err *err)
{
	if (db_run(st->db, err,
	           "UPDATE sessions SET name = ?1, owner = ?2, job = ?3, created_at = ?4, started_at = ?4,"
	           " used_at = ?4, expires_at = ?5, hard_expires_at = ?6, idle_ms = ?7, pool = NULL"
	           " WHERE uuid = ?8 AND pool <> '' AND state = 'running'",
	           "ttiiiiit", want->name, want->owner, want->job, want->created_at, want->expires_at,
	           want->hard_expires_at, want->idle_ms, row->uuid))
		return -1;
	if (db_changes(st->db) != 1)
		return err_set(err, ERR_STATE, "warm session %s was taken by another", row->name);
	free(row->name);
	free(row->owner);
	free(row->pool);
	row->name = mem_strdup(want->name);
	row->owner = mem_strdup(want->owner);
	row->pool = NULL;
	row->job = want->job;
	row->generation++;
	row->created_at = row->started_at = row->used_at = want->created_at;
	row->expires_at = want->expires_at;
	row->hard_expires_at = want->hard_expires_at;
	row->idle_ms = want->idle_ms;
	return 0;
}

/* Retired first, so that nobody takes it and, should we be killed, the reaper ends it: the row does not become our job's. */
static int end(struct job *job, struct session_row *row, struct err *err)
{
	struct state *st = job_state(job);
	int guard = GUARD_NONE, busy = guard_take(st, row->name, &guard, err);
	if (busy)
		return busy < 0 ? -1 : 0;
	int rc = adopt_is_old(st, row, err);
	if (rc == 0) {
		job_progress(job, "room", 3, "removing warm session %s, which has the room", row->name);
		rc = retire(st, row->uuid, err) ||
		                     operation_down(st, row, EVENT_STOP, REASON_RETIRED, NULL, 0, NULL, err)
		             ? -1
		             : 1;
	} else if (rc > 0) {
		rc = 0;
	}
	guard_release(st, &guard);
	return rc;
}

int pool_yield(struct job *job, struct err *err)
{
	struct session_row *rows = NULL;
	size_t n = 0;
	int rc = 0;
	if (store_rows(job_state(job), STORE_WARM, 0, &rows, &n, err))
		return -1;
	for (size_t i = n; i-- > 0 && rc == 0;)
		rc = rows[i].state == SESSION_RUNNING ? end(job, &rows[i], err) : 0;
	store_rows_free(rows, n);
	return rc;
}

/* -- keeping it full -- */

static int count_warm(struct state *st, int64_t *have, struct err *err)
{
	return db_get_int(st->db, have, err,
	                  "SELECT count(*) FROM sessions WHERE pool <> '' AND state <> 'failed'", "");
}

/* The newest go first: what is older has proved itself. */
int pool_trim(struct state *st, struct err *err)
{
	size_t wanted = (size_t)config_int(st->cfg, "SESSION_POOL"), n = 0;
	int64_t have = 0;
	struct session_row *rows = NULL;
	if (count_warm(st, &have, err))
		return -1;
	if (have <= (int64_t)wanted)
		return 0;
	if (store_rows(st, STORE_WARM, 0, &rows, &n, err))
		return -1;
	int rc = 0;
	for (size_t i = wanted; i < n && rc == 0; i++) {
		int old = adopt_is_old(st, &rows[i], err);
		rc = old ? (old < 0 ? -1 : 0) : retire(st, rows[i].uuid, err);
	}
	store_rows_free(rows, n);
	return rc;
}

/* Nothing is begun while earlier starts go on, or shortly after one that failed. */
static int may_fill(struct state *st, bool *may, struct err *err)
{
	int64_t busy = 0;
	if (db_get_int(st->db, &busy, err,
	               "SELECT EXISTS (SELECT 1 FROM jobs WHERE owner = '" POOL_OWNER "' AND"
	               " (state IN ('queued', 'running') OR (state = 'failed' AND finished_at > ?)))",
	               "i", clock_now_ms() - REST_MS))
		return -1;
	*may = !busy;
	return 0;
}

static int fill(struct state *st, int64_t missing, struct err *err)
{
	cleanup_json cJSON *args = json_object();
	json_add_bool(args, "pool", true);
	struct job_request request = {.kind = session_start_kind.name, .args = args, .owner = POOL_OWNER};
	for (int64_t i = 0, id; i < missing && i < FILL_AT_ONCE; i++)
		if (jobs_enqueue(st, &request, &id, NULL, err))
			return -1;
	return 0;
}

static int keep_full(struct state *st, struct err *err)
{
	int64_t wanted = config_int(st->cfg, "SESSION_POOL"), have = 0;
	bool may = false;
	if (pool_trim(st, err) || count_warm(st, &have, err))
		return -1;
	if (have >= wanted)
		return 0;
	return may_fill(st, &may, err) || (may && fill(st, wanted - have, err)) ? -1 : 0;
}

const struct worker_task session_pool_task = {
        .name = "session.pool", .every_ms = LOOK_EVERY_MS, .look = keep_full};
