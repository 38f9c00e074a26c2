/* A look at more sessions than one thread reads: among thousands that are as they should be it finds each of the few that are not. */
#include "core/clock.h"
#include "core/mem.h"
#include "sessions/lease_file.h"
#include "sessions/reap.h"
#include "sessions/test_sessions.h"
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MANY 2500

/* Which directory cannot be read to its end, 0: all can, and how many entries there are before that shows. */
static ino_t torn;
static int whole;

/* In the place of the C library's. */
struct dirent *readdir(DIR *dir)
{
	static struct dirent *(*real)(DIR *);
	struct stat s;
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "readdir");
	if (torn && fstat(dirfd(dir), &s) == 0 && s.st_ino == torn && whole-- <= 0) {
		errno = EIO;
		return NULL;
	}
	return real(dir);
}

static void name_of(int i, char name[16])
{
	snprintf(name, 16, "s%04d", i);
}

/* The time of a lease file as writing it would set it: that of the row's generation. */
static void stamp(const char *path, const char *uuid, int64_t generation)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_NOW},
	                            {.tv_sec = 1, .tv_nsec = (long)lease_file_stamp_of(uuid, generation)}};
	cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(futimens(fd, times), 0);
}

/* A kept session with its directory, a lease and a file that nobody has to read. */
static void make(struct test_state *t, int i, int64_t now)
{
	char name[16], uuid[ID_UUID_LEN + 1];
	name_of(i, name);
	id_uuid(uuid);
	cleanup_free char *dir = state_path(t->st, "sessions/%s", name),
	                  *file = mem_printf("%s/" LEASE_FILE, dir);
	assert_ok(
	        db_run(t->st->db, err,
	               "INSERT INTO sessions (uuid, name, owner, engine, state, dir, created_at, expires_at)"
	               " VALUES (?, ?, 'cli:test', 'process', 'stopped', ?, ?, ?)",
	               "tttii", uuid, name, dir, now, now + 3600000));
	assert_ok(db_run(
	        t->st->db, err,
	        "INSERT INTO leases (kind, value, session, purpose, taken_at) VALUES ('port', ?, ?, 'x', 1)",
	        "it", (int64_t)20000 + i, uuid));
	assert_ok(dir_make(dir, 0700, err));
	stamp(file, uuid, 1);
}

/* Once for all: a file system takes its time over thousands of files that come and go. Each test puts back what it changed. */
static int make_all(void **data)
{
	if (test_sessions_setup(data))
		return -1;
	struct test_state *t = *data;
	int64_t now = clock_now_ms();
	assert_ok(db_begin(t->st->db, err));
	for (int i = 0; i < MANY; i++)
		make(t, i, now);
	assert_ok(db_commit(t->st->db, err));
	assert_ok(db_run(t->st->db, err, "CREATE TEMP TABLE all_sessions AS SELECT * FROM sessions", ""));
	assert_ok(db_run(t->st->db, err, "CREATE TEMP TABLE all_leases AS SELECT * FROM leases", ""));
	return 0;
}

static int put_back(void **data)
{
	struct test_state *t = *data;
	static const char *const sql[] = {
	        "DELETE FROM sessions", "INSERT INTO sessions SELECT * FROM temp.all_sessions",
	        "DELETE FROM leases", "INSERT INTO leases SELECT * FROM temp.all_leases"};
	assert_ok(db_begin(t->st->db, err));
	for (size_t i = 0; i < ARRAY_LEN(sql); i++)
		assert_ok(db_run(t->st->db, err, sql[i], ""));
	assert_ok(db_commit(t->st->db, err));
	return 0;
}

static void assert_found(struct test_state *t, const char *const *wanted)
{
	struct reap_plan plan;
	size_t n = 0;
	assert_ok(reap_look(t->st, true, &plan, err));
	for (size_t i = 0; i < plan.n; i++)
		for (const char *const *w = wanted; plan.list[i].kind != REAP_FOREIGN && *w; w++)
			n += !strcmp(plan.list[i].what, *w);
	size_t all = 0;
	for (size_t i = 0; i < plan.n; i++)
		all += plan.list[i].kind != REAP_FOREIGN;
	size_t expected = 0;
	while (wanted[expected])
		expected++;
	assert_int_equal(n, expected);
	assert_int_equal(all, expected);
	reap_free(&plan);
}

static char *uuid_of(struct test_state *t, int i)
{
	char name[16], *uuid = NULL;
	name_of(i, name);
	assert_ok(db_get_text(t->st->db, &uuid, err, "SELECT uuid FROM sessions WHERE name = ?", "t", name));
	return uuid;
}

