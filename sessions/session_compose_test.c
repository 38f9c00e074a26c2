/* Sessions of containers, made by the real tools: side by side, healthy by every kind of healthcheck, undone when they
 * fail, and what can be asked of them. */
#include "sessions/test_compose.h"
#include <sched.h>
#include <sys/mount.h>

#define SLEEPS "    image: '@'\n    stop_signal: SIGKILL\n    command: [sleep, '1000']\n"

/* -- side by side -- */

static const char parallel_file[] =
        "services:\n"
        "  web:\n"
        "    image: '@'\n"
        "    stop_signal: SIGKILL\n"
        "    command: [sh, -c, 'echo mine > /data/x; httpd -f -p 80 -h /data']\n"
        "    ports: ['8080:80']\n"
        "    volumes: ['data:/data']\n"
        "    healthcheck: {test: [CMD, wget, -q, -O, /dev/null, 'http://127.0.0.1:80/x'], interval: 30s}\n"
        "  side:\n" SLEEPS "networks:\n  default: {}\nvolumes:\n  data: {}\n";

static void assert_labels(struct test_state *t, const char *uuid, const char *name)
{
	for (enum docker_kind kind = DOCKER_CONTAINER; kind < DOCKER_KINDS; kind++) {
		static const int wanted[DOCKER_KINDS] = {
		        [DOCKER_CONTAINER] = 2, [DOCKER_NETWORK] = 1, [DOCKER_VOLUME] = 1};
		cleanup_json cJSON *list = objects(t, uuid, kind);
		const cJSON *one;
		assert_int_equal(cJSON_GetArraySize(list), wanted[kind]);
		cJSON_ArrayForEach(one, list)
		{
			const cJSON *labels = json_at(one, "labels");
			const char *of =
			        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(labels, LABEL_NAME));
			assert_non_null(of);
			assert_string_equal(of, name);
			assert_non_null(cJSON_GetObjectItemCaseSensitive(labels, LABEL_EXPIRES));
			assert_non_null(strstr(json_text_or(one, "name", ""), name));
		}
	}
}

/* The sum of what its services may use is what the session may. */
static void assert_limits(struct test_state *t, const char *uuid)
{
	cleanup_json cJSON *list = objects(t, uuid, DOCKER_CONTAINER);
	const cJSON *one;
	int64_t memory = 0, cpus = 0;
	cJSON_ArrayForEach(one, list)
	{
		cleanup_json cJSON *c = inspect(json_text(one, "id"));
		assert_true(json_int(c, "HostConfig.Memory", 0) > 0);
		memory += json_int(c, "HostConfig.Memory", 0);
		cpus += json_int(c, "HostConfig.NanoCpus", 0);
	}
	assert_int_equal(memory, 1024LL << 20);
	assert_int_equal(cpus, 1000000000LL);
}

/* What they use is told at once, and remembered when the session is stopped. */
static void assert_memory(struct test_state *t, const char *name)
{
	cleanup_row struct session_row row = {0};
	assert_ok(store_by_name(t->st, name, &row, err));
	int64_t took = 1000; /* a container's statistics take that long when two readings are waited for */
	for (int i = 0; i < 5 && took >= 1000; i++) {
		int64_t began = clock_mono_ms();
		assert_in_range(engine_compose.memory(t->st, &row), 64 << 10, 1024LL << 20);
		took = clock_mono_ms() - began;
	}
	assert_true(took < 1000);
	assert_int_equal(
	        count(t, "SELECT count(*) FROM sessions WHERE promised_bytes > 0 AND stack LIKE 'compose:%'"),
	        3);
}

static void three_in_parallel(void **data)
{
	struct test_state *t = *data;
	static const char *const names[] = {"one", "two", "three"};
	int64_t ids[3];
	pid_t pids[3];
	cleanup_json cJSON *seen = json_array();
	for (size_t i = 0; i < 3; i++) {
		ids[i] = enqueue_start(t, names[i], parallel_file);
		pids[i] = spawn_job(ids[i], NULL);
	}
	for (size_t i = 0; i < 3; i++) {
		wait_for(pids[i]);
		job_ended(t, ids[i], JOB_DONE);
	}
	for (size_t i = 0; i < 3; i++) {
		struct job_row job = {0};
		assert_ok(jobs_get(t->st, ids[i], &job, err));
		const char *url = json_text(cJSON_GetArrayItem(json_at(job.result, "endpoints"), 0), "url"),
		           *uuid = json_text(job.result, "uuid");
		assert_true(answers(url));
		assert_false(json_has_text(seen, url));
		cJSON_AddItemToArray(seen, cJSON_CreateString(url));
		assert_labels(t, uuid, names[i]);
		assert_limits(t, uuid);
		assert_memory(t, names[i]);
		job_row_free(&job);
	}
	assert_int_equal(count(t, "SELECT count(DISTINCT value) FROM leases WHERE kind = 'subnet'"), 3);
	for (size_t i = 0; i < 3; i++)
		stop_gone(t, names[i]);
	assert_int_equal(count(t, "SELECT count(*) FROM session_usage WHERE peak_bytes > 65536"), 3);
	assert_int_equal(count(t, "SELECT count(DISTINCT stack) FROM session_usage"), 1);
	assert_gone(t);
}

