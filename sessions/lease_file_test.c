#include "core/clock.h"
#include "core/mem.h"
#include "sessions/guard.h"
#include "sessions/lease_file.h"
#include "sessions/store.h"
#include "sessions/test_sessions.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A session with two leases and a directory. */
static void make(struct test_state *t, const char *name, struct session_row *row)
{
	*row = (struct session_row){.name = mem_strdup(name),
	                            .owner = mem_strdup("tg:1"),
	                            .engine = mem_strdup("process"),
	                            .dir = state_path(t->st, "sessions/%s", name),
	                            .state = SESSION_CREATING,
	                            .spec = cJSON_Parse("{\"services\":[\"a \\\"b\\\" \u00e9\"],\"n\":7}"),
	                            .job = 7,
	                            .created_at = clock_now_ms(),
	                            .expires_at = clock_now_ms() + 1000,
	                            .hard_expires_at = clock_now_ms() + 2000,
	                            .idle_ms = 500};
	id_uuid(row->uuid);
	assert_ok(store_insert(t->st, row, err));
	assert_ok(db_run(
	        t->st->db, err,
	        "INSERT INTO leases (kind, value, session, service, purpose, target, protocol, taken_at)"
	        " VALUES ('port', 20000, ?1, 'web', '80/tcp', 80, 'tcp', 5),"
	        " ('subnet', 3588000000, ?1, NULL, 'net', NULL, NULL, 5)",
	        "t", row->uuid));
	assert_ok(dir_make(row->dir, 0700, err));
}

static char *file_path(struct test_state *t, const char *name)
{
	return state_path(t->st, "sessions/%s/" LEASE_FILE, name);
}

static cJSON *file_of(struct test_state *t, const char *name)
{
	cJSON *file = NULL;
	assert_ok(lease_file_read(t->st, name, &file, err));
	assert_non_null(file);
	return file;
}

/* All of the rows, as text. */
static char *dump(struct test_state *t, const char *uuid)
{
	char *text = NULL;
	assert_ok(db_get_text(
	        t->st->db, &text, err,
	        "SELECT json_array(uuid, name, owner, engine, state, reason, error, spec, dir, created_at,"
	        " started_at, stopped_at, expires_at, hard_expires_at, idle_ms, used_at, warned_at, pinned, "
	        "pool,"
	        " generation, (SELECT json_group_array(json_array(kind, value, session, service, purpose,"
	        " taken_at, target, protocol)) FROM leases WHERE session = ?1))"
	        " FROM sessions WHERE uuid = ?1",
	        "t", uuid));
	return text;
}

static void a_row_comes_back_as_it_was(void **data)
{
	struct test_state *t = *data;
	cleanup_row struct session_row row = {0}, again = {0};
	make(t, "demo", &row);
	assert_ok(db_run(t->st->db, err,
	                 "UPDATE sessions SET pinned = 1, warned_at = 77, pool = 'x', reason = 'é \"q\"', "
	                 "started_at = 3",
	                 ""));
	assert_ok(lease_file_write(t->st, row.uuid, err));
	cleanup_free char *before = dump(t, row.uuid), *path = file_path(t, "demo");
	struct stat s;
	assert_int_equal(stat(path, &s), 0);
	assert_int_equal(s.st_mode & 07777, 0600);
	assert_ok(db_run(t->st->db, err, "DELETE FROM sessions", ""));
	assert_ok(db_run(t->st->db, err, "DELETE FROM leases", ""));
	cleanup_json cJSON *file = file_of(t, "demo");
	assert_ok(lease_file_insert(t->st, "demo", file, err));
	cleanup_free char *after = dump(t, row.uuid);
	assert_string_equal(before, after);
	assert_ok(store_by_name(t->st, "demo", &again, err));
	assert_int_equal(again.job, 0);
	assert_true(cJSON_Compare(again.spec, row.spec, true));
}

