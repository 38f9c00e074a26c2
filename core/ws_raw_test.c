/* What comes over the wire from clients that are not ours. */
#include "core/ws_testing.h"

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

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	        T(bad_frames_close_with_their_code),
	        T(fragments_and_pings_between_them),
	        T(what_is_not_an_upgrade),
	        T(slow_reader_is_closed),
	        T(silent_peer_is_pinged_then_dropped),
	        T(drain_ends_even_when_peers_do_not_answer),
	};

	return cmocka_run_group_tests_name("core/ws_raw", tests, NULL, NULL);
}
