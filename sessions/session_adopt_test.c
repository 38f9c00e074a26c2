/* The database is gone, or an old one: what stands beside the files brings the sessions back, and what is not there any more does
 * not come back. Sessions of processes; those of containers are in session_reconcile_test.c. */
#include "sessions/adopt.h"
#include "sessions/lease_file.h"
#include "sessions/test_rollback.h"

#define GATEWAY ",\"services\":[\"gateway\"]}"

static void start(struct test_state *t, const char *name)
{
	cleanup_free char *args = mem_printf("{\"name\":\"%s\"" GATEWAY, name);
	does(t, "session.start", args);
}

static void keep(struct test_state *t, const char *name)
{
	cleanup_free char *args = mem_printf("{\"name\":\"%s\",\"keep\":true}", name);
	does(t, "session.stop", args);
}

static char *text(struct test_state *t, const char *name, const char *column)
{
	char *value = NULL;
	cleanup_free char *sql = mem_printf("SELECT CAST(%s AS TEXT) FROM sessions WHERE name = ?", column);
	assert_ok(db_get_text(t->st->db, &value, err, sql, "t", name));
	return value;
}

static void assert_is(struct test_state *t, const char *name, const char *column, const char *wanted)
{
	cleanup_free char *value = text(t, name, column);
	if (!value || strcmp(value, wanted) != 0)
		fail_msg("%s of session %s is %s, not %s", column, name, value ? value : "NULL", wanted);
}

/* Names of all rows, "a b c". */
static void assert_sessions(struct test_state *t, const char *wanted)
{
	cleanup_free char *names = NULL;
	assert_ok(db_get_text(
	        t->st->db, &names, err,
	        "SELECT coalesce(group_concat(name, ' '), '') FROM (SELECT name FROM sessions ORDER BY name)",
	        ""));
	assert_string_equal(names, wanted);
}

static cJSON *reap(struct test_state *t)
{
	return run(t, "session.reap", "{}");
}

static void assert_reaped(const cJSON *reaped, int removed, int adopted, int orphans)
{
	cleanup_free char *shown = json_print_pretty(reaped);
	if (cJSON_GetArraySize(json_at(reaped, "removed")) != removed ||
	    json_int(reaped, "adopted", -1) != adopted || json_int(reaped, "orphans", -1) != orphans)
		fail_msg("%s", shown);
}

/* A second reap finds nothing to do. */
static void assert_settled(struct test_state *t)
{
	cleanup_json cJSON *again = reap(t);
	assert_reaped(again, 0, 0, 0);
	assert_ok(session_reap_task.look(t->st, err));
	assert_int_equal(count(t, "SELECT count(*) FROM jobs WHERE state = 'queued'"), 0);
}

static const cJSON *action(const cJSON *reaped, const char *what, const char *name)
{
	const cJSON *one;
	cJSON_ArrayForEach(one, json_at(reaped, "actions"))
	{
		if (!strcmp(json_text(one, "action"), what) && !strcmp(json_text(one, "name"), name))
			return one;
	}
	return NULL;
}

static void start_killed(struct test_state *t, const char *name, const char *point)
{
	cleanup_free char *args = mem_printf("{\"name\":\"%s\"" GATEWAY, name);
	int status = wait_for(spawn_job(enqueue(t, "session.start", args), point));
	assert_true(WIFSIGNALED(status));
}

