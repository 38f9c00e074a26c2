/* Rows against lease files, without anything that runs. */
#include "core/clock.h"
#include "core/mem.h"
#include "sessions/adopt.h"
#include "sessions/guard.h"
#include "sessions/lease_file.h"
#include "sessions/test_sessions.h"
#include <string.h>

/* A kept session of ${created_at} with its directory and file; its uuid goes into ${uuid}. */
static void make(struct test_state *t, const char *name, int64_t created_at, char uuid[ID_UUID_LEN + 1])
{
	cleanup_row struct session_row row = {.name = mem_strdup(name),
	                                      .owner = mem_strdup("tg:1"),
	                                      .engine = mem_strdup("process"),
	                                      .dir = state_path(t->st, "sessions/%s", name),
	                                      .spec = json_object(),
	                                      .created_at = created_at,
	                                      .expires_at = clock_now_ms() + 1000000};
	id_uuid(row.uuid);
	memcpy(uuid, row.uuid, sizeof(row.uuid));
	assert_ok(store_insert(t->st, &row, err));
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET state = 'stopped' WHERE uuid = ?", "t", uuid));
	assert_ok(dir_make(row.dir, 0700, err));
}

static void lease(struct test_state *t, const char *uuid, const char *kind, int64_t value, int64_t target)
{
	assert_ok(db_run(t->st->db, err,
	                 "INSERT INTO leases (kind, value, session, purpose, target, taken_at)"
	                 " VALUES (?, ?, ?, 'x', nullif(?, 0), 1)",
	                 "titi", kind, value, uuid, target));
}

/* The row of ${uuid}, its leases and steps are forgotten; the file stays. */
static void forget(struct test_state *t, const char *uuid)
{
	assert_ok(lease_file_write(t->st, uuid, err));
	assert_ok(db_run(t->st->db, err, "DELETE FROM sessions WHERE uuid = ?", "t", uuid));
	assert_ok(db_run(t->st->db, err, "DELETE FROM leases WHERE session = ?", "t", uuid));
}

static int adopt(struct test_state *t, const char *directory, const char *name)
{
	struct err err = {0};
	int rc = adopt_file(t->st, directory, name, NULL, &err);
	if (rc < 0)
		fail_msg("%s", err.msg);
	return rc;
}

static void assert_row(struct test_state *t, const char *uuid, const char *column, const char *wanted)
{
	cleanup_free char *sql = mem_printf("SELECT CAST(%s AS TEXT) FROM sessions WHERE uuid = ?", column),
	                  *value = NULL;
	assert_ok(db_get_text(t->st->db, &value, err, sql, "t", uuid));
	if (strcmp(value ? value : "none", wanted) != 0)
		fail_msg("%s is %s, not %s", column, value ? value : "none", wanted);
}

static int64_t leases_of(struct test_state *t, const char *uuid)
{
	int64_t n = -1;
	assert_ok(db_get_int(t->st->db, &n, err, "SELECT count(*) FROM leases WHERE session = ?", "t", uuid));
	return n;
}

#define NET 0x0ad60000 /* 10.214.0.0 */

/* A lease of one session that comes back, one of another that is there, and whether both can be. */
static const struct {
	const char *mine_kind, *other_kind;
	int64_t mine, other;
	int mine_target, other_target; /* bits of subnets that are no blocks */
	bool clash;
} cases[] = {
        {"port", "port", 20000, 20000, 0, 0, true},
        {"port", "port", 20000, 20001, 0, 0, false},
        {"port", "port", 20000, 20000, 80, 443, true},
        {"port", "port", 20000, 20010, 24, 24, false}, /* the target of a port is no size */
        {"port", "subnet", 20000, 20000, 0, 0, false},
        {"subnet", "subnet", NET, NET, 0, 0, true},
        {"subnet", "subnet", NET, NET + 64, 0, 0, false},
        {"subnet", "subnet", NET, NET + 64, 24, 0, true},
        {"subnet", "subnet", NET + 128, NET, 0, 24, true},
        {"subnet", "subnet", NET + 256, NET, 0, 24, false},
        {"subnet", "subnet", NET, NET + 255, 24, 30, true},
        {"subnet", "subnet", NET, NET + 256, 24, 30, false},
};

