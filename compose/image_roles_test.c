/* `make image-verify`: every role in the real image, as the compose file runs it (read-only, no capabilities, not root), on a network that
 * leads nowhere. Made by build/codefoundry itself; ends with a table of what was seen. */
#include "compose/image.h"
#include "compose/stack.h"
#include "compose/test_docker.h"
#include "core/clock.h"
#include "core/proc.h"
#include "jobs/test_state.h"
#include <curl/curl.h>
#include <libgen.h>
#include <limits.h>

#define MIB (1 << 20)
#define UNPACKED_MAX (35 * MIB)
#define COMPRESSED_MAX (16 * MIB)
#define HEALTHY_MS 20000
#define STOP_MS 5000
#define OUTPUT_MAX 65536
#define SMALL_BYTES (64 * MIB)

/* What the host hands down to a stack. */
#define CREDENTIALS                                                                                          \
	"{\"token\":\"4242:abcdefghijklmnopqrstuvwxyz012345678\",\"username\":\"given_bot\",\"key\":"        \
	"\"00112233445566778899aabbccddeeff\",\"users\":[{\"id\":1001,\"name\":\"Anna\",\"role\":\"admin\"}" \
	"]}"

static struct {
	struct test_docker docker;
	char state[64]; /* of the program that makes the image */
	char *network, *volume;
	cJSON *info;  /* what `image show` says */
	cJSON *image; /* what the engine says */
	char *ids[8]; /* of the containers, as in stack_services */
	struct str table;
} rig;

