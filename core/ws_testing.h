/* What the two tests of core/ws share: an echo server, a client that counts, and raw sockets. */
#ifndef CORE_WS_TESTING_H
#define CORE_WS_TESTING_H

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

static struct loop *loop;
static struct ws_server *server;
static int opens, messages, closes, server_opens, server_closes, done_calls;
static int last_code, server_code;
static char last_reason[256], last_message[512], seen_accept[512], url[64];
static struct ws *server_side; /* the newest connection */
static bool echo = true;

static inline void turn(void)
{
	uv_run(loop_uv(loop), UV_RUN_ONCE);
}

/* ---- server side ---- */

static inline int on_accept(void *arg, const char *path, const char *query, const char *authorization,
                            const char *origin, const char *peer)
{
	(void)arg;
	snprintf(seen_accept, sizeof(seen_accept), "%s|%s|%s|%s|%s", path, query ? query : "-",
	         authorization ? authorization : "-", origin ? origin : "-", peer);
	return !strncmp(path, "/refuse/", 8) ? atoi(path + 8) : !strcmp(path, "/raw") ? 7 : 0;
}

static inline void server_open(void *arg, struct ws *ws)
{
	(void)arg;
	server_opens++;
	server_side = ws;
	if (echo)
		ws_send(ws, "welcome", 7);
}

static inline void server_message(void *arg, struct ws *ws, const char *text, size_t len)
{
	(void)arg;
	assert_int_equal(strlen(text), len);
	if (!strcmp(text, "close me"))
		ws_close(ws, 4001, "as you wish");
	else if (echo)
		ws_send(ws, text, len);
}

static inline void server_close(void *arg, struct ws *ws, int code, const char *reason)
{
	(void)arg, (void)ws, (void)reason;
	server_closes++;
	server_code = code;
}

static const struct ws_events server_events = {on_accept, server_open, server_message, server_close};

/* ---- client side ---- */

static inline void client_open(void *arg, struct ws *ws)
{
	(void)arg, (void)ws;
	opens++;
}

static inline void client_message(void *arg, struct ws *ws, const char *text, size_t len)
{
	(void)arg, (void)ws, (void)len;
	messages++;
	snprintf(last_message, sizeof(last_message), "%s", text);
}

static inline void client_close(void *arg, struct ws *ws, int code, const char *reason)
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

static inline void open_server(const struct ws_options *options)
{
	struct err err;

	if (ws_server_open(&server, loop, "127.0.0.1", 0, options, &server_events, NULL, &err))
		fail_msg("%s", err.msg);
	snprintf(url, sizeof(url), "ws://127.0.0.1:%d", ws_server_port(server));
}

static inline int setup(void **state)
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

static inline int teardown(void **state)
{
	(void)state;
	loop_close(loop);
	return 0;
}

static inline void server_done(void *arg)
{
	(void)arg;
	done_calls++;
}

static inline struct ws *dial(const char *path)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s", url, path);
	return ws_connect(loop, full, NULL, NULL, &client_events, NULL);
}

/* ---- raw clients ---- */

static inline int raw_connect(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
	                           .sin_port = htons((uint16_t)ws_server_port(server))};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static inline void woken(uv_poll_t *poll, int status, int events)
{
	(void)poll, (void)status, (void)events;
}

/* Read until ${want} bytes, ${until} or the end came; returns what came, NUL-terminated. */
static inline size_t raw_read(int fd, char *buf, size_t size, size_t want, const char *until)
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

static inline int raw_upgraded(void)
{
	int fd = raw_connect();
	char buf[4096];

	assert_int_equal(send(fd, upgrade, sizeof(upgrade) - 1, MSG_NOSIGNAL), sizeof(upgrade) - 1);
	raw_read(fd, buf, sizeof(buf), 4095, "welcome");
	assert_non_null(strstr(buf, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
	return fd;
}

/* A masked frame (the mask is zero, so the text stays readable). */
static inline void raw_frame(int fd, int first, const void *data, size_t len)
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

#endif
