#include "compose/test_override.h"

/* clang-format off */
static const char golden[] =
        "# Session demo: what makes the compose file beside it this one session. Overrides names, labels,\n"
        "# ports, limits, networks and volumes of the services that are started; adds to their environment.\n"
        "# Made by codefoundry, do not edit: what it says is leased and counted for this session.\n"
        "services:\n"
        "  \"web\":\n"
        "    container_name: \"codefoundry-demo-web\" # so that sessions run side by side\n"
        "    labels: # by these everything of the session is found and removed\n"
        LABELS
        "      \"com.codefoundry.service\": \"web\"\n"
        "    environment: # added to the service's own; may hold secrets (this file is 0600)\n"
        "      \"SESSION_NAME\": \"demo\"\n"
        "      \"TOKEN\": \"a$$b\"\n"
        "    ports: # leased for this session; for this machine only\n"
        "      - \"127.0.0.1:20000:80/tcp\"\n"
        "      - \"127.0.0.1:20001:53/udp\"\n"
        "    mem_limit: \"268435456\" # 256.0 of the session's 1024 MiB\n"
        "    mem_reservation: \"268435456\" # may not be more than the limit\n"
        "    cpus: 0.8 # 0.8 of the session's 1.00 CPU\n"
        PIDS
        LOGGING
        "  \"db\":\n"
        "    container_name: \"codefoundry-demo-db\" # so that sessions run side by side\n"
        "    labels: # by these everything of the session is found and removed\n"
        LABELS
        "      \"com.codefoundry.service\": \"db\"\n"
        "    environment: # added to the service's own; may hold secrets (this file is 0600)\n"
        "      \"SESSION_NAME\": \"demo\"\n"
        "    mem_limit: 536870912 # 512.0 of the session's 1024 MiB\n"
        "    cpus: 0.2 # 0.2 of the session's 1.00 CPU\n"
        "    deploy: # the same in its long form, which stands in the base too\n"
        "      resources:\n"
        "        limits:\n"
        "          memory: \"536870912\"\n"
        "          cpus: 0.2\n"
        "        reservations:\n"
        "          memory: \"536870912\"\n"
        LOGGING
        "networks:\n"
        "  \"default\":\n"
        "    name: \"codefoundry-demo_default\" # this session's own\n"
        "    labels: # by these everything of the session is found and removed\n"
        "      \"com.codefoundry.test\": \"TEST\" # as in the base\n"
        LABELS
        "    ipam:\n"
        "      config:\n"
        "        - subnet: \"10.213.0.64/26\" # leased, so that no two sessions overlap\n"
        "  \"back\":\n"
        "    name: \"codefoundry-demo_back\" # this session's own\n"
        "    \"internal\": true # as in the base\n"
        "    \"driver_opts\": {\"com.docker.network.driver.mtu\": \"1400\"} # as in the base\n"
        "    labels: # by these everything of the session is found and removed\n"
        "      \"team\": \"a$$b\" # as in the base\n"
        LABELS
        "    ipam:\n"
        "      config:\n"
        "        - subnet: \"10.213.0.128/26\" # leased, so that no two sessions overlap\n"
        "volumes:\n"
        "  \"state\":\n"
        "    name: \"codefoundry-demo_state\" # this session's own\n"
        "    labels: # by these everything of the session is found and removed\n"
        "      \"com.codefoundry.test\": \"TEST\" # as in the base\n"
        LABELS;
/* clang-format on */

