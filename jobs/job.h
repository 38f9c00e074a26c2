/* Durable jobs: everything long that a bot, a gateway or a terminal asks for. A job is a row, runs as one synchronous
 * function in a process of its own that holds flock on jobs/<id>.lock, and reports events that others follow.
 * A crash is seen by the lock being free while the row says running; the job is then run again (its function
 * starts by undoing what an earlier attempt left) until its attempts are used up. */
#ifndef JOBS_JOB_H
#define JOBS_JOB_H

#include "core/err.h"
#include "core/json.h"
#include "jobs/state.h"
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

struct job;

/* What kinds exist is registered from above: cli/kinds.c. */
struct job_kind {
	const char *name; /* "session.start" */
	/** Do it. Returns 0 (result set with job_result) or -1 with ${err}. Called again after a crash: must first undo
	 * or take up what an earlier attempt left. On ERR_CANCELLED everything must have been undone. */
	int (*run)(struct job *job, struct err *err);
	/** Called instead of run when no attempt is left or a cancel came after a crash: only undo. NULL: nothing to undo. */
	int (*undo)(struct job *job, struct err *err);
	int max_attempts;   /* how often a crash may interrupt it; >= 1 */
	int64_t timeout_ms; /* 0: none */
};

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_DONE, JOB_FAILED, JOB_CANCELLED };
const char *job_state_name(enum job_state state);
bool job_state_final(enum job_state state);

/* -- within a job's function -- */
int64_t job_id(const struct job *job);
const cJSON *job_args(const struct job *job);
const char *job_owner(const struct job *job);
int job_attempt(const struct job *job); /* 1 for the first */
struct state *job_state(const struct job *job);

/** Record and tell a step: ${stage} is a short stable word ("start"), ${percent} 0–100 (never goes back), the text for people. */
void job_progress(struct job *job, const char *stage, int percent, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));
/** Record a log line that belongs to the job. */
void job_log(struct job *job, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** Set the result (transfers ${result}). */
void job_result(struct job *job, cJSON *result);

/** 0 while the job should go on; -1 with ERR_CANCELLED or ERR_TIMEOUT. Cheap (a flag and a clock). */
int job_check(struct job *job, struct err *err);
/** From here on job_check and job_poll ignore cancel and timeout: for a run that saw its end coming and undoes. kind->undo
 * always runs like this. */
void job_shield(struct job *job);
/** poll(2) that also ends on cancel and timeout: returns poll's result (0 after ${timeout_ms}), or -1 with ${err}. */
int job_poll(struct job *job, struct pollfd *fds, nfds_t n, int64_t timeout_ms, struct err *err);

/* -- asking for jobs -- */
struct job_request {
	const char *kind;
	const cJSON *args;   /* object, copied; NULL: {} */
	const char *owner;   /* "tg:123", "cli:root", "gw:<client>" */
	const char *origin;  /* unique: the same origin is enqueued once; NULL: no such rule */
	const char *session; /* name it concerns, for listing; NULL */
	int64_t timeout_ms;  /* 0: the kind's */
};

/* Enqueue and cancel join an open transaction of the caller's, who then rings after the commit (state_ring). */

/** Enqueue and ring. Returns 0 and ${*id}; ${*fresh} (may be NULL) is false when the origin was known and ${*id} is that job's. */
int jobs_enqueue(struct state *st, const struct job_request *req, int64_t *id, bool *fresh, struct err *err);

/** Ask for the end of job ${id}: queued jobs end at once, running ones are told. ERR_NOT_FOUND, ERR_STATE when it is over. */
int jobs_cancel(struct state *st, int64_t id, const char *by, struct err *err);

struct job_row {
	int64_t id;
	char *kind, *owner, *session, *error; /* session, error may be NULL */
	char *stage, *message;                /* of the newest progress, NULL before the first */
	int percent;
	cJSON *args, *result; /* result NULL until done */
	enum job_state state;
	enum err_code error_code;
	int attempt;
	int64_t created_at, started_at, finished_at; /* 0: not yet */
	bool cancel_requested;
};
/** ERR_NOT_FOUND when there is none. Free the content with job_row_free. */
int jobs_get(struct state *st, int64_t id, struct job_row *row, struct err *err);
void job_row_free(struct job_row *row);
/** {id, kind, owner, session, state, error, attempt, created_at, started_at, finished_at, result}; result is duplicated, args are
 * left out. */
cJSON *job_row_json(const struct job_row *row);

/** Newest first, at most ${limit}; ${owner} and ${state} (-1: all) filter. Returns a JSON array of
 * {id, kind, owner, session, state, percent, stage, message, error, attempt, created_at, started_at, finished_at}. */
cJSON *jobs_list(struct state *st, const char *owner, int state, int limit, struct err *err);

struct job_event {
	int64_t id; /* grows over all jobs */
	int64_t job;
	int64_t at;        /* ms */
	const char *type;  /* "progress", "log", "state" */
	const char *stage; /* progress: stage; state: the state's name */
	int percent;       /* progress only, else -1 */
	const char *text;
};
/** Call ${fn} for each event of ${job} (0: all jobs) after event ${after}, oldest first, at most ${limit}. Returns 0
 * or -1. */
int jobs_events(struct state *st, int64_t job, int64_t after, int limit,
                void (*fn)(void *arg, const struct job_event *event), void *arg, struct err *err);

/** The same for job ${id} until it is over, whoever runs it. Returns 0, or -1: ERR_NOT_FOUND, ERR_STATE when it is queued and no worker runs that
 * would take it. Blocks. */
int jobs_follow(struct state *st, int64_t id, void (*fn)(void *arg, const struct job_event *event), void *arg,
                struct err *err);

/* -- running them -- */

/** Run job ${id} in this process (a child of the worker): `codefoundry job exec ID`. Returns 0 when the job ended,
 * however; -1 when it could not be run (taken by another, unknown kind). */
int jobs_exec(struct state *st, const struct job_kind *const *kinds, int64_t id, struct err *err);

/**
 * Enqueue and run in the foreground, in this process: what the CLI does. Events are given to ${fn} as they come
 * (may be NULL). SIGINT, SIGTERM and SIGHUP cancel. Returns 0 when the job was done, with its ${*result} (transferred, may
 * be NULL pointer), or -1 with the job's error.
 */
int jobs_run(struct state *st, const struct job_kind *const *kinds, const struct job_request *req,
             void (*fn)(void *arg, const struct job_event *event), void *arg, cJSON **result,
             struct err *err);

/**
 * Run again in the foreground, as jobs_run does, what job ${id} was asked to do, for the same owner: a new job. ERR_NOT_FOUND; ERR_STATE
 * unless it failed or was cancelled.
 */
int jobs_retry(struct state *st, const struct job_kind *const *kinds, int64_t id,
               void (*fn)(void *arg, const struct job_event *event), void *arg, cJSON **result,
               struct err *err);

/**
 * Settle the jobs whose process died, at once and blocking: requeue, or undo and fail when attempts are used up. For whoever
 * runs jobs without a worker; the worker does the same by itself, and like it this forgets jobs that ended two weeks ago. Returns the
 * number settled, or -1.
 */
int jobs_recover(struct state *st, const struct job_kind *const *kinds, struct err *err);

#endif
