/* What both generations of the tool make of things that reach out of a session: the same findings, and what is allowed stays. */
#include "compose/compose_testing.h"
#include "compose/lint.h"
#include "compose/project.h"

static cJSON *load(const struct test_dir *d, const struct provider *p, const char *const *files,
                   const char *allow, const char *profiles)
{
	cleanup_free char *cache = mem_printf("%s/cache", d->path);
	cleanup_json cJSON *allowed = json_array(), *chosen = json_array();
	cJSON *project = NULL;
	assert_ok(lint_allow(allowed, allow, err));
	if (*profiles)
		cJSON_AddItemToArray(chosen, cJSON_CreateString(profiles));
	const struct project_ask ask = {
	        .provider = p, .files = files, .allow = allowed, .profiles = chosen, .cache_dir = cache};
	assert_ok(!(project = project_load(&ask, err)));
	return project;
}

static cJSON *load_text(const struct test_dir *d, const struct provider *p, const char *text,
                        const char *allow)
{
	cleanup_free char *file = test_dir_write(d, "docker-compose.yml", text);
	return load(d, p, (const char *const[]){file, NULL}, allow, "");
}

/* "service web: ports 80:80: host-port rewritten", a line each. The caller frees it. */
static char *summary(const cJSON *project)
{
	struct str out = STR_INIT;
	const cJSON *one;
	cJSON_ArrayForEach(one, json_at(project, "findings"))
	{
		cleanup_free char *place = lint_place(one), *what = lint_what(one);
		str_addf(&out, "%s: %s: %s %s\n", place, what, json_text(one, "rule"),
		         json_text(one, "action"));
		assert_true(strlen(json_text_or(one, "reason", "")) > 5);
		assert_true(strlen(json_text_or(one, "advice", "")) > 5);
		assert_non_null(strstr(json_text_or(one, "file", ""), "docker-compose.yml"));
	}
	return str_take(&out);
}

static const struct {
	const char *text, *allow, *want;
} cases[] = {
        {"services:\n  web: {image: x}\n", "", ""},
        {"services:\n  web: {image: x, ports: [\"3000\"], volumes: [\"data:/d\"]}\nvolumes: {data: {}}\n", "",
         ""},
        {"services:\n  web: {image: x, container_name: fixed, ports: [\"8080:80\", \"3000\"]}\n", "",
         "service web: ports 8080:80: host-port rewritten\n"
         "service web: container_name fixed: container-name rewritten\n"},
        {"name: mine\nservices:\n  web: {image: x}\n", "",
         "the project: name mine: project-name rewritten\n"},
        {"services:\n  web: {image: x, networks: [n], volumes: [\"vv:/v\"]}\nnetworks: {n: {name: net}}\n"
         "volumes: {vv: {name: vol}}\n",
         "", "network n: name net: object-name rewritten\nvolume vv: name vol: object-name rewritten\n"},
        {"services:\n  web: {image: x, network_mode: host, pid: host, ipc: host, privileged: true}\n", "",
         "service web: network_mode host: host-network refused\n"
         "service web: pid host: host-pid refused\n"
         "service web: ipc host: host-ipc refused\n"
         "service web: privileged: privileged refused\n"},
        {"services:\n  web: {image: x, network_mode: host, privileged: true}\n", "host-network",
         "service web: network_mode host: host-network allowed\nservice web: privileged: privileged "
         "refused\n"},
        {"services:\n  web: {image: x, devices: [\"/dev/kvm:/dev/kvm\", \"/dev/fuse:/dev/fuse\"]}\n",
         "devices",
         "service web: devices /dev/kvm: devices allowed\nservice web: devices /dev/fuse: "
         "devices allowed\n"},
        {"services:\n  web: {image: x, volumes: [\"/var/run/docker.sock:/s\", \"/etc:/e\", \"/usr:/u\"]}\n",
         "host-bind",
         "service web: volumes /var/run/docker.sock: engine-socket refused\n"
         "service web: volumes /etc: host-bind allowed\nservice web: volumes /usr: host-bind allowed\n"},
        {"services:\n  web: {image: x, volumes: [\"./a:/a\", \"./b:/b:ro\", \"./c:/c:z,ro\", {type: bind, "
         "source: ./d, target: /d, read_only: true}, {type: bind, source: ./e, target: /e}]}\n",
         "", "service web: volumes ./a, ./e: project-bind told\n"},
        {"services:\n  web: {build: {context: ., labels: {a: b}}, image: app}\n  job: {image: "
         "\"app:latest\"}\n",
         "",
         "service job: image app:latest: image-name rewritten\nservice web: image app: image-name "
         "rewritten\n"},
        {"services:\n  web: {image: x, networks: {n: {ipv4_address: 10.9.0.5}}}\n"
         "networks: {n: {ipam: {config: [{subnet: 10.9.0.0/24}]}}}\n",
         "",
         "service web: networks 10.9.0.5: fixed-address rewritten\n"
         "network n: ipam 10.9.0.0/24: fixed-subnet rewritten\n"},
        {"services:\n  web: {image: x, networks: {n: {ipv4_address: 10.9.0.5}}}\n"
         "networks: {n: {ipam: {config: [{subnet: 10.9.0.0/24}]}}}\n",
         "fixed-address",
         "service web: networks 10.9.0.5: fixed-address rewritten\n"
         "network n: ipam 10.9.0.0/24: fixed-subnet rewritten\n"},
        {"services:\n  web: {image: x, networks: {n: {ipv4_address: 10.9.0.5}}}\n"
         "networks: {n: {ipam: {config: [{subnet: 10.9.0.0/24}]}}}\n",
         "fixed-address,fixed-subnet",
         "service web: networks 10.9.0.5: fixed-address allowed\n"
         "network n: ipam 10.9.0.0/24: fixed-subnet allowed\n"},
};

