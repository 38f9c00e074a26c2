/* Killed at every recorded step, crashed, expired, orphaned: nothing may stay. */
#include "sessions/test_stack.h"
#include <sqlite3.h>

/* -- killed at every recorded step -- */

static const char *const up_points[] = {"directory", "directory.done", "prepare", "prepare.done",
                                        "launch",    "launch.done",    "healthy", "healthy.done"};
static const char *const down_points[] = {"services", "services.done", "files", "files.done"};

static void killed(struct test_state *t, int64_t id, const char *point)
{
	int status = wait_for(spawn_job(id, point));
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail_msg("job was not killed at %s", point);
	assert_ok(jobs_recover(t->st, kinds, err) < 0);
}

static void killed_start_is_finished(void **data)
{
	struct test_state *t = *data;
	for (size_t i = 0; i < ARRAY_LEN(up_points); i++) {
		int64_t id = enqueue(t, "session.start", "{\"name\":\"demo\"}");
		killed(t, id, up_points[i]);
		assert_int_equal(wait_for(spawn_job(id, NULL)), 0);
		job_ended(t, id, JOB_DONE);
		assert_int_equal(processes(t), 5);
		stop_clean(t, "demo");
		assert_nothing_left(t);
	}
}

static void killed_start_is_undone(void **data)
{
	struct test_state *t = *data;
	for (size_t i = 0; i < ARRAY_LEN(up_points); i++) {
		int64_t id = enqueue(t, "session.start", "{}");
		int status = wait_for(spawn_job(id, up_points[i]));
		assert_true(WIFSIGNALED(status));
		struct err ignored = {0};
		jobs_cancel(t->st, id, "cli:test", &ignored);
		assert_ok(jobs_recover(t->st, kinds, err) < 0);
		int after = wait_for(spawn_job(id, NULL));
		(void)after;
		job_ended(t, id, JOB_CANCELLED);
		assert_nothing_left(t);
	}
}

/* Who stops it in a terminal waits for the turn of a start that has no process any more and is undone by that: then it is gone, as
 * was asked. */
static void killed_start_is_stopped(void **data)
{
	struct test_state *t = *data;
	cleanup_json cJSON *args = cJSON_Parse("{\"name\":\"demo\"}"), *result = NULL;
	struct job_request stop = {
	        .kind = "session.stop", .args = args, .owner = "cli:test", .session = "demo"};
	int64_t id = enqueue(t, "session.start", "{\"name\":\"demo\"}");
	assert_ok(db_run(t->st->db, err, "UPDATE jobs SET session = 'demo'", ""));
	int status = wait_for(spawn_job(id, "launch.done"));
	assert_true(WIFSIGNALED(status));
	assert_ok(jobs_cancel(t->st, id, "cli:test", err));
	assert_ok(jobs_run(t->st, kinds, &stop, NULL, NULL, &result, err));
	job_ended(t, id, JOB_CANCELLED);
	assert_clean(json_at(result, "receipt"));
	assert_nothing_left(t);
	refused(t, "session.stop", "{\"name\":\"demo\"}", ERR_NOT_FOUND, "was removed");
}

static void killed_stop_is_finished(void **data)
{
	struct test_state *t = *data;
	for (size_t i = 0; i < ARRAY_LEN(down_points); i++) {
		does(t, "session.start", "{\"name\":\"demo\"}");
		int64_t id = enqueue(t, "session.stop", "{\"name\":\"demo\"}");
		killed(t, id, down_points[i]);
		assert_int_equal(wait_for(spawn_job(id, NULL)), 0);
		job_ended(t, id, JOB_DONE);
		assert_nothing_left(t);
	}
}

static void killed_resume_keeps_the_session(void **data)
{
	struct test_state *t = *data;
	does(t, "session.start", "{\"name\":\"demo\"}");
	static const char *const points[] = {"launch", "launch.done", "healthy", "healthy.done"};
	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		does(t, "session.stop", "{\"name\":\"demo\",\"keep\":true}");
		int64_t id = enqueue(t, "session.start", "{\"name\":\"demo\"}");
		int status = wait_for(spawn_job(id, points[i]));
		assert_true(WIFSIGNALED(status));
		/* the reaper stops it, but does not remove it; its job, run again, resumes it */
		cleanup_json cJSON *reaped = run(t, "session.reap", "{}");
		assert_int_equal(cJSON_GetArraySize(json_at(reaped, "removed")), 0);
		assert_ok(jobs_recover(t->st, kinds, err) < 0);
		assert_int_equal(wait_for(spawn_job(id, NULL)), 0);
		job_ended(t, id, JOB_DONE);
		assert_int_equal(processes(t), 5);
	}
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

