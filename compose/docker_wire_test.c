/* The Engine API against a scripted engine: what a real one says seldom or never. Its streams and archives
 * stand in docker_wire_stream_test.c. */
#include "compose/docker_wire_testing.h"
#include "core/clock.h"
#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- no engine ---- */

static void hosts(void **state)
{
	(void)state;
	static const struct {
		const char *host, *path, *says;
	} cases[] = {
	        {"unix:///run/x.sock", "/run/x.sock", NULL},
	        {"", "/var/run/docker.sock", NULL},
	        {NULL, "/var/run/docker.sock", NULL},
	        {"tcp://user:SECRET@1.2.3.4:2375", NULL, "DOCKER_HOST is tcp…"},
	        {"ssh://user@SECRET", NULL, "DOCKER_HOST is ssh…"},
	        {"unix://relative", NULL, "unset it"},
	        {"/var/run/docker.sock", NULL, "unset it"},
	        {"unix:///"
	         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	         "aaaaaaaa"
	         "aaaaaaaaaaaaaaaaaaaa",
	         NULL, "at most 107 bytes"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		if (cases[i].host)
			setenv("DOCKER_HOST", cases[i].host, 1);
		else
			unsetenv("DOCKER_HOST");
		const char *path = docker_socket(&err);
		if (cases[i].path) {
			assert_string_equal(path, cases[i].path);
			continue;
		}
		assert_null(path);
		assert_int_equal(err.code, ERR_ENGINE);
		assert_non_null(strstr(err.msg, cases[i].says));
		assert_null(strstr(err.msg, "SECRET"));
		assert_null(docker_info(&err));
		assert_int_equal(err.code, ERR_ENGINE);
		assert_true(docker_expected());
	}
}

static void nobody_is_there(void **state)
{
	(void)state;
	struct err err = {0};
	setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock", 1);
	assert_null(docker_info(&err));
	assert_int_equal(err.code, ERR_ENGINE);
	assert_non_null(strstr(err.msg, "/nonexistent/docker.sock"));
	assert_non_null(strstr(err.msg, "service docker start (or systemctl start docker)"));
	assert_non_null(strstr(err.msg, "ENGINE=process"));
	assert_int_equal(docker_events(0, "x", NULL, NULL, NULL, &err), -1);
	assert_int_equal(err.code, ERR_ENGINE);
	assert_null(docker_list(DOCKER_VOLUME, NULL, &err));
	assert_int_equal(err.code, ERR_ENGINE);
	/* a socket that is left over */
	cleanup_free char *host = mem_printf("unix://%s", engine.path);
	setenv("DOCKER_HOST", host, 1);
	shutdown(engine.listener, SHUT_RDWR);
	assert_null(docker_info(&err));
	assert_int_equal(err.code, ERR_ENGINE);
	assert_non_null(strstr(err.msg, "start it"));
}

static void socket_of_others(void **state)
{
	(void)state;
	if (getuid())
		skip();
	assert_int_equal(chmod(engine.dir, 0755) | chmod(engine.path, 0600), 0);
	pid_t pid = fork();
	if (!pid) {
		struct err err = {0};
		if (setgroups(0, NULL) || setgid(65534) || setuid(65534))
			_exit(9);
		cJSON *info = docker_info(&err);
		bool said = strstr(err.msg, "permission denied") && strstr(err.msg, "usermod -aG docker");
		_exit(!info && err.code == ERR_ENGINE && said ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void silence_has_an_end(void **state)
{
	(void)state;
	struct err err = {0};
	int64_t begun = clock_mono_ms();
	script(&(struct answer){NULL, 0, 0}, 1);
	assert_null(docker_info(&err));
	played();
	assert_int_equal(err.code, ERR_ENGINE);
	assert_non_null(strstr(err.msg, "does not answer"));
	assert_in_range(clock_mono_ms() - begun, 2900, 9000);
	/* it gives a sign of life and then says nothing */
	static const char ping[] = HEAD "OK";
	begun = clock_mono_ms();
	script((const struct answer[]){{ping, sizeof(ping) - 1, 0}, {NULL, 0, 0}}, 2);
	assert_null(docker_info(&err));
	played();
	assert_in_range(clock_mono_ms() - begun, 9900, 20000);
	assert_int_equal(docker_call("GET", "/info", NULL, 1, NULL, &(struct err){0}), -1);
}

/* ---- answers ---- */

static void full_disk_is_told_with_advice(void **state)
{
	(void)state;
	struct err err = {0};
	script_text(HEAD "{\"error\":\"write /layer.tar: no space left on device\"}");
	assert_int_equal(docker_load("/dev/null", 0, &err), -1);
	played();
	assert_int_equal(err.code, ERR_FAILED);
	assert_non_null(strstr(err.msg, "docker system df"));
	assert_non_null(strstr(err.msg, "/layer.tar: no space left"));
}

/* Who shows ten sessions waits for a hanging engine once, not ten times. */
static void patience_is_lost_once(void **state)
{
	(void)state;
	struct err err = {0};
	int64_t begun = clock_mono_ms();
	script(&(struct answer){NULL, 0, 0}, 1);
	docker_patience(200);
	for (int i = 0; i < 10; i++) {
		err_clear(&err);
		assert_null(docker_list(DOCKER_CONTAINER, (const char *const[]){"a=b", NULL}, &err));
		assert_int_equal(err.code, ERR_ENGINE);
		assert_non_null(strstr(err.msg, "does not answer"));
	}
	played();
	assert_in_range(clock_mono_ms() - begun, 190, 9 * 200);
	/* afterwards it is asked again */
	docker_patience(0);
	err_clear(&err);
	script_text(HEAD "[]");
	cleanup_json cJSON *list = docker_list(DOCKER_CONTAINER, (const char *const[]){"a=b", NULL}, &err);
	played();
	assert_non_null(list);
}

static void strange_answers(void **state)
{
	(void)state;
	static const struct {
		const char *answer;
		enum err_code code;
		const char *says;
	} cases[] = {
	        {"", ERR_ENGINE, "broke off"},
	        {"SSH-2.0-OpenSSH_9.2\r\n", ERR_ENGINE, "Unsupported protocol"},
	        {HEAD "{\"Id\":\"", ERR_ENGINE, "no JSON"},
	        {HEAD "", ERR_ENGINE, "no JSON"},
	        {HEAD "{} {}", ERR_ENGINE, "no JSON"},
	        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", ERR_ENGINE, "broke off"},
	        {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{}", ERR_LIMIT, "larger than"},
	        {"HTTP/1.1 404 No\r\n\r\n{\"message\":\"no such thing\"}", ERR_NOT_FOUND,
	         "Docker: no such thing"},
	        {"HTTP/1.1 409 No\r\n\r\n{\"message\":\"in use\"}", ERR_BUSY, "Docker: in use"},
	        {"HTTP/1.1 500 No\r\n\r\n{\"message\":\"bad\\u001b[31m\\nthing\"}", ERR_FAILED,
	         "Docker: bad [31m\nthing"},
	        {"HTTP/1.1 500 No\r\n\r\n{\"message\":5}", ERR_FAILED, "Docker: {\"message\":5}"},
	        {"HTTP/1.1 502 Bad\r\n\r\n<html>gateway</html>", ERR_FAILED, "<html>gateway"},
	        {"HTTP/1.1 503 Bad\r\n\r\n", ERR_FAILED, "Docker answered 503"},
	        {"HTTP/1.1 301 Moved\r\nLocation: /x\r\n\r\n", ERR_FAILED, "Docker answered 301"},
	        {"HTTP/1.1 400 Bad\r\n\r\n{\"message\":\"client version 1.41 is too new. Maximum supported "
	         "API version is 1.40\"}",
	         ERR_ENGINE, "Docker 20.10 or newer is needed"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		script_text(cases[i].answer);
		cleanup_json cJSON *j = docker_get("/x", &err);
		played();
		if (j || err.code != cases[i].code || !strstr(err.msg, cases[i].says))
			fail_msg("%s gave %d %s", cases[i].answer, err.code, err.msg);
		assert_string_equal(engine.requests[0], "GET /v1.41/x HTTP/1.1");
	}
	struct err err = {0};
	cJSON *reply = (cJSON *)&err;
	script_text("HTTP/1.1 304 Not Modified\r\n\r\n");
	assert_int_equal(docker_call("POST", "/containers/x/start", NULL, 0, &reply, &err), 0);
	played();
	assert_null(reply);
}

static void strange_lists(void **state)
{
	(void)state;
	static const struct {
		enum docker_kind kind;
		const char *answer;
		int n; /* -1: an error */
	} cases[] = {
	        {DOCKER_VOLUME, HEAD "{\"Volumes\":null,\"Warnings\":null}", 0},
	        {DOCKER_VOLUME, HEAD "{}", 0},
	        {DOCKER_VOLUME, HEAD "{\"Volumes\":{}}", -1},
	        {DOCKER_VOLUME, HEAD "{\"Volumes\":[{\"Name\":\"a\",\"Labels\":null},7]}", 2},
	        {DOCKER_NETWORK, HEAD "[]", 0},
	        {DOCKER_NETWORK, HEAD "{}", -1},
	        {DOCKER_NETWORK, HEAD "null", -1},
	        {DOCKER_CONTAINER, HEAD "[{},{\"Names\":null,\"Ports\":7,\"Labels\":\"x\"},null]", 3},
	        {DOCKER_CONTAINER, "HTTP/1.1 500 No\r\n\r\n{}", -1},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		script_text(cases[i].answer);
		cleanup_json cJSON *l = docker_list(cases[i].kind, NULL, &err);
		played();
		if ((l ? cJSON_GetArraySize(l) : -1) != cases[i].n)
			fail_msg("%s: %s", cases[i].answer, err.msg);
		for (const cJSON *o = l ? l->child : NULL; o; o = o->next)
			assert_true(json_text(o, "id") && json_text(o, "name") &&
			            cJSON_IsObject(json_at(o, "labels")));
	}
	/* the name of its own among those of links */
	script_text(HEAD "[{\"Id\":\"i\",\"Names\":[\"/other/db\",\"/mine\"],\"Labels\":{\"a\":\"b "
	                 "c\",\"d\":\"e\"}}]");
	cleanup_json cJSON *l =
	        docker_list(DOCKER_CONTAINER, (const char *const[]){"a=b c", NULL}, &(struct err){0});
	played();
	assert_string_equal(json_text(l, "0.name"), "mine");
	assert_string_equal(engine.requests[0], "GET /v1.41/containers/json?all=1&filters="
	                                        "%7B%22label%22%3A%5B%22a%3Db%20c%22%5D%7D HTTP/1.1");
}

/* Podman's filters let through too much, or nothing, by several labels; what is removed must have all of them. */
static void listed_by_all_labels(void **state)
{
	(void)state;
	static const char *const labels[] = {"a=1", "b", "c.d=x=y", NULL};
	static const char answer[] =
	        HEAD "[{\"Id\":\"1\",\"Labels\":{\"a\":\"1\",\"b\":\"2\",\"c.d\":\"x=y\"}},"
	             "{\"Id\":\"2\",\"Labels\":{\"a\":\"1\",\"b\":\"2\",\"c.d\":\"x\"}},"
	             "{\"Id\":\"3\",\"Labels\":{\"a\":\"1\",\"c.d\":\"x=y\"}},"
	             "{\"Id\":\"4\",\"Labels\":{\"a\":1,\"b\":\"2\",\"c.d\":\"x=y\"}},"
	             "{\"Id\":\"5\",\"Labels\":null},{\"Id\":\"6\"}]";
	script_text(answer);
	cleanup_json cJSON *l = docker_list(DOCKER_NETWORK, labels, &(struct err){0});
	played();
	assert_int_equal(cJSON_GetArraySize(l), 1);
	assert_string_equal(json_text(l, "0.id"), "1");
	assert_string_equal(
	        engine.requests[0],
	        "GET /v1.41/networks?filters=%7B%22label%22%3A%5B%22c.d%3Dx%3Dy%22%5D%7D HTTP/1.1");
}

#define LIBPOD "HTTP/1.1 200 OK\r\nServer: Libpod/4.3.1 (linux)\r\n\r\n"

/* Podman 4.3 takes a network from the containers that are in it when it is named by its id. */
static void networks_of_podman_go_by_name(void **state)
{
	(void)state;
	static const char
	        about[] = LIBPOD "{\"Name\":\"n_x\",\"Id\":\"abc\"}",
	        busy[] = "HTTP/1.1 500 No\r\nServer: Libpod/4.3.1 (linux)\r\n\r\n"
	                 "{\"cause\":\"network is being used\",\"message\":\"\\\"n_x\\\" has associated "
	                 "containers\",\"response\":500}",
	        other[] = LIBPOD "{\"Name\":\"n_x\",\"Id\":\"def\"}";
	struct err err = {0};
	script((const struct answer[]){{about, sizeof(about) - 1, 0}, {busy, sizeof(busy) - 1, 0}}, 2);
	assert_int_equal(docker_remove(DOCKER_NETWORK, "abc", &err), -1);
	played();
	assert_int_equal(err.code, ERR_BUSY);
	assert_non_null(strstr(err.msg, "Podman: \"n_x\" has"));
	assert_string_equal(engine.requests[1], "DELETE /v1.41/networks/n_x HTTP/1.1");
	assert_true(docker_is_podman());
	/* somebody made another one of that name */
	script_text(other);
	assert_int_equal(docker_remove(DOCKER_NETWORK, "abc", &err), 0);
	played();
}

static void the_engine_tells_its_version(void **state)
{
	(void)state;
	static const struct {
		const char *answer, *version, *name;
	} cases[] = {
	        {LIBPOD "OK", "4.3.1", "Podman"},
	        {"HTTP/1.1 200 OK\r\nServer: Docker/20.10.24+dfsg1 (linux)\r\n\r\nOK", "20.10.24+dfsg1",
	         "Docker"},
	        {HEAD "OK", "?", "Docker"},
	        {"HTTP/1.1 200 OK\r\nServer: x/\r\n\r\nOK", "", "Docker"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char version[32] = "untouched";
		script_text(cases[i].answer);
		assert_int_equal(docker_ping(1000, version, &(struct err){0}), 0);
		played();
		assert_string_equal(version, cases[i].version);
		assert_string_equal(docker_name(), cases[i].name);
	}
}

static void *ask_newer_engine(void *result)
{
	struct err err = {0};
	cJSON *j = docker_get("/x", &err);
	cJSON *again = docker_get("/y", &err);
	*(bool *)result = j && again;
	cJSON_Delete(j);
	cJSON_Delete(again);
	return NULL;
}

static void newer_engines_are_asked_in_their_version(void **state)
{
	(void)state;
	static const char refusal[] =
	        "HTTP/1.1 400 Bad\r\n\r\n{\"message\":\"client version 1.41 is too old. Minimum "
	        "supported API version is 1.44, please upgrade your client\"}",
	                  version[] = HEAD "{\"ApiVersion\":\"1.52\",\"MinAPIVersion\":\"1.44\"}",
	                  empty[] = HEAD "{}";
	bool well = false;
	pthread_t thread; /* what was agreed is per thread, and is not for the other tests */
	script((const struct answer[]){{refusal, sizeof(refusal) - 1, 0},
	                               {version, sizeof(version) - 1, 0},
	                               {empty, sizeof(empty) - 1, 0},
	                               {empty, sizeof(empty) - 1, 0}},
	       4);
	pthread_create(&thread, NULL, ask_newer_engine, &well);
	pthread_join(thread, NULL);
	played();
	assert_true(well);
	assert_string_equal(engine.requests[1], "GET /version HTTP/1.1");
	assert_string_equal(engine.requests[2], "GET /v1.44/x HTTP/1.1");
	assert_string_equal(engine.requests[3], "GET /v1.44/y HTTP/1.1");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	        T(hosts),
	        T(nobody_is_there),
	        T(socket_of_others),
	        T(silence_has_an_end),
	        T(patience_is_lost_once),
	        T(full_disk_is_told_with_advice),
	        T(strange_answers),
	        T(strange_lists),
	        T(listed_by_all_labels),
	        T(networks_of_podman_go_by_name),
	        T(the_engine_tells_its_version),
	        T(newer_engines_are_asked_in_their_version),
	};
	return cmocka_run_group_tests_name("compose/docker_wire", tests, NULL, NULL);
}
