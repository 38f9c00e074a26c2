#include "jobs/notice.h"
#include "jobs/test_state.h"
#include <string.h>

static int64_t count(struct test_state *t)
{
	int64_t n = -1;
	assert_ok(db_get_int(t->st->db, &n, err, "SELECT count(*) FROM notices", ""));
	return n;
}

static void add(struct test_state *t, const char *session)
{
	cleanup_json cJSON *payload = cJSON_Parse("{\"left\":7}");
	struct notice n = {.kind = (char *)"test",
	                   .session = (char *)session,
	                   .owner = (char *)"tg:5",
	                   .until = 99,
	                   .payload = payload};
	assert_ok(notice_add(t->st, &n, err));
}

static void told_in_order(void **data)
{
	struct test_state *t = *data;
	int64_t seen = 0, newest = -1;
	assert_ok(notice_newest(t->st, &newest, err));
	assert_int_equal(newest, 0);
	add(t, "a");
	add(t, "b");
	static const char *const names[] = {"a", "b"};
	char keys[2][ID_UUID_LEN + 1];
	for (size_t i = 0; i < 2; i++) {
		cleanup_notice struct notice n = {0};
		assert_int_equal(notice_next(t->st, seen, &n, &(struct err){0}), 1);
		assert_string_equal(n.session, names[i]);
		assert_string_equal(n.kind, "test");
		assert_string_equal(n.owner, "tg:5");
		assert_int_equal(n.until, 99);
		assert_int_equal(json_int(n.payload, "left", 0), 7);
		memcpy(keys[i], n.key, sizeof(keys[i]));
		seen = n.id;
	}
	assert_true(id_is_uuid(keys[0]));
	assert_string_not_equal(keys[0], keys[1]);
	cleanup_notice struct notice none = {0};
	assert_int_equal(notice_next(t->st, seen, &none, &(struct err){0}), 0);
	assert_ok(notice_newest(t->st, &newest, err));
	assert_int_equal(newest, seen);
}

/* What is undone is not told, and an id is not given twice. */
static void with_its_transaction(void **data)
{
	struct test_state *t = *data;
	add(t, "a");
	assert_ok(db_begin(t->st->db, err));
	add(t, "b");
	db_rollback(t->st->db);
	assert_int_equal(count(t), 1);
	assert_ok(db_run(t->st->db, err, "DELETE FROM notices", ""));
	int64_t newest = 0;
	assert_ok(notice_newest(t->st, &newest, err));
	assert_int_equal(newest, 1);
	add(t, "c");
	cleanup_notice struct notice n = {0};
	assert_int_equal(notice_next(t->st, 1, &n, &(struct err){0}), 1);
	assert_string_equal(n.session, "c");
}

static void bounded(void **data)
{
	struct test_state *t = *data;
	assert_ok(db_begin(t->st->db, err));
	for (int i = 0; i < NOTICES_KEPT + 5; i++)
		add(t, "a");
	assert_ok(db_commit(t->st->db, err));
	assert_int_equal(count(t), NOTICES_KEPT);
	assert_ok(db_run(t->st->db, err, "UPDATE notices SET at = at - ?", "i",
	                 (int64_t)NOTICE_KEEP_MS + 1000));
	add(t, "b");
	assert_int_equal(count(t), 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, test_state_setup, test_state_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {T(told_in_order), T(with_its_transaction), T(bounded)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
