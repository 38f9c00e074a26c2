#include "compose/compose_testing.h"
#include "compose/podman_compose.h"
#include "compose/project.h"

/* -- what it prints -- */

static cJSON *resolved(const char *json)
{
	struct err err = {0};
	cleanup_free char *printed =
	        mem_printf("using podman version: 4.3.1\n ** merged:\n %s\n['podman', 'ps']\n", json);
	cJSON *file = podman_compose_resolved(printed, "/work/dir", &err);
	if (!file)
		fail_msg("%s: %s", json, err.msg);
	return file;
}

static void files_are_as_the_others_print_them(void **state)
{
	(void)state;
	static const struct {
		const char *service, *expected;
	} cases[] = {
	        {"{\"environment\":[\"A=1\",\"B=x=y\",\"CF_PASSED\",\"CF_NOT_SET\"]}",
	         "{\"environment\":{\"A\":\"1\",\"B\":\"x=y\",\"CF_PASSED\":\"here\"}}"},
	        {"{\"environment\":{\"A\":true,\"B\":5,\"C\":\"$x $$\",\"CF_PASSED\":null}}",
	         "{\"environment\":{\"A\":\"true\",\"B\":\"5\",\"C\":\"$$x $$$$\",\"CF_PASSED\":\"here\"}}"},
	        {"{\"labels\":[\"a=b\",\"c\"]}", "{\"labels\":{\"a\":\"b\",\"c\":\"\"},\"environment\":{}}"},
	        {"{\"volumes\":[\"./x:/x:ro\",\"../y:/y\",\"data:/d\",\"/abs:/a\",\"/anonymous\"]}",
	         "{\"volumes\":[\"/work/dir/./x:/x:ro\",\"/work/dir/../y:/y\",\"data:/d\",\"/abs:/a\",\"/"
	         "anonymous\"],"
	         "\"environment\":{}}"},
	        {"{\"volumes\":[{\"type\":\"bind\",\"source\":\"x\",\"target\":\"/x\"}]}",
	         "{\"volumes\":[{\"type\":\"bind\",\"target\":\"/x\",\"source\":\"/work/dir/"
	         "x\"}],\"environment\":{}}"},
	        {"{\"build\":\".\"}", "{\"build\":\"/work/dir/.\",\"environment\":{}}"},
	        {"{\"build\":{\"context\":\"sub\",\"target\":\"t\"}}",
	         "{\"build\":{\"target\":\"t\",\"context\":\"/work/dir/sub\"},\"environment\":{}}"},
	        {"{\"tmpfs\":\"/"
	         "tmp\",\"expose\":[80],\"sysctls\":{\"a.b\":1},\"extra_hosts\":{\"h\":\"1.2.3.4\"}}",
	         "{\"tmpfs\":[\"/"
	         "tmp\"],\"extra_hosts\":[\"h:1.2.3.4\"],\"sysctls\":[\"a.b=1\"],\"expose\":[\"80\"],"
	         "\"environment\":{}}"},
	        {"{\"restart\":false,\"user\":1000}",
	         "{\"user\":\"1000\",\"restart\":\"no\",\"environment\":{}}"},
	};
	setenv("CF_PASSED", "here", 1);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *json = mem_printf("{\"_dirname\":\"/x\",\"services\":{\"web\":%s}}",
		                                     cases[i].service),
		                  *expected = mem_printf("{\"services\":{\"web\":%s}}", cases[i].expected);
		cleanup_json cJSON *got = resolved(json), *wanted = cJSON_Parse(expected);
		assert_non_null(wanted);
		if (!cJSON_Compare(got, wanted, true)) {
			cleanup_free char *text = json_print(got);
			fail_msg("%s\nnot %s", text, expected);
		}
	}
	unsetenv("CF_PASSED");
}

