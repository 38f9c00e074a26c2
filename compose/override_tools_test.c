/* The override in front of the tools that read it. */
#include "compose/test_override.h"
#include "core/file.h"
#include "core/net.h"
#include "core/proc.h"
#include "core/yaml.h"
#include <unistd.h>

#define RUN_MS 60000

/* Texts that YAML, compose or a terminal could take for something else. */
static const char *const hostile[] = {
        "\"quoted\" and 'single'",
        "two\nlines\n",
        "${X} $X $$ ${X:-y} $",
        "a: b # c",
        " - leading and trailing ",
        "back\\slash \\n \t tab",
        "😀 ünïcode \u2028 \u2029 \xc2\x85 \xc2\x9f \ufeff \ufffe end",
        "\x01\x1f\x7f",
        "",
        "null",
        "0123",
        "yes",
        "!!int 7 &a *a %TAG @ ` | > ? [ ] { }",
};

static cJSON *hostile_environment(void)
{
	cJSON *all = json_object(), *web = json_object();
	for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
		cleanup_free char *key = mem_printf("HOSTILE_%zu", i);
		json_add_text(web, key, hostile[i]);
	}
	json_add(all, "web", web);
	return all;
}

/* Run ${argv} to its end; the caller frees what it printed. */
static char *run(const char *const argv[])
{
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc_result r;
	spec.argv = argv;
	if (proc_run(&spec, NULL, RUN_MS, 4 << 20, &r, &err))
		fail_msg("%s", err.msg);
	if (r.status)
		fail_msg("%s %s …: %d: %s", argv[0], argv[1], r.status, r.errs);
	char *out = TAKE(r.out);
	proc_result_free(&r);
	return out;
}

/* A session with files of its own. */
struct files {
	struct fixture f;
	struct test_docker docker;
	char dir[40], base[64], override[64], id[32];
	int port;
};

/* The base as compose reads it: one line of JSON (YAML has no tabs to indent with). */
static cJSON *replaced(const char *text, const char *image, const char *id)
{
	cleanup_str struct str out = STR_INIT;
	for (const char *p = text; *p; p++) {
		bool is_image = !strncmp(p, "IMAGE", 5), is_id = !strncmp(p, "TEST\"", 5);
		if (is_image || is_id)
			str_add(&out, is_image ? image : id);
		else
			str_addc(&out, *p);
		p += is_image ? 4 : is_id ? 3 : 0;
	}
	return parse(str_text(&out));
}

static int free_port(void)
{
	int port = 0;
	cleanup_close int fd = net_listen("127.0.0.1", 0, &port, &err);
	assert_true(fd >= 0);
	return port;
}

/* So that whatever is made can be found and removed, also after a failed test. */
static void label_all(const cJSON *base, const char *id)
{
	static const char *const sections[] = {"services", "networks", "volumes"};
	for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
		cJSON *one;
		cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(base, sections[i]))
		{
			cJSON *labels = cJSON_GetObjectItemCaseSensitive(one, "labels");
			if (!labels)
				labels = cJSON_AddObjectToObject(one, "labels");
			cJSON_DeleteItemFromObjectCaseSensitive(labels, "com.codefoundry.test");
			json_add_text(labels, "com.codefoundry.test", id);
		}
	}
}

static int setup(void **state)
{
	struct files *s = mem_alloc(sizeof(*s));
	test_docker_open(&s->docker);
	snprintf(s->docker.image, sizeof(s->docker.image), "codefoundry-test-%s:1", s->docker.id);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct files *s = *state;
	struct err ignored;
	test_docker_close(&s->docker);
	fixture_close(&s->f);
	tree_remove(s->dir, &ignored);
	free(s);
	return 0;
}

