#include "core/clock.h"
#include "core/http_client.h"
#include "core/mem.h"
#include "core/net.h"
#include "core/str.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static struct loop *loop;
static struct http_client *client;
static int n_done, listener, port;
static long status;
static struct err last_err;
static char body[4096], type[128], base[64];
static size_t body_len;
static int64_t retry_after;
static struct str streamed;
static struct http_call *other;
static int max_data;
static struct loop_timer
        *tick; /* UV_RUN_ONCE fires timers and then waits for the next event, which may never come */

static void nothing(void *arg)
{
	(void)arg;
}

static int setup(void **state)
{
	struct err err;

	(void)state;
	alarm(60);
	n_done = max_data = 0;
	other = NULL;
	streamed = STR_INIT;
	if (loop_open(&loop, &err) || http_client_open(&client, loop, &err))
		return -1;
	tick = loop_timer_new(loop, nothing, NULL);
	loop_timer_set(tick, 10, 10);
	listener = net_listen("127.0.0.1", 0, &port, &err);
	snprintf(base, sizeof(base), "http://127.0.0.1:%d", port);
	return listener < 0;
}

static int teardown(void **state)
{
	(void)state;
	http_client_close(client);
	loop_timer_free(tick);
	loop_close(loop);
	close(listener);
	str_free(&streamed);
	return 0;
}

static void turn(void)
{
	uv_run(loop_uv(loop), UV_RUN_ONCE);
}

static void done(void *arg, const struct http_response *res, const struct err *err)
{
	(void)arg;
	n_done++;
	assert_true(!res != !err);
	status = res ? res->status : -1;
	last_err = err ? *err : (struct err){0};
	if (!res)
		return;
	snprintf(body, sizeof(body), "%s", res->body);
	snprintf(type, sizeof(type), "%s", res->content_type);
	body_len = res->len;
	retry_after = res->retry_after_s;
}

static struct http_call *start(struct http_request req, const char *path)
{
	cleanup_free char *url = mem_printf("%s%s", base, path);

	req.url = url;
	return http_start(client, &req, done, NULL);
}