static void the_whole_text(void **state)
{
	(void)state;
	struct fixture f;
	cleanup_str struct str out = STR_INIT;
	fixture_open(&f, project_text, ports_text, subnets_text, "{\"web\":{\"TOKEN\":\"a$b\"}}");
	f.o.services = f.services = parse("[\"db\",\"web\"]");
	if (override_write(&f.o, &out, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(str_text(&out), golden);
	fixture_close(&f);
}

static void without_limits_there_are_none(void **state)
{
	(void)state;
	struct fixture f;
	cleanup_str struct str out = STR_INIT;
	fixture_open(&f, project_text, ports_text, subnets_text, "{}");
	f.o.memory_mib = f.o.cpu_percent = 0;
	if (override_write(&f.o, &out, &err))
		fail_msg("%s", err.msg);
	static const char *const keys[] = {"mem_", "cpu", "deploy"};
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_null(strstr(str_text(&out), keys[i]));
	fixture_close(&f);
}

/* Built for this session; a subnet of its own; somebody else's volume; and what of that somebody allowed. */
static const char reaching_text[] =
        "{\"provider\":\"PROVIDER\",\"json\":JSON,\"findings\":["
        "{\"section\":\"services\",\"name\":\"web\",\"key\":\"pid\",\"value\":\"ho\\nst\",\"rule\":\"host-"
        "pid\","
        "\"action\":\"allowed\"},"
        "{\"section\":\"services\",\"name\":\"web\",\"key\":\"ports\",\"rule\":\"host-port\",\"action\":"
        "\"rewritten\"}],"
        "\"base\":{\"services\":{\"web\":{\"build\":{\"context\":\"/"
        "x\",\"labels\":[\"a=b\"]}},\"Odd\":{\"build\":{}}},"
        "\"networks\":{\"n\":{\"ipam\":{\"config\":[{\"subnet\":\"10.5.0.0/24\",\"gateway\":\"10.5.0.1\"}]}},"
        "\"theirs\":{\"external\":true,\"name\":\"x\"}},\"volumes\":{\"v\":{\"external\":true}}},"
        "\"services\":[{\"name\":\"web\",\"build\":true},{\"name\":\"Odd\",\"build\":true}],"
        "\"networks\":[\"n\"],\"volumes\":[],\"fixed\":{\"n\":\"10.5.0.0/24\"}}";

static void assert_has(const struct str *out, const char *text, bool has)
{
	if (!strstr(str_text(out), text) == has)
		fail_msg("%s%s in %s", has ? "" : "not ", text, str_text(out));
}

static void what_is_its_own_and_what_is_not(void **state)
{
	(void)state;
	static const struct {
		const char *provider, *json;
		bool repeats; /* what the base says of a network */
	} tools[] = {{"docker-compose", "false", true},
	             {"docker-compose", "true", false},
	             {"docker-compose-v2", "true", false}};
	for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
		struct fixture f;
		cleanup_str struct str out = STR_INIT, text = STR_INIT;
		const char *provider = strstr(reaching_text, "PROVIDER"),
		           *json = strstr(reaching_text, "JSON");
		str_addf(&text, "%.*s%s%.*s%s%s", (int)(provider - reaching_text), reaching_text,
		         tools[i].provider, (int)(json - provider - 8), provider + 8, tools[i].json,
		         json + 4);
		fixture_open(&f, str_text(&text), "[]", "{\"n\":\"10.5.0.0/24\"}", "{}");
		if (override_write(&f.o, &out, &err))
			fail_msg("%s", err.msg);
		assert_has(&out,
		           "# Not isolated, by --allow=host-pid: service web: pid ho st\nservices:", true);
		assert_has(&out, "host-port", false);
		assert_has(&out,
		           "    \"image\": \"codefoundry-demo-web\" # built for this session\n    build:\n"
		           "      labels: # its containers inherit them, so they are not the containers'\n"
		           "        - \"com.codefoundry.image.install=" INSTALL "\"\n"
		           "        - \"com.codefoundry.image.session=" UUID "\"\n"
		           "        - \"com.codefoundry.image.name=codefoundry-demo-web\"\n",
		           true);
		/* no image may have a capital letter in its name */
		assert_has(&out, "\"image\": \"codefoundry-demo-Odd\"", false);
		assert_has(&out, "\"com.codefoundry.image.name\": \"codefoundry-demo-", true);
		assert_has(&out, "\"config\": [{\"subnet\": \"10.5.0.0/24\", \"gateway\": \"10.5.0.1\"}]",
		           tools[i].repeats);
		assert_has(&out, "ipam:", tools[i].repeats);
		assert_has(&out, "# leased, so that no two", false);
		assert_has(&out, "theirs", false);
		assert_has(&out, "volumes:", false);
		fixture_close(&f);
	}
}

#define X20 "xxxxxxxxxxxxxxxxxxxx"
#define ONE(service) "{\"base\":{},\"services\":[" service "],\"networks\":[\"n\"],\"volumes\":[]}"

static void refused(void **state)
{
	(void)state;
	static const struct {
		const char *project, *ports, *environment, *services, *says;
	} rows[] = {
	        {ONE("{\"name\":\"" X20 X20 "123456\"}"), "[]", "{}", "null", NULL}, /* 63: just fits */
	        {ONE("{\"name\":\"" X20 X20 "1234567\"}"), "[]", "{}", "null", "64 characters"},
	        {ONE("{\"name\":\"a\"}"), "[]", "{\"a\":{\"K=\":\"v\"}}", "null", "K="},
	        {ONE("{\"name\":\"a\"}"), "[]", "{\"a\":{\"\":\"v\"}}", "null", "variable"},
	        {ONE("{\"name\":\"a\"}"), "[]", "{\"a\":{\"K\":7}}", "null", "K"},
	        {ONE("{\"name\":\"a\"}"), "[]", "{}", "[]", "no services"},
	        {ONE("{\"name\":\"a\",\"replicas\":2}"), "[{\"service\":\"a\",\"port\":1,\"target\":2}]",
	         "{}", "null", "2 copies"},
	        {ONE("{\"name\":\"a\",\"replicas\":200}"), "[]", "{}", "null", "SESSION_MEMORY_MB"},
	        {"{\"base\":{},\"services\":[{\"name\":\"a\"}],\"networks\":[\"other\"]}", "[]", "{}", "null",
	         "network other has no subnet"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fixture f;
		cleanup_str struct str out = STR_INIT;
		fixture_open(&f, rows[i].project, rows[i].ports, "{\"n\":\"10.213.0.0/26\"}",
		             rows[i].environment);
		f.services = parse(rows[i].services);
		f.o.services = cJSON_IsArray(f.services) ? f.services : NULL;
		memset(&err, 0, sizeof(err));
		int rc = override_write(&f.o, &out, &err);
		if (rc != (rows[i].says ? -1 : 0) ||
		    (rc && (err.code != ERR_INVALID || !strstr(err.msg, rows[i].says))))
			fail_msg("row %zu: %d %s", i, rc, err.msg);
		fixture_close(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_whole_text),
	        cmocka_unit_test(without_limits_there_are_none),
	        cmocka_unit_test(what_is_its_own_and_what_is_not),
	        cmocka_unit_test(refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
