/* Running jobs: claim under the lock, run or undo, write the end. What makes a crash visible is that the kernel frees
 * the lock while the row still says running. */
#include "core/clock.h"
#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/proc.h"
#include "jobs/job_private.h"
#include "jobs/worker.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOCK_TRIES 20
#define LOCK_RETRY_MS 10
#define FINISH_TRIES 3
#define BLOCKED_RETRY_MS 500

int job_lock(const struct state *st, int64_t id, int *fd, struct err *err)
{
	cleanup_free char *dir = state_path(st, "jobs"),
	                  *path = state_path(st, "jobs/%lld.lock", (long long)id);
	if (dir_make(dir, 0700, err))
		return -1;
	return lock_take(path, fd, err);
}

void job_lock_remove(const struct state *st, int64_t id)
{
	cleanup_free char *path = state_path(st, "jobs/%lld.lock", (long long)id);
	unlink(path);
}

int job_lock_patiently(const char *path, int *fd, struct err *err)
{
	int rc = lock_take(path, fd, err);
	/* who looks whether somebody holds it does so for an instant */
	for (int i = 0; rc == 1 && i < LOCK_TRIES; i++) {
		poll(NULL, 0, LOCK_RETRY_MS);
		rc = lock_take(path, fd, err);
	}
	return rc;
}

static const struct job_kind *find_kind(const struct job_kind *const *kinds, const char *name)
{
	for (; kinds && *kinds; kinds++)
		if (!strcmp((*kinds)->name, name))
			return *kinds;
	return NULL;
}

static void job_init(struct job *job, struct state *st, int64_t id)
{
	*job = (struct job){.st = st, .row = {.id = id}, .deadline = INT64_MAX};
}

static void job_listen(struct job *job)
{
	struct err err = {0};
	if (bell_open(&job->bell, job->st->dir, &err))
		log_warn("job %lld: a cancel will be seen late: %s", (long long)job->row.id, err.msg);
}

static void job_end(struct job *job)
{
	bell_close(job->bell);
	job_row_free(&job->row);
	cJSON_Delete(job->result);
	free(job->cancel_by);
}

/* Read row and kind. A job of a kind that this program does not know is ended, or it would be tried for ever. */
static int job_prepare(struct job *job, const struct job_kind *const *kinds, struct err *err)
{
	if (job_store_load(job, err))
		return -1;
	job->kind = find_kind(kinds, job->row.kind);
	if (job->kind || job_state_final(job->row.state))
		return 0;
	err_set(err, ERR_NOT_FOUND, "this program knows no job of kind %s: was it made by a newer version?",
	        job->row.kind);
	struct err ignored = {0};
	job_store_finish(job->st, job->row.id, JOB_FAILED, err->code, err->msg, NULL, &ignored);
	job_lock_remove(job->st, job->row.id);
	return -1;
}

/* Whether only undoing is left to do. */
static bool must_undo(const struct job *job)
{
	const struct job_row *row = &job->row;
	return row->attempt > 0 &&
	       (row->cancel_requested || row->error_code || row->attempt >= job->kind->max_attempts);
}

/* Jobs of one session run one at a time, in the order they were asked for. Queued ones count only while somebody
 * will run them: a terminal, or a worker. */
static int blocked(struct job *job, bool undo, int64_t *others, struct err *err)
{
	*others = 0;
	if (!job->row.session)
		return 0;
	int64_t queue = undo ? 0 : worker_alive(job->st) ? 1 : 2;
	return db_get_int(
	        job->st->db, others, err,
	        "SELECT count(*) FROM jobs WHERE session = ? AND id <> ? AND state IN ('queued','running')"
	        " AND (state = 'running' OR (id < ?2 AND (?3 = 1 OR (?3 = 2 AND not_before = ?4))))",
	        "tiii", job->row.session, job->row.id, queue, JOB_FOREGROUND);
}

static int claim_row(struct job *job, bool undo, struct err *err)
{
	struct job_row *row = &job->row;
	struct proc_id self = {.pid = getpid()};
	proc_identify(self.pid, &self);
	row->attempt++;
	row->state = JOB_RUNNING;
	if (!job->timeout_ms)
		job->timeout_ms = job->kind->timeout_ms;
	char text[96];
	if (undo)
		snprintf(text, sizeof(text), "undoing what was begun");
	else if (row->attempt > 1)
		snprintf(text, sizeof(text), "attempt %d of %d", row->attempt, job->kind->max_attempts);
	else
		snprintf(text, sizeof(text), "started");
	if (db_run(job->st->db, err,
	           "UPDATE jobs SET state = 'running', attempt = ?, pid = ?, pid_start = ?, started_at = ?,"
	           " timeout_ms = ? WHERE id = ?",
	           "iiiiii", (int64_t)row->attempt, (int64_t)self.pid, self.start, clock_now_ms(),
	           job->timeout_ms, row->id))
		return -1;
	return job_store_event(job->st, row->id, "state", "running", -1, text, err);
}

