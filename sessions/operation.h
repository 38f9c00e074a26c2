/* What the operations on sessions share: finding the row, taking a session down, bringing one up, and taking up what an
 * attempt that was killed left. All of it needs the guard of the session's name. */
#ifndef SESSIONS_OPERATION_H
#define SESSIONS_OPERATION_H

#include "jobs/job.h"
#include "sessions/engine.h"
#include "sessions/guard.h"

/* Why a session is taken down; recorded in the row and the receipt. */
#define REASON_STOPPED "stopped"
#define REASON_KEPT "kept"
#define REASON_FAILED "failed"
#define REASON_CANCELLED "cancelled"
#define REASON_INTERRUPTED "interrupted"
#define REASON_EXPIRED "expired"
#define REASON_IDLE "idle"
#define REASON_CRASHED "crashed"

#define OPERATION_GUARD_MS 60000

/** The alive session called ${name}; ERR_NOT_FOUND tells of a removal or a failure that is remembered. */
int operation_find(struct state *st, const char *name, struct session_row *row, struct err *err);

/** 0 when ${args} names no "uuid" or that of ${row}: a button is pressed later than it was made. Else -1 with ERR_NOT_FOUND. */
int operation_meant(const struct session_row *row, const cJSON *args, struct err *err);

/** Find the row ${job} works on and take its guard, waiting for it. Returns 1 with both, 0 when there is none, or -1. */
int operation_own(struct job *job, int *guard, struct session_row *row, struct err *err);

/** 0, or -1 with ERR_NOT_FOUND when ${row} was made after ${job} was asked for: a job that an old database has still open means a session
 * of those days. */
int operation_of_now(struct job *job, const struct session_row *row, struct err *err);

/** Stop ${row} so that it can be resumed. What runs and could not be started again is left as it is: ERR_NOT_FOUND. */
int operation_keep(struct state *st, struct session_row *row, int64_t job, struct err *err);

/** 0 when ${row} is running, else -1 with ERR_STATE. */
int operation_running(const struct session_row *row, struct err *err);

/** 0 when  is one of 's, else -1 with ERR_NOT_FOUND naming those. */
int operation_has_service(const struct session_row *row, const char *service, struct err *err);

/** The service that a person means who names none: test-runner if there is one, else the first. Borrowed. */
const char *operation_usual_service(const struct session_row *row);

/** Whether ${job} may still change things: it is queued or runs. */
bool operation_job_open(struct state *st, int64_t job);

/** Whether ${row} was resumed from `stopped` by the start under way: undoing that start must keep it. */
bool operation_resumed(const struct session_row *row);

/**
 * Apply ${event} (FAIL, STOP, KEEP, EXPIRE, CRASH) with ${reason}, then operation_finish. ${error} (may be NULL) is kept
 * for people.
 */
int operation_down(struct state *st, struct session_row *row, enum session_event event, const char *reason,
                   const char *error, int64_t job, cJSON **receipt, struct err *err);

/** Finish taking down ${row}, which is `stopping`, as its reason says: to `stopped`, `failed` or nothing. ${*receipt}
 * (may be NULL) is transferred, NULL when it was kept. */
int operation_finish(struct state *st, struct session_row *row, int64_t job, cJSON **receipt,
                     struct err *err);

/**
 * Bring up ${row}, which is `creating` or `stopped`, and report. On failure it is taken down again (a resumed one to
 * `stopped`) and ${err} says why. On success the job's result is set.
 */
int operation_up(struct job *job, struct session_row *row, struct err *err);

/** Set the result of a start: {name, uuid, engine, ready_ms, expires_at, endpoints}. */
int operation_result(struct job *job, const struct session_row *row, int64_t ready_ms, struct err *err);

#endif