static void files_open(struct files *s, const char *provider)
{
	cleanup_str struct str out = STR_INIT;
	unsigned block = (unsigned)getpid() % 1000; /* of 10.214.0.0/16, which no installation leases from */
	snprintf(s->id, sizeof(s->id), "%soverride", s->docker.prefix);
	snprintf(s->dir, sizeof(s->dir), "/tmp/codefoundry-test.XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->base, sizeof(s->base), "%s/compose.yml", s->dir);
	snprintf(s->override, sizeof(s->override), "%s/override.yml", s->dir);
	s->port = free_port();
	cleanup_free char *subnets =
	        mem_printf("{\"default\":\"10.214.%u.%u/28\",\"back\":\"10.214.%u.%u/28\"}", block / 4,
	                   block % 4 * 64, block / 4, block % 4 * 64 + 16);
	cleanup_free char *ports =
	        mem_printf("[{\"service\":\"web\",\"port\":%d,\"target\":80,\"protocol\":\"tcp\"}]", s->port);
	fixture_open(&s->f, "{}", ports, subnets, "{}");
	cJSON_Delete(s->f.project);
	cJSON_Delete(s->f.environment);
	s->f.o.project = s->f.project = replaced(project_text, s->docker.image, s->docker.id);
	label_all(json_at(s->f.project, "base"), s->docker.id);
	cJSON_ReplaceItemInObjectCaseSensitive(s->f.project, "provider", cJSON_CreateString(provider));
	s->f.o.environment = s->f.environment = hostile_environment();
	s->f.o.name = s->id;
	cleanup_free char *base = json_print(json_at(s->f.project, "base"));
	if (override_write(&s->f.o, &out, &err) || file_write(s->base, base, strlen(base), 0600, &err) ||
	    file_write(s->override, str_text(&out), out.len, 0600, &err))
		fail_msg("%s", err.msg);
}

/* The folder with compose v2 as docker's plugin, which the Makefile prepares. */
static const char *v2_config(void)
{
	const char *dir = getenv("CODEFOUNDRY_TEST_COMPOSE_V2");
	if (!dir)
		fail_msg("CODEFOUNDRY_TEST_COMPOSE_V2 does not say where compose v2 is (make sets it)");
	return dir;
}

/* What `config` prints doubles each $, as the files do. */
static void assert_doubled(const char *printed, const char *text)
{
	cleanup_str struct str expected = STR_INIT;
	for (const char *p = text; *p; p++)
		str_addn(&expected, *p == '$' ? "$$" : p, *p == '$' ? 2 : 1);
	assert_non_null(printed);
	assert_string_equal(printed, str_text(&expected));
}

static void assert_config(const char *text)
{
	cleanup_json cJSON *config = yaml_parse(text, strlen(text), "config", &err);
	if (!config)
		fail_msg("%s: %s", err.msg, text);
	const cJSON *web = json_at(config, "services.web"), *back = json_at(config, "networks.back");
	for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
		cleanup_free char *path = mem_printf("environment.HOSTILE_%zu", i);
		assert_doubled(json_text(web, path), hostile[i]);
	}
	assert_string_equal(json_text(web, "environment.OWN"), "1");
	assert_true(json_bool(back, "internal", false));
	const cJSON *mtu = cJSON_GetObjectItemCaseSensitive(json_at(back, "driver_opts"),
	                                                    "com.docker.network.driver.mtu");
	assert_non_null(mtu);
	assert_string_equal(json_text(back, "labels.team"), "a$$b");
}

static void docker_compose_1_takes_it(void **state)
{
	struct files *s = *state;
	files_open(s, "docker-compose");
	cleanup_free char *out = run((const char *const[]){"docker-compose", "-p", s->id, "-f", s->base, "-f",
	                                                   s->override, "config", NULL});
	assert_config(out);
}

static void compose_v2_takes_it(void **state)
{
	struct files *s = *state;
	files_open(s, "docker compose");
	cleanup_free char *out =
	        run((const char *const[]){"docker", "--config", v2_config(), "compose", "-p", s->id, "-f",
	                                  s->base, "-f", s->override, "config", "--format", "json", NULL});
	assert_config(out);
}

static void podman_compose_takes_it(void **state)
{
	struct files *s = *state;
	files_open(s, "podman-compose");
	/* a dry run of `up` makes networks and volumes all the same; that of `ps` makes nothing */
	cleanup_free char *out = run((const char *const[]){"podman-compose", "--dry-run", "-p", s->id, "-f",
	                                                   s->base, "-f", s->override, "ps", NULL});
	cleanup_free char *name = mem_printf("\"container_name\": \"%s-web\"", s->id),
	                  *memory = mem_printf("\"mem_limit\": \"%d\"", 256 << 20);
	assert_non_null(strstr(out, name));
	assert_true(strstr(out, memory) || strstr(out, "\"mem_limit\": 268435456"));
	/* variables are not for its arguments */
	assert_null(strstr(out, "HOSTILE_0"));
}

static cJSON *inspect(const char *name)
{
	cleanup_free char *text = run((const char *const[]){"docker", "inspect", name, NULL});
	return parse(text);
}

static bool has_variable(const cJSON *env, const char *key, const char *text)
{
	cleanup_free char *both = mem_printf("%s=%s", key, text);
	return json_has_text(env, both);
}

static const char *label_of(const cJSON *labels, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(labels, key));
}

