#include "cli/cli.h"
#include "cli/doctor.h"
#include "cli/engine_line.h"
#include "core/net.h"
#include "core/text.h"
#include "jobs/test_state.h"
#include "sessions/host.h"
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A state directory with all settings of the program. */
static int setup(void **data)
{
	struct test_state *t = mem_alloc(sizeof(*t));
	snprintf(t->dir, sizeof(t->dir), "/tmp/codefoundry-test.XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	setenv("STATE_DIR", t->dir, 1);
	unsetenv("DOCKER_HOST");
	assert_ok(config_load(&t->cfg, cli_settings, NULL, false, err));
	assert_ok(state_open(&t->st, t->cfg, err));
	*data = t;
	return 0;
}

static int teardown(void **data)
{
	test_state_close(*data);
	free(*data);
	unsetenv("DOCKER_HOST");
	return 0;
}

static void set(struct test_state *t, const char *key, const char *value)
{
	assert_ok(config_set(t->cfg, key, value, err));
}

static const cJSON *find(const cJSON *result, const char *check)
{
	const cJSON *one;
	cJSON_ArrayForEach(one,
	                   json_at(result, "checks")) if (!strcmp(json_text(one, "check"), check)) return one;
	fail_msg("there is no check %s", check);
	return NULL;
}

static void assert_state(const cJSON *result, const char *check, const char *state)
{
	const cJSON *one = find(result, check);
	if (strcmp(json_text(one, "state"), state) != 0)
		fail_msg("%s is %s (%s), not %s", check, json_text(one, "state"), json_text(one, "found"),
		         state);
}

static void a_machine_that_can(void **data)
{
	struct test_state *t = *data;
	set(t, "ENGINE", "process");
	set(t, "GATEWAY_PORT", "0");
	set(t, "GATEWAY_HEALTH_PORT", "0");
	set(t, "BOT_PORT", "0");
	set(t, "TELEGRAM_PORT", "0");
	cleanup_json cJSON *r = doctor_examine(t->cfg);
	assert_string_equal(json_text(r, "engine"), "process");
	assert_int_equal(json_int(r, "bad", -1), 0);
	assert_state(r, "docker", "ok");
	assert_state(r, "state", "ok");
	assert_state(r, "its ports", "ok");
	assert_non_null(strstr(json_text(find(r, "docker"), "found"), "overlay2"));
}

/* What the command prints, to its end. */
static char *printed(struct test_state *t, char *option, int *rc, struct err *err)
{
	cleanup_free char *path = state_path(t->st, "printed");
	char command[] = "doctor", *argv[] = {command, option, NULL}, *text = NULL;
	fflush(stdout);
	cleanup_close int saved = dup(STDOUT_FILENO), fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	dup2(fd, STDOUT_FILENO);
	*rc = cli_doctor(t->cfg, option ? 2 : 1, argv, err);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	assert_ok(file_read(path, 1 << 20, &text, NULL, err));
	unlink(path);
	return text;
}

static void the_command(void **data)
{
	struct test_state *t = *data;
	struct err err = {0};
	int rc;
	char option[] = "--json";
	setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock", 1);
	set(t, "ENGINE", "compose");
	cleanup_free char *text = printed(t, NULL, &rc, &err);
	assert_int_equal(rc, -1);
	assert_int_equal(err_exit_code(err.code), 1);
	for (const char *line = text, *end; (end = strchr(line, '\n')); line = end + 1)
		if (text_columns(line, (size_t)(end - line)) > 80)
			fail_msg("too wide: %.*s", (int)(end - line), line);
	cleanup_free char *json = printed(t, option, &rc, &err);
	cleanup_json cJSON *result = json_parse(json, strlen(json), &err);
	assert_non_null(result);
	assert_state(result, "docker", "bad");
}

static void the_image(void **data)
{
	struct test_state *t = *data;
	set(t, "ENGINE", "process");
	cleanup_json cJSON *r = doctor_examine(t->cfg);
	assert_non_null(strstr(json_text(find(r, "image"), "found"), "codefoundry:"));
	assert_string_not_equal(json_text(find(r, "image"), "state"), "bad");
}

static void docker_tells_what_it_limits(void **data)
{
	struct test_state *t = *data;
	set(t, "ENGINE", "compose");
	cleanup_json cJSON *r = doctor_examine(t->cfg);
	assert_state(r, "limits", "ok");
	assert_non_null(strstr(json_text(find(r, "limits"), "found"), "Docker limits memory and CPU"));
}

static void processes_need_no_docker(void **data)
{
	struct test_state *t = *data;
	setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock", 1);
	set(t, "ENGINE", "process");
	cleanup_json cJSON *r = doctor_examine(t->cfg);
	assert_state(r, "docker", "unused");
	assert_state(r, "engine", "ok");
}

static void containers_need_docker(void **data)
{
	struct test_state *t = *data;
	setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock", 1);
	set(t, "ENGINE", "compose");
	cleanup_json cJSON *r = doctor_examine(t->cfg);
	assert_state(r, "docker", "bad");
	assert_true(json_int(r, "bad", 0) > 0);
}

static void the_state_directory(void **data)
{
	struct test_state *t = *data;
	set(t, "ENGINE", "process");
	assert_int_equal(chmod(t->dir, 0755), 0);
	cleanup_json cJSON *open = doctor_examine(t->cfg);
	assert_state(open, "state", "warn");
	assert_non_null(strstr(json_text(find(open, "state"), "advice"), "chmod 0700"));
	set(t, "STATE_DIR", "/dev/null/nothing");
	cleanup_json cJSON *none = doctor_examine(t->cfg);
	assert_state(none, "state", "bad");
	set(t, "STATE_DIR", NULL);
}

static void what_is_taken(void **data)
{
	struct test_state *t = *data;
	int port = 0;
	struct err err = {0};
	cleanup_close int fd = net_listen("127.0.0.1", 0, &port, &err);
	cleanup_free char *text = mem_printf("%d", port), *range = mem_printf("%d-%d", port, port);
	set(t, "ENGINE", "process");
	set(t, "GATEWAY_PORT", text);
	set(t, "SESSION_PORT_RANGE", range);
	cleanup_json cJSON *r = doctor_examine(t->cfg);
	assert_state(r, "its ports", "bad");
	assert_non_null(strstr(json_text(find(r, "its ports"), "found"), text));
	assert_state(r, "session ports", "bad");
	assert_non_null(strstr(json_text(find(r, "session ports"), "advice"), "SESSION_PORT_RANGE"));
}

static int memory_teardown(void **data)
{
	host_root = "";
	return teardown(data);
}

/* Of the machine and of our control group, what leaves less; containers do not stand in ours. */
static void the_memory(void **data)
{
	static const struct {
		const char *engine, *each, *max, *state, *found, *advice;
	} cases[] = {
	        {"process", "512", "max", "ok", "2.0 GiB available: 4 sessions that use all of their 512 MiB",
	         NULL},
	        {"process", "512", "1073741824", "ok",
	         "1023 MiB available in this control group: 1 sessions that use all of their 512 MiB", NULL},
	        {"process", "512", "8589934592", "ok",
	         "2.0 GiB available: 4 sessions that use all of their 512 MiB", NULL},
	        {"process", "1024", "1073741824", "warn",
	         "1023 MiB available in this control group: 0 sessions that use all of their 1024 MiB",
	         "lower SESSION_MEMORY_MB"},
	        {"process", "0", "1048576", "ok",
	         "0 MiB available in this control group; sessions have no limit", NULL},
	        {"compose", "512", "1073741824", "ok",
	         "2.0 GiB available: 4 sessions that use all of their 512 MiB", NULL},
	};
	struct test_state *t = *data;
	cleanup_free char *root = state_path(t->st, "host");
	host_root = root;
	test_put(t->st, "host/proc/self/cgroup", "0::/here\n");
	test_put(t->st, "host/sys/fs/cgroup/here/memory.current", "1048576\n");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		test_put(t->st, "host/proc/meminfo", "MemAvailable: 2097152 kB\n");
		test_put(t->st, "host/sys/fs/cgroup/here/memory.max", cases[i].max);
		set(t, "ENGINE", cases[i].engine);
		set(t, "SESSION_MEMORY_MB", cases[i].each);
		cleanup_json cJSON *r = doctor_examine(t->cfg);
		assert_state(r, "memory", cases[i].state);
		assert_string_equal(json_text(find(r, "memory"), "found"), cases[i].found);
		const char *advice = json_text(find(r, "memory"), "advice");
		assert_int_equal(advice != NULL, cases[i].advice != NULL);
		assert_true(!advice || strstr(advice, cases[i].advice));
	}
	test_put(t->st, "host/proc/meminfo", "MemFree: 1 kB\n");
	cleanup_json cJSON *unknown = doctor_examine(t->cfg);
	assert_state(unknown, "memory", "warn");
}

