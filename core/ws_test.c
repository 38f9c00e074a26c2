#include "core/clock.h"
#include "core/mem.h"
#include "core/net.h"
#include "core/str.h"
#include "core/ws.h"
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define CLIENTS 64
#define MESSAGES 20000

static struct loop *loop;
static struct ws_server *server;
static int opens, messages, closes, server_opens, server_closes, done_calls;
static int last_code, server_code;
static char last_reason[256], last_message[512], seen_accept[512], url[64];
static struct ws *server_side; /* the newest connection */
static bool echo = true;

static void turn(void)
{
	uv_run(loop_uv(loop), UV_RUN_ONCE);
}

/* ---- server side ---- */

static int on_accept(void *arg, const char *path, const char *query, const char *authorization,
                     const char *origin, const char *peer)
{
	(void)arg;
	snprintf(seen_accept, sizeof(seen_accept), "%s|%s|%s|%s|%s", path, query ? query : "-",
	         authorization ? authorization : "-", origin ? origin : "-", peer);
	return !strncmp(path, "/refuse/", 8) ? atoi(path + 8) : !strcmp(path, "/raw") ? 7 : 0;
}

static void server_open(void *arg, struct ws *ws)
{
	(void)arg;
	server_opens++;
	server_side = ws;
	if (echo)
		ws_send(ws, "welcome", 7);
}

static void server_message(void *arg, struct ws *ws, const char *text, size_t len)
{
	(void)arg;
	assert_int_equal(strlen(text), len);
	if (!strcmp(text, "close me"))
		ws_close(ws, 4001, "as you wish");
	else if (echo)
		ws_send(ws, text, len);
}

static void server_close(void *arg, struct ws *ws, int code, const char *reason)
{
	(void)arg, (void)ws, (void)reason;
	server_closes++;
	server_code = code;
}

static const struct ws_events server_events = {on_accept, server_open, server_message, server_close};

/* ---- client side ---- */

static void client_open(void *arg, struct ws *ws)
{
	(void)arg, (void)ws;
	opens++;
}

static void client_message(void *arg, struct ws *ws, const char *text, size_t len)
{
	(void)arg, (void)ws, (void)len;
	messages++;
	snprintf(last_message, sizeof(last_message), "%s", text);
}

static void client_close(void *arg, struct ws *ws, int code, const char *reason)
{
	(void)ws;
	closes++;
	last_code = code;
	snprintf(last_reason, sizeof(last_reason), "%s", reason);
	if (arg)
		++*(int *)arg;
}

static const struct ws_events client_events = {
        .open = client_open, .message = client_message, .close = client_close};

static void open_server(const struct ws_options *options)
{
	struct err err;

	if (ws_server_open(&server, loop, "127.0.0.1", 0, options, &server_events, NULL, &err))
		fail_msg("%s", err.msg);
	snprintf(url, sizeof(url), "ws://127.0.0.1:%d", ws_server_port(server));
}

static int setup(void **state)
{
	static const struct ws_options options = {.max_message = 100000, .max_queued = 1000000};
	struct err err;

	(void)state;
	alarm(60);
	opens = messages = closes = server_opens = server_closes = done_calls = last_code = server_code = 0;
	*last_reason = *last_message = *seen_accept = '\0';
	echo = true;
	if (loop_open(&loop, &err))
		return -1;
	open_server(&options);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	loop_close(loop);
	return 0;
}

static void server_done(void *arg)
{
	(void)arg;
	done_calls++;
}

static struct ws *dial(const char *path)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s", url, path);
	return ws_connect(loop, full, NULL, NULL, &client_events, NULL);
}

/* ---- raw clients ---- */

static int raw_connect(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
	                           .sin_port = htons((uint16_t)ws_server_port(server))};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void woken(uv_poll_t *poll, int status, int events)
{
	(void)poll, (void)status, (void)events;
}

