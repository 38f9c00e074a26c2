/* A WebSocket client that may misbehave: any opcode, any bytes, any size, and it tells the status that refused it and the code that
 * closed it. Blocking, one connection, plain TCP: what a test needs and core/ws, made for well-behaved clients on a loop, does
 * not do. RFC 6455. */
#ifndef TESTSUITE_PROBE_H
#define TESTSUITE_PROBE_H

#include "core/err.h"
#include <stddef.h>
#include <stdint.h>

enum { PROBE_TEXT = 1, PROBE_BINARY = 2, PROBE_CLOSE = 8, PROBE_PING = 9, PROBE_PONG = 10 };

#define PROBE_MAX_FRAME (4u << 20)

struct probe;

/**
 * Connect to ${url} (ws://numeric address:port) and ${path}, with ${token} (may be NULL) as bearer, until ${deadline} (monotonic
 * ms). Returns 0 and transfers ${*probe}; -1: ERR_DENIED when the server answered another status than 101, given in
 * ${*status}; ERR_NET, ERR_TIMEOUT.
 */
int probe_open(struct probe **probe, const char *url, const char *path, const char *token, int64_t deadline,
               int *status, struct err *err);
/** Drop the connection. */
void probe_close(struct probe *probe);

/** Send one frame. Returns 0, or -1 when the connection is gone. */
int probe_send(struct probe *probe, int opcode, const void *data, size_t len, struct err *err);

/** Wait for a whole message. Returns 1 and transfers ${*text} (NUL-terminated), 0 when none came until ${deadline}, 2 when the
 * server closed with ${*code} (1006: without a close frame), -1 with ${err}. Answers pings by itself. */
int probe_read(struct probe *probe, int64_t deadline, char **text, int *code, struct err *err);

#endif
