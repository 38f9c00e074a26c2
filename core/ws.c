/* One WebSocket connection. Odd rule: a struct ws lives as long as lws may call back with it, so only the end of its wsi
 * (or the certainty that none comes) frees it; everything else only marks. */
#include "core/ws_private.h"

#include "core/clock.h"
#include "core/mem.h"
#include "core/text.h"
#include <stdlib.h>

#define MAX_MESSAGE ((size_t)64 << 10)
#define MAX_QUEUED ((size_t)4 << 20)
#define PING_S 30
#define FRAMES_AT_ONCE 64
#define SMALL 4096 /* a message that is written from the stack */

struct ws *ws_new(struct ws_loop *wl, const struct ws_options *options, const struct ws_events *events,
                  void *arg)
{
	struct ws *ws = mem_alloc(sizeof(*ws));

	ws->wl = wl;
	ws->events = events;
	ws->arg = arg;
	ws->code = WS_CODE_LOST;
	ws->max_message = options && options->max_message ? options->max_message : MAX_MESSAGE;
	ws->max_queued = options && options->max_queued ? options->max_queued : MAX_QUEUED;
	ws->ping_ms = 1000 * (int64_t)(options && options->ping_s > 0 ? options->ping_s : PING_S);
	ws->in = STR_INIT_MAX(ws->max_message);
	ws->out_end = &ws->out;
	ws->deadline_ms = clock_mono_ms() + WS_CONNECT_MS;
	ws->next = wl->connections;
	ws->prev = &wl->connections;
	if (ws->next)
		ws->next->prev = &ws->next;
	wl->connections = ws;
	wl->n_connections++;
	ws_loop_watch(wl);
	return ws;
}

static void drop_queue(struct ws *ws)
{
	while (ws->out) {
		struct ws_frame *f = ws->out;
		ws->out = f->next;
		free(f);
	}
	ws->out_end = &ws->out;
	ws->queued = 0;
}

void ws_free(struct ws *ws)
{
	*ws->prev = ws->next;
	if (ws->next)
		ws->next->prev = ws->prev;
	ws->wl->n_connections--;
	if (ws->server && ws_server_left(ws->server))
		ws_loop_soon(ws->wl);
	ws_client_forget(ws);
	drop_queue(ws);
	str_free(&ws->in);
	free(ws->reason);
	free(ws->bearer);
	free(ws);
}

/* The first reason is the true one; what follows are its consequences. */
void ws_set_reason(struct ws *ws, int code, const char *reason, size_t len)
{
	if (ws->reason)
		return;
	ws->code = code;
	ws->reason = mem_strndup(reason, len);
}

void ws_finish(struct ws *ws)
{
	if (ws->state == WS_CLOSED)
		return;
	ws->state = WS_CLOSED;
	if (ws->server && ws->opened)
		ws_server_opened(ws->server, -1);
	if (ws->wl->closing || (ws->server && !ws->opened) || !ws->events->close)
		return;
	ws->events->close(ws->arg, ws, ws->code, ws->reason ? ws->reason : "connection lost");
}

