#include "sessions/warn.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "jobs/notice.h"
#include "sessions/adopt.h"
#include "sessions/clock_watch.h"
#include "sessions/expiry.h"
#include "sessions/operation.h"
#include "sessions/session.h"
#include <string.h>

#define LOOK_EVERY_MS 2000
#define REMOVED_NEWS_MS (6 * 3600000LL)

/* What both kinds say of ${row}. */
static cJSON *describe(const struct session_row *row)
{
	cJSON *payload = json_object();
	json_add_text(payload, "name", row->name);
	json_add_text(payload, "uuid", row->uuid);
	if (row->chat)
		json_add(payload, "chat", cJSON_Parse(row->chat));
	return payload;
}

static int add(struct state *st, const struct session_row *row, const char *kind, int64_t until, cJSON *owned,
               struct err *err)
{
	cleanup_json cJSON *payload = owned;
	struct notice n = {.kind = (char *)kind,
	                   .session = row->name,
	                   .owner = row->owner,
	                   .until = until,
	                   .payload = payload};
	return notice_add(st, &n, err);
}

int warn_removed(struct state *st, const struct session_row *row, const cJSON *receipt, struct err *err)
{
	bool over =
	        row->reason && (!strcmp(row->reason, REASON_IDLE) || !strcmp(row->reason, REASON_EXPIRED));
	if (!over || row->pool)
		return 0;
	cJSON *payload = describe(row);
	json_add_text(payload, "reason", row->reason);
	json_add(payload, "receipt", cJSON_Duplicate(receipt, true));
	return add(st, row, NOTICE_REMOVED, clock_now_ms() + REMOVED_NEWS_MS, payload, err);
}

/* Whether ${row} was warned of this end: not of an earlier one, nor by a clock that went ahead and back since. */
static bool is_warned(const struct session_row *row, int64_t lead, int64_t now)
{
	return row->warned_at && row->warned_at >= row->expires_at - lead &&
	       row->warned_at <= now + CLOCK_WATCH_JUMP_MS;
}

/* The mark and the notice in one transaction, unless another operation was faster. Returns 1 when it is done, 0, or -1. */
static int mark(struct state *st, const struct session_row *row, int64_t now, int64_t at, struct err *err)
{
	if (db_run(st->db, err,
	           "UPDATE sessions SET warned_at = ? WHERE uuid = ? AND expires_at = ? AND pinned = 0 AND "
	           "state = ?"
	           " AND coalesce(warned_at, 0) = ?",
	           "ititi", now, row->uuid, row->expires_at, lifecycle_state_name(row->state),
	           row->warned_at))
		return -1;
	if (db_changes(st->db) != 1)
		return 0;
	cJSON *payload = describe(row);
	json_add_text(payload, "ends", expiry_next(row));
	json_add_int(payload, "expires_at", row->expires_at);
	json_add_int(payload, "at", at);
	return add(st, row, NOTICE_EXPIRES, at, payload, err) ? -1 : 1;
}

static void tell(const struct session_row *row, int64_t left)
{
	char shown[32];
	log_with(LOG_WARN, LOG_FIELDS({"session", row->name}, {"owner", row->owner}),
	         "session %s expires in %s (%s)", row->name, clock_left(left, shown, sizeof(shown)),
	         expiry_next(row));
}

static int warn_one(struct state *st, struct session_row *row, int64_t now, int64_t held_until,
                    struct err *err)
{
	int64_t at = row->expires_at > held_until ? row->expires_at : held_until;
	if (at <= now) /* it is being removed, or nobody looked for long */
		return 0;
	if (db_begin(st->db, err))
		return -1;
	int rc = mark(st, row, now, at, err);
	if (rc < 0 || db_commit(st->db, err)) {
		db_rollback(st->db);
		return -1;
	}
	if (rc == 0)
		return 0;
	tell(row, at - now);
	state_ring(st);
	return 0;
}

/* Whether it is time to warn of ${row}'s end, after its own use has moved it: 1, 0, or -1. */
static int is_time(struct state *st, struct session_row *row, int64_t now, struct err *err)
{
	int64_t lead = expiry_lead_ms(st, row);
	if (row->expires_at - lead > now || is_warned(row, lead, now))
		return 0;
	int old = adopt_is_old(st, row, err); /* the end that it tells of is past */
	if (old)
		return old < 0 ? -1 : 0;
	int known = expiry_refresh(st, row, now, err);
	return known <= 0 ? known : row->expires_at - expiry_lead_ms(st, row) <= now;
}

/* Names of sessions that end within ${ms}: read as a whole, for a write within a read fails. NULL with ${err}. */
static cJSON *ending(struct state *st, int64_t before, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	cleanup_json cJSON *names = json_array();
	int rc;
	if (db_query(st->db, &q, err,
	             "SELECT name FROM sessions WHERE state <> 'failed' AND state IN ('running','stopped')"
	             " AND expires_at <= ? AND pinned = 0 AND pool IS NULL",
	             "i", before))
		return NULL;
	while ((rc = query_next(&q, err)) > 0)
		cJSON_AddItemToArray(names, cJSON_CreateString(query_text(&q, 0)));
	return rc ? NULL : TAKE(names);
}

int warn_look(struct state *st, struct err *err)
{
	int64_t warn_ms = config_int(st->cfg, "SESSION_WARN_MINUTES") * 60000, held_until;
	if (!warn_ms || !config_bool(st->cfg, "SESSION_AUTO_CLEANUP"))
		return 0;
	if (clock_watch_look(st, &held_until, err))
		return -1;
	int64_t now = clock_now_ms();
	cleanup_json cJSON *names = ending(st, now + warn_ms, err);
	const cJSON *name;
	int rc = names ? 0 : -1;
	cJSON_ArrayForEach(name, names)
	{
		cleanup_row struct session_row row = {0};
		struct err gone = {0};
		if (rc || store_by_name(st, name->valuestring, &row, &gone))
			continue;
		int due = row.state == SESSION_RUNNING || row.state == SESSION_STOPPED
		                  ? is_time(st, &row, now, err)
		                  : 0;
		rc = due <= 0 ? due : warn_one(st, &row, now, held_until, err);
	}
	return rc;
}

const struct worker_task session_warn_task = {
        .name = "session.warn", .every_ms = LOOK_EVERY_MS, .look = warn_look};
