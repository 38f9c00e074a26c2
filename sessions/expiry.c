#include "sessions/expiry.h"
#include "sessions/lease_file.h"
#include "sessions/operation.h"

static bool at_greatest_age(const struct session_row *row)
{
	return row->hard_expires_at && row->expires_at >= row->hard_expires_at;
}

const char *expiry_next(const struct session_row *row)
{
	return row->pinned ? "pinned" : at_greatest_age(row) ? "age" : "idle";
}

int64_t expiry_lead_ms(const struct state *st, const struct session_row *row)
{
	int64_t warn = config_int(st->cfg, "SESSION_WARN_MINUTES") * 60000,
	        since = at_greatest_age(row) ? row->created_at : row->used_at,
	        half = (row->expires_at - since) / 2;
	return warn < half ? warn : half > 0 ? half : 0;
}

/* -1: the engine does not answer. What was done "in the future" was done before the clock went back. */
static int64_t last_use(struct state *st, const struct session_row *row, int64_t now)
{
	struct err ignored = {0};
	const struct engine *engine = engine_by_name(row->engine, &ignored);
	int64_t at = engine ? engine->used_at(st, row) : 0;
	if (at < 0)
		return at;
	at = at > row->used_at ? at : row->used_at;
	return at > now ? now : at;
}

int expiry_refresh(struct state *st, struct session_row *row, int64_t now, struct err *err)
{
	if (row->state != SESSION_RUNNING || !row->idle_ms || at_greatest_age(row))
		return 1;
	int64_t used = last_use(st, row, now), until = used + row->idle_ms;
	if (used < 0)
		return 0;
	if (row->hard_expires_at && until > row->hard_expires_at)
		until = row->hard_expires_at;
	if (until <= row->expires_at)
		return 1;
	if (store_expire_at(st, row, until, used, err))
		return -1;
	lease_file_sync(st, row->name, row->uuid);
	return 1;
}

int expiry_due(struct state *st, struct session_row *row, int64_t now, int64_t held_until,
               const char **reason, struct err *err)
{
	if ((row->state != SESSION_RUNNING && row->state != SESSION_STOPPED) || row->pinned || held_until ||
	    row->expires_at > now)
		return 0;
	bool hard = row->hard_expires_at && row->hard_expires_at <= now;
	int known = hard ? 1 : expiry_refresh(st, row, now, err);
	if (known <= 0 || row->expires_at > now) /* perhaps it was used just now */
		return known < 0 ? -1 : 0;
	*reason = hard ? REASON_EXPIRED : REASON_IDLE;
	return 1;
}
