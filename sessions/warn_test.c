/* Owners are told of the end of their sessions, once for each. The wall clock of this process is moved. */
#include "jobs/notice.h"
#include "sessions/clock_watch.h"
#include "sessions/lease_file.h"
#include "sessions/test_expiry.h"
#include "sessions/warn.h"

static void look(struct test_state *t)
{
	assert_ok(warn_look(t->st, err));
}

/* Look; there must be ${n} notices of ${kind} by then. */
static void told(struct test_state *t, const char *kind, int64_t n)
{
	int64_t found = -1;
	look(t);
	assert_ok(
	        db_get_int(t->st->db, &found, err, "SELECT count(*) FROM notices WHERE kind = ?", "t", kind));
	assert_int_equal(found, n);
}

static void newest(struct test_state *t, struct notice *n)
{
	int64_t id = 0;
	assert_ok(notice_newest(t->st, &id, err));
	assert_int_equal(notice_next(t->st, id - 1, n, &(struct err){0}), 1);
}

static void once_for_each_end(void **data)
{
	struct test_state *t = *data;
	int64_t now = clock_now_ms();
	add_session(t, "demo", now, HOUR, 24 * HOUR);
	told(t, NOTICE_EXPIRES, 0);
	clock_ahead_ms = 49 * MIN;
	told(t, NOTICE_EXPIRES, 0);
	clock_ahead_ms = 51 * MIN;
	/* on no other clock has time passed */
	assert_ok(db_run(t->st->db, err, "UPDATE clock SET boot_ms = boot_ms - 51 * 60000", ""));
	told(t, NOTICE_EXPIRES, 1);
	told(t, NOTICE_EXPIRES, 1);
	cleanup_notice struct notice n = {0};
	newest(t, &n);
	assert_string_equal(n.owner, "tg:5");
	assert_string_equal(n.session, "demo");
	assert_string_equal(json_text(n.payload, "ends"), "idle");
	assert_in_range(json_int(n.payload, "at", 0), now + HOUR, now + HOUR + MIN);
	assert_int_equal(json_int(n.payload, "at", 0), n.until);
	assert_int_equal(json_int(n.payload, "expires_at", 0), count(t, "SELECT expires_at FROM sessions"));
	assert_null(json_at(n.payload, "chat"));
	/* a new end is warned of again, and not at once */
	does(t, "session.extend", "{\"name\":\"demo\",\"minutes\":60}");
	told(t, NOTICE_EXPIRES, 1);
	clock_ahead_ms += 55 * MIN;
	assert_ok(db_run(t->st->db, err, "UPDATE clock SET boot_ms = boot_ms - 55 * 60000", ""));
	told(t, NOTICE_EXPIRES, 1);
	clock_ahead_ms += 5 * MIN;
	assert_ok(db_run(t->st->db, err, "UPDATE clock SET boot_ms = boot_ms - 5 * 60000", ""));
	told(t, NOTICE_EXPIRES, 2);
	/* a short extension as well */
	does(t, "session.extend", "{\"name\":\"demo\",\"minutes\":1}");
	told(t, NOTICE_EXPIRES, 2);
}

/* Its lease file tells of another end: the row is of an old database, and stays known as that. */
static void the_end_in_an_old_row(void **data)
{
	struct test_state *t = *data;
	add_session(t, "demo", clock_now_ms() - 55 * MIN, HOUR, 24 * HOUR);
	cleanup_free char *uuid = NULL;
	assert_ok(db_get_text(t->st->db, &uuid, err, "SELECT uuid FROM sessions", ""));
	lease_file_follow(t->st, uuid);
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET generation = generation - 1", ""));
	int64_t generation = count(t, "SELECT generation FROM sessions");
	told(t, NOTICE_EXPIRES, 0);
	assert_int_equal(count(t, "SELECT generation FROM sessions"), generation);
	does(t, "session.reap", "{}");
	told(t, NOTICE_EXPIRES, 1);
}

static void who_is_not_warned(void **data)
{
	static const struct {
		const char *set;
		int64_t told;
	} cases[] = {
	        {"pinned = 1", 0},        {"state = 'stopping'", 0}, {"state = 'failed'", 0},
	        {"pool = 'recipe'", 0},   {"expires_at = 1", 0}, /* it is removed in a moment */
	        {"state = 'stopped'", 1},
	};
	struct test_state *t = *data;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_ok(db_run(t->st->db, err, "DELETE FROM sessions", ""));
		assert_ok(db_run(t->st->db, err, "DELETE FROM notices", ""));
		add_session(t, "demo", clock_now_ms() - 55 * MIN, HOUR, 24 * HOUR);
		cleanup_free char *sql = mem_printf("UPDATE sessions SET %s", cases[i].set);
		assert_ok(db_run(t->st->db, err, sql, ""));
		told(t, NOTICE_EXPIRES, cases[i].told);
	}
	static const char *const off[][2] = {{"SESSION_WARN_MINUTES", "0"},
	                                     {"SESSION_AUTO_CLEANUP", "false"}};
	for (size_t i = 0; i < ARRAY_LEN(off); i++) {
		assert_ok(db_run(t->st->db, err, "UPDATE sessions SET warned_at = NULL", ""));
		test_sessions_set(t, off[i][0], off[i][1]);
		told(t, NOTICE_EXPIRES, 1);
		test_sessions_set(t, off[i][0], NULL);
	}
	told(t, NOTICE_EXPIRES, 2);
}