/* A column that is added to the table must not be forgotten here. */
static void every_column_is_in_the_file(void **data)
{
	static const char *const apart[] = {"dir", "job", "generation"};
	struct test_state *t = *data;
	cleanup_row struct session_row row = {0};
	cleanup_query struct query q = QUERY_INIT;
	make(t, "demo", &row);
	assert_ok(lease_file_write(t->st, row.uuid, err));
	cleanup_json cJSON *file = file_of(t, "demo");
	assert_ok(db_query(t->st->db, &q, err, "SELECT name FROM pragma_table_info('sessions')", ""));
	struct err err = {0};
	while (query_next(&q, &err) > 0) {
		const char *column = query_text(&q, 0);
		bool needed = true;
		for (size_t i = 0; i < ARRAY_LEN(apart); i++)
			needed &= strcmp(apart[i], column) != 0;
		if (needed && !json_at(json_at(file, "session"), column))
			fail_msg("column %s is not in the lease file", column);
	}
}

static void every_change_moves_the_generation(void **data)
{
	struct test_state *t = *data;
	cleanup_row struct session_row row = {0}, read = {0};
	make(t, "demo", &row);
	assert_ok(store_apply(t->st, &row, EVENT_LAUNCH, NULL, NULL, 0, err));
	assert_ok(store_expire_at(t->st, &row, 1, 2, err));
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET pinned = 1", ""));
	assert_ok(store_by_name(t->st, "demo", &read, err));
	assert_int_equal(read.generation, 4);
	/* unless it is set: that is restoring */
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET generation = 9", ""));
	cleanup_row struct session_row set = {0};
	assert_ok(store_by_name(t->st, "demo", &set, err));
	assert_int_equal(set.generation, 9);
}

static void changes_of_state_are_followed(void **data)
{
	struct test_state *t = *data;
	cleanup_row struct session_row row = {0};
	make(t, "demo", &row);
	assert_ok(store_apply(t->st, &row, EVENT_LAUNCH, NULL, NULL, 0, err));
	cleanup_json cJSON *starting = file_of(t, "demo");
	assert_string_equal(json_text(starting, "session.state"), "starting");
	assert_ok(store_apply(t->st, &row, EVENT_HEALTHY, NULL, NULL, 0, err));
	cleanup_json cJSON *running = file_of(t, "demo");
	assert_string_equal(json_text(running, "session.state"), "running");
	assert_int_equal(json_int(running, "generation", 0), 3);
	/* in a transaction of the caller's nothing is written */
	assert_ok(db_begin(t->st->db, err));
	assert_ok(store_apply(t->st, &row, EVENT_STOP, NULL, NULL, 0, err));
	db_rollback(t->st->db);
	cleanup_json cJSON *still = file_of(t, "demo");
	assert_string_equal(json_text(still, "session.state"), "running");
}

static void the_stamp_tells_the_generation(void **data)
{
	struct test_state *t = *data;
	cleanup_row struct session_row row = {0};
	cleanup_free char *root = state_path(t->st, "sessions");
	make(t, "demo", &row);
	cleanup_close int dir = open(root, O_RDONLY | O_DIRECTORY);
	assert_int_equal(lease_file_stamp(dir, "demo"), -1);
	assert_ok(lease_file_write(t->st, row.uuid, err));
	assert_int_equal(lease_file_stamp(dir, "demo"), lease_file_stamp_of(row.uuid, 1));
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET generation = 2000000005", ""));
	assert_ok(lease_file_write(t->st, row.uuid, err));
	assert_int_equal(lease_file_stamp(dir, "demo"), lease_file_stamp_of(row.uuid, 2000000005));
	assert_int_not_equal(lease_file_stamp_of(row.uuid, 4), lease_file_stamp_of(row.uuid, 5));
	/* sessions of one name have the same generations */
	assert_int_not_equal(lease_file_stamp_of("7de3f1a1-55a5-4d4f-a7b5-2bfa0f8f4a0c", 5),
	                     lease_file_stamp_of("7de3f1a1-55a5-4d4f-a7b5-2bfa0f8f4a0d", 5));
}