/* Take one connection and read its request to the end of the header and ${extra} bytes more. */
static int serve_one(struct str *request, const char *until)
{
	char buf[4096];
	int fd;

	while ((fd = accept(listener, NULL, NULL)) < 0)
		uv_run(loop_uv(loop), UV_RUN_NOWAIT);
	while (!strstr(str_text(request), until)) {
		ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n > 0)
			str_addn(request, buf, (size_t)n);
		else if (n == 0 || errno != EAGAIN)
			break;
		else
			uv_run(loop_uv(loop), UV_RUN_NOWAIT);
	}
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void requests_as_sent(void **state)
{
	static const char *const headers[] = {"X-One: 1", "X-Two: 2", NULL};
	static const struct http_part parts[] = {{.name = "chat_id", .data = "5", .len = 1},
	                                         {"document", "a.txt", "text/plain", "DATA", 4}};
	static const struct {
		struct http_request req;
		const char *until, *lines[6];
	} cases[] = {
	        {{0}, "\r\n\r\n", {"GET /p?q=1 HTTP/1.1\r\n", "User-Agent: codefoundry\r\n"}},
	        {{.headers = headers}, "\r\n\r\n", {"X-One: 1\r\n", "X-Two: 2\r\n"}},
	        {{.body = "{}", .body_len = 2, .content_type = "application/json"},
	         "{}",
	         {"POST /p?q=1 HTTP/1.1\r\n", "Content-Type: application/json\r\n", "Content-Length: 2\r\n"}},
	        {{.method = "POST"}, "\r\n\r\n", {"POST ", "Content-Length: 0\r\n"}},
	        {{.method = "DELETE"}, "\r\n\r\n", {"DELETE /p?q=1 "}},
	        {{.method = "PUT", .body = "x\0y", .body_len = 3},
	         "\r\n\r\n",
	         {"PUT ", "Content-Length: 3\r\n"}},
	        {{.parts = parts, .n_parts = 2},
	         "DATA",
	         {"POST ", "Content-Type: multipart/form-data; boundary=", "name=\"chat_id\"\r\n\r\n5\r\n",
	          "name=\"document\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nDATA"}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str request = STR_INIT;
		int fd;

		start(cases[i].req, "/p?q=1");
		fd = serve_one(&request, cases[i].until);
		for (size_t k = 0; k < 6 && cases[i].lines[k]; k++)
			if (!strstr(str_text(&request), cases[i].lines[k]))
				fail_msg("no %s in %s", cases[i].lines[k], str_text(&request));
		assert_null(strstr(str_text(&request), "Expect:"));
		say(fd, "HTTP/1.1 204 No\r\nConnection: close\r\n\r\n");
		close(fd);
		while (n_done <= (int)i)
			turn();
		assert_int_equal(status, 204);
		str_free(&request);
	}
}

static void answers(void **state)
{
	static const struct {
		const char *answer;
		long status; /* -1: an error */
		enum err_code code;
		const char *body, *type;
		int64_t retry_after;
	} cases[] = {
	        {"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nhi", 200, 0, "hi", "a/b",
	         -1},
	        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3\r\n yo\r\n0\r\n\r\n", 200,
	         0, "hi yo", "", -1},
	        {"HTTP/1.0 200 OK\r\n\r\nto the end", 200, 0, "to the end", "", -1},
	        {"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", 429, 0, "", "", 7},
	        {"HTTP/1.1 429 Slow\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n", 429, 0, "", "", 0},
	        {"HTTP/1.1 302 Go\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", 302, 0, "", "", -1},
	        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 Bad\r\nContent-Length: 1\r\n\r\nx", 500, 0, "x",
	         "", -1},
	        {"", -1, ERR_NET, NULL, NULL, 0},
	        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ncut", -1, ERR_NET, NULL, NULL, 0},
	        {"SSH-2.0-OpenSSH_9.2\r\n", -1, ERR_NET, NULL, NULL, 0},
	        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", -1, ERR_NET, NULL, NULL, 0},
	        {"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n", -1, ERR_LIMIT, NULL, NULL, 0},
	        {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", -1, ERR_LIMIT, NULL, NULL,
	         0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str request = STR_INIT;
		int fd;

		start((struct http_request){.max_body = 1000}, "/bot123:SECRET/getMe?token=SECRET");
		fd = serve_one(&request, "\r\n\r\n");
		assert_int_equal(n_done, i);
		say(fd, cases[i].answer);
		close(fd);
		while (n_done <= (int)i)
			turn();
		assert_int_equal(n_done, i + 1);
		assert_int_equal(status, cases[i].status);
		if (status < 0) {
			if (last_err.code != cases[i].code)
				fail_msg("%s gave %d %s", cases[i].answer, last_err.code, last_err.msg);
			assert_non_null(strstr(last_err.msg, base));
			assert_null(strstr(last_err.msg, "SECRET"));
		} else {
			assert_string_equal(body, cases[i].body);
			assert_string_equal(type, cases[i].type);
			assert_int_equal(retry_after, cases[i].retry_after);
		}
		str_free(&request);
	}
}

static void endless_answer_is_cut(void **state)
{
	struct str request = STR_INIT;
	char block[4000];
	int fd;

	(void)state;
	memset(block, 'x', sizeof(block));
	start((struct http_request){.max_body = 100000}, "/");
	fd = serve_one(&request, "\r\n\r\n");
	say(fd, "HTTP/1.1 200 OK\r\n\r\n");
	while (!n_done) {
		send(fd, block, sizeof(block), MSG_NOSIGNAL | MSG_DONTWAIT);
		uv_run(loop_uv(loop), UV_RUN_NOWAIT);
	}
	assert_int_equal(last_err.code, ERR_LIMIT);
	close(fd);
	str_free(&request);
}

static void time_limits(void **state)
{
	static const struct {
		struct http_request req;
		const char *answer, *message;
		int64_t least_ms, most_ms;
	} cases[] = {
	        {{.total_ms = 200}, "", "no complete answer", 190, 1500},
	        {{.total_ms = 20000, .idle_ms = 500},
	         "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
	         "nothing arrived",
	         900,
	         4000},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str request = STR_INIT;
		int64_t begun = clock_mono_ms();
		int fd;

		start(cases[i].req, "/bot123:SECRET/x");
		fd = serve_one(&request, "\r\n\r\n");
		say(fd, cases[i].answer);
		while (n_done <= (int)i)
			turn();
		assert_int_equal(last_err.code, ERR_TIMEOUT);
		assert_non_null(strstr(last_err.msg, cases[i].message));
		assert_null(strstr(last_err.msg, "SECRET"));
		assert_in_range(clock_mono_ms() - begun, cases[i].least_ms, cases[i].most_ms);
		close(fd);
		str_free(&request);
	}
}

