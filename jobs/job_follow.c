/* Following a job that somebody else runs, to its end. */
#include "core/bell.h"
#include "core/clock.h"
#include "jobs/job_private.h"
#include "jobs/worker.h"

#define AT_ONCE 200
#define SLOW_LOOK_MS 1000 /* should a ring of the bell be lost */

struct following {
	void (*fn)(void *arg, const struct job_event *event);
	void *arg;
	int64_t seen;
};

static void pass_on(void *arg, const struct job_event *event)
{
	struct following *f = arg;
	f->seen = event->id;
	f->fn(f->arg, event);
}

static int all_events(struct state *st, int64_t id, struct following *f, struct err *err)
{
	int64_t before;
	do {
		before = f->seen;
		if (jobs_events(st, id, f->seen, AT_ONCE, pass_on, f, err))
			return -1;
	} while (f->seen != before);
	return 0;
}

/* Whether somebody is there who will run it. */
static int expect_end(struct state *st, const struct job_row *row, struct err *err)
{
	if (row->state != JOB_QUEUED || worker_alive(st))
		return 0;
	int64_t terminal = 0;
	if (db_get_int(st->db, &terminal, err, "SELECT not_before = ? FROM jobs WHERE id = ?", "ii",
	               JOB_FOREGROUND, row->id))
		return -1;
	return terminal ? 0
	                : err_set(err, ERR_STATE,
	                          "job %lld waits for a worker, and none runs: `codefoundry up` starts one",
	                          (long long)row->id);
}

int jobs_follow(struct state *st, int64_t id, void (*fn)(void *arg, const struct job_event *event), void *arg,
                struct err *err)
{
	struct following f = {.fn = fn, .arg = arg};
	struct bell *bell = NULL;
	bool over = false;
	int rc = bell_open(&bell, st->dir, err);
	while (!rc && !over) {
		struct job_row row = {0};
		rc = jobs_get(st, id, &row, err);
		over = rc == 0 &&
		       job_state_final(row.state); /* before its events are read: then all are there */
		if (!rc)
			rc = all_events(st, id, &f, err) || (!over && expect_end(st, &row, err)) ? -1 : 0;
		job_row_free(&row);
		if (!rc && !over) {
			bell_wait(bell, SLOW_LOOK_MS);
			bell_drain(bell);
		}
	}
	bell_close(bell);
	return rc;
}
