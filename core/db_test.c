/* One process and real files; db_process_test.c has many. */
#include "core/db_testing.h"
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <sqlite3.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static void assert_says(enum err_code code, const char *part)
{
	assert_int_equal(err.code, code);
	if (!strstr(err.msg, part))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, part);
}

/* -- opening and migrating -- */

static void migrates_from_every_version(void **state)
{
	(void)state;
	for (size_t from = 0; from <= NEWEST; from++) {
		const char *older[NEWEST + 1] = {0};
		memcpy(older, migrations, from * sizeof(*older));
		snprintf(path, sizeof(path), "%s/from%zu.db", dir, from);
		struct db *db = opened(older);
		assert_int_equal(number(db, "PRAGMA user_version"), from);
		if (from >= 1)
			run(db, "INSERT INTO notes (body) VALUES ('kept')");
		db_close(db);
		for (int again = 0; again < 2; again++) {
			db = opened(migrations);
			assert_int_equal(number(db, "PRAGMA user_version"), NEWEST);
			assert_int_equal(number(db, "SELECT count(*) FROM notes WHERE kind = 'plain'"),
			                 from >= 1);
			assert_int_equal(number(db, "SELECT count(*) FROM counter"), 1);
			assert_int_equal(number(db, "SELECT count(*) FROM tags"), 0);
			db_close(db);
		}
	}
}

static void refuses_a_newer_version(void **state)
{
	(void)state;
	static const char *const older[] = {"CREATE TABLE notes (id INTEGER)", NULL};
	db_close(opened(migrations));
	struct db *db = NULL;
	assert_int_equal(db_open(&db, path, older, DB_NORMAL, &err), -1);
	assert_null(db);
	assert_says(ERR_STATE, "newer codefoundry (schema 4, this program knows 1)");
	db = opened(migrations);
	run(db, "PRAGMA user_version = -1");
	db_close(db);
	assert_int_equal(db_open(&db, path, migrations, DB_NORMAL, &err), -1);
	assert_says(ERR_STATE, "not a database of this program");
}