/* Within a transaction. Returns 0, 1 when it is not its turn yet, or -1; ERR_STATE: it is over. */
static int claim_in_transaction(struct job *job, bool *undo, struct err *err)
{
	int64_t others = 0;
	if (job_store_load(job, err))
		return -1;
	if (job_state_final(job->row.state))
		return err_set(err, ERR_STATE, "job %lld is over already (%s)", (long long)job->row.id,
		               job_state_name(job->row.state));
	*undo = must_undo(job);
	if (blocked(job, *undo, &others, err))
		return -1;
	if (others)
		return 1;
	if (db_get_int(job->st->db, &job->events, err, "SELECT count(*) FROM job_events WHERE job = ?", "i",
	               job->row.id))
		return -1;
	return claim_row(job, *undo, err);
}

static int claim(struct job *job, bool *undo, struct err *err)
{
	struct db *db = job->st->db;
	struct err ignored = {0};
	if (db_begin(db, err))
		return -1;
	int rc = claim_in_transaction(job, undo, err);
	if (rc || (rc = db_commit(db, err))) {
		db_rollback(db);
		if (rc == 1 && job->not_before != JOB_FOREGROUND)
			db_run(db, &ignored,
			       "UPDATE jobs SET not_before = ? WHERE id = ? AND state = 'queued'", "ii",
			       clock_now_ms() + BLOCKED_RETRY_MS, job->row.id);
		return rc;
	}
	state_ring(job->st);
	job_relay(job);
	return 0;
}

/* Write the end. A full disk or a locked database is given a little time: otherwise the job would be run again. */
static int finish(struct job *job, enum job_state state, enum err_code code, const char *error,
                  struct err *err)
{
	int rc = -1;
	db_rollback(job->st->db); /* what the function may have left open */
	for (int i = 0; rc && i < FINISH_TRIES; i++)
		rc = job_store_finish(job->st, job->row.id, state, code, error,
		                      state == JOB_DONE ? job->result : NULL, err);
	if (rc)
		return err_wrap(err, "job %lld ended (%s), but that could not be written",
		                (long long)job->row.id, job_state_name(state));
	job_lock_remove(job->st, job->row.id);
	job_relay(job);
	return 0;
}

static int finish_run(struct job *job, int rc, const struct err *failure, struct err *err)
{
	if (rc == 0)
		return finish(job, JOB_DONE, ERR_NONE, NULL, err);
	job->shielded = false;
	struct err why = {0};
	bool cancelled = job_check(job, &why) && why.code == ERR_CANCELLED;
	if (failure->code == ERR_CANCELLED)
		return finish(job, JOB_CANCELLED, ERR_CANCELLED, failure->msg, err);
	if (!cancelled)
		return finish(job, JOB_FAILED, failure->code ? failure->code : ERR_FAILED,
		              failure->msg[0] ? failure->msg : "failed without saying why", err);
	/* told to end, it failed in a way of its own, such as a child that got the same signal */
	cleanup_free char *text = mem_printf("%s; it ended with: %s", why.msg, failure->msg);
	return finish(job, JOB_CANCELLED, ERR_CANCELLED, text, err);
}

static int run_undo(struct job *job, struct err *err)
{
	const struct job_row *row = &job->row;
	struct err failure = {0};
	bool given_up = row->attempt > job->kind->max_attempts + JOB_UNDO_ATTEMPTS;
	if (given_up)
		err_set(&failure, ERR_FAILED, "interrupted again and again");
	int rc = given_up ? -1 : job->kind->undo ? job->kind->undo(job, &failure) : 0;
	cleanup_free char *why = NULL;
	if (row->cancel_requested)
		why = mem_printf("cancelled%s%s", job->cancel_by ? " by " : "",
		                 job->cancel_by ? job->cancel_by : "");
	else
		why = row->error ? mem_strdup(row->error)
		                 : mem_printf("interrupted %d times (killed or crashed)", row->attempt - 1);
	if (rc) {
		cleanup_free char *text = mem_printf("%s; undoing it failed: %s", why, failure.msg);
		return finish(job, JOB_FAILED, failure.code ? failure.code : ERR_FAILED, text, err);
	}
	return row->cancel_requested
	               ? finish(job, JOB_CANCELLED, ERR_CANCELLED, why, err)
	               : finish(job, JOB_FAILED, row->error_code ? row->error_code : ERR_FAILED, why, err);
}