/* -- every kind of healthcheck -- */

static void healthy_in_every_way(void **data)
{
	struct test_state *t = *data;
	static const char yaml[] =
	        "services:\n"
	        "  cmd:\n" SLEEPS "    healthcheck: {test: [CMD, 'true'], interval: 30s}\n"
	        "  shell:\n" SLEEPS "    healthcheck: {test: 'test -d /tmp && true', interval: 30s}\n"
	        "  none:\n" SLEEPS "  slow:\n"
	        "    image: '@'\n"
	        "    stop_signal: SIGKILL\n"
	        "    command: [sh, -c, 'sleep 3; touch /tmp/up; sleep 1000']\n"
	        "    healthcheck: {test: [CMD, test, -e, /tmp/up], interval: 30s}\n"
	        "  once:\n"
	        "    image: '@'\n"
	        "    command: ['true']\n"
	        "  idle:\n" SLEEPS "    deploy: {replicas: 0}\n";
	cleanup_json cJSON *result = start(t, "demo", yaml);
	/* long before the first interval is over, but not before the slow one was ready */
	assert_in_range(json_int(result, "ready_ms", 0), 3000, 29000);
	struct err err = {0};
	cleanup_json cJSON *shown = session_show(t->st, "demo", &err);
	const cJSON *service;
	cJSON_ArrayForEach(service, json_at(shown, "services"))
	{
		bool once = !strcmp(json_text_or(service, "name", ""), "once");
		assert_string_equal(json_text_or(service, "state", ""), once ? "done" : "ready");
		assert_true(session_service_up(json_text(service, "state")));
	}
	assert_int_equal(cJSON_GetArraySize(json_at(shown, "services")), 5);
	stop_gone(t, "demo");
	assert_gone(t);
}

/* The tool itself would wait for the engine's first probe. */
static void healthy_one_after_another(void **data)
{
	struct test_state *t = *data;
	static const char *const order[] = {"first", "between", "last"};
	cleanup_json cJSON *result =
	        start(t, "demo",
	              "services:\n"
	              "  last:\n" SLEEPS "    depends_on: {between: {condition: service_healthy}}\n"
	              "  between:\n" SLEEPS "    healthcheck: {test: [CMD, 'true'], interval: 40s}\n"
	              "    depends_on: {first: {condition: service_healthy}}\n"
	              "  first:\n" SLEEPS "    healthcheck: {test: [CMD, 'true'], interval: 40s}\n");
	char before[64] = "";
	assert_true(json_int(result, "ready_ms", 0) < 35000);
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		cleanup_free char *id = container_of(t, "demo", order[i]);
		cleanup_json cJSON *c = inspect(id);
		const char *began = json_text_or(c, "State.StartedAt", "");
		assert_true(strcmp(before, began) < 0);
		snprintf(before, sizeof(before), "%s", began);
	}
	does(t, "session.restart", "{\"name\":\"demo\"}");
	stop_gone(t, "demo");
	assert_gone(t);
}

/* -- starts that fail -- */

