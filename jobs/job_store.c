/* Jobs as rows: enqueue, cancel, read, finish, prune. Events and lists stand in job_events.c. */
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "jobs/job_private.h"
#include "jobs/line.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const state_names[] = {
        [JOB_QUEUED] = "queued", [JOB_RUNNING] = "running",     [JOB_DONE] = "done",
        [JOB_FAILED] = "failed", [JOB_CANCELLED] = "cancelled",
};

const char *job_state_name(enum job_state state)
{
	return state_names[state];
}

static enum job_state state_of(const char *name)
{
	for (unsigned i = 0; name && i < ARRAY_LEN(state_names); i++)
		if (!strcmp(name, state_names[i]))
			return (enum job_state)i;
	return JOB_FAILED; /* the table's CHECK allows no other name */
}

bool job_state_final(enum job_state state)
{
	return state >= JOB_DONE;
}

static int find_origin(struct state *st, const char *origin, int64_t *id, struct err *err)
{
	*id = 0;
	if (!origin)
		return 0;
	return db_get_int(st->db, id, err, "SELECT id FROM jobs WHERE origin = ?", "t", origin);
}

int job_store_insert(struct state *st, const struct job_request *req, bool foreground, int64_t *id,
                     bool *fresh, struct err *err)
{
	if (!req->kind || !*req->kind || !req->owner || !*req->owner)
		return err_set(err, ERR_INVALID, "a job needs a kind and an owner");
	if (req->args && !cJSON_IsObject(req->args))
		return err_set(err, ERR_INVALID, "arguments of a %s job must be a JSON object", req->kind);
	if (find_origin(st, req->origin, id, err))
		return -1;
	*fresh = *id == 0;
	if (!*fresh)
		return 0;
	cleanup_free char *args = req->args ? json_print(req->args) : mem_strdup("{}");
	if (db_run(st->db, err,
	           "INSERT INTO jobs (kind, args, owner, origin, session, state, timeout_ms, created_at, "
	           "not_before)"
	           " VALUES (?, ?, ?, ?, ?, 'queued', ?, ?, ?)",
	           "tttttiii", req->kind, args, req->owner, req->origin, req->session, req->timeout_ms,
	           clock_now_ms(), foreground ? JOB_FOREGROUND : (int64_t)0))
		return -1;
	*id = db_last_id(st->db);
	return job_store_event(st, *id, "state", "queued", -1, "queued", err);
}

int jobs_enqueue(struct state *st, const struct job_request *req, int64_t *id, bool *fresh, struct err *err)
{
	bool is_fresh = false;
	int64_t found = 0;
	bool own = !db_in_transaction(st->db); /* a caller may want its own rows in the same commit */
	if ((own && db_begin(st->db, err)) || job_store_insert(st, req, false, &found, &is_fresh, err) ||
	    (own && db_commit(st->db, err))) {
		if (own)
			db_rollback(st->db);
		return err_wrap(err, "enqueue %s", req->kind ? req->kind : "job");
	}
	if (is_fresh && own)
		state_ring(st);
	*id = found;
	if (fresh)
		*fresh = is_fresh;
	return 0;
}

static int cancel_in_transaction(struct state *st, int64_t id, const char *by, struct err *err)
{
	cleanup_free char *name = NULL, *text = mem_printf("cancelled by %s", by);
	int64_t attempt = 0, asked = 0;
	if (db_get_text(st->db, &name, err, "SELECT state FROM jobs WHERE id = ?", "i", id) ||
	    db_get_int(st->db, &attempt, err, "SELECT attempt FROM jobs WHERE id = ?", "i", id) ||
	    db_get_int(st->db, &asked, err, "SELECT cancel_at FROM jobs WHERE id = ?", "i", id))
		return -1;
	if (!name)
		return err_set(err, ERR_NOT_FOUND, "there is no job %lld", (long long)id);
	enum job_state state = state_of(name);
	if (job_state_final(state))
		return err_set(err, ERR_STATE, "job %lld is over already (%s)", (long long)id, name);
	if (asked)
		return 0;
	if (db_run(st->db, err, "UPDATE jobs SET cancel_at = ?, cancel_by = ? WHERE id = ?", "iti",
	           clock_now_ms(), by, id))
		return -1;
	/* a crashed attempt waits in the queue: a child has to undo it first */
	if (state == JOB_QUEUED && attempt == 0)
		return job_store_finish(st, id, JOB_CANCELLED, ERR_CANCELLED, text, NULL, err);
	cleanup_free char *asking = mem_printf("cancel requested by %s", by);
	return job_store_event(st, id, "log", "cancel", -1, asking, err);
}

int jobs_cancel(struct state *st, int64_t id, const char *by, struct err *err)
{
	bool own = !db_in_transaction(st->db);
	if (own && db_begin(st->db, err))
		return -1;
	if (cancel_in_transaction(st, id, by, err) || (own && db_commit(st->db, err))) {
		if (own)
			db_rollback(st->db);
		return -1;
	}
	if (own)
		state_ring(st);
	return 0;
}

static cJSON *parse(struct query *q, int column)
{
	struct err ignored = {0};
	const char *text = query_text(q, column);
	return text ? json_parse(text, strlen(text), &ignored) : NULL;
}

