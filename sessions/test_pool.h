/* Filling and draining the pool as a worker and its reaper do. */
#ifndef SESSIONS_TEST_POOL_H
#define SESSIONS_TEST_POOL_H

#include "sessions/pool.h"
#include "sessions/test_stack.h"

/* As the worker does: what the task asks for is run. */
static inline void refill(struct test_state *t)
{
	for (;;) {
		assert_ok(session_pool_task.look(t->st, err));
		int64_t id = count(t, "SELECT coalesce(min(id), 0) FROM jobs WHERE state = 'queued'");
		if (!id)
			return;
		assert_int_equal(wait_for(spawn_job(id, NULL)), 0);
		job_ended(t, id, JOB_DONE);
	}
}

static inline int64_t warm(struct test_state *t)
{
	return count(t, "SELECT count(*) FROM sessions WHERE pool <> '' AND state = 'running'");
}

static inline void pool_of(struct test_state *t, const char *size)
{
	setenv("SESSION_POOL", size, 1);
	test_sessions_set(t, "SESSION_POOL", size);
}

static inline void drain(struct test_state *t)
{
	pool_of(t, "0");
	does(t, "session.reap", "{}");
}

#endif
