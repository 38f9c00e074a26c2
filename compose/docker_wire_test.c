/* The Engine API against a scripted engine: what a real one says seldom or never. */
#include "compose/docker.h"
#include "compose/docker_frames.h"
#include "compose/test_docker.h"
#include "core/clock.h"
#include <grp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"

struct answer {
	const void *data; /* NULL: none, until the other side hangs up */
	size_t len;
	size_t piece; /* bytes at a time; 0: all at once */
};

static struct engine {
	char dir[40], path[64];
	int listener;
	pthread_t thread;
	struct answer answers[4];
	size_t n;
	char requests[4][200]; /* first lines */
} engine;

static void give(int fd, const struct answer *a)
{
	char buf[4096];
	const char *p = a->data;
	for (size_t left = a->data ? a->len : 0; left;) {
		size_t n = a->piece && a->piece < left ? a->piece : left;
		if (send(fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
			break;
		p += n;
		left -= n;
	}
	if (a->data)
		shutdown(fd, SHUT_WR);
	while (recv(fd, buf, sizeof(buf), 0) > 0)
		continue;
}

static void *serve(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < engine.n; i++) {
		char buf[4096];
		int fd = accept(engine.listener, NULL, NULL);
		ssize_t n = recv(fd, buf, sizeof(buf) - 1, 0);
		if (n <= 0) { /* only looked whether somebody is there */
			close(fd);
			i--;
			continue;
		}
		buf[n] = '\0';
		snprintf(engine.requests[i], sizeof(engine.requests[i]), "%.*s", (int)strcspn(buf, "\r"),
		         buf);
		give(fd, &engine.answers[i]);
		close(fd);
	}
	return NULL;
}

/* The engine gives ${n} answers, one connection each. */
static void script(const struct answer *answers, size_t n)
{
	memcpy(engine.answers, answers, n * sizeof(*answers));
	engine.n = n;
	pthread_create(&engine.thread, NULL, serve, NULL);
}

static void script_text(const char *text)
{
	script(&(struct answer){text, strlen(text), 0}, 1);
}

static void played(void)
{
	pthread_join(engine.thread, NULL);
}

static int setup(void **state)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	(void)state;
	alarm(60);
	snprintf(engine.dir, sizeof(engine.dir), "/tmp/codefoundry-test.XXXXXX");
	if (!mkdtemp(engine.dir))
		return -1;
	snprintf(engine.path, sizeof(engine.path), "%s/sock", engine.dir);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", engine.path);
	engine.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(engine.listener, (struct sockaddr *)&addr, sizeof(addr)) || listen(engine.listener, 8))
		return -1;
	cleanup_free char *host = mem_printf("unix://%s", engine.path);
	return setenv("DOCKER_HOST", host, 1);
}

static int teardown(void **state)
{
	struct err err;
	(void)state;
	close(engine.listener);
	unsetenv("DOCKER_HOST");
	return tree_remove(engine.dir, &err);
}

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
	assert_in_range(clock_mono_ms() - begun, 2900, 3300);
	/* it knows its version and then says nothing */
	static const char version[] = HEAD "{\"ApiVersion\":\"1.41\"}";
	begun = clock_mono_ms();
	script((const struct answer[]){{version, sizeof(version) - 1, 0}, {NULL, 0, 0}}, 2);
	assert_null(docker_info(&err));
	played();
	assert_in_range(clock_mono_ms() - begun, 2900, 3300);
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
	assert_in_range(clock_mono_ms() - begun, 190, 600);
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
	script_text(HEAD "[{\"Id\":\"i\",\"Names\":[\"/other/db\",\"/mine\"]}]");
	cleanup_json cJSON *l =
	        docker_list(DOCKER_CONTAINER, (const char *const[]){"a=b c", NULL}, &(struct err){0});
	played();
	assert_string_equal(json_text(l, "0.name"), "mine");
	assert_string_equal(engine.requests[0], "GET /v1.41/containers/json?all=1&filters="
	                                        "%7B%22label%22%3A%5B%22a%3Db%20c%22%5D%7D HTTP/1.1");
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

