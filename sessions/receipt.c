#include "sessions/receipt.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"
#include "sessions/counters.h"
#include "sessions/lease.h"
#include "sessions/warn.h"
#include <stdlib.h>
#include <string.h>

#define RETRY_FIRST_MS 30000
#define RETRY_MAX_MS 3600000

static int64_t sum_of(const cJSON *j)
{
	int64_t sum = 0;
	const cJSON *one;
	cJSON_ArrayForEach(one, j) sum += cJSON_IsNumber(one) ? json_int(j, one->string, 0) : 0;
	return sum;
}

/* Asked whose they are, the engine is only when there are some. */
static int ports_left(struct state *st, const struct engine *engine, const struct session_row *row,
                      char **who, struct err *err)
{
	int n = lease_held(st, row->uuid, engine->own_user, NULL, who, err);
	if (n <= 0 || !engine->lent)
		return n;
	cleanup_json cJSON *lent = engine->lent(st, row, err);
	free(TAKE(*who));
	return lent ? lease_held(st, row->uuid, engine->own_user, lent, who, err) : -1;
}

/* What is left outside the database: {"ok":true, what the engine says, "ports", "files"}; ${*who} listens. Returns their sum, or -1. */
static int64_t look(struct state *st, const struct engine *engine, const struct session_row *row, cJSON *j,
                    char **who, struct err *err)
{
	json_add_bool(j, "ok", true);
	int objects = engine->left(st, row, j, err),
	    ports = objects < 0 ? -1 : ports_left(st, engine, row, who, err);
	long files = row->dir ? tree_count(row->dir) : 0;
	if (objects < 0 || ports < 0)
		return -1;
	json_add_int(j, "ports", ports);
	json_add_int(j, "files", files < 0 ? 1 : files);
	return sum_of(j);
}

/* Add what is left in it; the last word on "ok". */
static int add_rows(struct state *st, const struct session_row *row, cJSON *j, struct err *err)
{
	int64_t rows, leases;
	if (store_count(st, row->uuid, &rows, &leases, err))
		return -1;
	json_add_int(j, "leases", leases);
	json_add_int(j, "rows", rows);
	cJSON_ReplaceItemInObject(j, "ok", cJSON_CreateBool(sum_of(j) == 0));
	return 0;
}

/* One row per session: a later try closes what an earlier one opened. */
static int record(struct state *st, const struct session_row *row, const cJSON *j, int64_t wait_ms,
                  struct err *err)
{
	cleanup_free char *text = json_print(j);
	int64_t ok = json_bool(j, "ok", false), now = clock_now_ms(), next_try = ok ? 0 : now + wait_ms;
	if (counter_add(st, ok ? COUNTER_RECEIPTS_OK : COUNTER_RECEIPTS_OPEN, 1, err) ||
	    db_run(st->db, err,
	           "UPDATE receipts SET removed_at = ?, ok = ?, tries = tries + 1, next_try_at = iif(?3, ?3, "
	           "NULL),"
	           " receipt = ?, reason = ? WHERE session = ? AND ok = 0",
	           "iiittt", now, ok, next_try, text, row->reason, row->uuid))
		return -1;
	if (db_changes(st->db))
		return 0;
	return db_run(st->db, err,
	              "INSERT INTO receipts (session, name, owner, engine, reason, created_at, removed_at, "
	              "ok, next_try_at,"
	              " receipt) VALUES (?, ?, ?, ?, ?, ?, ?, ?, iif(?9, ?9, NULL), ?)",
	              "tttttiiiit", row->uuid, row->name, row->owner, row->engine, row->reason,
	              row->created_at, now, ok, next_try, text);
}

/* Nothing is left outside the database: end the rows and write the receipt in one transaction. */
static int close_clean(struct state *st, struct session_row *row, enum session_event end, cJSON *j,
                       struct err *err)
{
	if (db_begin(st->db, err))
		return -1;
	if (store_apply(st, row, end, NULL, NULL, 0, err) || add_rows(st, row, j, err) ||
	    record(st, row, j, 0, err) || warn_removed(st, row, j, err) || db_commit(st->db, err)) {
		db_rollback(st->db);
		return -1;
	}
	state_ring(st);
	return 0;
}

/* "2 containers, 1 ports, 0 files": what stands outside the database. */
static void describe(const cJSON *j, struct str *out)
{
	const cJSON *one;
	cJSON_ArrayForEach(one, j)
	{
		if (!cJSON_IsNumber(one) || !strcmp(one->string, "leases") || !strcmp(one->string, "rows"))
			continue;
		str_addf(out, "%s%lld %s", out->len ? ", " : "", (long long)json_int(j, one->string, 0),
		         one->string);
	}
}

