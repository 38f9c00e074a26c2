/* Waiting for a session to be healthy, gone or stopped, while others make it so; of containers and of processes. */
#include "jobs/supervisor.h"
#include "sessions/test_compose.h"

#define LONG_MS 30000

/* A child that waits with a connection of its own. It ends with 0, or with the code of its error. */
static pid_t waits(const char *name, enum session_goal goal, int64_t timeout_ms, int ready)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct test_state own = {0};
		struct err err = {0};
		cleanup_json cJSON *session = NULL;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (open_quiet(&own) || write(ready, "\n", 1) != 1)
			_exit(99);
		int rc = session_await(own.st, name, goal, timeout_ms, &session, &err);
		if (rc)
			fprintf(stderr, "%s\n", err.msg);
		_exit(rc ? (int)err.code : 0);
	}
	return pid;
}

/* The same, and it has begun. */
static pid_t waiting(const char *name, enum session_goal goal)
{
	int ends[2];
	char c;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t pid = waits(name, goal, LONG_MS, ends[1]);
	close(ends[1]);
	assert_int_equal(read(ends[0], &c, 1), 1);
	close(ends[0]);
	return pid;
}

/* Told of it, and not because its time was over and it looked once more. */
static void ends_with(pid_t pid, int code)
{
	int64_t begun = clock_mono_ms();
	assert_int_equal(test_wait_end(pid), code);
	assert_true(clock_mono_ms() - begun < LONG_MS / 2);
}

static void refused_goal(struct test_state *t, const char *name, enum session_goal goal, int64_t timeout_ms,
                         enum err_code code, const char *says)
{
	struct err err = {0};
	cJSON *session = NULL;
	assert_int_equal(session_await(t->st, name, goal, timeout_ms, &session, &err), -1);
	if (err.code != code || !strstr(err.msg, says))
		fail_msg("%s: %s", err_name(err.code), err.msg);
	assert_null(session);
}

static void reached(struct test_state *t, const char *name, enum session_goal goal, const char *state)
{
	struct err err = {0};
	cleanup_json cJSON *session = NULL;
	if (session_await(t->st, name, goal, 0, &session, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(json_text(session, "state"), state);
	assert_int_equal(err.code, ERR_NONE);
}

static void goals_have_names(void **data)
{
	enum session_goal goal;
	struct err err = {0};
	(void)data;
	assert_int_equal(session_goal("gone", &goal, &err), 0);
	assert_int_equal(goal, SESSION_GOAL_GONE);
	assert_int_equal(session_goal("well", &goal, &err), -1);
	assert_int_equal(err.code, ERR_USAGE);
}

static void of_processes(void **data)
{
	struct test_state *t = *data;
	refused_goal(t, "demo", SESSION_GOAL_HEALTHY, LONG_MS, ERR_NOT_FOUND, "no session demo");
	refused_goal(t, "demo", SESSION_GOAL_STOPPED, LONG_MS, ERR_NOT_FOUND, "no session demo");
	reached(t, "demo", SESSION_GOAL_GONE, "gone");

	/* its start stands in the queue when the waiting begins */
	int64_t start = enqueue(t, "session.start", "{\"name\":\"demo\"}");
	test_wait_job(t->st, "state = 'queued'");
	assert_ok(db_run(t->st->db, err, "UPDATE jobs SET session = 'demo'", ""));
	pid_t pid = waiting("demo", SESSION_GOAL_HEALTHY);
	assert_int_equal(wait_for(spawn_job(start, NULL)), 0);
	ends_with(pid, 0);
	reached(t, "demo", SESSION_GOAL_HEALTHY, "running");

	/* a service that comes back by itself */
	fault(t, "gateway", "hang");
	cleanup_free char *dir = state_path(t->st, "sessions/demo");
	assert_ok(supervisor_ask(dir, "kill", "gateway", 5000, NULL, err));
	refused_goal(t, "demo", SESSION_GOAL_HEALTHY, 300, ERR_TIMEOUT, "waiting for gateway");
	pid = waiting("demo", SESSION_GOAL_HEALTHY);
	fault(t, "gateway", NULL);
	assert_ok(supervisor_ask(dir, "kill", "gateway", 5000, NULL, err));
	ends_with(pid, 0);

	refused_goal(t, "demo", SESSION_GOAL_GONE, 100, ERR_TIMEOUT, "waiting for running");
	pid = waiting("demo", SESSION_GOAL_STOPPED);
	does(t, "session.stop", "{\"name\":\"demo\",\"keep\":true}");
	ends_with(pid, 0);
	refused_goal(t, "demo", SESSION_GOAL_HEALTHY, LONG_MS, ERR_STATE, "session start demo");
	pid = waiting("demo", SESSION_GOAL_GONE);
	stop_clean(t, "demo");
	ends_with(pid, 0);
	reached(t, "demo", SESSION_GOAL_GONE, "removed");
	refused_goal(t, "demo", SESSION_GOAL_STOPPED, LONG_MS, ERR_STATE, "is removed");
}

static void of_containers(void **data)
{
	struct test_state *t = *data;
	cJSON_Delete(
	        start(t, "demo",
	              "services:\n  a:\n    image: '@'\n    stop_signal: SIGKILL\n"
	              "    command: [sh, -c, 'touch /tmp/well; exec sleep 1000']\n"
	              "    healthcheck: {test: [CMD, test, -e, /tmp/well], interval: 1s, retries: 1}\n"));
	reached(t, "demo", SESSION_GOAL_HEALTHY, "running");
	int64_t since = clock_now_ms();
	free(sh(t, "demo", "a", "rm /tmp/well"));
	assert_int_equal(events(t, "health_status: unhealthy", 1, since, LONG_MS), 1);
	refused_goal(t, "demo", SESSION_GOAL_HEALTHY, 100, ERR_TIMEOUT, "waiting for a");
	pid_t pid = waiting("demo", SESSION_GOAL_HEALTHY);
	free(sh(t, "demo", "a", "touch /tmp/well"));
	ends_with(pid, 0);

	/* the bell is heard while the engine is listened to */
	since = clock_now_ms();
	free(sh(t, "demo", "a", "rm /tmp/well"));
	assert_int_equal(events(t, "health_status: unhealthy", 1, since, LONG_MS), 1);
	pid = waiting("demo", SESSION_GOAL_HEALTHY);
	stop_gone(t, "demo");
	ends_with(pid, ERR_STATE);
	assert_gone(t);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return again_main(argc, argv);
	const struct CMUnitTest tests[] = {cmocka_unit_test(goals_have_names), T(of_processes),
	                                   V1(of_containers)};
	return cmocka_run_group_tests_name("session_await", tests, group_setup, group_teardown);
}