static const struct failure {
	const char *name, *yaml;
	enum err_code code;
	const char *texts[3];
} failures[] = {
        {"sick",
         "services:\n  web:\n    image: '@'\n    stop_signal: SIGKILL\n"
         "    command: [sh, -c, 'echo last words; sleep 1000']\n"
         "    healthcheck: {test: 'echo coughs; false', interval: 1s, retries: 1}\n",
         ERR_FAILED,
         {"service web failed: its healthcheck fails: coughs", "last words"}},
        {"quiet",
         "services:\n  web:\n    image: '@'\n    stop_signal: SIGKILL\n    command: [sleep, '1000']\n"
         "    healthcheck: {test: [CMD, 'false'], interval: 1s, retries: 1}\n",
         ERR_FAILED,
         {"service web failed: its healthcheck fails and says nothing"}},
        {"dies",
         "services:\n  web:\n    image: '@'\n    command: [sh, -c, 'echo cannot bind; exit 3']\n"
         "  other:\n" SLEEPS,
         ERR_FAILED,
         {"service web failed", "exit code 3", "cannot bind"}},
        {"loops",
         "services:\n  web:\n    image: '@'\n    restart: always\n"
         "    command: [sh, -c, 'echo again; exit 4']\nvolumes: {data: {}}\n",
         ERR_FAILED,
         {"service web failed", "exit code 4", "again"}},
        {"never",
         "services:\n  web:\n" SLEEPS "    healthcheck: {test: [CMD, 'false'], interval: 1h}\n",
         ERR_TIMEOUT,
         {"service web failed: not healthy after 8 s", "SESSION_START_TIMEOUT"}},
        {"late",
         "services:\n  web:\n    image: '@'\n    command: [sh, -c, 'sleep 2; echo gave up; exit 5']\n"
         "    healthcheck: {test: [CMD, 'true'], interval: 30s}\n"
         "  slow:\n" SLEEPS "    healthcheck: {test: [CMD, test, -e, /nowhere], interval: 30s}\n",
         ERR_FAILED,
         {"service web failed", "exit code 5", "gave up"}},
        {"needed",
         "services:\n  web:\n    image: '@'\n    command: [sh, -c, 'echo no disk; exit 6']\n"
         "    healthcheck: {test: [CMD, 'true'], interval: 30s}\n"
         "  after:\n" SLEEPS "    depends_on: {web: {condition: service_healthy}}\n",
         ERR_FAILED,
         {"web", "exit code 6", "no disk"}},
        {"imageless",
         "services:\n  web:\n    image: 'localhost:1/nowhere:1'\n",
         ERR_FAILED,
         {"service web: image localhost:1/nowhere:1 is not on this machine", "docker load"}},
        {"a-name-of-thirty-letters-or-so",
         "services:\n  a-service-with-a-name-that-is-far-too-long:\n" SLEEPS,
         ERR_INVALID,
         {"63 is the most"}},
};

#define AT_ONCE 3
_Static_assert(ARRAY_LEN(failures) % AT_ONCE == 0, "each batch is full");

static void assert_failed(struct test_state *t, const struct failure *f, int64_t id)
{
	struct job_row job = {0};
	cleanup_row struct session_row row = {0};
	assert_ok(jobs_get(t->st, id, &job, err));
	if (job.state != JOB_FAILED || job.error_code != f->code)
		fail_msg("%s: job is %s: %s: %s", f->name, job_state_name(job.state),
		         err_name(job.error_code), job.error ? job.error : "");
	assert_ok(store_by_name(t->st, f->name, &row, err));
	assert_int_equal(row.state, SESSION_FAILED);
	for (size_t i = 0; i < ARRAY_LEN(f->texts) && f->texts[i]; i++)
		if (!strstr(job.error, f->texts[i]) || !strstr(row.error, f->texts[i]))
			fail_msg("%s: no `%s` in: %s", f->name, f->texts[i], job.error);
	job_row_free(&job);
}

static void failures_leave_nothing(void **data)
{
	struct test_state *t = *data;
	int64_t ids[AT_ONCE];
	pid_t pids[AT_ONCE];
	for (size_t from = 0; from < ARRAY_LEN(failures); from += AT_ONCE) {
		setenv("SESSION_START_TIMEOUT", "8", 1);
		for (size_t i = 0; i < AT_ONCE; i++) {
			ids[i] = enqueue_start(t, failures[from + i].name, failures[from + i].yaml);
			pids[i] = spawn_job(ids[i], NULL);
		}
		setenv("SESSION_START_TIMEOUT", "30", 1);
		for (size_t i = 0; i < AT_ONCE; i++)
			wait_for(pids[i]);
		for (size_t i = 0; i < AT_ONCE; i++)
			assert_failed(t, &failures[from + i], ids[i]);
	}
	assert_gone(t);
}

/* -- starts that are refused -- */