/* ---- frames and logs ---- */

static void take_frame(void *arg, int stream, const char *data, size_t len, bool first)
{
	struct str *out = arg;
	if (first)
		str_addf(out, "%d:", stream);
	str_addn(out, data, len);
}

static void frames_in_pieces(void **state)
{
	(void)state;
	static const char wire[] =
	        "\1\0\0\0\0\0\0\3abc\2\0\0\0\0\0\0\0\2\0\0\0\0\0\0\1d\3\0\0\0\0\0\0\2ef\1\0\0\0\0\0\0\1g";
	for (size_t piece = 1; piece < sizeof(wire); piece++) {
		struct str out = STR_INIT;
		struct docker_frames f = {.take = take_frame, .arg = &out};
		for (size_t at = 0; at < sizeof(wire) - 1; at += piece) {
			size_t n = sizeof(wire) - 1 - at;
			assert_int_equal(docker_frames_feed(&f, wire + at, n < piece ? n : piece), 0);
		}
		assert_string_equal(str_text(&out), "1:abc2:d2:ef1:g");
		str_free(&out);
	}
	static const char *const bad[] = {"\4\0\0\0\0\0\0\1", "\1\1\0\0\0\0\0\1", "HTTP/1.1",
	                                  "\1\0\0x\0\0\0\1"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct docker_frames f = {.take = take_frame};
		assert_int_equal(docker_frames_feed(&f, bad[i], 8), -1);
	}
}

#define FRAME(stream, len, text) stream "\0\0\0\0\0\0" len text

static void logs_as_sent(void **state)
{
	(void)state;
	static const char frames[] = HEAD "{\"Config\":{\"Tty\":false}}",
	                  tty[] = HEAD "{\"Config\":{\"Tty\":true}}";
	static const char framed[] = "HTTP/1.1 200 OK\r\n\r\n" FRAME("\1", "\7", "T1 one\n")
	        FRAME("\1", "\6", "T2 par") FRAME("\2", "\x9", "T3 err\r\n\n") FRAME("\1", "\x8", "T4 tial\n")
	                FRAME("\2", "\6", "T5 a\0\xff");
	static const char raw[] = "HTTP/1.1 200 OK\r\n\r\nT1 one\r\n\r\nT2 two";
	static const char garbled[] = "HTTP/1.1 200 OK\r\n\r\nno frames at all";
	static const struct {
		struct answer info, log;
		int n;
		const char *lines;
	} cases[] = {
	        {{frames, sizeof(frames) - 1, 1},
	         {framed, sizeof(framed) - 1, 1},
	         9,
	         "[\"T1 one\",\"T3 err\",\"\",\"T2 partial\",\"T5 a??\"]"},
	        {{frames, sizeof(frames) - 1, 0},
	         {framed, sizeof(framed) - 1, 7},
	         2,
	         "[\"T2 partial\",\"T5 a??\"]"},
	        {{tty, sizeof(tty) - 1, 0}, {raw, sizeof(raw) - 1, 1}, 9, "[\"T1 one\",\"\",\"T2 two\"]"},
	        {{frames, sizeof(frames) - 1, 0}, {garbled, sizeof(garbled) - 1, 0}, 9, NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		script((const struct answer[]){cases[i].info, cases[i].log}, 2);
		cleanup_json cJSON *l = docker_logs("c", cases[i].n, true, &err);
		played();
		cleanup_free char *text = l ? json_print(l) : NULL;
		if (!cases[i].lines)
			assert_int_equal(err.code, ERR_ENGINE);
		else if (!text || strcmp(text, cases[i].lines))
			fail_msg("%s, not %s", text ? text : err.msg, cases[i].lines);
	}
}

/* ---- events ---- */

static bool note(void *arg, const cJSON *event)
{
	str_addf(arg, "%s,", json_text_or(event, "Action", "?"));
	return strcmp(json_text_or(event, "Action", ""), "stop") != 0;
}

static void events_as_sent(void **state)
{
	(void)state;
	static const char good[] =
	        "HTTP/1.1 200 "
	        "OK\r\n\r\n{\"Action\":\"a\"}\n\n{\"Action\":\"b\"}\n{\"Action\":\"stop\"}\n{}\n",
	                  ended[] = "HTTP/1.1 200 OK\r\n\r\n{\"Action\":\"a\"}\n{\"Action\":\"b",
	                  garbage[] =
	                          "HTTP/1.1 200 OK\r\n\r\n{\"Action\":\"a\"}\nnothing\n{\"Action\":\"b\"}\n",
	                  refused[] = "HTTP/1.1 500 No\r\n\r\n{\"message\":\"no events\"}";
	static const struct {
		const char *wire;
		int rc;
		const char *actions, *says;
	} cases[] = {{good, 0, "a,b,stop,", ""},
	             {ended, -1, "a,", "ended the stream"},
	             {garbage, -1, "a,", "no event"},
	             {refused, -1, "", "no events"}};
	for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		size_t c = i / 2;
		struct str seen = STR_INIT;
		struct err err = {0};
		script(&(struct answer){cases[c].wire, strlen(cases[c].wire), i % 2}, 1);
		int rc = docker_events(1700000000042, "a=b", note, NULL, &seen, &err);
		played();
		if (rc != cases[c].rc || strcmp(str_text(&seen), cases[c].actions) ||
		    !strstr(err.msg, cases[c].says))
			fail_msg("%zu: %d %s %s", c, rc, str_text(&seen), err.msg);
		assert_int_equal(err.code, rc ? ERR_ENGINE : ERR_NONE);
		assert_string_equal(engine.requests[0],
		                    "GET /v1.41/events?since=1700000000.042000000&filters="
		                    "%7B%22label%22%3A%5B%22a%3Db%22%5D%7D HTTP/1.1");
		str_free(&seen);
	}
}

