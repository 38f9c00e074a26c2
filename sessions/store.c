#include "sessions/store.h"
#include "core/clock.h"
#include "core/mem.h"
#include "sessions/lease_file.h"
#include <stdlib.h>
#include <string.h>

#define TIMES "created_at, started_at, stopped_at, expires_at, hard_expires_at, idle_ms, used_at"
#define COLUMNS                                                                                              \
	"SELECT uuid, name, owner, engine, state, reason, error, spec, dir, job, " TIMES                     \
	", pool, generation, warned_at, pinned, chat FROM sessions "
#define FEW_COLUMNS                                                                                          \
	"SELECT uuid, name, NULL, engine, state, NULL, NULL, NULL, dir, job, " TIMES                         \
	", pool, generation, warned_at, pinned, NULL FROM sessions "

/* By its last part: the state directory may be reached by another path than when the session was made. */
#define HAS_DIRECTORY "WHERE substr(dir, -length(?1) - 1) = '/' || ?1 AND state <> 'failed'"

static void read_row(struct query *q, struct session_row *row)
{
	*row = (struct session_row){0};
	strncpy(row->uuid, query_text(q, 0), ID_UUID_LEN);
	row->name = query_copy(q, 1);
	row->owner = query_copy(q, 2);
	row->engine = query_copy(q, 3);
	row->state = lifecycle_state_of(query_text(q, 4));
	row->reason = query_copy(q, 5);
	row->error = query_copy(q, 6);
	row->spec = cJSON_Parse(query_text(q, 7));
	row->dir = query_copy(q, 8);
	row->job = query_int(q, 9);
	row->created_at = query_int(q, 10);
	row->started_at = query_int(q, 11);
	row->stopped_at = query_int(q, 12);
	row->expires_at = query_int(q, 13);
	row->hard_expires_at = query_int(q, 14);
	row->idle_ms = query_int(q, 15);
	row->used_at = query_int(q, 16);
	row->pool = query_copy(q, 17);
	row->generation = query_int(q, 18);
	row->warned_at = query_int(q, 19);
	row->pinned = query_int(q, 20) != 0;
	row->chat = query_copy(q, 21);
}

void store_row_free(struct session_row *row)
{
	free(row->name);
	free(row->owner);
	free(row->engine);
	free(row->dir);
	free(row->reason);
	free(row->error);
	free(row->chat);
	free(row->pool);
	cJSON_Delete(row->spec);
	cJSON_Delete(row->plan);
	*row = (struct session_row){0};
}

void store_rows_free(struct session_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		store_row_free(&rows[i]);
	free(rows);
}

int store_insert(struct state *st, const struct session_row *row, struct err *err)
{
	cleanup_free char *spec = json_print(row->spec);
	return db_run(
	        st->db, err,
	        "INSERT INTO sessions (uuid, name, owner, engine, state, spec, dir, job, created_at, "
	        "expires_at,"
	        " hard_expires_at, idle_ms, used_at, pool) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	        "tttttttiiiiiit", row->uuid, row->name, row->owner, row->engine,
	        lifecycle_state_name(SESSION_CREATING), spec, row->dir, row->job, row->created_at,
	        row->expires_at, row->hard_expires_at, row->idle_ms, row->used_at, row->pool);
}

/* Read the one row of a query that was opened. */
static int only_row(struct query *q, struct session_row *row, struct err *err)
{
	int rc = query_next(q, err);
	if (rc > 0)
		read_row(q, row);
	return rc > 0 ? 0 : rc < 0 ? -1 : err_set(err, ERR_NOT_FOUND, "no such session");
}

int store_missing(struct state *st, const char *name, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	struct err ignored = {0};
	const char *alive = NULL;
	if (db_query(st->db, &q, &ignored,
	             "SELECT group_concat(name, ', ') FROM (SELECT name FROM sessions WHERE state <> 'failed'"
	             " AND pool IS NULL ORDER BY created_at DESC LIMIT 10)",
	             "") == 0 &&
	    query_next(&q, &ignored) > 0)
		alive = query_text(&q, 0);
	return err_set(err, ERR_NOT_FOUND, "there is no session %s; %s%s", name,
	               alive ? "there are: " : "none is alive", alive ? alive : "");
}

