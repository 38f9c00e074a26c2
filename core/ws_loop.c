/* libwebsockets inside our libuv loop. Its odd rules: it looks at its own timers only after I/O of its own, its death is
 * asynchronous and takes a second call, and a client connection that is refused leaves a libuv handle behind. */
#include "core/ws_private.h"

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include <stdlib.h>
#include <sys/resource.h>

#define HEARTBEAT_MS 500
/* lws clears two tables as long as RLIMIT_NOFILE, which is a million in many containers: 16 MB for nothing. */
#define MAX_DESCRIPTORS 16384
#define SPARE_DESCRIPTORS 64

static const lws_retry_bo_t no_pings_of_its_own;

static const struct lws_protocols protocols[] = {
        {.name = "codefoundry", .callback = ws_callback, .rx_buffer_size = 2048},
        {0},
};

static void take_log(int level, const char *line)
{
	static int64_t last_ms;
	int64_t now = clock_mono_ms();
	int len = (int)strcspn(line, "\n");

	/* Its errors are mostly other people's garbage: not more than one a second may reach the log. */
	if (level == LLL_ERR && now - last_ms >= 1000) {
		last_ms = now;
		log_warn("websocket: %.*s", len, line);
	} else {
		log_debug("websocket: %.*s", len, line);
	}
}

/* ---- birth ---- */

static struct lws_context *make_context(struct loop *loop, size_t *limit)
{
	void *loops[1] = {loop_uv(loop)};
	struct lws_context_creation_info info = {
	        .port = CONTEXT_PORT_NO_LISTEN,
	        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
	                   LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
	        .foreign_loops = loops,
	        .timeout_secs = WS_CONNECT_MS / 1000,
	        .max_http_header_data = 8192,
	        .max_http_header_pool = 256,
	        .retry_and_idle_policy = &no_pings_of_its_own,
	};
	struct rlimit before = {0}, during;
	struct lws_context *context;

	getrlimit(RLIMIT_NOFILE, &before);
	during = before;
	if (during.rlim_cur > MAX_DESCRIPTORS)
		during.rlim_cur = MAX_DESCRIPTORS;
	*limit = (size_t)during.rlim_cur;
	setrlimit(RLIMIT_NOFILE, &during);
	context = lws_create_context(&info);
	setrlimit(RLIMIT_NOFILE, &before);
	return context;
}

static struct lws_vhost *make_vhost(struct lws_context *context, const char *name, int port, uint64_t options)
{
	struct lws_context_creation_info info = {
	        .vhost_name = name,
	        .port = port,
	        .options = options,
	        .protocols = protocols,
	        .timeout_secs = WS_CONNECT_MS / 1000,
	        .connect_timeout_secs = WS_CONNECT_MS / 1000,
	        .retry_and_idle_policy = &no_pings_of_its_own,
	};

	return lws_create_vhost(context, &info);
}

struct lws_vhost *ws_loop_tls(struct ws_loop *wl)
{
	if (!wl->tls)
		wl->tls = make_vhost(wl->context, "tls", CONTEXT_PORT_NO_LISTEN,
		                     LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT);
	return wl->tls;
}

/* ---- life ---- */

static void check(struct ws *ws, int64_t now)
{
	if (ws->deadline_ms && now >= ws->deadline_ms) {
		ws->deadline_ms = 0;
		ws_kill(ws, WS_CODE_LOST,
		        ws->state == WS_OPENING ? "no connection in time" : "no answer to the close in time");
	} else if (ws->state == WS_OPEN && ws->pinged_ms && now - ws->pinged_ms >= ws->ping_ms) {
		ws_kill(ws, WS_CODE_LOST, "no answer to a ping");
	} else if (ws->state == WS_OPEN && !ws->pinged_ms && now - ws->heard_ms >= ws->ping_ms) {
		ws->pinged_ms = now;
		ws->ping_due = true;
		lws_callback_on_writable(ws->wsi);
	}
}

static void beat(void *arg)
{
	struct ws_loop *wl = arg;
	int64_t now = clock_mono_ms();

	for (struct ws *ws = wl->connections; ws; ws = ws->next)
		check(ws, now);
	if (!wl->connections)
		loop_timer_clear(wl->heartbeat);
}