/* ---- archives ---- */

#define SIZE_AT 124
#define TYPE_AT 156

/* Change ${field} of the header that begins at ${at} and make its checksum fit again. */
static void patch(struct str *tar, size_t at, size_t field, const void *value, size_t len)
{
	unsigned sum = 0;
	memcpy(tar->p + at + field, value, len);
	memset(tar->p + at + 148, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		sum += (unsigned char)tar->p[at + i];
	snprintf(tar->p + at + 148, 8, "%06o", sum);
}

/* Send what follows the head in pieces of 1 byte to all at once, and read file f of it. */
static void reads(struct str *wire, enum err_code code, const char *expected)
{
	static const size_t pieces[] = {0, 1, 511, 700};
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		cleanup_free char *text = NULL;
		size_t len = 0;
		struct err err = {0};
		script(&(struct answer){wire->p, wire->len, pieces[i]}, 1);
		int rc = docker_read_file("c", "/f", 1000, &text, &len, &err);
		played();
		if (err.code != code || rc != (code ? -1 : 0))
			fail_msg("gave %d %s", err.code, err.msg);
		if (expected)
			assert_string_equal(text, expected);
	}
	str_free(wire);
}

static struct str begin_tar(void)
{
	struct str s = STR_INIT;
	str_add(&s, "HTTP/1.1 200 OK\r\n\r\n");
	return s;
}

#define AT strlen("HTTP/1.1 200 OK\r\n\r\n")

static void extended(struct str *tar, char type, const char *records)
{
	size_t at = tar->len;
	test_docker_tar(tar, "PaxHeaders/f", NULL, records, strlen(records));
	patch(tar, at, TYPE_AT, &type, 1);
}