static void no_connection(void **state)
{
	static const struct {
		const char *url;
		enum err_code code;
		const char *message;
	} cases[] = {
	        {"http://127.0.0.1:1/SECRET", ERR_NET, "http://127.0.0.1:1: Connection refused"},
	        {"http://user:SECRET@127.0.0.1:1/", ERR_NET, "http://127.0.0.1:1: Connection refused"},
	        {"http://no-such-name.invalid/SECRET", ERR_NET, "http://no-such-name.invalid: "},
	        {"ftp://127.0.0.1/SECRET", ERR_INVALID, "not an http"},
	        {"file:///etc/passwd", ERR_INVALID, "not an http"},
	        {"", ERR_INVALID, "not an http"},
	        {"http://", ERR_INVALID, "not an http"},
	        {"http://a b/SECRET", ERR_INVALID, ""},
	        {"http://127.0.0.1:99999/SECRET", ERR_INVALID, ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_request req = {.url = cases[i].url, .total_ms = 20000};
		struct http_reply reply = {0};
		struct err err = {0};

		http_start(client, &req, done, NULL);
		assert_int_equal(n_done, i); /* never from within http_start */
		while (n_done <= (int)i)
			turn();
		if (last_err.code != cases[i].code ||
		    strncmp(last_err.msg, cases[i].message, strlen(cases[i].message)))
			fail_msg("%s gave %d %s", cases[i].url, last_err.code, last_err.msg);
		assert_null(strstr(last_err.msg, "SECRET"));
		assert_int_equal(http_fetch(&req, &reply, &err), -1);
		assert_int_equal(err.code, cases[i].code);
		assert_null(reply.body);
	}
	/* 192.0.2.0/24 (RFC 5737) leads nowhere: either no route, or the limit of the connection */
	http_start(client, &(struct http_request){.url = "http://192.0.2.1/SECRET", .connect_ms = 150}, done,
	           NULL);
	while (n_done <= (int)ARRAY_LEN(cases))
		turn();
	assert_true(last_err.code == ERR_TIMEOUT || last_err.code == ERR_NET);
}

static void header_injection_is_refused(void **state)
{
	static const char *const bad[] = {"X: 1\r\nY: 2", NULL};

	(void)state;
	start((struct http_request){.headers = bad}, "/");
	start((struct http_request){.method = "GET / HTTP/1.1\r\nX: 1"}, "/");
	start((struct http_request){.content_type = "a\nb", .body = "x", .body_len = 1}, "/");
	while (n_done < 3)
		turn();
	assert_int_equal(last_err.code, ERR_INVALID);
	assert_int_equal(accept(listener, NULL, NULL), -1);
}

static void proxies_are_not_for_this_machine(void **state)
{
	struct str request = STR_INIT;

	(void)state;
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	start((struct http_request){0}, "/direct");
	int fd = serve_one(&request, "\r\n\r\n");
	assert_non_null(strstr(request.p, "GET /direct"));
	say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	while (!n_done)
		turn();
	assert_int_equal(status, 200);
	unsetenv("http_proxy");
	close(fd);
	str_free(&request);
}

/* ---- cancelling and closing, everywhere ---- */

static void cancel_from_outside(void **state)
{
	struct str request = STR_INIT;

	(void)state;
	http_cancel(start((struct http_request){0}, "/at-once"));
	http_cancel(http_start(client, &(struct http_request){.url = "nonsense"}, done, NULL));
	struct http_call *call = start((struct http_request){0}, "/later");
	int fd = serve_one(&request, "later");
	http_cancel(call);
	http_cancel(NULL);
	start((struct http_request){.total_ms = 100}, "/unanswered");
	while (!n_done)
		turn();
	assert_int_equal(n_done, 1);
	assert_int_equal(last_err.code, ERR_TIMEOUT);
	close(fd);
	str_free(&request);
}

static int other_fd; /* its answer comes before it is cancelled, but is not read yet */

static bool data_then_cancel(void *arg, const char *data, size_t len)
{
	max_data++;
	str_addn(&streamed, data, len);
	if (max_data == 1) {
		say(other_fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
		http_cancel(*(struct http_call **)arg);
		http_cancel(other);
		start((struct http_request){.total_ms = 300}, "/from-within");
	}
	return true;
}

static void cancel_and_start_from_within_data(void **state)
{
	struct str request = STR_INIT;
	struct http_call *self;
	cleanup_free char *url = mem_printf("%s/stream", base);
	struct http_request req = {.url = url, .on_data = data_then_cancel};

	(void)state;
	self = http_start(client, &req, done, &self);
	int first = serve_one(&request, "\r\n\r\n");
	other = start((struct http_request){0}, "/other");
	str_cut(&request, 0);
	int second = other_fd = serve_one(&request, "\r\n\r\n");
	say(first, "HTTP/1.1 200 OK\r\n\r\nabc");
	str_cut(&request, 0);
	int third = serve_one(&request, "\r\n\r\n");
	assert_non_null(strstr(request.p, "/from-within"));
	say(third, "HTTP/1.1 201 OK\r\nContent-Length: 0\r\n\r\n");
	while (n_done < 1)
		turn();
	assert_int_equal(status, 201);
	assert_int_equal(n_done, 1);
	assert_string_equal(str_text(&streamed), "abc");
	close(first);
	close(second);
	close(third);
	str_free(&request);
}

static bool take_data(void *arg, const char *data, size_t len)
{
	(void)arg;
	str_addn(&streamed, data, len);
	return streamed.len < 8;
}

static void data_in_pieces(void **state)
{
	struct str request = STR_INIT;

	(void)state;
	start((struct http_request){.on_data = take_data}, "/stream");
	int fd = serve_one(&request, "\r\n\r\n");
	say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc");
	while (streamed.len < 3)
		turn();
	say(fd, "def");
	while (!n_done)
		turn();
	assert_string_equal(str_text(&streamed), "abcdef");
	assert_int_equal(body_len, 0);
	assert_int_equal(status, 200);
	close(fd);
	str_free(&request);
}

static void data_until_it_is_enough(void **state)
{
	struct str request = STR_INIT;

	(void)state;
	start((struct http_request){.on_data = take_data}, "/stream");
	int fd = serve_one(&request, "\r\n\r\n");
	say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabcdefgh");
	while (!n_done)
		turn();
	assert_string_equal(str_text(&streamed), "abcdefgh");
	assert_int_equal(status, 200);
	close(fd);
	str_cut(&request, 0);
	/* what is no success is no data */
	start((struct http_request){.on_data = take_data}, "/stream");
	fd = serve_one(&request, "\r\n\r\n");
	say(fd, "HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\nnone");
	while (n_done < 2)
		turn();
	assert_int_equal(streamed.len, 8);
	assert_int_equal(status, 404);
	assert_string_equal(body, "none");
	close(fd);
	str_free(&request);
}

static bool close_in_data(void *arg, const char *data, size_t len)
{
	(void)arg, (void)data, (void)len;
	http_client_close(TAKE(client));
	return true;
}

static void close_in_done(void *arg, const struct http_response *res, const struct err *err)
{
	done(NULL, res, err);
	http_cancel(*(struct http_call **)arg); /* ourselves: nothing happens */
	http_client_close(TAKE(client));
}

static void closing_from_within(void **state)
{
	struct str request = STR_INIT;
	struct http_call *self;
	cleanup_free char *url = mem_printf("%s/x", base);
	struct err err;

	(void)state;
	start((struct http_request){0}, "/unanswered");
	start((struct http_request){.on_data = close_in_data}, "/stream");
	int first = serve_one(&request, "\r\n\r\n");
	str_cut(&request, 0);
	int second = serve_one(&request, "\r\n\r\n");
	say(first, "HTTP/1.1 200 OK\r\n\r\nabc");
	say(second, "HTTP/1.1 200 OK\r\n\r\nabc");
	while (client)
		turn();
	assert_int_equal(n_done, 0);
	close(first);
	close(second);
	assert_int_equal(http_client_open(&client, loop, &err), 0);
	start((struct http_request){0}, "/unanswered");
	self = http_start(client, &(struct http_request){.url = url}, close_in_done, &self);
	for (int i = 0; i < 2; i++) {
		str_cut(&request, 0);
		int fd = serve_one(&request, "\r\n\r\n");
		if (strstr(request.p, "/x "))
			say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
		close(fd);
	}
	while (client)
		turn();
	str_free(&request);
}

static void closing_with_everything_under_way(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		start((struct http_request){.body = "x", .body_len = 1}, "/");
	http_start(client, &(struct http_request){.url = "http://no-such-name.invalid/"}, done, NULL);
	http_start(client, &(struct http_request){.url = "nonsense"}, done, NULL);
	for (int i = 0; i < 3; i++)
		uv_run(loop_uv(loop), UV_RUN_NOWAIT);
	n_done = 0;
}

static void connections_are_kept(void **state)
{
	struct str request = STR_INIT;

	(void)state;
	start((struct http_request){0}, "/1");
	int fd = serve_one(&request, "\r\n\r\n");
	for (int i = 0; i < 5; i++) {
		char buf[1024];

		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
		while (n_done <= i)
			turn();
		start((struct http_request){0}, "/again");
		ssize_t n;
		while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) < 0)
			uv_run(loop_uv(loop), UV_RUN_NOWAIT);
		assert_true(n > 0);
	}
	/* the server hangs up instead of answering: curl asks again on a fresh connection */
	close(fd);
	str_cut(&request, 0);
	fd = serve_one(&request, "\r\n\r\n");
	say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	while (n_done < 6)
		turn();
	assert_int_equal(status, 200);
	close(fd);
	str_free(&request);
}