static void the_database_is_gone(void **data)
{
	struct test_state *t = *data;
	start(t, "runs");
	start(t, "kept");
	keep(t, "kept");
	does(t, "session.extend", "{\"name\":\"runs\",\"minutes\":100}");
	start_killed(t, "half", "healthy");
	cleanup_free char *uuid = text(t, "runs", "uuid"), *expires = text(t, "runs", "expires_at"),
	                  *owner = text(t, "runs", "owner"), *generation = text(t, "runs", "generation");
	int64_t leases = count(t, "SELECT count(*) FROM leases l JOIN sessions s ON s.uuid = l.session"
	                          " WHERE s.name IN ('runs', 'kept')");
	lose_database(t);
	cleanup_json cJSON *dry = run(t, "session.reap", "{\"dry_run\":true}");
	assert_reaped(dry, 1, 3, 0);
	assert_int_equal(json_int(dry, "kept", -1), 2);
	assert_string_equal(json_text(action(dry, "adopt", "runs"), "uuid"), uuid);
	assert_string_equal(json_text(action(dry, "remove", "half"), "why"), "interrupted");
	assert_null(json_at(action(dry, "adopt", "runs"), "done"));
	assert_sessions(t, "");
	cleanup_json cJSON *r = reap(t);
	assert_reaped(r, 1, 3, 0);
	assert_true(json_bool(action(r, "adopt", "runs"), "done", false));
	assert_clean(json_at(only_removed(r), "receipt"));
	assert_sessions(t, "kept runs");
	assert_is(t, "runs", "uuid", uuid);
	assert_is(t, "runs", "expires_at", expires);
	assert_is(t, "runs", "owner", owner);
	assert_is(t, "runs", "generation", generation);
	assert_is(t, "runs", "state", "running");
	assert_is(t, "kept", "state", "stopped");
	assert_int_equal(count(t, "SELECT count(*) FROM leases"), leases);
	assert_int_equal(processes(t), 2);
	assert_settled(t);
	/* they are like any others */
	does(t, "session.start", "{\"name\":\"kept\"}");
	start(t, "new");
	assert_int_equal(processes(t), 6);
	stop_clean(t, "runs");
	stop_clean(t, "kept");
	stop_clean(t, "new");
	assert_nothing_left(t);
}

static void the_database_is_an_old_one(void **data)
{
	struct test_state *t = *data;
	start(t, "removed");   /* later removed */
	start(t, "forgotten"); /* kept, later removed */
	keep(t, "forgotten");
	start(t, "again"); /* later removed and made anew */
	start(t, "moved"); /* later extended and kept */
	start(t, "same");
	start_killed(t, "late", "launch"); /* running in the end */
	cleanup_free char *first = text(t, "again", "uuid"), *same = text(t, "same", "generation");
	back_up(t);
	does(t, "session.reap", "{}");
	start(t, "late");
	stop_clean(t, "removed");
	stop_clean(t, "forgotten");
	stop_clean(t, "again");
	start(t, "again");
	does(t, "session.extend", "{\"name\":\"moved\",\"minutes\":100}");
	keep(t, "moved");
	start(t, "younger"); /* takes what was removed's ports */
	cleanup_free char *second = text(t, "again", "uuid"), *expires = text(t, "moved", "expires_at");
	int64_t leases = count(t, "SELECT count(*) FROM leases");
	assert_string_not_equal(first, second);
	int before = processes(t);
	roll_back(t);
	assert_is(t, "again", "uuid", first);
	assert_is(t, "late", "state", "starting");
	cleanup_json cJSON *dry = run(t, "session.reap", "{\"dry_run\":true}");
	assert_is(t, "again", "uuid", first);
	cleanup_json cJSON *r = reap(t);
	assert_sessions(t, "again late moved same younger");
	assert_is(t, "again", "uuid", second);
	assert_is(t, "again", "state", "running");
	assert_is(t, "late", "state", "running");
	assert_is(t, "moved", "state", "stopped");
	assert_is(t, "moved", "expires_at", expires);
	assert_is(t, "same", "generation", same);
	assert_is(t, "younger", "state", "running");
	assert_int_equal(processes(t), before);
	assert_int_equal(count(t, "SELECT count(*) FROM leases"), leases);
	/* what the plan said of those that are dead was done */
	static const char *const dead[] = {"removed", "forgotten"};
	for (size_t i = 0; i < ARRAY_LEN(dead); i++) {
		assert_non_null(action(dry, "remove", dead[i]));
		assert_true(json_bool(action(r, "remove", dead[i]), "done", false));
	}
	assert_string_equal(json_text(action(r, "remove", "forgotten"), "why"), "lost");
	assert_settled(t);
	static const char *const alive[] = {"again", "late", "moved", "same", "younger"};
	for (size_t i = 0; i < ARRAY_LEN(alive); i++)
		stop_clean(t, alive[i]);
	assert_nothing_left(t);
}

