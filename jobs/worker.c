/* The worker decides from the rows alone, again at every ring of the bell: what it remembers is only which processes it
 * watches, so a worker that is killed loses nothing. */
#include "jobs/worker.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"
#include "jobs/state_watch.h"
#include "jobs/worker_private.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define SOON_MS 20 /* between two looks: a job that reports fast rings often */
#define PRUNE_EVERY_MS 3600000
#define PRUNE_AT_ONCE 200

int64_t worker_slow_ms = 2000;

const struct setting worker_settings[] = {
        {.key = "WORKER_JOBS",
         .type = SETTING_INT,
         .def = "4",
         .min = 1,
         .max = 64,
         .group = "Jobs",
         .help = "How many jobs (session starts, test runs, …) the worker runs at the same time"},
        {.key = NULL},
};

bool worker_alive(const struct state *st)
{
	cleanup_free char *path = state_path(st, "worker.lock");
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0;
}

/* -- looking -- */

/* Running rows: adopt whose process is not watched, mark what was cancelled or takes too long. */
static int look_at_running(struct worker *w, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	int rc;
	/* started after it was cancelled: that attempt undoes, and is left alone */
	if (db_query(w->st->db, &q, err,
	             "SELECT id, pid, pid_start, not_before = ?, timeout_ms,"
	             " cancel_at IS NOT NULL AND started_at <= cancel_at FROM jobs WHERE " JOB_OPEN
	             " AND state = 'running'",
	             "i", JOB_FOREGROUND))
		return -1;
	while ((rc = query_next(&q, err)) == 1) {
		int64_t id = query_int(&q, 0), timeout_ms = query_int(&q, 4);
		struct proc_id proc = {.pid = (pid_t)query_int(&q, 1), .start = query_int(&q, 2)};
		if (!child_find(w, id))
			child_adopt(w, id, proc, query_int(&q, 3));
		struct child *child = child_find(w, id);
		if (!child)
			continue;
		bool late = timeout_ms > 0 && clock_mono_ms() - child->since > timeout_ms + worker_grace_ms;
		child->due = query_int(&q, 5) ? DUE_CANCELLED : late ? DUE_LATE : DUE_NOT;
	}
	return rc;
}

/* Written only after the list was read: a write within a read fails as soon as another process has written. */
static int end_due(struct worker *w, struct err *err)
{
	for (struct child *child = w->children; child; child = child->next) {
		if (child->due == DUE_NOT || child->told)
			continue;
		/* for who finds it killed: not to be tried again */
		if (child->due == DUE_LATE &&
		    db_run(w->st->db, err,
		           "UPDATE jobs SET error_code = 'timeout', error = 'took longer than its limit and "
		           "did not end'"
		           " WHERE id = ? AND state = 'running' AND error_code IS NULL",
		           "i", child->job))
			return -1;
		child_stop(child);
	}
	return 0;
}

/* The next queued job that may start: of one session one at a time, lower ids first. The + keeps SQLite on the index
 * of open jobs. */
static int next_job(struct worker *w, int64_t after, int64_t *id, int *attempt, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	if (db_query(w->st->db, &q, err,
	             "SELECT id, attempt FROM jobs j WHERE " JOB_OPEN
	             " AND state = 'queued' AND not_before <= ? AND id > ?"
	             " AND (session IS NULL OR NOT EXISTS (SELECT 1 FROM jobs o WHERE o.state IN "
	             "('queued','running')"
	             "  AND o.session = j.session AND o.id <> j.id AND (o.state = 'running' OR o.id < j.id)))"
	             " ORDER BY +id LIMIT 1",
	             "ii", clock_now_ms(), after))
		return -1;
	int rc = query_next(&q, err);
	if (rc == 1) {
		*id = query_int(&q, 0);
		*attempt = (int)query_int(&q, 1);
	}
	return rc;
}

static int start_queued(struct worker *w, struct err *err)
{
	int64_t id = 0;
	int rc, attempt = 0, used = 0;
	for (struct child *child = w->children; child; child = child->next)
		used += !child->terminal;
	while (used < w->places && (rc = next_job(w, id, &id, &attempt, err))) {
		if (rc < 0)
			return -1;
		if (child_find(w, id))
			continue; /* started, but it has not claimed its row yet */
		if (child_start(w, id, attempt, err))
			return -1;
		used++;
	}
	return 0;
}

