/* Any compose file: the kinds of things that stand in one, two sessions of each side by side; what was allowed to reach out of
 * one and is nobody's to remove; and images that are built for one. */
#include "sessions/test_compose.h"

#define SLEEPS "    image: '@'\n    stop_signal: SIGKILL\n    command: [sleep, '1000']\n"
#define SLEEPING "    stop_signal: SIGKILL\n    command: [sleep, '1000']\n"

/* -- files -- */

static void write_beside(struct test_state *t, const char *name, const char *text)
{
	cleanup_free char *path = state_path(t->st, "files/%s", name);
	char *slash = strrchr(path, '/');
	cleanup_free char *dir = mem_strndup(path, (size_t)(slash - path));
	assert_ok(dir_make(dir, 0700, err));
	assert_ok(file_write(path, text, strlen(text), 0644, err));
}

/* ${args} of a start with further members ${more}. The caller frees it. */
static char *with_more(char *owned, const char *more)
{
	cleanup_free char *args = owned;
	args[strlen(args) - 1] = '\0';
	return mem_printf("%s,%s}", args, more);
}

static cJSON *start_with(struct test_state *t, const char *name, const char *yaml, const char *more)
{
	cleanup_free char *args = with_more(with_file(t, name, yaml), more);
	return run(t, "session.start", args);
}

static void refused_with(struct test_state *t, const char *name, const char *yaml, const char *more,
                         enum err_code code, const char *text)
{
	cleanup_free char *args = with_more(with_file(t, name, yaml), more);
	refused(t, "session.start", args, code, text);
}

static void assert_prints(struct test_state *t, const char *session, const char *service, const char *script,
                          const char *want)
{
	cleanup_free char *got = sh(t, session, service, script);
	assert_string_equal(got, want);
}

static const cJSON *finding(const cJSON *shown, const char *rule)
{
	const cJSON *one;
	cJSON_ArrayForEach(one, json_at(shown, "isolation"))
	{
		if (!strcmp(json_text_or(one, "rule", ""), rule))
			return one;
	}
	fail_msg("no finding %s", rule);
	return NULL;
}

static const char many_kinds[] =
        "name: fixed\n"
        "x-common: &common\n"
        "  image: '@'\n"
        "  stop_signal: SIGKILL\n"
        "  environment: {COMMON: common}\n"
        "services:\n"
        "  web:\n"
        "    <<: *common\n"
        "    container_name: cft-fixed\n"
        "    extends: {file: base.yml, service: base}\n"
        "    env_file: [more.env]\n"
        "    command: [sh, -c, 'httpd -f -p 80 -h /served']\n"
        "    ports: ['18080:80', '127.0.0.1:18100-18102:100-102', {target: 443, published: 18443}]\n"
        "    volumes:\n"
        "      - ./served:/served:ro\n"
        "      - named:/named\n"
        "      - {type: bind, source: ./sub, target: /sub}\n"
        "      - {type: volume, source: plain, target: /plain}\n"
        "      - {type: tmpfs, target: /scratch}\n"
        "    secrets: [token]\n"
        "    configs: [{source: conf, target: /etc/app.conf}]\n"
        "    networks: {front: {aliases: [w], ipv4_address: 10.199.3.4}, default: null}\n"
        "    healthcheck: {test: [CMD, wget, -q, -O, /dev/null, 'http://127.0.0.1:80/x'], interval: 30s}\n"
        "  side:\n"
        "    <<: *common\n" SLEEPING "    network_mode: 'service:web'\n"
        "    depends_on: {web: {condition: service_healthy}}\n"
        "  alone:\n"
        "    <<: *common\n" SLEEPING "    network_mode: none\n"
        "  debug:\n"
        "    <<: *common\n" SLEEPING "    profiles: [debug]\n"
        "  never:\n"
        "    <<: *common\n" SLEEPING "    profiles: [never]\n"
        "networks:\n"
        "  front: {name: cft-front, ipam: {config: [{subnet: 10.199.3.0/24}]}}\n"
        "volumes: {named: {name: cft-named}, plain: {}}\n"
        "secrets: {token: {file: ./token}}\n"
        "configs: {conf: {file: ./app.conf}}\n";