int store_by_name(struct state *st, const char *name, struct session_row *row, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	if (db_query(st->db, &q, err,
	             COLUMNS "WHERE name = ? ORDER BY state = 'failed', created_at DESC LIMIT 1", "t",
	             name) ||
	    only_row(&q, row, err))
		return err->code == ERR_NOT_FOUND ? store_missing(st, name, err) : -1;
	return 0;
}

int store_by_directory(struct state *st, const char *directory, struct session_row *row, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	return db_query(st->db, &q, err, COLUMNS HAS_DIRECTORY, "t", directory) || only_row(&q, row, err) ? -1
	                                                                                                  : 0;
}

int store_by_job(struct state *st, int64_t job, struct session_row *row, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	return db_query(st->db, &q, err, COLUMNS "WHERE job = ? ORDER BY state = 'failed' LIMIT 1", "i",
	                job) || only_row(&q, row, err)
	               ? -1
	               : 0;
}

static const char *const filters[] = {
        [STORE_ALIVE] = COLUMNS "WHERE state <> 'failed' ORDER BY created_at, uuid",
        [STORE_ALL] = COLUMNS "ORDER BY created_at, uuid",
        [STORE_WARM] = COLUMNS "WHERE pool <> '' AND state <> 'failed' ORDER BY created_at, uuid",
        /* `+`: not by an index of those that are alive, as nearly all are, for each would be sought on its own */
        [STORE_SCAN] = FEW_COLUMNS "WHERE +state <> 'failed' ORDER BY uuid",
        [STORE_OLD_FAILED] = COLUMNS "WHERE state = 'failed' AND created_at < ? ORDER BY created_at, uuid",
};

int store_rows(struct state *st, enum store_filter filter, int64_t before_ms, struct session_row **rows,
               size_t *n, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	if (db_query(st->db, &q, err, filters[filter], filter == STORE_OLD_FAILED ? "i" : "", before_ms))
		return -1;
	struct session_row *list = NULL;
	size_t used = 0, cap = 0;
	int rc;
	while ((rc = query_next(&q, err)) > 0) {
		if (used == cap)
			list = mem_resize(list, cap = cap ? cap * 2 : 16, sizeof(*list));
		read_row(&q, &list[used++]);
	}
	if (rc < 0) {
		store_rows_free(list, used);
		return -1;
	}
	*rows = list;
	*n = used;
	return 0;
}

int store_has(struct state *st, const char *uuid, struct err *err)
{
	int64_t n = 0;
	if (db_get_int(st->db, &n, err, "SELECT count(*) FROM sessions WHERE uuid = ?", "t", uuid))
		return -1;
	return n > 0;
}

int store_has_directory(struct state *st, const char *directory, struct err *err)
{
	int64_t n = 0;
	if (db_get_int(st->db, &n, err, "SELECT count(*) FROM sessions " HAS_DIRECTORY, "t", directory))
		return -1;
	return n > 0;
}

const char *store_directory(const struct session_row *row)
{
	const char *slash = row->dir ? strrchr(row->dir, '/') : NULL;
	return slash ? slash + 1 : "";
}

/* The update of a change of state; the state in its WHERE makes a change by another process visible. */
static int change(struct state *st, const struct session_row *row, const struct lifecycle_step *step,
                  const char *reason, const char *error, int64_t job, int64_t now, struct err *err)
{
	int64_t started = step->actions & ACTION_STARTED ? now : 0,
	        stopped = step->actions & ACTION_STOPPED ? now : 0;
	if (step->actions & ACTION_DELETE)
		return db_run(st->db, err, "DELETE FROM sessions WHERE uuid = ? AND state = ?", "tt",
		              row->uuid, lifecycle_state_name(row->state));
	return db_run(
	        st->db, err,
	        "UPDATE sessions SET state = ?1, started_at = iif(?2, ?2, started_at),"
	        " stopped_at = iif(?3, ?3, stopped_at),"
	        " reason = iif(?2, NULL, coalesce(?4, reason)), error = iif(?2, NULL, coalesce(?5, error)),"
	        " job = iif(?6, ?6, job) WHERE uuid = ?7 AND state = ?8",
	        "tiittitt", lifecycle_state_name(step->to), started, stopped, reason, error, job, row->uuid,
	        lifecycle_state_name(row->state));
}