static void both_find_the_same(void **data)
{
	struct test_dir *d = *data;
	for (size_t k = 0; k < ARRAY_LEN(cases); k++)
		for (size_t i = 0; i < ARRAY_LEN(generations); i++)
			for (int again = 0; again < 2; again++) { /* what is kept says the same */
				struct provider p = generation(i);
				cleanup_json cJSON *project = load_text(d, &p, cases[k].text, cases[k].allow);
				cleanup_free char *got = summary(project);
				if (strcmp(got, cases[k].want) != 0)
					fail_msg("%s %s\n%s: got\n%s", cases[k].text, cases[k].allow, p.name,
					         got);
			}
}

static void the_file_is_named(void **data)
{
	struct test_dir *d = *data;
	cleanup_free char *one = test_dir_write(d, "a.yml", "services:\n  web: {image: x}\n"),
	                  *two = test_dir_write(d, "b.yml", "services:\n  web: {privileged: true}\n"),
	                  *three = test_dir_write(d, "c.yml", "services:\n  db: {image: x}\n");
	for (size_t i = 0; i < ARRAY_LEN(generations); i++) {
		struct provider p = generation(i);
		cleanup_json cJSON *project =
		        load(d, &p, (const char *const[]){one, two, three, NULL}, "", "");
		assert_string_equal(json_text(project, "findings.0.file"), two);
		struct err err = {0};
		assert_int_equal(project_verdict(project, &err), -1);
		assert_non_null(strstr(err.msg, "b.yml: service web: privileged"));
	}
}

/* An external network or volume is not ours: it keeps its name, and is given no subnet. */
static void external_ones_stay(void **data)
{
	struct test_dir *d = *data;
	static const char text[] =
	        "services:\n  web: {image: x, networks: [n, own], volumes: [\"vv:/v\", \"ww:/w\"]}\n"
	        "networks: {n: {external: true, name: theirs}, own: {}}\n"
	        "volumes: {vv: {external: true, name: yours}, ww: {}}\n";
	for (size_t i = 0; i < ARRAY_LEN(generations); i++) {
		struct provider p = generation(i);
		cleanup_json cJSON *refused = load_text(d, &p, text, "external-network"),
		                   *project = load_text(d, &p, text, "external-network,external-volume");
		struct err err = {0};
		assert_int_equal(project_verdict(refused, &err), -1);
		assert_non_null(strstr(err.msg, "volume vv: external yours would be shared by all sessions"));
		assert_null(strstr(err.msg, "theirs"));
		assert_ok(project_verdict(project, err));
		cleanup_free char *networks = json_print(json_at(project, "networks")),
		                  *volumes = json_print(json_at(project, "volumes"));
		assert_string_equal(networks, "[\"own\"]");
		assert_string_equal(volumes, "[\"ww\"]");
		assert_string_equal(json_text(project, "base.networks.n.name"), "theirs");
		assert_string_equal(json_text(project, "base.volumes.vv.name"), "yours");
		assert_true(json_bool(project, "base.networks.n.external", false));
		assert_true(json_bool(project, "base.volumes.vv.external", false));
	}
}