static void failed_migration_leaves_the_old_version(void **state)
{
	(void)state;
	static const char *const first[] = {"CREATE TABLE a (x INTEGER)", NULL};
	static const char *const broken[] = {"CREATE TABLE a (x INTEGER)", "CREATE TABLE b (x INTEGER)",
	                                     "INSERT INTO nowhere VALUES (1)", NULL};
	db_close(opened(first));
	struct db *db = NULL;
	assert_int_equal(db_open(&db, path, broken, DB_NORMAL, &err), -1);
	assert_says(ERR_DB, "migration 3");
	db = opened(first);
	assert_int_equal(number(db, "PRAGMA user_version"), 1);
	assert_int_equal(number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'b'"), 0);
	db_close(db);
}

static void file_is_private(void **state)
{
	(void)state;
	mode_t old = umask(0);
	db_close(opened(migrations));
	umask(old);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

/* -- bad places and bad files -- */

static void names_what_it_cannot_open(void **state)
{
	(void)state;
	static const struct {
		const char *suffix;
		enum err_code code;
	} cases[] = {{"/missing/x.db", ERR_IO}, {"/file/x.db", ERR_IO}, {"", ERR_IO}};
	cleanup_free char *file = mem_printf("%s/file", dir);
	assert_int_equal(file_write(file, "x", 1, 0600, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct db *db = NULL;
		cleanup_free char *bad = mem_printf("%s%s", dir, cases[i].suffix);
		assert_int_equal(db_open(&db, bad, migrations, DB_NORMAL, &err), -1);
		assert_null(db);
		assert_says(cases[i].code, bad);
	}
}

/* As root permission bits do not bind; the immutable attribute does. */
static void set_immutable(bool on)
{
	cleanup_close int fd = open(dir, O_RDONLY | O_DIRECTORY);
	int flags = 0;
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
		flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
		if (ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0)
			return;
	}
	print_message("skipped: no immutable directories on this file system or for this user\n");
	skip();
}

static void says_a_directory_is_read_only(void **state)
{
	(void)state;
	struct db *db = NULL;
	set_immutable(true);
	int rc = db_open(&db, path, migrations, DB_NORMAL, &err);
	set_immutable(false);
	assert_int_equal(rc, -1);
	assert_says(ERR_IO, path);
	db_close(opened(migrations));
	set_immutable(true); /* the file is there, but its WAL cannot be made */
	rc = db_open(&db, path, migrations, DB_NORMAL, &err);
	set_immutable(false);
	assert_int_equal(rc, -1);
	assert_says(ERR_IO, path);
}

static void says_a_file_is_damaged(void **state)
{
	(void)state;
	for (int how = 0; how < 3; how++) {
		struct db *db = NULL;
		unlink(path);
		if (how > 0) {
			db = opened(migrations);
			for (int i = 0; i < 500; i++)
				assert_int_equal(
				        db_run(db, &err, "INSERT INTO notes (body) VALUES (?)", "i", i), 0);
			db_close(TAKE(db));
		}
		cleanup_close int fd = open(path, O_RDWR | O_CREAT, 0600);
		char junk[4096];
		memset(junk, 'j', sizeof(junk));
		if (how == 0) /* never was one */
			assert_int_equal(write(fd, junk, sizeof(junk)), sizeof(junk));
		else if (how == 1) /* header overwritten */
			assert_int_equal(pwrite(fd, junk, 100, 0), 100);
		else /* cut off */
			assert_int_equal(ftruncate(fd, 4096 + 1000), 0);
		close(TAKE_FD(fd));
		int rc = db_open(&db, path, migrations, DB_NORMAL, &err);
		if (how == 2 && rc == 0) { /* SQLite may notice only when it gets there */
			int64_t n;
			rc = db_get_int(db, &n, &err, "SELECT sum(length(body)) FROM notes", "");
		}
		assert_int_equal(rc, -1);
		assert_says(ERR_DB, "damaged: restore it from a backup");
		db_close(db);
	}
}

/* -- statements -- */

static void constraints_never_show_values(void **state)
{
	(void)state;
	static const struct {
		const char *sql;
		enum err_code code;
	} cases[] = {
	        {"INSERT INTO notes (body) VALUES (?)", ERR_EXISTS},
	        {"INSERT INTO notes (id, body) VALUES (1, ? || 'x')", ERR_EXISTS},
	        {"INSERT INTO notes (id, body) VALUES (?, 'x')", ERR_DB},
	        {"UPDATE counter SET n = ?", ERR_DB},
	        {"UPDATE counter SET n = -length(?)", ERR_DB},
	        {"INSERT INTO notes (id, body) SELECT 9, NULL WHERE ? IS NOT NULL", ERR_DB},
	        {"INSERT INTO tags (note, name) VALUES (999, ?)", ERR_DB},
	        {"SELECT nothing FROM notes WHERE body = ?", ERR_DB},
	};
	struct db *db = opened(migrations);
	assert_int_equal(db_run(db, &err, "INSERT INTO notes (body) VALUES (?)", "t", "hunter2"), 0);
	assert_int_equal(db_last_id(db), 1);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		err_clear(&err);
		assert_int_equal(db_run(db, &err, cases[i].sql, "t", "hunter2"), -1);
		if (err.code != cases[i].code || !err.msg[0] || strstr(err.msg, "hunter2"))
			fail_msg("%s: %s \"%s\"", cases[i].sql, err_name(err.code), err.msg);
		assert_int_equal(db_changes(db), 0);
	}
	assert_int_equal(number(db, "SELECT count(*) FROM notes"), 1);
	db_close(db);
}

static void refuses_what_would_be_half_run(void **state)
{
	(void)state;
	struct db *db = opened(migrations);
	assert_int_equal(db_run(db, &err, "DELETE FROM notes; DELETE FROM counter", ""), -1);
	assert_says(ERR_DB, "not one statement");
	assert_int_equal(db_run(db, &err, "", ""), -1);
	assert_int_equal(db_run(db, &err, "DELETE FROM counter WHERE n = ?", ""), -1);
	assert_int_equal(db_run(db, &err, "DELETE FROM counter", "i", (int64_t)1), -1);
	assert_int_equal(db_run(db, &err, "DELETE FROM counter WHERE n = ?", "x", 1), -1);
	assert_int_equal(number(db, "SELECT count(*) FROM counter"), 1);
	run(db, "DELETE FROM counter; \n");
	assert_int_equal(db_changes(db), 1);
	db_close(db);
}

static void binds_every_type(void **state)
{
	(void)state;
	struct db *db = opened(migrations);
	run(db, "INSERT INTO notes (id, body) VALUES (1, 'n')");
	static const char insert[] = "INSERT INTO tags (note, name, weight, raw) VALUES (?, ?, ?, ?)";
	assert_int_equal(db_run(db, &err, insert, "itdb", (int64_t)1, "плохо'; DROP TABLE tags; --", 0.5,
	                        "a\0b", (size_t)3),
	                 0);
	assert_int_equal(db_run(db, &err, insert, "itdb", (int64_t)1, NULL, -1e300, NULL, (size_t)0), 0);
	cleanup_query struct query q = QUERY_INIT;
	assert_int_equal(
	        db_query(db, &q, &err, "SELECT name, weight, length(raw), note FROM tags ORDER BY rowid", ""),
	        0);
	assert_int_equal(query_next(&q, &err), 1);
	assert_string_equal(query_text(&q, 0), "плохо'; DROP TABLE tags; --");
	assert_true(query_double(&q, 1) > 0.49 && query_double(&q, 1) < 0.51);
	assert_int_equal(query_int(&q, 2), 3);
	assert_int_equal(query_next(&q, &err), 1);
	assert_null(query_text(&q, 0));
	assert_true(query_is_null(&q, 2));
	assert_int_equal(query_int(&q, 2), 0);
	assert_int_equal(query_next(&q, &err), 0);
	assert_int_equal(query_next(&q, &err), 0); /* it does not start again */
	int64_t n = 0;
	assert_int_equal(db_get_int(db, &n, &err, "SELECT ?", "i", INT64_MIN), 0);
	assert_true(n == INT64_MIN);
	db_close(db);
}

static void gets_one_value(void **state)
{
	(void)state;
	struct db *db = opened(migrations);
	int64_t n = 7;
	assert_int_equal(db_get_int(db, &n, &err, "SELECT id FROM notes", ""), 0);
	assert_int_equal(n, 7);
	char *text = (char *)"stale";
	assert_int_equal(db_get_text(db, &text, &err, "SELECT body FROM notes", ""), 0);
	assert_null(text);
	assert_int_equal(db_get_text(db, &text, &err, "SELECT NULL", ""), 0);
	assert_null(text);
	assert_int_equal(db_get_text(db, &text, &err, "SELECT ?", "t", ""), 0);
	assert_string_equal(text, "");
	free(text);
	assert_int_equal(db_get_text(db, &text, &err, "SELECT", ""), -1);
	assert_null(text);
	/* one statement that writes and tells: every row is written, and another connection sees it */
	run(db, "INSERT INTO notes (body) VALUES ('a'), ('b'), ('c')");
	assert_int_equal(db_get_int(db, &n, &err, "UPDATE notes SET kind = 'seen' RETURNING id", ""), 0);
	assert_int_equal(n, 1);
	struct db *other = opened(migrations);
	assert_int_equal(number(other, "SELECT count(*) FROM notes WHERE kind = 'seen'"), 3);
	db_close(other);
	/* what fails only as it commits has failed */
	run(db,
	    "CREATE TABLE late (note INTEGER REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED) STRICT");
	assert_int_equal(db_get_int(db, &n, &err, "INSERT INTO late VALUES (999) RETURNING note", ""), -1);
	assert_says(ERR_DB, "FOREIGN KEY");
	assert_int_equal(number(db, "SELECT count(*) FROM late"), 0);
	db_close(db);
}

static void same_sql_in_use_twice(void **state)
{
	(void)state;
	struct db *db = opened(migrations);
	run(db, "INSERT INTO notes (body) VALUES ('a'), ('b'), ('c')");
	static const char sql[] = "SELECT id FROM notes WHERE id > ? ORDER BY id";
	int64_t product = 0;
	for (int again = 0; again < 2; again++) {
		struct query a = QUERY_INIT, b = QUERY_INIT, c = QUERY_INIT;
		assert_int_equal(db_query(db, &a, &err, sql, "i", (int64_t)0), 0);
		while (query_next(&a, &err) == 1) {
			assert_int_equal(db_query(db, &b, &err, sql, "i", (int64_t)1), 0);
			while (query_next(&b, &err) == 1) {
				assert_int_equal(db_query(db, &c, &err, sql, "i", (int64_t)2), 0);
				while (query_next(&c, &err) == 1)
					product += query_int(&a, 0) * query_int(&b, 0) * query_int(&c, 0);
				query_end(&c);
			}
			query_end(&b);
		}
		query_end(&a);
		query_end(&a);
	}
	assert_int_equal(product, 2 * (1 + 2 + 3) * (2 + 3) * 3);
	db_close(db);
}

static void more_statements_than_the_cache(void **state)
{
	(void)state;
	struct db *db = opened(migrations);
	struct query open_one = QUERY_INIT;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 300; i++) {
			cleanup_free char *sql = mem_printf("SELECT %d + ?", i);
			int64_t n = 0;
			assert_int_equal(db_get_int(db, &n, &err, sql, "i", (int64_t)1), 0);
			assert_int_equal(n, i + 1);
		}
	}
	assert_int_equal(db_query(db, &open_one, &err, "SELECT 'past the cache'", ""), 0);
	assert_int_equal(query_next(&open_one, &err), 1);
	assert_string_equal(query_text(&open_one, 0), "past the cache");
	query_end(&open_one);
	db_close(db);
}

