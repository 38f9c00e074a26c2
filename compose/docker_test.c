/* The Engine API against the real engine: objects, events, images. What goes on in containers stands in
 * docker_exec_test.c, what a real one never says in docker_wire_test.c. */
#include "compose/docker_testing.h"
#include "core/clock.h"
#include <sys/wait.h>

static cJSON *list(enum docker_kind kind, const char *label, const char *more)
{
	struct err err;
	cJSON *l = docker_list(kind, (const char *const[]){label, more, NULL}, &err);
	if (!l)
		fail_msg("%s", err.msg);
	return l;
}

/* ---- who it is, what there is ---- */

static void engine_says_who_it_is(void **state)
{
	(void)state;
	struct err err;
	cleanup_json cJSON *info = docker_info(&err);
	static const char *const keys[] = {"version", "api", "os", "arch", "driver", "cgroup", "root"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_true(strlen(json_text_or(info, keys[i], "")) > 0);
	assert_string_equal(json_text(info, "os"), "linux");
	assert_true(docker_expected());
}

static void calls_fail_with_the_engines_words(void **state)
{
	(void)state;
	static const struct {
		const char *method, *path, *body, *says;
		enum err_code code;
	} cases[] = {
	        {"GET", "/containers/cft-none/json", NULL, "Docker: No such container: cft-none",
	         ERR_NOT_FOUND},
	        {"POST", "/containers/create", "{\"Image\":\"cft-none\"}", "No such image: cft-none",
	         ERR_NOT_FOUND},
	        {"POST", "/containers/create", "{}", "", ERR_FAILED},
	        {"GET", "/nowhere", NULL, "page not found", ERR_NOT_FOUND},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_json cJSON *body = cases[i].body ? cJSON_Parse(cases[i].body) : NULL;
		struct err err;
		assert_int_equal(docker_call(cases[i].method, cases[i].path, body, 0, NULL, &err), -1);
		if (err.code != cases[i].code || !strstr(err.msg, cases[i].says))
			fail_msg("%s gave %d %s", cases[i].path, err.code, err.msg);
	}
	/* the same name twice; started twice is no failure */
	cleanup_free char *again = mem_printf("/containers/create?name=%sbox", t.prefix);
	cleanup_free char *start = mem_printf("/containers/%s/start", box);
	cleanup_free char *text = mem_printf("{\"Image\":\"%s\",\"Cmd\":[\"true\"]}", t.image);
	cleanup_json cJSON *body = cJSON_Parse(text);
	struct err err;
	assert_int_equal(docker_call("POST", again, body, 0, NULL, &err), -1);
	assert_int_equal(err.code, ERR_BUSY);
	assert_int_equal(docker_call("POST", start, NULL, 0, NULL, &err), 0);
}

static void containers_are_listed_by_all_labels(void **state)
{
	(void)state;
	static const char *const first[] = {"cft.a=1", "cft.b=x y&z=ü", NULL}, *const second[] = {"cft.a=1",
	                                                                                          NULL};
	static const char ports[] = "{\"ExposedPorts\":{\"80/tcp\":{}},\"HostConfig\":{\"PortBindings\":"
	                            "{\"80/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"0\"}]}}}";
	cleanup_free char *one = test_docker_container(&t, "one", "sleep 60", first, ports, true);
	cleanup_free char *two = test_docker_container(&t, "two", "exit 3", second, NULL, true);
	cleanup_free char *three = test_docker_container(&t, "three", "true", NULL, NULL, false);

	assert_int_equal(test_docker_wait(two), 3);
	cleanup_json cJSON *all = list(DOCKER_CONTAINER, t.label, NULL),
	                   *a = list(DOCKER_CONTAINER, t.label, "cft.a"),
	                   *b = list(DOCKER_CONTAINER, t.label, "cft.b=x y&z=ü"),
	                   *no = list(DOCKER_CONTAINER, t.label, "cft.a=2");
	assert_int_equal(cJSON_GetArraySize(all), 4); /* and the box */
	assert_int_equal(cJSON_GetArraySize(a), 2);
	assert_int_equal(cJSON_GetArraySize(b), 1);
	assert_int_equal(cJSON_GetArraySize(no), 0);
	const cJSON *c = b->child;
	cleanup_free char *name = mem_printf("%sone", t.prefix);
	assert_string_equal(json_text(c, "id"), one);
	assert_string_equal(json_text(c, "name"), name);
	assert_string_equal(json_text(c, "state"), "running");
	assert_memory_equal(json_text(c, "status"), "Up ", 3);
	assert_string_equal(json_text(c, "image"), t.image);
	assert_true(clock_now_ms() / 1000 - json_int(c, "created", 0) < 60);
	assert_string_equal(cJSON_GetObjectItem(json_at(c, "labels"), "cft.b")->valuestring, "x y&z=ü");
	assert_string_equal(json_text(c, "ports.0.ip"), "127.0.0.1");
	assert_int_equal(json_int(c, "ports.0.container", 0), 80);
	assert_true(json_int(c, "ports.0.host", 0) > 0);
	assert_string_equal(json_text(c, "ports.0.protocol"), "tcp");
	for (c = all->child; c; c = c->next)
		if (!strcmp(json_text(c, "id"), two) || !strcmp(json_text(c, "id"), three))
			assert_string_equal(json_text(c, "state"),
			                    strcmp(json_text(c, "id"), two) ? "created" : "exited");
	removed(DOCKER_CONTAINER, one);
	removed(DOCKER_CONTAINER, two);
	removed(DOCKER_CONTAINER, three);
}

static void networks_and_volumes(void **state)
{
	(void)state;
	cleanup_free char *net = mem_printf(
	        "{\"Name\":\"%snet\",\"Labels\":{\"com.codefoundry.test\":\"%s\"}}", t.prefix, t.id);
	cleanup_free char *vol = mem_printf(
	        "{\"Name\":\"%svol\",\"Labels\":{\"com.codefoundry.test\":\"%s\"}}", t.prefix, t.id);
	cleanup_free char *more =
	        mem_printf("{\"HostConfig\":{\"NetworkMode\":\"%snet\",\"Binds\":[\"%svol:/data\"]}}",
	                   t.prefix, t.prefix);
	cleanup_json cJSON *none = list(DOCKER_VOLUME, t.label, NULL);
	assert_int_equal(cJSON_GetArraySize(none), 0); /* the engine says null */
	cleanup_json cJSON *made = call("POST", "/networks/create", net),
	                   *made_volume = call("POST", "/volumes/create", vol);
	cleanup_free char *user = test_docker_container(&t, "user", "sleep 60", NULL, more, true);

	cleanup_json cJSON *nets = list(DOCKER_NETWORK, t.label, NULL),
	                   *vols = list(DOCKER_VOLUME, t.label, NULL);
	cleanup_free char *net_name = mem_printf("%snet", t.prefix),
	                  *vol_name = mem_printf("%svol", t.prefix);
	assert_int_equal(cJSON_GetArraySize(nets), 1);
	assert_string_equal(json_text(nets, "0.id"), json_text(made, "Id"));
	assert_string_equal(json_text(nets, "0.name"), net_name);
	assert_int_equal(cJSON_GetArraySize(vols), 1);
	assert_string_equal(json_text(vols, "0.id"), vol_name);
	assert_string_equal(json_text(vols, "0.name"), vol_name);
	assert_string_equal(
	        cJSON_GetObjectItem(json_at(vols, "0.labels"), "com.codefoundry.test")->valuestring, t.id);

	struct err err;
	assert_int_equal(docker_remove(DOCKER_NETWORK, json_text(nets, "0.id"), &err), -1);
	assert_int_equal(err.code, ERR_BUSY);
	assert_non_null(strstr(err.msg, "remove network "));
	assert_int_equal(docker_remove(DOCKER_VOLUME, vol_name, &err), -1);
	assert_int_equal(err.code, ERR_BUSY);
	removed(DOCKER_CONTAINER, user);
	removed(DOCKER_NETWORK, json_text(nets, "0.id"));
	removed(DOCKER_VOLUME, vol_name);
}

static void removing_what_is_gone(void **state)
{
	(void)state;
	struct err err;
	for (int kind = 0; kind < DOCKER_KINDS; kind++) {
		static const char *const bad[] = {"", "..", "../x", "a/b", "a?b", "-x", NULL};
		removed(kind, "cft-none");
		for (const char *const *id = bad; *id; id++) {
			assert_int_equal(docker_remove(kind, *id, &err), -1);
			assert_int_equal(err.code, ERR_INVALID);
		}
	}
	/* several at once */
	cleanup_free char *id = test_docker_container(&t, "many", "sleep 60", NULL, NULL, true);
	pid_t pids[4];
	for (size_t i = 0; i < ARRAY_LEN(pids); i++)
		if (!(pids[i] = fork()))
			_exit(docker_remove(DOCKER_CONTAINER, id, &err) ? 1 : 0);
	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		int status;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	cleanup_free char *path = mem_printf("/containers/%s/json", id);
	assert_null(docker_get(path, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

/* ---- events ---- */

struct seen {
	const char *id;
	struct str actions;
	int64_t last_nano;
	int after_end;
};

/* Acts on what it sees, so that each event but the first is one to come. */
static bool see(void *arg, const cJSON *event)
{
	struct seen *s = arg;
	const char *action = json_text_or(event, "Action", "");
	cleanup_free char *kill = mem_printf("/containers/%s/kill", s->id);
	if (strcmp(json_text_or(event, "Actor.ID", ""), s->id) || !strncmp(action, "exec_", 5))
		return true;
	assert_true(json_int(event, "timeNano", 0) >= s->last_nano);
	s->last_nano = json_int(event, "timeNano", 0);
	str_addf(&s->actions, "%s,", action);
	if (!strcmp(action, "health_status: healthy"))
		call("POST", kill, NULL);
	else if (!strcmp(action, "die"))
		removed(DOCKER_CONTAINER, s->id);
	return strcmp(action, "destroy") != 0;
}

static void events_come_in_order(void **state)
{
	(void)state;
	static const char *const labels[] = {"cft.events=1", NULL};
	static const char health[] = "{\"Healthcheck\":{\"Test\":[\"CMD\",\"true\"],\"Interval\":50000000}}";
	int64_t since = clock_now_ms();
	cleanup_free char *id = test_docker_container(&t, "events", "sleep 60", labels, health, true);
	struct seen s = {.id = id, .actions = STR_INIT};
	struct err err = {0};
	if (docker_events(since, t.label, see, NULL, &s, &err))
		fail_msg("%s", err.msg);
	assert_non_null(
	        strstr(str_text(&s.actions), "create,attach,start,health_status: healthy,kill,die,")
	                ?: strstr(str_text(&s.actions), "create,start,health_status: healthy,kill,die,"));
	assert_non_null(strstr(str_text(&s.actions), ",destroy,"));
	str_free(&s.actions);
}

static bool count_event(void *arg, const cJSON *event)
{
	(void)event;
	++*(int *)arg;
	return true;
}

static int64_t stop_ms;

static bool until_stop(void *arg)
{
	(void)arg;
	return clock_mono_ms() < stop_ms;
}

static void events_of_others_and_of_the_past_stay_away(void **state)
{
	(void)state;
	int n = 0;
	struct err err;
	cleanup_free char *before = test_docker_container(&t, "before", "true", NULL, NULL, true);
	assert_int_equal(test_docker_wait(before), 0);
	removed(DOCKER_CONTAINER, before);
	int64_t since = clock_now_ms() + 1;
	stop_ms = clock_mono_ms() + 500;
	assert_int_equal(
	        docker_events(since, "com.codefoundry.test=nobody", count_event, until_stop, &n, &err), 0);
	assert_true(clock_mono_ms() - stop_ms < 5000); /* nothing else would end it */
	stop_ms = clock_mono_ms() + 100;
	assert_int_equal(docker_events(since, t.label, count_event, until_stop, &n, &err), 0);
	assert_int_equal(n, 0);
}

/* ---- images ---- */

static void archives_that_are_none(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "this is no archive"};
	struct err err;
	assert_int_equal(docker_load("/tmp/cft-none.tar", 0, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	for (size_t i = 0; i <= ARRAY_LEN(texts); i++) {
		struct str whole = STR_INIT;
		char path[] = "/tmp/codefoundry-test.XXXXXX";
		int fd = mkstemp(path);
		test_docker_archive(&t, &whole); /* cut in its middle */
		const char *text = i < ARRAY_LEN(texts) ? texts[i] : whole.p;
		size_t len = i < ARRAY_LEN(texts) ? strlen(text) : whole.len / 2;
		assert_int_equal(write(fd, text, len), len);
		close(fd);
		int rc = docker_load(path, 0, &err);
		unlink(path);
		str_free(&whole);
		if (rc != -1 || err.code != ERR_FAILED)
			fail_msg("archive %zu gave %d %s", i, rc, err.msg);
		assert_non_null(strstr(err.msg, path));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(engine_says_who_it_is),
	        cmocka_unit_test(calls_fail_with_the_engines_words),
	        cmocka_unit_test(containers_are_listed_by_all_labels),
	        cmocka_unit_test(networks_and_volumes),
	        cmocka_unit_test(removing_what_is_gone),
	        cmocka_unit_test(events_come_in_order),
	        cmocka_unit_test(events_of_others_and_of_the_past_stay_away),
	        cmocka_unit_test(archives_that_are_none),
	};
	return cmocka_run_group_tests_name("compose/docker", tests, setup, teardown);
}