/* Without its directory a session of processes cannot be managed. Those of another installation are not ours. */
static void only_processes_are_left(void **data)
{
	struct test_state *t = *data;
	char install[ID_UUID_LEN + 1], session[ID_UUID_LEN + 1];
	id_uuid(install);
	id_uuid(session);
	cleanup_free char *sessions = state_path(t->st, "sessions"),
	                  *marker = mem_printf(MARKER_KEY "=%s.%s", install, session);
	const char *argv[] = {"sleep", "600", NULL}, *env[] = {marker, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = argv;
	spec.env = env;
	pid_t stranger = 0;
	assert_ok(proc_spawn(&spec, &stranger, err));
	start(t, "demo");
	lose_database(t);
	assert_ok(tree_remove(sessions, err));
	cleanup_json cJSON *r = reap(t);
	assert_reaped(r, 0, 0, 1);
	assert_non_null(action(r, "leave", strchr(marker, '=') + 1));
	assert_true(json_int(r, "foreign", 0) >= 1);
	assert_nothing_left(t);
	assert_int_equal(waitpid(stranger, NULL, WNOHANG), 0);
	kill(stranger, SIGKILL);
	wait_for(stranger);
}

/* A port that was leased again while the database did not know of it. */
static void of_two_owners_the_younger_loses(void **data)
{
	struct test_state *t = *data;
	start(t, "old");
	keep(t, "old"); /* or else nobody could have bound its ports */
	cleanup_free char *file = state_path(t->st, "sessions/old/" LEASE_FILE), *there = NULL;
	size_t len = 0;
	assert_ok(file_read(file, 1 << 20, &there, &len, err));
	int64_t low = count(t, "SELECT min(value) FROM leases"), n = count(t, "SELECT count(*) FROM leases");
	lose_database(t);
	start(t, "young");
	assert_int_equal(count(t, "SELECT min(value) FROM leases"), low);
	cleanup_json cJSON *r = reap(t);
	assert_reaped(r, 1, 1, 0);
	assert_string_equal(json_text(only_removed(r), "name"), "young");
	assert_string_equal(json_text(only_removed(r), "reason"), REASON_CONFLICT);
	assert_non_null(strstr(json_text_or(action(r, "adopt", "old"), "also", ""),
	                       "session young is taken down, for port"));
	assert_int_equal(count(t, "SELECT count(*) FROM leases"), n);
	assert_sessions(t, "old");
	assert_settled(t);
	/* the other way round: the one that comes back is the younger */
	start(t, "other");
	assert_ok(db_run(t->st->db, err, "DELETE FROM sessions WHERE name = 'old'", ""));
	assert_ok(db_run(t->st->db, err,
	                 "UPDATE leases SET session = (SELECT uuid FROM sessions WHERE name = 'other')", ""));
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET created_at = 5", ""));
	cleanup_json cJSON *back = reap(t);
	assert_reaped(back, 1, 1, 0);
	assert_string_equal(json_text(only_removed(back), "name"), "old");
	assert_string_equal(json_text(only_removed(back), "reason"), REASON_CONFLICT);
	assert_sessions(t, "other");
	assert_int_equal(processes(t), 2);
	stop_clean(t, "other");
	assert_nothing_left(t);
}

/* Two that are there, of one name: a person put the directory of one aside, say. */
static void of_two_names_one_is_changed(void **data)
{
	struct test_state *t = *data;
	start(t, "demo");
	keep(t, "demo");
	cleanup_free char *uuid = text(t, "demo", "uuid"), *was = state_path(t->st, "sessions/demo"),
	                  *aside = state_path(t->st, "sessions/aside");
	assert_int_equal(rename(was, aside), 0);
	assert_ok(db_run(t->st->db, err, "DELETE FROM sessions", ""));
	assert_ok(db_run(t->st->db, err, "DELETE FROM leases", ""));
	assert_ok(db_run(t->st->db, err, "DELETE FROM session_steps", ""));
	test_sessions_set(t, "SESSION_PORT_RANGE", "9000-9159");
	start(t, "demo");
	cleanup_free char *renamed = mem_printf("demo-%.6s", uuid), *both = mem_printf("demo %s", renamed);
	cleanup_json cJSON *r = reap(t);
	assert_reaped(r, 0, 1, 0);
	assert_sessions(t, both);
	assert_is(t, renamed, "uuid", uuid);
	assert_settled(t);
	stop_clean(t, renamed);
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

/* Nobody has reaped yet: an operation finds the session all the same. */
static void operations_need_no_reaper(void **data)
{
	struct test_state *t = *data;
	start(t, "a");
	start(t, "b");
	start(t, "c");
	back_up(t);
	does(t, "session.extend", "{\"name\":\"c\",\"minutes\":100}");
	cleanup_free char *expires = text(t, "c", "expires_at");
	lose_database(t);
	stop_clean(t, "a");
	does(t, "session.restart", "{\"name\":\"b\"}");
	assert_is(t, "b", "state", "running");
	refused(t, "session.start", "{\"name\":\"c\"" GATEWAY, ERR_EXISTS, "session c exists: running");
	stop_clean(t, "b");
	refused(t, "session.stop", "{\"name\":\"nobody\"}", ERR_NOT_FOUND, "no session nobody");
	/* an extension of a row of old days is one of what it was extended to */
	roll_back(t);
	does(t, "session.extend", "{\"name\":\"c\",\"minutes\":1}");
	assert_true(count(t, "SELECT expires_at FROM sessions WHERE name = 'c'") == atoll(expires) + 60000);
	stop_clean(t, "c");
	cleanup_json cJSON *r = reap(t);
	assert_sessions(t, "");
	assert_nothing_left(t);
}

/* A change of an old row would make it as new as the file: what that says would be lost. */
static void old_rows_are_not_changed(void **data)
{
	struct test_state *t = *data;
	start(t, "a");
	for (int pin = 0; pin < 2; pin++) {
		back_up(t);
		does(t, "session.extend", "{\"name\":\"a\",\"minutes\":100}");
		cleanup_free char *expires = text(t, "a", "expires_at");
		roll_back(t);
		if (pin)
			does(t, "session.pin", "{\"name\":\"a\"}");
		else
			session_touch(t->st, "a");
		cJSON_Delete(reap(t));
		assert_is(t, "a", "expires_at", expires);
		assert_int_equal(count(t, "SELECT pinned FROM sessions"), pin);
	}
	stop_clean(t, "a");
	assert_nothing_left(t);
}

/* A job of the backup that was under way then is run again: it must not take down what it did not start. */
static void an_old_job_takes_nothing_down(void **data)
{
	struct test_state *t = *data;
	int64_t id = enqueue(t, "session.start", "{\"name\":\"demo\"" GATEWAY);
	int status = wait_for(spawn_job(id, "healthy.done"));
	assert_true(WIFSIGNALED(status));
	back_up(t);
	assert_ok(jobs_recover(t->st, kinds, err) < 0);
	assert_int_equal(wait_for(spawn_job(id, NULL)), 0);
	job_ended(t, id, JOB_DONE);
	cleanup_free char *uuid = text(t, "demo", "uuid");
	int before = processes(t);
	roll_back(t);
	assert_ok(jobs_recover(t->st, kinds, err) < 0);
	wait_for(spawn_job(id, NULL));
	job_ended(t, id, JOB_FAILED);
	assert_is(t, "demo", "uuid", uuid);
	assert_is(t, "demo", "state", "running");
	assert_int_equal(processes(t), before);
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

/* What they were asked to stop is gone; the name is another session's. */
static void old_stops_and_restarts_mean_old_sessions(void **data)
{
	struct test_state *t = *data;
	static const char *const kinds_of[] = {"session.stop", "session.restart"};
	for (size_t i = 0; i < ARRAY_LEN(kinds_of); i++) {
		start(t, "demo");
		int64_t id = enqueue(t, kinds_of[i], "{\"name\":\"demo\"}");
		back_up(t);
		stop_clean(t, "demo");
		start(t, "demo");
		cleanup_free char *uuid = text(t, "demo", "uuid"), *began = text(t, "demo", "started_at");
		roll_back(t);
		wait_for(spawn_job(id, NULL));
		job_ended(t, id, JOB_FAILED);
		assert_is(t, "demo", "uuid", uuid);
		assert_is(t, "demo", "started_at", began);
		stop_clean(t, "demo");
		assert_nothing_left(t);
	}
}

static void a_damaged_file_is_none(void **data)
{
	struct test_state *t = *data;
	start(t, "demo");
	cleanup_free char *file = state_path(t->st, "sessions/demo/" LEASE_FILE);
	assert_ok(file_write(file, "{", 1, 0600, err));
	/* its row is there: it is written again */
	assert_settled(t);
	cleanup_json cJSON *whole = NULL;
	assert_ok(lease_file_read(t->st, "demo", &whole, err));
	assert_non_null(whole);
	assert_ok(file_write(file, "{", 1, 0600, err));
	lose_database(t);
	cleanup_json cJSON *r = reap(t);
	assert_reaped(r, 0, 0, 2); /* processes, directory */
	assert_nothing_left(t);
}

/* On which whoever opened it would wait for a writer, every half minute. */
static void a_fifo_holds_nobody_up(void **data)
{
	struct test_state *t = *data;
	start(t, "demo");
	cleanup_free char *file = state_path(t->st, "sessions/demo/" LEASE_FILE);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(mkfifo(file, 0600), 0);
	alarm(60);
	assert_settled(t);
	alarm(0);
	cleanup_json cJSON *whole = NULL;
	assert_ok(lease_file_read(t->st, "demo", &whole, err));
	assert_non_null(whole);
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

static int64_t stamp(struct test_state *t)
{
	cleanup_free char *uuid = text(t, "demo", "uuid");
	return lease_file_stamp_of(uuid, count(t, "SELECT generation FROM sessions"));
}

/* Files that are behind are written by the look: a touch leaves them so, and sessions of an earlier version have none. */
static void files_follow_their_rows(void **data)
{
	struct test_state *t = *data;
	start(t, "demo");
	cleanup_free char *file = state_path(t->st, "sessions/demo/" LEASE_FILE);
	cleanup_free char *root = state_path(t->st, "sessions");
	cleanup_close int dir = open(root, O_RDONLY | O_DIRECTORY);
	session_touch(t->st, "demo");
	assert_int_not_equal(lease_file_stamp(dir, "demo"), stamp(t));
	assert_ok(session_reap_task.look(t->st, err));
	assert_int_equal(lease_file_stamp(dir, "demo"), stamp(t));
	unlink(file);
	assert_ok(session_reap_task.look(t->st, err));
	assert_int_equal(lease_file_stamp(dir, "demo"), stamp(t));
	assert_int_equal(count(t, "SELECT count(*) FROM jobs WHERE state = 'queued'"), 0);
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

/* Two reapers and many starts and stops at once: nothing is an orphan, nothing is adopted, nobody is in the way. */
static void reapers_among_starts(void **data)
{
	struct test_state *t = *data;
	enum { SESSIONS = 6, REAPERS = 2, ROUNDS = 3 };
	pid_t pids[SESSIONS + REAPERS];
	int64_t ids[SESSIONS + REAPERS];
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < SESSIONS; i++) {
			cleanup_free char *args = round % 2 ? mem_printf("{\"name\":\"s%d\"}", i)
			                                    : mem_printf("{\"name\":\"s%d\"" GATEWAY, i);
			ids[i] = enqueue(t, round % 2 ? "session.stop" : "session.start", args);
		}
		for (int i = SESSIONS; i < SESSIONS + REAPERS; i++)
			ids[i] = enqueue(t, "session.reap", "{}");
		for (int i = 0; i < SESSIONS + REAPERS; i++)
			pids[i] = spawn_job(ids[i], NULL);
		for (int i = 0; i < SESSIONS + REAPERS; i++)
			assert_int_equal(wait_for(pids[i]), 0);
		for (int i = 0; i < SESSIONS + REAPERS; i++)
			job_ended(t, ids[i], JOB_DONE);
		assert_int_equal(
		        count(t,
		              "SELECT count(*) FROM jobs WHERE kind = 'session.reap' AND state = 'done' AND"
		              " (json_extract(result, '$.orphans') <> 0 OR json_extract(result, '$.adopted') "
		              "<> 0"
		              " OR json_array_length(result, '$.removed') <> 0)"),
		        0);
		assert_int_equal(processes(t), round % 2 ? 0 : 2 * SESSIONS);
	}
	for (int i = 0; i < SESSIONS; i++) {
		cleanup_free char *name = mem_printf("s%d", i);
		stop_clean(t, name);
	}
	assert_nothing_left(t);
}

/* All lost, and two reapers at once bring all back once. */
static void two_reapers_adopt_once(void **data)
{
	struct test_state *t = *data;
	enum { SESSIONS = 4, REAPERS = 3 };
	pid_t pids[REAPERS];
	for (int i = 0; i < SESSIONS; i++) {
		cleanup_free char *name = mem_printf("s%d", i);
		start(t, name);
	}
	int64_t leases = count(t, "SELECT count(*) FROM leases");
	lose_database(t);
	for (int i = 0; i < REAPERS; i++)
		pids[i] = spawn_job(enqueue(t, "session.reap", "{}"), NULL);
	for (int i = 0; i < REAPERS; i++)
		assert_int_equal(wait_for(pids[i]), 0);
	assert_int_equal(count(t, "SELECT sum(json_extract(result, '$.adopted')) FROM jobs"), SESSIONS);
	assert_int_equal(count(t, "SELECT sum(json_array_length(result, '$.removed')) FROM jobs"), 0);
	assert_sessions(t, "s0 s1 s2 s3");
	assert_int_equal(count(t, "SELECT count(*) FROM leases"), leases);
	assert_settled(t);
	for (int i = 0; i < SESSIONS; i++) {
		cleanup_free char *name = mem_printf("s%d", i);
		stop_clean(t, name);
	}
	assert_nothing_left(t);
}

/* What was expired when the database was lost is removed with its receipt. */
static void what_expired_meanwhile_is_removed(void **data)
{
	struct test_state *t = *data;
	start(t, "demo");
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET expires_at = 5, hard_expires_at = 5", ""));
	assert_ok(session_reap_task.look(t->st, err)); /* the file follows */
	lose_database(t);
	cleanup_json cJSON *r = reap(t);
	assert_reaped(r, 1, 1, 0);
	assert_string_equal(json_text(only_removed(r), "reason"), "expired");
	assert_clean(json_at(only_removed(r), "receipt"));
	assert_nothing_left(t);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return again_main(argc, argv);
	const struct CMUnitTest tests[] = {
	        T(the_database_is_gone),
	        T(the_database_is_an_old_one),
	        T(only_processes_are_left),
	        T(of_two_owners_the_younger_loses),
	        T(of_two_names_one_is_changed),
	        T(operations_need_no_reaper),
	        T(old_rows_are_not_changed),
	        T(an_old_job_takes_nothing_down),
	        T(old_stops_and_restarts_mean_old_sessions),
	        T(a_damaged_file_is_none),
	        T(a_fifo_holds_nobody_up),
	        T(files_follow_their_rows),
	        T(reapers_among_starts),
	        T(two_reapers_adopt_once),
	        T(what_expired_meanwhile_is_removed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