/* What runs now is what the override says. */
static void assert_runs(const struct files *s, const cJSON *web, const cJSON *slow, const cJSON *net)
{
	const cJSON *env = json_at(web, "0.Config.Env"), *labels = json_at(web, "0.Config.Labels");
	for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
		char key[32];
		snprintf(key, sizeof(key), "HOSTILE_%zu", i);
		if (!has_variable(env, key, hostile[i]))
			fail_msg("%s did not come through", key);
	}
	assert_true(has_variable(env, "SESSION_NAME", "demo"));
	assert_true(has_variable(env, "OWN", "1"));
	assert_string_equal(label_of(labels, LABEL_SESSION), UUID);
	assert_string_equal(label_of(labels, LABEL_INSTALL), INSTALL);
	assert_string_equal(label_of(labels, LABEL_SERVICE), "web");
	assert_string_equal(label_of(labels, LABEL_EXPIRES), "1800000000");
	assert_int_equal(json_int(web, "0.HostConfig.Memory", 0), 256 << 20);
	assert_int_equal(json_int(web, "0.HostConfig.NanoCpus", 0), 200000000);
	assert_string_equal(json_text(web, "0.HostConfig.LogConfig.Config.max-size"), "10m");
	assert_int_equal(json_int(web, "0.HostConfig.PidsLimit", 0), 4096);
	assert_int_equal(json_int(slow, "0.HostConfig.PidsLimit", 0), 100);
	assert_int_equal(json_int(slow, "0.HostConfig.CpuQuota", 0), 20000);
	const cJSON *bound =
	        cJSON_GetObjectItemCaseSensitive(json_at(web, "0.HostConfig.PortBindings"), "80/tcp");
	cleanup_free char *port = mem_printf("%d", s->port);
	assert_string_equal(json_text(bound, "0.HostPort"), port);
	assert_string_equal(json_text(bound, "0.HostIp"), "127.0.0.1");
	assert_string_equal(json_text(net, "0.IPAM.Config.0.Subnet"), json_text(s->f.subnets, "back"));
	assert_true(json_bool(net, "0.Internal", false));
	assert_string_equal(label_of(json_at(net, "0.Labels"), LABEL_SESSION), UUID);
}

/* The engine does what is written, through ${tool} (NULL-terminated words). */
static void comes_up(struct files *s, const char *provider, const char *const *tool)
{
	const char *up[16], *down[16];
	size_t n = 0;
	files_open(s, provider);
	test_docker_image(&s->docker);
	const char *const words[] = {"-p", s->id, "-f", s->base, "-f", s->override};
	for (; tool[n]; n++)
		up[n] = tool[n];
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		up[n++] = words[i];
	memcpy(down, up, sizeof(up[0]) * n);
	up[n] = "up", up[n + 1] = "-d", up[n + 2] = NULL;
	down[n] = "down", down[n + 1] = "-v", down[n + 2] = NULL;
	cleanup_free char *web = mem_printf("%s-web", s->id), *slow = mem_printf("%s-slow", s->id),
	                  *net = mem_printf("%s_back", s->id), *volume = mem_printf("%s_state", s->id);
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc_result r;
	spec.argv = up;
	assert_int_equal(proc_run(&spec, NULL, RUN_MS, 1 << 20, &r, &err), 0);
	cleanup_json cJSON *a = r.status ? NULL : inspect(web), *b = r.status ? NULL : inspect(slow),
	                   *c = r.status ? NULL : inspect(net), *d = r.status ? NULL : inspect(volume);
	struct proc_result gone;
	spec.argv = down;
	assert_int_equal(proc_run(&spec, NULL, RUN_MS, 1 << 20, &gone, &err), 0);
	if (gone.status)
		fail_msg("down: %s", gone.errs);
	proc_result_free(&gone);
	if (r.status)
		fail_msg("up: %s", r.errs);
	proc_result_free(&r);
	assert_int_equal(test_docker_count(&s->docker), 0);
	assert_runs(s, a, b, c);
	assert_string_equal(label_of(json_at(d, "0.Labels"), LABEL_SESSION), UUID);
}

static void comes_up_with_docker_compose_1(void **state)
{
	comes_up(*state, "docker-compose", (const char *const[]){"docker-compose", NULL});
}

static void comes_up_with_compose_v2(void **state)
{
	comes_up(*state, "docker compose",
	         (const char *const[]){"docker", "--config", v2_config(), "compose", NULL});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(docker_compose_1_takes_it, setup, teardown),
	        cmocka_unit_test_setup_teardown(compose_v2_takes_it, setup, teardown),
	        cmocka_unit_test_setup_teardown(podman_compose_takes_it, setup, teardown),
	        cmocka_unit_test_setup_teardown(comes_up_with_docker_compose_1, setup, teardown),
	        cmocka_unit_test_setup_teardown(comes_up_with_compose_v2, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
