#include "bot/journal.h"
#include "bot/test_db.h"
#include <string.h>

#define DAY (24 * 3600 * INT64_C(1000))

static size_t add(struct test_db *t, const char *json, int64_t now)
{
	struct err err = {0};
	size_t at[100], fresh = 0;
	cleanup_json cJSON *updates = json_parse(json, strlen(json), &err);
	assert_non_null(updates);
	assert_ok(journal_add(t->db, updates, now, at, 100, &fresh, err));
	return fresh;
}

static int64_t offset(struct test_db *t, int64_t now)
{
	int64_t value = -1;
	assert_ok(journal_offset(t->db, now, &value, err));
	return value;
}

static void updates_are_kept_once(void **state)
{
	(void)state;
	struct test_db t;
	test_db_open(&t);
	assert_int_equal(offset(&t, DAY), 0);
	assert_int_equal(
	        add(&t, "[{\"update_id\":5,\"message\":{\"chat\":{\"id\":9}}},{\"update_id\":6}]", DAY), 2);
	assert_int_equal(offset(&t, DAY), 7);
	assert_int_equal(add(&t, "[{\"update_id\":6},{\"update_id\":7},{\"x\":1},null]", DAY), 1);
	assert_int_equal(offset(&t, DAY), 8);
	assert_int_equal(test_db_int(&t, "SELECT chat FROM updates WHERE update_id = 5"), 9);
	assert_int_equal(test_db_int(&t, "SELECT count(*) FROM updates WHERE state = 'new'"), 3);
	test_db_close(&t);
}

/* Ids restart at random after a quiet week: the offset is forgotten, a small id is new, a recent one still a duplicate. */
static void ids_restart_after_a_week(void **state)
{
	(void)state;
	struct test_db t;
	test_db_open(&t);
	add(&t, "[{\"update_id\":900}]", DAY);
	assert_ok(journal_done(t.db, 900, err));
	assert_int_equal(offset(&t, 6 * DAY), 901);
	assert_int_equal(offset(&t, 8 * DAY), 0);
	assert_int_equal(add(&t, "[{\"update_id\":12}]", 8 * DAY), 1);
	assert_int_equal(offset(&t, 8 * DAY), 13);
	assert_int_equal(add(&t, "[{\"update_id\":12}]", 8 * DAY + 1), 0);
	assert_int_equal(add(&t, "[{\"update_id\":900}]", 9 * DAY), 1); /* the same number, another update */
	test_db_close(&t);
}

struct seen {
	struct test_db *t;
	int n, attempts[8];
	int64_t ids[8];
};

static void see(void *arg, int64_t id, int attempts, const char *raw)
{
	struct seen *s = arg;
	assert_non_null(strstr(raw, "update_id"));
	s->ids[s->n] = id;
	s->attempts[s->n++] = attempts;
	if (id == 2)
		assert_ok(journal_done(s->t->db, id, err));
	else
		assert_ok(journal_attempt(s->t->db, id, err));
}

static void open_ones_are_taken_up(void **state)
{
	(void)state;
	struct test_db t;
	test_db_open(&t);
	add(&t, "[{\"update_id\":1},{\"update_id\":2},{\"update_id\":3},{\"update_id\":4}]", DAY);
	assert_ok(journal_poison(t.db, 4, err));
	for (int round = 0; round < 2; round++) {
		struct seen s = {.t = &t};
		assert_ok(journal_each_open(t.db, see, &s, err));
		assert_int_equal(s.n, round ? 2 : 3);
		assert_int_equal(s.ids[s.n - 1], 3);
		assert_int_equal(s.attempts[0], round + 1);
	}
	assert_int_equal(test_db_int(&t, "SELECT length(raw) FROM updates WHERE update_id = 2"), 0);
	assert_true(test_db_int(&t, "SELECT length(raw) FROM updates WHERE update_id = 4") > 0);
	assert_int_equal(
	        test_db_int(&t, "SELECT error LIKE '%process ended%' FROM updates WHERE update_id = 4"), 1);
	test_db_close(&t);
}

static void another_bot_starts_anew(void **state)
{
	(void)state;
	struct test_db t;
	bool changed = true;
	test_db_open(&t);
	add(&t, "[{\"update_id\":1}]", DAY);
	assert_ok(store_identify(t.db, 77, &changed, err));
	assert_false(changed);
	assert_int_equal(test_db_int(&t, "SELECT count(*) FROM updates"), 1);
	assert_ok(store_identify(t.db, 78, &changed, err));
	assert_true(changed);
	assert_int_equal(test_db_int(&t, "SELECT count(*) FROM updates"), 0);
	assert_int_equal(offset(&t, DAY), 0);
	test_db_close(&t);
}

static void what_is_over_is_pruned(void **state)
{
	(void)state;
	struct test_db t;
	test_db_open(&t);
	add(&t, "[{\"update_id\":1},{\"update_id\":2},{\"update_id\":3}]", DAY);
	assert_ok(journal_done(t.db, 1, err));
	assert_ok(journal_poison(t.db, 2, err));
	assert_ok(db_run(t.db, err,
	                 "INSERT INTO chats (chat, lang, spoken, changed_at) VALUES (1, NULL, 'ru', 1), (2, "
	                 "'en', 'ru', 1)",
	                 ""));
	assert_ok(store_prune(t.db, 8 * DAY, err));
	assert_int_equal(test_db_int(&t, "SELECT count(*) FROM chats"), 2);
	assert_int_equal(test_db_int(&t, "SELECT count(*) FROM updates"), 3);
	assert_ok(store_prune(t.db, 10 * DAY, err));
	assert_int_equal(test_db_int(&t, "SELECT count(*) FROM updates"), 2);
	assert_ok(store_prune(t.db, 40 * DAY, err));
	assert_int_equal(test_db_int(&t, "SELECT count(*) FROM updates"), 1); /* what is open stays */
	assert_ok(store_prune(t.db, 91 * DAY, err));
	assert_int_equal(test_db_int(&t, "SELECT chat FROM chats"), 2); /* what was chosen stays */
	test_db_close(&t);
}

static void savepoints_undo_one_update(void **state)
{
	(void)state;
	struct test_db t;
	test_db_open(&t);
	assert_ok(db_begin(t.db, err));
	assert_ok(db_run(t.db, err, "INSERT INTO chats (chat, changed_at) VALUES (1, 1)", ""));
	assert_ok(store_savepoint(t.db, err));
	assert_ok(db_run(t.db, err, "INSERT INTO chats (chat, changed_at) VALUES (2, 1)", ""));
	store_rollback_to(t.db);
	assert_ok(db_commit(t.db, err));
	assert_int_equal(test_db_int(&t, "SELECT sum(chat) FROM chats"), 1);
	test_db_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(updates_are_kept_once),  cmocka_unit_test(ids_restart_after_a_week),
	        cmocka_unit_test(open_ones_are_taken_up), cmocka_unit_test(another_bot_starts_anew),
	        cmocka_unit_test(what_is_over_is_pruned), cmocka_unit_test(savepoints_undo_one_update),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
