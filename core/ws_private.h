/* What the files of core/ws share; libwebsockets' header is included here and nowhere else.
 *
 *   ws.c          a connection: events, queue, closing
 *   ws_server.c   listening, accepting, draining
 *   ws_client.c   address, name, connecting
 *   ws_loop.c     one lws context per loop, its birth, heartbeat and death
 */
#ifndef CORE_WS_PRIVATE_H
#define CORE_WS_PRIVATE_H

#include "core/str.h"
#include "core/ws.h"
/* OpenSSL, which lws brings along, has a type of that name. */
#define ERR_STATE openssl_ERR_STATE
#include <libwebsockets.h>
#undef ERR_STATE

#define WS_CODE_NONE 1005   /* RFC 6455 7.4.1: a close frame without a code */
#define WS_CODE_LOST 1006   /* no close frame at all */
#define WS_CONNECT_MS 10000 /* name, TCP, TLS and upgrade together */
#define WS_CLOSE_MS 5000    /* flush and closing handshake together */

enum ws_state {
	WS_OPENING, /* before the upgrade is complete */
	WS_OPEN,
	WS_CLOSING, /* nothing may be sent or is reported any more */
	WS_CLOSED,  /* the close event was given */
};

struct ws_frame {
	struct ws_frame *next;
	size_t len;
	unsigned char data[]; /* LWS_PRE bytes of room, then the text */
};

struct ws {
	struct ws *next, **prev; /* of the loop's list */
	struct ws_loop *wl;
	struct ws_server *server; /* NULL on the client side */
	struct lws *wsi;          /* NULL before it exists and after it died */
	const struct ws_events *events;
	void *arg, *data;
	struct ws_frame *out, **out_end;
	size_t queued;
	struct str in;                            /* a message whose end has not come yet */
	int64_t heard_ms, pinged_ms, deadline_ms; /* monotonic; 0: none */
	size_t max_message, max_queued;
	int64_t ping_ms;
	enum ws_state state;
	int code;                             /* for the close event */
	int grant;                            /* what accept decided */
	bool opened;                          /* the open event was given */
	bool ping_due;                        /* to be written */
	bool closing, close_due, peer_closes; /* our close is under way, is to be sent; theirs has come */
	bool created;                         /* lws will tell of the end of wsi */
	bool busy;                            /* inside the call that makes wsi: its end is not to free us */
	bool dead;                            /* no wsi will come any more: to be finished and freed */
	char *reason;
	char *bearer;
	struct ws_dial *dial; /* client: on the way to a connection */
	char peer[46];
};

/* The lws context of a loop and all connections on it. */
struct ws_loop {
	struct loop *loop;
	struct lws_context *context;
	struct lws_vhost *plain, *tls; /* tls: made when first needed, it costs megabytes */
	struct loop_timer *heartbeat, *soon;
	struct ws *connections;
	struct ws_server *servers;
	size_t n_connections, max_connections;
	int max_fd;   /* lws has no room for higher ones */
	bool closing; /* nobody is told of anything any more */
};

/* ws_loop.c */
struct ws_loop *ws_loop_get(struct loop *loop, struct err *err);
struct lws_vhost *ws_loop_tls(struct ws_loop *wl);
void ws_loop_nudge(struct ws_loop *wl); /* lws looks at its timers only after I/O of its own */
void ws_loop_soon(struct ws_loop *wl);  /* do what was put off, from the loop */
void ws_loop_watch(struct ws_loop *wl); /* there is a connection whose deadlines count */
void ws_loop_reap(struct ws_loop *wl, struct lws *wsi);

/* ws.c */
struct ws *ws_new(struct ws_loop *wl, const struct ws_options *options, const struct ws_events *events,
                  void *arg);
void ws_free(struct ws *ws);
void ws_finish(struct ws *ws); /* give the close event, once */
void ws_kill(struct ws *ws, int code, const char *reason);
void ws_say_goodbye(struct ws *ws);
void ws_set_reason(struct ws *ws, int code, const char *reason, size_t len);
int ws_callback(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in, size_t len);

/* ws_server.c */
int ws_server_upgrade(struct ws *ws, struct lws *wsi, const char *protocol); /* 0: go on */
int ws_server_refuse(struct lws *wsi, int status);
void ws_server_opened(struct ws_server *server, int delta);
bool ws_server_left(struct ws_server *server);
struct ws_server *ws_server_finished(struct ws_loop *wl); /* closing and empty; NULL: none */
void ws_server_end(struct ws_server *server);
void ws_server_free_all(struct ws_loop *wl);

/* ws_client.c */
int ws_client_headers(struct ws *ws, void *in, size_t len);
void ws_client_failed(struct ws *ws, const char *trouble);
void ws_client_settle(struct ws *ws); /* dial, try the next address, or give up */
void ws_client_forget(struct ws *ws); /* drop the dialling state */

#endif
