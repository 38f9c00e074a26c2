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

#define FINISH_TRIES 3
#define BLOCKED_RETRY_MS 500
#define PRUNE_AT_ONCE 1000

const struct job_kind *job_kind_find(const struct job_kind *const *kinds, const char *name)
{
	for (; kinds && *kinds; kinds++)
		if (!strcmp((*kinds)->name, name))
			return *kinds;
	return NULL;
}

void job_init(struct job *job, struct state *st, int64_t id)
{
	*job = (struct job){.st = st, .row = {.id = id}, .deadline = INT64_MAX};
}

void job_listen(struct job *job)
{
	struct err err = {0};
	if (bell_open(&job->bell, job->st->dir, &err))
		log_warn("job %lld: a cancel will be seen late: %s", (long long)job->row.id, err.msg);
}

void job_free(struct job *job)
{
	bell_close(job->bell);
	job_row_free(&job->row);
	cJSON_Delete(job->result);
	free(job->cancel_by);
}

int job_prepare(struct job *job, const struct job_kind *const *kinds, struct err *err)
{
	if (job_store_load(job, err))
		return -1;
	job->kind = job_kind_find(kinds, job->row.kind);
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
int job_blocked(struct job *job, bool undo, int64_t *others, struct err *err)
{
	*others = 0;
	if (!job->row.session)
		return 0;
	int64_t queue = undo ? 0 : worker_alive(job->st) ? 1 : 2;
	struct proc_id self = {.pid = getpid()};
	proc_identify(self.pid, &self);
	/* within a job of the same session in this process, the turn is ours already */
	return db_get_int(job->st->db, others, err,
	                  "SELECT count(*) FROM jobs WHERE session = ? AND id <> ? AND " JOB_OPEN
	                  " AND (state = 'running' OR (id < ?2 AND (?3 = 1 OR (?3 = 2 AND not_before = ?4))))"
	                  " AND NOT EXISTS (SELECT 1 FROM jobs WHERE session = ?1 AND id <> ?2 AND " JOB_OPEN
	                  " AND state = 'running'"
	                  "  AND pid = ?5 AND pid_start = ?6)",
	                  "tiiiii", job->row.session, job->row.id, queue, JOB_FOREGROUND, (int64_t)self.pid,
	                  self.start);
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
	if (job_blocked(job, *undo, &others, err))
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
int job_finish(struct job *job, enum job_state state, enum err_code code, const char *error, struct err *err)
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
		return job_finish(job, JOB_DONE, ERR_NONE, NULL, err);
	job->shielded = false;
	struct err why = {0};
	bool cancelled = job_check(job, &why) && why.code == ERR_CANCELLED;
	if (failure->code == ERR_CANCELLED)
		return job_finish(job, JOB_CANCELLED, ERR_CANCELLED, failure->msg, err);
	if (!cancelled)
		return job_finish(job, JOB_FAILED, failure->code ? failure->code : ERR_FAILED,
		                  failure->msg[0] ? failure->msg : "failed without saying why", err);
	/* told to end, it failed in a way of its own, such as a child that got the same signal */
	cleanup_free char *text = mem_printf("%s; it ended with: %s", why.msg, failure->msg);
	return job_finish(job, JOB_CANCELLED, ERR_CANCELLED, text, err);
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
		return job_finish(job, JOB_FAILED, failure.code ? failure.code : ERR_FAILED, text, err);
	}
	return row->cancel_requested ? job_finish(job, JOB_CANCELLED, ERR_CANCELLED, why, err)
	                             : job_finish(job, JOB_FAILED,
	                                          row->error_code ? row->error_code : ERR_FAILED, why, err);
}

/* The lock is held: claim and do it. Returns 0 when the job ended, however, 1 when it is not its turn, or -1. */
int job_run_locked(struct job *job, struct err *err)
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
	char number[24];
	snprintf(number, sizeof(number), "%lld", (long long)id);
	log_context("job", number);
	job_init(&job, st, id);
	job_listen(&job);
	rc = job_prepare(&job, kinds, err) ? -1 : job_run_locked(&job, err);
	if (rc == 1)
		rc = err_set(err, ERR_BUSY, "job %lld waits for another job of session %s", (long long)id,
		             job.row.session);
	if (rc && (err->code == ERR_NOT_FOUND || err->code == ERR_STATE))
		job_lock_remove(st, id); /* ours was made for nothing */
	job_free(&job);
	log_context("job", NULL);
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
		rc = undo && !job_store_load(&job, err) && must_undo(&job) && job_run_locked(&job, err) ? -1
		                                                                                        : 1;
	job_free(&job);
	return rc;
}

int job_settle(struct state *st, const struct job_kind *const *kinds, bool undo, struct err *err)
{
	cleanup_free char *list = NULL;
	if (db_get_text(st->db, &list, err,
	                "SELECT group_concat(id) FROM jobs WHERE " JOB_OPEN
	                " AND (state = 'running' OR not_before = ?)",
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
	int settled = job_settle(st, kinds, true, err);
	return settled < 0 || job_store_prune(st, clock_now_ms() - JOB_KEEP_MS, PRUNE_AT_ONCE, err) < 0
	               ? -1
	               : settled;
}
