/* Sessions in Podman, by both ways: docker-compose on its socket, and podman-compose. What is the same as in Docker is tested there; here stands a
 * whole life by each way, what Podman does in its own way, and that nothing of others is touched. */
#include "sessions/test_compose.h"
/* after the clock and the files of those above */
#include "sessions/test_podman.h"

#define SLEEPS "    image: '@'\n    stop_signal: SIGKILL\n    command: [sleep, '1000']\n"
#define PROGRAM_MS 120000

static int setup_podman(void **data)
{
	return setup_with(data, PROVIDER_PODMAN);
}

#define PODMAN(name)                                                                                         \
	{                                                                                                    \
#name " (podman-compose)", name, setup_podman, compose_teardown, NULL                        \
	}

static int podman_setup(void **data)
{
	alarm(600);
	podman_start();
	return group_setup(data);
}

static int podman_teardown(void **data)
{
	int rc = group_teardown(data);
	podman_end();
	return rc;
}

/* -- a whole life -- */

static const char two_file[] =
        "services:\n"
        "  web:\n"
        "    image: '@'\n"
        "    stop_signal: SIGKILL\n"
        "    command: [sh, -c, 'echo web is up; echo mine > /data/x; exec httpd -f -p 80 -h /data']\n"
        "    environment: {WORDS: 'two words and \"quotes\"', EMPTY: ''}\n"
        "    ports: ['8080:80']\n"
        "    volumes: ['data:/data']\n"
        "    depends_on: {db: {condition: service_healthy}}\n"
        "    healthcheck: {test: [CMD, wget, -q, -O, /dev/null, 'http://db:81/y'], interval: 30s}\n"
        "  db:\n"
        "    image: '@'\n"
        "    stop_signal: SIGKILL\n"
        "    restart: unless-stopped\n"
        "    command: [sh, -c, 'mkdir -p /tmp/d; echo yours > /tmp/d/y; seq -s , 1 8000; exec httpd -f -p 81 "
        "-h /tmp/d']\n"
        "    healthcheck: {test: 'test -e /tmp/d/y', interval: 30s}\n"
        "    networks: [default, back]\n"
        "networks: {default: {}, back: {internal: true}}\n"
        "volumes: {data: {}}\n";

static void assert_ready(struct test_state *t, int n)
{
	struct err err = {0};
	cleanup_json cJSON *shown = session_show(t->st, "demo", &err);
	const cJSON *service;
	cJSON_ArrayForEach(service, json_at(shown, "services"))
	{
		assert_string_equal(json_text_or(service, "state", ""), "ready");
		assert_string_equal(json_text_or(service, "image", ""), docker.image);
	}
	assert_int_equal(cJSON_GetArraySize(json_at(shown, "services")), n);
}

static void assert_limits(struct test_state *t)
{
	cleanup_json cJSON *list = objects(t, NULL, DOCKER_CONTAINER);
	const cJSON *one;
	int64_t memory = 0, cpus = 0;
	cJSON_ArrayForEach(one, list)
	{
		cleanup_json cJSON *c = inspect(json_text(one, "id"));
		memory += json_int(c, "HostConfig.Memory", 0);
		cpus += json_int(c, "HostConfig.NanoCpus", 0);
		assert_in_range(json_int(c, "HostConfig.PidsLimit", 0), 1, 4096);
	}
	assert_int_equal(memory, 1024LL << 20);
	assert_int_equal(cpus, 1000000000LL);
}

/* Its networks have the addresses that were leased for them. */
static void assert_subnets(struct test_state *t)
{
	cleanup_json cJSON *list = objects(t, NULL, DOCKER_NETWORK);
	const cJSON *one;
	cJSON_ArrayForEach(one, list)
	{
		cleanup_free char *path = mem_printf("/networks/%s", json_text(one, "id"));
		struct err err = {0};
		cleanup_json cJSON *net = docker_get(path, &err);
		assert_memory_equal(json_text_or(net, "IPAM.Config.0.Subnet", "?"), "10.214.0.", 9);
		assert_int_equal(json_bool(net, "Internal", false),
		                 strstr(json_text(one, "name"), "back") != NULL);
	}
}