static void look(struct worker *w)
{
	struct err err = {0};
	w->looked_at = clock_mono_ms();
	loop_timer_clear(w->soon);
	/* the order matters: what crashed is queued before the queue is read */
	if (job_settle(w->st, w->kinds, false, &err) < 0 || look_at_running(w, &err) || end_due(w, &err) ||
	    start_queued(w, &err))
		log_warn("looking for jobs: %s", err.msg);
}

static void look_now(void *arg)
{
	look(arg);
}

void worker_look_soon(struct worker *w)
{
	int64_t left = w->looked_at + SOON_MS - clock_mono_ms();
	if (left <= 0)
		look(w);
	else if (!loop_timer_active(w->soon))
		loop_timer_set(w->soon, left, 0);
}

static void rung(void *arg)
{
	struct worker *w = arg;
	bell_drain(w->bell);
	worker_look_soon(w);
}

static void slow_tick(void *arg)
{
	struct worker *w = arg;
	struct err err = {0};
	look(w);
	child_bound_logs(w);
	if (clock_mono_ms() < w->prune_at)
		return;
	int n = job_store_prune(w->st, clock_now_ms() - JOB_KEEP_MS, PRUNE_AT_ONCE, &err);
	if (n < 0)
		log_warn("pruning old jobs: %s", err.msg);
	w->prune_at = clock_mono_ms() + (n == PRUNE_AT_ONCE ? 0 : PRUNE_EVERY_MS);
}

/* -- periodic work -- */

struct tick {
	struct worker *w;
	const struct worker_task *task;
	struct loop_timer *timer;
};

static void task_due(void *arg)
{
	struct tick *t = arg;
	struct err err = {0};
	if (t->task->look(t->w->st, &err))
		log_warn("%s: %s", t->task->name, err.msg);
}

static struct tick *ticks_new(struct worker *w, const struct worker_task *const *tasks, size_t *n)
{
	for (*n = 0; tasks && tasks[*n];)
		++*n;
	struct tick *ticks = mem_alloc((*n + 1) * sizeof(*ticks));
	for (size_t i = 0; i < *n; i++) {
		ticks[i] = (struct tick){.w = w, .task = tasks[i]};
		ticks[i].timer = loop_timer_new(w->loop, task_due, &ticks[i]);
		loop_timer_set(ticks[i].timer, 0, tasks[i]->every_ms);
	}
	return ticks;
}

/* -- life -- */

static int take_lock(struct state *st, int *lock, struct err *err)
{
	cleanup_free char *path = state_path(st, "worker.lock");
	int rc = job_lock_patiently(path, lock, err);
	if (rc == 1)
		return err_set(err, ERR_BUSY,
		               "another worker runs on %s: end it first (codefoundry down), or choose "
		               "another STATE_DIR",
		               st->dir);
	return rc;
}

static void close_all(struct worker *w, struct tick *ticks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		loop_timer_free(ticks[i].timer);
	free(ticks);
	while (w->children)
		child_free(w->children);
	loop_watch_free(w->bell_watch);
	loop_timer_free(w->slow);
	loop_timer_free(w->soon);
	loop_close(w->loop);
	bell_close(w->bell);
}

int worker_main(struct state *st, const struct job_kind *const *kinds, const struct worker_task *const *tasks,
                struct err *err)
{
	struct worker w = {.st = st, .kinds = kinds, .places = (int)config_int(st->cfg, "WORKER_JOBS")};
	cleanup_close int lock = -1;
	size_t n = 0;
	cleanup_free char *dir = state_path(st, "jobs");
	if (take_lock(st, &lock, err) || dir_make(dir, 0700, err) || bell_open(&w.bell, st->dir, err))
		return -1;
	if (loop_open(&w.loop, err)) {
		bell_close(w.bell);
		return -1;
	}
	w.bell_watch = loop_watch_new(w.loop, bell_fd(w.bell), rung, &w);
	w.slow = loop_timer_new(w.loop, slow_tick, &w);
	w.soon = loop_timer_new(w.loop, look_now, &w);
	struct state_watch *watch = state_watch_new(st, w.loop);
	struct tick *ticks = ticks_new(&w, tasks, &n);
	job_lock_sweep(st);
	look(&w);
	loop_timer_set(w.slow, worker_slow_ms, worker_slow_ms);
	log_info("worker runs up to %d jobs at once", w.places);
	proc_ready();
	loop_run(w.loop);
	int rc = state_watch_end(watch, err);
	close_all(&w, ticks, n);
	return rc;
}
