/* The worker: starts a child per queued job, adopts what still runs from a worker before it, cancels, enforces
 * timeouts, settles crashed jobs, and asks for periodic work (reaping). It does no work itself. */
#ifndef JOBS_WORKER_H
#define JOBS_WORKER_H

#include "jobs/job.h"

extern const struct setting worker_settings[];

/* Periodic work, registered from above. */
struct worker_task {
	const char *name;
	int64_t every_ms;
	/** Look (quickly, no side effects outside the database) and enqueue a job if something is due. */
	int (*look)(struct state *st, struct err *err);
};

/** Run until SIGTERM. At the end running children are left to finish; the next worker adopts them. ERR_BUSY when
 * another worker of this state directory runs (flock on worker.lock), ERR_STATE once its database is another (jobs/state_watch.h).
 * Metrics and health on METRICS_PORT belong to `up`. */
int worker_main(struct state *st, const struct job_kind *const *kinds, const struct worker_task *const *tasks,
                struct err *err);

/** Whether a worker runs now, for /status. */
bool worker_alive(const struct state *st);

#endif