/* ---- blocking ---- */

static void *serve_thread(void *arg)
{
	static const char answer[] =
	        "HTTP/1.1 418 Tea\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\ntea";
	char buf[4096];
	int fd = accept(*(int *)arg, NULL, NULL);

	if (recv(fd, buf, sizeof(buf), 0) > 0)
		send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
	close(fd);
	return NULL;
}

static void fetch_blocks_and_knows_unix_sockets(void **state)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct http_reply reply = {0};
	pthread_t thread;
	struct err err;

	(void)state;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/http_client_test.%d.sock", (int)getpid());
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	listen(fd, 5);
	pthread_create(&thread, NULL, serve_thread, &fd);
	struct http_request req = {.url = "http://docker/_ping", .unix_socket = addr.sun_path};
	assert_int_equal(http_fetch(&req, &reply, &err), 0);
	pthread_join(thread, NULL);
	assert_int_equal(reply.status, 418);
	assert_string_equal(reply.body, "tea");
	assert_string_equal(reply.content_type, "text/plain");
	http_reply_free(&reply);
	close(fd);
	unlink(addr.sun_path);
	assert_int_equal(http_fetch(&req, &reply, &err), -1);
	assert_non_null(strstr(err.msg, addr.sun_path));
}

/* What port forwarders and dying programs do instead of answering, and what only looks like it. */
static const struct ending {
	const char *says;
	bool reset, heard;
} endings[] = {
        {"", false, false},
        {"", true, false},
        {"HTTP/1.1 2", false, false},
        {"220 ready\r\n", false, true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", false, true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", true, true},
};

