/* Real concurrent processes on one file: what SQLite promises is only worth what our way of opening it keeps. */
#include "core/clock.h"
#include "core/db_testing.h"
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Wait for a child; its exit code, or 128 + signal. */
static int finished(pid_t pid)
{
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void assert_says(enum err_code code, const char *part)
{
	assert_int_equal(err.code, code);
	if (!strstr(err.msg, part))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, part);
}

#define OPENERS 6
static void many_processes_open_at_once(void **state)
{
	(void)state;
	for (int round = 0; round < 15; round++) {
		snprintf(path, sizeof(path), "%s/round%d.db", dir, round);
		int gate[2];
		assert_int_equal(pipe(gate), 0);
		pid_t pids[OPENERS];
		for (int i = 0; i < OPENERS; i++) {
			if ((pids[i] = fork()) == 0) {
				struct db *db = NULL;
				char c;
				close(gate[1]);
				int rc = read(gate[0], &c, 1) == 0 &&
				         db_open(&db, path, migrations, DB_FULL, &err) == 0 &&
				         db_run(db, &err, "UPDATE counter SET n = n + 1", "") == 0;
				if (!rc)
					fprintf(stderr, "opener: %s\n", err.msg);
				db_close(db);
				_exit(!rc);
			}
		}
		close(gate[0]);
		close(gate[1]); /* all at once */
		for (int i = 0; i < OPENERS; i++)
			assert_int_equal(finished(pids[i]), 0);
		struct db *db = opened(migrations);
		assert_int_equal(number(db, "SELECT n FROM counter"), OPENERS);
		db_close(db);
	}
}

