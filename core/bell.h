/* "Something changed in the database": whoever commits what others wait for rings; followers wake and read.
 * STATE_DIR/bell is a file that is touched; followers watch it with inotify. A lost ring is only a delay,
 * so every follower also has a slow timer of its own. */
#ifndef CORE_BELL_H
#define CORE_BELL_H

#include "core/err.h"
#include <stdint.h>

struct bell;

/** Wake every follower of ${state_dir}. Failure is not reported: the slow timers cover it. */
void bell_ring(const char *state_dir);

/** Follow. Returns 0 and transfers ${*bell}, or -1. */
int bell_open(struct bell **bell, const char *state_dir, struct err *err);
void bell_close(struct bell *bell);

/** Descriptor that becomes readable on a ring, for a loop; call bell_drain when it does. */
int bell_fd(const struct bell *bell);
void bell_drain(struct bell *bell);

/** Block until a ring, at most ${timeout_ms} (negative: none). Returns 1 rung, 0 timed out or interrupted by a signal. */
int bell_wait(struct bell *bell, int64_t timeout_ms);

#endif
