/* Sessions of containers that are killed, cancelled, robbed, and surrounded by strangers: nothing of theirs may stay, and
 * nothing of others may be touched. */
#include "sessions/test_compose.h"

static const char one_file[] = "services:\n"
                               "  web:\n"
                               "    image: '@'\n"
                               "    stop_signal: SIGKILL\n"
                               "    command: [sleep, '1000']\n"
                               "    volumes: ['data:/data']\n"
                               "    healthcheck: {test: [CMD, 'true'], interval: 30s}\n"
                               "volumes: {data: {}}\n";
/* many to be made, one after another */
static const char chain_file[] =
        "services:\n"
        "  a: &s\n"
        "    image: '@'\n"
        "    stop_signal: SIGKILL\n"
        "    command: [sleep, '1000']\n"
        "    volumes: ['data:/data']\n"
        "    healthcheck: {test: [CMD, test, -e, /nowhere], interval: 30s}\n"
        "  b: {image: '@', stop_signal: SIGKILL, command: [sleep, '1000'], depends_on: [a]}\n"
        "  c: {image: '@', stop_signal: SIGKILL, command: [sleep, '1000'], depends_on: [b]}\n"
        "volumes: {data: {}}\n";

/* -- killed at every recorded step -- */

static const char *const up_points[] = {"directory", "prepare",     "prepare.done",
                                        "launch",    "launch.done", "healthy.done"};
static const char *const down_points[] = {"services", "services.done", "files.done"};

static void killed(int64_t id, const char *point)
{
	int status = wait_for(spawn_job(id, point));
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail_msg("job was not killed at %s", point);
}

static void run_again(struct test_state *t, int64_t id)
{
	assert_ok(jobs_recover(t->st, kinds, err) < 0);
	assert_int_equal(wait_for(spawn_job(id, NULL)), 0);
	job_ended(t, id, JOB_DONE);
}

static void reaped(struct test_state *t, const char *reason)
{
	cleanup_json cJSON *r = run(t, "session.reap", "{}");
	assert_string_equal(json_text(only_removed(r), "reason"), reason);
	assert_receipt(json_at(only_removed(r), "receipt"));
}

/* By turns reaped and run again. */
static void killed_start(void **data)
{
	struct test_state *t = *data;
	for (size_t i = 0; i < ARRAY_LEN(up_points); i++) {
		int64_t id = enqueue_start(t, "demo", one_file);
		killed(id, up_points[i]);
		if (i % 2) {
			run_again(t, id);
			assert_objects(t, 1, 1, 1);
			stop_gone(t, "demo");
		} else {
			reaped(t, "interrupted");
			assert_ok(jobs_cancel(t->st, id, "cli:test", err));
			assert_ok(jobs_recover(t->st, kinds, err) < 0);
			wait_for(spawn_job(id, NULL));
			job_ended(t, id, JOB_CANCELLED);
		}
		assert_gone(t);
	}
}

static void killed_stop(void **data)
{
	struct test_state *t = *data;
	for (size_t i = 0; i < ARRAY_LEN(down_points); i++) {
		cJSON_Delete(start(t, "demo", one_file));
		int64_t id = enqueue(t, "session.stop", "{\"name\":\"demo\"}");
		killed(id, down_points[i]);
		run_again(t, id);
		assert_gone(t);
	}
}

static void killed_resume(void **data)
{
	struct test_state *t = *data;
	static const char *const points[] = {"launch", "launch.done", "healthy.done"};
	cJSON_Delete(start(t, "demo", one_file));
	cleanup_free char *said = sh(t, "demo", "web", "echo kept > /data/x");
	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		does(t, "session.stop", "{\"name\":\"demo\",\"keep\":true}");
		int64_t id = enqueue(t, "session.start", "{\"name\":\"demo\"}");
		killed(id, points[i]);
		/* the reaper stops it, but does not remove it; its job, run again, resumes it */
		cleanup_json cJSON *r = run(t, "session.reap", "{}");
		assert_int_equal(cJSON_GetArraySize(json_at(r, "removed")), 0);
		run_again(t, id);
		cleanup_free char *kept = sh(t, "demo", "web", "cat /data/x");
		assert_string_equal(kept, "kept\n");
	}
	stop_gone(t, "demo");
	assert_gone(t);
}

/* -- while the tool works -- */