/* One wish, however often its job is begun. */
static void killed_extend_extends_once(void **data)
{
	struct test_state *t = *data;
	static const char *const points[] = {"extend", "extend.done"};
	does(t, "session.start", "{\"name\":\"demo\",\"services\":[\"gateway\"]}");
	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		int64_t before = count(t, "SELECT expires_at FROM sessions");
		int64_t id = enqueue(t, "session.extend", "{\"name\":\"demo\",\"minutes\":30}");
		killed(t, id, points[i]);
		assert_int_equal(wait_for(spawn_job(id, NULL)), 0);
		job_ended(t, id, JOB_DONE);
		assert_int_equal(count(t, "SELECT expires_at FROM sessions") - before, 30 * 60000);
	}
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

/* -- a database that cannot be written -- */

static int no_change_of_state(const char *sql)
{
	return strncmp(sql, "UPDATE sessions SET state", 25) ? SQLITE_OK : SQLITE_FULL;
}

/* What runs and is used is not ended before that can be recorded. */
static void an_unrecorded_stop_ends_nothing(void **data)
{
	struct test_state *t = *data;
	cleanup_free char *plan = state_path(t->st, "sessions/demo/plan.json");
	does(t, "session.start", "{\"name\":\"demo\"}");
	db_hook = no_change_of_state;
	refused(t, "session.stop", "{\"name\":\"demo\"}", ERR_IO, "no space left");
	db_hook = NULL;
	assert_int_equal(processes(t), 5);
	assert_true(path_exists(plan));
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

/* -- reaping -- */

static void expire(struct test_state *t, const char *set)
{
	cleanup_free char *sql = mem_printf("UPDATE sessions SET %s", set);
	assert_ok(db_run(t->st->db, err, sql, ""));
}

static void reap_expired(void **data)
{
	struct test_state *t = *data;
	does(t, "session.start", "{\"name\":\"old\",\"services\":[\"gateway\"]}");
	does(t, "session.start", "{\"name\":\"young\",\"services\":[\"gateway\"]}");
	expire(t, "expires_at = 1, hard_expires_at = 1 WHERE name = 'old'");
	cleanup_json cJSON *dry = run(t, "session.reap", "{\"dry_run\":true}");
	assert_string_equal(json_text(only_removed(dry), "name"), "old");
	assert_int_equal(json_int(dry, "kept", -1), 1);
	assert_int_equal(processes(t), 4);
	cleanup_json cJSON *r = run(t, "session.reap", "{}");
	assert_string_equal(json_text(only_removed(r), "reason"), "expired");
	assert_clean(json_at(only_removed(r), "receipt"));
	assert_int_equal(json_int(r, "kept", -1), 1);
	assert_int_equal(processes(t), 2);

	/* idle by the clock, but somebody wrote in it */
	expire(t, "expires_at = 1, used_at = 1");
	cleanup_free char *db = state_path(t->st, "sessions/young/state/telegram.db");
	assert_ok(file_write(db, "x", 1, 0600, err));
	cleanup_json cJSON *used = run(t, "session.reap", "{}");
	assert_int_equal(cJSON_GetArraySize(json_at(used, "removed")), 0);
	unlink(db);
	expire(t, "expires_at = 1, used_at = 1");
	cleanup_json cJSON *idle = run(t, "session.reap", "{}");
	assert_string_equal(json_text(only_removed(idle), "reason"), "idle");
	assert_nothing_left(t);
}

/* Kill the supervisor, which is the marked process that is no service, and wait until all that was its is gone. */
static void kill_supervisor(struct test_state *t)
{
	cleanup_free struct marker_proc *list = NULL;
	struct err err = {0};
	int n = marker_find(t->st->install, NULL, &list, &err);
	for (int i = 0; i < n; i++) {
		if (is_supervisor(list[i].id.pid, NULL))
			proc_signal(&list[i].id, SIGKILL);
	}
	for (int i = 0; i < n; i++) {
		cleanup_close int fd = (int)syscall(SYS_pidfd_open, list[i].id.pid, 0);
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (fd >= 0)
			assert_int_equal(poll(&p, 1, 10000), 1);
	}
}

static void reap_crashed(void **data)
{
	struct test_state *t = *data;
	does(t, "session.start", "{\"name\":\"demo\"}");
	kill_supervisor(t);
	assert_int_equal(processes(t), 0); /* none of its services outlives it */
	assert_ok(session_reap_task.look(t->st, err));
	assert_ok(session_reap_task.look(t->st, err));
	assert_int_equal(
	        count(t, "SELECT count(*) FROM jobs WHERE kind = 'session.reap' AND state = 'queued'"), 1);
	int64_t id = count(t, "SELECT max(id) FROM jobs");
	assert_int_equal(wait_for(spawn_job(id, NULL)), 0);
	job_ended(t, id, JOB_DONE);
	assert_nothing_left(t);
	assert_int_equal(count(t, "SELECT count(*) FROM receipts WHERE reason = 'crashed' AND ok = 1"), 1);
}

static void reap_orphans(void **data)
{
	struct test_state *t = *data;
	does(t, "session.start", "{\"name\":\"demo\"}");
	assert_ok(db_run(t->st->db, err, "DELETE FROM sessions", ""));
	cleanup_free char *file =
	        state_path(t->st, "sessions/demo/lease.json"); /* with it, it would be adopted */
	assert_int_equal(unlink(file), 0);
	cleanup_json cJSON *r = run(t, "session.reap", "{}");
	assert_int_equal(json_int(r, "orphans", -1), 3); /* processes, directory, leases */
	assert_ok(db_run(t->st->db, err, "DELETE FROM session_steps", ""));
	assert_nothing_left(t);
	assert_ok(session_reap_task.look(t->st, err));
	assert_int_equal(count(t, "SELECT count(*) FROM jobs WHERE state = 'queued'"), 0);
}

/* No worker runs that would settle the job of a start that was killed: the reaper need not wait for one. */
static void reap_abandoned(void **data)
{
	struct test_state *t = *data;
	int64_t id = enqueue(t, "session.start", "{\"name\":\"demo\"}");
	wait_for(spawn_job(id, "healthy"));
	cleanup_json cJSON *r = run(t, "session.reap", "{}");
	assert_string_equal(json_text(only_removed(r), "reason"), "interrupted");
	assert_nothing_left(t);
	/* the job is run again all the same, and finds a clean table */
	assert_ok(jobs_recover(t->st, kinds, err) < 0);
	assert_int_equal(wait_for(spawn_job(id, NULL)), 0);
	job_ended(t, id, JOB_DONE);
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

/* A start that goes on is nobody's to remove. */
static void reap_leaves_a_start_alone(void **data)
{
	struct test_state *t = *data;
	fault(t, "bot", "hang");
	int64_t id = enqueue(t, "session.start", "{\"name\":\"slow\"}");
	pid_t pid = spawn_job(id, NULL);
	struct bell *bell = NULL;
	assert_ok(bell_open(&bell, t->dir, err));
	while (!count(t, "SELECT count(*) FROM session_steps WHERE step = 'healthy'"))
		bell_wait(bell, 100);
	bell_close(bell);
	cleanup_json cJSON *r = run(t, "session.reap", "{}");
	assert_int_equal(cJSON_GetArraySize(json_at(r, "removed")), 0);
	assert_int_equal(json_int(r, "orphans", -1), 0);
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE state = 'starting'"), 1);
	assert_ok(jobs_cancel(t->st, id, "cli:test", err));
	wait_for(pid);
	assert_nothing_left(t);
}

static void another_holds_the_port(void **data)
{
	struct test_state *t = *data;
	does(t, "session.start", "{\"name\":\"demo\",\"services\":[\"gateway\"]}");
	/* a port of the nested range, which the stack itself does not bind */
	int64_t port = count(t, "SELECT max(value) FROM leases");
	int ready[2];
	char c;
	assert_int_equal(pipe(ready), 0);
	pid_t stranger = fork();
	if (stranger == 0)
		_exit(prctl(PR_SET_PDEATHSIG, SIGKILL) || bind_port(port) || write(ready[1], "\n", 1) != 1 ||
		      pause());
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	cleanup_free char *told =
	        mem_printf("1 ports, 0 files are left: process %d (session_crash_t) listens on port %lld;",
	                   (int)stranger, (long long)port);
	refused(t, "session.stop", "{\"name\":\"demo\"}", ERR_BUSY, told);
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE state = 'stopping'"), 1);
	assert_int_equal(count(t, "SELECT count(*) FROM receipts WHERE ok = 0 AND next_try_at > removed_at"),
	                 1);
	cleanup_json cJSON *early = run(t, "session.reap", "{}");
	assert_int_equal(cJSON_GetArraySize(json_at(early, "removed")), 0);
	kill(stranger, SIGKILL);
	wait_for(stranger);
	assert_ok(db_run(t->st->db, err, "UPDATE receipts SET next_try_at = 1", ""));
	cleanup_json cJSON *late = run(t, "session.reap", "{}");
	assert_clean(json_at(only_removed(late), "receipt"));
	assert_nothing_left(t);
	assert_int_equal(count(t, "SELECT count(*) FROM receipts"), 1);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return again_main(argc, argv);
	const struct CMUnitTest tests[] = {
	        T(killed_start_is_finished),
	        T(killed_start_is_undone),
	        T(killed_start_is_stopped),
	        T(an_unrecorded_stop_ends_nothing),
	        T(killed_stop_is_finished),
	        T(killed_resume_keeps_the_session),
	        T(killed_extend_extends_once),
	        T(reap_expired),
	        T(reap_crashed),
	        T(reap_orphans),
	        T(reap_abandoned),
	        T(reap_leaves_a_start_alone),
	        T(another_holds_the_port),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
