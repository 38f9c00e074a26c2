/* Names of sessions; session_name_check stands in sessions/session.h. */
#ifndef SESSIONS_NAME_H
#define SESSIONS_NAME_H

#include "jobs/state.h"

#define NAME_MAX_LEN 30

/** The ${n}th suggestion (0: the first) for a session nobody named: <CONTAINER_PREFIX>-<unix time>[-n], with bot- before it when ${owner}
 * asked in a chat ("tg:…"). Returns 0 and transfers ${*name}, or -1 when the prefix makes no valid name. */
int name_generate(struct state *st, const char *owner, int64_t now_ms, int n, char **name, struct err *err);

#endif