static void refusals(void **data)
{
	static const struct {
		const char *yaml;
		enum err_code code;
		const char *text;
	} wrong[] = {
	        {"services: [", ERR_INVALID, "odd.yml"},
	        {"services:\n  web: {command: [sleep, '9']}\n", ERR_INVALID, "image"},
	        {"services:\n  web: {image: '@', network_mode: host}\n", ERR_INVALID, "network_mode"},
	        {"services:\n  web: {image: '@', ports: ['80', '81']}\n", ERR_QUOTA, "SESSION_PORT_RANGE"},
	        {"services:\n  web: {image: '@', networks: [a, b]}\nnetworks: {a: {}, b: {}}\n", ERR_QUOTA,
	         "SESSION_SUBNET_POOL"},
	};
	struct test_state *t = *data;
	test_sessions_set(t, "SESSION_PORT_RANGE", "24990-24990");
	test_sessions_set(t, "SESSION_SUBNET_POOL", "10.214.0.0/26");
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		start_refused(t, "odd", wrong[i].yaml, wrong[i].code, wrong[i].text);
	cleanup_free char *args = with_file(t, "odd", parallel_file);
	cleanup_json cJSON *asked = cJSON_Parse(args);
	json_add(asked, "services", cJSON_CreateStringArray((const char *const[]){"nobody"}, 1));
	cleanup_free char *text = json_print(asked);
	refused(t, "session.start", text, ERR_INVALID, "no service nobody: there are");
	/* none of them came as far as a row */
	assert_int_equal(count(t, "SELECT count(*) FROM sessions"), 0);
	assert_gone(t);
}

static void copies(void **data)
{
	struct test_state *t = *data;
	cJSON_Delete(start(t, "demo", "services:\n  web:\n" SLEEPS "    deploy: {replicas: 2}\n"));
	assert_objects(t, 2, 1, 0);
	stop_gone(t, "demo");
	start_refused(t, "odd", "services:\n  web:\n" SLEEPS "    deploy: {replicas: 2}\n    ports: ['80']\n",
	              ERR_INVALID, "replicas");
	assert_gone(t);
}

/* -- out of disk -- */

/* In the job's process, when the step that CF_TEST_FILL names begins, or with ".done" when it is done. */
static void fill_disk(const char *step, bool done)
{
	static const char block[1 << 16];
	cleanup_free char *path = mem_printf("%s/filler", getenv("STATE_DIR"));
	cleanup_free char *point = mem_printf("%s%s", step, done ? ".done" : "");
	cleanup_close int fd =
	        strcmp(point, getenv("CF_TEST_FILL")) ? -1 : open(path, O_CREAT | O_WRONLY, 0600);
	for (size_t size = sizeof(block); fd >= 0 && size; size /= 2)
		while (write(fd, block, size) == (ssize_t)size)
			;
}

/* Put a file system of ${options} in the place of the state directory, or take it away. */
static void small_disk(struct test_state *t, const char *options)
{
	test_state_disconnect(t);
	assert_int_equal(options ? mount("none", t->dir, "tmpfs", 0, options) : umount(t->dir), 0);
	test_sessions_connect(t);
}

static void disk_is_full(void **data)
{
	struct test_state *t = *data;
	small_disk(t, "size=64m");
	start_refused(t, "demo", parallel_file, ERR_QUOTA, "MiB are free where the state directory is");
	assert_gone(t);
	small_disk(t, NULL);
	/* there is room for the state, but not where the engine keeps what is its */
	setenv("SESSION_DISK_RESERVE_MB", "16777216", 1);
	small_disk(t, "size=64t");
	start_refused(t, "demo", parallel_file, ERR_QUOTA, "MiB are free where Docker's data is");
	assert_gone(t);
	small_disk(t, NULL);

	/* it fills up in the middle, and even the database cannot be written any more: nothing runs on, also before there is
	 * room again */
	setenv("SESSION_DISK_RESERVE_MB", "256", 1);
	static const char *const points[] = {"prepare", "launch.done"};
	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		small_disk(t, "size=300m");
		int64_t id = enqueue_start(t, "demo", parallel_file);
		setenv("CF_TEST_FILL", points[i], 1);
		pid_t pid = spawn_job(id, NULL);
		unsetenv("CF_TEST_FILL");
		wait_for(pid);
		assert_objects(t, 0, 0, 0);
		cleanup_free char *filler = state_path(t->st, "filler");
		assert_int_equal(unlink(filler), 0);
		does(t, "session.reap", "{}");
		assert_gone(t);
		small_disk(t, NULL);
	}
	unsetenv("SESSION_DISK_RESERVE_MB");
}

/* -- what can be asked of one that runs -- */

static int64_t pid_of(struct test_state *t)
{
	cleanup_free char *id = container_of(t, "demo", "web");
	cleanup_json cJSON *c = inspect(id);
	return json_int(c, "State.Pid", 0);
}