void ws_kill(struct ws *ws, int code, const char *reason)
{
	ws_set_reason(ws, code, reason, strlen(reason));
	if (ws->state < WS_CLOSING)
		ws->state = WS_CLOSING;
	ws->deadline_ms = 0;
	drop_queue(ws);
	if (ws->wsi) {
		lws_set_timeout(ws->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
		ws_loop_nudge(ws->wl);
	} else {
		ws_loop_soon(ws->wl);
	}
}

/* ---- sending ---- */

/* lws drops the connection without a closing handshake when it is asked for from the callback that sends; from outside of
 * its callbacks (settle) it says goodbye properly. ${ws} may be gone afterwards. */
void ws_say_goodbye(struct ws *ws)
{
	ws->close_due = false;
	if (!ws->wsi || ws->peer_closes)
		return;
	lws_close_reason(ws->wsi, (enum lws_close_status)ws->code, (unsigned char *)ws->reason,
	                 strlen(ws->reason));
	lws_set_timeout(ws->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

/* Write what the socket takes. Returns -1 when the connection is to be closed (lws's convention). */
static int flush(struct ws *ws)
{
	unsigned char ping[LWS_PRE + 1] = {0};
	int budget = FRAMES_AT_ONCE;

	if (ws->ping_due) {
		ws->ping_due = false;
		if (lws_write(ws->wsi, ping + LWS_PRE, 1, LWS_WRITE_PING) < 0)
			return -1;
	}
	while (ws->out && budget-- > 0 && !lws_partial_buffered(ws->wsi)) {
		struct ws_frame *f = ws->out;
		int n = lws_write(ws->wsi, f->data + LWS_PRE, f->len, LWS_WRITE_TEXT);

		ws->out = f->next;
		if (!ws->out)
			ws->out_end = &ws->out;
		ws->queued -= f->len;
		free(f);
		if (n < 0)
			return -1;
	}
	if (ws->out || lws_partial_buffered(ws->wsi)) {
		lws_callback_on_writable(ws->wsi);
		return 0;
	}
	if (ws->state == WS_CLOSING && !ws->closing) {
		ws->closing = ws->close_due = true;
		ws_loop_soon(ws->wl);
	}
	return 0;
}

/* Most messages fit into the socket: writing at once spares four epoll_ctl and a turn of the loop. */
static bool send_at_once(struct ws *ws, const char *text, size_t len)
{
	unsigned char buf[LWS_PRE + SMALL];

	if (ws->out || len > SMALL || lws_partial_buffered(ws->wsi))
		return false;
	memcpy(buf + LWS_PRE, text, len);
	if (lws_write(ws->wsi, buf + LWS_PRE, len, LWS_WRITE_TEXT) < 0)
		ws_kill(ws, WS_CODE_LOST, "connection lost");
	return true;
}

int ws_send(struct ws *ws, const char *text, size_t len)
{
	struct ws_frame *f;

	if (ws->state != WS_OPEN)
		return -1;
	if (len > ws->max_queued - ws->queued) {
		drop_queue(ws);
		ws_close(ws, 1013, "the other side reads too slowly");
		return -1;
	}
	if (send_at_once(ws, text, len))
		return ws->state == WS_OPEN ? 0 : -1;
	f = mem_resize(NULL, sizeof(*f) + LWS_PRE + len, 1);
	f->next = NULL;
	f->len = len;
	memcpy(f->data + LWS_PRE, text, len);
	*ws->out_end = f;
	ws->out_end = &f->next;
	ws->queued += len;
	lws_callback_on_writable(ws->wsi);
	return 0;
}

void ws_close(struct ws *ws, int code, const char *reason)
{
	char buf[124]; /* RFC 6455 5.5: a control frame holds 125 bytes, two of them the code */

	if (ws->state >= WS_CLOSING)
		return;
	snprintf(buf, sizeof(buf), "%s", reason ? reason : "");
	while (*buf && !text_is_utf8(buf, strlen(buf)))
		buf[strlen(buf) - 1] = '\0';
	if (ws->state == WS_OPENING) {
		ws_kill(ws, code, buf);
		return;
	}
	ws_set_reason(ws, code, buf, strlen(buf));
	ws->state = WS_CLOSING;
	ws->deadline_ms = clock_mono_ms() + WS_CLOSE_MS;
	lws_callback_on_writable(ws->wsi);
}

/* ---- what lws tells ---- */

static int opened(struct ws *ws, struct lws *wsi)
{
	if (ws->state != WS_OPENING)
		return -1;
	ws->wsi = wsi;
	ws->state = WS_OPEN;
	ws->opened = true;
	ws->deadline_ms = 0;
	ws->heard_ms = clock_mono_ms();
	ws_client_forget(ws);
	if (ws->server)
		ws_server_opened(ws->server, 1);
	if (ws->events->open)
		ws->events->open(ws->arg, ws);
	return 0;
}

/* What the other side did wrong. The rest of it is read and ignored until it has answered the close. */
static int reject(struct ws *ws, int code, const char *reason)
{
	drop_queue(ws);
	ws_close(ws, code, reason);
	return 0;
}

static int received(struct ws *ws, const char *data, size_t len)
{
	if (ws->state != WS_OPEN)
		return 0;
	ws->heard_ms = clock_mono_ms();
	ws->pinged_ms = 0;
	if (lws_frame_is_binary(ws->wsi))
		return reject(ws, 1003, "text messages only");
	str_addn(&ws->in, data, len);
	if (ws->in.overflow)
		return reject(ws, 1009, "message too large");
	if (!lws_is_final_fragment(ws->wsi) || lws_remaining_packet_payload(ws->wsi))
		return 0;
	if (!text_is_utf8(str_text(&ws->in), ws->in.len))
		return reject(ws, 1007, "not UTF-8");
	if (ws->events->message)
		ws->events->message(ws->arg, ws, str_text(&ws->in), ws->in.len);
	/* An idle connection keeps no buffer that one long message made. */
	if (ws->in.cap > 1024)
		str_free(&ws->in);
	else
		str_cut(&ws->in, 0);
	return 0;
}

static int peer_closes(struct ws *ws, const unsigned char *in, size_t len)
{
	ws->peer_closes = true;
	if (len >= 2)
		ws_set_reason(ws, in[0] << 8 | in[1], (const char *)in + 2, len - 2);
	else
		ws_set_reason(ws, WS_CODE_NONE, "", 0);
	if (ws->state == WS_OPEN)
		ws->state = WS_CLOSING;
	return 0;
}

/* A connection that did not come about. Refused is final; anything else may be better at the next address. */
static int failed(struct ws *ws, struct lws *wsi, const char *text, size_t len)
{
	unsigned status = lws_http_client_http_response(wsi);
	cleanup_free char *line = mem_strndup(text ? text : "", text ? len : 0);

	if (status && status != 101) {
		free(line);
		line = mem_printf("refused with HTTP %u", status);
		ws_set_reason(ws, (int)status, line, strlen(line));
	} else if (!strcmp(line, "closed before established") || !strcmp(line, "Unable to connect") ||
	           !*line) {
		/* lws has read and dropped the socket's error */
		ws_client_failed(ws, "connection refused, or cut off before the upgrade");
	} else {
		ws_client_failed(ws, line);
	}
	return 0;
}

static int gone(struct ws *ws, struct lws *wsi)
{
	if (!ws->server)
		ws_loop_reap(ws->wl, wsi);
	ws->wsi = NULL;
	ws->created = false;
	if (ws->busy)
		return 0;
	if (ws->dial && ws->state == WS_OPENING) {
		ws_loop_soon(ws->wl); /* there may be another address to try */
		return 0;
	}
	ws_finish(ws);
	ws_free(ws);
	return 0;
}

int ws_callback(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in, size_t len)
{
	struct ws *ws = wsi ? lws_get_opaque_user_data(wsi) : NULL;

	(void)user;
	if (!ws)
		return 0;
	switch (why) {
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
		return ws_server_upgrade(ws, wsi, in);
	case LWS_CALLBACK_HTTP:
		return ws_server_refuse(wsi, 426);
	case LWS_CALLBACK_RAW_ADOPT:
	case LWS_CALLBACK_RAW_RX:
		return -1; /* CONNECT makes a raw connection of it */
	case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
		return ws_client_headers(ws, in, len);
	case LWS_CALLBACK_WSI_CREATE:
		ws->created = true;
		return 0;
	case LWS_CALLBACK_ESTABLISHED:
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		return opened(ws, wsi);
	case LWS_CALLBACK_RECEIVE:
	case LWS_CALLBACK_CLIENT_RECEIVE:
		return received(ws, in, len);
	case LWS_CALLBACK_RECEIVE_PONG:
	case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
		ws->heard_ms = clock_mono_ms();
		ws->pinged_ms = 0;
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
	case LWS_CALLBACK_CLIENT_WRITEABLE:
		return flush(ws);
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		return peer_closes(ws, in, len);
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		return failed(ws, wsi, in, len);
	case LWS_CALLBACK_CLOSED:
	case LWS_CALLBACK_CLIENT_CLOSED:
		if (ws->opened)
			ws_finish(ws);
		return 0;
	case LWS_CALLBACK_WSI_DESTROY:
		return gone(ws, wsi);
	default:
		return 0;
	}
}

/* ---- small things ---- */

void ws_set_data(struct ws *ws, void *data)
{
	ws->data = data;
}

void *ws_data(const struct ws *ws)
{
	return ws->data;
}

int ws_grant(const struct ws *ws)
{
	return ws->grant;
}

const char *ws_peer(const struct ws *ws)
{
	return ws->peer;
}