/* Start ${yaml} and return once its containers have had ${n} events. */
static pid_t under_way(struct test_state *t, int64_t id, const char *action, int n)
{
	int64_t since = clock_now_ms();
	pid_t pid = spawn_job(id, NULL);
	assert_int_equal(events(t, action, n, since, 20000), n);
	return pid;
}

static void assert_stays_gone(struct test_state *t)
{
	assert_gone(t);
	assert_int_equal(events(t, "create", 1, clock_now_ms(), 3000), 0);
	assert_gone(t);
}

static void killed_while_the_tool_works(void **data)
{
	struct test_state *t = *data;
	for (int n = 1; n <= 2; n++) {
		int64_t id = enqueue_start(t, "demo", chain_file);
		pid_t pid = under_way(t, id, "create", n);
		kill(pid, SIGKILL);
		wait_for(pid);
		reaped(t, "interrupted");
		assert_stays_gone(t);
		assert_ok(db_run(t->st->db, err, "DELETE FROM jobs", ""));
	}
}

static void cancelled_while_the_tool_works(void **data)
{
	struct test_state *t = *data;
	int64_t id = enqueue_start(t, "demo", chain_file);
	pid_t pid = under_way(t, id, "create", 1);
	assert_ok(jobs_cancel(t->st, id, "cli:test", err));
	wait_for(pid);
	job_ended(t, id, JOB_CANCELLED);
	assert_stays_gone(t);
}

static void cancelled_while_waiting(void **data)
{
	struct test_state *t = *data;
	int64_t id = enqueue_start(t, "demo", chain_file);
	pid_t pid = under_way(t, id, "exec_die", 1);
	int64_t began = clock_mono_ms();
	assert_ok(jobs_cancel(t->st, id, "cli:test", err));
	wait_for(pid);
	assert_true(clock_mono_ms() - began < 10000);
	job_ended(t, id, JOB_CANCELLED);
	assert_gone(t);
}

/* Caught between its end and its start, and cancelled: the others live on, so it must too. */
static void killed_while_one_service_restarts(void **data)
{
	struct test_state *t = *data;
	cJSON_Delete(start(t, "demo", one_file));
	int64_t id = enqueue(t, "session.restart", "{\"name\":\"demo\",\"service\":\"web\"}");
	cleanup_free char *web = container_of(t, "demo", "web"),
	                  *stop = mem_printf("/containers/%s/stop", web);
	pid_t pid = under_way(t, id, "die", 1);
	kill(pid, SIGKILL);
	wait_for(pid);
	events(t, "start", 1, clock_now_ms() - 1000, 2000); /* the engine may go on with it, or not */
	assert_ok(docker_call("POST", stop, NULL, 0, NULL, err));
	assert_ok(jobs_cancel(t->st, id, "cli:test", err));
	assert_ok(jobs_recover(t->st, kinds, err) < 0); /* which undoes it */
	job_ended(t, id, JOB_CANCELLED);
	cleanup_json cJSON *c = inspect(web);
	assert_string_equal(json_text_or(c, "State.Status", ""), "running");
	stop_gone(t, "demo");
	assert_gone(t);
}

/* -- strangers -- */

static char *make(const char *what, const char *name, const cJSON *labels)
{
	cleanup_json cJSON *body = json_object(), *made = NULL;
	cJSON *all = labels ? cJSON_Duplicate(labels, true) : json_object();
	cleanup_free char *path = mem_printf("/%s/create", what);
	json_add_text(body, "Name", name);
	json_add_text(all, "com.codefoundry.test", docker.id);
	json_add(body, "Labels", all);
	assert_ok(docker_call("POST", path, body, 0, &made, err));
	return mem_strdup(json_text_or(made, "Id", name));
}

/* The image's container ${name} itself, without the helper's prefix. */
static char *stranger(const char *name, const char *const labels[], const char *network)
{
	cleanup_free char *more =
	        network ? mem_printf("{\"HostConfig\":{\"NetworkMode\":\"%s\"}}", network) : NULL;
	char *id = test_docker_container(&docker, "stranger", "sleep 1000", labels, more, true);
	cleanup_free char *path = name ? mem_printf("/containers/%s/rename?name=%s", id, name) : NULL;
	if (path)
		assert_ok(docker_call("POST", path, NULL, 0, NULL, err));
	return id;
}

static void assert_running(const char *id)
{
	cleanup_json cJSON *c = inspect(id);
	assert_string_equal(json_text_or(c, "State.Status", ""), "running");
}