static void what_is_ahead_or_another_s_stays(void **data)
{
	struct test_state *t = *data;
	cleanup_row struct session_row row = {0}, other = {0};
	struct err err = {0};
	make(t, "demo", &row);
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET generation = 5", ""));
	assert_ok(lease_file_write(t->st, row.uuid, err));
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET generation = 4", ""));
	assert_int_equal(lease_file_write(t->st, row.uuid, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	assert_non_null(strstr(err.msg, "session reap"));
	cleanup_json cJSON *file = file_of(t, "demo");
	assert_int_equal(json_int(file, "generation", 0), 5);
	/* another session of that name, which a database of old days knows */
	assert_false(lease_file_foreign(t->st, "demo", row.uuid));
	assert_ok(db_run(t->st->db, err, "DELETE FROM sessions", ""));
	assert_ok(db_run(t->st->db, err, "DELETE FROM leases", ""));
	make(t, "demo", &other);
	assert_true(lease_file_foreign(t->st, "demo", other.uuid));
	err_clear(&err);
	assert_int_equal(lease_file_write(t->st, other.uuid, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	/* a row that is gone, a directory that is gone: nothing to do */
	assert_ok(lease_file_write(t->st, row.uuid, err));
	assert_ok(tree_remove(other.dir, err));
	assert_ok(lease_file_write(t->st, other.uuid, err));
	assert_false(path_exists(other.dir));
}

/* ${from} in the text of the file becomes ${to}. */
static void damaged_files_are_refused_and_replaced(void **data)
{
	static const struct {
		const char *from, *to;
	} cases[] = {{"\"version\":1", "\"version\":2"},
	             {"\"version\":1", "\"version\":\"1\""},
	             {"\"generation\":1", "\"generation\":-1"},
	             {"\"generation\":1", "\"generation\":null"},
	             {"\"name\":\"demo\"", "\"name\":\"../x\""},
	             {"\"uuid\":\"", "\"uuid\":\"x"},
	             {"\"install\":\"", "\"install\":\"x"},
	             {"\"state\":\"creating\"", "\"state\":\"failed\""},
	             {"\"state\":\"creating\"", "\"state\":7}"},
	             {"\"owner\":\"tg:1\"", "\"owner\":null"},
	             {"\"created_at\":", "\"created_at\":\"x\",\"c\":"},
	             {"\"spec\":{", "\"spec\":[],\"x\":{"},
	             {"\"leases\":[", "\"leases\":7,\"l\":["},
	             {"{", "["},
	             {"{", ""}};
	struct test_state *t = *data;
	cleanup_row struct session_row row = {0};
	cleanup_free char *path = file_path(t, "demo");
	make(t, "demo", &row);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		cJSON *file = NULL;
		cleanup_free char *text = NULL;
		assert_ok(lease_file_write(t->st, row.uuid, err));
		assert_ok(file_read(path, 1 << 20, &text, NULL, err));
		char *at = strstr(text, cases[i].from);
		assert_non_null(at);
		cleanup_free char *bad = mem_printf("%.*s%s%s", (int)(at - text), text, cases[i].to,
		                                    at + strlen(cases[i].from));
		assert_ok(file_write(path, bad, strlen(bad), 0600, err));
		if (lease_file_read(t->st, "demo", &file, &err) != -1 || err.code != ERR_INVALID || file)
			fail_msg("taken: %s for %s", cases[i].to, cases[i].from);
		assert_false(lease_file_foreign(t->st, "demo", row.uuid));
	}
	assert_ok(lease_file_write(t->st, row.uuid, err));
	cJSON_Delete(file_of(t, "demo"));
}

static void sizes_and_kinds_of_files(void **data)
{
	struct test_state *t = *data;
	cleanup_row struct session_row row = {0};
	cleanup_free char *path = file_path(t, "demo");
	struct err err = {0};
	cJSON *file = NULL;
	make(t, "demo", &row);
	assert_ok(lease_file_read(t->st, "demo", &file, err));
	assert_null(file);
	assert_ok(lease_file_read(t->st, "nobody", &file, err));
	assert_null(file);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, (off_t)1 << 30), 0);
	close(fd);
	assert_int_equal(lease_file_read(t->st, "demo", &file, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_ok(lease_file_write(t->st, row.uuid, err));
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	err_clear(&err);
	assert_int_equal(lease_file_write(t->st, row.uuid, &err), -1);
}

/* A file of an earlier version has fewer columns. */
static void what_a_file_does_not_say_is_as_in_a_new_row(void **data)
{
	struct test_state *t = *data;
	cleanup_row struct session_row row = {0};
	make(t, "demo", &row);
	assert_ok(lease_file_write(t->st, row.uuid, err));
	cleanup_free char *before = dump(t, row.uuid);
	assert_ok(db_run(t->st->db, err, "DELETE FROM sessions", ""));
	assert_ok(db_run(t->st->db, err, "DELETE FROM leases", ""));
	cleanup_json cJSON *file = file_of(t, "demo");
	static const char *const newer[] = {"pinned", "promised_bytes", "pool", "chat", "stack"};
	for (size_t i = 0; i < ARRAY_LEN(newer); i++)
		cJSON_DeleteItemFromObject(cJSON_GetObjectItem(file, "session"), newer[i]);
	assert_ok(lease_file_insert(t->st, "demo", file, err));
	cleanup_free char *after = dump(t, row.uuid);
	assert_string_equal(before, after);
}

/* Types that the tables do not take, a lease that somebody has: nothing is half done. */
static void what_does_not_fit_is_refused(void **data)
{
	static const char *const wrong[] = {"session.idle_ms", "session.used_at", "leases.0.value",
	                                    "leases.0.kind"};
	struct test_state *t = *data;
	cleanup_row struct session_row row = {0};
	make(t, "demo", &row);
	assert_ok(lease_file_write(t->st, row.uuid, err));
	assert_ok(db_run(t->st->db, err, "DELETE FROM sessions", ""));
	for (size_t i = 0; i <= ARRAY_LEN(wrong); i++) {
		cleanup_json cJSON *file = file_of(t, "demo");
		struct err err = {0};
		if (i < ARRAY_LEN(wrong)) {
			cJSON *bad = (cJSON *)json_at(file, wrong[i]);
			assert_ok(db_run(t->st->db, err, "DELETE FROM leases", ""));
			bad->type = cJSON_String;
			bad->valuestring = mem_strdup("nonsense");
		} else {
			assert_ok(db_run(t->st->db, err,
			                 "INSERT INTO leases (kind, value, session, purpose, taken_at)"
			                 " VALUES ('port', 20000, 'x', 'y', 1)",
			                 ""));
		}
		assert_ok(db_begin(t->st->db, err));
		assert_int_equal(lease_file_insert(t->st, "demo", file, &err), -1);
		assert_int_equal(err.code, i < ARRAY_LEN(wrong) ? ERR_DB : ERR_EXISTS);
		db_rollback(t->st->db);
	}
}

/* Who has the guard writes; others leave it to him. */
static void without_the_guard_nothing_is_written(void **data)
{
	struct test_state *t = *data;
	cleanup_row struct session_row row = {0};
	cleanup_free char *path = file_path(t, "demo");
	int guard = GUARD_NONE;
	make(t, "demo", &row);
	assert_int_equal(guard_take(t->st, "demo", &guard, &(struct err){0}), 0);
	lease_file_sync(t->st, "demo", row.uuid);
	assert_false(path_exists(path));
	guard_release(t->st, &guard);
	lease_file_sync(t->st, "demo", row.uuid);
	assert_true(path_exists(path));
}

#define T(name) cmocka_unit_test_setup_teardown(name, test_sessions_setup, test_state_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        T(a_row_comes_back_as_it_was),
	        T(every_column_is_in_the_file),
	        T(every_change_moves_the_generation),
	        T(changes_of_state_are_followed),
	        T(the_stamp_tells_the_generation),
	        T(what_is_ahead_or_another_s_stays),
	        T(damaged_files_are_refused_and_replaced),
	        T(sizes_and_kinds_of_files),
	        T(what_a_file_does_not_say_is_as_in_a_new_row),
	        T(what_does_not_fit_is_refused),
	        T(without_the_guard_nothing_is_written),
	};
	return cmocka_run_group_tests_name("sessions/lease_file", tests, NULL, NULL);
}
