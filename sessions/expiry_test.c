/* When sessions end, who is spared, and what a clock that jumps does to them. The wall clock of this process is moved. */
#include "sessions/clock_watch.h"
#include "sessions/expiry.h"
#include "sessions/lease_file.h"
#include "sessions/test_expiry.h"

static int64_t held(struct test_state *t)
{
	int64_t until = -1;
	assert_ok(clock_watch_look(t->st, &until, err));
	return until;
}

/* Names that a reap would remove now. */
static void assert_reaps(struct test_state *t, int n)
{
	cleanup_json cJSON *dry = run(t, "session.reap", "{\"dry_run\":true}");
	assert_int_equal(cJSON_GetArraySize(json_at(dry, "removed")), n);
}

static int due(struct test_state *t, struct session_row *row, int64_t now, const char **reason)
{
	int rc = expiry_due(t->st, row, now, 0, reason, &(struct err){0});
	assert_true(rc >= 0);
	return rc;
}

static void which_end_is_next(void **data)
{
	static const struct {
		int64_t created, used, expires, hard, lead_min;
		bool pinned;
		const char *next;
	} cases[] = {
	        {0, 0, 60 * MIN, 24 * HOUR, 10, false, "idle"},
	        {0, 0, 24 * HOUR, 24 * HOUR, 10, false, "age"},
	        {0, 0, 60 * MIN, 24 * HOUR, 10, true, "pinned"},
	        /* at most half of what it was given: from the start, from its last use, from its extension */
	        {0, 0, 8 * MIN, 24 * HOUR, 4, false, "idle"},
	        {0, 5 * HOUR, 5 * HOUR + 6 * MIN, 24 * HOUR, 3, false, "idle"},
	        {0, 0, 8 * MIN, 8 * MIN, 4, false, "age"},
	        /* its greatest age is told in time, however lately it was used */
	        {0, 24 * HOUR - 1 * MIN, 24 * HOUR, 24 * HOUR, 10, false, "age"},
	        {0, 5 * MIN, 4 * MIN, 24 * HOUR, 0, false, "idle"},
	};
	struct test_state *t = *data;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct session_row row = {.created_at = cases[i].created,
		                          .used_at = cases[i].used,
		                          .expires_at = cases[i].expires,
		                          .hard_expires_at = cases[i].hard,
		                          .pinned = cases[i].pinned};
		assert_string_equal(expiry_next(&row), cases[i].next);
		assert_int_equal(expiry_lead_ms(t->st, &row), cases[i].lead_min * MIN);
	}
	struct session_row row = {.expires_at = HOUR, .hard_expires_at = 24 * HOUR};
	test_sessions_set(t, "SESSION_WARN_MINUTES", "0");
	assert_int_equal(expiry_lead_ms(t->st, &row), 0);
}

static void what_is_used_lives_on(void **data)
{
	struct test_state *t = *data;
	int64_t now = clock_now_ms();
	const char *reason = NULL;
	add_session(t, "demo", now - 2 * HOUR, HOUR, 2 * HOUR + 30 * MIN);
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET state = 'running'", ""));
	cleanup_row struct session_row row = {0};
	assert_ok(store_by_name(t->st, "demo", &row, err));
	assert_int_equal(due(t, &row, now, &reason), 1);
	assert_string_equal(reason, "idle");
	assert_int_equal(due(t, &row, now - HOUR - 1, &reason), 0);
	/* somebody chats in it: its databases change */
	cleanup_free char *dir = mem_printf("%s/state", row.dir), *db = mem_printf("%s/telegram.db", dir);
	assert_ok(dir_make(dir, 0700, err));
	assert_ok(file_write(db, "x", 1, 0600, err));
	assert_int_equal(due(t, &row, now, &reason), 0);
	assert_int_equal(row.expires_at, now + 30 * MIN); /* its greatest age */
	cleanup_json cJSON *file = NULL;
	assert_ok(lease_file_read(t->st, "demo", &file, err));
	assert_int_equal(json_int(file, "session.expires_at", 0), row.expires_at);
	assert_int_equal(due(t, &row, now + HOUR + 1, &reason), 1);
	assert_string_equal(reason, "expired");
	/* done "in the future": the clock went back since */
	row.expires_at = now - HOUR;
	row.hard_expires_at = now + 24 * HOUR;
	assert_int_equal(due(t, &row, now - 30 * MIN, &reason), 0);
	assert_int_equal(row.expires_at, now + 30 * MIN);
}

