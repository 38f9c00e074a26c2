#include "core/clock.h"
#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/mutant.h"
#include "sessions/admission.h"
#include "sessions/adopt.h"
#include "sessions/lease.h"
#include "sessions/lease_file.h"
#include "sessions/operation.h"
#include "sessions/receipt.h"
#include "sessions/step.h"
#include "sessions/usage.h"
#include <stdlib.h>
#include <string.h>

int operation_find(struct state *st, const char *name, struct session_row *row, struct err *err)
{
	if (store_by_name(st, name, row, err) == 0) {
		if (row->state != SESSION_FAILED)
			return 0;
		err_set(err, ERR_NOT_FOUND, "session %s is not alive: its start failed: %.900s", name,
		        row->error ? row->error : "no reason is known");
		store_row_free(row);
		return -1;
	}
	if (err->code != ERR_NOT_FOUND)
		return -1;
	struct err ignored = {0};
	cleanup_json cJSON *receipt = receipt_show(st, name, &ignored);
	char age[32];
	if (receipt)
		err_set(err, ERR_NOT_FOUND, "no session %s: it was removed %s ago (%s)", name,
		        clock_rough(clock_now_ms() - json_int(receipt, "removed_at", 0), age, sizeof(age)),
		        json_text_or(receipt, "reason", REASON_STOPPED));
	return -1;
}

static int not_meant(const struct session_row *row, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND,
	               "the session %s that was meant is gone; another one is called so now", row->name);
}

int operation_meant(const struct session_row *row, const cJSON *args, struct err *err)
{
	return strcmp(json_text_or(args, "uuid", row->uuid), row->uuid) ? not_meant(row, err) : 0;
}

int operation_of_now(struct job *job, const struct session_row *row, struct err *err)
{
	struct job_row me = {0};
	if (jobs_get(job_state(job), job_id(job), &me, err))
		return -1;
	bool before = me.created_at < row->created_at && (!row->job || row->job > job_id(job));
	job_row_free(&me);
	return before ? not_meant(row, err) : 0;
}

int operation_running(const struct session_row *row, struct err *err)
{
	return row->state == SESSION_RUNNING
	               ? 0
	               : err_set(err, ERR_STATE, "session %s is %s, not running: start it first", row->name,
	                         lifecycle_state_name(row->state));
}

int operation_has_service(const struct session_row *row, const char *service, struct err *err)
{
	cleanup_str struct str names = STR_INIT_MAX(512);
	const cJSON *one;
	if (json_has_text(json_at(row->spec, "services"), service))
		return 0;
	cJSON_ArrayForEach(one, json_at(row->spec, "services"))
	        str_addf(&names, "%s%s", names.len ? ", " : "", cJSON_GetStringValue(one));
	return err_set(err, ERR_NOT_FOUND, "session %s has no service %.40s: it has %s", row->name, service,
	               str_text(&names));
}

bool operation_job_open(struct state *st, int64_t job)
{
	struct job_row row = {0};
	struct err ignored = {0};
	if (!job || jobs_get(st, job, &row, &ignored))
		return false;
	bool open = !job_state_final(row.state);
	job_row_free(&row);
	return open;
}

bool operation_resumed(const struct session_row *row)
{
	return row->stopped_at != 0;
}

int operation_own(struct job *job, int *guard, struct session_row *row, struct err *err)
{
	struct state *st = job_state(job);
	cleanup_row struct session_row seen = {0};
	if (store_by_job(st, job_id(job), &seen, err)) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		err_clear(err);
		return 0;
	}
	if (guard_wait(job, seen.name, OPERATION_GUARD_MS, guard, err))
		return -1;
	/* again under the guard: the reaper may have been faster, or the row and this job are from an old backup */
	if (adopt_named(st, seen.name, err) >= 0 && store_by_job(st, job_id(job), row, err) == 0)
		return 1;
	guard_release(st, guard);
	if (err->code != ERR_NOT_FOUND)
		return -1;
	err_clear(err);
	return 0;
}

static enum session_event end_of(const struct session_row *row)
{
	if (row->reason && !strcmp(row->reason, REASON_KEPT))
		return EVENT_KEPT;
	return row->reason && !strcmp(row->reason, REASON_FAILED) ? EVENT_BURIED : EVENT_GONE;
}

