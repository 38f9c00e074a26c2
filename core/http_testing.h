/* What the two tests of core/http_client share: a client, and a server played by hand on the same thread. */
#ifndef CORE_HTTP_TESTING_H
#define CORE_HTTP_TESTING_H

#include "core/http_client.h"
#include "core/mem.h"
#include "core/net.h"
#include "core/str.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
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
static struct loop_timer
        *tick; /* UV_RUN_ONCE fires timers and then waits for the next event, which may never come */

static inline void nothing(void *arg)
{
	(void)arg;
}

static inline int setup(void **state)
{
	struct err err;

	(void)state;
	alarm(60);
	n_done = 0;
	streamed = STR_INIT;
	if (loop_open(&loop, &err) || http_client_open(&client, loop, &err))
		return -1;
	tick = loop_timer_new(loop, nothing, NULL);
	loop_timer_set(tick, 10, 10);
	listener = net_listen("127.0.0.1", 0, &port, &err);
	snprintf(base, sizeof(base), "http://127.0.0.1:%d", port);
	return listener < 0;
}

static inline int teardown(void **state)
{
	(void)state;
	http_client_close(client);
	loop_timer_free(tick);
	loop_close(loop);
	close(listener);
	str_free(&streamed);
	return 0;
}

static inline void turn(void)
{
	uv_run(loop_uv(loop), UV_RUN_ONCE);
}

static inline void done(void *arg, const struct http_response *res, const struct err *err)
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

static inline struct http_call *start(struct http_request req, const char *path)
{
	cleanup_free char *url = mem_printf("%s%s", base, path);

	req.url = url;
	return http_start(client, &req, done, NULL);
}

/* Take one connection and read its request until ${until} stands in it. */
static inline int serve_one(struct str *request, const char *until)
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

static inline void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

#endif