static void assert_kinds(struct test_state *t, const char *name)
{
	struct err err = {0};
	cleanup_json cJSON *shown = session_show(t->st, name, &err);
	static const char *const rules[] = {"host-port",    "container-name", "object-name",
	                                    "fixed-subnet", "fixed-address",  "project-name"};
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		assert_string_equal(json_text(finding(shown, rules[i]), "action"), "rewritten");
	assert_int_equal(cJSON_GetArraySize(json_at(shown, "services")), 4);
	assert_int_equal(cJSON_GetArraySize(json_at(shown, "endpoints")), 5);
	assert_prints(t, name, "web", "cat /served/x /sub/y /run/secrets/token /etc/app.conf",
	              "served\nsub\nsecret\nconf\n");
	assert_prints(t, name, "web", "echo $COMMON $BASE $MORE $SESSION_NAME",
	              name[0] == 'o' ? "common base more one\n" : "common base more two\n");
	assert_prints(t, name, "web", "touch /named/a /plain/a /scratch/a && ls /named /plain",
	              "/named:\na\n\n/plain:\na\n");
	assert_prints(t, name, "side", "wget -q -O - http://127.0.0.1:80/x", "served\n");
	assert_prints(t, name, "alone", "ls /sys/class/net", "lo\n");
	cleanup_free char *id = container_of(t, name, "debug");
	assert_true(*id);
}

static void every_kind(void **data)
{
	struct test_state *t = *data;
	write_beside(t, "base.yml", "version: '3.9'\nservices:\n  base:\n    environment: {BASE: base}\n");
	write_beside(t, "more.env", "MORE=more\n");
	write_beside(t, "served/x", "served\n");
	write_beside(t, "sub/y", "sub\n");
	write_beside(t, "token", "secret\n");
	write_beside(t, "app.conf", "conf\n");
	cJSON_Delete(start_with(t, "one", many_kinds, "\"profiles\":[\"debug\"]"));
	cJSON_Delete(start_with(t, "two", many_kinds, "\"profiles\":[\"debug\"]"));
	assert_kinds(t, "one");
	assert_kinds(t, "two");
	assert_objects(t, 8, 4, 4);
	stop_gone(t, "one");
	assert_kinds(t, "two");
	stop_gone(t, "two");
	assert_gone(t);
}

/* -- what is allowed -- */

static char *theirs(const char *name)
{
	return mem_printf("%s%s", docker.prefix, name);
}

static void make(const char *path, const char *name)
{
	cleanup_json cJSON *body = json_object();
	cJSON *labels = json_object();
	json_add_text(body, "Name", name);
	json_add_text(labels, "com.codefoundry.test", docker.id);
	json_add(body, "Labels", labels);
	assert_ok(docker_call("POST", path, body, 0, NULL, err));
}

static void assert_there(const char *path)
{
	struct err err = {0};
	cleanup_json cJSON *object = docker_get(path, &err);
	if (!object)
		fail_msg("%s: %s", path, err.msg);
}