static void *end_thread(void *arg)
{
	for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
		char buf[4096];
		int fd = accept(*(int *)arg, NULL, NULL);

		if (*endings[i].says && recv(fd, buf, sizeof(buf), 0) > 0)
			send(fd, endings[i].says, strlen(endings[i].says), MSG_NOSIGNAL);
		if (endings[i].reset)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
			           sizeof(struct linger));
		close(fd);
	}
	return NULL;
}

static void fetch_tells_whether_it_heard_a_line(void **state)
{
	struct http_request req = {.url = base, .total_ms = 5000};
	struct http_reply reply = {0};
	pthread_t thread;
	struct err err;

	(void)state;
	fcntl(listener, F_SETFL, 0);
	pthread_create(&thread, NULL, end_thread, &listener);
	for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
		assert_int_equal(http_fetch(&req, &reply, &err), -1);
		if (err.code != ERR_NET || reply.heard != endings[i].heard)
			fail_msg("ending %zu gave %d, %s", i, reply.heard, err.msg);
	}
	pthread_join(thread, NULL);
	req.url = "http://127.0.0.1:1/";
	assert_int_equal(http_fetch(&req, &reply, &err), -1);
	assert_false(reply.heard);
}

/* A server for one request: says ${say}, then waits until the other side has closed. */
struct scripted {
	const char *say;
	struct str request;
	size_t until; /* bytes of the request to read first; 0: one packet */
};

static void *scripted_thread(void *arg)
{
	struct scripted *s = arg;
	static char buf[65536];
	int fd;
	ssize_t n;

	while ((fd = accept(listener, NULL, NULL)) < 0)
		poll(&(struct pollfd){.fd = listener, .events = POLLIN}, 1, 1000);
	fcntl(fd, F_SETFL, 0);
	do {
		n = recv(fd, buf, sizeof(buf), 0);
		if (n > 0)
			str_addn(&s->request, buf, (size_t)n);
	} while (n > 0 && s->request.len < s->until);
	say(fd, s->say);
	while (recv(fd, buf, sizeof(buf), 0) > 0)
		continue;
	close(fd);
	return NULL;
}

