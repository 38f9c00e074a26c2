/* WebSocket server and client: libwebsockets on our libuv loop, with its quirks kept in this one module. Text
 * messages only; a whole message per callback; sends are queued with a bound. All callbacks come from the loop. */
#ifndef CORE_WS_H
#define CORE_WS_H

#include "core/err.h"
#include "core/loop.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ws; /* one connection, server or client side */
struct ws_server;

struct ws_events {
	/* Server only, before the upgrade: return 0 to 99 to accept (kept with the connection as ws_grant), or an HTTP
	 * status (401, 403) to refuse. Any text may be NULL. ${path} is decoded, ${query} is percent-encoded, ${peer} the
	 * numeric address. */
	int (*accept)(void *arg, const char *path, const char *query, const char *authorization,
	              const char *origin, const char *peer);
	void (*open)(void *arg, struct ws *ws);
	void (*message)(void *arg, struct ws *ws, const char *text,
	                size_t len); /* valid UTF-8, NUL-terminated */
	/* The connection is over; ${ws} is invalid after it. ${code} is that of the close frame (1005: it had none), 1006
	 * when there was none, and the HTTP status when the server refused the upgrade. ${reason} may be shown to people.
	 * lws reads the codes 1012 to 1014 as 1002. Server side: only after an open event. */
	void (*close)(void *arg, struct ws *ws, int code, const char *reason);
};

struct ws_options {
	size_t max_message; /* larger: close 1009; 0: 64 KiB */
	size_t max_queued;  /* bytes waiting to be sent: past it the connection is closed 1013; 0: 4 MiB */
	int ping_s;         /* ping after so much silence, hang up after as much again; 0: 30 */
};

/** Listen on numeric ${host}:${port} (0: any). Binary frames close 1003, invalid UTF-8 1007. ERR_EXISTS when taken. */
int ws_server_open(struct ws_server **server, struct loop *loop, const char *host, int port,
                   const struct ws_options *options, const struct ws_events *events, void *arg,
                   struct err *err);
int ws_server_port(const struct ws_server *server);
size_t ws_server_count(const struct ws_server *server); /* connections past their upgrade */
/** Stop listening, close all connections with 1001, flush up to ${drain_ms}, then call ${done} (may be NULL) once, from the
 * loop. Servers and connections that are left when the loop is closed end without any call. */
void ws_server_close(struct ws_server *server, int64_t drain_ms, loop_fn *done, void *arg);

/**
 * Connect to ${url} (ws:// or wss://) with ${bearer} (may be NULL) as Authorization. Names are resolved without
 * blocking, their addresses tried in turn; given up after 10 s. Exactly one close event follows in every case but
 * loop_close, never from within this call. Returns the connection; it may be used for sending after the open event.
 */
struct ws *ws_connect(struct loop *loop, const char *url, const char *bearer,
                      const struct ws_options *options, const struct ws_events *events, void *arg);

/** Queue one text message (copied). Returns 0, or -1 when the connection is closing or its queue is full. */
int ws_send(struct ws *ws, const char *text, size_t len);
/** Close after what is queued was sent; the close event follows, after 5 s at the latest. */
void ws_close(struct ws *ws, int code, const char *reason);

/* A pointer of the user's on each connection, and the peer's numeric address. */
void ws_set_data(struct ws *ws, void *data);
void *ws_data(const struct ws *ws);
const char *ws_peer(const struct ws *ws);
/** What accept returned for this connection; 0 on the client's side. */
int ws_grant(const struct ws *ws);

#endif