/* What is in use is not told that it will end. */
static void use_moves_the_end(void **data)
{
	struct test_state *t = *data;
	add_session(t, "demo", clock_now_ms() - 55 * MIN, HOUR, 24 * HOUR);
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET state = 'running'", ""));
	cleanup_free char *dir = state_path(t->st, "sessions/demo/state"),
	                  *db = state_path(t->st, "sessions/demo/state/telegram.db");
	assert_ok(dir_make(dir, 0700, err));
	assert_ok(file_write(db, "x", 1, 0600, err));
	told(t, NOTICE_EXPIRES, 0);
	assert_true(count(t, "SELECT expires_at FROM sessions") > clock_now_ms() + 59 * MIN);
	/* its greatest age comes all the same */
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET expires_at = ?1, hard_expires_at = ?1", "i",
	                 clock_now_ms() + 5 * MIN));
	told(t, NOTICE_EXPIRES, 1);
	cleanup_notice struct notice n = {0};
	newest(t, &n);
	assert_string_equal(json_text(n.payload, "ends"), "age");
}

static void a_jump_is_told_before_it_counts(void **data)
{
	struct test_state *t = *data;
	add_session(t, "demo", clock_now_ms(), HOUR, 24 * HOUR);
	told(t, NOTICE_EXPIRES, 0);
	clock_ahead_ms = 5 * HOUR;
	told(t, NOTICE_EXPIRES, 1);
	told(t, NOTICE_EXPIRES, 1);
	cleanup_notice struct notice n = {0};
	newest(t, &n);
	assert_in_range(json_int(n.payload, "at", 0), clock_now_ms() + 9 * MIN, clock_now_ms() + 10 * MIN);
	/* taken back: its true end is told when it comes */
	clock_ahead_ms = 0;
	told(t, NOTICE_EXPIRES, 1);
	clock_ahead_ms = 51 * MIN;
	assert_ok(db_run(t->st->db, err, "UPDATE clock SET boot_ms = boot_ms - 51 * 60000", ""));
	told(t, NOTICE_EXPIRES, 2);
}

/* The one that tells of the removal of ${session}; which of several is removed first is nowhere said. */
static void of_session(struct test_state *t, const char *session, struct notice *n)
{
	int64_t id = 0;
	assert_ok(db_get_int(t->st->db, &id, err, "SELECT id FROM notices WHERE kind = ? AND session = ?",
	                     "tt", NOTICE_REMOVED, session));
	assert_int_equal(notice_next(t->st, id - 1, n, &(struct err){0}), 1);
}

static void a_removal_is_told_with_its_receipt(void **data)
{
	struct test_state *t = *data;
	int64_t now = clock_now_ms();
	add_session(t, "idle", now - 2 * HOUR, HOUR, 24 * HOUR);
	add_session(t, "old", now - 25 * HOUR, HOUR, 24 * HOUR);
	add_session(t, "stopped", now, HOUR, 24 * HOUR);
	add_session(t, "warm", now - 25 * HOUR, HOUR, 24 * HOUR);
	assert_ok(db_run(t->st->db, err,
	                 "UPDATE sessions SET chat = '{\"chat\":-7,\"topic\":3}' WHERE name = 'idle'", ""));
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET pool = 'recipe' WHERE name = 'warm'", ""));
	stop_clean(t, "stopped");
	told(t, NOTICE_REMOVED, 0);
	does(t, "session.reap", "{}");
	told(t, NOTICE_REMOVED, 2);
	cleanup_notice struct notice old = {0}, idle = {0};
	of_session(t, "old", &old);
	of_session(t, "idle", &idle);
	assert_string_equal(json_text(old.payload, "reason"), "expired");
	assert_string_equal(json_text(idle.payload, "reason"), "idle");
	assert_int_equal(json_int(idle.payload, "chat.chat", 0), -7);
	assert_int_equal(json_int(idle.payload, "chat.topic", 0), 3);
	assert_clean(json_at(idle.payload, "receipt"));
	assert_true(idle.until > clock_now_ms());
	assert_nothing_left(t);
}

/* The chat comes with the job of a start, and nothing else of what it says about it is kept. */
static void the_chat_of_a_start_is_kept(void **data)
{
	struct test_state *t = *data;
	does(t, "session.start",
	     "{\"name\":\"demo\",\"services\":[\"gateway\"],\"chat\":{\"chat\":-7,\"topic\":3,\"x\":\"y\"}}");
	cleanup_row struct session_row row = {0};
	assert_ok(store_by_name(t->st, "demo", &row, err));
	assert_string_equal(row.chat, "{\"chat\":-7,\"topic\":3}");
	stop_clean(t, "demo");
	does(t, "session.start", "{\"name\":\"demo\",\"services\":[\"gateway\"],\"chat\":\"x\"}");
	assert_int_equal(count(t, "SELECT chat IS NULL FROM sessions"), 1);
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return again_main(argc, argv);
	const struct CMUnitTest tests[] = {
	        C(once_for_each_end),
	        C(the_end_in_an_old_row),
	        C(who_is_not_warned),
	        C(use_moves_the_end),
	        C(a_jump_is_told_before_it_counts),
	        C(a_removal_is_told_with_its_receipt),
	        C(the_chat_of_a_start_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
