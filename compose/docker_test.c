/* The Engine API against the real engine. What a real one never says stands in docker_wire_test.c. */
#include "compose/docker.h"
#include "compose/test_docker.h"
#include "core/clock.h"
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct test_docker t;
static char *box; /* a container that runs all the time */

static cJSON *list(enum docker_kind kind, const char *label, const char *more)
{
	struct err err;
	cJSON *l = docker_list(kind, (const char *const[]){label, more, NULL}, &err);
	if (!l)
		fail_msg("%s", err.msg);
	return l;
}

static cJSON *call(const char *method, const char *path, const char *body)
{
	cleanup_json cJSON *j = body ? cJSON_Parse(body) : NULL;
	cJSON *reply = NULL;
	struct err err;
	if (docker_call(method, path, j, 0, &reply, &err))
		fail_msg("%s %s: %s", method, path, err.msg);
	return reply;
}

static void removed(enum docker_kind kind, const char *id)
{
	struct err err;
	if (docker_remove(kind, id, &err))
		fail_msg("%s", err.msg);
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

/* ---- logs ---- */

static cJSON *logs(const char *id, int n, bool times)
{
	struct err err;
	cJSON *l = docker_logs(id, n, times, &err);
	if (!l)
		fail_msg("%s", err.msg);
	return l;
}

static void logs_of_both_streams(void **state)
{
	(void)state;
	static const char script[] = "echo one; echo two >&2; echo; printf 'three\\r\\n'; printf 'a\\377b'";
	static const char *const kinds[] = {NULL, "{\"Tty\":true}"};
	static const char bad[] =
	        "a\357\277\275b"; /* the engine keeps U+FFFD for the byte that is no UTF-8 */
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		cleanup_free char *id = test_docker_container(&t, "logs", script, NULL, kinds[i], true);
		assert_int_equal(test_docker_wait(id), 0);
		cleanup_json cJSON *all = logs(id, 100, false), *last = logs(id, 2, false),
		                   *none = logs(id, 0, false), *timed = logs(id, 100, true);
		assert_int_equal(cJSON_GetArraySize(all), 5);
		for (const char *const *text = (const char *const[]){"one", "two", "", "three", bad, NULL};
		     *text; text++)
			assert_true(json_has_text(all, *text));
		assert_int_equal(cJSON_GetArraySize(last), 2);
		assert_int_equal(cJSON_GetArraySize(none), 0);
		for (const cJSON *l = timed->child; l; l = l->next) {
			assert_int_equal(strcspn(l->valuestring, " "),
			                 strlen("2026-11-21T09:45:38.836830753Z"));
			assert_true(json_has_text(all, strchr(l->valuestring, ' ') + 1));
		}
		removed(DOCKER_CONTAINER, id);
	}
	struct err err;
	assert_null(docker_logs("cft-none", 5, false, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

/* The engine stores it in parts of 16 KiB and puts the time before each. */
static void long_lines_are_one(void **state)
{
	(void)state;
	cleanup_free char *id = test_docker_container(
	        &t, "long", "echo a; seq -s , 1 8000; seq -s , 1 20000 >&2; echo b", NULL, NULL, true);
	assert_int_equal(test_docker_wait(id), 0);
	for (int times = 0; times < 2; times++) {
		cleanup_json cJSON *l = logs(id, 100, times);
		cleanup_str struct str expected = STR_INIT;
		bool found = false, cut = false;
		for (int i = 1; i <= 8000; i++)
			str_addf(&expected, i < 8000 ? "%d," : "%d", i);
		assert_int_equal(cJSON_GetArraySize(l), 4);
		for (const cJSON *x = l->child; x; x = x->next) {
			const char *text = times ? strchr(x->valuestring, ' ') + 1 : x->valuestring;
			found |= !strcmp(text, str_text(&expected));
			cut |= strlen(x->valuestring) == 64 << 10;
		}
		assert_true(found);
		assert_true(cut);
	}
	removed(DOCKER_CONTAINER, id);
}

/* ---- exec ---- */

static struct docker_output run(const char *script, int64_t timeout_ms, size_t max)
{
	struct docker_output out;
	struct err err;
	if (docker_exec(box, (const char *const[]){"sh", "-c", script, NULL}, timeout_ms, max, &out, &err))
		fail_msg("%s", err.msg);
	return out;
}

static void exit_codes_and_output(void **state)
{
	(void)state;
	static const struct {
		const char *argv[4];
		size_t max;
		int code;
		const char *says;
		bool exactly;
	} cases[] = {
	        {{"true"}, 100, 0, "", true},
	        {{"sh", "-c", "echo out; exit 7"}, 100, 7, "out\n", true},
	        {{"sh", "-c", "echo err >&2; exit 8"}, 100, 8, "err\n", true},
	        {{"sh", "-c", "seq 1 100000; exit 3"}, 10, 3, "1\n2\n3\n4\n5\n", true},
	        {{"echo", "a b", "$HOME"}, 100, 0, "a b $HOME\n", true},
	        {{"sh", "-c", "cft-none"}, 1000, 127, "not found", false},
	        {{"cft-none"}, 1000, 126, "executable file not found", false},
	        {{"/etc"}, 1000, 126, "permission denied", false},
	        {{"sh", "-c", "kill -9 $$"}, 100, 137, "", true},
	        {{"sh", "-c", "exec >&- 2>&-; sleep 0.3; exit 5"}, 100, 5, "", true}, /* without output */
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct docker_output out;
		struct err err;
		if (docker_exec(box, cases[i].argv, 20000, cases[i].max, &out, &err))
			fail_msg("%s: %s", cases[i].argv[0], err.msg);
		bool fits = cases[i].exactly ? !strcmp(out.text, cases[i].says)
		                             : strstr(out.text, cases[i].says) != NULL;
		if (out.exit_code != cases[i].code || !fits || out.len != strlen(out.text))
			fail_msg("case %zu gave %d %s", i, out.exit_code, out.text);
		docker_output_free(&out);
	}
}

/* Many in a row: the engine hears of a program's end a little later than we of its output's. */
static void exit_code_is_never_missed(void **state)
{
	(void)state;
	for (int i = 0; i < 15; i++) {
		struct docker_output out = run("exit 9", 20000, 10);
		assert_int_equal(out.exit_code, 9);
		docker_output_free(&out);
	}
}

/* Whether a process with ${word} in its command line runs in ${container}. */
static bool runs(const char *container, const char *word)
{
	cleanup_free char *path = mem_printf("/containers/%s/top", container);
	cleanup_json cJSON *top = call("GET", path, NULL);
	cleanup_free char *text = json_print(top);
	return strstr(text, word) != NULL;
}

static void too_late_is_killed_with_all_it_started(void **state)
{
	(void)state;
	int64_t begun = clock_mono_ms();
	struct docker_output out = run("echo begun; sleep 4321 & sleep 4322; echo never", 400, 1000);
	int64_t took = clock_mono_ms() - begun;
	assert_int_equal(out.exit_code, -1);
	assert_string_equal(out.text, "begun\n");
	assert_in_range(took, 390, 2300);
	assert_false(runs(box, "sleep 432"));
	docker_output_free(&out);

	/* no output to wait for */
	out = run("exec >&- 2>&-; sleep 4323", 300, 1000);
	assert_int_equal(out.exit_code, -1);
	assert_false(runs(box, "sleep 432"));
	docker_output_free(&out);
}

static void background_program_is_left_alone(void **state)
{
	(void)state;
	struct docker_output out = run("sleep 4324 & echo $!; exit 6", 600, 1000);
	assert_int_equal(out.exit_code, 6);
	assert_true(runs(box, "sleep 4324"));
	cleanup_free char *end = mem_printf("kill -9 %d", atoi(out.text));
	docker_output_free(&out);
	out = run(end, 20000, 100);
	assert_int_equal(out.exit_code, 0);
	docker_output_free(&out);
}

/* A member of group docker who is not root may not send the signal himself. */
static void members_of_the_group_can_kill_too(void **state)
{
	(void)state;
	struct stat st;
	struct err err;
	const char *socket = docker_socket(&err);
	if (getuid() || !socket || stat(socket, &st))
		skip();
	pid_t pid = fork();
	if (!pid) {
		struct docker_output out;
		if (setgroups(0, NULL) || setgid(st.st_gid) || setuid(65534))
			_exit(9);
		if (docker_exec(box, (const char *const[]){"sleep", "4325", NULL}, 300, 100, &out, &err))
			_exit(8);
		_exit(out.exit_code == -1 ? 0 : 7);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_false(runs(box, "sleep 4325"));
}

static void exec_needs_a_running_container(void **state)
{
	(void)state;
	static const char *const argv[] = {"true", NULL};
	cleanup_free char *id = test_docker_container(&t, "idle", "true", NULL, NULL, false);
	struct docker_output out;
	struct err err;
	assert_int_equal(docker_exec(id, argv, 5000, 100, &out, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	assert_non_null(strstr(err.msg, "is not running"));
	assert_null(out.text);
	removed(DOCKER_CONTAINER, id);
	assert_int_equal(docker_exec("cft-none", argv, 5000, 100, &out, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	cleanup_free char *pause = mem_printf("/containers/%s/pause", box),
	                  *unpause = mem_printf("/containers/%s/unpause", box);
	call("POST", pause, NULL);
	int rc = docker_exec(box, argv, 5000, 100, &out, &err);
	call("POST", unpause, NULL);
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, ERR_STATE);
	assert_non_null(strstr(err.msg, "paused"));
}

/* ---- files ---- */

static void files_of_containers(void **state)
{
	(void)state;
	static const char script[] =
	        "mkdir /d /d/sub; printf hello >/d/f; : >/d/empty; printf 'a\\0b' >/d/nul; "
	        "ln -s f /d/link; seq 1 30000 >/d/big; printf x >'/d/a b?&=ü'; exit 0";
	static const struct {
		const char *path;
		size_t max;
		int code; /* enum err_code */
		const char *text;
		size_t len;
	} cases[] = {
	        {"/d/f", 100, 0, "hello", 5},
	        {"/d/f", 5, 0, "hello", 5},
	        {"/d/f", 4, ERR_LIMIT, NULL, 0},
	        {"/d/empty", 100, 0, "", 0},
	        {"/d/empty", 0, 0, "", 0},
	        {"/d/nul", 100, 0, "a", 3},
	        {"/d/a b?&=ü", 100, 0, "x", 1},
	        {"/d/sub/../f", 100, 0, "hello", 5},
	        {"/d/big", 1 << 20, 0, NULL, 168894},
	        {"/d/big", 168893, ERR_LIMIT, NULL, 0},
	        {"/d", 100, ERR_INVALID, NULL, 0},
	        {"/d/", 100, ERR_INVALID, NULL, 0},
	        {"/d/link", 100, ERR_INVALID, NULL, 0},
	        {"/d/none", 100, ERR_NOT_FOUND, NULL, 0},
	        {"/d/f/none", 100, ERR_NOT_FOUND, NULL, 0},
	        {"", 100, ERR_FAILED, NULL, 0},
	};
	cleanup_free char *id = test_docker_container(&t, "files", script, NULL, NULL, true);
	assert_int_equal(test_docker_wait(id), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *text = NULL;
		size_t len = 0;
		struct err err = {0};
		int rc = docker_read_file(id, cases[i].path, cases[i].max, &text, &len, &err);
		if (rc != (cases[i].code ? -1 : 0) || (int)err.code != cases[i].code || len != cases[i].len)
			fail_msg("%s gave %d, %zu bytes, %s", cases[i].path, rc, len, err.msg);
		if (cases[i].text)
			assert_string_equal(text, cases[i].text);
	}
	removed(DOCKER_CONTAINER, id);
	cleanup_free char *text = NULL;
	struct err err;
	assert_int_equal(docker_read_file(id, "/d/f", 100, &text, NULL, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(docker_read_file(box, "/etc/passwd", 100, &text, NULL, &err),
	                 0); /* of one that runs */
	assert_memory_equal(text, "root:", 5);
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
	assert_true(clock_mono_ms() - stop_ms < 300);
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

static int setup(void **state)
{
	(void)state;
	alarm(180);
	test_docker_open(&t);
	test_docker_image(&t);
	box = test_docker_container(&t, "box", "trap 'exit 0' TERM; while :; do sleep 600 & wait; done", NULL,
	                            NULL, true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	test_docker_close(&t);
	free(box);
	return test_docker_count(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(engine_says_who_it_is),
	        cmocka_unit_test(calls_fail_with_the_engines_words),
	        cmocka_unit_test(containers_are_listed_by_all_labels),
	        cmocka_unit_test(networks_and_volumes),
	        cmocka_unit_test(removing_what_is_gone),
	        cmocka_unit_test(logs_of_both_streams),
	        cmocka_unit_test(long_lines_are_one),
	        cmocka_unit_test(exit_codes_and_output),
	        cmocka_unit_test(exit_code_is_never_missed),
	        cmocka_unit_test(too_late_is_killed_with_all_it_started),
	        cmocka_unit_test(background_program_is_left_alone),
	        cmocka_unit_test(members_of_the_group_can_kill_too),
	        cmocka_unit_test(exec_needs_a_running_container),
	        cmocka_unit_test(files_of_containers),
	        cmocka_unit_test(events_come_in_order),
	        cmocka_unit_test(events_of_others_and_of_the_past_stay_away),
	        cmocka_unit_test(archives_that_are_none),
	};
	return cmocka_run_group_tests_name("compose/docker", tests, setup, teardown);
}