static void garbage_is_refused(void **state)
{
	(void)state;
	static const char *const printed[] = {"",
	                                      "no such file",
	                                      " ** merged:\n",
	                                      " ** merged:\n []",
	                                      " ** merged:\n {\"a\":",
	                                      " ** merged:\n 7"};
	for (size_t i = 0; i < ARRAY_LEN(printed); i++) {
		struct err err = {0};
		assert_null(podman_compose_resolved(printed[i], "/", &err));
		assert_int_equal(err.code, ERR_INVALID);
	}
	static const char *const odd[] = {
	        "{}",
	        "{\"services\":null}",
	        "{\"services\":[]}",
	        "{\"services\":{\"a\":null}}",
	        "{\"services\":{\"a\":{\"environment\":7,\"volumes\":{\"x\":1},\"labels\":\"x\"}}}",
	        "{\"services\":{\"a\":{\"networks\":[7],\"tmpfs\":[null],\"build\":[]}},\"secrets\":[1]}"};
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		cleanup_json cJSON *file = resolved(odd[i]);
		struct err err = {0};
		podman_compose_check(file, &err);
		podman_compose_base(file, "/x");
	}
}

/* -- what it would drop -- */

static void what_it_would_drop_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *service, *says; /* NULL: it is taken */
	} cases[] = {
	        {"{\"image\":\"x\",\"dns_opt\":[\"a\"],\"x-own\":1,\"links\":null}", NULL},
	        {"{\"networks\":{\"a\":null,\"b\":{}}}", NULL},
	        {"{\"imagination\":1}", "service web: imagination: podman-compose does not know it"},
	        {"{\"network_mode\":\"none\"}", "network_mode"},
	        {"{\"extends\":{\"service\":\"a\"}}", "extends"},
	        {"{\"configs\":[\"a\"]}", "configs"},
	        {"{\"volumes_from\":[\"a\"]}", "volumes_from"},
	        {"{\"build\":\".\"}", "build: podman-compose labels no images"},
	        {"{\"networks\":{\"a\":{\"aliases\":[\"b\"]}}}", "aliases: podman-compose gives"},
	        {"{\"depends_on\":{\"a\":{\"condition\":\"service_completed_successfully\"}}}",
	         "service_completed_successfully"},
	        {"{\"depends_on\":{\"a\":{\"condition\":\"service_healthy\"}}}", NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *json = mem_printf("{\"services\":{\"web\":%s}}", cases[i].service);
		cleanup_json cJSON *base = cJSON_Parse(json);
		struct err err = {0};
		assert_non_null(base);
		assert_int_equal(podman_compose_check(base, &err), cases[i].says ? -1 : 0);
		if (cases[i].says && (err.code != ERR_INVALID || !strstr(err.msg, cases[i].says) ||
		                      !strstr(err.msg, "docker-compose")))
			fail_msg("%s: %s", json, err.msg);
	}
}

/* -- what it is given -- */