static int apply(struct state *st, struct session_row *row, const struct lifecycle_step *step,
                 const char *reason, const char *error, int64_t job, int64_t now, struct err *err)
{
	if (change(st, row, step, reason, error, job, now, err))
		return -1;
	if (db_changes(st->db) != 1)
		return err_set(err, ERR_STATE, "session %s is no longer %s: another operation changed it",
		               row->name, lifecycle_state_name(row->state));
	if ((step->actions & ACTION_FREE) &&
	    (db_run(st->db, err, "DELETE FROM leases WHERE session = ?", "t", row->uuid) ||
	     db_run(st->db, err, "DELETE FROM session_steps WHERE session = ?", "t", row->uuid)))
		return -1;
	return 0;
}

int store_apply(struct state *st, struct session_row *row, enum session_event event, const char *reason,
                const char *error, int64_t job, struct err *err)
{
	const struct lifecycle_step *step = lifecycle_step(row->state, event);
	if (!step->allowed)
		return err_set(err, ERR_STATE, "session %s is %s: it cannot take \"%s\" now", row->name,
		               lifecycle_state_name(row->state), lifecycle_event_name(event));
	bool own = !db_in_transaction(st->db);
	int64_t now = clock_now_ms();
	if (own && db_begin(st->db, err))
		return -1;
	if (apply(st, row, step, reason, error, job, now, err) || (own && db_commit(st->db, err))) {
		if (own)
			db_rollback(st->db);
		return -1;
	}
	row->state = step->to;
	row->generation++;
	row->job = job ? job : row->job;
	row->started_at = step->actions & ACTION_STARTED ? now : row->started_at;
	row->stopped_at = step->actions & ACTION_STOPPED ? now : row->stopped_at;
	if (reason) {
		free(row->reason);
		row->reason = mem_strdup(reason);
	}
	if (own) {
		lease_file_follow(st, row->uuid);
		state_ring(st);
	}
	return 0;
}

int store_expire_at(struct state *st, struct session_row *row, int64_t expires_at, int64_t used_at,
                    struct err *err)
{
	if (db_run(st->db, err, "UPDATE sessions SET expires_at = ?, used_at = ? WHERE uuid = ?", "iit",
	           expires_at, used_at, row->uuid))
		return -1;
	row->expires_at = expires_at;
	row->used_at = used_at;
	row->generation++;
	return 0;
}

int store_chat(struct state *st, struct session_row *row, const char *chat, struct err *err)
{
	if (!chat)
		return 0;
	free(row->chat);
	row->chat = mem_strdup(chat);
	return db_run(st->db, err, "UPDATE sessions SET chat = ? WHERE uuid = ?", "tt", chat, row->uuid);
}

int store_pin(struct state *st, struct session_row *row, bool pinned, int64_t expires_at,
              int64_t hard_expires_at, struct err *err)
{
	if (db_run(st->db, err,
	           "UPDATE sessions SET pinned = ?, expires_at = ?, hard_expires_at = ? WHERE uuid = ?",
	           "iiit", (int64_t)pinned, expires_at, hard_expires_at, row->uuid))
		return -1;
	row->pinned = pinned;
	row->expires_at = expires_at;
	row->hard_expires_at = hard_expires_at;
	return 0;
}

int store_count(struct state *st, const char *uuid, int64_t *rows, int64_t *leases, struct err *err)
{
	return db_get_int(st->db, rows, err,
	                  "SELECT (SELECT count(*) FROM sessions WHERE uuid = ?1 AND state <> 'failed') +"
	                  " (SELECT count(*) FROM session_steps WHERE session = ?1)",
	                  "t", uuid) ||
	                       db_get_int(st->db, leases, err,
	                                  "SELECT count(*) FROM leases WHERE session = ?", "t", uuid)
	               ? -1
	               : 0;
}
