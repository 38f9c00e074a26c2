/* The promise: after recovery the machine holds exactly what belongs to the sessions that are listed. */
#ifndef TESTS_PROMISE_H
#define TESTS_PROMISE_H

#include "sessions/test_compose.h"

/** How many things are there that are no listed session's, or missing of one that is listed; each on a line of ${what}. */
int promise_leftovers(struct test_state *t, struct str *what);

/** The state of session demo ("" when there is none that is alive), to be freed. */
char *promise_state(struct test_state *t);

#endif
