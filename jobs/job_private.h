/* What the files of the job module and the worker share; the other parts use jobs/job.h. */
#ifndef JOBS_JOB_PRIVATE_H
#define JOBS_JOB_PRIVATE_H

#include "core/bell.h"
#include "jobs/job.h"

/* not_before of a job that a terminal runs itself: no worker ever takes it. */
#define JOB_FOREGROUND INT64_MAX
/* Literally the WHERE of the index of open jobs: SQLite uses it only when it stands in the query as it is, and what runs at
 * every ring must not walk the finished ones. */
#define JOB_OPEN "state IN ('queued','running')"
/* Undoing may be interrupted too: after so many more attempts the job is given up. */
#define JOB_UNDO_ATTEMPTS 3
#define JOB_EVENTS_MAX 20000
#define JOB_TEXT_MAX 4096
#define JOB_KEEP_MS (14 * 86400000LL)

struct job {
	struct state *st;
	struct job_row row;
	char *cancel_by;
	const struct job_kind *kind;
	cJSON *result;
	int lock; /* flock on jobs/<id>.lock, held until the end */
	struct bell *bell;
	int64_t timeout_ms, not_before;
	int64_t deadline; /* monotonic */
	int64_t events;   /* so far */
	bool shielded, cancelled;
	void (*fn)(void *arg, const struct job_event *event); /* foreground: who watches */
	void *arg;
	int64_t seen; /* newest event that ${fn} got */
};

/* -- job_store.c -- */
/** Insert a queued job and its event; in the caller's transaction. ${*fresh} false: ${*id} had the origin already. */
int job_store_insert(struct state *st, const struct job_request *req, bool foreground, int64_t *id,
                     bool *fresh, struct err *err);
/** Read ${job}'s row again. */
int job_store_load(struct job *job, struct err *err);
/** Insert one event, cleaned and redacted; in the caller's transaction or its own. ${*event_id} may be NULL. */
int job_store_event(struct state *st, int64_t job, const char *type, const char *stage, int percent,
                    const char *text, struct err *err);
/** End an open job: row, state event and ring in one transaction. ${error} and ${result} may be NULL. */
int job_store_finish(struct state *st, int64_t id, enum job_state state, enum err_code code,
                     const char *error, const cJSON *result, struct err *err);
/** Put a running job whose process is gone back into the queue. The caller holds its lock. */
int job_store_requeue(struct state *st, int64_t id, struct err *err);
/** Delete jobs that ended before ${before_ms}, at most ${limit}, with their events and files. Returns how many or -1. */
int job_store_prune(struct state *st, int64_t before_ms, int limit, struct err *err);

/* -- job.c -- */
/** Make jobs cancellable by SIGTERM, SIGINT and SIGHUP (unless that is ignored: nohup) until job_signals_off. Pairs nest: a job may jobs_run another, which does not see
 * the signals that came before it; the outer one sees those that came during it. */
int job_signals_on(struct err *err);
void job_signals_off(void);
/** Give the foreground's watcher the events it has not seen. */
void job_relay(struct job *job);

/* -- job_lock.c -- */
/** Take the lock of job ${id}. Returns 0 and ${*fd}, 1 when another holds it, or -1. */
int job_lock(const struct state *st, int64_t id, int *fd, struct err *err);
/** lock_take of ${path}, tried for a fifth of a second. */
int job_lock_patiently(const char *path, int *fd, struct err *err);
/** Remove the lock file of a finished job; only its holder may. */
void job_lock_remove(const struct state *st, int64_t id);
/** Remove the lock files of jobs that are over: left by who was killed between the end of its job and theirs, or could not write then. */
void job_lock_sweep(struct state *st);

/* -- job_run.c -- */
const struct job_kind *job_kind_find(const struct job_kind *const *kinds, const char *name);
void job_init(struct job *job, struct state *st, int64_t id);
void job_free(struct job *job);
/** Hear the bell, for cancels. */
void job_listen(struct job *job);
/** Read row and kind. A job of a kind that this program does not know is ended here (-1, ERR_NOT_FOUND), or it would be
 * tried for ever. */
int job_prepare(struct job *job, const struct job_kind *const *kinds, struct err *err);
/** How many jobs of its session are before ${job}. */
int job_blocked(struct job *job, bool undo, int64_t *others, struct err *err);
/** The lock is held: claim the row, run or undo, write the end. Returns 0 when the job ended, however, 1 when it is not
 * its turn, or -1 (ERR_STATE: it was over). */
int job_run_locked(struct job *job, struct err *err);
/** Write the end and remove the lock file. */
int job_finish(struct job *job, enum job_state state, enum err_code code, const char *error, struct err *err);
/**
 * Look at every running job (and terminals' waiting ones) whose process is gone. ${undo} says whether the caller may
 * block to undo those that have no attempt left; otherwise they too are queued, for a child to do it.
 * Returns the number settled or -1.
 */
int job_settle(struct state *st, const struct job_kind *const *kinds, bool undo, struct err *err);

#endif