static void a_clock_in_the_past(void **data)
{
	struct test_state *t = *data;
	set(t, "ENGINE", "process");
	assert_ok(db_run(
	        t->st->db, err,
	        "INSERT INTO jobs (kind, args, state, owner, created_at) VALUES ('x', '{}', 'done', 'x', ?)",
	        "i", clock_now_ms() + 3600000));
	cleanup_json cJSON *r = doctor_examine(t->cfg);
	assert_state(r, "clock", "bad");
}

static char *line_of(struct test_state *t)
{
	cleanup_str struct str out = STR_INIT;
	cleanup_json cJSON *line = engine_line(t->st);
	engine_line_text(line, &out);
	return str_take(&out);
}

static void the_engine_in_one_line(void **data)
{
	struct test_state *t = *data;
	set(t, "ENGINE", "process");
	cleanup_free char *process = line_of(t);
	assert_string_equal(process, "process");
	set(t, "ENGINE", "compose");
	cleanup_free char *compose = line_of(t);
	assert_non_null(strstr(compose, "compose (Docker "));
	assert_non_null(strstr(compose, ", docker"));
}

/* An engine that takes connections and says nothing. */
static void docker_that_hangs_costs_nothing(void **data)
{
	struct test_state *t = *data;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/hangs.sock", t->dir);
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 8), 0);
	cleanup_free char *host = mem_printf("unix://%s", a.sun_path);
	const char *const hosts[] = {host, "unix:///nonexistent/docker.sock"};
	set(t, "ENGINE", "compose");
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		setenv("DOCKER_HOST", hosts[i], 1);
		int64_t before = clock_mono_ms();
		cleanup_free char *text = line_of(t);
		assert_string_equal(text, "compose (Docker does not answer; `codefoundry doctor` says why)");
		assert_true(clock_mono_ms() - before < 5000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(a_machine_that_can, setup, teardown),
	        cmocka_unit_test_setup_teardown(the_command, setup, teardown),
	        cmocka_unit_test_setup_teardown(the_image, setup, teardown),
	        cmocka_unit_test_setup_teardown(docker_tells_what_it_limits, setup, teardown),
	        cmocka_unit_test_setup_teardown(processes_need_no_docker, setup, teardown),
	        cmocka_unit_test_setup_teardown(containers_need_docker, setup, teardown),
	        cmocka_unit_test_setup_teardown(the_state_directory, setup, teardown),
	        cmocka_unit_test_setup_teardown(what_is_taken, setup, teardown),
	        cmocka_unit_test_setup_teardown(the_memory, setup, memory_teardown),
	        cmocka_unit_test_setup_teardown(a_clock_in_the_past, setup, teardown),
	        cmocka_unit_test_setup_teardown(the_engine_in_one_line, setup, teardown),
	        cmocka_unit_test_setup_teardown(docker_that_hangs_costs_nothing, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