/* Read until ${want} bytes, ${until} or the end came; returns what came, NUL-terminated. */
static size_t raw_read(int fd, char *buf, size_t size, size_t want, const char *until)
{
	uv_poll_t poll;
	size_t len = 0;

	*buf = '\0';
	uv_poll_init(loop_uv(loop), &poll, fd);
	uv_poll_start(&poll, UV_READABLE, woken);
	while (len < want && len < size - 1 && !(until && strstr(buf, until))) {
		ssize_t n = recv(fd, buf + len, size - 1 - len, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			break;
		if (n > 0)
			len += (size_t)n;
		else
			turn();
		buf[len] = '\0';
	}
	uv_close((uv_handle_t *)&poll, NULL);
	uv_run(loop_uv(loop), UV_RUN_NOWAIT);
	return len;
}

static const char upgrade[] =
        "GET /raw HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

static int raw_upgraded(void)
{
	int fd = raw_connect();
	char buf[4096];

	assert_int_equal(send(fd, upgrade, sizeof(upgrade) - 1, MSG_NOSIGNAL), sizeof(upgrade) - 1);
	raw_read(fd, buf, sizeof(buf), 4095, "welcome");
	assert_non_null(strstr(buf, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
	return fd;
}

/* A masked frame (the mask is zero, so the text stays readable). */
static void raw_frame(int fd, int first, const void *data, size_t len)
{
	unsigned char head[14] = {(unsigned char)first};
	size_t n = 2;

	if (len < 126) {
		head[1] = (unsigned char)(0x80 | len);
	} else {
		head[1] = 0x80 | 126;
		head[2] = (unsigned char)(len >> 8);
		head[3] = (unsigned char)len;
		n = 4;
	}
	assert_int_equal(send(fd, head, n + 4, MSG_NOSIGNAL), n + 4);
	if (len)
		assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), len);
}

/* ---- tests ---- */

static void echo_and_close_from_each_side(void **state)
{
	struct ws *ws = dial("/a?x=1&y=a%26b%20c");

	(void)state;
	while (messages < 1)
		turn();
	assert_string_equal(last_message, "welcome");
	assert_string_equal(seen_accept, "/a|x=1&y=a%26b%20c|-|-|127.0.0.1");
	assert_int_equal(ws_server_count(server), 1);
	assert_int_equal(ws_send(ws, "привет", 12), 0);
	while (messages < 2)
		turn();
	assert_string_equal(last_message, "привет");
	ws_send(ws, "last words", 10);
	ws_close(ws, 4000, "bye");
	assert_int_equal(ws_send(ws, "too late", 8), -1);
	while (closes < 1 || server_closes < 1)
		turn();
	assert_int_equal(last_code, 4000);
	assert_int_equal(server_code, 4000);
	ws = dial("");
	while (messages < 3)
		turn();
	ws_send(ws, "close me", 8);
	while (closes < 2 || server_closes < 2)
		turn();
	assert_int_equal(last_code, 4001);
	assert_string_equal(last_reason, "as you wish");
	assert_int_equal(opens, 2);
	assert_int_equal(ws_server_count(server), 0);
}

static void bearer_and_refusals(void **state)
{
	(void)state;
	ws_connect(loop, url, "s3cret", NULL, &client_events, NULL);
	while (opens < 1)
		turn();
	assert_non_null(strstr(seen_accept, "|Bearer s3cret|"));
	for (int i = 0; i < 2; i++) {
		dial(i ? "/refuse/403" : "/refuse/401");
		while (closes < i + 1)
			turn();
		assert_int_equal(last_code, i ? 403 : 401);
		assert_non_null(strstr(last_reason, i ? "HTTP 403" : "HTTP 401"));
	}
	assert_int_equal(server_opens, 1);
	assert_int_equal(server_closes, 0);
}

static void failures_give_one_close_each(void **state)
{
	struct err err;
	char at[64];
	int port, fd = net_listen("127.0.0.1", 0, &port, &err);

	(void)state;
	close(fd); /* a port where nothing listens */
	snprintf(at, sizeof(at), "ws://127.0.0.1:%d/x?token=s3cret", port);
	const char *const bad[] = {at,
	                           "http://127.0.0.1/",
	                           "ws://",
	                           "ws://user:pw@host/",
	                           "ws://127.0.0.1:99999/",
	                           "ws://127.0.0.1:0/",
	                           "ws://[::1/",
	                           "nonsense",
	                           "",
	                           "ws://255.255.255.255:9/", /* refused by our own kernel, at once */
	                           "ws://no-such-name.invalid/"};

	for (int i = 0; i < (int)ARRAY_LEN(bad); i++) {
		struct ws *ws = ws_connect(loop, bad[i], NULL, NULL, &client_events, NULL);

		assert_non_null(ws);
		assert_int_equal(closes, i);
		assert_int_equal(ws_send(ws, "x", 1), -1);
		while (closes == i)
			turn();
		assert_int_equal(last_code, 1006);
		assert_true(*last_reason);
		assert_null(strstr(last_reason, "s3cret"));
		if (i == 0)
			assert_non_null(strstr(last_reason, "refused"));
	}
	for (int i = 0; i < 20; i++)
		uv_run(loop_uv(loop), UV_RUN_NOWAIT);
	assert_int_equal(closes, ARRAY_LEN(bad));
	assert_int_equal(opens, 0);
}

static void second_address_is_tried(void **state)
{
	char at[64];

	(void)state; /* the server listens on 127.0.0.1 only, localhost is often ::1 first */
	snprintf(at, sizeof(at), "ws://localhost:%d/", ws_server_port(server));
	ws_connect(loop, at, NULL, NULL, &client_events, NULL);
	while (messages < 1 && !closes)
		turn();
	assert_int_equal(messages, 1);
}

/* A server that takes the connection and then answers nonsense, nothing, or hangs up. */
static void servers_that_are_none(void **state)
{
	static const char bad_accept[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
	                                 "Connection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n";
	static const char moved[] =
	        "HTTP/1.1 301 Moved\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
	static const char *const answers[] = {"", ok, "garbage\r\n\r\n", bad_accept, moved};
	struct err err;
	char at[64], buf[2048];
	int port, listener = net_listen("127.0.0.1", 0, &port, &err);

	(void)state;
	snprintf(at, sizeof(at), "ws://127.0.0.1:%d/", port);
	for (int i = 0; i < (int)ARRAY_LEN(answers); i++) {
		int fd;

		ws_connect(loop, at, NULL, NULL, &client_events, NULL);
		while ((fd = accept(listener, NULL, NULL)) < 0)
			uv_run(loop_uv(loop), UV_RUN_NOWAIT);
		raw_read(fd, buf, sizeof(buf), 2000, "\r\n\r\n");
		send(fd, answers[i], strlen(answers[i]), MSG_NOSIGNAL);
		close(fd);
		while (closes <= i)
			turn();
		assert_int_equal(closes, i + 1);
	}
	assert_int_equal(opens, 0);
	/* one that never answers, given up by us */
	struct ws *ws = ws_connect(loop, at, NULL, NULL, &client_events, NULL);
	int fd;
	while ((fd = accept(listener, NULL, NULL)) < 0)
		uv_run(loop_uv(loop), UV_RUN_NOWAIT);
	raw_read(fd, buf, sizeof(buf), 2000, "\r\n\r\n");
	ws_close(ws, 1000, "changed my mind");
	while (closes <= (int)ARRAY_LEN(answers))
		turn();
	assert_string_equal(last_reason, "changed my mind");
	close(fd);
	close(listener);
}

static void closing_before_the_connection_is_there(void **state)
{
	(void)state;
	for (int turns = 0; turns < 8; turns++) {
		struct ws *ws = dial("");
		int before = closes;

		for (int i = 0; i < turns; i++)
			uv_run(loop_uv(loop), UV_RUN_NOWAIT);
		ws_close(ws, 1000, "no");
		assert_int_equal(closes, before);
		while (closes == before)
			turn();
	}
	ws_close(ws_connect(loop, "ws://no-such-name.invalid/", NULL, NULL, &client_events, NULL), 1000,
	         "no");
	while (closes < 9)
		turn();
	assert_int_equal(closes, 9);
}

static void bad_frames_close_with_their_code(void **state)
{
	static char big[40000];
	static const struct {
		int first;
		const char *data;
		size_t len;
		int code;
	} cases[] = {
	        {0x82, "bin", 3, 1003},
	        {0x81, "\xff\xfe", 2, 1007},
	        {0x81, "\xed\xa0\x80", 3, 1007},
	        {0x81, NULL, 0, 1009}, /* three fragments of 40,000 */
	};

	(void)state;
	memset(big, 'a', sizeof(big));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unsigned char buf[256];
		int fd = raw_upgraded();

		if (cases[i].data) {
			raw_frame(fd, cases[i].first, cases[i].data, cases[i].len);
		} else {
			raw_frame(fd, 0x01, big, sizeof(big));
			raw_frame(fd, 0x00, big, sizeof(big));
			raw_frame(fd, 0x80, big, sizeof(big));
		}
		raw_read(fd, (char *)buf, sizeof(buf), 4, NULL);
		assert_int_equal(buf[0], 0x88);
		assert_int_equal(buf[2] << 8 | buf[3], cases[i].code);
		close(fd);
		while (server_closes < (int)i + 1)
			turn();
		assert_int_equal(server_code, cases[i].code);
	}
}

static void fragments_and_pings_between_them(void **state)
{
	char buf[256];
	int fd = raw_upgraded();
	static const char limit[] = "ce";

	assert_int_equal(ws_grant(server_side), 7);

	(void)state;
	raw_frame(fd, 0x01, "pie", 3);
	raw_frame(fd, 0x89, "?", 1);
	raw_frame(fd, 0x80, limit, 2);
	raw_read(fd, buf, sizeof(buf), 10, NULL);
	assert_true(!memcmp(buf, "\x8a\x01?\x81\x05piece", 10) || !memcmp(buf, "\x81\x05piece\x8a\x01?", 10));
	raw_frame(fd, 0x81, "", 0);
	assert_int_equal(raw_read(fd, buf, sizeof(buf), 2, NULL), 2);
	assert_memory_equal(buf, "\x81\x00", 2);
	/* a clean close, and one cut off in the middle of a frame */
	raw_frame(fd, 0x88, "\x03\xe8", 2);
	raw_read(fd, buf, sizeof(buf), 100, NULL);
	close(fd);
	while (server_closes < 1)
		turn();
	assert_int_equal(server_code, 1000);
	fd = raw_upgraded();
	send(fd, "\x81\xff\x00\x00", 4, MSG_NOSIGNAL);
	close(fd);
	while (server_closes < 2)
		turn();
	assert_int_equal(server_code, 1006);
}

static void what_is_not_an_upgrade(void **state)
{
	static const struct {
		const char *request, *answer;
	} cases[] = {
	        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 426 "},
	        {"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", "HTTP/1.1 426 "},
	        {"GET /refuse/401 HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
	         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
	         "HTTP/1.1 401 Unauthorized"},
	        {"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", NULL},
	        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", NULL},
	        {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", NULL},
	        {"garbage garbage\r\n\r\n", NULL},
	        {"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", NULL},
	};
	char buf[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int fd = raw_connect();

		send(fd, cases[i].request, strlen(cases[i].request), MSG_NOSIGNAL);
		if (!cases[i].answer)
			shutdown(fd, SHUT_WR);
		raw_read(fd, buf, sizeof(buf), sizeof(buf), NULL);
		if (cases[i].answer)
			assert_memory_equal(buf, cases[i].answer, strlen(cases[i].answer));
		else
			assert_null(strstr(buf, " 101 "));
		close(fd);
	}
	assert_int_equal(server_opens, 0);
}

static void many_echoes(void **state)
{
	static struct ws *clients[CLIENTS];
	char text[100];
	int sent = 0;

	(void)state;
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = dial("");
	while (messages < CLIENTS)
		turn();
	while (sent < MESSAGES) {
		for (int i = 0; i < CLIENTS && sent < MESSAGES; i++, sent++) {
			int n = snprintf(text, sizeof(text), "message %d of a test that counts them all",
			                 sent);
			assert_int_equal(ws_send(clients[i], text, (size_t)n), 0);
		}
		while (messages < CLIENTS + sent)
			turn();
	}
	assert_int_equal(messages, CLIENTS + MESSAGES);
	assert_int_equal(ws_server_count(server), CLIENTS);
	ws_server_close(server, 2000, server_done, NULL);
	while (!done_calls || closes < CLIENTS)
		turn();
	assert_int_equal(last_code, 1001);
	assert_int_equal(closes, CLIENTS);
}

static void large_messages_arrive_whole(void **state)
{
	cleanup_free char *big = mem_alloc(100001);
	struct ws *ws = ws_connect(loop, url, NULL, &(struct ws_options){.max_message = 100000},
	                           &client_events, NULL);

	(void)state;
	memset(big, 'x', 100000);
	while (messages < 1)
		turn();
	for (int i = 0; i < 5; i++)
		ws_send(ws, big, 100000);
	while (messages < 6)
		turn();
	assert_int_equal(strlen(last_message), 511);
	ws_send(ws, big, 100001);
	while (closes < 1)
		turn();
	assert_int_equal(last_code, 1009);
}

static void slow_reader_is_closed(void **state)
{
	cleanup_free char *big = mem_alloc(60000);
	int fd = raw_upgraded(), sent = 0;

	(void)state;
	memset(big, 'x', 60000);
	while (ws_send(server_side, big, 60000) == 0 && sent++ < 1000)
		uv_run(loop_uv(loop), UV_RUN_NOWAIT);
	assert_in_range(sent, 15, 900);
	while (server_closes < 1)
		turn();
	assert_int_equal(server_code, 1013);
	close(fd);
}

static void silent_peer_is_pinged_then_dropped(void **state)
{
	struct ws_options options = {.ping_s = 1};
	char buf[16];
	int64_t start = clock_mono_ms();

	(void)state;
	open_server(&options);
	/* a live peer answers the pings and stays */
	struct ws *live = ws_connect(loop, url, NULL, NULL, &client_events, NULL);
	int fd = raw_upgraded();
	assert_int_equal(raw_read(fd, buf, sizeof(buf), 2, NULL), 3);
	assert_memory_equal(buf, "\x89\x01", 2);
	while (server_closes < 1)
		turn();
	assert_in_range(clock_mono_ms() - start, 1900, 4000);
	assert_int_equal(server_code, 1006);
	assert_int_equal(ws_server_count(server), 1);
	assert_int_equal(ws_send(live, "still here", 10), 0);
	while (strcmp(last_message, "still here"))
		turn();
	close(fd);
}

static void drain_ends_even_when_peers_do_not_answer(void **state)
{
	int fd = raw_upgraded(), half = raw_connect();
	int64_t start = clock_mono_ms();

	(void)state;
	send(half, "GET / HT", 8, MSG_NOSIGNAL);
	uv_run(loop_uv(loop), UV_RUN_NOWAIT);
	ws_server_close(server, 300, server_done, NULL);
	assert_int_equal(done_calls, 0);
	while (!done_calls)
		turn();
	assert_in_range(clock_mono_ms() - start, 250, 3000);
	assert_int_equal(server_closes, 1);
	for (int i = 0; i < 10; i++)
		uv_run(loop_uv(loop), UV_RUN_NOWAIT);
	assert_int_equal(done_calls, 1);
	close(fd);
	close(half);
}

static void port_can_be_taken_once(void **state)
{
	struct ws_server *second = NULL;
	struct err err;
	int port = ws_server_port(server);

	(void)state;
	assert_int_equal(ws_server_open(&second, loop, "127.0.0.1", port, NULL, &server_events, NULL, &err),
	                 -1);
	assert_int_equal(err.code, ERR_EXISTS);
	ws_server_close(server, 0, server_done, NULL);
	/* the port is free at once, before the old server is done */
	assert_int_equal(ws_server_open(&second, loop, "127.0.0.1", port, NULL, &server_events, NULL, &err),
	                 0);
	while (!done_calls)
		turn();
}

/* Loops are closed in the middle of everything, again and again; leaks are for the sanitizer to find. */
static void fifty_lives_in_one_process(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		struct ws_server *first;
		int raw[3];

		loop_close(loop);
		setup(state);
		first = server;
		open_server(NULL);
		for (int k = 0; k < 5; k++)
			dial(k == 3 ? "/refuse/401" : "");
		ws_connect(loop, "ws://127.0.0.1:1/", NULL, NULL, &client_events, NULL);
		for (int k = 0; k < 3; k++)
			raw[k] = raw_connect();
		send(raw[0], upgrade, sizeof(upgrade) - 1, MSG_NOSIGNAL);
		for (int k = 0; k < i; k++)
			uv_run(loop_uv(loop), UV_RUN_NOWAIT);
		if (i % 3 == 0)
			ws_server_close(server, 100, server_done, NULL);
		if (i % 4 == 0)
			ws_server_close(first, 0, server_done, NULL);
		for (int k = 0; k < i % 5; k++)
			uv_run(loop_uv(loop), UV_RUN_NOWAIT);
		for (int k = 0; k < 3; k++)
			close(raw[k]);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	        T(echo_and_close_from_each_side),
	        T(bearer_and_refusals),
	        T(failures_give_one_close_each),
	        T(second_address_is_tried),
	        T(servers_that_are_none),
	        T(closing_before_the_connection_is_there),
	        T(bad_frames_close_with_their_code),
	        T(fragments_and_pings_between_them),
	        T(what_is_not_an_upgrade),
	        T(many_echoes),
	        T(large_messages_arrive_whole),
	        T(slow_reader_is_closed),
	        T(silent_peer_is_pinged_then_dropped),
	        T(drain_ends_even_when_peers_do_not_answer),
	        T(port_can_be_taken_once),
	        T(fifty_lives_in_one_process),
	};

	return cmocka_run_group_tests_name("core/ws", tests, NULL, NULL);
}