static void dismiss(enum docker_kind kind, char *id)
{
	assert_ok(docker_remove(kind, id, err));
	free(id);
}

static void names_prove_nothing(void **data)
{
	struct test_state *t = *data;
	const char *project = getenv("COMPOSE_PROJECT_NAME");
	cleanup_free char *container = mem_printf("%s-demo-web", project),
	                  *volume = mem_printf("%s-demo_data", project),
	                  *network = mem_printf("%s-demo_default", project);
	char *c = stranger(container, NULL, NULL);
	start_refused(t, "demo", one_file, ERR_EXISTS, container);
	assert_gone(t);
	assert_running(c);
	dismiss(DOCKER_CONTAINER, c);

	char *v = make("volumes", volume, NULL);
	start_refused(t, "demo", one_file, ERR_EXISTS, volume);
	assert_gone(t);
	cleanup_free char *path = mem_printf("/volumes/%s", volume);
	struct err err = {0};
	cleanup_json cJSON *still = docker_get(path, &err);
	assert_non_null(still);
	dismiss(DOCKER_VOLUME, v);

	char *n = make("networks", network, NULL);
	start_refused(t, "demo", one_file, ERR_EXISTS, network);
	assert_gone(t);
	dismiss(DOCKER_NETWORK, n);
}

/* Session "a-b" with a service "c", and "a" with "b-c": one name for two containers. */
static void one_name_for_two_sessions(void **data)
{
	struct test_state *t = *data;
	cJSON_Delete(
	        start(t, "demo-more",
	              "services:\n  web: {image: '@', stop_signal: SIGKILL, command: [sleep, '1000']}\n"));
	start_refused(
	        t, "demo",
	        "services:\n  more-web: {image: '@', stop_signal: SIGKILL, command: [sleep, '1000']}\n",
	        ERR_EXISTS,
	        "is of session demo-more, and one of this session would be called the same: choose another");
	assert_objects(t, 1, 1, 0);
	stop_gone(t, "demo-more");
	assert_gone(t);
}

/* Another installation on this machine, with the same prefix and a session of the same name. */
static void another_installation(void **data)
{
	struct test_state *t = *data;
	cleanup_free char *project =
	        mem_printf("com.docker.compose.project=%s-demo", getenv("COMPOSE_PROJECT_NAME"));
	const char *labels[] = {project,
	                        "com.docker.compose.service=web",
	                        "com.docker.compose.container-number=1",
	                        "com.docker.compose.oneoff=False",
	                        "com.docker.compose.config-hash=0",
	                        "com.docker.compose.version=1.29.2",
	                        LABEL_INSTALL "=00000000-0000-4000-8000-000000000000",
	                        LABEL_SESSION "=00000000-0000-4000-8000-000000000001",
	                        LABEL_SERVICE "=web",
	                        NULL};
	char *c = stranger(NULL, labels, NULL);
	start_refused(t, "demo", one_file, ERR_EXISTS, "COMPOSE_PROJECT_NAME");
	assert_running(c);
	does(t, "session.reap", "{}");
	assert_running(c);
	assert_gone(t);
	dismiss(DOCKER_CONTAINER, c);

	/* it comes when ours is there already */
	cJSON_Delete(start(t, "demo", one_file));
	c = stranger(NULL, labels, NULL);
	stop_gone(t, "demo");
	assert_running(c);
	assert_gone(t);
	dismiss(DOCKER_CONTAINER, c);
}

static void stranger_in_the_network(void **data)
{
	struct test_state *t = *data;
	cJSON_Delete(start(t, "demo", one_file));
	cleanup_json cJSON *networks = objects(t, NULL, DOCKER_NETWORK);
	const char *network = json_text(networks->child, "id");
	char *c = stranger(NULL, NULL, network);
	cleanup_json cJSON *it = inspect(c), *body = json_object();
	refused(t, "session.stop", "{\"name\":\"demo\"}", ERR_BUSY, json_text_or(it, "Name", "?") + 1);
	assert_running(c);
	assert_objects(t, 0, 1, 0);
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE state = 'stopping'"), 1);
	cleanup_free char *path = mem_printf("/networks/%s/disconnect", network);
	json_add_text(body, "Container", c);
	assert_ok(docker_call("POST", path, body, 0, NULL, err));
	assert_ok(db_run(t->st->db, err, "UPDATE receipts SET next_try_at = 1", ""));
	reaped(t, "stopped");
	assert_running(c);
	assert_gone(t);
	dismiss(DOCKER_CONTAINER, c);
}