/* A child that holds the write lock with one row written, until it is killed. Returns once it does. */
static pid_t holder(void)
{
	int ready[2];
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct db *db = NULL;
		if (db_open(&db, path, migrations, DB_NORMAL, &err) || db_begin(db, &err) ||
		    db_run(db, &err, "INSERT INTO notes (body) VALUES ('half')", "") ||
		    write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	char c;
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void locked_for_too_long_is_busy(void **state)
{
	(void)state;
	db_close(opened(migrations));
	db_set_busy_ms(60);
	struct db *db = opened(migrations), *second = NULL;
	pid_t pid = holder();
	int64_t start = clock_mono_ms();
	assert_int_equal(db_run(db, &err, "INSERT INTO notes (body) VALUES ('me')", ""), -1);
	assert_says(ERR_BUSY, "locked by another process for longer than 0.06 s");
	assert_true(clock_mono_ms() - start >= 50);
	assert_int_equal(db_begin(db, &err), -1);
	assert_int_equal(err.code, ERR_BUSY);
	assert_false(db_in_transaction(db));
	assert_int_equal(number(db, "SELECT count(*) FROM notes"), 0); /* readers go on */
	/* a program with one migration more has to write at once */
	const char *list[NEWEST + 2] = {0};
	memcpy(list, migrations, NEWEST * sizeof(*list));
	list[NEWEST] = "CREATE TABLE later (x INTEGER)";
	assert_int_equal(db_open(&second, path, list, DB_NORMAL, &err), -1);
	assert_says(ERR_BUSY, path);
	kill(pid, SIGKILL);
	assert_int_equal(finished(pid), 128 + SIGKILL);
	run(db, "INSERT INTO notes (body) VALUES ('me')");
	db_close(db);
}

static void killed_in_a_transaction_is_rolled_back(void **state)
{
	(void)state;
	db_close(opened(migrations));
	pid_t pid = holder();
	kill(pid, SIGKILL);
	assert_int_equal(finished(pid), 128 + SIGKILL);
	struct db *db = opened(migrations);
	assert_int_equal(number(db, "SELECT count(*) FROM notes"), 0);
	run(db, "INSERT INTO notes (body) VALUES ('half')");
	db_close(db);
}

#define COUNTERS 8
#define TURNS 40
static void counting_processes_lose_nothing(void **state)
{
	(void)state;
	db_close(opened(migrations));
	pid_t pids[COUNTERS];
	for (int i = 0; i < COUNTERS; i++) {
		if ((pids[i] = fork()) == 0) {
			struct db *db = NULL;
			int bad = db_open(&db, path, migrations, DB_NORMAL, &err);
			for (int turn = 0; !bad && turn < TURNS; turn++) {
				int64_t n = -1;
				bad = db_begin(db, &err) ||
				      db_get_int(db, &n, &err, "SELECT n FROM counter", "") ||
				      db_run(db, &err, "UPDATE counter SET n = ?", "i", n + 1) ||
				      db_commit(db, &err);
			}
			if (bad)
				fprintf(stderr, "counter: %s\n", err.msg);
			db_close(db);
			_exit(bad != 0);
		}
	}
	for (int i = 0; i < COUNTERS; i++)
		assert_int_equal(finished(pids[i]), 0);
	struct db *db = opened(migrations);
	assert_int_equal(number(db, "SELECT n FROM counter"), COUNTERS * TURNS);
	db_close(db);
}

/* SQLite guards its files with POSIX locks, which vanish when any descriptor of the file is closed. Then a second
 * process believes to be the last one and deletes the WAL under the first. */
static void another_process_leaves_our_wal_alone(void **state)
{
	(void)state;
	db_close(opened(migrations));
	int gate[2];
	assert_int_equal(pipe(gate), 0);
	pid_t pid = fork(); /* before we open: SQLite keeps its own book of locks in memory */
	if (pid == 0) {
		struct db *other = NULL;
		char c;
		close(gate[1]);
		int bad = read(gate[0], &c, 1) != 0 || db_open(&other, path, migrations, DB_NORMAL, &err) ||
		          db_run(other, &err, "INSERT INTO notes (body) VALUES ('theirs')", "");
		db_close(other);
		_exit(bad != 0);
	}
	struct db *db = opened(migrations), *twin = opened(migrations);
	db_close(twin);
	close(gate[0]);
	close(gate[1]);
	assert_int_equal(finished(pid), 0);
	cleanup_free char *wal = mem_printf("%s-wal", path);
	assert_true(path_exists(wal));
	run(db, "INSERT INTO notes (body) VALUES ('ours')");
	struct db *reader = opened(migrations);
	assert_int_equal(number(reader, "SELECT count(*) FROM notes"), 2);
	db_close(reader);
	db_close(db);
}

static void backs_up_a_database_in_use(void **state)
{
	(void)state;
	db_close(opened(migrations));
	int first[2];
	assert_int_equal(pipe(first), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct db *db = NULL;
		int bad = db_open(&db, path, migrations, DB_NORMAL, &err);
		for (int i = 0; !bad; i++) { /* a note and the counter change together, until killed */
			bad = db_begin(db, &err) ||
			      db_run(db, &err, "INSERT INTO notes (body) VALUES (hex(randomblob(2000)))",
			             "") ||
			      db_run(db, &err, "UPDATE counter SET n = n + 1", "") || db_commit(db, &err);
			if (i == 20 && write(first[1], "r", 1) != 1)
				_exit(1);
		}
		_exit(1);
	}
	char c;
	close(first[1]);
	assert_int_equal(read(first[0], &c, 1), 1);
	close(first[0]);
	struct db *db = opened(migrations);
	cleanup_free char *copy = mem_printf("%s/copy.db", dir);
	int rc = db_backup(db, copy, &err);
	kill(pid, SIGKILL);
	assert_int_equal(finished(pid), 128 + SIGKILL);
	assert_int_equal(rc, 0);
	struct stat st;
	assert_int_equal(stat(copy, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(db_backup(db, copy, &err), -1);
	assert_says(ERR_EXISTS, copy);
	cleanup_free char *second = mem_printf("%s/second.db", dir), *nowhere = mem_printf("%s/no/x.db", dir);
	assert_int_equal(db_backup(db, nowhere, &err), -1);
	assert_says(ERR_NOT_FOUND, nowhere);
	assert_int_equal(db_begin(db, &err), 0);
	assert_int_equal(db_backup(db, second, &err), -1);
	assert_says(ERR_STATE, "transaction");
	assert_false(path_exists(second));
	db_close(db);
	snprintf(path, sizeof(path), "%s", copy);
	db = opened(migrations);
	cleanup_free char *check = NULL;
	assert_int_equal(db_get_text(db, &check, &err, "PRAGMA integrity_check", ""), 0);
	assert_string_equal(check, "ok");
	assert_true(number(db, "SELECT n FROM counter") >= 20);
	assert_int_equal(number(db, "SELECT n - (SELECT count(*) FROM notes) FROM counter"), 0);
	db_close(db);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(many_processes_open_at_once),
	        TEST(locked_for_too_long_is_busy),
	        TEST(killed_in_a_transaction_is_rolled_back),
	        TEST(counting_processes_lose_nothing),
	        TEST(another_process_leaves_our_wal_alone),
	        TEST(backs_up_a_database_in_use),
	};
	return cmocka_run_group_tests_name("core/db, processes", tests, NULL, NULL);
}
