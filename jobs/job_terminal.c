/* Jobs in the foreground: a terminal asks and runs in one process. Its job is locked before anybody can see it, and
 * no worker ever takes it. */
#include "core/mem.h"
#include "jobs/job_private.h"
#include <stdlib.h>

#define TURN_MS 500

/* Whoever sits there is told what he waits for. */
static void tell_wait(struct job *job)
{
	struct err ignored = {0};
	cleanup_free char *what = NULL;
	if (!db_get_text(
	            job->st->db, &what, &ignored,
	            "SELECT 'job ' || id || ' (' || kind || ' for ' || owner || ')' FROM jobs WHERE session "
	            "= ? AND id <> ? AND " JOB_OPEN " ORDER BY state DESC, id LIMIT 1",
	            "ti", job->row.session, job->row.id) &&
	    what)
		job_log(job, "waiting for %s of the same session", what);
}

/* Wait until no other job of the session is before us; settle those that crash meanwhile, as no worker may be there. */
static int wait_turn(struct job *job, const struct job_kind *const *kinds, struct err *err)
{
	for (bool told = false;; told = true) {
		int64_t others = 0;
		if (job_check(job, err) || job_blocked(job, false, &others, err))
			return -1;
		if (!others)
			return 0;
		if (!told)
			tell_wait(job);
		struct err ignored = {0};
		job_settle(job->st, kinds, true, &ignored);
		if (job_poll(job, NULL, 0, TURN_MS, err) < 0)
			return -1;
	}
}

/* Insert the job and take its lock before anybody can see it: a terminal that dies is noticed from the first moment. */
static int begin_foreground(struct state *st, const struct job_request *req, int64_t *id, int *lock,
                            struct err *err)
{
	bool fresh = false;
	if (db_begin(st->db, err))
		return -1;
	if (job_store_insert(st, req, true, id, &fresh, err))
		goto undo;
	if (!fresh) {
		err_set(err, ERR_EXISTS, "this was asked for before: it is job %lld", (long long)*id);
		goto undo;
	}
	if (job_lock(st, *id, lock, err) || db_commit(st->db, err))
		goto undo;
	state_ring(st);
	return 0;
undo:
	db_rollback(st->db);
	return -1;
}

static int run_foreground(struct job *job, const struct job_kind *const *kinds, cJSON **result,
                          struct err *err)
{
	int rc;
	do {
		rc = wait_turn(job, kinds, err);
		if (rc) { /* nothing was begun */
			struct err ignored = {0};
			job_finish(job, err->code == ERR_CANCELLED ? JOB_CANCELLED : JOB_FAILED, err->code,
			           err->msg, &ignored);
			return -1;
		}
		rc = job_run_locked(job, err);
	} while (rc == 1);
	if (rc && err->code == ERR_STATE)
		return err_set(err, ERR_CANCELLED, "cancelled while it waited for its turn");
	if (rc || job_store_load(job, err))
		return -1;
	if (job->row.state != JOB_DONE)
		return err_set(err, job->row.error_code ? job->row.error_code : ERR_FAILED, "%s",
		               job->row.error ? job->row.error : "failed");
	if (result)
		*result = TAKE(job->result);
	return 0;
}

int jobs_run(struct state *st, const struct job_kind *const *kinds, const struct job_request *req,
             void (*fn)(void *arg, const struct job_event *event), void *arg, cJSON **result, struct err *err)
{
	cleanup_close int lock = -1;
	int64_t id = 0;
	if (!req->kind || !job_kind_find(kinds, req->kind))
		return err_set(err, ERR_INVALID, "there is no job of kind %s",
		               req->kind ? req->kind : "(none)");
	if (job_signals_on(err))
		return -1;
	if (begin_foreground(st, req, &id, &lock, err)) {
		job_signals_off();
		return -1;
	}
	struct job job;
	job_init(&job, st, id);
	job_listen(&job);
	job.fn = fn;
	job.arg = arg;
	int rc = job_prepare(&job, kinds, err);
	if (!rc)
		rc = run_foreground(&job, kinds, result, err);
	job_free(&job);
	job_signals_off();
	return rc;
}

int jobs_retry(struct state *st, const struct job_kind *const *kinds, int64_t id,
               void (*fn)(void *arg, const struct job_event *event), void *arg, cJSON **result,
               struct err *err)
{
	struct job_row row = {0};
	if (jobs_get(st, id, &row, err))
		return -1;
	struct job_request req = {
	        .kind = row.kind, .args = row.args, .owner = row.owner, .session = row.session};
	int rc = row.state == JOB_FAILED || row.state == JOB_CANCELLED
	                 ? jobs_run(st, kinds, &req, fn, arg, result, err)
	                 : err_set(err, ERR_STATE,
	                           "job %lld is %s: only what failed or was cancelled is run again",
	                           (long long)id, job_state_name(row.state));
	job_row_free(&row);
	return rc;
}
