/* What a session of containers and one of processes use and cost. */
#include "sessions/test_compose.h"

#define MIB (1 << 20)

static cJSON *show(struct test_state *t, const char *name)
{
	struct err err = {0};
	cJSON *s = session_show(t->st, name, &err);
	if (!s)
		fail_msg("%s", err.msg);
	session_add_cost(t->st, s);
	return s;
}

static const cJSON *service(const cJSON *session, const char *name)
{
	const cJSON *one;
	cJSON_ArrayForEach(one, json_at(session, "services"))
	{
		if (!strcmp(json_text(one, "name"), name))
			return one;
	}
	fail_msg("no service %s", name);
	return NULL;
}

static double number(const cJSON *j, const char *path)
{
	const cJSON *value = json_at(j, path);
	if (!cJSON_IsNumber(value))
		fail_msg("%s is no number", path);
	return value->valuedouble;
}

static void assert_share(const cJSON *s, const char *share, double part, const char *whole)
{
	double wanted = 100 * part / number(s, whole), got = number(s, share);
	if (got < wanted - 0.01 || got > wanted + 0.01)
		fail_msg("%s is %f, not %f", share, got, wanted);
}

static void of_containers(void **data)
{
	struct test_state *t = *data;
	cJSON_Delete(start(t, "demo",
	                   "services:\n"
	                   "  busy:\n    image: '@'\n    stop_signal: SIGKILL\n"
	                   "    command: [sh, -c, 'while :; do :; done']\n    ports: ['8080']\n"
	                   "  idle:\n    image: '@'\n    stop_signal: SIGKILL\n    command: [sleep, '1000']\n"
	                   "    volumes: ['data:/data']\n"
	                   "    healthcheck: {test: [CMD, 'true'], interval: 1s}\nvolumes:\n  data: {}\n"));
	cleanup_json cJSON *before = show(t, "demo");
	free(sh(t, "demo", "idle",
	        "head -c 4194304 /dev/zero > /data/x; head -c 4194304 /dev/zero > /tmp/x"));
	cleanup_json cJSON *s = show(t, "demo");
	const cJSON *busy = service(s, "busy"), *idle = service(s, "idle");

	/* half a CPU is what one of two services may use */
	assert_in_range((int)number(busy, "cpu_percent"), 2, 80); /* less on a loaded machine */
	assert_true(number(idle, "cpu_percent") < number(busy, "cpu_percent"));
	assert_in_range(json_int(busy, "memory_bytes", 0), 1, 64 * MIB);
	assert_int_equal(json_int(busy, "memory_limit_bytes", 0), 512 * MIB);
	assert_true(json_int(busy, "pids", 0) >= 1);
	assert_int_equal(cJSON_GetArraySize(json_at(busy, "ports")), 1);
	assert_int_equal(json_int(busy, "ports.0.container", 0), 8080);
	assert_true(json_int(busy, "ports.0.host", 0) >= test_sessions_port());
	assert_int_equal(cJSON_GetArraySize(json_at(idle, "ports")), 0);
	assert_string_equal(json_text(busy, "image"), docker.image);
	assert_null(json_at(busy, "health"));
	assert_non_null(json_text(idle, "health"));
	assert_string_equal(json_text(s, "provider"), PROVIDER_V1);

	double cpu = number(busy, "cpu_percent") + number(idle, "cpu_percent"),
	       memory = number(busy, "memory_bytes") + number(idle, "memory_bytes"),
	       grown = number(s, "cost.disk_bytes") - number(before, "cost.disk_bytes");
	assert_in_range((int64_t)grown, 8 * MIB, 8 * MIB + MIB / 4);
	assert_int_equal((int)number(s, "cost.memory_bytes"), (int)memory);
	assert_share(s, "cost.cpu_share", cpu / 100, "cost.machine.cpus");
	assert_share(s, "cost.memory_share", memory, "cost.machine.memory_bytes");
	assert_share(s, "cost.disk_share", number(s, "cost.disk_bytes"), "cost.machine.disk_bytes");

	/* what is not known is null, and the rest is told */
	setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock", 1);
	cleanup_json cJSON *silent = show(t, "demo");
	unsetenv("DOCKER_HOST");
	assert_string_equal(json_text(silent, "services.0.state"), "unknown");
	assert_true(cJSON_IsNull(json_at(silent, "cost.memory_bytes")));
	assert_true(cJSON_IsNull(json_at(silent, "cost.disk_share")));
	assert_true(number(silent, "cost.machine.cpus") >= 1);

	/* stopped, it costs its files only */
	does(t, "session.stop", "{\"name\":\"demo\",\"keep\":true}");
	cleanup_json cJSON *kept = show(t, "demo");
	assert_int_equal((int)number(kept, "cost.cpu_percent"), 0);
	assert_true(number(kept, "cost.disk_bytes") > 8 * MIB);
	stop_gone(t, "demo");
	cleanup_json cJSON *gone = show(t, "demo");
	assert_null(json_at(gone, "cost"));
	assert_gone(t);
}

/* Each copy of a service has what it uses itself: the first of two runs a second program. */
static void of_copies(void **data)
{
	struct test_state *t = *data;
	int64_t pids = 0;
	const cJSON *one;
	cJSON_Delete(start(t, "demo",
	                   "services:\n"
	                   "  web:\n    image: '@'\n    stop_signal: SIGKILL\n    deploy: {replicas: 2}\n"
	                   "    command: [sh, -c, 'mkdir /data/first && { sleep 1001 & }; touch "
	                   "/data/$$HOSTNAME; exec sleep 1000']\n"
	                   "    healthcheck: {test: 'test -e /data/$$HOSTNAME', interval: 1s}\n"
	                   "    volumes: ['data:/data']\nvolumes:\n  data: {}\n"));
	cleanup_json cJSON *s = show(t, "demo");
	assert_int_equal(cJSON_GetArraySize(json_at(s, "services")), 2);
	cJSON_ArrayForEach(one, json_at(s, "services")) pids += json_int(one, "pids", 0);
	assert_int_equal(pids, 3);
	stop_gone(t, "demo");
	assert_gone(t);
}

static void of_processes(void **data)
{
	struct test_state *t = *data;
	does(t, "session.start", "{\"name\":\"demo\"}");
	cleanup_free char *file = state_path(t->st, "sessions/demo/state/big");
	cleanup_json cJSON *before = show(t, "demo");
	cleanup_free char *zeros = mem_alloc(4 * MIB);
	assert_ok(file_write(file, zeros, 4 * MIB, 0600, err));
	cleanup_json cJSON *s = show(t, "demo");
	const cJSON *gateway = service(s, "gateway");
	assert_in_range(json_int(gateway, "memory_bytes", 0), 1, 256 * MIB);
	assert_int_equal(json_int(gateway, "pids", 0), 1);
	number(gateway, "cpu_percent");
	assert_int_equal(cJSON_GetArraySize(json_at(gateway, "ports")), 2);
	assert_in_range((int64_t)(number(s, "cost.disk_bytes") - number(before, "cost.disk_bytes")), 4 * MIB,
	                4 * MIB + MIB / 4);
	stop_clean(t, "demo");
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return again_main(argc, argv);
	const struct CMUnitTest tests[] = {V1(of_containers), V1(of_copies), T(of_processes)};
	return cmocka_run_group_tests_name("session_cost", tests, group_setup, group_teardown);
}