static void what_overlaps_has_one_owner(void **data)
{
	struct test_state *t = *data;
	for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		size_t k = i / 2;
		bool elder = i % 2; /* the one that comes back */
		char mine[ID_UUID_LEN + 1], other[ID_UUID_LEN + 1];
		make(t, "mine", elder ? 10 : 30, mine);
		lease(t, mine, cases[k].mine_kind, cases[k].mine, cases[k].mine_target);
		forget(t, mine);
		make(t, "other", 20, other);
		lease(t, other, cases[k].other_kind, cases[k].other, cases[k].other_target);
		assert_int_equal(adopt(t, "mine", "mine"), 1);
		bool loses = cases[k].clash && !elder, lost = cases[k].clash && elder;
		assert_row(t, mine, "state", loses ? "stopping" : "stopped");
		assert_row(t, other, "state", lost ? "stopping" : "stopped");
		assert_row(t, loses ? mine : other, "coalesce(reason, 'none')",
		           cases[k].clash ? REASON_CONFLICT : "none");
		assert_int_equal(leases_of(t, mine), !loses);
		assert_int_equal(leases_of(t, other), !lost);
		assert_int_equal(adopt(t, "mine", "mine"), 0);
		cleanup_free char *root = state_path(t->st, "sessions");
		assert_ok(tree_remove(root, err));
		assert_ok(db_run(t->st->db, err, "DELETE FROM sessions", ""));
		assert_ok(db_run(t->st->db, err, "DELETE FROM leases", ""));
	}
}

/* A row without a directory of its own is from older days, whatever it says. */
static void old_rows_give_way(void **data)
{
	struct test_state *t = *data;
	char mine[ID_UUID_LEN + 1], other[ID_UUID_LEN + 1];
	make(t, "mine", 30, mine);
	lease(t, mine, "port", 20000, 0);
	forget(t, mine);
	make(t, "other", 20, other);
	lease(t, other, "port", 20000, 0);
	lease(t, other, "port", 20001, 0);
	cleanup_free char *dir = state_path(t->st, "sessions/other");
	assert_ok(tree_remove(dir, err));
	assert_int_equal(adopt(t, "mine", "mine"), 1);
	assert_row(t, mine, "state", "stopped");
	assert_row(t, other, "state", "stopped"); /* the reaper ends it, with a receipt */
	assert_int_equal(leases_of(t, mine), 1);
	assert_int_equal(leases_of(t, other), 1);
	/* unless somebody is just making it */
	forget(t, mine);
	lease(t, other, "port", 20000, 0);
	int guard = GUARD_NONE;
	assert_int_equal(guard_take(t->st, "other", &guard, &(struct err){0}), 0);
	assert_int_equal(adopt(t, "mine", "mine"), 1);
	guard_release(t->st, &guard);
	assert_row(t, mine, "state", "stopping");
	assert_row(t, mine, "error", "port 20000 belongs to session other, which is older");
}

static void the_higher_generation_is_right(void **data)
{
	struct test_state *t = *data;
	char uuid[ID_UUID_LEN + 1];
	make(t, "demo", 10, uuid);
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET reason = 'file'", ""));
	assert_ok(lease_file_write(t->st, uuid, err));
	/* the row as it was */
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET reason = 'row', generation = generation - 1",
	                 ""));
	assert_int_equal(adopt(t, "demo", "nobody"), 0); /* not under this name's guard */
	assert_row(t, uuid, "reason", "row");
	assert_int_equal(adopt(t, "demo", "demo"), 1);
	assert_row(t, uuid, "reason", "file");
	assert_int_equal(adopt(t, "demo", "demo"), 0);
	/* the row ahead: the file follows */
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET reason = 'newer'", ""));
	assert_int_equal(adopt(t, "demo", "demo"), 0);
	assert_row(t, uuid, "reason", "newer");
	cleanup_json cJSON *file = NULL;
	assert_ok(lease_file_read(t->st, "demo", &file, err));
	assert_string_equal(json_text(file, "session.reason"), "newer");
	/* a start that failed has a row and no directory: a file that turns up again makes it nothing else */
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET state = 'failed'", ""));
	assert_int_equal(adopt(t, "demo", "demo"), 0);
	assert_row(t, uuid, "state", "failed");
}

