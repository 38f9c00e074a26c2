/* Keeps a fixed set of services running: readiness by descriptor (s6 style), restart with backoff, prefixed log lines,
 * orderly end, and a control socket. `codefoundry up` and each session of the process engine are one of these.
 * Behaviour is a states × events table. The supervisor is a child subreaper: nothing of it escapes. */
#ifndef JOBS_SUPERVISOR_H
#define JOBS_SUPERVISOR_H

#include "core/err.h"
#include "core/json.h"
#include <stdbool.h>
#include <stdint.h>

struct supervisor_service {
	const char *name;
	const char *const *argv;
	const char *const *env; /* "K=V" for this one, NULL-terminated; may be NULL */
	bool no_ready;          /* counts as ready after running for 2 s (it knows no readiness descriptor) */
};

struct supervisor_options {
	const char *dir;        /* holds control.sock (0600) and log/<service>.log */
	bool echo;              /* also write prefixed lines to our stderr (`up` in the foreground) */
	bool clear_env;         /* services start from a minimal environment */
	const char *const *env; /* for all services */
	int64_t log_max_bytes;  /* a service's log is rotated once (.1) past it; 0: 8 MiB */
	int64_t stop_ms;        /* TERM to KILL; 0: 5 s */
	int64_t lost_ms;        /* look so often whether ${dir} is still where clients look; 0: never */
	bool keep_orphans; /* what the services leave running is not ours to end: jobs and sessions outlive `up` */
};

/**
 * Start the ${n} services, in order but without waiting between them, and run until a `shutdown` request, SIGTERM or
 * SIGINT; then stop them in reverse order, kill whatever else descends from us (unless keep_orphans), and return 0. When ${dir} was
 * removed or moved and lost_ms is set, the same is done, and -1 with ERR_STATE returned: nobody could end it otherwise. All is borrowed.
 */
int supervisor_run(const struct supervisor_service *services, size_t n,
                   const struct supervisor_options *options, struct err *err);

/*
 * Control: one JSON object per line on ${dir}/control.sock, answered by one line {"ok":true,…} or {"ok":false,"error":…}.
 *   {"op":"status"}                       → {"services":[{"name","state","pid","ready","restarts","exit","since"}]}
 *                                            state: starting ready backoff stopping stopped failed; since: ms epoch
 *   {"op":"wait"}                         → as status, once all are ready or one has failed (failed: ok=false, "service", "log":[last lines])
 *   {"op":"restart","service":S}          → once it is ready again
 *   {"op":"stop","service":S} / "start"   → once it is stopped / ready
 *   {"op":"kill","service":S,"signal":9}  → once that process is gone; it is then restarted as after any crash
 *   {"op":"shutdown"}                     → once all are gone, then the supervisor ends
 */

/** Send ${request} to the supervisor of ${dir} and wait for its answer. Returns 0 and transfers ${*reply} (may be
 * NULL pointer) when it said ok; -1: ERR_NOT_FOUND no supervisor there, ERR_TIMEOUT, or its error. Blocks. */
int supervisor_call(const char *dir, const cJSON *request, int64_t timeout_ms, cJSON **reply,
                    struct err *err);

/** The same for a request without more than an ${op} and a ${service} (NULL: none). */
int supervisor_ask(const char *dir, const char *op, const char *service, int64_t timeout_ms, cJSON **reply,
                   struct err *err);

/** Connect for use in a job_poll loop: ${request} is sent, the reply line comes on the returned descriptor. -1 with ${err}. */
int supervisor_connect(const char *dir, const cJSON *request, struct err *err);

/** The last ${n} lines of a service's log as a JSON array of strings (empty when there is none). */
cJSON *supervisor_log_tail(const char *dir, const char *service, int n);

#endif