static void external_ones_are_left_alone(void **data)
{
	struct test_state *t = *data;
	cleanup_free char *network = theirs("net"), *volume = theirs("vol");
	cleanup_free char *yaml = mem_printf("services:\n  web:\n" SLEEPS "    networks: [shared, default]\n"
	                                     "    volumes: ['shared:/shared', 'own:/own']\n"
	                                     "networks: {shared: {external: true, name: %s}}\n"
	                                     "volumes: {shared: {external: true, name: %s}, own: {}}\n",
	                                     network, volume);
	make("/networks/create", network);
	make("/volumes/create", volume);
	refused_with(t, "demo", yaml, "\"allow\":[\"external-network\"]", ERR_INVALID,
	             "volume shared: external");
	cJSON_Delete(start_with(t, "one", yaml, "\"allow\":[\"external-network\",\"external-volume\"]"));
	cJSON_Delete(start_with(t, "two", yaml, "\"allow\":[\"external-network\",\"external-volume\"]"));
	assert_objects(t, 2, 2, 2);
	/* they meet there: that is what was allowed */
	cleanup_free char *wrote = sh(t, "one", "web", "echo mine > /shared/x");
	assert_prints(t, "two", "web", "cat /shared/x", "mine\n");
	struct err err = {0};
	cleanup_json cJSON *shown = session_show(t->st, "one", &err);
	assert_string_equal(json_text(finding(shown, "external-network"), "action"), "allowed");
	assert_string_equal(json_text(finding(shown, "external-volume"), "value"), volume);
	cleanup_free char *override = state_path(t->st, "sessions/one/override.yml"), *text = NULL;
	assert_ok(file_read(override, 1 << 20, &text, NULL, err));
	assert_non_null(
	        strstr(text, "# Not isolated, by --allow=external-network: network shared: external"));
	stop_gone(t, "one");
	stop_gone(t, "two");
	assert_gone(t);
	cleanup_free char *one = mem_printf("/networks/%s", network),
	                  *two = mem_printf("/volumes/%s", volume);
	assert_there(one);
	assert_there(two);
	assert_ok(docker_remove(DOCKER_NETWORK, network, err));
	assert_ok(docker_remove(DOCKER_VOLUME, volume, err));
}

static void the_host_network(void **data)
{
	struct test_state *t = *data;
	static const char yaml[] =
	        "services:\n  web:\n" SLEEPS "    network_mode: host\n    ports: ['18091:80']\n"
	        "    healthcheck: {test: [CMD, test, -d, /tmp], interval: 30s}\n";
	start_refused(t, "demo", yaml, ERR_INVALID, "--allow=host-network");
	cleanup_json cJSON *result = start_with(t, "demo", yaml, "\"allow\":[\"host-network\"]");
	assert_null(json_at(result, "endpoints")->child);
	assert_objects(t, 1, 0, 0);
	cleanup_free char *id = container_of(t, "demo", "web");
	cleanup_json cJSON *c = inspect(id);
	assert_string_equal(json_text(c, "HostConfig.NetworkMode"), "host");
	does(t, "session.restart", "{\"name\":\"demo\"}");
	stop_gone(t, "demo");
	assert_gone(t);
}

static void a_fixed_subnet(void **data)
{
	struct test_state *t = *data;
	static const char yaml[] =
	        "services:\n  web:\n" SLEEPS "    networks: {front: {ipv4_address: 10.199.77.9}}\n"
	        "networks: {front: {ipam: {config: [{subnet: 10.199.77.0/24}]}}}\n";
	static const char allow[] = "\"allow\":[\"fixed-subnet\",\"fixed-address\"]";
	cJSON_Delete(start_with(t, "one", yaml, allow));
	cleanup_free char *id = container_of(t, "one", "web");
	cleanup_json cJSON *c = inspect(id),
	                   *networks = cJSON_Duplicate(json_at(c, "NetworkSettings.Networks"), true);
	assert_string_equal(json_text(networks->child, "IPAddress"), "10.199.77.9");
	refused_with(t, "two", yaml, allow, ERR_BUSY, "overlaps a network of session one");
	/* without it, it is given a subnet of its own */
	cJSON_Delete(start(t, "two", yaml));
	assert_objects(t, 2, 2, 0);
	stop_gone(t, "one");
	cJSON_Delete(start_with(t, "three", yaml, allow));
	stop_gone(t, "two");
	stop_gone(t, "three");
	assert_gone(t);
}

