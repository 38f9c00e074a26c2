/* What must hold before scenarios make sense: services there, token accepted, bot polling, gateway healthy. Each failure comes with
 * what to do about it. */
#ifndef TESTSUITE_PREFLIGHT_H
#define TESTSUITE_PREFLIGHT_H

#include "jobs/job.h"
#include "testsuite/target.h"

/** Check ${target}, telling ${job} of each condition that holds. Returns 0, or -1 (ERR_STATE) with every failed one and its advice on
 * a line. Blocks for at most a few seconds (a bot that just started may not poll yet). */
int preflight_check(struct job *job, struct target *target, struct err *err);

#endif
