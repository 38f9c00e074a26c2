/* Calls on a loop: what is sent, what comes of the answers, limits, cancelling and closing. */
#include "core/clock.h"
#include "core/http_testing.h"
#include <stdlib.h>

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
	        {{.total_ms = 200}, "", "no complete answer", 190, 10000},
	        {{.total_ms = 20000, .idle_ms = 500},
	         "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
	         "nothing arrived",
	         900,
	         10000},
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

static struct http_call *other;
static int max_data;
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
	        T(closing_from_within),
	        T(closing_with_everything_under_way),
	        T(connections_are_kept),
	};

	return cmocka_run_group_tests_name("core/http_client", tests, NULL, NULL);
}