static int64_t asked_ms, longest_ms;
static int n_asked;

static bool ask_five_times(void *arg)
{
	int64_t now = clock_mono_ms();

	assert_ptr_equal(arg, &n_asked);
	if (n_asked && now - asked_ms > longest_ms)
		longest_ms = now - asked_ms;
	asked_ms = now;
	return ++n_asked < 5;
}

static bool take_mine(void *arg, const char *data, size_t len)
{
	assert_ptr_equal(arg, &n_asked);
	return take_data(NULL, data, len);
}

static void fetch_streams_until_told(void **state)
{
	static const struct {
		const char *say, *data;
		int rc;
		long status;
		int asked_most;
	} cases[] = {
	        {"HTTP/1.1 200 OK\r\n\r\nabc", "abc", -1, 0, 5},            /* go_on says no */
	        {"HTTP/1.1 200 OK\r\n\r\nabcdefgh", "abcdefgh", 0, 200, 4}, /* on_data does */
	        {"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno", "", 0, 404, 4},
	        {"", "", -1, 0, 5},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct scripted s = {.say = cases[i].say, .request = STR_INIT};
		struct http_request req = {.url = base,
		                           .on_data = take_mine,
		                           .go_on = ask_five_times,
		                           .total_ms = HTTP_NO_LIMIT,
		                           .arg = &n_asked};
		struct http_reply reply = {0};
		struct err err = {0};
		pthread_t thread;

		str_cut(&streamed, 0);
		n_asked = 0;
		longest_ms = 0;
		pthread_create(&thread, NULL, scripted_thread, &s);
		assert_int_equal(http_fetch(&req, &reply, &err), cases[i].rc);
		pthread_join(thread, NULL);
		assert_int_equal(err.code, cases[i].rc ? ERR_CANCELLED : 0);
		assert_int_equal(reply.status, cases[i].status);
		assert_string_equal(str_text(&streamed), cases[i].data);
		assert_string_equal(reply.body ? reply.body : "", cases[i].status == 404 ? "no" : "");
		assert_true(n_asked <= cases[i].asked_most);
		assert_true(longest_ms <= HTTP_ASK_MS);
		http_reply_free(&reply);
		str_free(&s.request);
	}
}

static void fetch_sends_a_file(void **state)
{
	static char block[300000];
	struct scripted s = {.say = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	                     .request = STR_INIT,
	                     .until = sizeof(block)};
	cleanup_close int fd = memfd_create("body", MFD_CLOEXEC);
	struct http_reply reply = {0};
	struct err err = {0};
	pthread_t thread;

	(void)state;
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (char)('a' + i % 23);
	assert_int_equal(write(fd, block, sizeof(block)), sizeof(block)); /* its offset is at the end now */
	struct http_request req = {
	        .url = base, .method = "POST", .content_type = "application/x-tar", .body_fd = fd};
	pthread_create(&thread, NULL, scripted_thread, &s);
	int rc = http_fetch(&req, &reply, &err);
	pthread_join(thread, NULL);
	assert_int_equal(rc, 0);
	assert_int_equal(reply.status, 200);
	assert_memory_equal(s.request.p, "POST / HTTP/1.1\r\n", 17);
	assert_non_null(strstr(s.request.p, "Content-Length: 300000\r\n"));
	assert_non_null(strstr(s.request.p, "Content-Type: application/x-tar\r\n"));
	const char *data = strstr(s.request.p, "\r\n\r\n") + 4;
	assert_memory_equal(data, block, (size_t)(s.request.p + s.request.len - data));
	http_reply_free(&reply);
	str_free(&s.request);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	        T(requests_as_sent),
	        T(answers),
	        T(endless_answer_is_cut),
	        T(time_limits),
	        T(no_connection),
	        T(header_injection_is_refused),
	        T(proxies_are_not_for_this_machine),
	        T(cancel_from_outside),
	        T(cancel_and_start_from_within_data),
	        T(data_in_pieces),
	        T(data_until_it_is_enough),
	        T(closing_from_within),
	        T(closing_with_everything_under_way),
	        T(connections_are_kept),
	        T(fetch_blocks_and_knows_unix_sockets),
	        T(fetch_tells_whether_it_heard_a_line),
	        T(fetch_streams_until_told),
	        T(fetch_sends_a_file),
	};

	return cmocka_run_group_tests_name("core/http_client", tests, NULL, NULL);
}
