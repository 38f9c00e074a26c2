/* The WebSocket side of the gateway: connections, who may open one, how many messages each may send. */
#ifndef GATEWAY_SERVER_H
#define GATEWAY_SERVER_H

#include "gateway/access.h"
#include "gateway/hub.h"

struct server;

extern const struct feed_events server_feed_events; /* arg: the server */

struct server *server_new(struct hub *hub, const struct access *access);

/** Listen on the access's host and ${port} (0: any). ERR_EXISTS when it is taken. */
int server_listen(struct server *server, int port, struct err *err);
int server_port(const struct server *server);

/** Close all connections with 1001, flush for at most ${drain_ms}, then call ${done}. */
void server_drain(struct server *server, int64_t drain_ms, loop_fn *done, void *arg);
/** After the drain, or when it never listened. */
void server_free(struct server *server);

#endif