static void fill(struct job_row *row, struct query *q)
{
	const char *code = query_text(q, 9);
	*row = (struct job_row){
	        .id = query_int(q, 0),
	        .kind = query_copy(q, 1),
	        .owner = query_copy(q, 2),
	        .session = query_copy(q, 3),
	        .args = parse(q, 4),
	        .state = state_of(query_text(q, 5)),
	        .attempt = (int)query_int(q, 6),
	        .result = parse(q, 7),
	        .error = query_copy(q, 8),
	        .error_code = code ? err_code_of(code) : ERR_NONE,
	        .created_at = query_int(q, 10),
	        .started_at = query_int(q, 11),
	        .finished_at = query_int(q, 12),
	        .cancel_requested = !query_is_null(q, 13),
	        .stage = query_copy(q, 14),
	        .percent = (int)query_int(q, 15),
	        .message = query_copy(q, 16),
	};
}

static int read_row(struct state *st, int64_t id, struct job_row *row, struct job *job, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	if (db_query(st->db, &q, err,
	             "SELECT id, kind, owner, session, args, state, attempt, result, error, error_code, "
	             "created_at,"
	             " started_at, finished_at, cancel_at, stage, percent, message, timeout_ms, not_before, "
	             "cancel_by"
	             " FROM jobs WHERE id = ?",
	             "i", id))
		return -1;
	int rc = query_next(&q, err);
	if (rc <= 0)
		return rc ? -1 : err_set(err, ERR_NOT_FOUND, "there is no job %lld", (long long)id);
	fill(row, &q);
	if (!job)
		return 0;
	job->timeout_ms = query_int(&q, 17);
	job->not_before = query_int(&q, 18);
	free(job->cancel_by);
	job->cancel_by = query_copy(&q, 19);
	return 0;
}

int jobs_get(struct state *st, int64_t id, struct job_row *row, struct err *err)
{
	return read_row(st, id, row, NULL, err);
}

int job_store_load(struct job *job, struct err *err)
{
	struct job_row row;
	if (read_row(job->st, job->row.id, &row, job, err))
		return -1;
	job_row_free(&job->row);
	job->row = row;
	return 0;
}

void job_row_free(struct job_row *row)
{
	free(row->kind);
	free(row->owner);
	free(row->session);
	free(row->error);
	free(row->stage);
	free(row->message);
	cJSON_Delete(row->args);
	cJSON_Delete(row->result);
	*row = (struct job_row){0};
}

int job_store_finish(struct state *st, int64_t id, enum job_state state, enum err_code code,
                     const char *error, const cJSON *result, struct err *err)
{
	struct db *db = st->db;
	bool own = !db_in_transaction(db);
	cleanup_free char *json = result ? json_print(result) : NULL;
	cleanup_free char *clean = error ? line_clean(error, strlen(error), JOB_TEXT_MAX) : NULL;
	if (own && db_begin(db, err))
		return -1;
	if (db_run(db, err,
	           "UPDATE jobs SET state = ?, finished_at = ?, result = ?, error_code = ?, error = ?, pid = "
	           "NULL,"
	           " pid_start = NULL, percent = CASE WHEN ?1 = 'done' THEN 100 ELSE percent END"
	           " WHERE id = ? AND state IN ('queued','running')",
	           "tittti", job_state_name(state), clock_now_ms(), json, code ? err_name(code) : NULL, clean,
	           id) ||
	    (db_changes(db) && job_store_event(st, id, "state", job_state_name(state), -1,
	                                       clean ? clean : job_state_name(state), err)) ||
	    (own && db_commit(db, err))) {
		if (own)
			db_rollback(db);
		return -1;
	}
	if (own)
		state_ring(st);
	return 0;
}

int job_store_requeue(struct state *st, int64_t id, struct err *err)
{
	struct db *db = st->db;
	if (db_begin(db, err))
		return -1;
	/* a terminal's job is not started again behind the back of who pressed Ctrl-\: error_code says "undo only" */
	if (db_run(db, err,
	           "UPDATE jobs SET state = 'queued', pid = NULL, pid_start = NULL, not_before = 0,"
	           " error_code = CASE WHEN not_before = ? THEN 'failed' ELSE error_code END,"
	           " error = CASE WHEN not_before = ?1 THEN 'interrupted: the terminal that ran it went "
	           "away' ELSE error END"
	           " WHERE id = ? AND state = 'running'",
	           "ii", JOB_FOREGROUND, id) ||
	    (db_changes(db) && job_store_event(st, id, "state", "queued", -1,
	                                       "interrupted: its process was killed or crashed", err)) ||
	    db_commit(db, err)) {
		db_rollback(db);
		return -1;
	}
	return 0;
}

int job_store_prune(struct state *st, int64_t before_ms, int limit, struct err *err)
{
	cleanup_free int64_t *ids = mem_alloc((size_t)limit * sizeof(*ids));
	int n = 0, rc;
	cleanup_query struct query q = QUERY_INIT;
	if (db_query(st->db, &q, err,
	             "SELECT id FROM jobs WHERE state NOT IN ('queued','running') AND finished_at < ? ORDER "
	             "BY id LIMIT ?",
	             "ii", before_ms, (int64_t)limit))
		return -1;
	while ((rc = query_next(&q, err)) == 1 && n < limit)
		ids[n++] = query_int(&q, 0);
	query_end(&q);
	if (rc < 0)
		return -1;
	for (int i = 0; i < n; i++) {
		cleanup_free char *log = state_path(st, "jobs/%lld.log", (long long)ids[i]);
		if (db_run(st->db, err, "DELETE FROM jobs WHERE id = ?", "i", ids[i]))
			return -1;
		unlink(log);
		job_lock_remove(st, ids[i]);
	}
	return n;
}
