/* Intents: every side effect of an operation has a row that is written before it happens and closed after it did, so
 * that a crash at any instant leaves a note of what may be there. */
#ifndef SESSIONS_STEP_H
#define SESSIONS_STEP_H

#include "jobs/state.h"
#include "sessions/store.h"

/** Note that ${operation} ("start") is about to do ${step} ("spawn") to ${object} (may be NULL). Returns 0 and ${*id}. */
int step_begin(struct state *st, const struct session_row *row, int64_t job, const char *operation,
               const char *step, const char *object, int64_t *id, struct err *err);
/** It was done. */
int step_done(struct state *st, int64_t id, const char *step, struct err *err);

/* Called at both ends of each step when not NULL: how tests kill an operation at every one of them. */
extern void (*step_hook)(const char *step, bool done);

#endif