/* What was put off because it may call the user or must not happen within a callback of lws. Whatever the user does then,
 * only connections without a wsi are freed here, and only their own turn frees them. */
static void settle(void *arg)
{
	struct ws_loop *wl = arg;
	struct ws_server *server;
	struct ws *next;

	for (struct ws *ws = wl->connections; ws; ws = next) {
		if (ws->dial && !ws->wsi && !ws->busy)
			ws_client_settle(ws);
		next = ws->next;
		if (ws->dead) {
			ws_finish(ws);
			next = ws->next; /* the user may have made new ones */
			ws_free(ws);
		} else if (ws->close_due) {
			ws_say_goodbye(ws);
		}
	}
	while ((server = ws_server_finished(wl)))
		ws_server_end(server);
}

void ws_loop_soon(struct ws_loop *wl)
{
	loop_timer_set(wl->soon, 0, 0);
}

void ws_loop_nudge(struct ws_loop *wl)
{
	lws_cancel_service(wl->context);
}

void ws_loop_watch(struct ws_loop *wl)
{
	if (!loop_timer_active(wl->heartbeat))
		loop_timer_set(wl->heartbeat, HEARTBEAT_MS, HEARTBEAT_MS);
}

/* A refused connection: lws closed the socket and forgot the libuv handle that watched it. */
static void close_orphan(uv_handle_t *handle, void *wsi)
{
	if (handle->type == UV_POLL && handle->data == wsi && !uv_is_closing(handle))
		uv_close(handle, (uv_close_cb)free);
}

void ws_loop_reap(struct ws_loop *wl, struct lws *wsi)
{
	uv_walk(loop_uv(wl->loop), close_orphan, wsi);
}

/* ---- death ---- */

static void find_idle(uv_handle_t *handle, void *found)
{
	if (handle->type == UV_IDLE)
		*(bool *)found = true;
}

/* The last handles that lws closes are its idle handle and the timer that goes with it; nobody else here has an idle one. */
static bool lws_is_gone(uv_loop_t *uv)
{
	bool found = false;

	uv_walk(uv, find_idle, &found);
	return !found;
}

static void close_loop(void *arg)
{
	struct ws_loop *wl = arg;
	uv_loop_t *uv = loop_uv(wl->loop);
	int turns = 0;

	wl->closing = true;
	lws_context_destroy(wl->context);
	while (!lws_is_gone(uv) && turns++ < 10000)
		uv_run(uv, UV_RUN_NOWAIT);
	if (lws_is_gone(uv))
		lws_context_destroy(wl->context);
	else
		log_warn("websocket: the library did not close its handles");
	while (wl->connections)
		ws_free(wl->connections);
	ws_server_free_all(wl);
	loop_timer_free(wl->heartbeat);
	loop_timer_free(wl->soon);
	loop_attach(wl->loop, NULL, NULL);
	free(wl);
}

struct ws_loop *ws_loop_get(struct loop *loop, struct err *err)
{
	struct ws_loop *wl = loop_attached(loop);
	size_t limit;

	if (wl)
		return wl;
	lws_set_log_level(LLL_ERR | LLL_WARN, take_log);
	wl = mem_alloc(sizeof(*wl));
	wl->loop = loop;
	wl->context = make_context(loop, &limit);
	wl->max_fd = (int)limit - 1;
	wl->max_connections = limit > SPARE_DESCRIPTORS ? limit - SPARE_DESCRIPTORS : limit;
	if (wl->context)
		wl->plain = make_vhost(wl->context, "plain", CONTEXT_PORT_NO_LISTEN_SERVER, 0);
	if (!wl->plain) {
		free(wl);
		err_set(err, ERR_FAILED,
		        "libwebsockets did not start (is libwebsockets-evlib-uv installed?)");
		return NULL;
	}
	wl->heartbeat = loop_timer_new(loop, beat, wl);
	wl->soon = loop_timer_new(loop, settle, wl);
	loop_attach(loop, wl, close_loop);
	return wl;
}
