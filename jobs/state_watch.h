/* A process that lives long keeps its database open, and would go on with that file when somebody removes it, restores a backup or moves
 * the state directory: it would miss all that others do, and what it writes would be lost. So it ends, to be started again with
 * what is there then. */
#ifndef JOBS_STATE_WATCH_H
#define JOBS_STATE_WATCH_H

#include "core/loop.h"
#include "jobs/state.h"

/* How often it is looked. Tests make it short. */
extern int64_t state_watch_ms;

/** From now on ${loop} is stopped once the database of ${st} is another than the one that is open. Both are borrowed. */
struct state_watch *state_watch_new(struct state *st, struct loop *loop);

/** After the loop has ended, before it is closed: frees ${watch} (NULL is fine). Returns 0, or -1 with ERR_STATE when that was why. */
int state_watch_end(struct state_watch *watch, struct err *err);

#endif