static void transactions_do_not_nest(void **state)
{
	(void)state;
	struct db *db = opened(migrations);
	db_rollback(db); /* none open: nothing */
	assert_int_equal(db_commit(db, &err), -1);
	assert_int_equal(db_begin(db, &err), 0);
	run(db, "INSERT INTO notes (body) VALUES ('a')");
	assert_int_equal(db_begin(db, &err), -1);
	assert_true(db_in_transaction(db));
	assert_int_equal(db_commit(db, &err), 0);
	assert_false(db_in_transaction(db));
	assert_int_equal(db_begin(db, &err), 0);
	run(db, "DELETE FROM notes");
	db_rollback(db);
	db_rollback(db);
	assert_int_equal(number(db, "SELECT count(*) FROM notes"), 1);
	db_close(db);
}

/* -- failing -- */

static int fail_at, hooked;

static int fail_there(const char *sql)
{
	return strcmp(sql, "ROLLBACK") && ++hooked == fail_at ? SQLITE_FULL : SQLITE_OK;
}

static int write_two(struct db *db)
{
	if (db_begin(db, &err))
		return -1;
	if (db_run(db, &err, "INSERT INTO notes (body) VALUES ('a')", "") ||
	    db_run(db, &err, "INSERT INTO notes (body) VALUES ('b')", "") || db_commit(db, &err)) {
		db_rollback(db);
		return -1;
	}
	return 0;
}

