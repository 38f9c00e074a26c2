#include "core/clock.h"
#include "core/mem.h"
#include "sessions/adopt.h"
#include "sessions/operation.h"
#include "sessions/session.h"

/* Down to `stopped`, wherever an earlier attempt was killed. */
static int bring_down(struct job *job, struct session_row *row, struct err *err)
{
	struct state *st = job_state(job);
	if (row->state == SESSION_STOPPED)
		return 0;
	if (row->state == SESSION_STOPPING && row->job == job_id(job))
		return operation_finish(st, row, job_id(job), NULL, err);
	return operation_keep(st, row, job_id(job), err);
}

static int restart_all(struct job *job, struct session_row *row, struct err *err)
{
	job_progress(job, "stop", 2, "session %s: stopping its services", row->name);
	int rc = bring_down(job, row, err) || operation_up(job, row, err) ? -1 : 0;
	lease_unclaim();
	return rc;
}

/* It was ended and could not be started: nobody else does so later. */
static int say_what_next(const struct session_row *row, const char *service, struct err *err)
{
	struct err said = *err;
	if (said.code == ERR_ENGINE || said.code == ERR_FAILED || said.code == ERR_TIMEOUT)
		err_set(err, said.code,
		        "%.1700s\n%s may be stopped now; once the cause is gone: codefoundry session restart "
		        "%s %s",
		        said.msg, service, row->name, service);
	return -1;
}

static int restart_one(struct job *job, struct session_row *row, const char *service, struct err *err)
{
	int64_t began = clock_mono_ms();
	job_progress(job, "start", 20, "session %s: restarting %s", row->name, service);
	if (session_service(job_state(job), row->name, service, "restart", err))
		return say_what_next(row, service, err);
	job_progress(job, "done", 100, "session %s: %s runs again", row->name, service);
	return operation_result(job, row, clock_mono_ms() - began, err);
}

static int restart_run(struct job *job, struct err *err)
{
	struct state *st = job_state(job);
	const char *name = json_text(job_args(job), "name"), *service = json_text(job_args(job), "service");
	cleanup_row struct session_row row = {0};
	int guard = GUARD_NONE;
	if (session_name_check(name, err) || guard_wait(job, name, OPERATION_GUARD_MS, &guard, err))
		return -1;
	int rc = adopt_named(st, name, err) < 0 || operation_find(st, name, &row, err) ||
	                         operation_of_now(job, &row, err)
	                 ? -1
	                 : 0;
	if (rc == 0)
		rc = service ? restart_one(job, &row, service, err) : restart_all(job, &row, err);
	guard_release(st, &guard);
	return rc;
}

/* One service may have been caught between its end and its start: nobody else would start it again. */
static int undo_one(struct job *job, const char *service, struct err *err)
{
	struct state *st = job_state(job);
	const char *name = json_text(job_args(job), "name");
	cleanup_row struct session_row row = {0};
	int guard = GUARD_NONE;
	if (session_name_check(name, err) || guard_wait(job, name, OPERATION_GUARD_MS, &guard, err))
		return -1;
	int rc = store_by_name(st, name, &row, err);
	if (rc == 0 && row.state == SESSION_RUNNING)
		rc = session_service(st, name, service, "start", err);
	else if (rc && err->code == ERR_NOT_FOUND)
		rc = 0;
	guard_release(st, &guard);
	return rc;
}

/* What was interrupted stays stopped: its files are there, `session start` resumes it. */
static int restart_undo(struct job *job, struct err *err)
{
	const char *service = json_text(job_args(job), "service");
	if (service)
		return undo_one(job, service, err);
	cleanup_row struct session_row row = {0};
	int guard = GUARD_NONE, rc = operation_own(job, &guard, &row, err);
	if (rc > 0)
		rc = row.state == SESSION_STARTING || row.state == SESSION_STOPPING
		             ? bring_down(job, &row, err)
		             : 0;
	guard_release(job_state(job), &guard);
	return rc;
}

const struct job_kind session_restart_kind = {
        .name = "session.restart", .run = restart_run, .undo = restart_undo, .max_attempts = 3};
