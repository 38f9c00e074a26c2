/* What a scenario's process asks of the one that started it, which holds the database and knows the session's engine: a
 * service operation, a file of the stack. One question at a time, over their socket pair; questions are JSON lines, so that they can stand
 * among other lines. */
#ifndef TESTSUITE_ERRAND_H
#define TESTSUITE_ERRAND_H

#include "core/json.h"
#include "testsuite/target.h"

/** In the scenario's process: have ${target} ask over ${*fd}, which is borrowed for the process's life. */
void errand_through(struct target *target, int *fd);

/** In the other: do what ${question} (one line read from ${fd}) asks of ${target} and answer. Blocks until it is done and taken. -1 when
 * the asking process cannot be answered any more. */
int errand_serve(struct target *target, int fd, const cJSON *question);

/** Send ${line} as one JSON line. 0, or -1 when the other side is gone. */
int errand_line(int fd, const cJSON *line);

#endif
