/* Between the files of adopt. */
#ifndef SESSIONS_ADOPT_PRIVATE_H
#define SESSIONS_ADOPT_PRIVATE_H

#include "sessions/adopt.h"

/**
 * Within a transaction: let every other session that has the name or a lease of the one in ${file} give way, or change ${file} so that this one
 * does: another name, or fewer leases and the state `stopping`. Then its generation is moved on. What was done is appended to ${said}.
 */
int adopt_make_room(struct state *st, cJSON *file, struct str *said, struct err *err);

#endif
