/* Runs many scenarios: each attempt in a process of its own, several at once, those that disturb services alone. A scenario that
 * crashes or hangs is one failed scenario. */
#ifndef TESTSUITE_SUITE_H
#define TESTSUITE_SUITE_H

#include "jobs/job.h"
#include "testsuite/scenario.h"
#include "testsuite/target.h"

struct suite_options {
	struct target *target; /* borrowed; NULL when no scenario needs one */
	const char *dir;       /* exists; holds the plays' files */
	int parallel;          /* at least 1, at most STACK_TESTERS count */
	int retry;             /* further attempts after a failure */
	int repeat;            /* how often each is run; at least 1 */
	int64_t timeout_ms, step_ms;
};

/** Called in the order of completion with {name, title, file, status, attempts, round?, duration_ms, message?}; status is passed, failed,
 * flaky (passed on a retry) or skipped. */
typedef void suite_fn(void *arg, const cJSON *result, size_t done, size_t total);

/**
 * Run the ${n} scenarios. Returns 0 and transfers ${*results} (an array in the order of the list), or -1 when ${job} was cancelled or
 * timed out, with every play ended. Blocks.
 */
int suite_run(struct job *job, const struct scenario *const *scenarios, size_t n,
              const struct suite_options *options, suite_fn *fn, void *arg, cJSON **results, struct err *err);

#endif