static void variables_stand_in_files(void **state)
{
	(void)state;
	cleanup_json cJSON
	        *base = cJSON_Parse(
	                "{\"services\":{\"web\":{\"environment\":{\"A\":\"a$$b \\\"q\\\" #c\",\"B\":\"1\","
	                "\"E\":\"\"},\"depends_on\":[\"db\"],\"scale\":2,\"networks\":{\"n\":null}}}}"),
	        *more = cJSON_Parse("{\"B\":\"2\",\"KEY\":\"$secret$$\"}");
	cleanup_str struct str out = STR_INIT;
	assert_ok(podman_compose_variables(base, "web", more, &out, err));
	assert_string_equal(str_text(&out), "A=a$b \"q\" #c\nE=\nB=2\nKEY=$secret$$\n");
	podman_compose_base(base, "/s");
	cleanup_json cJSON *wanted =
	        cJSON_Parse("{\"services\":{\"web\":{\"env_file\":[\"/s/web.env\"],\"networks\":[\"n\"],"
	                    "\"deploy\":{\"replicas\":2}}}}");
	assert_true(cJSON_Compare(base, wanted, true));
	static const char *const bad[] = {"{\"K\":\"a\\nb\"}", "{\"K\":\"a\\r\"}", "{\"K=L\":\"a\"}",
	                                  "{\"#K\":\"a\"}"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_json cJSON *one = cJSON_Parse(bad[i]);
		cleanup_str struct str text = STR_INIT;
		struct err err = {0};
		assert_int_equal(podman_compose_variables(base, "web", one, &text, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
	}
}

static void how_it_ended(void **state)
{
	(void)state;
	static const struct {
		const char *printed;
		int status;
	} cases[] = {
	        {"", 0},
	        {"podman run a\nexit code: 0\npodman run b\nexit code: 0\n", 0},
	        {"podman run a\nexit code: 125\npodman start a\nexit code: 0\n", 0},
	        {"podman run a\nexit code: 125\npodman start a\nexit code: 125\n", 125},
	        {"podman run a\nexit code: 125\npodman start a\nexit code: 1\npodman run b\nexit code: 0\n",
	         1},
	        {"podman run a\nexit code: 125\npodman start a\nexit code: 1\npodman run b\nexit code: "
	         "125\npodman start "
	         "b\nexit code: 0\n",
	         1},
	        {"exit code: 3", 3},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(podman_compose_status(cases[i].printed), cases[i].status);
}

/* -- the tool itself -- */

static void a_file_by_the_tool(void **data)
{
	struct test_dir *d = *data;
	struct provider p;
	cleanup_free char *env = test_dir_write(d, "more.env", "FROM_FILE=a b\nOVER=1\n"),
	                  *given = test_dir_write(d, "given.env", "TAG=9\n"),
	                  *cache = mem_printf("%s/cache", d->path),
	                  *file = test_dir_write(d, "docker-compose.yml",
	                                         "x-base: &base {restart: unless-stopped}\n"
	                                         "services:\n"
	                                         "  web:\n"
	                                         "    <<: *base\n"
	                                         "    image: \"img:${TAG:-1}\"\n"
	                                         "    env_file: more.env\n"
	                                         "    environment: {OVER: 2, MONEY: \"$$5\"}\n"
	                                         "    ports: [\"8080:80\", \"90\"]\n"
	                                         "    volumes: [\"./data:/d\"]\n"
	                                         "    mem_limit: 64m\n"
	                                         "    depends_on: [db]\n"
	                                         "  db: {image: x, networks: [back]}\n"
	                                         "  extra: {image: x, profiles: [p]}\n"
	                                         "networks: {back: {internal: true}}\n");
	assert_ok(provider_find(PROVIDER_PODMAN, &p, err));
	assert_false(p.json);
	cleanup_json cJSON *got = NULL;
	struct project_ask ask = {.provider = &p,
	                          .files = (const char *const[]){file, NULL},
	                          .env_file = given,
	                          .cache_dir = cache};
	assert_ok(!(got = project_load(&ask, err)));
	assert_int_equal(cJSON_GetArraySize(json_at(got, "services")), 2);
	assert_string_equal(json_text(got, "services.0.image"), "img:9");
	assert_int_equal(json_int(got, "services.0.memory", 0), 64 << 20);
	assert_int_equal(cJSON_GetArraySize(json_at(got, "services.0.ports")), 2);
	const cJSON *web = json_at(got, "base.services.web");
	assert_string_equal(json_text(web, "environment.FROM_FILE"), "a b");
	assert_string_equal(json_text(web, "environment.OVER"), "2");
	assert_string_equal(json_text(web, "environment.MONEY"), "$$5");
	assert_string_equal(json_text(web, "restart"), "unless-stopped");
	assert_true(json_bool(got, "base.networks.back.internal", false));
	assert_ok(podman_compose_check(json_at(got, "base"), err));
	struct err err = {0};
	cleanup_free char *bad = test_dir_write(d, "docker-compose.yml", "services: [\n");
	ask.env_file = NULL;
	assert_null(project_load(&ask, &err));
	assert_int_equal(err.code, ERR_INVALID);
	assert_memory_equal(err.msg, file, strlen(file));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(files_are_as_the_others_print_them),
	        cmocka_unit_test(garbage_is_refused),
	        cmocka_unit_test(what_it_would_drop_is_refused),
	        cmocka_unit_test(variables_stand_in_files),
	        cmocka_unit_test(how_it_ended),
	        cmocka_unit_test_setup_teardown(a_file_by_the_tool, test_dir_setup, test_dir_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
