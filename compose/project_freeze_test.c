/* Freezing as a matter of trees: ports, rules, what is taken out and what is told. The tools themselves: project_test.c. */
#include "compose/compose_testing.h"
#include "compose/project.h"
#include "compose/project_private.h"
#include <string.h>
#include <sys/stat.h>

static cJSON *tree(const char *text)
{
	struct err err = {0};
	cJSON *t = json_parse(text, strlen(text), &err);
	if (!t)
		fail_msg("%s: %s", err.msg, text);
	return t;
}

static void assert_tree(const cJSON *got, const char *want)
{
	cleanup_free char *text = json_print(got);
	assert_string_equal(text, want);
}

static void ports(void **data)
{
	(void)data;
	static const struct {
		const char *entries, *want; /* NULL: refused */
	} cases[] = {
	        {"[80]", "80/tcp"},
	        {"[\"80\"]", "80/tcp"},
	        {"[\"8080:80\"]", "80/tcp"},
	        {"[\"8080:80/udp\",\"8080:80/tcp\",\"80\"]", "80/udp 80/tcp"},
	        {"[\"127.0.0.1:8080:80\"]", "80/tcp"},
	        {"[\"127.0.0.1::7000/tcp\"]", "7000/tcp"},
	        {"[\"::1:6000:6001/tcp\"]", "6001/tcp"},
	        {"[\"[::1]:6000:6001\"]", "6001/tcp"},
	        {"[\"9000-9002:7000-7002/udp\"]", "7000/udp 7001/udp 7002/udp"},
	        {"[\"3000-3001\"]", "3000/tcp 3001/tcp"},
	        {"[\"8000-9000:80\"]", "80/tcp"},
	        {"[{\"target\":443,\"published\":8443,\"mode\":\"host\",\"protocol\":\"tcp\"}]", "443/tcp"},
	        {"[{\"target\":53,\"protocol\":\"udp\"},{\"target\":54}]", "53/udp 54/tcp"},
	        {"[{\"target\":\"53\",\"protocol\":\"udp\"}]", "53/udp"},
	        {"[\"65535\",\"1\"]", "65535/tcp 1/tcp"},
	        {"[]", ""},
	        {"[0]", NULL},
	        {"[65536]", NULL},
	        {"[\"80/sctp\"]", NULL},
	        {"[{\"target\":80,\"protocol\":\"sctp\"}]", NULL},
	        {"[\"http\"]", NULL},
	        {"[\"\"]", NULL},
	        {"[\"9-8\"]", NULL},
	        {"[\"9-\"]", NULL},
	        {"[\"-9\"]", NULL},
	        {"[80.5]", NULL},
	        {"[null]", NULL},
	        {"[{}]", NULL},
	        {"[\"1-65535\"]", NULL},
	        {"[\"99999999999999999999\"]", NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_json cJSON *entries = tree(cases[i].entries), *got = json_array();
		struct err err = {0};
		int rc = 0;
		for (const cJSON *e = entries->child; e && !rc; e = e->next)
			rc = project_port_add(got, e, &err);
		if (!cases[i].want) {
			if (!rc)
				fail_msg("%s was taken", cases[i].entries);
			assert_int_equal(err.code, ERR_INVALID);
			continue;
		}
		if (rc)
			fail_msg("%s: %s", cases[i].entries, err.msg);
		cleanup_str struct str text = STR_INIT;
		for (const cJSON *p = got->child; p; p = p->next)
			str_addf(&text, "%s%lld/%s", p == got->child ? "" : " ",
			         (long long)json_int(p, "target", 0), json_text(p, "protocol"));
		assert_string_equal(str_text(&text), cases[i].want);
	}
}

/* Each in a service (or what stands before the dot) of its own; %s: the directory of the compose file. */
static const struct {
	const char *where, *value, *word; /* NULL: taken */
} isolation_cases[] = {
        {"services.network_mode", "\"host\"", "network_mode host"},
        {"services.network_mode", "\"container:abc\"", "container:abc"},
        {"services.network_mode", "\"bridge\"", "bridge"},
        {"services.network_mode", "\"service:x\"", NULL},
        {"services.network_mode", "\"none\"", NULL},
        {"services.pid", "\"host\"", "pid host"},
        {"services.pid", "\"service:x\"", NULL},
        {"services.ipc", "\"host\"", "ipc host"},
        {"services.ipc", "\"shareable\"", NULL},
        {"services.ipc", "\"container:abc\"", "container:abc"},
        {"services.uts", "\"host\"", "uts"},
        {"services.userns_mode", "\"host\"", "userns_mode"},
        {"services.cgroup", "\"host\"", "cgroup host"},
        {"services.cgroup_parent", "\"x\"", "limits"},
        {"services.privileged", "true", "privileged"},
        {"services.privileged", "false", NULL},
        {"services.devices", "[\"/dev/kvm:/dev/kvm\"]", "devices"},
        {"services.devices", "[]", NULL},
        {"services.devices", "[{\"source\":\"/dev/null\",\"target\":\"/dev/x\"}]", "devices"},
        {"services.gpus", "\"all\"", "gpus"},
        {"services.gpus", "[{\"count\":-1}]", "gpus"},
        {"services.gpus", "[]", NULL},
        {"services.deploy", "{\"resources\":{\"reservations\":{\"devices\":[{\"capabilities\":[\"gpu\"]}]}}}",
         "resources.reservations.devices"},
        {"services.deploy",
         "{\"replicas\":2,\"resources\":{\"reservations\":{\"memory\":\"9m\",\"devices\":[]}}}", NULL},
        {"services.device_cgroup_rules", "[\"c 1:3 mr\"]", "device_cgroup_rules"},
        {"services.cap_add", "[\"SYS_ADMIN\"]", "SYS_ADMIN"},
        {"services.cap_add", "[\"CHOWN\",\"cap_net_admin\"]", "net_admin"},
        {"services.cap_add", "[\"all\"]", "cap_add all"},
        {"services.cap_add", "[\"NET_BIND_SERVICE\",\"CHOWN\"]", NULL},
        {"services.security_opt", "[\"seccomp:unconfined\"]", "seccomp:unconfined"},
        {"services.security_opt", "[\"apparmor=unconfined\"]", "apparmor=unconfined"},
        {"services.security_opt", "[\"label:disable\"]", "label:disable"},
        {"services.security_opt", "[\"no-new-privileges:true\"]", NULL},
        {"services.volumes", "[\"/var/run/docker.sock:/s:ro\"]", "docker.sock gives"},
        {"services.volumes", "[{\"type\":\"bind\",\"source\":\"/run/docker.sock\",\"target\":\"/s\"}]",
         "docker.sock gives"},
        {"services.volumes", "[\"%s/sock:/s\"]", "sock gives"},
        {"services.volumes", "[\"/run:/r:ro\"]", "/run gives the service"},
        {"services.volumes", "[\"/:/r:ro\"]", "volumes / gives the service"},
        {"services.volumes", "[\"/etc:/e:ro\"]", "/etc lies outside"},
        {"services.volumes", "[{\"type\":\"bind\",\"source\":\"/etc/passwd\",\"target\":\"/e\"}]",
         "/etc/passwd lies outside"},
        {"services.volumes", "[\"%s/link/x:/e\"]", "link/x lies outside"},
        {"services.volumes", "[\"%s-other:/e\"]", "lies outside"},
        {"services.volumes", "[\"%s/none/../../etc:/e\"]", "lies outside"},
        {"services.volumes", "[\"%s/../x:/e\"]", "lies outside"},
        {"services.volumes", "[\"%s/not/there/yet:/e:ro\",\"%s:/all:rw\"]", NULL},
        {"services.volumes", "[{\"type\":\"bind\",\"source\":\"%s/a\",\"target\":\"/e\"}]", NULL},
        {"services.volumes", "[\"data:/d:rw\",\"/anonymous\",{\"type\":\"tmpfs\",\"target\":\"/t\"}]", NULL},
        {"services.volumes_from", "[\"container:abc:rw\"]", "container:abc"},
        {"services.volumes_from", "[\"service:x:rw\"]", NULL},
        {"services.external_links", "[\"db\"]", "external_links"},
        {"services.use_api_socket", "true", "use_api_socket"},
        {"services.provider", "{\"type\":\"model\"}", "provider"},
        {"networks.external", "true", "external"},
        {"networks.external", "{\"name\":\"x\"}", "external"},
        {"networks.external", "false", NULL},
        {"networks.driver", "\"host\"", "driver host"},
        {"networks.driver", "\"macvlan\"", "macvlan"},
        {"networks.driver", "\"bridge\"", NULL},
        {"volumes.external", "true", "external"},
        {"volumes.driver_opts", "{\"type\":\"none\",\"o\":\"bind\",\"device\":\"/etc\"}", "/etc"},
        {"volumes.driver_opts", "{\"type\":\"ext4\",\"device\":\"/dev/sda1\"}", "/dev/sda1"},
        {"volumes.driver_opts", "{\"type\":\"tmpfs\",\"device\":\"tmpfs\",\"o\":\"size=1m\"}", NULL},
        /* what root can mount without naming a path of the machine */
        {"volumes.driver_opts", "{\"type\":\"overlay\",\"device\":\"overlay\",\"o\":\"lowerdir=/etc:/usr\"}",
         "driver_opts overlay"},
        {"volumes.driver_opts", "{\"type\":\"proc\",\"device\":\"proc\"}", "driver_opts proc"},
        {"volumes.driver_opts", "{\"type\":\"nfs\",\"device\":\":/x\",\"o\":\"addr=10.0.0.1\"}", ":/x"},
        {"volumes.driver_opts", "{\"type\":\"tmpfs\",\"device\":\"/etc\"}", "/etc"},
        {"volumes.driver_opts", "{\"type\":\"tmpfs\",\"device\":\"etc\",\"o\":\"rbind\"}", "etc"},
        {"volumes.driver_opts", "{}", NULL},
        {"volumes.driver_opts", "null", NULL},
        {"volumes.driver", "\"local\"", NULL},
        {"volumes.driver", "\"local-persist\"", "driver local-persist"},
        {"services.volumes", "[{\"type\":\"volume\",\"source\":\"/etc\",\"target\":\"/e\"}]", "/etc lies"},
        {"services.build", "{\"context\":\"/etc\"}", "build /etc lies outside"},
        {"services.build", "\"/\"", "build / lies outside"},
        {"services.build", "{\"context\":\"%s/..\"}", "lies outside"},
        {"services.build", "{\"context\":\"%s\",\"dockerfile\":\"/etc/shadow\"}", "/etc/shadow lies outside"},
        {"services.build", "{\"context\":\"%s\",\"dockerfile\":\"link/shadow\"}", "link/shadow lies outside"},
        {"services.build", "{\"context\":\"%s\",\"additional_contexts\":{\"a\":\"/etc\"}}",
         "/etc lies outside"},
        {"services.build", "{\"context\":\"%s\",\"additional_contexts\":{\"a\":\"docker-image://x\"}}", NULL},
        {"services.build", "{\"context\":\"https://example.org/a.git\",\"dockerfile\":\"b/Dockerfile\"}",
         NULL},
        {"services.build", "{\"context\":\"%s/app\",\"dockerfile\":\"Dockerfile\",\"args\":{\"A\":\"1\"}}",
         NULL},
        {"services.build", "{\"context\":\"%s\",\"network\":\"host\"}", "build network host"},
        {"services.build", "{\"context\":\"%s\",\"network\":\"none\"}", NULL},
        {"services.build", "{\"context\":\"%s\",\"privileged\":true}", "build privileged"},
        {"services.build", "{\"context\":\"%s\",\"entitlements\":[\"security.insecure\"]}", "entitlements"},
        {"services.build", "{\"context\":\"%s\",\"cache_to\":[\"type=local,dest=/etc/cron.d\"]}", "cache_to"},
        {"secrets.external", "true", "external"},
        {"secrets.file", "\"/etc/shadow\"", "/etc/shadow lies outside"},
        {"secrets.file", "\"%s/secret\"", NULL},
        {"configs.file", "\"/etc/shadow\"", "/etc/shadow lies outside"},
};

static void what_cannot_be_isolated(void **data)
{
	struct test_dir *d = *data;
	cleanup_free char *file = mem_printf("%s/compose.yml", d->path),
	                  *link = mem_printf("%s/link", d->path), *sock = mem_printf("%s/sock", d->path);
	assert_int_equal(symlink("/etc", link), 0);
	assert_int_equal(symlink("/var/run/docker.sock", sock), 0);
	for (size_t i = 0; i < ARRAY_LEN(isolation_cases); i++) {
		const char *dot = strchr(isolation_cases[i].where, '.');
		cleanup_free char *value = mem_printf(isolation_cases[i].value, d->path, d->path);
		bool service = !strncmp(isolation_cases[i].where, "services", 8);
		cleanup_free char *text = mem_printf(
		        "{%s\"%.*s\":{\"odd\":{\"image\":\"x\",\"%s\":%s}}}",
		        service ? "" : "\"services\":{\"fine\":{\"image\":\"x\"}},",
		        (int)(dot - isolation_cases[i].where), isolation_cases[i].where, dot + 1, value);
		cJSON *t = tree(text);
		struct err err = {0};
		cleanup_json cJSON *p =
		        project_freeze(t, "docker-compose", (const char *[]){file, NULL}, NULL, &err);
		bool taken = p && project_verdict(p, &err) == 0;
		if (!isolation_cases[i].word) {
			if (!taken)
				fail_msg("%s %s: %s", isolation_cases[i].where, value, err.msg);
			continue;
		}
		if (taken)
			fail_msg("%s %s was taken", isolation_cases[i].where, value);
		assert_int_equal(err.code, ERR_INVALID);
		assert_int_equal(strncmp(err.msg, file, strlen(file)), 0);
		assert_non_null(strstr(err.msg, " odd: "));
		assert_non_null(strstr(err.msg, "; "));
		if (!strstr(err.msg, isolation_cases[i].word))
			fail_msg("%s %s: %s", isolation_cases[i].where, value, err.msg);
	}
	/* the built-in file lies nowhere that could be bound */
	struct err err = {0};
	cleanup_json cJSON *bound =
	        project_freeze(tree("{\"services\":{\"a\":{\"volumes\":[\"/tmp/x:/x\"]}}}"), "docker-compose",
	                       NULL, NULL, &err);
	assert_int_equal(project_verdict(bound, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
}

/* Nothing that a tool would take for one of its options, or YAML for something else. */
static void names_are_checked(void **data)
{
	static const struct {
		const char *name;
		bool good;
	} cases[] = {{"web", true},     {"a.b_c-1", true}, {"_x", true}, {"--force-recreate", false},
	             {"-V", false},     {"..", false},     {"", false},  {"a b", false},
	             {"a\\\"b", false}, {"ä", false}};
	(void)data;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		static const char *const kinds[] = {"services", "networks", "volumes"};
		for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
			cleanup_free char *text = mem_printf("{\"services\":{\"%s\":{}}}", cases[i].name);
			cleanup_free char *other = mem_printf("{\"services\":{\"a\":{}},\"%s\":{\"%s\":{}}}",
			                                      kinds[k], cases[i].name);
			struct err err = {0};
			cleanup_json cJSON *p =
			        project_freeze(tree(k ? other : text), "docker-compose", NULL, NULL, &err);
			if ((project_verdict(p, &err) == 0) != cases[i].good)
				fail_msg("%s %s: %s", kinds[k], cases[i].name, err.msg);
			assert_int_equal(err.code, cases[i].good ? ERR_NONE : ERR_INVALID);
		}
	}
}

static void no_services(void **data)
{
	(void)data;
	static const char *const cases[] = {
	        "null",  "[]", "{}", "{\"services\":{}}", "{\"services\":[]}", "{\"services\":{\"a\":null}}",
	        "\"x\"",
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		assert_null(project_freeze(tree(cases[i]), "docker-compose", NULL, NULL, &err));
		assert_int_equal(err.code, ERR_INVALID);
	}
}

static void services_are_described(void **data)
{
	(void)data;
	static const struct {
		const char *service, *want;
	} cases[] = {
	        /* numbers that fit no integer */
	        {"{\"image\":\"x\",\"scale\":1e300,\"mem_limit\":1e300,\"cpus\":\"inf\"}",
	         "\"image\":\"x\",\"build\":false,\"healthcheck\":false,\"oneshot\":true,\"replicas\":1,"
	         "\"ports\":[]"},
	        {"{\"image\":\"x\"}",
	         "\"image\":\"x\",\"build\":false,\"healthcheck\":false,\"oneshot\":true,\"replicas\":1,"
	         "\"ports\":[]"},
	        {"{\"build\":{\"context\":\"https://x/x.git\"},\"restart\":\"always\",\"scale\":3}",
	         "\"build\":true,\"healthcheck\":false,\"oneshot\":false,\"replicas\":3,\"ports\":[]"},
	        {"{\"restart\":\"no\",\"healthcheck\":{\"test\":[\"CMD\",\"x\"]},\"deploy\":{\"replicas\":2}"
	         "}",
	         "\"build\":false,\"healthcheck\":true,\"oneshot\":false,\"replicas\":2,\"ports\":[]"},
	        {"{\"restart\":\"no\",\"healthcheck\":{\"test\":[\"NONE\"]}}",
	         "\"build\":false,\"healthcheck\":false,\"oneshot\":true,\"replicas\":1,\"ports\":[]"},
	        {"{\"healthcheck\":{\"disable\":true},\"mem_limit\":\"134217728\",\"cpus\":0.25}",
	         "\"build\":false,\"healthcheck\":false,\"oneshot\":true,\"replicas\":1,\"memory\":134217728,"
	         "\"cpus\":0.25,"
	         "\"ports\":[]"},
	        {"{\"mem_limit\":\"128m\",\"cpus\":\"1.5\"}",
	         "\"build\":false,\"healthcheck\":false,\"oneshot\":true,\"replicas\":1,\"memory\":134217728,"
	         "\"cpus\":1.5,"
	         "\"ports\":[]"},
	        {"{\"deploy\":{\"resources\":{\"limits\":{\"memory\":\"1.5G\",\"cpus\":0.5}}}}",
	         "\"build\":false,\"healthcheck\":false,\"oneshot\":true,\"replicas\":1,\"memory\":"
	         "1610612736,\"cpus\":0.5,"
	         "\"ports\":[]"},
	        {"{\"mem_limit\":\"much\",\"cpus\":0,\"labels\":{\"com.codefoundry.role\":\"gateway\"},"
	         "\"ports\":[\"1:2\"]}",
	         "\"role\":\"gateway\",\"build\":false,\"healthcheck\":false,\"oneshot\":true,\"replicas\":1,"
	         "\"ports\":[{\"target\":2,\"protocol\":\"tcp\"}]"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *text = mem_printf("{\"services\":{\"s\":%s}}", cases[i].service),
		                  *want = mem_printf("[{\"name\":\"s\",%s}]", cases[i].want);
		cleanup_json cJSON *p = NULL;
		assert_ok(!(p = project_freeze(tree(text), "docker-compose", NULL, NULL, err)));
		assert_tree(json_at(p, "services"), want);
	}
}

/* Both forms, from both tools; what has a name, is no volume, or belongs to one of several copies stays as it is. */
static void volumes_without_a_name_get_one(void **data)
{
	(void)data;
	static const struct {
		const char *service, *want;
	} cases[] = {
	        {"{\"volumes\":[\"/a\",\"data:/d:rw\",\"/host:/h\",\"/b\"]}",
	         "{\"volumes\":[\"anonymous-s-2:/a:rw\",\"data:/d:rw\",\"/host:/h\",\"anonymous-s-3:/"
	         "b:rw\"]}"},
	        {"{\"volumes\":[{\"type\":\"volume\",\"target\":\"/a\",\"volume\":{\"nocopy\":true}},"
	         "{\"type\":\"volume\",\"source\":null,\"target\":\"/b\"},"
	         "{\"type\":\"volume\",\"source\":\"data\",\"target\":\"/"
	         "d\"},{\"type\":\"tmpfs\",\"target\":\"/t\"}]}",
	         "{\"volumes\":[{\"type\":\"volume\",\"target\":\"/"
	         "a\",\"volume\":{\"nocopy\":true},\"source\":"
	         "\"anonymous-s-2\"},{\"type\":\"volume\",\"target\":\"/b\",\"source\":\"anonymous-s-3\"},"
	         "{\"type\":\"volume\",\"source\":\"data\",\"target\":\"/"
	         "d\"},{\"type\":\"tmpfs\",\"target\":\"/t\"}]}"},
	        {"{\"volumes\":[\"/a\"],\"scale\":2}", "{\"volumes\":[\"/a\"],\"scale\":2}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool named = strstr(cases[i].want, "anonymous");
		cleanup_free char *text = mem_printf("{\"services\":{\"s\":%s},\"volumes\":{\"data\":{},"
		                                     "\"anonymous-s-1\":{}}}",
		                                     cases[i].service);
		cleanup_json cJSON *p = NULL;
		assert_ok(!(p = project_freeze(tree(text), "docker-compose", NULL, NULL, err)));
		cJSON *service = cJSON_GetObjectItem(json_at(p, "base.services"), "s");
		cJSON_DeleteItemFromObject(service, "networks");
		assert_tree(service, cases[i].want);
		assert_tree(json_at(p, "volumes"),
		            named ? "[\"data\",\"anonymous-s-1\",\"anonymous-s-2\",\"anonymous-s-3\"]"
		                  : "[\"data\",\"anonymous-s-1\"]");
	}
	/* podman-compose gives copies one volume, of a name that has no label of ours */
	cleanup_json cJSON *shared = NULL, *p = NULL;
	assert_ok(!(shared = project_freeze(tree("{\"services\":{\"s\":{\"volumes\":[\"/a\"],\"scale\":2}}}"),
	                                    PROVIDER_PODMAN, NULL, NULL, err)));
	assert_tree(json_at(shared, "volumes"), "[\"anonymous-s-1\"]");
	/* a file that has no section of volumes gets one */
	assert_ok(!(p = project_freeze(tree("{\"services\":{\"s\":{\"volumes\":[\"/a\"]}},\"volumes\":null}"),
	                               "docker-compose", NULL, NULL, err)));
	assert_tree(json_at(p, "base.volumes"), "{\"anonymous-s-1\":{}}");
}

static void what_two_copies_would_fight_over(void **data)
{
	(void)data;
	cleanup_json cJSON *p = NULL;
	assert_ok(!(
	        p = project_freeze(
	                tree("{\"name\":\"n\",\"version\":\"3.9\",\"x-a\":1,\"services\":{"
	                     "\"a\":{\"container_name\":\"c\",\"hostname\":\"h\",\"profiles\":[\"p\"],"
	                     "\"ports\":[80],"
	                     "\"networks\":{\"front\":{\"aliases\":[\"w\"],\"ipv4_address\":\"10.5.0.5\","
	                     "\"ipv6_address\":"
	                     "\"fd::5\"},\"default\":null}},"
	                     "\"b\":{\"network_mode\":\"service:a\"},\"c\":{}},"
	                     "\"networks\":{\"front\":{\"name\":\"f\",\"ipam\":{\"config\":[{\"subnet\":\"10."
	                     "5.0.0/24\"}]},"
	                     "\"enable_ipv6\":true,\"internal\":true,\"driver_opts\":{\"com.docker.network."
	                     "bridge.name\":"
	                     "\"br7\",\"k\":\"v\"}},\"unused\":{}},"
	                     "\"volumes\":{\"data\":{\"name\":\"d\",\"labels\":{\"l\":\"1\"}},\"none\":null},"
	                     "\"secrets\":{\"s\":{\"name\":\"n_s\",\"environment\":\"S\"}}}"),
	                "docker-compose", NULL, NULL, err)));
	assert_tree(
	        json_at(p, "base"),
	        "{\"version\":\"3.9\",\"x-a\":1,\"services\":{"
	        "\"a\":{\"hostname\":\"h\",\"networks\":{\"front\":{\"aliases\":[\"w\"]},\"default\":null}},"
	        "\"b\":{\"network_mode\":\"service:a\"},\"c\":{}},"
	        "\"networks\":{\"front\":{\"internal\":true,\"driver_opts\":{\"k\":\"v\"}},\"default\":{}},"
	        "\"volumes\":{\"data\":{\"labels\":{\"l\":\"1\"}},\"none\":{}},"
	        "\"secrets\":{\"s\":{\"environment\":\"S\"}}}");
	assert_tree(json_at(p, "networks"), "[\"front\",\"default\"]");
	assert_tree(json_at(p, "volumes"), "[\"data\",\"none\"]");
	assert_tree(json_at(p, "files"), "[]");
	assert_string_equal(json_text(p, "provider"), "docker-compose");
}

static void what_it_may_do_without(void **data)
{
	(void)data;
	cleanup_json cJSON *p = NULL;
	assert_ok(
	        !(p = project_freeze(tree("{\"services\":{\"a\":{\"depends_on\":{\"b\":{\"required\":false},"
	                                  "\"gone\":{\"required\":false}}},"
	                                  "\"b\":{\"depends_on\":{\"gone\":{\"required\":false}}},"
	                                  "\"c\":{\"depends_on\":[\"a\"]}}}"),
	                             "docker-compose", NULL, NULL, err)));
	assert_tree(json_at(p, "base.services"),
	            "{\"a\":{\"depends_on\":{\"b\":{\"required\":false}}},\"b\":{},"
	            "\"c\":{\"depends_on\":[\"a\"]}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(ports),
	        cmocka_unit_test_setup_teardown(what_cannot_be_isolated, test_dir_setup, test_dir_teardown),
	        cmocka_unit_test(names_are_checked),
	        cmocka_unit_test(no_services),
	        cmocka_unit_test(services_are_described),
	        cmocka_unit_test(volumes_without_a_name_get_one),
	        cmocka_unit_test(what_two_copies_would_fight_over),
	        cmocka_unit_test(what_it_may_do_without),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
