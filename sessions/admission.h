/* Whether there is room for one more session. Asked within the transaction that makes its row, so that of two starts at once
 * not both get the last place. A refusal says who holds what. */
#ifndef SESSIONS_ADMISSION_H
#define SESSIONS_ADMISSION_H

#include "sessions/store.h"

/** 0 when SESSION_MAX_COUNT and SESSION_MAX_PER_USER leave ${owner} one more session, else -1: ERR_QUOTA naming those that are
 * alive. Also asked before, without a transaction, to spare a start that is refused anyway its plan. */
int admission_quota(struct state *st, const char *owner, struct err *err);

#endif
