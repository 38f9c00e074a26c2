#include "sessions/usage.h"
#include "compose/docker.h"
#include "core/clock.h"
#include "core/mem.h"
#include "jobs/sha256.h"
#include "sessions/session.h"
#include <stdlib.h>
#include <string.h>

#define LOOK_EVERY_MS 30000
#define PATIENCE_MS 1000
#define LAST 5       /* starts that are learned from */
#define REMEMBER 500 /* readings of all stacks */
#define MIB (INT64_C(1) << 20)

char *usage_stack(const struct session_row *row)
{
	cleanup_str struct str name = STR_INIT;
	const cJSON *base = json_at(row->plan, "project.base"), *one;
	str_add(&name, row->engine);
	if (base && !json_at(row->plan, "image")) { /* not ours: known by its content */
		char hex[SHA256_HEX + 1];
		cleanup_free char *text = json_print(base);
		sha256_hex(text, strlen(text), hex);
		str_addf(&name, ":%.16s", hex);
	}
	char sign = ':';
	cJSON_ArrayForEach(one, json_at(row->spec, "services"))
	{
		str_addf(&name, "%c%s", sign, cJSON_GetStringValue(one));
		sign = ',';
	}
	return str_take(&name);
}

/* -- what to expect -- */

static int64_t assumed(const struct session_row *row)
{
	bool processes = !strcmp(row->engine, engine_process.name);
	int64_t each = processes ? 8 : json_bool(row->spec, "stack", false) ? 16 : 64, n = 0;
	const cJSON *one;
	cJSON_ArrayForEach(one, json_at(row->spec, "services"))
	{
		const cJSON *check = cJSON_GetObjectItemCaseSensitive(json_at(row->spec, "checks"),
		                                                      cJSON_GetStringValue(one));
		n += json_int(check, "replicas", 1);
	}
	return n * each * MIB;
}

int usage_expect(struct state *st, const struct session_row *row, const char *stack, int64_t *bytes,
                 int *starts, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	int64_t most = 0, limit = config_int(st->cfg, "SESSION_MEMORY_MB") * MIB;
	int rc;
	*starts = 0;
	if (db_query(st->db, &q, err,
	             "SELECT peak_bytes FROM session_usage WHERE stack = ? ORDER BY at DESC LIMIT ?", "ti",
	             stack, (int64_t)LAST))
		return -1;
	while ((rc = query_next(&q, err)) > 0) {
		++*starts;
		most = query_int(&q, 0) > most ? query_int(&q, 0) : most;
	}
	*bytes = *starts ? most + most / 4 : assumed(row);
	*bytes = limit && *bytes > limit ? limit : *bytes;
	return rc;
}

/* -- reading -- */

static int record(struct state *st, const char *uuid, int64_t bytes, struct err *err)
{
	return db_run(st->db, err,
	              "INSERT INTO session_usage (session, stack, at, memory_bytes, peak_bytes)"
	              " SELECT uuid, stack, ?1, ?2, ?2 FROM sessions WHERE uuid = ?3 AND stack IS NOT NULL"
	              " ON CONFLICT (session) DO UPDATE SET at = ?1, memory_bytes = ?2,"
	              " peak_bytes = max(peak_bytes, ?2)",
	              "iit", clock_now_ms(), bytes, uuid);
}

/* The newest of each stack, and of all together; those that are alive stay. */
static int forget(struct state *st, struct err *err)
{
	return db_run(st->db, err,
	              "DELETE FROM session_usage WHERE session NOT IN (SELECT uuid FROM sessions WHERE state "
	              "<> 'failed')"
	              " AND (at < (SELECT at FROM session_usage ORDER BY at DESC LIMIT 1 OFFSET ?1) OR"
	              " ?2 <= (SELECT count(*) FROM session_usage o WHERE o.stack = session_usage.stack"
	              " AND o.at > session_usage.at))",
	              "ii", (int64_t)REMEMBER, (int64_t)LAST);
}

static int read_one(struct state *st, const struct session_row *row, struct err *err)
{
	struct err ignored = {0};
	const struct engine *engine = engine_by_name(row->engine, &ignored);
	int64_t bytes = engine && engine->memory ? engine->memory(st, row) : -1;
	return bytes > 0 ? record(st, row->uuid, bytes, err) : 0;
}

/* Names of those to be read. NULL with ${err}. */
static cJSON *unread(struct state *st, int64_t before, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	cleanup_json cJSON *names = json_array();
	int rc;
	if (db_query(st->db, &q, err,
	             "SELECT name FROM sessions LEFT JOIN session_usage u ON u.session = uuid"
	             " WHERE state = 'running' AND sessions.stack IS NOT NULL AND coalesce(u.at, 0) < ?",
	             "i", before))
		return NULL;
	while ((rc = query_next(&q, err)) > 0)
		cJSON_AddItemToArray(names, cJSON_CreateString(query_text(&q, 0)));
	return rc ? NULL : TAKE(names);
}

int usage_look(struct state *st, int64_t older_ms, struct err *err)
{
	cleanup_json cJSON *names = unread(st, clock_now_ms() - older_ms, err);
	const cJSON *one;
	int rc = names ? 0 : -1;
	docker_patience(PATIENCE_MS);
	cJSON_ArrayForEach(one, names)
	{
		cleanup_row struct session_row row = {0};
		struct err gone = {0};
		if (rc == 0 && store_by_name(st, one->valuestring, &row, &gone) == 0 &&
		    row.state == SESSION_RUNNING)
			rc = read_one(st, &row, err);
	}
	docker_patience(0);
	return rc;
}

void usage_note(struct state *st, const struct session_row *row)
{
	struct err ignored = {0};
	docker_patience(PATIENCE_MS);
	if (read_one(st, row, &ignored) == 0)
		forget(st, &ignored);
	docker_patience(0);
}

static int task_look(struct state *st, struct err *err)
{
	return usage_look(st, LOOK_EVERY_MS / 2, err);
}

const struct worker_task session_usage_task = {
        .name = "session.usage", .every_ms = LOOK_EVERY_MS, .look = task_look};
