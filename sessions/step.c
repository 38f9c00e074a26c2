#include "sessions/step.h"
#include "core/clock.h"

void (*step_hook)(const char *step, bool done);

int step_begin(struct state *st, const struct session_row *row, int64_t job, const char *operation,
               const char *step, const char *object, int64_t *id, struct err *err)
{
	if (db_run(st->db, err,
	           "INSERT INTO session_steps (session, job, operation, step, object, intent_at)"
	           " VALUES (?, ?, ?, ?, ?, ?)",
	           "tittti", row->uuid, job, operation, step, object, clock_now_ms()))
		return -1;
	*id = db_last_id(st->db);
	if (step_hook)
		step_hook(step, false);
	return 0;
}

int step_done(struct state *st, int64_t id, const char *step, struct err *err)
{
	if (step_hook)
		step_hook(step, true);
	return db_run(st->db, err, "UPDATE session_steps SET done_at = ?, outcome = 'done' WHERE id = ?",
	              "ii", clock_now_ms(), id);
}