/* Nothing is found, and nothing was read: a file that did not seem to be its row's would have been written. */
static void all_is_well(void **data)
{
	struct test_state *t = *data;
	assert_found(t, (const char *[]){NULL});
	for (int i = 0; i < MANY; i++) {
		char name[16];
		struct stat s;
		name_of(i, name);
		cleanup_free char *file = state_path(t->st, "sessions/%s/" LEASE_FILE, name);
		assert_int_equal(stat(file, &s), 0);
		assert_int_equal(s.st_size, 0);
	}
}

/* At every place of the listing: first and last in each part, whichever thread reads it. */
static void directories_of_nobody(void **data)
{
	struct test_state *t = *data;
	static const int gone[] = {0, 1, 777, 832, 833, 1500, 1666, 2498, 2499};
	const char *wanted[2 * ARRAY_LEN(gone) + 1] = {0};
	char names[ARRAY_LEN(gone)][16];
	char *uuids[ARRAY_LEN(gone)];
	for (size_t i = 0; i < ARRAY_LEN(gone); i++) {
		name_of(gone[i], names[i]);
		uuids[i] = uuid_of(t, gone[i]);
		wanted[2 * i] = names[i];
		wanted[2 * i + 1] = uuids[i];
		assert_ok(db_run(t->st->db, err, "DELETE FROM sessions WHERE name = ?", "t", names[i]));
	}
	assert_found(t, wanted); /* directories and leases */
	for (size_t i = 0; i < ARRAY_LEN(gone); i++)
		free(uuids[i]);
}

static void directories_that_are_gone(void **data)
{
	struct test_state *t = *data;
	cleanup_free char *dir = state_path(t->st, "sessions/s2000"), *away = state_path(t->st, "away");
	assert_int_equal(rename(dir, away), 0);
	assert_found(t, (const char *[]){"s2000", NULL});
	assert_int_equal(rename(away, dir), 0);
}

/* The stamp alone says that a file is another than its row's: it is read, and found to be ahead. */
static void a_row_of_older_days(void **data)
{
	struct test_state *t = *data;
	cleanup_free char *uuid = uuid_of(t, 2222), *file = state_path(t->st, "sessions/s2222/" LEASE_FILE);
	assert_int_equal(unlink(file), 0);
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET used_at = 5 WHERE uuid = ?", "t", uuid));
	assert_ok(lease_file_write(t->st, uuid, err));
	assert_found(t, (const char *[]){NULL});
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET generation = 1 WHERE uuid = ?", "t", uuid));
	assert_found(t, (const char *[]){"s2222", NULL});
	stamp(file, uuid, 1);
}

/* Leases are compared with rows in their order: before the first, in between, behind the last, and of a start that failed. */
static void leases_of_nobody(void **data)
{
	struct test_state *t = *data;
	static const char *const strangers[] = {"00000000-0000-4000-8000-000000000000",
	                                        "7fffffff-ffff-4fff-8fff-ffffffffffff",
	                                        "ffffffff-ffff-4fff-bfff-ffffffffffff", NULL};
	for (int i = 0; strangers[i]; i++)
		assert_ok(db_run(t->st->db, err,
		                 "INSERT INTO leases (kind, value, session, purpose, taken_at)"
		                 " VALUES ('port', ?, ?, 'x', 1)",
		                 "it", (int64_t)10000 + i, strangers[i]));
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET state = 'failed' WHERE name = 's0042'", ""));
	cleanup_free char *dir = state_path(t->st, "sessions/s0042"), *away = state_path(t->st, "away");
	assert_int_equal(rename(dir, away), 0);
	assert_found(t, strangers);
	assert_int_equal(rename(away, dir), 0);
}

/* What comes after the damage is there all the same: that a directory is not seen is no proof. */
static void a_listing_that_breaks_off(void **data)
{
	struct test_state *t = *data;
	struct reap_plan plan;
	struct err err = {0};
	struct stat s;
	cleanup_free char *sessions = state_path(t->st, "sessions");
	assert_int_equal(stat(sessions, &s), 0);
	torn = s.st_ino;
	whole = MANY / 2;
	int rc = reap_look(t->st, true, &plan, &err);
	torn = 0;
	assert_int_equal(rc, -1);
	assert_int_equal(plan.n, 0);
	assert_non_null(strstr(err.msg, sessions));
}

#define T(name) cmocka_unit_test_teardown(name, put_back)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        T(all_is_well),         T(directories_of_nobody), T(directories_that_are_gone),
	        T(a_row_of_older_days), T(leases_of_nobody),      T(a_listing_that_breaks_off),
	};
	return cmocka_run_group_tests(tests, make_all, test_state_teardown);
}