static void a_fixed_subnet_stays(void **data)
{
	struct test_dir *d = *data;
	static const char text[] =
	        "services:\n  web: {image: x, networks: {n: {ipv4_address: 10.9.0.5}}}\n"
	        "networks: {n: {ipam: {config: [{subnet: 10.9.0.0/24, gateway: 10.9.0.1}]}}}\n";
	for (size_t i = 0; i < ARRAY_LEN(generations); i++) {
		struct provider p = generation(i);
		cleanup_json cJSON *cut = load_text(d, &p, text, ""),
		                   *kept = load_text(d, &p, text, "fixed-subnet,fixed-address");
		assert_null(json_at(cut, "base.networks.n.ipam"));
		assert_null(json_at(cut, "fixed")->child);
		assert_string_equal(json_text(kept, "fixed.n"), "10.9.0.0/24");
		assert_string_equal(json_text(kept, "base.networks.n.ipam.config.0.gateway"), "10.9.0.1");
		assert_string_equal(json_text(kept, "base.services.web.networks.n.ipv4_address"), "10.9.0.5");
	}
}

/* Nothing of a service in somebody else's network can be published. */
static void host_network_has_no_ports(void **data)
{
	struct test_dir *d = *data;
	for (size_t i = 0; i < ARRAY_LEN(generations); i++) {
		struct provider p = generation(i);
		cleanup_json cJSON *project =
		        load_text(d, &p,
		                  "services:\n  web: {image: x, network_mode: host, ports: [\"80:80\"]}\n"
		                  "  side: {image: x, network_mode: \"service:web\"}\n",
		                  "host-network");
		assert_null(json_at(project, "services.0.ports")->child);
		assert_null(json_at(project, "services.1.ports")->child);
		assert_null(json_at(project, "networks")->child);
	}
}

static char *services_of(const cJSON *project)
{
	struct str out = STR_INIT;
	const cJSON *one;
	cJSON_ArrayForEach(one, json_at(project, "services")) str_addf(&out, "%s ", json_text(one, "name"));
	return str_take(&out);
}

static void profiles_are_chosen(void **data)
{
	struct test_dir *d = *data;
	cleanup_free char *file = test_dir_write(
	                          d, "docker-compose.yml",
	                          "services:\n  web: {image: x}\n  debug: {image: x, profiles: "
	                          "[debug]}\n  ai: {image: x, profiles: [ai, all]}\n"),
	                  *env = test_dir_write(d, ".env", "COMPOSE_PROFILES=ai\n");
	static const struct {
		const char *asked, *environment, *want;
	} chosen[] = {{"", NULL, "ai web "},
	              {"debug", NULL, "debug web "},
	              {"*", NULL, "ai debug web "},
	              {"", "debug", "debug web "},
	              {"", "", "web "},
	              {"", "debug,of-another-file", "debug web "},
	              {"all", "debug", "ai web "}};
	for (size_t i = 0; i < ARRAY_LEN(generations); i++) {
		struct provider p = generation(i);
		for (size_t k = 0; k < ARRAY_LEN(chosen); k++) {
			if (chosen[k].environment)
				setenv("COMPOSE_PROFILES", chosen[k].environment, 1);
			cleanup_json cJSON *project =
			        load(d, &p, (const char *const[]){file, NULL}, "", chosen[k].asked);
			unsetenv("COMPOSE_PROFILES");
			cleanup_free char *got = services_of(project);
			if (strcmp(got, chosen[k].want) != 0)
				fail_msg("%s: --profile %s: %s", p.name, chosen[k].asked, got);
		}
	}
	unlink(env);
}

static void profiles_that_are_none(void **data)
{
	struct test_dir *d = *data;
	cleanup_free char *file = test_dir_write(d, "docker-compose.yml",
	                                         "services:\n  web: {image: x}\n"
	                                         "  debug: {image: x, profiles: [debug]}\n"),
	                  *cache = mem_printf("%s/cache", d->path);
	static const struct {
		const char *asked, *says;
		enum err_code code;
	} bad[] = {{"[\"a,b\"]", "'a,b' is no name of a profile", ERR_INVALID},
	           {"[\"debgu\"]", "docker-compose.yml: no service has profile 'debgu'", ERR_NOT_FOUND},
	           {"[\"debug\",\"web\"]", "no service has profile 'web'", ERR_NOT_FOUND}};
	for (size_t i = 0; i < ARRAY_LEN(generations) * ARRAY_LEN(bad); i++) {
		struct provider p = generation(i / ARRAY_LEN(bad));
		cleanup_json cJSON *asked = cJSON_Parse(bad[i % ARRAY_LEN(bad)].asked);
		struct err err = {0};
		assert_null(project_load(&(struct project_ask){.provider = &p,
		                                               .files = (const char *const[]){file, NULL},
		                                               .profiles = asked,
		                                               .cache_dir = cache},
		                         &err));
		assert_int_equal(err.code, bad[i % ARRAY_LEN(bad)].code);
		assert_non_null(strstr(err.msg, bad[i % ARRAY_LEN(bad)].says));
	}
}