/* Of two sessions that were called so, the later one is there. */
static void the_later_of_two_is_there(void **data)
{
	struct test_state *t = *data;
	char file[ID_UUID_LEN + 1], row[ID_UUID_LEN + 1];
	make(t, "elder", 10, file);
	forget(t, file);
	make(t, "elder", 20, row);
	assert_int_equal(adopt(t, "elder", "elder"), 0);
	assert_row(t, row, "state", "stopped");
	assert_row(t, file, "state", "none");
	make(t, "later", 30, file);
	forget(t, file);
	make(t, "later", 20, row);
	assert_int_equal(adopt(t, "later", "later"), 1);
	assert_row(t, file, "name", "later");
	assert_row(t, file, "state", "stopped");
}

static struct state *another; /* a connection, until it has been used */

/* Somebody else writes the row just before it is replaced. */
static int overtake(const char *sql)
{
	if (!another || strcmp(sql, "BEGIN IMMEDIATE") != 0)
		return 0;
	struct state *st = TAKE(another);
	assert_ok(
	        db_run(st->db, err, "UPDATE sessions SET reason = 'newer', generation = generation + 5", ""));
	state_close(st);
	return 0;
}

static void who_was_faster_is_left(void **data)
{
	struct test_state *t = *data;
	char uuid[ID_UUID_LEN + 1];
	make(t, "demo", 10, uuid);
	assert_ok(lease_file_write(t->st, uuid, err));
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET generation = generation - 1", ""));
	assert_ok(state_open(&another, t->cfg, err));
	db_hook = overtake;
	int rc = adopt(t, "demo", "demo");
	db_hook = NULL;
	assert_null(another);
	assert_int_equal(rc, 0);
	assert_row(t, uuid, "reason", "newer");
}

/* A file that the tables do not take changes nothing at all. */
static void what_does_not_fit_changes_nothing(void **data)
{
	struct test_state *t = *data;
	char uuid[ID_UUID_LEN + 1];
	make(t, "demo", 10, uuid);
	lease(t, uuid, "port", 20000, 0);
	assert_ok(lease_file_write(t->st, uuid, err));
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET generation = generation - 1", ""));
	cleanup_free char *path = state_path(t->st, "sessions/demo/" LEASE_FILE), *text = NULL;
	assert_ok(file_read(path, 1 << 20, &text, NULL, err));
	char *at = strstr(text, "\"taken_at\":1");
	assert_non_null(at);
	memcpy(at, "\"taken_xx\":1", strlen("\"taken_xx\":1"));
	assert_ok(file_write(path, text, strlen(text), 0600, err));
	struct err err = {0};
	assert_int_equal(adopt_file(t->st, "demo", "demo", NULL, &err), -1);
	assert_non_null(strstr(err.msg, "adopt session demo"));
	assert_row(t, uuid, "state", "stopped");
	assert_int_equal(leases_of(t, uuid), 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, test_sessions_setup, test_state_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        T(what_overlaps_has_one_owner),    T(old_rows_give_way),
	        T(the_higher_generation_is_right), T(the_later_of_two_is_there),
	        T(who_was_faster_is_left),         T(what_does_not_fit_changes_nothing),
	};
	return cmocka_run_group_tests_name("sessions/adopt", tests, NULL, NULL);
}
