/* Names of sessions; session_name_check stands in sessions/session.h. */
#ifndef SESSIONS_NAME_H
#define SESSIONS_NAME_H

#include "jobs/state.h"

#define NAME_MAX_LEN 30

/** The ${n}th suggestion (0: the first) for a session nobody named: <CONTAINER_PREFIX>-<unix time>[-n], with bot- before it when ${owner}
 * asked in a chat ("tg:…"). Returns 0 and transfers ${*name}, or -1 when the prefix makes no valid name. */
int name_generate(struct state *st, const char *owner, int64_t now_ms, int n, char **name, struct err *err);

/**
 * Timers of two installations on one host ring in the same second, and containers are called after their session: who makes up ${name} first has it,
 * until he closes ${*fd} (-1: he cannot tell the others), which he may when its session is there. False: somebody has it.
 */
bool name_claim(struct state *st, const char *name, int *fd);

#endif
