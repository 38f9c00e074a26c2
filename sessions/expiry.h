/* When a session's time is over: after SESSION_TIMEOUT without use, or at its greatest age, whichever comes first; never while an
 * admin has pinned it, and not while a jump of the clock holds expiry back (clock_watch.h). */
#ifndef SESSIONS_EXPIRY_H
#define SESSIONS_EXPIRY_H

#include "sessions/engine.h"

/** Which end is next: "idle" (not used, or the end of an extension), "age" (its greatest), "pinned" (none). */
const char *expiry_next(const struct session_row *row);

/** How long before the end its owner is warned, in ms: SESSION_WARN_MINUTES, at most half of the time it was given; 0: never. */
int64_t expiry_lead_ms(const struct state *st, const struct session_row *row);

/** Move the end of ${row} to what its own use has earned it by now: what is done in it is seen by the engine only. Returns 1 when
 * that is known (also when nothing moved), 0 when the engine does not tell now, -1 with ${err}. */
int expiry_refresh(struct state *st, struct session_row *row, int64_t now, struct err *err);

/** Whether ${row} is to be removed at ${now}: 1 with ${*reason} (REASON_EXPIRED or REASON_IDLE), 0, or -1. Moves its end as
 * expiry_refresh does. ${held_until}: what clock_watch_look said. */
int expiry_due(struct state *st, struct session_row *row, int64_t now, int64_t held_until,
               const char **reason, struct err *err);

#endif
