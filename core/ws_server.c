/* The listening side. We accept ourselves and hand lws the socket, so a taken port has a name, listening ends at once, and
 * no vhost ever has to be destroyed while the loop runs. */
#include "core/ws_private.h"

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/net.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#define ACCEPT_AT_ONCE 64
#define ACCEPT_PAUSE_MS 200

struct ws_server {
	struct ws_server *next;
	struct ws_loop *wl;
	struct ws_options options;
	const struct ws_events *events;
	void *arg;
	int fd, port;
	struct loop_watch *watch;
	struct loop_timer *timer; /* pause of accepting; end of draining */
	size_t open;              /* connections past the upgrade */
	size_t all;               /* and those before it or already closed, as long as lws knows them */
	bool closing;
	loop_fn *done;
	void *done_arg;
};

/* ---- accepting ---- */

static void accept_some(void *arg);

static void set_peer(struct ws *ws, const struct sockaddr *addr, socklen_t len)
{
	char name[64];

	if (getnameinfo(addr, len, name, sizeof(name), NULL, 0, NI_NUMERICHOST))
		return;
	snprintf(ws->peer, sizeof(ws->peer), "%.45s", strncmp(name, "::ffff:", 7) ? name : name + 7);
}

static void adopt(struct ws_server *s, int fd, const struct sockaddr *addr, socklen_t len)
{
	struct ws *ws = ws_new(s->wl, &s->options, s->events, s->arg);
	lws_adopt_desc_t desc = {
	        .vh = s->wl->plain, .type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP, .fd.sockfd = fd, .opaque = ws};
	int on = 1;

	ws->server = s;
	s->all++;
	set_peer(ws, addr, len);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	ws->busy = true;
	ws->wsi = lws_adopt_descriptor_vhost_via_info(&desc);
	ws->busy = false;
	if (!ws->wsi) {
		log_debug("websocket: a connection could not be taken");
		ws->dead = true;
		ws_loop_soon(s->wl);
	}
}

static void listen_again(void *arg)
{
	struct ws_server *s = arg;

	s->watch = loop_watch_new(s->wl->loop, s->fd, accept_some, s);
}

static void pause_accepting(struct ws_server *s, const char *why)
{
	log_warn("websocket: no connections taken for a moment: %s", why);
	loop_watch_free(TAKE(s->watch));
	loop_timer_set(s->timer, ACCEPT_PAUSE_MS, 0);
}

static void accept_some(void *arg)
{
	struct ws_server *s = arg;

	for (int i = 0; i < ACCEPT_AT_ONCE && s->watch; i++) {
		struct sockaddr_storage addr;
		socklen_t len = sizeof(addr);
		int fd;

		if (s->wl->n_connections >= s->wl->max_connections) {
			pause_accepting(s, "too many are open");
			return;
		}
		fd = accept4(s->fd, (struct sockaddr *)&addr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd > s->wl->max_fd)
			close(fd);
		else if (fd >= 0)
			adopt(s, fd, (struct sockaddr *)&addr, len);
		else if (errno == EAGAIN)
			return;
		else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			pause_accepting(s, strerror(errno));
	}
}

/* ---- the upgrade ---- */

int ws_server_refuse(struct lws *wsi, int status)
{
	const char *text = status == 401   ? "Unauthorized"
	                   : status == 403 ? "Forbidden"
	                   : status == 404 ? "Not Found"
	                   : status == 426 ? "Upgrade Required"
	                   : status == 429 ? "Too Many Requests"
	                                   : "Refused";
	unsigned char buf[LWS_PRE + 512];
	int n = snprintf((char *)buf + LWS_PRE, sizeof(buf) - LWS_PRE,
	                 "HTTP/1.1 %d %s\r\n%s%sConnection: close\r\nContent-Type: "
	                 "text/plain\r\nContent-Length: %zu\r\n\r\n%s\n",
	                 status, text, status == 401 ? "WWW-Authenticate: Bearer\r\n" : "",
	                 status == 426 ? "Upgrade: websocket\r\n" : "", strlen(text) + 1, text);

	lws_write(wsi, buf + LWS_PRE, (size_t)n, LWS_WRITE_HTTP);
	return -1;
}

static char *header(struct lws *wsi, enum lws_token_indexes which)
{
	int len = lws_hdr_total_length(wsi, which);
	char *text;

	if (len <= 0)
		return NULL;
	text = mem_alloc((size_t)len + 16);
	if (lws_hdr_copy(wsi, text, len + 16, which) < 0)
		*text = '\0';
	return text;
}

