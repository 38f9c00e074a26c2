/* For tests of what ends by the clock: sessions that are rows only, and a wall clock that the test moves (clock_ahead_ms). */
#ifndef SESSIONS_TEST_EXPIRY_H
#define SESSIONS_TEST_EXPIRY_H

#include "core/clock.h"
#include "sessions/test_stack.h"

#define MIN INT64_C(60000)
#define HOUR (60 * MIN)

static inline int clock_setup(void **data)
{
	clock_ahead_ms = 0;
	return setup(data);
}

static inline int clock_teardown(void **data)
{
	clock_ahead_ms = 0;
	return teardown(data);
}

/* A session without services, kept: nothing but its age can end it. */
static inline void add_session(struct test_state *t, const char *name, int64_t created_at, int64_t idle_ms,
                               int64_t max_ms)
{
	cleanup_row struct session_row row = {.name = mem_strdup(name),
	                                      .owner = mem_strdup("tg:5"),
	                                      .engine = mem_strdup("process"),
	                                      .dir = state_path(t->st, "sessions/%s", name),
	                                      .spec = cJSON_Parse("{\"services\":[\"gateway\"]}"),
	                                      .created_at = created_at,
	                                      .used_at = created_at,
	                                      .idle_ms = idle_ms,
	                                      .hard_expires_at = created_at + max_ms,
	                                      .expires_at = created_at + (idle_ms ? idle_ms : max_ms)};
	id_uuid(row.uuid);
	assert_ok(dir_make(row.dir, 0700, err));
	assert_ok(store_insert(t->st, &row, err));
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET state = 'stopped', stopped_at = 1", ""));
}

#define C(name) cmocka_unit_test_setup_teardown(name, clock_setup, clock_teardown)

#endif