static void says(struct test_state *t, const char *service, const char *script, const char *expected)
{
	cleanup_free char *said = sh(t, "demo", service, script);
	assert_string_equal(said, expected);
}

static void assert_logs(struct test_state *t)
{
	struct err err = {0};
	cleanup_json cJSON *web = session_logs(t->st, "demo", "web", 10, &err),
	                   *db = session_logs(t->st, "demo", "db", 10, &err);
	assert_int_equal(cJSON_GetArraySize(web), 1);
	assert_string_equal(web->child->valuestring, "web is up");
	/* kept in parts */
	assert_int_equal(cJSON_GetArraySize(db), 1);
	assert_memory_equal(db->child->valuestring, "1,2,3,4,", 8);
	assert_int_equal(strlen(db->child->valuestring), 38892);
}

static void a_whole_life(void **data)
{
	struct test_state *t = *data;
	struct err err = {0};
	cleanup_json cJSON *result = start(t, "demo", two_file), *stats = NULL;
	assert_objects(t, 2, 2, 1);
	assert_ready(t, 2);
	assert_limits(t);
	assert_subnets(t);
	assert_true(answers(json_text(result, "endpoints.0.url")));
	says(t, "web", "wget -q -O - http://db:81/y; echo \"$WORDS$EMPTY$SESSION_NAME\"",
	     "yours\ntwo words and \"quotes\"demo\n");
	assert_logs(t);
	stats = session_usage(t->st, "demo", &err);
	assert_int_equal(cJSON_GetArraySize(stats), 2);

	assert_ok(session_service(t->st, "demo", "db", "restart", err));
	assert_ok(session_service(t->st, "demo", "db", "kill", err));
	assert_ready(t, 2);
	does(t, "session.stop", "{\"name\":\"demo\",\"keep\":true}");
	cJSON_Delete(start(t, "demo", two_file));
	assert_ready(t, 2);
	says(t, "web", "cat /data/x", "mine\n");
	stop_gone(t, "demo");
	assert_gone(t);
}

/* -- what goes wrong -- */

/* As assert_gone(), and what there is instead. */
static void assert_all_gone(struct test_state *t)
{
	cleanup_json cJSON *left = objects(t, NULL, DOCKER_CONTAINER);
	cleanup_free char *text = json_print(left);
	if (left->child)
		print_error("left: %s\n", text);
	assert_gone(t);
}

static void restarts_are_seen(void **data)
{
	struct test_state *t = *data;
	start_refused(t, "loops",
	              "services:\n  web:\n    image: '@'\n    restart: always\n"
	              "    command: [sh, -c, 'echo again; exit 4']\nvolumes: {data: {}}\n",
	              ERR_FAILED, "again and again");
	start_refused(
	        t, "dies",
	        "services:\n  web:\n    image: '@'\n    command: [sh, -c, 'echo cannot bind; exit 3']\n",
	        ERR_FAILED, "exit code 3");
	start_refused(t, "imageless", "services:\n  web:\n    image: 'localhost:1/nowhere:1'\n", ERR_FAILED,
	              "service web: image localhost:1/nowhere:1 is not on this machine");
	assert_all_gone(t);
}