/* As somebody does who restores a backup under a process that runs. */
static void sees_that_its_file_is_another(void **state)
{
	(void)state;
	cleanup_free char *old = mem_printf("%s.old", path);
	struct db *db = opened(migrations);
	run(db, "INSERT INTO notes (body) VALUES ('first')");
	assert_false(db_moved(db));
	assert_int_equal(rename(path, old), 0);
	assert_true(db_moved(db));
	db_close(opened(migrations));
	assert_true(db_moved(db));
	assert_int_equal(rename(old, path), 0);
	assert_false(db_moved(db));
	assert_int_equal(unlink(path), 0);
	assert_true(db_moved(db));
	db_close(db);
}

/* Whatever fails, all of a transaction is there or nothing. */
static void every_statement_may_fail(void **state)
{
	(void)state;
	struct db *db = opened(migrations);
	db_hook = fail_there;
	for (fail_at = 1; fail_at <= 5; fail_at++) {
		hooked = 0;
		int rc = write_two(db);
		assert_int_equal(rc, fail_at <= 4 ? -1 : 0);
		if (rc)
			assert_says(ERR_IO, "no space left");
		hooked = INT_MIN;
		assert_false(db_in_transaction(db));
		assert_int_equal(number(db, "SELECT count(*) FROM notes"), rc ? 0 : 2);
	}
	db_hook = NULL;
	db_close(db);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(migrates_from_every_version),
	        TEST(refuses_a_newer_version),
	        TEST(failed_migration_leaves_the_old_version),
	        TEST(file_is_private),
	        TEST(names_what_it_cannot_open),
	        TEST(says_a_directory_is_read_only),
	        TEST(says_a_file_is_damaged),
	        TEST(constraints_never_show_values),
	        TEST(refuses_what_would_be_half_run),
	        TEST(binds_every_type),
	        TEST(gets_one_value),
	        TEST(same_sql_in_use_twice),
	        TEST(more_statements_than_the_cache),
	        TEST(transactions_do_not_nest),
	        TEST(sees_that_its_file_is_another),
	        TEST(every_statement_may_fail),
	};
	return cmocka_run_group_tests_name("core/db", tests, NULL, NULL);
}