static void archives_with_extended_headers(void **state)
{
	(void)state;
	static const struct {
		char type;
		const char *records;
		enum err_code code;
		const char *text;
	} cases[] = {
	        {'x', "", 0, "hello"},
	        {'x', "9 size=3\n", 0, "hel"},
	        {'x', "11 path=/a\n9 size=2\n", 0, "he"},
	        {'g', "9 size=3\n", 0, "hello"}, /* of the whole archive: not for us */
	        {'L', "a long name", 0, "hello"},
	        {'x', "13 size=99999\n", ERR_ENGINE, NULL},
	        {'x', "14 size=99999\n", ERR_LIMIT, NULL},
	        {'x', "11 size=-1\n", ERR_ENGINE, NULL},
	        {'x', "10 size=-1\n", ERR_ENGINE, NULL},
	        {'x', "9 size=x\n", ERR_ENGINE, NULL},
	        {'x', "99999999999999999999 size=1\n", ERR_ENGINE, NULL},
	        {'x', "0 size=1\n", ERR_ENGINE, NULL},
	        {'x', "1 size=1\n", ERR_ENGINE, NULL},
	        {'x', "2 \n", ERR_ENGINE, NULL},
	        {'x', "9999 size=1\n", ERR_ENGINE, NULL},
	        {'x', "size=1\n", ERR_ENGINE, NULL},
	        {'x', "9", ERR_ENGINE, NULL},
	        {'x', "30 size=9223372036854775808888\n", ERR_ENGINE, NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str tar = begin_tar();
		extended(&tar, cases[i].type, cases[i].records);
		test_docker_tar(&tar, "f", NULL, "hello", 5);
		test_docker_tar_end(&tar);
		reads(&tar, cases[i].code, cases[i].text);
	}
	struct str tar = begin_tar();
	for (int i = 0; i < 20; i++)
		extended(&tar, 'x', "10 mode=7\n");
	test_docker_tar(&tar, "f", NULL, "hello", 5);
	reads(&tar, ERR_ENGINE, NULL);
}

static void archives_with_bad_headers(void **state)
{
	(void)state;
	static const struct {
		size_t field;
		const char *value;
		size_t len;
		enum err_code code;
		const char *text;
	} cases[] = {
	        {TYPE_AT, "0", 1, 0, "hello"},
	        {TYPE_AT, "\0", 1, 0, "hello"},
	        {TYPE_AT, "1", 1, ERR_INVALID, NULL},
	        {TYPE_AT, "5", 1, ERR_INVALID, NULL},
	        {TYPE_AT, "6", 1, ERR_INVALID, NULL},
	        {TYPE_AT, "S", 1, ERR_INVALID, NULL},
	        {SIZE_AT, "        3 \0", 11, 0, "hel"},
	        {SIZE_AT, "777777777777", 12, ERR_LIMIT, NULL},
	        {SIZE_AT, "00000000009", 12, ERR_ENGINE, NULL},
	        {SIZE_AT, "-0000000001", 12, ERR_ENGINE, NULL},
	        {SIZE_AT, "\x80\0\0\0\0\0\0\0\0\0\0\4", 12, 0, "hell"},
	        {SIZE_AT, "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12, ERR_LIMIT, NULL},
	        {SIZE_AT, "\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 12, ERR_ENGINE, NULL},
	        {SIZE_AT, "\x80\0\0\1\0\0\0\0\0\0\0\4", 12, ERR_ENGINE, NULL}, /* 2^64 + 4 */
	        {SIZE_AT, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12, ERR_ENGINE, NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str tar = begin_tar();
		test_docker_tar(&tar, "f", NULL, "hello", 5);
		patch(&tar, AT, cases[i].field, cases[i].value, cases[i].len);
		reads(&tar, cases[i].code, cases[i].text);
	}
	struct str none = begin_tar(), cut = begin_tar(), empty = begin_tar(), sum = begin_tar();
	reads(&none, ERR_ENGINE, NULL);
	test_docker_tar_end(&empty);
	reads(&empty, ERR_ENGINE, NULL);
	test_docker_tar(&cut, "f", NULL, "hello", 5);
	str_cut(&cut, AT + 512 + 4);
	reads(&cut, ERR_ENGINE, NULL);
	test_docker_tar(&sum, "f", NULL, "hello", 5);
	sum.p[AT + SIZE_AT + 10] = '3';
	reads(&sum, ERR_ENGINE, NULL);
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
	        T(newer_engines_are_asked_in_their_version),
	        T(frames_in_pieces),
	        T(logs_as_sent),
	        T(events_as_sent),
	        T(archives_with_extended_headers),
	        T(archives_with_bad_headers),
	};
	return cmocka_run_group_tests_name("compose/docker_wire", tests, NULL, NULL);
}
