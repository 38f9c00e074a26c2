/* Test runs in the database: a row per run from its beginning, a row per scenario when it is over. */
#ifndef TESTSUITE_HISTORY_H
#define TESTSUITE_HISTORY_H

#include "core/json.h"
#include "core/str.h"
#include "jobs/state.h"

/** Begin a run of job ${job} (0: none) for ${owner}. Returns 0 and ${*run}. */
int history_begin(struct state *st, int64_t job, const char *owner, const char *session, const char *label,
                  int64_t *run, struct err *err);
/** Note one scenario's result, as suite_fn gets it. */
int history_add(struct state *st, int64_t run, const cJSON *result, struct err *err);
/** End it with the counts of ${summary} {total, passed, failed, skipped, flaky, duration_ms}; NULL: it was broken off. */
int history_end(struct state *st, int64_t run, const cJSON *summary, struct err *err);

/** Session of a run of ${job} that was begun and not ended (transferred, NULL: none), and the run. */
int history_open_run(struct state *st, int64_t job, int64_t *run, char **session, struct err *err);

/** The newest ${limit} runs that ended, newest first: [{run_id, started_at, finished_at, owner, session, label, commit, total,
 * passed, failed, skipped, flaky, pass_rate, duration_ms, failures: [name]}]. NULL with ${err}. */
cJSON *history_list(struct state *st, int limit, struct err *err);

/** The newest of them in ${*run} (transferred); NULL when there is none yet. */
int history_last(struct state *st, cJSON **run, struct err *err);

/** Append the pass rates of at most ${max} rows of a history_list as a row of bars, oldest first. */
void history_trend(const cJSON *rows, int max, struct str *out);

/** Percent of ${passed} (flaky ones included) among those that were run, rounded down: 8 of 9 is 88. */
int history_pass_rate(int64_t total, int64_t skipped, int64_t passed);

#endif