/* Whoever has it in COMPOSE_PROFILES is not told: what was kept for him is not for who asks for it. */
static void profiles_of_the_environment_are_no_others(void **data)
{
	struct test_dir *d = *data;
	cleanup_free char *file = test_dir_write(d, "docker-compose.yml", "services:\n  web: {image: x}\n"),
	                  *cache = mem_printf("%s/cache", d->path);
	cleanup_json cJSON *asked = cJSON_Parse("[\"debgu\"]"), *none = json_array();
	for (size_t i = 0; i < ARRAY_LEN(generations); i++) {
		struct provider p = generation(i);
		struct err err = {0};
		setenv("COMPOSE_PROFILES", "debgu", 1);
		cJSON_Delete(load(d, &p, (const char *const[]){file, NULL}, "", ""));
		unsetenv("COMPOSE_PROFILES");
		assert_null(project_load(&(struct project_ask){.provider = &p,
		                                               .files = (const char *const[]){file, NULL},
		                                               .profiles = asked,
		                                               .allow = none,
		                                               .cache_dir = cache},
		                         &err));
		assert_int_equal(err.code, ERR_NOT_FOUND);
	}
}

/* 1.29 would refuse the name and ignore the configs. */
static void what_version_1_lacks(void **data)
{
	struct test_dir *d = *data;
	cleanup_free char *conf = test_dir_write(d, "app.conf", "x"),
	                  *other = test_dir_write(d, "base.yml", "services:\n  base: {image: y}\n");
	static const char text[] = "# mine\nname: \"mine\" # yes\nservices:\n  web:\n    image: x\n"
	                           "    extends: {file: base.yml, service: base}\n"
	                           "    volumes: [\"./sub:/s\"]\n"
	                           "    configs: [{source: app, target: /etc/app.conf}, plain]\n"
	                           "configs: {app: {file: ./app.conf}, plain: {file: ./app.conf}}\n";
	struct provider p = generation(0);
	cleanup_json cJSON *project = load_text(d, &p, text, "");
	assert_ok(project_verdict(project, err));
	cleanup_free char *volumes = json_print(json_at(project, "base.services.web.volumes")),
	                  *want = mem_printf("[\"%s/sub:/s:rw\",\"%s:/etc/app.conf:ro\",\"%s:/plain:ro\"]",
	                                     d->path, conf, conf);
	assert_string_equal(volumes, want);
	assert_null(json_at(project, "base.configs"));
	assert_string_equal(json_text(project, "base.services.web.image"), "x");
	struct err err = {0};
	cleanup_free char *file = test_dir_write(d, "docker-compose.yml",
	                                         "name: x\nservices:\n  web: {odd: y}\n"),
	                  *cache = mem_printf("%s/cache", d->path), *named = mem_printf("'%s'", file);
	assert_null(project_load(&(struct project_ask){.provider = &p,
	                                               .files = (const char *const[]){file, NULL},
	                                               .cache_dir = cache},
	                         &err));
	assert_non_null(strstr(err.msg, named));
	/* nothing of the files made for it is left */
	cleanup_free char *left = mem_printf("%s/cache/unnamed-%d-0.yml", d->path, (int)getpid());
	assert_false(path_exists(left));
}

#define in_dir(test) cmocka_unit_test_setup_teardown(test, test_dir_setup, test_dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        in_dir(both_find_the_same),        in_dir(the_file_is_named),
	        in_dir(external_ones_stay),        in_dir(a_fixed_subnet_stays),
	        in_dir(host_network_has_no_ports), in_dir(profiles_are_chosen),
	        in_dir(profiles_that_are_none),    in_dir(profiles_of_the_environment_are_no_others),
	        in_dir(what_version_1_lacks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
