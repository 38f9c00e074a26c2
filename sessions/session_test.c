/* What people do with sessions, and what must be refused. */
#include "sessions/test_stack.h"

static void start_use_stop(void **data)
{
	struct test_state *t = *data;
	cleanup_json cJSON *r = run(t, "session.start", "{\"name\":\"demo\"}");
	print_message("healthy after %lld ms\n", (long long)json_int(r, "ready_ms", -1));
	assert_string_equal(json_text(r, "name"), "demo");
	assert_string_equal(json_text(r, "engine"), "process");
	assert_int_equal(cJSON_GetArraySize(json_at(r, "endpoints")), 4);
	const cJSON *e;
	cJSON_ArrayForEach(e, json_at(r, "endpoints")) assert_true(answers(json_text(e, "url")));

	struct err err = {0};
	cleanup_json cJSON *list = sessions_list(t->st, false, &err);
	assert_int_equal(cJSON_GetArraySize(list), 1);
	assert_string_equal(json_text(list->child, "state"), "running");
	assert_int_equal(cJSON_GetArraySize(json_at(list->child, "services")), 4);
	const cJSON *s;
	cJSON_ArrayForEach(s, json_at(list->child, "services"))
	        assert_string_equal(json_text(s, "state"), "ready");
	cleanup_free char *owner = session_owner(t->st, "demo", &err);
	assert_string_equal(owner, "cli:test");

	cleanup_json cJSON *logs = session_logs(t->st, "demo", NULL, 10, &err);
	assert_int_equal(cJSON_GetArraySize(logs), 4);
	cleanup_json cJSON *gateway = session_logs(t->st, "demo", "gateway", 10, &err);
	assert_int_equal(cJSON_GetArraySize(gateway), 1);
	assert_null(session_logs(t->st, "demo", "nonsense", 10, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);

	stop_clean(t, "demo");
	assert_nothing_left(t);
	err_clear(&err);
	cleanup_json cJSON *gone = session_show(t->st, "demo", &err);
	assert_string_equal(json_text(gone, "state"), "removed");
	assert_clean(json_at(gone, "receipt"));
	refused(t, "session.stop", "{\"name\":\"demo\"}", ERR_NOT_FOUND, "was removed");
}

static void private_files(void **data)
{
	struct test_state *t = *data;
	does(t, "session.start", "{\"name\":\"demo\"}");
	static const char *const files[] = {"env", "plan.json", "state/telegram.json", "supervisor.log"};
	struct stat st;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		cleanup_free char *path = state_path(t->st, "sessions/demo/%s", files[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	cleanup_free char *dir = state_path(t->st, "sessions/demo");
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);

	struct err err = {0};
	cleanup_json cJSON *target = session_target(t->st, "demo", &err);
	assert_string_equal(json_text(target, "dir"), dir);
	assert_string_equal(json_text(target, "env.TELEGRAM_RATE_LIMIT"), "off");
	assert_string_equal(json_text(target, "env.TELEGRAM_BOT_TOKEN"),
	                    json_text(target, "credentials.token"));
	assert_string_equal(json_text(target, "env.SESSION_MAX_COUNT"), "3");
	assert_string_equal(json_text(target, "env.SESSION_NESTED_PORTS"), "0");
	stop_clean(t, "demo");
}

static void bad_names(void **data)
{
	struct test_state *t = *data;
	static const char *const bad[] = {"../etc", "a b", "", "-x", "Demo", "demo\\n", "démo", "a/b", "."};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_free char *args = mem_printf("{\"name\":\"%s\"}", bad[i]);
		refused(t, "session.start", args, ERR_INVALID, "is no session name");
		refused(t, "session.stop", args, ERR_INVALID, "is no session name");
	}
	char args[256] = "{\"name\":\"";
	memset(args + 9, 'a', 200);
	memcpy(args + 209, "\"}", 3);
	refused(t, "session.start", args, ERR_INVALID, "is no session name");
	refused(t, "session.start", "{\"name\":\"ok\",\"services\":[\"db\"]}", ERR_INVALID, "no service db");
	refused(t, "session.start", "{\"name\":\"ok\",\"services\":[7]}", ERR_INVALID, "no service");
	refused(t, "session.stop", "{}", ERR_INVALID, "is no session name");
	refused(t, "session.extend", "{\"name\":\"ok\",\"minutes\":-1}", ERR_INVALID, "minutes");
	refused(t, "session.extend", "{\"name\":\"ok\",\"minutes\":5}", ERR_NOT_FOUND, "no session ok");
	assert_nothing_left(t);
}

static void one_service_only(void **data)
{
	struct test_state *t = *data;
	cleanup_json cJSON *r = run(t, "session.start", "{\"name\":\"lazy\",\"services\":[\"gateway\"]}");
	assert_int_equal(cJSON_GetArraySize(json_at(r, "endpoints")), 2);
	assert_int_equal(processes(t), 2); /* its supervisor and the gateway */
	stop_clean(t, "lazy");
	assert_nothing_left(t);
}

static void names_are_made(void **data)
{
	struct test_state *t = *data;
	cleanup_json cJSON *a = run(t, "session.start", "{\"services\":[\"gateway\"]}"),
	                   *b = run(t, "session.start", "{\"services\":[\"gateway\"]}");
	assert_int_equal(strncmp(json_text(a, "name"), "test-", 5), 0);
	assert_string_not_equal(json_text(a, "name"), json_text(b, "name"));
	stop_clean(t, json_text(a, "name"));
	stop_clean(t, json_text(b, "name"));
	assert_nothing_left(t);
}

static void in_use_and_quota(void **data)
{
	struct test_state *t = *data;
	does(t, "session.start", "{\"name\":\"one\",\"services\":[\"gateway\"]}");
	refused(t, "session.start", "{\"name\":\"one\"}", ERR_EXISTS,
	        "session one exists: running, owned by cli:test");
	test_sessions_set(t, "SESSION_MAX_COUNT", "1");
	refused(t, "session.start", "{\"name\":\"two\"}", ERR_QUOTA, "one (cli:test, running");
	test_sessions_set(t, "SESSION_MAX_COUNT", "10");
	test_sessions_set(t, "SESSION_MAX_PER_USER", "1");
	refused(t, "session.start", "{\"name\":\"two\"}", ERR_QUOTA, "SESSION_MAX_PER_USER");
	struct err err = {0};
	cleanup_json cJSON *other = NULL;
	assert_int_equal(run_as(t, "session.start", "tg:7", "{\"name\":\"two\",\"services\":[\"gateway\"]}",
	                        &other, &err),
	                 0);
	stop_clean(t, "one");
	stop_clean(t, "two");
	test_sessions_set(t, "SESSION_PORT_RANGE", "0-0");
	refused(t, "session.start", "{\"name\":\"three\"}", ERR_QUOTA, "SESSION_PORT_RANGE");
	assert_nothing_left(t);
}

static void the_same_twice_at_once(void **data)
{
	struct test_state *t = *data;
	int64_t a = enqueue(t, "session.start", "{\"name\":\"twin\"}"),
	        b = enqueue(t, "session.start", "{\"name\":\"twin\"}");
	pid_t pa = spawn_job(a, NULL), pb = spawn_job(b, NULL);
	wait_for(pa);
	wait_for(pb);
	assert_int_equal(count(t, "SELECT count(*) FROM jobs WHERE state = 'done'"), 1);
	assert_int_equal(
	        count(t, "SELECT count(*) FROM jobs WHERE state = 'failed' AND error_code = 'exists'"), 1);
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE state = 'running'"), 1);
	assert_int_equal(processes(t), 5);
	stop_clean(t, "twin");
	assert_nothing_left(t);
}

static void many_at_once(void **data)
{
	struct test_state *t = *data;
	pid_t pids[10];
	for (int i = 0; i < 10; i++)
		pids[i] = spawn_job(enqueue(t, "session.start", "{}"), NULL);
	for (int i = 0; i < 10; i++)
		wait_for(pids[i]);
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE state = 'running'"), 10);
	assert_int_equal(processes(t), 50);
	refused(t, "session.start", "{}", ERR_QUOTA, "10 of 10");
	struct err err = {0};
	cleanup_json cJSON *list = sessions_list(t->st, false, &err);
	const cJSON *s;
	cJSON_ArrayForEach(s, list)
	{
		cleanup_free char *args = mem_printf("{\"name\":\"%s\"}", json_text(s, "name"));
		spawn_job(enqueue(t, "session.stop", args), NULL);
	}
	while (wait(NULL) > 0)
		;
	assert_int_equal(count(t, "SELECT count(*) FROM receipts WHERE ok = 1"), 10);
	assert_nothing_left(t);
}

static void a_failed_start_leaves_its_reason(void **data)
{
	struct test_state *t = *data;
	fault(t, "gateway", "exit");
	refused(t, "session.start", "{\"name\":\"bad\"}", ERR_FAILED, "service gateway failed");
	assert_nothing_left(t);
	struct err err = {0};
	cleanup_json cJSON *shown = session_show(t->st, "bad", &err);
	assert_string_equal(json_text(shown, "state"), "failed");
	assert_non_null(strstr(json_text(shown, "error"), "cannot bind the port of gateway"));
	refused(t, "session.stop", "{\"name\":\"worse\"}", ERR_NOT_FOUND, "no session worse");
	/* the name is free, and the old reason goes */
	fault(t, "gateway", NULL);
	does(t, "session.start", "{\"name\":\"bad\"}");
	assert_int_equal(count(t, "SELECT count(*) FROM sessions"), 1);
	stop_clean(t, "bad");

	fault(t, "bot", "hang");
	test_sessions_set(t, "SESSION_START_TIMEOUT", "1");
	refused(t, "session.start", "{\"name\":\"slow\"}", ERR_TIMEOUT, "still waiting for telegram-bot");
	assert_nothing_left(t);
	cleanup_json cJSON *forgotten = run(t, "session.stop", "{\"name\":\"slow\"}");
	assert_clean(json_at(forgotten, "receipt"));
	assert_int_equal(count(t, "SELECT count(*) FROM sessions"), 0);
}

static void cancel_and_stop_during_a_start(void **data)
{
	struct test_state *t = *data;
	fault(t, "bot", "hang");
	for (int stop = 0; stop < 2; stop++) {
		int64_t id = enqueue(t, "session.start", "{\"name\":\"slow\"}");
		pid_t pid = spawn_job(id, NULL);
		struct bell *bell = NULL;
		assert_ok(bell_open(&bell, t->dir, err));
		while (!count(t, "SELECT count(*) FROM session_steps WHERE step = 'healthy'"))
			bell_wait(bell, 100);
		bell_close(bell);
		if (stop)
			stop_clean(t, "slow");
		else
			assert_ok(jobs_cancel(t->st, id, "cli:test", err));
		wait_for(pid);
		job_ended(t, id, JOB_CANCELLED);
		assert_nothing_left(t);
		assert_int_equal(count(t, "SELECT count(*) FROM sessions"), 0);
	}
}

/* The signal that cancels a start may end its supervisor first, so that the step fails: it is cancelled all the same. */
static void cancel_that_looks_like_a_failure(void **data)
{
	struct test_state *t = *data;
	int64_t id = enqueue(t, "session.start", "{\"name\":\"slow\"}");
	wait_for(spawn_job(id, "launch.cancel"));
	job_ended(t, id, JOB_CANCELLED);
	assert_int_equal(count(t, "SELECT count(*) FROM sessions"), 0);
	assert_nothing_left(t);
}

static void what_escapes_is_killed(void **data)
{
	struct test_state *t = *data;
	fault(t, "worker", "daemon");
	does(t, "session.start", "{\"name\":\"demo\"}");
	assert_int_equal(processes(t), 6);
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

static void nested_ones_die_with_it(void **data)
{
	struct test_state *t = *data;
	fault(t, "nest", "1");
	does(t, "session.start", "{\"name\":\"outer\"}");
	struct err err = {0};
	assert_int_equal(processes(t), 8); /* 5 and, inside, supervisor, gateway, worker */
	cleanup_free char *inner = state_path(t->st,
	                                      "sessions/outer/state/sessions/inner/log/test-runner.log"),
	                  *log = NULL;
	assert_ok(file_read(inner, 10000, &log, NULL, err));
	assert_non_null(strstr(log, "refused as it should be"));
	err_clear(&err);
	stop_clean(t, "outer");
	assert_nothing_left(t);
	/* and when the outer supervisor is killed, the inner one is an orphan that the reaper finds */
	does(t, "session.start", "{\"name\":\"outer\"}");
	cleanup_free struct marker_proc *list = NULL;
	int n = marker_find(t->st->install, NULL, &list, &err);
	for (int i = 0; i < n; i++)
		if (is_supervisor(list[i].id.pid, "outer"))
			proc_signal(&list[i].id, SIGKILL);
	/* its death is seen by the lock being free */
	cleanup_free char *lock = state_path(t->st, "sessions/outer/supervisor.lock");
	int fd = open(lock, O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	close(fd);
	cleanup_json cJSON *reaped = run(t, "session.reap", "{}");
	assert_string_equal(json_text(only_removed(reaped), "reason"), "crashed");
	assert_nothing_left(t);
}

/* Where another installation on this host, with the same range, would make its next session; it has no leases of ours. */
static int next_of_another(struct test_state *t)
{
	struct test_state other = {.dir = "/tmp/codefoundry-test.XXXXXX"};
	struct err err = {0};
	cleanup_json cJSON *ports = lease_want_stack(), *leases = NULL;
	struct lease_wants wants = {.ports = ports, .nested = 12};
	assert_non_null(mkdtemp(other.dir));
	setenv("STATE_DIR", other.dir, 1);
	test_sessions_connect(&other);
	setenv("STATE_DIR", t->dir, 1);
	assert_ok(db_begin(other.st->db, err));
	assert_ok(lease_take(other.st, "theirs", &wants, err));
	assert_non_null(leases = lease_list(other.st, "theirs", &err));
	lease_unclaim();
	int port = (int)json_int(leases->child, "port", 0);
	test_state_close(&other);
	return port;
}

/* Those that it leased for sessions inside are bound by nobody, and no other installation takes them, also while it is restarted or ends. */
static void another_installation_leaves_its_ports_alone(void **data)
{
	struct test_state *t = *data;
	does(t, "session.start", "{\"name\":\"demo\"}");
	assert_int_equal(next_of_another(t), test_sessions_port() + 16);
	held_of = t;
	held_looks = 0;
	step_hook = ports_are_held;
	does(t, "session.restart", "{\"name\":\"demo\"}");
	assert_int_equal(held_looks, 2);
	assert_int_equal(next_of_another(t), test_sessions_port() + 16);
	step_hook = NULL;
	does(t, "session.stop", "{\"name\":\"demo\",\"keep\":true}");
	does(t, "session.start", "{\"name\":\"demo\"}");
	assert_int_equal(next_of_another(t), test_sessions_port() + 16);
	step_hook = ports_are_held;
	stop_clean(t, "demo");
	step_hook = NULL;
	assert_int_equal(held_looks, 4);
	assert_int_equal(next_of_another(t), test_sessions_port());
}

static void services(void **data)
{
	struct test_state *t = *data;
	cleanup_json cJSON *r = run(t, "session.start", "{\"name\":\"demo\"}");
	struct err err = {0};
	assert_ok(session_service(t->st, "demo", "gateway", "restart", err));
	assert_ok(session_service(t->st, "demo", "gateway", "kill", err));
	assert_ok(session_service(t->st, "demo", "telegram-bot", "stop", err));
	cleanup_json cJSON *shown = session_show(t->st, "demo", &err);
	assert_string_equal(json_text(cJSON_GetArrayItem(json_at(shown, "services"), 2), "state"), "stopped");
	assert_ok(session_service(t->st, "demo", "telegram-bot", "start", err));
	assert_int_equal(session_service(t->st, "demo", "nonsense", "stop", &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(session_service(t->st, "demo", "gateway", "paint", &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	does(t, "session.restart", "{\"name\":\"demo\",\"service\":\"gateway\"}");
	cleanup_json cJSON *all = run(t, "session.restart", "{\"name\":\"demo\"}");
	assert_true(cJSON_Compare(json_at(r, "endpoints"), json_at(all, "endpoints"), true));
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

static void kept_and_resumed(void **data)
{
	struct test_state *t = *data;
	cleanup_json cJSON *r = run(t, "session.start", "{\"name\":\"demo\"}");
	cleanup_json cJSON *kept = run(t, "session.stop", "{\"name\":\"demo\",\"keep\":true}");
	assert_null(json_at(kept, "receipt"));
	assert_int_equal(processes(t), 0);
	assert_int_equal(count(t, "SELECT count(*) FROM leases"), 16);
	struct err err = {0};
	assert_null(session_target(t->st, "demo", &err));
	assert_int_equal(err.code, ERR_STATE);
	/* a resume that goes wrong keeps it */
	fault(t, "gateway", "exit");
	refused(t, "session.start", "{\"name\":\"demo\"}", ERR_FAILED, "service gateway failed");
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE state = 'stopped'"), 1);
	fault(t, "gateway", NULL);
	cleanup_json cJSON *again = run(t, "session.start", "{\"name\":\"demo\"}");
	assert_true(cJSON_Compare(json_at(r, "endpoints"), json_at(again, "endpoints"), true));
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

/* The rest of the session runs on: what is to be done about the one stands in the error. */
static void a_service_that_does_not_come_back(void **data)
{
	struct test_state *t = *data;
	does(t, "session.start", "{\"name\":\"demo\"}");
	fault(t, "gateway", "exit");
	refused(t, "session.restart", "{\"name\":\"demo\",\"service\":\"gateway\"}", ERR_FAILED,
	        "gateway may be stopped now; once the cause is gone: codefoundry session restart demo "
	        "gateway");
	refused(t, "session.restart", "{\"name\":\"demo\",\"service\":\"nonsense\"}", ERR_NOT_FOUND,
	        "nonsense");
	assert_int_equal(count(t, "SELECT count(*) FROM jobs WHERE error LIKE '%restart demo nonsense%'"), 0);
	fault(t, "gateway", NULL);
	does(t, "session.restart", "{\"name\":\"demo\",\"service\":\"gateway\"}");
	assert_int_equal(processes(t), 5);
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

/* It was sound before: its files and volumes are not a start's that failed. */
static void a_restart_that_fails_keeps_it(void **data)
{
	struct test_state *t = *data;
	cleanup_json cJSON *r = run(t, "session.start", "{\"name\":\"demo\"}");
	fault(t, "gateway", "exit");
	refused(t, "session.restart", "{\"name\":\"demo\"}", ERR_FAILED, "service gateway failed");
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE state = 'stopped'"), 1);
	assert_int_equal(processes(t), 0);
	fault(t, "gateway", NULL);
	cleanup_json cJSON *again = run(t, "session.start", "{\"name\":\"demo\"}");
	assert_true(cJSON_Compare(json_at(r, "endpoints"), json_at(again, "endpoints"), true));
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

static void extend(void **data)
{
	struct test_state *t = *data;
	cleanup_json cJSON *r = run(t, "session.start", "{\"name\":\"demo\",\"services\":[\"gateway\"]}");
	int64_t first = json_int(r, "expires_at", 0);
	cleanup_json cJSON *e = run(t, "session.extend", "{\"name\":\"demo\",\"minutes\":30}");
	assert_int_equal(json_int(e, "expires_at", 0), first + 30 * 60000);
	cleanup_json cJSON *most = run(t, "session.extend", "{\"name\":\"demo\",\"minutes\":5000}");
	assert_int_equal(json_int(most, "expires_at", 0) - json_int(r, "expires_at", 0), 23 * 3600000);
	refused(t, "session.extend", "{\"name\":\"demo\",\"minutes\":1}", ERR_QUOTA, "cannot live longer");
	session_touch(t->st, "demo");
	session_touch(t->st, "nobody");
	assert_int_equal(count(t, "SELECT expires_at = hard_expires_at FROM sessions"), 1);
	stop_clean(t, "demo");
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return again_main(argc, argv);
	const struct CMUnitTest tests[] = {
	        T(start_use_stop),
	        T(private_files),
	        T(bad_names),
	        T(one_service_only),
	        T(names_are_made),
	        T(in_use_and_quota),
	        T(the_same_twice_at_once),
	        T(many_at_once),
	        T(a_failed_start_leaves_its_reason),
	        T(cancel_and_stop_during_a_start),
	        T(cancel_that_looks_like_a_failure),
	        T(what_escapes_is_killed),
	        T(nested_ones_die_with_it),
	        T(another_installation_leaves_its_ports_alone),
	        T(services),
	        T(kept_and_resumed),
	        T(a_service_that_does_not_come_back),
	        T(a_restart_that_fails_keeps_it),
	        T(extend),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
