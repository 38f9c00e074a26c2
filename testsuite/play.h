/* Playing one scenario from its first step to its outcome, in the calling process. */
#ifndef TESTSUITE_PLAY_H
#define TESTSUITE_PLAY_H

#include "testsuite/scenario.h"
#include "testsuite/target.h"
#include <stdint.h>

struct play;

struct play_options {
	struct target *target; /* borrowed; NULL for a scenario that needs none */
	int slot;              /* which tester to be: differs among those that play at once */
	const char *dir;       /* for the play's files; made when needed, removed with play_sweep */
	int64_t timeout_ms;    /* for all steps together */
	int64_t step_ms;       /* a step's `within` unless it says otherwise */
};

/** Play. Returns {status: "passed"|"failed", duration_ms, message?}. Blocks for at most timeout_ms, give or take one step. */
cJSON *play_scenario(const struct scenario *sc, const struct play_options *options);

/** End every control plane that a `stack` step left in ${dir} (a play that was killed ends nothing), and remove the directory. */
void play_sweep(const char *dir);

/** Give the play a target (with ${own} it is transferred) and set the variables that come with it. For `stack`. */
void play_set_target(struct play *p, struct target *target, bool own);

#endif
