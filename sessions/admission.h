/* Whether there is room for one more session: places, memory, disk. Places and memory are asked for within the transaction that makes
 * its row and promises it what it is expected to use, so that of two starts at once not both get the last room. A refusal says
 * what is free, what is needed and why, and who holds what. */
#ifndef SESSIONS_ADMISSION_H
#define SESSIONS_ADMISSION_H

#include "sessions/store.h"

/** 0 when SESSION_MAX_COUNT and SESSION_MAX_PER_USER leave ${owner} one more session, else -1: ERR_QUOTA naming those that are
 * alive. Also asked before, without a transaction, to spare a start that is refused anyway its plan. */
int admission_quota(struct state *st, const char *owner, struct err *err);

/** 0 when SESSION_DISK_RESERVE_MB are free where ${path} is, or nothing is there yet; else -1: ERR_QUOTA. ${what}: "Docker's data". */
int admission_disk(struct state *st, const char *what, const char *path, struct err *err);

/** What is expected of a start. */
struct admission {
	char *stack; /* usage.h */
	int64_t need_bytes;
	int starts; /* that was learned from; 0: it is assumed */
};
#define cleanup_admission __attribute__((cleanup(admission_free)))
void admission_free(struct admission *a);

/** Before the transaction: see what ${row}, which is planned, will need, and what the sessions that run use now. */
int admission_ask(struct state *st, const struct session_row *row, struct admission *a, struct err *err);

/** Within it: 0 when there is memory for ${row}, else -1: ERR_QUOTA. SESSION_MEMORY_RESERVE_MB must be left when it and all that are
 * alive use what they were promised; for processes, the control groups that we stand in must leave as much. */
int admission_memory(struct state *st, const struct session_row *row, const struct admission *a,
                     struct err *err);

/** Within it, once ${row} is there: promise it ${a}. */
int admission_promise(struct state *st, const struct session_row *row, const struct admission *a,
                      struct err *err);

/** ${row} was kept and is to run again: promise it as a start, in a transaction of its own. */
int admission_resume(struct state *st, const struct session_row *row, struct err *err);

/** ${row} is stopped: it uses nothing, and is promised nothing. */
int admission_release(struct state *st, const struct session_row *row, struct err *err);

#endif