static void killed_starts_are_reaped(void **data)
{
	struct test_state *t = *data;
	/* once everything is made */
	int64_t id = enqueue_start(t, "demo", two_file);
	assert_true(WIFSIGNALED(wait_for(spawn_job(id, "launch.done"))));
	cleanup_json cJSON *made = run(t, "session.reap", "{}");
	assert_string_equal(json_text(only_removed(made), "reason"), "interrupted");
	assert_receipt(json_at(only_removed(made), "receipt"));
	assert_ok(jobs_cancel(t->st, id, "cli:test", err));
	assert_gone(t);
	/* in the middle of the tool's work */
	int64_t since = clock_now_ms();
	id = enqueue_start(t, "demo", two_file);
	pid_t pid = spawn_job(id, NULL);
	assert_int_equal(events(t, "start", 1, since, 20000), 1);
	kill(pid, SIGKILL);
	wait_for(pid);
	cleanup_json cJSON *r = run(t, "session.reap", "{}");
	assert_receipt(json_at(only_removed(r), "receipt"));
	assert_int_equal(events(t, "create", 1, clock_now_ms(), 1500), 0);
	assert_ok(jobs_cancel(t->st, id, "cli:test", err));
	assert_gone(t);
}

/* Images are named and found in Podman's own way. */
static void what_was_built_goes_too(void **data)
{
	struct test_state *t = *data;
	cleanup_free char *dir = state_path(t->st, "files"), *file = state_path(t->st, "files/Dockerfile"),
	                  *text = mem_printf("FROM %s\nLABEL a=b\n", docker.image);
	assert_ok(dir_make(dir, 0700, err) || file_write(file, text, strlen(text), 0600, err));
	cJSON_Delete(start(t, "demo",
	                   "services:\n  web:\n    build: .\n    stop_signal: SIGKILL\n"
	                   "    command: [sleep, '1000']\n"));
	assert_int_equal(object_count(t, DOCKER_IMAGE), 1);
	stop_gone(t, "demo");
	assert_int_equal(object_count(t, DOCKER_IMAGE), 0);
	assert_gone(t);
	/* what a build that fails came to is in use by the builder */
	cleanup_free char *bad = mem_printf("FROM %s\nLABEL a=b\nRUN false\n", docker.image);
	assert_ok(file_write(file, bad, strlen(bad), 0600, err));
	start_refused(t, "demo", "services:\n  web: {build: .}\n", ERR_FAILED, "build");
	assert_int_equal(object_count(t, DOCKER_IMAGE), 0);
	assert_gone(t);
}

/* -- what is not ours -- */

/* A container in the session's network and volume, and one that is called as a container of the session would be. */
static void strangers_are_left_alone(void **data)
{
	struct test_state *t = *data;
	cleanup_free char
	        *project = mem_printf("%s-demo", getenv("COMPOSE_PROJECT_NAME")),
	        *more = mem_printf("{\"HostConfig\":{\"NetworkMode\":\"%s_default\"}}", project),
	        *look_alike = mem_printf("/containers/create?name=%s-web", project),
	        *body = mem_printf(
	                "{\"Image\":\"%s\",\"Cmd\":[\"true\"],\"Labels\":{\"com.codefoundry.test\":\"%s\"}}",
	                docker.image, docker.id);
	cleanup_json cJSON *asked = cJSON_Parse(body), *made = NULL;
	struct err err = {0};

	assert_ok(docker_call("POST", look_alike, asked, 0, &made, err));
	start_refused(t, "demo", two_file, ERR_EXISTS, "web is not of this session");
	cleanup_json cJSON *untouched = inspect(json_text(made, "Id"));
	assert_string_equal(json_text(untouched, "State.Status"), "created");
	assert_ok(docker_remove(DOCKER_CONTAINER, json_text(made, "Id"), err));

	cJSON_Delete(start(t, "demo", two_file));
	cleanup_free char *guest = test_docker_container(&docker, "guest", "sleep 1000", NULL, more, true);
	cleanup_json cJSON *result = NULL;
	assert_int_equal(run_as(t, "session.stop", "cli:test", "{\"name\":\"demo\"}", &result, &err), -1);
	assert_non_null(strstr(err.msg, "guest"));
	cleanup_json cJSON *alive = inspect(guest);
	assert_true(json_bool(alive, "State.Running", false));
	assert_objects(t, 0, 1, 0);
	assert_ok(docker_remove(DOCKER_CONTAINER, guest, err));
	assert_ok(db_run(t->st->db, err, "UPDATE receipts SET next_try_at = 1", ""));
	cJSON_Delete(run(t, "session.reap", "{}"));
	assert_gone(t);
}

