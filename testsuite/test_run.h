/* The job kind that runs scenarios: finds them, finds or makes the session, checks the preconditions, plays, records, and removes the
 * session that it made, whatever happened. */
#ifndef TESTSUITE_TEST_RUN_H
#define TESTSUITE_TEST_RUN_H

#include "core/config.h"
#include "jobs/job.h"

extern const struct setting test_settings[];

/*
 * test.run: {session?: name, scenarios?: [name or "all"], files?: [path], retry?, repeat?, parallel?, timeout_s?, label?} →
 *   {run_id, total, passed, failed, skipped, flaky, pass_rate, duration_ms, session?, label?, at, residue?: why the session made
 *    for the run is not gone,
 *    scenarios: [{name, title, file, status, attempts, round?, duration_ms, message?}]}
 * status: passed, failed, flaky (passed on a retry; counts as passed) or skipped. Failed scenarios do not fail the job; a target that
 * cannot be tested does (ERR_STATE, with advice). Without `session` an ephemeral test-<unix time> is made and removed.
 * An entry of `files` may be a directory: all its *.yml. `files` are taken only from owners on the command line ("cli:…"): their steps may run programs.
 */
extern const struct job_kind test_run_kind;

#endif
