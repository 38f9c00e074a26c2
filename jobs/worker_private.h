/* What the files of the worker share: worker.c decides, worker_child.c starts, watches and ends processes. */
#ifndef JOBS_WORKER_PRIVATE_H
#define JOBS_WORKER_PRIVATE_H

#include "core/loop.h"
#include "core/proc.h"
#include "jobs/job_private.h"
#include "jobs/worker.h"

#define WORKER_LAUNCHES_MAX 5

/* TERM to KILL, and how much later than the job itself the worker enforces a timeout. Tests shorten it. */
extern int64_t worker_grace_ms;
/* How often the worker looks though no bell rang. Tests make it long, to see that nothing depends on it. */
extern int64_t worker_slow_ms;

struct worker;

/* A process that runs a job: started by us, by a worker before us, or by a terminal. */
struct child {
	struct worker *w;
	struct child *next;
	int64_t job;
	struct proc_id proc;
	int pidfd, attempt;
	int64_t since; /* monotonic, that we watch it: the wall clock may jump */
	struct loop_watch *watch;
	struct loop_timer *kill_timer;
	bool own;      /* ours to reap */
	bool terminal; /* runs in somebody's terminal: takes no place, is signalled alone */
	bool told;
	enum { DUE_NOT, DUE_CANCELLED, DUE_LATE } due; /* to be ended, by its row */
};

struct worker {
	struct state *st;
	const struct job_kind *const *kinds;
	struct loop *loop;
	struct bell *bell;
	struct loop_watch *bell_watch;
	struct loop_timer *slow, *soon;
	struct child *children;
	int places;
	int64_t looked_at, prune_at; /* monotonic */
};

/* -- worker.c -- */
/** Look for work now, or in a moment when that was done just now. */
void worker_look_soon(struct worker *w);

/* -- worker_child.c -- */
struct child *child_find(struct worker *w, int64_t job);
/** Start the process of queued job ${job}, whose row says ${attempt} so far. */
int child_start(struct worker *w, int64_t job, int attempt, struct err *err);
/** Watch a process that we did not start. One that we cannot see (another container's) is left to the slow timer. */
void child_adopt(struct worker *w, int64_t job, struct proc_id proc, bool terminal);
/** TERM now, KILL after worker_grace_ms; once. */
void child_stop(struct child *child);
/** Forget it; the process goes on. */
void child_free(struct child *child);
/** Cut the output files of all children that grew too long. */
void child_bound_logs(struct worker *w);

#endif