/* -- the program itself -- */

static char *beside(const char *name)
{
	cleanup_free char *self = mem_strdup(proc_self());
	*strstr(self, "/test/sessions/") = '\0';
	return mem_printf("%s/%s", self, name);
}

static void program_ends_well(const char *const *argv, const char *says)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc_result r = {0};
	spec.argv = argv;
	assert_ok(proc_run(&spec, NULL, PROGRAM_MS, 1 << 20, &r, err));
	if (r.status || !strstr(r.out, says))
		fail_msg("%s ended with %d: %s%s", argv[0], r.status, r.out, r.errs);
	proc_result_free(&r);
}

/* The built-in stack: exec through pipes and in a terminal, and the nine scenarios. */
static void the_stack_itself(void **data)
{
	(void)data;
	cleanup_free char *program = beside("codefoundry"), *io = beside("test/cli/session_io_test");
	program_ends_well((const char *const[]){io, NULL}, "");
	program_ends_well((const char *const[]){program, "--env", "/dev/null", "test", "run", NULL},
	                  "Passed: 9");
}

static void the_stack_starts_and_ends(void **data)
{
	(void)data;
	cleanup_free char *program = beside("codefoundry");
#define SESSION(...) ((const char *const[]){program, "--env", "/dev/null", "session", __VA_ARGS__, NULL})
	program_ends_well(SESSION("start", "stack"), "session stack is running");
	program_ends_well(SESSION("exec", "stack", "gateway", "--", "sh", "-c", "id -u; echo $SESSION_NAME"),
	                  "65532\nstack\n");
	program_ends_well(SESSION("stop", "stack"), "0 containers, 0 networks, 0 volumes");
}

/* The only engine there is: found without DOCKER_HOST, and told about. */
static void found_by_itself(void **data)
{
	(void)data;
	cleanup_free char *program = beside("codefoundry"), *sock = mem_printf("%s/podman.sock", podman.dir);
	/* a machine without Docker, as far as we see: /run is ours */
	if (path_exists("/usr/sbin/dockerd"))
		assert_int_equal(mount("/dev/null", "/usr/sbin/dockerd", NULL, MS_BIND, NULL), 0);
	assert_int_equal(mkdir("/run/podman", 0755) | symlink(sock, "/run/podman/podman.sock"), 0);
	unsetenv("DOCKER_HOST");
	setenv("ENGINE", "auto", 1);
	program_ends_well((const char *const[]){program, "--env", "/dev/null", "info", NULL},
	                  "compose (Podman ");
	program_ends_well((const char *const[]){program, "--env", "/dev/null", "doctor", NULL},
	                  "/run/podman/podman.sock");
	setenv("ENGINE", "compose", 1);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return again_main(argc, argv);
	if (podman_isolate())
		return 1;
	const struct CMUnitTest tests[] = {
	        V1(a_whole_life),
	        PODMAN(a_whole_life),
	        V1(restarts_are_seen),
	        PODMAN(restarts_are_seen),
	        V1(killed_starts_are_reaped),
	        PODMAN(killed_starts_are_reaped),
	        V1(what_was_built_goes_too),
	        V1(strangers_are_left_alone),
	        PODMAN(strangers_are_left_alone),
	        PODMAN(the_stack_starts_and_ends),
	        V1(found_by_itself),
	};
	const struct CMUnitTest stack[] = {V1(the_stack_itself)};
	if (getenv("CODEFOUNDRY_TEST_PODMAN_STACK")) /* make test-podman: minutes */
		return cmocka_run_group_tests(stack, podman_setup, podman_teardown);
	return cmocka_run_group_tests(tests, podman_setup, podman_teardown);
}
