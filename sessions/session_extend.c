#include "core/clock.h"
#include "core/mem.h"
#include "sessions/adopt.h"
#include "sessions/lease_file.h"
#include "sessions/operation.h"
#include "sessions/session.h"
#include "sessions/step.h"

#define MINUTES_MAX (30 * 24 * 60)
#define STEP "extend"

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t capped(const struct session_row *row, int64_t at)
{
	return row->hard_expires_at && at > row->hard_expires_at ? row->hard_expires_at : at;
}

static int check_pin(const struct session_row *row, struct err *err)
{
	return row->pinned
	               ? err_set(err, ERR_STATE,
	                         "session %s is pinned: it does not expire, so there is nothing to extend",
	                         row->name)
	               : 0;
}

static int too_late(const struct session_row *row, struct err *err)
{
	char iso[32];
	return err_set(err, ERR_QUOTA,
	               "session %s cannot live longer than until %s (SESSION_MAX_AGE_HOURS), unless an "
	               "admin pins it: /session pin %s in the chat, or codefoundry session pin %s in a "
	               "terminal of this machine",
	               row->name, clock_iso(row->hard_expires_at, iso, sizeof(iso)), row->name, row->name);
}

/* When it is to end: what an attempt of this job that was killed had noted, or from now on. Counted again, one wish
 * would extend it twice. */
static int find_end(struct job *job, const struct session_row *row, int64_t now, int64_t *at, struct err *err)
{
	*at = 0;
	if (db_get_int(job_state(job)->db, at, err,
	               "SELECT CAST(object AS INTEGER) FROM session_steps WHERE session = ? AND job = ? AND "
	               "step = ?",
	               "tit", row->uuid, job_id(job), STEP))
		return -1;
	if (*at)
		return 0;
	*at = capped(row, later(row->expires_at, now) + json_int(job_args(job), "minutes", 0) * 60000);
	return *at > row->expires_at ? 0 : too_late(row, err);
}

static int extend(struct job *job, struct session_row *row, int64_t at, int64_t now, struct err *err)
{
	struct state *st = job_state(job);
	struct err ignored = {0};
	int64_t step;
	cleanup_free char *object = mem_printf("%lld", (long long)at);
	if (step_begin(st, row, job_id(job), STEP, STEP, object, &step, err) ||
	    store_expire_at(st, row, later(at, row->expires_at), now, err))
		return -1;
	step_done(st, step, STEP, &ignored); /* it is extended, whether that can be noted or not */
	return 0;
}

static int extend_run(struct job *job, struct err *err)
{
	struct state *st = job_state(job);
	const char *name = json_text(job_args(job), "name");
	int64_t minutes = json_int(job_args(job), "minutes", 0), now = clock_now_ms(), at;
	cleanup_row struct session_row row = {0};
	char shown[32];
	if (session_name_check(name, err))
		return -1;
	if (minutes < 1 || minutes > MINUTES_MAX)
		return err_set(err, ERR_INVALID, "minutes must be a whole number from 1 to %d", MINUTES_MAX);
	adopt_idle(st, name);
	if (operation_find(st, name, &row, err) || operation_meant(&row, job_args(job), err) ||
	    check_pin(&row, err) || find_end(job, &row, now, &at, err) || extend(job, &row, at, now, err))
		return -1;
	lease_file_sync(st, name, row.uuid);
	state_ring(st);
	cJSON *result = json_object();
	json_add_text(result, "name", name);
	json_add_int(result, "expires_at", at);
	job_result(job, result);
	job_progress(job, "done", 100, "session %s lives %s more", name,
	             clock_left(at - now, shown, sizeof(shown)));
	return 0;
}

const struct job_kind session_extend_kind = {.name = "session.extend", .run = extend_run, .max_attempts = 3};

void session_touch(struct state *st, const char *name)
{
	cleanup_row struct session_row row = {0};
	struct err ignored = {0};
	int64_t now = clock_now_ms();
	if (store_by_name(st, name, &row, &ignored) == 0 && row.state != SESSION_FAILED &&
	    adopt_is_old(st, &row, &ignored) == 0)
		store_expire_at(st, &row,
		                capped(&row, later(row.expires_at, row.idle_ms ? now + row.idle_ms : 0)), now,
		                &ignored);
}
