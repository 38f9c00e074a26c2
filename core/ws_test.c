#include "core/ws_testing.h"

#define CLIENTS 64
#define MESSAGES 20000

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
	        T(many_echoes),
	        T(large_messages_arrive_whole),
	        T(port_can_be_taken_once),
	        T(fifty_lives_in_one_process),
	};

	return cmocka_run_group_tests_name("core/ws", tests, NULL, NULL);
}