static void a_pin_keeps_it(void **data)
{
	struct test_state *t = *data;
	int64_t now = clock_now_ms();
	add_session(t, "old", now - 30 * HOUR, HOUR, 24 * HOUR);
	add_session(t, "idle", now - 2 * HOUR, HOUR, 24 * HOUR);
	assert_reaps(t, 2);
	does(t, "session.pin", "{\"name\":\"old\"}");
	does(t, "session.pin", "{\"name\":\"old\"}");
	does(t, "session.pin", "{\"name\":\"idle\"}");
	assert_reaps(t, 0);
	refused(t, "session.extend", "{\"name\":\"old\",\"minutes\":5}", ERR_STATE, "is pinned");
	refused(t, "session.pin", "{\"name\":\"nosuch\"}", ERR_NOT_FOUND, "no session nosuch");
	/* both are given time again, and none is taken away */
	cleanup_json cJSON *old = run(t, "session.unpin", "{\"name\":\"old\"}"),
	                   *idle = run(t, "session.unpin", "{\"name\":\"idle\"}");
	assert_false(json_bool(old, "pinned", true));
	assert_in_range(json_int(old, "expires_at", 0), now + 10 * MIN, now + 11 * MIN);
	assert_in_range(json_int(idle, "expires_at", 0), now + HOUR, now + HOUR + MIN);
	assert_reaps(t, 0);
	clock_ahead_ms = 2 * MIN;
	cleanup_json cJSON *again = run(t, "session.unpin", "{\"name\":\"idle\"}");
	assert_int_equal(json_int(again, "expires_at", 0), json_int(idle, "expires_at", 1));
}

static void a_button_means_that_session_only(void **data)
{
	static const char *const other = "{\"name\":\"demo\",\"minutes\":5,"
	                                 "\"uuid\":\"00000000-0000-4000-8000-000000000000\"}";
	struct test_state *t = *data;
	add_session(t, "demo", clock_now_ms(), HOUR, 24 * HOUR);
	refused(t, "session.extend", other, ERR_NOT_FOUND, "another one is called so now");
	refused(t, "session.stop", other, ERR_NOT_FOUND, "another one is called so now");
	cleanup_free char *uuid = NULL, *args = NULL;
	assert_ok(db_get_text(t->st->db, &uuid, err, "SELECT uuid FROM sessions", ""));
	args = mem_printf("{\"name\":\"demo\",\"minutes\":5,\"uuid\":\"%s\"}", uuid);
	does(t, "session.extend", args);
	does(t, "session.stop", args);
	assert_nothing_left(t);
}

static void a_jump_forward_kills_nothing_at_once(void **data)
{
	struct test_state *t = *data;
	add_session(t, "demo", clock_now_ms(), HOUR, 24 * HOUR);
	assert_int_equal(held(t), 0);
	clock_ahead_ms = 2 * MIN; /* a time server may do that */
	assert_int_equal(held(t), 0);
	clock_ahead_ms = 50 * HOUR + 30 * MIN;
	int64_t now = clock_now_ms();
	cleanup_json cJSON *r = run(t, "session.reap", "{}");
	assert_int_equal(cJSON_GetArraySize(json_at(r, "removed")), 0);
	assert_in_range(json_int(r, "held.until", 0), now + 10 * MIN, now + 11 * MIN);
	assert_non_null(strstr(json_text(r, "held.why"), "the clock went forward by 2 d 2 h"));
	/* it is noted once: a later look does not put it off again */
	int64_t until = json_int(r, "held.until", 0);
	clock_ahead_ms += MIN;
	assert_int_equal(held(t), until);
	assert_reaps(t, 0);
	clock_ahead_ms += MIN; /* still no jump */
	assert_int_equal(held(t), until);
	/* what passes meanwhile passes on both clocks */
	assert_ok(db_run(t->st->db, err, "UPDATE clock SET boot_ms = boot_ms - 600000", ""));
	clock_ahead_ms += 9 * MIN;
	assert_int_equal(held(t), 0);
	cleanup_json cJSON *end = run(t, "session.reap", "{}");
	assert_string_equal(json_text(only_removed(end), "reason"), "expired");
	assert_null(json_at(end, "held"));
	assert_nothing_left(t);
}

static void a_jump_that_is_taken_back_is_forgotten(void **data)
{
	struct test_state *t = *data;
	add_session(t, "demo", clock_now_ms() - 2 * HOUR, HOUR, 24 * HOUR);
	assert_int_equal(held(t), 0);
	clock_ahead_ms = 5 * HOUR;
	assert_int_not_equal(held(t), 0);
	clock_ahead_ms = 0;
	assert_int_equal(held(t), 0);
	assert_reaps(t, 1);
}