static void row(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void row(const char *what, const char *format, ...)
{
	char text[256];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	text[strcspn(text, "\n")] = '\0';
	str_addf(&rig.table, "# %-26s %s\n", what, text);
}

/* -- making everything -- */

/* build/codefoundry, seen from build/test/compose/image_roles_test. */
static char *program(void)
{
	cleanup_free char *self = mem_strdup(proc_self());
	return mem_printf("%s/../../codefoundry", dirname(self));
}

static char *run_program(const char *verb, const char *option)
{
	cleanup_free char *path = program(), *state = mem_printf("STATE_DIR=%s", rig.state);
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc_result r;
	spec.argv = (const char *const[]){path, "--env", "/dev/null", "image", verb, option, NULL};
	spec.env = (const char *const[]){state, NULL};
	assert_ok(proc_run(&spec, NULL, 120000, OUTPUT_MAX, &r, err));
	if (r.status)
		fail_msg("image %s: %s", verb, r.errs);
	char *out = TAKE(r.out);
	proc_result_free(&r);
	return out;
}

static cJSON *labels(void)
{
	cJSON *labels = json_object();
	json_add_text(labels, "com.codefoundry.test", rig.docker.id);
	return labels;
}

/* An internal network with a subnet of its own, since the engine's own pools hold only thirty. */
static void make_network(void)
{
	cleanup_json cJSON *body = json_object();
	cJSON *ipam = json_object(), *pools = json_array(), *pool = json_object();
	unsigned n = (unsigned)getpid() % 4096;
	cleanup_free char *subnet = mem_printf("10.212.%u.%u/28", n / 16, n % 16 * 16);
	rig.network = mem_printf("%snet", rig.docker.prefix);
	json_add_text(pool, "Subnet", subnet);
	cJSON_AddItemToArray(pools, pool);
	json_add(ipam, "Config", pools);
	json_add_text(body, "Name", rig.network);
	json_add_bool(body, "Internal", true);
	json_add(body, "IPAM", ipam);
	json_add(body, "Labels", labels());
	assert_ok(docker_call("POST", "/networks/create", body, 0, NULL, err));
}

static void make_volume(void)
{
	cleanup_json cJSON *body = json_object();
	rig.volume = mem_printf("%sstate", rig.docker.prefix);
	json_add_text(body, "Name", rig.volume);
	json_add(body, "Labels", labels());
	assert_ok(docker_call("POST", "/volumes/create", body, 0, NULL, err));
}

static cJSON *host_config(void)
{
	static const char *const all[] = {"ALL"}, *const security[] = {"no-new-privileges:true"};
	cleanup_free char *bind = mem_printf("%s:" IMAGE_STATE_DIR, rig.volume);
	cJSON *host = json_object(), *tmpfs = json_object();
	json_add_text(tmpfs, "/tmp", "");
	json_add(host, "Tmpfs", tmpfs);
	json_add(host, "Binds", cJSON_CreateStringArray((const char *const[]){bind}, 1));
	json_add(host, "CapDrop", cJSON_CreateStringArray(all, 1));
	json_add(host, "SecurityOpt", cJSON_CreateStringArray(security, 1));
	json_add_bool(host, "ReadonlyRootfs", true);
	json_add_text(host, "NetworkMode", rig.network);
	return host;
}

static void start(const struct stack_service *service, char **id)
{
	static const char *const env[] = {"TELEGRAM_HOST=0.0.0.0",
	                                  "GATEWAY_HOST=0.0.0.0",
	                                  "GATEWAY_ANONYMOUS=operator",
	                                  "BOT_HOST=0.0.0.0",
	                                  "TELEGRAM_API_URL=http://telegram:18791",
	                                  "GATEWAY_URL=ws://gateway:18789",
	                                  "TELEGRAM_RATE_LIMIT=off",
	                                  "TELEGRAM_CREDENTIALS=" CREDENTIALS};
	cleanup_json cJSON *body = json_object(), *made = NULL;
	cJSON *endpoint = json_object(), *endpoints = json_object(), *networking = json_object();
	json_add(endpoint, "Aliases", cJSON_CreateStringArray(&service->name, 1));
	json_add(endpoints, rig.network, endpoint);
	json_add(networking, "EndpointsConfig", endpoints);
	json_add_text(body, "Image", json_text(rig.info, "reference"));
	json_add(body, "Cmd", cJSON_CreateStringArray(&service->command, 1));
	json_add(body, "Env", cJSON_CreateStringArray(env, ARRAY_LEN(env)));
	json_add(body, "Labels", labels());
	json_add(body, "HostConfig", host_config());
	json_add(body, "NetworkingConfig", networking);
	cleanup_free char *create =
	        mem_printf("/containers/create?name=%s%s", rig.docker.prefix, service->name);
	assert_ok(docker_call("POST", create, body, 0, &made, err));
	*id = mem_strdup(json_text_or(made, "Id", ""));
	cleanup_free char *begin = mem_printf("/containers/%s/start", *id);
	assert_ok(docker_call("POST", begin, NULL, 0, NULL, err));
}

static int setup(void **state)
{
	struct err err = {0};
	(void)state;
	test_docker_open(&rig.docker);
	rig.table = STR_INIT;
	snprintf(rig.state, sizeof(rig.state), "/tmp/codefoundry-test.XXXXXX");
	assert_non_null(mkdtemp(rig.state));
	cleanup_free char *built = run_program("build", NULL), *shown = run_program("show", "--json");
	rig.info = json_parse(shown, strlen(shown), &err);
	row("image", "%s", built);
	cleanup_free char *name = docker_escape(json_text(rig.info, "reference")),
	                  *path = mem_printf("/images/%s/json", name);
	rig.image = docker_get(path, &err);
	assert_non_null(rig.image);
	make_network();
	make_volume();
	for (size_t i = 0; stack_services[i].name; i++)
		start(&stack_services[i], &rig.ids[i]);
	return 0;
}

static int teardown(void **state)
{
	struct err err = {0};
	(void)state;
	test_docker_close(&rig.docker);
	int left = test_docker_count(&rig.docker);
	row("left behind", "%d containers, networks, volumes", left);
	fputs(str_text(&rig.table), stdout); /* cmocka cuts long messages */
	tree_remove(rig.state, &err);
	json_cleanup(&rig.info);
	json_cleanup(&rig.image);
	for (size_t i = 0; i < ARRAY_LEN(rig.ids); i++)
		free(rig.ids[i]);
	free(rig.network);
	free(rig.volume);
	str_free(&rig.table);
	return left;
}

/* -- within the containers -- */

static const char *id_of(const char *service)
{
	for (size_t i = 0; stack_services[i].name; i++)
		if (!strcmp(stack_services[i].name, service))
			return rig.ids[i];
	fail_msg("no service %s", service);
	return NULL;
}

/* Exit code of ${argv} in container ${id}, whose output the caller frees. */
static int within_id(const char *id, const char *const *argv, char **output)
{
	struct docker_output out = {0};
	assert_ok(docker_exec(id, argv, 60000, OUTPUT_MAX, &out, err));
	*output = mem_strdup(out.text ? out.text : "");
	int code = out.exit_code;
	docker_output_free(&out);
	return code;
}

static int within(const char *service, const char *const *argv, char **output)
{
	return within_id(id_of(service), argv, output);
}

static char *shell(const char *service, const char *script)
{
	char *out = NULL;
	int code = within(service, (const char *const[]){"sh", "-c", script, NULL}, &out);
	if (code)
		fail_msg("%s: %s: exit %d: %s", service, script, code, out);
	return out;
}

static void the_image_is_small(void **state)
{
	(void)state;
	int64_t unpacked = json_int(rig.info, "layer_bytes", 0),
	        packed = json_int(rig.info, "compressed_bytes", 0);
	row("size", "%.1f MiB unpacked, %.1f MiB compressed", (double)unpacked / MIB, (double)packed / MIB);
	assert_true(unpacked > MIB && unpacked <= UNPACKED_MAX);
	assert_true(packed > MIB && packed <= COMPRESSED_MAX);
	assert_int_equal(strncmp(json_text(rig.image, "Id"), json_text(rig.info, "id"), 71), 0);
	struct err err = {0};
	cleanup_json cJSON *latest = docker_get("/images/codefoundry:latest/json", &err);
	assert_non_null(latest); /* which image it is another installation may have changed by now */
}

/* By the image's own health check, as the engine would run it. */
static void every_role_becomes_healthy(void **state)
{
	const char *argv[8] = {0};
	const cJSON *test = json_at(rig.image, "Config.Healthcheck.Test");
	(void)state;
	assert_string_equal(json_text(test, "0"), "CMD");
	for (int i = 1; i < cJSON_GetArraySize(test) && i < 8; i++)
		argv[i - 1] = cJSON_GetArrayItem(test, i)->valuestring;
	for (const struct stack_service *s = stack_services; s->name; s++) {
		int64_t begin = clock_mono_ms(), asked = begin;
		cleanup_free char *said = NULL;
		int code;
		do {
			free(said);
			asked = clock_mono_ms();
			code = within(s->name, argv, &said);
		} while (code && clock_mono_ms() < begin + HEALTHY_MS);
		said[strcspn(said, "\n")] = '\0';
		row(s->name, "%s (asked in %lld ms)", said, (long long)(clock_mono_ms() - asked));
		if (code)
			fail_msg("%s: %s", s->name, said);
	}
}

static void the_bot_answers_a_person(void **state)
{
	(void)state;
	cleanup_free char *said = NULL;
	assert_int_equal(within("telegram",
	                        (const char *const[]){"codefoundry", "chat", "--wait", "20", "/start", NULL},
	                        &said),
	                 0);
	assert_non_null(strstr(said, "Welcome to CodeFoundry, Anna"));
	cleanup_free char *identities =
	        shell("telegram", "ls -l $STATE_DIR/telegram.json; cat $STATE_DIR/telegram.json");
	assert_non_null(strstr(identities, "given_bot"));
	assert_int_equal(strncmp(identities, "-rw-------", 10), 0);
	row("chat", "%s", said);
}

static void it_may_do_nothing_it_need_not(void **state)
{
	(void)state;
	for (const struct stack_service *s = stack_services; s->name; s++) {
		cleanup_free char *id = shell(s->name, "id -u");
		cleanup_free char *status = shell(s->name, "cat /proc/1/status"), *refused = NULL;
		assert_int_equal(strncmp(id, "65532\n", 6), 0);
		assert_non_null(strstr(status, "CapEff:\t0000000000000000"));
		assert_non_null(strstr(status, "CapBnd:\t0000000000000000"));
		assert_non_null(strstr(status, "NoNewPrivs:\t1"));
		assert_int_not_equal(
		        within(s->name, (const char *const[]){"sh", "-c", "echo >/usr/x", NULL}, &refused),
		        0);
		assert_non_null(strstr(refused, "Read-only file system"));
		free(shell(s->name, "echo >/tmp/x && rm /tmp/x"));
	}
	cleanup_free char *id = shell("test-runner", "id");
	row("user", "%s", id);
	row("rights", "no capabilities, no new privileges, root read-only, /tmp writable");
}

/* The engine lets nothing out of an internal network, so what passed above needs nothing from there. 192.0.2.1 is nobody (RFC 5737). */
static void it_reaches_nothing_outside(void **state)
{
	(void)state;
	struct err err = {0};
	cleanup_free char *path = mem_printf("/networks/%s", rig.network), *said = NULL;
	cleanup_json cJSON *network = docker_get(path, &err);
	assert_true(json_bool(network, "Internal", false));
	assert_int_not_equal(within("telegram-bot",
	                            (const char *const[]){"nc", "-w", "1", "192.0.2.1", "80", NULL}, &said),
	                     0);
	row("network", "internal: only the four");
}

static void certificates_and_time_zones_are_there(void **state)
{
	(void)state;
	const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
	cleanup_free char *count = mem_printf("grep -c 'BEGIN CERTIFICATE' %s", curl->cainfo),
	                  *certificates = shell("telegram-bot", count),
	                  *moscow = shell("test-runner", "TZ=Europe/Moscow date -d @0 +%Z%z");
	assert_true(atoi(certificates) >= 50);
	assert_string_equal(moscow, "MSK+0300\n");
	row("certificates", "%d in %s", atoi(certificates), curl->cainfo);
	row("time zones", "Europe/Moscow at the epoch: %s", moscow);
}

/* A part that runs and does nothing is ill. */
static void an_ill_part_is_told_from_a_healthy_one(void **state)
{
	static const char *const ask[] = {"codefoundry", "health", "--self", NULL};
	(void)state;
	cleanup_free char *ill = NULL, *well = NULL;
	free(shell("gateway", "kill -STOP $(cat /proc/1/task/1/children)"));
	int code = within("gateway", ask, &ill);
	free(shell("gateway", "kill -CONT $(cat /proc/1/task/1/children)"));
	assert_int_equal(code, 1);
	assert_non_null(strstr(ill, "gateway is unhealthy"));
	assert_int_equal(within("gateway", ask, &well), 0);
	row("stopped gateway", "%s", ill);
}

/* What a session supervisor leaves behind is reaped by process 1. */
static void orphans_do_not_stay(void **state)
{
	int64_t until = clock_mono_ms() + 5000;
	cleanup_free char *zombies = NULL;
	(void)state;
	free(shell("test-runner", "for i in 1 2 3 4 5; do (true &); done"));
	do {
		free(zombies);
		zombies = shell("test-runner", "cat /proc/[0-9]*/stat 2>/dev/null | grep -c ' Z ' || true");
	} while (atoi(zombies) && clock_mono_ms() < until);
	assert_int_equal(atoi(zombies), 0);
	row("orphans", "reaped");
}

/* -- all of it in one container, as the free tiers have it -- */

/* `docker run codefoundry up`, with as little as there may be. */
static char *start_small(void)
{
	static const char *const up[] = {"up"}, *const all[] = {"ALL"};
	cleanup_json cJSON *body = json_object(), *made = NULL;
	cJSON *host = json_object(), *tmpfs = json_object();
	json_add_text(tmpfs, "/tmp", "");
	json_add_text(tmpfs, IMAGE_STATE_DIR, "uid=65532,gid=65532,mode=0700");
	json_add(host, "Tmpfs", tmpfs);
	json_add(host, "CapDrop", cJSON_CreateStringArray(all, 1));
	json_add_bool(host, "ReadonlyRootfs", true);
	json_add_text(host, "NetworkMode", "none");
	json_add_int(host, "Memory", SMALL_BYTES);
	json_add_int(host, "MemorySwap", SMALL_BYTES); /* none beside it */
	json_add_text(body, "Image", json_text(rig.info, "reference"));
	json_add(body, "Cmd", cJSON_CreateStringArray(up, 1));
	json_add(body, "Labels", labels());
	json_add(body, "HostConfig", host);
	cleanup_free char *create = mem_printf("/containers/create?name=%ssmall", rig.docker.prefix);
	assert_ok(docker_call("POST", create, body, 0, &made, err));
	char *id = mem_strdup(json_text_or(made, "Id", ""));
	cleanup_free char *begin = mem_printf("/containers/%s/start", id);
	assert_ok(docker_call("POST", begin, NULL, 0, NULL, err));
	return id;
}

static void until_healthy(const char *id)
{
	static const char *const health[] = {"codefoundry", "health", NULL};
	int64_t until = clock_mono_ms() + HEALTHY_MS;
	cleanup_free char *said = NULL;
	while (within_id(id, health, &said)) {
		if (clock_mono_ms() >= until)
			fail_msg("%s", said);
		free(TAKE(said));
	}
}

static void says(const char *id, const char *text, const char *part)
{
	cleanup_free char *said = NULL;
	within_id(id, (const char *const[]){"codefoundry", "chat", "--wait", "50", text, NULL}, &said);
	if (!strstr(said, part))
		fail_msg("%s: %s", text, said);
}

/* ${field} of the control plane's gateway in ${id}. */
static int64_t of_gateway(const char *id, const char *field)
{
	cleanup_free char *text = NULL;
	struct err err = {0};
	within_id(id, (const char *const[]){"codefoundry", "status", "--json", NULL}, &text);
	cleanup_json cJSON *status = json_parse(text, strlen(text), &err);
	const cJSON *part;
	cJSON_ArrayForEach(part, json_at(status, "parts"))
	{
		if (!strcmp(json_text_or(part, "name", ""), "gateway"))
			return json_int(part, field, -1);
	}
	return -1;
}

static void all_of_it_fits_in_64_mib(void **state)
{
	(void)state;
	cleanup_free char *id = start_small();
	until_healthy(id);
	says(id, "/session start demo", "is running");
	says(id, "/test all demo", "Passed: 9");
	assert_int_equal(of_gateway(id, "restarts"), 0);
	cleanup_free char *pid = mem_printf("%lld", (long long)of_gateway(id, "pid")), *said = NULL;
	assert_int_equal(within_id(id, (const char *const[]){"kill", "-9", pid, NULL}, &said), 0);
	until_healthy(id);
	assert_int_equal(of_gateway(id, "restarts"), 1);
	says(id, "/session stop demo now", "0 processes");

	cleanup_free char *stop = mem_printf("/containers/%s/stop?t=10", id),
	                  *look = mem_printf("/containers/%s/json", id),
	                  *stats = mem_printf("/containers/%s/stats?stream=false", id);
	struct err err = {0};
	cleanup_json cJSON *used = docker_get(stats, &err);
	assert_ok(docker_call("POST", stop, NULL, 0, NULL, err));
	cleanup_json cJSON *seen = docker_get(look, &err);
	assert_int_equal(json_int(seen, "State.ExitCode", -1), 0);
	assert_false(json_bool(seen, "State.OOMKilled", true));
	row("up in 64 MiB", "nine of nine in a session, %lld MiB used of it, at most %lld",
	    (long long)json_int(used, "memory_stats.usage", 0) / MIB,
	    (long long)json_int(used, "memory_stats.max_usage", 0) / MIB);
}

/* Last: TERM reaches the part through process 1, which then exits with its code. */
static void every_role_ends_when_told(void **state)
{
	(void)state;
	int64_t slowest = 0;
	for (size_t i = 0; stack_services[i].name; i++) {
		cleanup_free char *stop = mem_printf("/containers/%s/stop?t=10", rig.ids[i]),
		                  *look = mem_printf("/containers/%s/json", rig.ids[i]);
		int64_t begin = clock_mono_ms();
		assert_ok(docker_call("POST", stop, NULL, 0, NULL, err));
		int64_t took = clock_mono_ms() - begin;
		struct err err = {0};
		cleanup_json cJSON *seen = docker_get(look, &err);
		if (json_int(seen, "State.ExitCode", -1) != 0 || took > STOP_MS)
			fail_msg("%s: exit %lld after %lld ms", stack_services[i].name,
			         (long long)json_int(seen, "State.ExitCode", -1), (long long)took);
		slowest = took > slowest ? took : slowest;
	}
	row("stop", "all exit with 0, the slowest after %lld ms", (long long)slowest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_image_is_small),
	        cmocka_unit_test(every_role_becomes_healthy),
	        cmocka_unit_test(the_bot_answers_a_person),
	        cmocka_unit_test(it_may_do_nothing_it_need_not),
	        cmocka_unit_test(it_reaches_nothing_outside),
	        cmocka_unit_test(certificates_and_time_zones_are_there),
	        cmocka_unit_test(an_ill_part_is_told_from_a_healthy_one),
	        cmocka_unit_test(orphans_do_not_stay),
	        cmocka_unit_test(all_of_it_fits_in_64_mib),
	        cmocka_unit_test(every_role_ends_when_told),
	};
	return cmocka_run_group_tests_name("compose/image_roles", tests, setup, teardown);
}
