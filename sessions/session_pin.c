/* A pinned session does not expire. Who may pin is for the caller to check: admins in a chat, everybody at this machine's
 * terminal. */
#include "core/clock.h"
#include "core/mem.h"
#include "sessions/adopt.h"
#include "sessions/clock_watch.h"
#include "sessions/lease_file.h"
#include "sessions/operation.h"
#include "sessions/session.h"

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* One that was pinned past its end gets its idle time once more, and is warned about before its greatest age ends it. */
static int unpin(struct state *st, struct session_row *row, int64_t now, struct err *err)
{
	int64_t least = now + clock_watch_grace_ms(st), hard = later(row->hard_expires_at, least),
	        at = later(row->expires_at, later(least, now + row->idle_ms));
	return store_pin(st, row, false, at < hard ? at : hard, hard, err);
}

static int set_pinned(struct job *job, bool pinned, struct err *err)
{
	struct state *st = job_state(job);
	const char *name = json_text(job_args(job), "name");
	cleanup_row struct session_row row = {0};
	char shown[32];
	int64_t now = clock_now_ms();
	if (session_name_check(name, err))
		return -1;
	adopt_idle(st, name);
	if (operation_find(st, name, &row, err))
		return -1;
	if (row.pinned != pinned &&
	    (pinned ? store_pin(st, &row, true, row.expires_at, row.hard_expires_at, err)
	            : unpin(st, &row, now, err)))
		return -1;
	lease_file_sync(st, name, row.uuid);
	state_ring(st);
	cJSON *result = json_object();
	json_add_text(result, "name", name);
	json_add_bool(result, "pinned", pinned);
	json_add_int(result, "expires_at", row.expires_at);
	job_result(job, result);
	if (pinned)
		job_progress(job, "done", 100, "session %s is pinned: it does not expire", name);
	else
		job_progress(job, "done", 100, "session %s expires in %s", name,
		             clock_left(row.expires_at - now, shown, sizeof(shown)));
	return 0;
}

static int pin_run(struct job *job, struct err *err)
{
	return set_pinned(job, true, err);
}

static int unpin_run(struct job *job, struct err *err)
{
	return set_pinned(job, false, err);
}

const struct job_kind session_pin_kind = {.name = "session.pin", .run = pin_run, .max_attempts = 3};
const struct job_kind session_unpin_kind = {.name = "session.unpin", .run = unpin_run, .max_attempts = 3};
