#include "core/clock.h"
#include "core/mem.h"
#include "sessions/name.h"
#include "sessions/store.h"
#include "sessions/test_sessions.h"
#include <string.h>
#include <unistd.h>

static int insert(struct test_state *t, const char *name, struct session_row *row, struct err *err)
{
	*row = (struct session_row){.name = mem_strdup(name),
	                            .owner = mem_strdup("tg:1"),
	                            .engine = mem_strdup("process"),
	                            .dir = mem_strdup("/nowhere"),
	                            .state = SESSION_CREATING,
	                            .spec = cJSON_Parse("{\"services\":[\"gateway\"]}"),
	                            .job = 7,
	                            .created_at = clock_now_ms(),
	                            .expires_at = 1000,
	                            .hard_expires_at = 2000,
	                            .idle_ms = 500};
	id_uuid(row->uuid);
	return store_insert(t->st, row, err);
}

static void round_trip(void **data)
{
	struct test_state *t = *data;
	cleanup_row struct session_row row = {0}, read = {0}, by_job = {0}, none = {0};
	assert_ok(insert(t, "demo", &row, err));
	assert_ok(store_by_name(t->st, "demo", &read, err));
	assert_string_equal(read.uuid, row.uuid);
	assert_string_equal(read.owner, "tg:1");
	assert_string_equal(read.engine, "process");
	assert_string_equal(read.dir, "/nowhere");
	assert_null(read.reason);
	assert_int_equal(read.state, SESSION_CREATING);
	assert_int_equal(read.expires_at, 1000);
	assert_int_equal(read.hard_expires_at, 2000);
	assert_int_equal(read.idle_ms, 500);
	assert_int_equal(read.stopped_at, 0);
	assert_true(cJSON_Compare(read.spec, row.spec, true));
	assert_ok(store_by_job(t->st, 7, &by_job, err));
	assert_string_equal(by_job.uuid, row.uuid);
	struct err err = {0};
	assert_int_equal(store_by_job(t->st, 8, &none, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(store_has(t->st, row.uuid, &err), 1);
	assert_int_equal(store_has(t->st, "nonsense", &err), 0);
}

static void unique_while_alive(void **data)
{
	struct test_state *t = *data;
	cleanup_row struct session_row a = {0}, b = {0}, c = {0}, read = {0};
	assert_ok(insert(t, "demo", &a, err));
	struct err err = {0};
	assert_int_equal(insert(t, "demo", &b, &err), -1);
	assert_int_equal(err.code, ERR_EXISTS);
	assert_ok(store_apply(t->st, &a, EVENT_FAIL, "failed", "no room", 0, err));
	assert_ok(store_apply(t->st, &a, EVENT_BURIED, NULL, NULL, 0, err));
	assert_ok(insert(t, "demo", &c, err));
	/* the alive one is found, not the failed one */
	assert_ok(store_by_name(t->st, "demo", &read, err));
	assert_string_equal(read.uuid, c.uuid);
	struct session_row *rows = NULL;
	size_t n = 0;
	assert_ok(store_rows(t->st, STORE_ALL, 0, &rows, &n, err));
	assert_int_equal(n, 2);
	store_rows_free(rows, n);
	assert_ok(store_rows(t->st, STORE_ALIVE, 0, &rows, &n, err));
	assert_int_equal(n, 1);
	store_rows_free(rows, n);
	assert_ok(store_rows(t->st, STORE_OLD_FAILED, clock_now_ms() + 1000, &rows, &n, err));
	assert_int_equal(n, 1);
	assert_string_equal(rows[0].error, "no room");
	store_rows_free(rows, n);
	assert_ok(store_rows(t->st, STORE_OLD_FAILED, 1, &rows, &n, err));
	assert_int_equal(n, 0);
	store_rows_free(rows, n);
}

static void changes(void **data)
{
	struct test_state *t = *data;
	cleanup_row struct session_row row = {0}, stale = {0}, read = {0};
	assert_ok(insert(t, "demo", &row, err));
	assert_ok(store_by_name(t->st, "demo", &stale, err));
	struct err err = {0};
	assert_int_equal(store_apply(t->st, &row, EVENT_HEALTHY, NULL, NULL, 0, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	assert_string_equal(err.msg, "session demo is creating: it cannot take \"healthy\" now");
	assert_ok(store_apply(t->st, &row, EVENT_LAUNCH, NULL, NULL, 9, err));
	/* another process has the row as it was: it is told, and nothing changes */
	assert_int_equal(store_apply(t->st, &stale, EVENT_STOP, "x", NULL, 0, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	assert_ok(store_apply(t->st, &row, EVENT_HEALTHY, NULL, NULL, 0, err));
	assert_ok(store_by_name(t->st, "demo", &read, err));
	assert_int_equal(read.state, SESSION_RUNNING);
	assert_int_equal(read.job, 9);
	assert_true(read.started_at > 0);
	assert_int_equal(read.stopped_at, 0);
	assert_int_equal(row.started_at, read.started_at);
}

/* The row in hand is what the database has: whether a session was ever kept decides what becomes of it. */
static void times_of_changes(void **data)
{
	struct test_state *t = *data;
	static const enum session_event events[] = {EVENT_LAUNCH, EVENT_HEALTHY, EVENT_KEEP,
	                                            EVENT_KEPT,   EVENT_RESUME,  EVENT_HEALTHY};
	cleanup_row struct session_row row = {0};
	assert_ok(insert(t, "demo", &row, err));
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		cleanup_row struct session_row read = {0};
		assert_ok(store_apply(t->st, &row, events[i], NULL, NULL, 0, err));
		assert_ok(store_by_name(t->st, "demo", &read, err));
		assert_int_equal(row.started_at, read.started_at);
		assert_int_equal(row.stopped_at, read.stopped_at);
	}
	assert_true(row.stopped_at > 0);
}

static void the_end_takes_leases_and_steps(void **data)
{
	struct test_state *t = *data;
	cleanup_row struct session_row row = {0};
	int64_t rows = 0, leases = 0;
	assert_ok(insert(t, "demo", &row, err));
	assert_ok(db_run(
	        t->st->db, err,
	        "INSERT INTO leases (kind, value, session, purpose, taken_at) VALUES ('port', 1, ?, 'x', 1)",
	        "t", row.uuid));
	assert_ok(db_run(
	        t->st->db, err,
	        "INSERT INTO session_steps (session, operation, step, intent_at) VALUES (?, 'up', 'x', 1)",
	        "t", row.uuid));
	assert_ok(store_count(t->st, row.uuid, &rows, &leases, err));
	assert_int_equal(rows, 2);
	assert_int_equal(leases, 1);
	assert_ok(store_apply(t->st, &row, EVENT_STOP, "stopped", NULL, 0, err));
	assert_ok(store_apply(t->st, &row, EVENT_GONE, NULL, NULL, 0, err));
	assert_ok(store_count(t->st, row.uuid, &rows, &leases, err));
	assert_int_equal(rows, 0);
	assert_int_equal(leases, 0);
}

/* A change within a caller's transaction that is rolled back leaves nothing. */
static void with_the_callers_transaction(void **data)
{
	struct test_state *t = *data;
	cleanup_row struct session_row row = {0}, read = {0};
	assert_ok(insert(t, "demo", &row, err));
	assert_ok(db_begin(t->st->db, err));
	assert_ok(store_apply(t->st, &row, EVENT_STOP, "stopped", NULL, 0, err));
	assert_true(db_in_transaction(t->st->db));
	db_rollback(t->st->db);
	assert_ok(store_by_name(t->st, "demo", &read, err));
	assert_int_equal(read.state, SESSION_CREATING);
}

static void names(void **data)
{
	struct test_state *t = *data;
	static const struct {
		const char *name;
		bool ok;
	} cases[] = {
	        {"a", true},
	        {"demo", true},
	        {"1", true},
	        {"bot-test-1763706636", true},
	        {"a-", true},
	        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true},
	        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
	        {"", false},
	        {NULL, false},
	        {"-a", false},
	        {"--help", false},
	        {"../x", false},
	        {"a/b", false},
	        {"a b", false},
	        {"A", false},
	        {"a\n", false},
	        {"a.b", false},
	        {"a_b", false},
	        {"\xd1\x8f", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		assert_int_equal(session_name_check(cases[i].name, &err), cases[i].ok ? 0 : -1);
		assert_int_equal(err.code, cases[i].ok ? ERR_NONE : ERR_INVALID);
	}
	cleanup_free char *first = NULL, *third = NULL, *bad = NULL;
	assert_ok(name_generate(t->st, "cli:anna", 1763706636999, 0, &first, err));
	assert_string_equal(first, "test-1763706636");
	assert_ok(name_generate(t->st, "gw:local", 1763706636999, 2, &third, err));
	assert_string_equal(third, "test-1763706636-3");
	cleanup_free char *bot = NULL, *dev = session_dev_name("anna"), *odd = session_dev_name("Jörg_M."),
	                  *longest = session_dev_name("a-name-that-is-longer-than-names-may-be");
	assert_ok(name_generate(t->st, "tg:5", 1763706636999, 0, &bot, err));
	assert_string_equal(bot, "bot-test-1763706636");
	assert_string_equal(dev, "dev-anna");
	assert_string_equal(odd, "dev-j--rg-m-");
	assert_string_equal(longest, "dev-a-name-that-is-longer-than");
	assert_ok(session_name_check(odd, err));
	assert_ok(session_name_check(longest, err));
	test_sessions_set(t, "CONTAINER_PREFIX", "My Tests");
	struct err err = {0};
	assert_int_equal(name_generate(t->st, "cli:anna", 1, 0, &bad, &err), -1);
	assert_non_null(strstr(err.msg, "CONTAINER_PREFIX=My Tests"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(round_trip, test_sessions_setup, test_state_teardown),
	        cmocka_unit_test_setup_teardown(unique_while_alive, test_sessions_setup, test_state_teardown),
	        cmocka_unit_test_setup_teardown(changes, test_sessions_setup, test_state_teardown),
	        cmocka_unit_test_setup_teardown(times_of_changes, test_sessions_setup, test_state_teardown),
	        cmocka_unit_test_setup_teardown(the_end_takes_leases_and_steps, test_sessions_setup,
	                                        test_state_teardown),
	        cmocka_unit_test_setup_teardown(with_the_callers_transaction, test_sessions_setup,
	                                        test_state_teardown),
	        cmocka_unit_test_setup_teardown(names, test_sessions_setup, test_state_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
