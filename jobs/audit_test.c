#include "core/log.h"
#include "core/mem.h"
#include "jobs/audit.h"
#include "jobs/test_state.h"
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void fill(struct state *st, int n)
{
	for (int i = 0; i < n; i++)
		assert_ok(audit_add(st, "tg:1", "bot", "session.start", i % 2 ? "demo" : NULL, "ok",
		                    i % 3 ? "{\"a\":1}" : NULL, err));
}

static int64_t verify(struct state *st)
{
	int64_t bad = -1;
	assert_ok(audit_verify(st, &bad, err));
	return bad;
}

static void test_whole(void **data)
{
	struct test_state *t = *data;
	assert_int_equal(verify(t->st), 0);
	fill(t->st, 5);
	assert_int_equal(verify(t->st), 0);
	struct err err = {0};
	cleanup_json cJSON *list = audit_list(t->st, 2, &err);
	assert_int_equal(cJSON_GetArraySize(list), 2);
	assert_int_equal(json_int(list, "0.id", 0), 5);
	assert_int_equal(json_int(list, "0.detail.a", 0), 1);
	assert_string_equal(json_text(list, "1.target"), "demo");
	assert_int_equal(strlen(json_text(list, "1.hash")), 64);
}

/* Each forgery on five rows, and the row that must be named. */
static void test_tampering(void **data)
{
	static const struct {
		const char *sql;
		int64_t bad;
	} cases[] = {
	        {"UPDATE audit SET outcome = 'denied' WHERE id = 3", 3},
	        {"UPDATE audit SET target = '' WHERE id = 3", 3}, /* NULL and empty differ */
	        {"UPDATE audit SET actor = 'tg:1b', source = 'ot' WHERE id = 2", 2},
	        {"UPDATE audit SET at = at + 1 WHERE id = 1", 1},
	        {"DELETE FROM audit WHERE id = 2", 2},
	        {"DELETE FROM audit WHERE id = 1", 1},
	        {"DELETE FROM audit WHERE id = 5", 5}, /* the last: only the sequence tells */
	        {"DELETE FROM audit", 1},
	        {"UPDATE audit SET hash = (SELECT hash FROM audit WHERE id = 1) WHERE id = 4", 4},
	        {"UPDATE audit SET id = 9 WHERE id = 5", 5},
	};
	struct test_state *t = *data;
	fill(t->st, 5);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_ok(db_run(t->st->db, err, "SAVEPOINT forge", ""));
		assert_ok(db_run(t->st->db, err, cases[i].sql, ""));
		if (verify(t->st) != cases[i].bad)
			fail_msg("%s: named %lld", cases[i].sql, (long long)verify(t->st));
		assert_ok(db_run(t->st->db, err, "ROLLBACK TO forge", ""));
		assert_ok(db_run(t->st->db, err, "RELEASE forge", ""));
	}
	assert_int_equal(verify(t->st), 0);
}

static void test_joins_transaction(void **data)
{
	struct test_state *t = *data;
	assert_ok(db_begin(t->st->db, err));
	fill(t->st, 2);
	db_rollback(t->st->db);
	fill(t->st, 1);
	assert_int_equal(verify(t->st), 0);
}

static void test_redacts(void **data)
{
	struct test_state *t = *data;
	struct err err = {0};
	log_secret("hunter2hunter2");
	assert_ok(audit_add(t->st, "tg:1", "bot", "chat", "x hunter2hunter2", "ok", "\xff not json\n", err));
	cleanup_json cJSON *list = audit_list(t->st, 10, &err);
	assert_string_equal(json_text(list, "0.target"), "x ***");
	assert_string_equal(json_text(list, "0.detail"), "? not json\n");
	assert_int_equal(verify(t->st), 0);
}

static void test_concurrent(void **data)
{
	struct test_state *t = *data;
	for (int i = 0; i < 4; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			struct test_state mine = {0};
			test_state_connect(&mine);
			fill(mine.st, 25);
			_exit(0);
		}
	}
	int status, bad = 0;
	while (wait(&status) > 0)
		bad |= status;
	assert_int_equal(bad, 0);
	assert_int_equal(verify(t->st), 0);
	int64_t n = 0;
	assert_ok(db_get_int(t->st->db, &n, err, "SELECT count(*) FROM audit", ""));
	assert_int_equal(n, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_whole, test_state_setup, test_state_teardown),
	        cmocka_unit_test_setup_teardown(test_tampering, test_state_setup, test_state_teardown),
	        cmocka_unit_test_setup_teardown(test_joins_transaction, test_state_setup,
	                                        test_state_teardown),
	        cmocka_unit_test_setup_teardown(test_redacts, test_state_setup, test_state_teardown),
	        cmocka_unit_test_setup_teardown(test_concurrent, test_state_setup, test_state_teardown),
	};
	return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
