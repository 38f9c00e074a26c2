/* Sessions end by the wall clock, and wall clocks jump: set by hand, by a time server after a start with an empty battery, after
 * a machine was frozen. Each look compares it with the time since boot, against what the last look of any process noted in the
 * database. A jump forward, or a machine that was off, holds expiry back for a while, in which owners are warned. After a jump
 * backward, what was made "in the future" is taken to be made now: nothing lives longer than its greatest age from here. */
#ifndef SESSIONS_CLOCK_WATCH_H
#define SESSIONS_CLOCK_WATCH_H

#include "jobs/state.h"

#define CLOCK_WATCH_JUMP_MS (3 * 60000) /* what counts as a jump */

/** How long expiry is held back after a jump, in ms: SESSION_WARN_MINUTES, ten minutes where nobody is warned. */
int64_t clock_watch_grace_ms(const struct state *st);

/** Compare the clocks, and note and log what is found. Returns 0 and until when expiry is held back in ${*held_until} (ms; 0: it
 * is not), or -1. In a transaction of its own, most often in none. */
int clock_watch_look(struct state *st, int64_t *held_until, struct err *err);

/** What holds expiry back, for people: "the clock went forward by 5 h". NULL when nothing does at ${now_ms}. The caller frees it. */
char *clock_watch_why(struct state *st, int64_t now_ms, int64_t *held_until);

#endif