static int stop_services(struct state *st, const struct engine *engine, const struct session_row *row,
                         bool keep, int64_t job, struct err *err)
{
	int64_t step;
	return step_begin(st, row, job, "down", "services", NULL, &step, err) ||
	                       (!MUTANT("session_stop_leaves_processes") &&
	                        engine->stop(st, row, keep, err)) ||
	                       step_done(st, step, "services", err)
	               ? -1
	               : 0;
}

static int remove_files(struct state *st, const struct session_row *row, int64_t job, struct err *err)
{
	int64_t step;
	if (!row->dir)
		return 0;
	return step_begin(st, row, job, "down", "files", row->dir, &step, err) ||
	                       tree_remove(row->dir, err) || step_done(st, step, "files", err)
	               ? -1
	               : 0;
}

/* A row of an old backup whose name, and with it the directory, is another session's by now. */
static void leave_directory(struct state *st, struct session_row *row)
{
	if (!row->dir || !lease_file_foreign(st, store_directory(row), row->uuid))
		return;
	free(row->dir);
	row->dir = NULL;
}

int operation_finish(struct state *st, struct session_row *row, int64_t job, cJSON **receipt, struct err *err)
{
	if (receipt)
		*receipt = NULL;
	leave_directory(st, row);
	const struct engine *engine = engine_by_name(row->engine, err);
	if (!engine)
		return -1;
	enum session_event end = end_of(row);
	struct err ignored = {0};
	/* no other installation is given its ports between its services and the receipt, or before it is up again; what its supervisor held is
	 * ours after its end */
	lease_hold(st, row->uuid, &ignored);
	int failed = stop_services(st, engine, row, end == EVENT_KEPT, job, err);
	lease_hold(st, row->uuid, &ignored);
	if (end == EVENT_KEPT)
		return failed || admission_release(st, row, err)
		               ? -1
		               : store_apply(st, row, EVENT_KEPT, NULL, NULL, job, err);
	/* files a process still uses stay: what does not die must be looked at first */
	failed = failed || remove_files(st, row, job, err);
	cleanup_free char *why = failed ? mem_strdup(err->msg) : NULL;
	int rc = receipt_close(st, engine, row, end, why, receipt, err);
	lease_unclaim();
	return rc;
}

/* A start is undone, and the database cannot be written, most likely because the disk is full: what it has begun is recorded, so it is ended
 * all the same, and its files go, which may be just the room that is missing. Whatever cannot be done here is the reaper's, to whom the
 * row tells it. What runs already is left alone: nothing says yet that it is to end. */
static void end_unrecorded(struct state *st, struct session_row *row, bool keep)
{
	struct err ignored = {0};
	const struct engine *engine = engine_by_name(row->engine, &ignored);
	if (!engine || engine->stop(st, row, keep, &ignored) || keep)
		return;
	leave_directory(st, row);
	if (row->dir)
		tree_remove(row->dir, &ignored);
}

int operation_down(struct state *st, struct session_row *row, enum session_event event, const char *reason,
                   const char *error, int64_t job, cJSON **receipt, struct err *err)
{
	cleanup_free char *shown = error ? log_redact(error) : NULL;
	if (receipt)
		*receipt = NULL;
	if (row->state == SESSION_RUNNING && event != EVENT_CRASH)
		usage_note(st, row);
	int rc = store_apply(st, row, event, reason, shown, job, err);
	bool begun = row->state == SESSION_CREATING || row->state == SESSION_STARTING;
	if (rc && err->code != ERR_STATE && begun) {
		end_unrecorded(st, row, event == EVENT_KEEP);
		rc = store_apply(st, row, event, reason, shown, job, err);
	}
	return rc || operation_finish(st, row, job, receipt, err) ? -1 : 0;
}

int operation_keep(struct state *st, struct session_row *row, int64_t job, struct err *err)
{
	const struct engine *engine = engine_by_name(row->engine, err);
	if (!engine)
		return -1;
	if (row->state == SESSION_RUNNING && engine->resumable && engine->resumable(row, err)) {
		err_wrap(err, "session %s is left running, for it could not be started again", row->name);
		return -1;
	}
	return operation_down(st, row, EVENT_KEEP, REASON_KEPT, NULL, job, NULL, err);
}