/* Only who sits at the machine may let something out of a session. */
static void a_chat_allows_nothing(void **data)
{
	struct test_state *t = *data;
	static const char *const args[] = {"{\"name\":\"demo\",\"allow\":[\"host-bind\"]}",
	                                   "{\"name\":\"demo\",\"profiles\":[\"x\"]}"};
	for (size_t i = 0; i < ARRAY_LEN(args); i++) {
		cJSON *result = NULL;
		struct err err = {0};
		assert_int_equal(run_as(t, "session.start", "tg:1", args[i], &result, &err), -1);
		assert_int_equal(err.code, ERR_DENIED);
	}
	refused(t, "session.start", "{\"name\":\"demo\",\"allow\":[\"everything\"]}", ERR_USAGE,
	        "what can be:");
	refused(t, "session.start", "{\"name\":\"demo\",\"allow\":\"host-bind\"}", ERR_INVALID,
	        "lists of names");
	setenv("COMPOSE_ALLOW", "everything", 1);
	test_state_disconnect(t);
	test_sessions_connect(t);
	start_refused(t, "demo", "services:\n  web:\n" SLEEPS, ERR_CONFIG, "COMPOSE_ALLOW");
	setenv("COMPOSE_ALLOW", "host-pid", 1);
	test_state_disconnect(t);
	test_sessions_connect(t);
	cJSON_Delete(start(t, "demo", "services:\n  web:\n" SLEEPS "    pid: host\n"));
	unsetenv("COMPOSE_ALLOW");
	stop_gone(t, "demo");
	assert_gone(t);
}

/* -- images -- */

static const char built_file[] =
        "services:\n"
        "  web:\n    build: {context: ./app, labels: {own: label}}\n    image: app:dev\n" SLEEPING
        "  Worker:\n    image: app:dev\n" SLEEPING "  plain:\n    build: ./app\n" SLEEPING;

static int images(struct test_state *t)
{
	return object_count(t, DOCKER_IMAGE);
}

static void write_app(struct test_state *t)
{
	cleanup_free char *text = mem_printf("FROM %s\nCOPY x /x\n", docker.image);
	write_beside(t, "app/Dockerfile", text);
	write_beside(t, "app/x", "built\n");
}

/* Give the image of ${session}'s service web the name ${tag} as well. */
static void tag_image(struct test_state *t, const char *session, const char *tag)
{
	cleanup_free char *id = container_of(t, session, "web");
	cleanup_json cJSON *c = inspect(id);
	cleanup_free char *path = mem_printf("/images/%s/tag?repo=%s&tag=1", json_text(c, "Image"), tag);
	assert_ok(docker_call("POST", path, NULL, 0, NULL, err));
}

/* An image on top of ${session}'s, which inherits its labels. */
static void commit_image(struct test_state *t, const char *session, const char *tag)
{
	cleanup_free char *id = container_of(t, session, "web"),
	                  *path = mem_printf("/commit?container=%s&repo=%s&tag=1", id, tag);
	cleanup_json cJSON *body = json_object();
	assert_ok(docker_call("POST", path, body, 60000, NULL, err));
}

static void each_builds_its_own(void **data)
{
	struct test_state *t = *data;
	cleanup_free char *kept = theirs("kept"), *derived = theirs("derived");
	write_app(t);
	cJSON_Delete(start(t, "one", built_file));
	cJSON_Delete(start(t, "two", built_file));
	assert_int_equal(images(t), 6);
	assert_prints(t, "one", "Worker", "cat /x", "built\n");
	struct err err = {0};
	cleanup_json cJSON *none = docker_get("/images/app:dev/json", &err), *shown = NULL;
	assert_null(none);
	shown = session_show(t->st, "one", &err);
	assert_string_equal(json_text(finding(shown, "image-name"), "action"), "rewritten");
	tag_image(t, "one", kept);
	commit_image(t, "two", derived);
	assert_int_equal(images(t), 6); /* what is built on ours is not ours */
	stop_gone(t, "one");
	assert_int_equal(images(t), 3);
	assert_prints(t, "two", "web", "cat /x", "built\n");
	cleanup_free char *path = mem_printf("/images/%s:1", kept),
	                  *other = mem_printf("/images/%s:1", derived);
	cleanup_free char *there = mem_printf("%s/json", path);
	assert_there(there);
	assert_ok(docker_call("DELETE", other, NULL, 0, NULL, err));
	stop_gone(t, "two");
	assert_gone(t);
	assert_ok(docker_call("DELETE", path, NULL, 0, NULL, err));
}

