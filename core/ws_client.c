/* The connecting side. lws would resolve names with a blocking call, so we resolve, hand it one numeric address at a time
 * and try the next one ourselves: "localhost" is often ::1 first. */
#include "core/ws_private.h"

#include "core/mem.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>

#define MAX_ADDRESSES 8

struct ws_dial {
	uv_getaddrinfo_t req;
	struct ws *ws; /* NULL: abandoned while the name is being resolved */
	bool resolving;
	char *host;   /* as given, without brackets */
	char *header; /* for Host: */
	char *path;
	int port;
	bool tls;
	size_t n, at; /* addresses, and the next one to try */
	char address[MAX_ADDRESSES][64];
	char *trouble; /* of the last attempt */
};

static void dial_free(struct ws_dial *d)
{
	free(d->host);
	free(d->header);
	free(d->path);
	free(d->trouble);
	free(d);
}

void ws_client_forget(struct ws *ws)
{
	struct ws_dial *d = TAKE(ws->dial);

	if (!d)
		return;
	d->ws = NULL;
	if (d->resolving)
		uv_cancel((uv_req_t *)&d->req); /* its callback comes in any case */
	else
		dial_free(d);
}

/* ---- the address ---- */

static int parse_url(struct ws_dial *d, const char *url)
{
	const char *host, *end, *port;

	d->tls = !strncasecmp(url, "wss://", 6);
	if (!d->tls && strncasecmp(url, "ws://", 5))
		return -1;
	host = url + (d->tls ? 6 : 5);
	end = host + strcspn(host, "/?#");
	if (memchr(host, '@', (size_t)(end - host)) || end == host)
		return -1;
	d->header = mem_strndup(host, (size_t)(end - host));
	d->path = *end == '/' ? mem_strdup(end) : mem_printf("/%s", end);
	d->path[strcspn(d->path, "#")] = '\0';
	if (*host == '[') {
		port = memchr(host, ']', (size_t)(end - host));
		if (!port)
			return -1;
		d->host = mem_strndup(host + 1, (size_t)(port - host - 1));
		port++;
	} else {
		port = memchr(host, ':', (size_t)(end - host));
		port = port ? port : end;
		d->host = mem_strndup(host, (size_t)(port - host));
	}
	d->port = *port == ':' ? atoi(port + 1) : d->tls ? 443 : 80;
	return *d->host && d->port > 0 && d->port < 65536 && (*port == ':' || port == end) ? 0 : -1;
}

static void give_up(struct ws *ws, const char *why)
{
	struct ws_dial *d = ws->dial;
	cleanup_free char *line = d && d->header ? mem_printf("%s: %s", d->header, why) : mem_strdup(why);

	ws_set_reason(ws, WS_CODE_LOST, line, strlen(line));
	ws->dead = true;
}

static void resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
	struct ws_dial *d = req->data;

	d->resolving = false;
	if (!d->ws) {
		uv_freeaddrinfo(list);
		dial_free(d);
		return;
	}
	for (struct addrinfo *ai = list; ai && d->n < MAX_ADDRESSES; ai = ai->ai_next)
		if (!getnameinfo(ai->ai_addr, ai->ai_addrlen, d->address[d->n], sizeof(d->address[0]), NULL,
		                 0, NI_NUMERICHOST))
			d->n++;
	uv_freeaddrinfo(list);
	if (!d->n)
		give_up(d->ws, status ? uv_strerror(status) : "the name has no address");
	ws_loop_soon(d->ws->wl);
}

static void resolve(struct ws *ws)
{
	struct ws_dial *d = ws->dial;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	unsigned char binary[16];
	int rc;

	if (inet_pton(AF_INET, d->host, binary) == 1 || inet_pton(AF_INET6, d->host, binary) == 1) {
		snprintf(d->address[d->n++], sizeof(d->address[0]), "%.63s", d->host);
		ws_loop_soon(ws->wl);
		return;
	}
	d->req.data = d;
	rc = uv_getaddrinfo(loop_uv(ws->wl->loop), &d->req, resolved, d->host, NULL, &hints);
	d->resolving = rc == 0;
	if (rc) {
		give_up(ws, uv_strerror(rc));
		ws_loop_soon(ws->wl);
	}
}

/* ---- connecting ---- */

static void connect_next(struct ws *ws)
{
	struct ws_dial *d = ws->dial;
	const char *address = d->address[d->at++];
	struct lws_client_connect_info info = {
	        .context = ws->wl->context,
	        .vhost = d->tls ? ws_loop_tls(ws->wl) : ws->wl->plain,
	        .address = address,
	        .port = d->port,
	        .path = d->path,
	        .host = d->header,
	        .alpn = "http/1.1",
	        .ssl_connection = (d->tls ? LCCSCF_USE_SSL : 0) | LCCSCF_HTTP_NO_FOLLOW_REDIRECT,
	        .ietf_version_or_minus_one = -1,
	        .retry_and_idle_policy = NULL,
	        .opaque_user_data = ws,
	        .pwsi = &ws->wsi,
	};
	struct lws *wsi;

	snprintf(ws->peer, sizeof(ws->peer), "%.45s", address);
	ws->busy = true;
	errno = 0;
	wsi = info.vhost ? lws_client_connect_via_info(&info) : NULL;
	int errnum = errno;
	ws->busy = false;
	if (wsi) {
		ws->wsi = wsi;
		ws_loop_nudge(ws->wl);
		return;
	}
	ws->wsi = NULL;
	if (!d->trouble)
		ws_client_failed(ws, errnum ? strerror(errnum) : "no connection");
	if (!ws->created)
		ws_loop_soon(ws->wl);
}

void ws_client_failed(struct ws *ws, const char *trouble)
{
	if (!ws->dial)
		return;
	free(ws->dial->trouble);
	ws->dial->trouble = mem_strdup(trouble);
}

void ws_client_settle(struct ws *ws)
{
	struct ws_dial *d = ws->dial;

	if (ws->created || (d->resolving && ws->state == WS_OPENING))
		return; /* something is still to come */
	if (ws->state != WS_OPENING || ws->reason)
		ws->dead = true;
	else if (d->at < d->n)
		connect_next(ws);
	else
		give_up(ws, d->trouble ? d->trouble : "no connection");
}

int ws_client_headers(struct ws *ws, void *in, size_t len)
{
	unsigned char **p = in;
	int n;

	if (!ws->bearer)
		return 0;
	n = snprintf((char *)*p, len, "Authorization: Bearer %s\r\n", ws->bearer);
	if (n < 0 || (size_t)n >= len)
		return -1;
	*p += n;
	return 0;
}

struct ws *ws_connect(struct loop *loop, const char *url, const char *bearer,
                      const struct ws_options *options, const struct ws_events *events, void *arg)
{
	struct err err;
	struct ws_loop *wl = ws_loop_get(loop, &err);
	struct ws *ws;

	if (!wl)
		abort(); /* a library of ours is missing; nothing would work */
	ws = ws_new(wl, options, events, arg);
	ws->dial = mem_alloc(sizeof(*ws->dial));
	ws->dial->ws = ws;
	if (bearer && !strpbrk(bearer, "\r\n"))
		ws->bearer = mem_strdup(bearer);
	if (parse_url(ws->dial, url)) {
		ws_set_reason(ws, WS_CODE_LOST, "not a ws:// or wss:// address", 29);
		ws->dead = true;
		ws_loop_soon(wl);
	} else {
		resolve(ws);
	}
	return ws;
}