static void one_service(void **data)
{
	struct test_state *t = *data;
	static const char *const ops[] = {"restart", "kill", "stop", "start"};
	struct err err = {0};
	cJSON_Delete(
	        start(t, "demo",
	              "services:\n  web:\n    image: '@'\n    stop_signal: SIGKILL\n    restart: always\n"
	              "    command: [sh, -c, 'echo up; exec sleep 1000']\n"
	              "    healthcheck: {test: [CMD, 'true'], interval: 30s}\n"
	              "  side:\n" SLEEPS));
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		int64_t before = pid_of(t);
		assert_ok(session_service(t->st, "demo", "web", ops[i], err));
		int64_t after = pid_of(t);
		assert_int_not_equal(before, after);
		assert_int_equal(after == 0, !strcmp(ops[i], "stop"));
	}
	cleanup_json cJSON *lines = session_logs(t->st, "demo", "web", 10, &err);
	assert_int_equal(cJSON_GetArraySize(lines), 4);
	assert_string_equal(lines->child->valuestring, "up");
	setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock", 1);
	cleanup_json cJSON *none = session_logs(t->st, "demo", "web", 10, &err),
	                   *nothing = session_logs(t->st, "demo", NULL, 10, &err);
	unsetenv("DOCKER_HOST");
	assert_null(none);
	assert_null(nothing);
	assert_int_equal(err.code, ERR_ENGINE);
	assert_int_equal(session_service(t->st, "demo", "nobody", "stop", &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(session_read(t->st, "demo", "telegram.json", 100, NULL, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	/* one that somebody stopped is no crash */
	assert_ok(session_service(t->st, "demo", "web", "stop", err));
	cleanup_json cJSON *r = run(t, "session.reap", "{}");
	assert_int_equal(cJSON_GetArraySize(json_at(r, "removed")), 0);
	does(t, "session.restart", "{\"name\":\"demo\"}");
	assert_int_not_equal(pid_of(t), 0);
	stop_gone(t, "demo");
	assert_gone(t);
}

static void kept_and_resumed(void **data)
{
	struct test_state *t = *data;
	cleanup_json cJSON *before = start(t, "demo", parallel_file);
	cleanup_free char *said = sh(t, "demo", "web", "echo kept > /data/y");
	does(t, "session.stop", "{\"name\":\"demo\",\"keep\":true}");
	assert_objects(t, 2, 1, 1);
	assert_int_equal(pid_of(t), 0);
	cleanup_json cJSON *after = run(t, "session.start", "{\"name\":\"demo\"}");
	cleanup_free char *kept = sh(t, "demo", "web", "cat /data/y");
	assert_string_equal(kept, "kept\n");
	assert_true(cJSON_Compare(json_at(before, "endpoints"), json_at(after, "endpoints"), true));
	stop_gone(t, "demo");
	assert_gone(t);
}

/* It says that all is well, and has done nothing. */
static void kept_with_an_idle_tool(void **data)
{
	struct test_state *t = *data;
	static const char script[] = "#!/bin/sh\necho 1.29.2\n";
	cJSON_Delete(start(t, "demo", parallel_file));
	cleanup_free char *before = mem_strdup(getenv("PATH")), *dir = state_path(t->st, "files"),
	                  *tool = mem_printf("%s/docker-compose", dir),
	                  *path = mem_printf("%s:%s", dir, before);
	assert_ok(file_write(tool, script, strlen(script), 0700, err));
	setenv("PATH", path, 1);
	does(t, "session.stop", "{\"name\":\"demo\",\"keep\":true}");
	setenv("PATH", before, 1);
	assert_int_equal(pid_of(t), 0);
	stop_gone(t, "demo");
	assert_gone(t);
}

int main(int argc, char **argv)
{
	if (getenv("CF_TEST_FILL"))
		step_hook = fill_disk;
	if (argc > 1)
		return again_main(argc, argv);
	/* what is mounted here is seen by nobody else, and goes with us */
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		perror("mounts of our own");
		return 1;
	}
	const struct CMUnitTest tests[] = {
	        V1(three_in_parallel),
	        V2(three_in_parallel),
	        V1(healthy_in_every_way),
	        V1(healthy_one_after_another),
	        V2(healthy_one_after_another),
	        V1(failures_leave_nothing),
	        V2(failures_leave_nothing),
	        V1(refusals),
	        V2(refusals),
	        V1(copies),
	        V2(copies),
	        V1(disk_is_full),
	        V1(one_service),
	        V1(kept_and_resumed),
	        V2(kept_and_resumed),
	        V1(kept_with_an_idle_tool),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