/* After a boot nobody knows how long the machine was off. */
static void a_machine_that_was_off(void **data)
{
	struct test_state *t = *data;
	add_session(t, "demo", clock_now_ms() - clock_boot_ms() - 2 * HOUR, HOUR, 24 * HOUR);
	assert_int_equal(held(t), 0);
	assert_ok(db_run(t->st->db, err,
	                 "UPDATE clock SET boot = 'another', wall_ms = wall_ms - ?1, boot_ms = 99", "i",
	                 clock_boot_ms() + 7 * HOUR + MIN / 2));
	cleanup_json cJSON *r = run(t, "session.reap", "{}");
	assert_non_null(
	        strstr(json_text(r, "held.why"), "the machine was off for 7 h, or its clock went forward"));
	assert_reaps(t, 0);
	/* what was made since is not concerned */
	assert_ok(db_run(t->st->db, err, "UPDATE clock SET boot = 'another', held_until = 0, wall_ms = ?1",
	                 "i", clock_now_ms() - clock_boot_ms() - 7 * HOUR));
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET created_at = ?", "i", clock_now_ms() - 1000));
	assert_int_equal(held(t), 0);
	assert_reaps(t, 1);
	/* a restart that took no time holds nothing back */
	assert_ok(db_run(t->st->db, err, "UPDATE clock SET boot = 'another', held_until = 0, wall_ms = ?1",
	                 "i", clock_now_ms() - MIN));
	assert_reaps(t, 1);
}

static void a_jump_backward_makes_nothing_immortal(void **data)
{
	struct test_state *t = *data;
	clock_ahead_ms = 1000 * HOUR;
	assert_int_equal(held(t), 0);
	add_session(t, "demo", clock_now_ms(), HOUR, 24 * HOUR);
	add_session(t, "older", clock_now_ms() - 1001 * HOUR, HOUR, 5000 * HOUR);
	clock_ahead_ms = 0;
	int64_t now = clock_now_ms();
	assert_int_equal(held(t), 0);
	cleanup_row struct session_row demo = {0}, older = {0};
	assert_ok(store_by_name(t->st, "demo", &demo, err));
	assert_ok(store_by_name(t->st, "older", &older, err));
	assert_in_range(demo.created_at, now, now + MIN);
	assert_int_equal(demo.hard_expires_at - demo.created_at, 24 * HOUR);
	assert_in_range(demo.expires_at, now + HOUR, now + HOUR + MIN);
	assert_in_range(demo.used_at, now, now + MIN);
	/* made before now: its age was right */
	assert_int_equal(older.hard_expires_at - older.created_at, 5000 * HOUR);
	assert_true(older.created_at < now - HOUR / 2);
	/* also when nobody had looked before */
	assert_ok(db_run(t->st->db, err, "DELETE FROM clock", ""));
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET created_at = created_at + 360000000", ""));
	assert_int_equal(held(t), 0);
	assert_int_equal(
	        count(t, "SELECT count(*) FROM sessions WHERE created_at > 1000 * unixepoch() + 1000"), 0);
}

/* A session is in use as long as its own stack writes to its database, so a worker that has nothing to do must not. */
static void without_sessions_nothing_is_written(void **data)
{
	struct test_state *t = *data;
	assert_int_equal(held(t), 0);
	does(t, "session.reap", "{}");
	assert_int_equal(count(t, "SELECT count(*) FROM clock"), 0);
	add_session(t, "demo", clock_now_ms(), HOUR, 24 * HOUR);
	assert_int_equal(held(t), 0);
	assert_int_equal(count(t, "SELECT count(*) FROM clock"), 1);
	does(t, "session.stop", "{\"name\":\"demo\"}");
	clock_ahead_ms = HOUR;
	assert_int_equal(held(t), 0);
	assert_true(count(t, "SELECT wall_ms FROM clock") < clock_now_ms() - HOUR / 2);
}

static void nothing_is_held_twice(void **data)
{
	struct test_state *t = *data;
	add_session(t, "demo", clock_now_ms(), HOUR, 24 * HOUR);
	assert_int_equal(held(t), 0);
	clock_ahead_ms = HOUR;
	int64_t until = held(t);
	assert_true(until > clock_now_ms());
	test_sessions_set(t, "SESSION_WARN_MINUTES", "0");
	assert_int_equal(clock_watch_grace_ms(t->st), 10 * MIN);
	assert_int_equal(held(t), until);
	assert_int_equal(count(t, "SELECT count(*) FROM clock"), 1);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return again_main(argc, argv);
	const struct CMUnitTest tests[] = {
	        C(which_end_is_next),
	        C(what_is_used_lives_on),
	        C(a_pin_keeps_it),
	        C(a_button_means_that_session_only),
	        C(a_jump_forward_kills_nothing_at_once),
	        C(a_jump_that_is_taken_back_is_forgotten),
	        C(a_machine_that_was_off),
	        C(a_jump_backward_makes_nothing_immortal),
	        C(without_sessions_nothing_is_written),
	        C(nothing_is_held_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