static int close_dirty(struct state *st, struct session_row *row, cJSON *j, const char *why, struct err *err)
{
	int64_t tries = 0;
	if (db_get_int(st->db, &tries, err, "SELECT tries FROM receipts WHERE session = ? AND ok = 0", "t",
	               row->uuid) ||
	    add_rows(st, row, j, err))
		return -1;
	int64_t delay = RETRY_FIRST_MS << (tries < 8 ? tries : 8);
	if (record(st, row, j, delay < RETRY_MAX_MS ? delay : RETRY_MAX_MS, err))
		return -1;
	cleanup_str struct str left = STR_INIT_MAX(300);
	describe(j, &left);
	return err_set(err, ERR_BUSY,
	               "session %s is not gone: %s are left%s%s; it is tried again by itself, or now with: "
	               "codefoundry session stop %s",
	               row->name, str_text(&left), why ? ": " : "", why ? why : "", row->name);
}

/* Nobody can tell what is left. It is looked for again soon, however often: asking costs nothing. Keeps what ${err} says. */
static int close_blind(struct state *st, struct session_row *row, cJSON *j, struct err *err)
{
	struct err seen = *err, failed = {0};
	cJSON_ReplaceItemInObject(j, "ok", cJSON_CreateBool(false));
	if (record(st, row, j, RETRY_FIRST_MS, &failed))
		log_warn("session %s: %s", row->name, failed.msg);
	return err_set(
	        err, seen.code,
	        "%.1600s; session %s may not be gone: it is tried again by itself, or now with: codefoundry "
	        "session stop %s",
	        seen.msg, row->name, row->name);
}

int receipt_close(struct state *st, const struct engine *engine, struct session_row *row,
                  enum session_event end, const char *why, cJSON **receipt, struct err *err)
{
	cleanup_json cJSON *j = json_object();
	cleanup_free char *who = NULL;
	int64_t left = look(st, engine, row, j, &who, err);
	if (left < 0)
		return close_blind(st, row, j, err);
	int rc = left ? close_dirty(st, row, j, why ? why : who, err) : close_clean(st, row, end, j, err);
	if (receipt && json_at(j, "rows"))
		*receipt = TAKE(j);
	return rc;
}

cJSON *receipt_show(struct state *st, const char *name, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	if (db_query(st->db, &q, err,
	             "SELECT session, owner, engine, reason, created_at, removed_at, receipt FROM receipts"
	             " WHERE name = ? AND ok = 1 ORDER BY id DESC LIMIT 1",
	             "t", name))
		return NULL;
	int rc = query_next(&q, err);
	if (rc == 0)
		store_missing(st, name, err);
	if (rc <= 0)
		return NULL;
	cJSON *j = json_object();
	json_add_text(j, "name", name);
	json_add_text(j, "uuid", query_text(&q, 0));
	json_add_text(j, "owner", query_text(&q, 1));
	json_add_text(j, "engine", query_text(&q, 2));
	json_add_text(j, "state", lifecycle_state_name(SESSION_ABSENT));
	json_add_text(j, "reason", query_text(&q, 3));
	json_add_int(j, "created_at", query_int(&q, 4));
	json_add_int(j, "removed_at", query_int(&q, 5));
	json_add(j, "receipt", cJSON_Parse(query_text(&q, 6)));
	return j;
}

int receipt_add_open(struct state *st, const char *uuid, cJSON *session, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	if (db_query(st->db, &q, err,
	             "SELECT receipt, tries, next_try_at FROM receipts WHERE session = ? AND ok = 0", "t",
	             uuid))
		return -1;
	int rc = query_next(&q, err);
	if (rc <= 0)
		return rc;
	json_add(session, "receipt", cJSON_Parse(query_text(&q, 0)));
	json_add_int(session, "tries", query_int(&q, 1));
	json_add_int(session, "next_try_at", query_int(&q, 2));
	return 0;
}

int receipt_next_try(struct state *st, const char *uuid, int64_t *at_ms, struct err *err)
{
	*at_ms = 0;
	return db_get_int(st->db, at_ms, err, "SELECT next_try_at FROM receipts WHERE session = ? AND ok = 0",
	                  "t", uuid);
}

int receipt_prune(struct state *st, int64_t before_ms, struct err *err)
{
	return db_run(st->db, err, "DELETE FROM receipts WHERE ok = 1 AND removed_at < ?", "i", before_ms);
}