/* The lock is held: claim and do it. Returns 0 when the job ended, however, 1 when it is not its turn, or -1. */
static int run_locked(struct job *job, struct err *err)
{
	bool undo = false;
	int rc = claim(job, &undo, err);
	if (rc)
		return rc;
	if (undo) {
		job_shield(job);
		return run_undo(job, err);
	}
	struct err failure = {0};
	if (job->timeout_ms > 0)
		job->deadline = clock_mono_ms() + job->timeout_ms;
	rc = job->kind->run(job, &failure);
	return finish_run(job, rc, &failure, err);
}

int jobs_exec(struct state *st, const struct job_kind *const *kinds, int64_t id, struct err *err)
{
	cleanup_close int lock = -1;
	cleanup_free char *dir = state_path(st, "jobs"),
	                  *path = state_path(st, "jobs/%lld.lock", (long long)id);
	int rc = dir_make(dir, 0700, err) ? -1 : job_lock_patiently(path, &lock, err);
	if (rc)
		return rc < 0 ? -1
		              : err_set(err, ERR_BUSY, "job %lld runs in another process", (long long)id);
	struct job job;
	if (job_signals_on(err))
		return -1;
	job_init(&job, st, id);
	job_listen(&job);
	rc = job_prepare(&job, kinds, err) ? -1 : run_locked(&job, err);
	if (rc == 1)
		rc = err_set(err, ERR_BUSY, "job %lld waits for another job of session %s", (long long)id,
		             job.row.session);
	if (rc && (err->code == ERR_NOT_FOUND || err->code == ERR_STATE))
		job_lock_remove(st, id); /* ours was made for nothing */
	job_end(&job);
	job_signals_off();
	return rc;
}

/* Wait until no other job of the session is before us; settle those that crash meanwhile, as no worker may be there. */
static int wait_turn(struct job *job, const struct job_kind *const *kinds, struct err *err)
{
	for (;;) {
		int64_t others = 0;
		if (job_check(job, err) || blocked(job, false, &others, err))
			return -1;
		if (!others)
			return 0;
		struct err ignored = {0};
		job_settle(job->st, kinds, true, &ignored);
		if (job_poll(job, NULL, 0, BLOCKED_RETRY_MS, err) < 0)
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
			finish(job, err->code == ERR_CANCELLED ? JOB_CANCELLED : JOB_FAILED, err->code,
			       err->msg, &ignored);
			return -1;
		}
		rc = run_locked(job, err);
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
	if (!req->kind || !find_kind(kinds, req->kind))
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
	job_end(&job);
	job_signals_off();
	return rc;
}

/* One open job whose lock may be free. Returns 1 settled, 0 somebody runs it, -1. */
static int settle_one(struct state *st, const struct job_kind *const *kinds, int64_t id, bool undo,
                      struct err *err)
{
	cleanup_close int lock = -1;
	int rc = job_lock(st, id, &lock, err);
	if (rc)
		return rc < 0 ? -1 : 0;
	struct job job;
	job_init(&job, st, id);
	rc = job_prepare(&job, kinds, err);
	if (rc)
		rc = err->code == ERR_NOT_FOUND ? 1 : -1;
	else if (job_state_final(job.row.state))
		job_lock_remove(st, id); /* ended between the list and the lock, which made a new file */
	else if (job.row.state == JOB_QUEUED &&
	         !(rc = job_store_finish(st, id, JOB_CANCELLED, ERR_CANCELLED,
	                                 "the terminal that asked for it went away", NULL, err)))
		job_lock_remove(st, id), rc = 1;
	else if (job.row.state == JOB_RUNNING && !(rc = job_store_requeue(st, id, err)))
		rc = undo && !job_store_load(&job, err) && must_undo(&job) && run_locked(&job, err) ? -1 : 1;
	job_end(&job);
	return rc;
}

int job_settle(struct state *st, const struct job_kind *const *kinds, bool undo, struct err *err)
{
	cleanup_free char *list = NULL;
	if (db_get_text(st->db, &list, err,
	                "SELECT group_concat(id) FROM jobs WHERE state = 'running' OR (state = 'queued' AND "
	                "not_before = ?)",
	                "i", JOB_FOREGROUND))
		return -1;
	int settled = 0;
	for (char *p = list; p && *p; p += *p == ',') {
		int64_t id = strtoll(p, &p, 10);
		int rc = settle_one(st, kinds, id, undo, err);
		if (rc < 0)
			return -1;
		settled += rc;
	}
	if (settled)
		state_ring(st);
	return settled;
}

int jobs_recover(struct state *st, const struct job_kind *const *kinds, struct err *err)
{
	return job_settle(st, kinds, true, err);
}