/* Somebody's container runs on it: it is told, and tried again. */
static void an_image_in_use(void **data)
{
	struct test_state *t = *data;
	write_app(t);
	cJSON_Delete(start(t, "demo", built_file));
	cleanup_free char *mine = container_of(t, "demo", "web");
	cleanup_json cJSON *c = inspect(mine);
	struct test_docker user = docker;
	snprintf(user.image, sizeof(user.image), "%s", json_text(c, "Image"));
	cleanup_free char *id = test_docker_container(&user, "user", "sleep 1000", NULL, NULL, false);
	refused(t, "session.stop", "{\"name\":\"demo\"}", ERR_BUSY, "1 images");
	assert_int_equal(images(t), 1);
	assert_ok(docker_remove(DOCKER_CONTAINER, id, err));
	stop_gone(t, "demo");
	assert_gone(t);
}

/* Its row is gone, as with an old database: what is labelled is found all the same. */
static void images_of_nobody(void **data)
{
	struct test_state *t = *data;
	write_app(t);
	cJSON_Delete(start(t, "demo", built_file));
	cleanup_json cJSON *containers = objects(t, NULL, DOCKER_CONTAINER);
	const cJSON *one;
	cJSON_ArrayForEach(one, containers)
	        assert_ok(docker_remove(DOCKER_CONTAINER, json_text(one, "id"), err));
	cleanup_json cJSON *networks = objects(t, NULL, DOCKER_NETWORK);
	cJSON_ArrayForEach(one, networks) assert_ok(docker_remove(DOCKER_NETWORK, json_text(one, "id"), err));
	cleanup_free char *dir = state_path(t->st, "sessions/demo");
	assert_ok(tree_remove(dir, err));
	assert_ok(db_run(t->st->db, err, "DELETE FROM sessions", ""));
	assert_ok(db_run(t->st->db, err, "DELETE FROM session_steps", ""));
	assert_int_equal(images(t), 3);
	does(t, "session.reap", "{}");
	assert_gone(t);
}

/* A name that is another's already: building would take it from him. */
static void a_strangers_image(void **data)
{
	struct test_state *t = *data;
	cleanup_free char *name = mem_printf("%s-demo-plain", getenv("COMPOSE_PROJECT_NAME")),
	                  *path = mem_printf("/images/%s/tag?repo=%s&tag=latest", docker.image, name),
	                  *there = mem_printf("/images/%s:latest", name);
	write_app(t);
	assert_ok(docker_call("POST", path, NULL, 0, NULL, err));
	start_refused(t, "demo", built_file, ERR_EXISTS, name);
	assert_ok(docker_call("DELETE", there, NULL, 0, NULL, err));
	assert_gone(t);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return again_main(argc, argv);
	const struct CMUnitTest tests[] = {
	        V1(every_kind),
	        V2(every_kind),
	        V1(external_ones_are_left_alone),
	        V2(external_ones_are_left_alone),
	        V1(the_host_network),
	        V2(the_host_network),
	        V1(a_fixed_subnet),
	        V2(a_fixed_subnet),
	        V1(a_chat_allows_nothing),
	        V1(each_builds_its_own),
	        V2(each_builds_its_own),
	        V1(an_image_in_use),
	        V1(images_of_nobody),
	        V1(a_strangers_image),
	        V2(a_strangers_image),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
