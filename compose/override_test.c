#include "compose/override.h"
#include "compose/test_docker.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/net.h"
#include "core/proc.h"
#include "core/yaml.h"
#include <string.h>
#include <unistd.h>

#define RUN_MS 60000
#define UUID "2b1f3c58-7a55-4a53-9d8e-0f6c1f1c9a11"
#define INSTALL "7d1e4c02-11aa-4f4e-8f0b-3a5b6c7d8e9f"

static struct err err;

static cJSON *parse(const char *text)
{
	cJSON *j = json_parse(text, strlen(text), &err);
	if (!j)
		fail_msg("%s in %s", err.msg, text);
	return j;
}

/* What a session of ${project} is given in most tests. */
struct fixture {
	cJSON *project, *ports, *subnets, *environment, *services;
	struct override o;
};

static void fixture_open(struct fixture *f, const char *project, const char *ports, const char *subnets,
                         const char *environment)
{
	*f = (struct fixture){.project = parse(project),
	                      .ports = parse(ports),
	                      .subnets = parse(subnets),
	                      .environment = parse(environment)};
	f->o = (struct override){.project = f->project,
	                         .name = "codefoundry-demo",
	                         .install = INSTALL,
	                         .uuid = UUID,
	                         .session = "demo",
	                         .expires_s = 1800000000,
	                         .ports = f->ports,
	                         .subnets = f->subnets,
	                         .environment = f->environment,
	                         .memory_mib = 1024,
	                         .cpu_percent = 100};
}

static void fixture_close(struct fixture *f)
{
	cJSON_Delete(f->project);
	cJSON_Delete(f->ports);
	cJSON_Delete(f->subnets);
	cJSON_Delete(f->environment);
	cJSON_Delete(f->services);
}

/* Each kind of limit a base may have; IMAGE stands for an image, TEST for the label's value. */
static const char project_text[] =
        "{\"provider\":\"docker-compose\",\"base\":{\"services\":{"
        "\"web\":{\"image\":\"IMAGE\",\"command\":[\"sleep\",\"600\"],\"mem_limit\":\"256m\",\"mem_"
        "reservation\":"
        "\"2g\",\"stop_grace_period\":\"0s\",\"environment\":{\"OWN\":\"1\"},\"labels\":{\"com.codefoundry."
        "test\":"
        "\"TEST\"},\"networks\":{\"default\":null,\"back\":null},\"volumes\":[\"state:/data\"]},"
        "\"db\":{\"image\":\"IMAGE\",\"command\":[\"sleep\",\"600\"],\"deploy\":{\"resources\":{\"limits\":{"
        "\"memory\":"
        "\"512M\",\"cpus\":0.2},\"reservations\":{\"memory\":\"64M\"}}},\"stop_grace_period\":\"0s\"},"
        "\"slow\":{\"image\":\"IMAGE\",\"command\":[\"sleep\",\"600\"],\"cpu_quota\":20000,\"pids_limit\":"
        "100,\"stop_grace_"
        "period\":"
        "\"0s\"},"
        "\"many\":{\"image\":\"IMAGE\",\"command\":[\"sleep\",\"600\"],\"deploy\":{\"replicas\":2},"
        "\"stop_grace_period\":\"0s\"}},"
        "\"networks\":{\"default\":{\"labels\":{\"com.codefoundry.test\":\"TEST\"}},\"back\":{\"internal\":"
        "true,"
        "\"driver_opts\":{\"com.docker.network.driver.mtu\":\"1400\"},\"labels\":{\"team\":\"a$$b\"}}},"
        "\"volumes\":{\"state\":{\"labels\":{\"com.codefoundry.test\":\"TEST\"}}}},"
        "\"services\":[{\"name\":\"web\",\"memory\":268435456},"
        "{\"name\":\"db\",\"memory\":536870912,\"cpus\":0.2},{\"name\":\"slow\",\"cpus\":0.2},"
        "{\"name\":\"many\",\"replicas\":2}],"
        "\"networks\":[\"default\",\"back\"],\"volumes\":[\"state\"]}";
static const char ports_text[] = "[{\"service\":\"web\",\"port\":20000,\"target\":80,\"protocol\":\"tcp\"},"
                                 "{\"service\":\"web\",\"port\":20001,\"target\":53,\"protocol\":\"udp\"}]";
static const char subnets_text[] = "{\"default\":\"10.213.0.64/26\",\"back\":\"10.213.0.128/26\"}";

/* The labels of everything. */
#define LABELS                                                                                               \
	"      \"com.codefoundry.install\": \"" INSTALL "\" # this installation\n"                           \
	"      \"com.codefoundry.session\": \"" UUID "\" # this session, whatever it is called\n"            \
	"      \"com.codefoundry.session.name\": \"demo\"\n"                                                 \
	"      \"com.codefoundry.expires\": \"1800000000\" # 2027-01-15 08:00:00 UTC, unless extended\n"

#define PIDS "    pids_limit: 4096 # processes and threads\n"
#define LOGGING                                                                                              \
	"    logging: # else it could fill the disk\n      driver: json-file\n      options:\n"              \
	"        max-size: \"10m\"\n        max-file: \"2\"\n"

/* clang-format off */
static const char golden[] =
        "# Session demo: what makes the compose file beside it this one session. Overrides names, labels,\n"
        "# ports, limits, networks and volumes of the services that are started; adds to their environment.\n"
        "# Made by codefoundry, do not edit: it is written anew whenever the session is started.\n"
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
	        cmocka_unit_test(the_whole_text),
	        cmocka_unit_test(without_limits_there_are_none),
	        cmocka_unit_test(what_is_its_own_and_what_is_not),
	        cmocka_unit_test(refused),
	        cmocka_unit_test_setup_teardown(docker_compose_1_takes_it, setup, teardown),
	        cmocka_unit_test_setup_teardown(compose_v2_takes_it, setup, teardown),
	        cmocka_unit_test_setup_teardown(podman_compose_takes_it, setup, teardown),
	        cmocka_unit_test_setup_teardown(comes_up_with_docker_compose_1, setup, teardown),
	        cmocka_unit_test_setup_teardown(comes_up_with_compose_v2, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