static void deaf_to_term(void **data)
{
	struct test_state *t = *data;
	cJSON_Delete(
	        start(t, "demo",
	              "services:\n  web: {image: '@', command: [sleep, '1000'], stop_grace_period: 1s}\n"));
	int64_t began = clock_mono_ms();
	stop_gone(t, "demo");
	assert_in_range(clock_mono_ms() - began, 1000, 8000);
	assert_gone(t);
}

/* -- reaping -- */

static void orphans(void **data)
{
	struct test_state *t = *data;
	cJSON_Delete(start(t, "demo", one_file));
	/* nothing of which it could be made again: that is session_reconcile_test.c */
	cleanup_free char *c = container_of(t, "demo", "web"),
	                  *file = state_path(t->st, "sessions/demo/lease.json");
	assert_ok(docker_remove(DOCKER_CONTAINER, c, err));
	assert_int_equal(unlink(file), 0);
	assert_ok(db_run(t->st->db, err, "DELETE FROM sessions", ""));
	cleanup_json cJSON *dry = run(t, "session.reap", "{\"dry_run\":true}");
	assert_int_equal(json_int(dry, "orphans", -1), 3); /* objects, directory, leases */
	assert_objects(t, 0, 1, 1);
	cleanup_json cJSON *r = run(t, "session.reap", "{}");
	assert_int_equal(json_int(r, "orphans", -1), 3);
	assert_ok(db_run(t->st->db, err, "DELETE FROM session_steps", ""));
	assert_gone(t);
}

static void robbed(void **data)
{
	struct test_state *t = *data;
	cJSON_Delete(start(t, "demo", one_file));
	cleanup_free char *id = container_of(t, "demo", "web");
	assert_ok(docker_remove(DOCKER_CONTAINER, id, err));
	reaped(t, "crashed");
	assert_gone(t);
}

/* -- without the engine -- */

static void docker_away(bool away)
{
	if (away)
		setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock", 1);
	else
		unsetenv("DOCKER_HOST");
}

static void engine_is_down(void **data)
{
	struct test_state *t = *data;
	cJSON_Delete(start(t, "demo", one_file));
	docker_away(true);
	start_refused(t, "other", one_file, ERR_ENGINE, "/nonexistent/docker.sock");
	assert_int_equal(count(t, "SELECT count(*) FROM sessions"), 1);

	/* nobody can tell whether it runs, or was used: it is left alone */
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET expires_at = 1, used_at = 1", ""));
	cleanup_json cJSON *r = run(t, "session.reap", "{}");
	assert_int_equal(cJSON_GetArraySize(json_at(r, "removed")), 0);
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE state = 'running'"), 1);

	refused(t, "session.stop", "{\"name\":\"demo\"}", ERR_ENGINE, "codefoundry session stop demo");
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE state = 'stopping'"), 1);
	assert_int_equal(count(t, "SELECT count(*) FROM receipts WHERE ok = 0 AND next_try_at > removed_at"),
	                 1);
	docker_away(false);
	assert_objects(t, 1, 1, 1);
	assert_ok(db_run(t->st->db, err, "UPDATE receipts SET next_try_at = 1", ""));
	reaped(t, "stopped");
	assert_gone(t);
	assert_int_equal(count(t, "SELECT count(*) FROM receipts"), 1);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return again_main(argc, argv);
	const struct CMUnitTest tests[] = {
	        V1(killed_start),
	        V1(killed_stop),
	        V1(killed_resume),
	        V1(killed_while_the_tool_works),
	        V2(killed_while_the_tool_works),
	        V1(cancelled_while_the_tool_works),
	        V2(cancelled_while_the_tool_works),
	        V1(cancelled_while_waiting),
	        V1(killed_while_one_service_restarts),
	        V1(names_prove_nothing),
	        V2(names_prove_nothing),
	        V1(one_name_for_two_sessions),
	        V1(another_installation),
	        V2(another_installation),
	        V1(stranger_in_the_network),
	        V2(stranger_in_the_network),
	        V1(deaf_to_term),
	        V1(orphans),
	        V1(robbed),
	        V1(engine_is_down),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
