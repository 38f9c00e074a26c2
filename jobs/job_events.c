/* What jobs tell: events and lists, for bots, gateways and terminals that follow. */
#include "core/clock.h"
#include "core/mem.h"
#include "jobs/job_private.h"
#include "jobs/line.h"
#include <string.h>

int job_store_event(struct state *st, int64_t job, const char *type, const char *stage, int percent,
                    const char *text, struct err *err)
{
	cleanup_free char *clean = line_clean(text, strlen(text), JOB_TEXT_MAX);
	return db_run(
	        st->db, err,
	        "INSERT INTO job_events (job, at, type, stage, percent, text) VALUES (?, ?, ?, ?, ?, ?)",
	        "iittit", job, clock_now_ms(), type, stage, (int64_t)percent, clean);
}

#define EVENT_COLUMNS "SELECT id, job, at, type, stage, percent, text FROM job_events WHERE "

int jobs_events(struct state *st, int64_t job, int64_t after, int limit,
                void (*fn)(void *arg, const struct job_event *event), void *arg, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	int rc = job ? db_query(st->db, &q, err, EVENT_COLUMNS "job = ? AND id > ? ORDER BY id LIMIT ?",
	                        "iii", job, after, (int64_t)limit)
	             : db_query(st->db, &q, err, EVENT_COLUMNS "id > ? ORDER BY id LIMIT ?", "ii", after,
	                        (int64_t)limit);
	if (rc)
		return -1;
	while ((rc = query_next(&q, err)) == 1) {
		struct job_event event = {
		        .id = query_int(&q, 0),
		        .job = query_int(&q, 1),
		        .at = query_int(&q, 2),
		        .type = query_text(&q, 3),
		        .stage = query_text(&q, 4),
		        .percent = (int)query_int(&q, 5),
		        .text = query_text(&q, 6),
		};
		fn(arg, &event);
	}
	return rc;
}

cJSON *job_row_json(const struct job_row *row)
{
	cJSON *j = json_object();
	json_add_int(j, "id", row->id);
	json_add_text(j, "kind", row->kind);
	json_add_text(j, "owner", row->owner);
	json_add_text(j, "session", row->session);
	json_add_text(j, "state", job_state_name(row->state));
	json_add_text(j, "error", row->error);
	json_add_int(j, "attempt", row->attempt);
	json_add_int(j, "created_at", row->created_at);
	json_add_int(j, "started_at", row->started_at);
	json_add_int(j, "finished_at", row->finished_at);
	json_add(j, "result", cJSON_Duplicate(row->result, 1));
	return j;
}

static void add_time(cJSON *obj, const char *key, struct query *q, int column)
{
	if (query_is_null(q, column))
		json_add(obj, key, NULL);
	else
		json_add_int(obj, key, query_int(q, column));
}

static cJSON *list_item(struct query *q)
{
	static const char *const texts[] = {"kind", "owner", "session", "state", "stage", "message", "error"};
	cJSON *obj = json_object();
	json_add_int(obj, "id", query_int(q, 0));
	for (int i = 0; i < (int)ARRAY_LEN(texts); i++)
		json_add_text(obj, texts[i], query_text(q, i + 1));
	json_add_int(obj, "percent", query_int(q, 8));
	json_add_int(obj, "attempt", query_int(q, 9));
	add_time(obj, "created_at", q, 10);
	add_time(obj, "started_at", q, 11);
	add_time(obj, "finished_at", q, 12);
	return obj;
}

cJSON *jobs_list(struct state *st, const char *owner, int state, int limit, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	if (db_query(st->db, &q, err,
	             "SELECT id, kind, owner, session, state, stage, message, error, percent, attempt, "
	             "created_at,"
	             " started_at, finished_at FROM jobs"
	             " WHERE (?1 IS NULL OR owner = ?1) AND (?2 IS NULL OR state = ?2) ORDER BY id DESC "
	             "LIMIT ?3",
	             "tti", owner, state < 0 ? NULL : job_state_name((enum job_state)state), (int64_t)limit))
		return NULL;
	cleanup_json cJSON *list = json_array();
	int rc;
	while ((rc = query_next(&q, err)) == 1)
		cJSON_AddItemToArray(list, list_item(&q));
	return rc < 0 ? NULL : TAKE(list);
}