/* lws has taken the query apart and decoded it; put it together again so that a decoded & stays inside its value. */
static char *query(struct lws *wsi)
{
	struct str s = STR_INIT;
	char part[8192];
	int len;

	for (int i = 0;
	     (len = lws_hdr_copy_fragment(wsi, part, sizeof(part), WSI_TOKEN_HTTP_URI_ARGS, i)) >= 0; i++) {
		char *eq = memchr(part, '=', (size_t)len);
		size_t name = eq ? (size_t)(eq - part) : (size_t)len;

		if (i)
			str_addc(&s, '&');
		str_add_url(&s, part, name);
		if (eq) {
			str_addc(&s, '=');
			str_add_url(&s, eq + 1, (size_t)len - name - 1);
		}
	}
	return s.len ? str_take(&s) : NULL;
}

int ws_server_upgrade(struct ws *ws, struct lws *wsi, const char *protocol)
{
	cleanup_free char *path = header(wsi, WSI_TOKEN_GET_URI);
	cleanup_free char *args = query(wsi);
	cleanup_free char *authorization = header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION);
	cleanup_free char *origin = header(wsi, WSI_TOKEN_ORIGIN);
	int status = 0;

	if (!path || strcasecmp(protocol, "websocket"))
		return ws_server_refuse(wsi, 426);
	if (!ws->server || ws->server->closing || ws->state != WS_OPENING)
		return ws_server_refuse(wsi, 503);
	if (ws->events->accept)
		status = ws->events->accept(ws->arg, path, args, authorization, origin, ws->peer);
	if (status >= 100)
		return ws_server_refuse(wsi, status);
	ws->grant = status;
	return 0;
}

/* ---- counting ---- */

void ws_server_opened(struct ws_server *server, int delta)
{
	server->open += (size_t)delta;
}

/* A connection is gone for good. Returns whether it was the last one of a server that is closing. */
bool ws_server_left(struct ws_server *server)
{
	return --server->all == 0 && server->closing;
}

/* ---- opening and closing ---- */

int ws_server_open(struct ws_server **server, struct loop *loop, const char *host, int port,
                   const struct ws_options *options, const struct ws_events *events, void *arg,
                   struct err *err)
{
	struct ws_loop *wl = ws_loop_get(loop, err);
	struct ws_server *s;
	int bound = 0, fd = wl ? net_listen(host, port, &bound, err) : -1;

	if (fd < 0)
		return -1;
	s = mem_alloc(sizeof(*s));
	s->wl = wl;
	if (options)
		s->options = *options;
	s->events = events;
	s->arg = arg;
	s->fd = fd;
	s->port = bound;
	s->timer = loop_timer_new(loop, listen_again, s);
	s->next = wl->servers;
	wl->servers = s;
	listen_again(s);
	*server = s;
	return 0;
}

int ws_server_port(const struct ws_server *server)
{
	return server->port;
}

size_t ws_server_count(const struct ws_server *server)
{
	return server->open;
}

static void drain_ended(void *arg)
{
	struct ws_server *s = arg;

	for (struct ws *ws = s->wl->connections; ws; ws = ws->next)
		if (ws->server == s)
			ws_kill(ws, 1001, "the server is going away");
}

void ws_server_close(struct ws_server *server, int64_t drain_ms, loop_fn *done, void *arg)
{
	server->closing = true;
	server->done = done;
	server->done_arg = arg;
	loop_watch_free(TAKE(server->watch));
	close(TAKE_FD(server->fd));
	loop_timer_free(server->timer);
	server->timer = loop_timer_new(server->wl->loop, drain_ended, server);
	loop_timer_set(server->timer, drain_ms, 0);
	for (struct ws *ws = server->wl->connections; ws; ws = ws->next)
		if (ws->server == server)
			ws_close(ws, 1001, "the server is going away");
	ws_loop_soon(server->wl);
}

struct ws_server *ws_server_finished(struct ws_loop *wl)
{
	struct ws_server *s = wl->servers;

	while (s && !(s->closing && !s->all))
		s = s->next;
	return s;
}

static void server_free(struct ws_server *server)
{
	struct ws_server **p = &server->wl->servers;

	while (*p != server)
		p = &(*p)->next;
	*p = server->next;
	loop_watch_free(server->watch);
	loop_timer_free(server->timer);
	if (server->fd >= 0)
		close(server->fd);
	free(server);
}

void ws_server_end(struct ws_server *server)
{
	loop_fn *done = server->done;
	void *arg = server->done_arg;

	server_free(server);
	if (done)
		done(arg);
}

void ws_server_free_all(struct ws_loop *wl)
{
	while (wl->servers)
		server_free(wl->servers);
}
