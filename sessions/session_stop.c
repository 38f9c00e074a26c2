#include "core/mem.h"
#include "sessions/adopt.h"
#include "sessions/lease.h"
#include "sessions/operation.h"
#include "sessions/pool.h"
#include "sessions/receipt.h"
#include "sessions/session.h"

static int set_result(struct job *job, const char *name, cJSON *receipt)
{
	cJSON *result = json_object();
	json_add_text(result, "name", name);
	if (receipt)
		json_add(result, "receipt", receipt);
	job_result(job, result);
	return 0;
}

/* The row is gone. Who removed it after we were asked to did our work: an earlier attempt, a start that was cancelled or had been
 * killed, another stop. */
static int already_gone(struct job *job, const char *name, struct err *err)
{
	cleanup_row struct session_row none = {0};
	struct job_row me = {0};
	struct err ignored = {0};
	if (jobs_get(job_state(job), job_id(job), &me, err))
		return -1;
	int64_t asked_at = me.created_at;
	job_row_free(&me);
	cleanup_json cJSON *last = receipt_show(job_state(job), name, &ignored);
	if (!last || json_int(last, "removed_at", 0) < asked_at)
		return operation_find(job_state(job), name, &none, err);
	err_clear(err);
	job_progress(job, "done", 100, "session %s is gone", name);
	return set_result(job, name, cJSON_Duplicate(json_at(last, "receipt"), true));
}

/* A failed session is only a row with a reason: forget it. */
static int forget_failed(struct job *job, struct session_row *row, struct err *err)
{
	if (store_apply(job_state(job), row, EVENT_GONE, NULL, NULL, 0, err))
		return -1;
	cleanup_json cJSON *last = receipt_show(job_state(job), row->name, err);
	err_clear(err);
	job_progress(job, "done", 100, "session %s had failed and left nothing; its record is removed",
	             row->name);
	return set_result(job, row->name, cJSON_Duplicate(json_at(last, "receipt"), true));
}

static int remove_it(struct job *job, struct session_row *row, struct err *err)
{
	struct state *st = job_state(job);
	cJSON *receipt = NULL;
	if (operation_down(st, row, EVENT_STOP, REASON_STOPPED, NULL, job_id(job), &receipt, err)) {
		cJSON_Delete(receipt);
		return -1;
	}
	job_progress(job, "done", 100, "session %s is gone: nothing of it is left", row->name);
	return set_result(job, row->name, receipt);
}

static int keep_it(struct job *job, struct session_row *row, struct err *err)
{
	struct state *st = job_state(job);
	if (row->state == SESSION_STOPPING && row->job == job_id(job)
	            ? operation_finish(st, row, job_id(job), NULL, err)
	            : row->state != SESSION_STOPPED && operation_keep(st, row, job_id(job), err))
		return -1;
	job_progress(job, "done", 100, "session %s is stopped and kept", row->name);
	return set_result(job, row->name, NULL);
}

static int stop_guarded(struct job *job, const char *name, struct err *err)
{
	cleanup_row struct session_row row = {0};
	if (adopt_named(job_state(job), name, err) < 0)
		return -1;
	if (store_by_name(job_state(job), name, &row, err))
		return err->code == ERR_NOT_FOUND ? already_gone(job, name, err) : -1;
	if (operation_meant(&row, job_args(job), err) || operation_of_now(job, &row, err))
		return -1;
	if (row.state == SESSION_FAILED)
		return forget_failed(job, &row, err);
	job_shield(job); /* half a stop helps nobody */
	job_progress(job, "stop", 10, "session %s: stopping its services", name);
	int rc =
	        json_bool(job_args(job), "keep", false) ? keep_it(job, &row, err) : remove_it(job, &row, err);
	lease_unclaim();
	return rc;
}

/* A start that is under way is told to end; it holds the guard until it has. */
static void cancel_start(struct job *job, const struct session_row *row)
{
	struct err ignored = {0};
	if ((row->state == SESSION_CREATING || row->state == SESSION_STARTING) && row->job != job_id(job) &&
	    operation_job_open(job_state(job), row->job))
		jobs_cancel(job_state(job), row->job, job_owner(job), &ignored);
}

static int stop_run(struct job *job, struct err *err)
{
	const char *name = json_text(job_args(job), "name");
	cleanup_row struct session_row row = {0};
	if ((!pool_is_name(name) && session_name_check(name, err)) ||
	    (store_by_name(job_state(job), name, &row, err) && err->code != ERR_NOT_FOUND))
		return -1;
	err_clear(err);
	if (row.name && operation_meant(&row, job_args(job), err))
		return -1;
	if (row.name)
		cancel_start(job, &row);
	int guard = GUARD_NONE;
	if (guard_wait(job, name, OPERATION_GUARD_MS, &guard, err))
		return -1;
	int rc = stop_guarded(job, name, err);
	guard_release(job_state(job), &guard);
	return rc;
}

/* A stop that was begun cannot be undone, only finished. */
static int stop_undo(struct job *job, struct err *err)
{
	cleanup_row struct session_row row = {0};
	int guard = GUARD_NONE, rc = operation_own(job, &guard, &row, err);
	if (rc > 0)
		rc = row.state == SESSION_STOPPING
		             ? operation_finish(job_state(job), &row, job_id(job), NULL, err)
		             : 0;
	guard_release(job_state(job), &guard);
	return rc;
}

const struct job_kind session_stop_kind = {
        .name = "session.stop", .run = stop_run, .undo = stop_undo, .max_attempts = 5};
