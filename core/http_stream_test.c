/* Data as it comes, and calls that block. */
#include "core/clock.h"
#include "core/http_testing.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/un.h>

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
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/http_stream_test.%d.sock", (int)getpid());
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
	        T(data_in_pieces),
	        T(data_until_it_is_enough),
	        T(fetch_blocks_and_knows_unix_sockets),
	        T(fetch_tells_whether_it_heard_a_line),
	        T(fetch_streams_until_told),
	        T(fetch_sends_a_file),
	};

	return cmocka_run_group_tests_name("core/http_stream", tests, NULL, NULL);
}
