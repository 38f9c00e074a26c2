/* One operation at a time per session name. A byte of STATE_DIR/sessions.lock per name, locked with an open file
 * description lock: the kernel gives it back when the process dies, and no lock file is left behind. Odd rule: two names
 * may share a byte (it is a hash), which only makes one wait for the other. */
#ifndef SESSIONS_GUARD_H
#define SESSIONS_GUARD_H

#include "jobs/job.h"

#define GUARD_NONE (-1)

/** Take the guard of ${name} without waiting. Returns 0 and ${*guard}, 1 when another operation has it, or -1. */
int guard_take(struct state *st, const char *name, int *guard, struct err *err);

/** Whether an operation on ${name} goes on now. Takes nothing, so it disturbs nobody. */
bool guard_busy(struct state *st, const char *name);

/** Wait for it, at most ${timeout_ms}: ERR_BUSY when it is over, ERR_CANCELLED, ERR_TIMEOUT as the job says. */
int guard_wait(struct job *job, const char *name, int64_t timeout_ms, int *guard, struct err *err);

/** Give it back and ring. */
void guard_release(struct state *st, int *guard);

#endif
