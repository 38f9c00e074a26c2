/* Listening sockets, the same for HTTP and WebSocket: one place that says what is wrong with a port. And what programs on one host
 * tell each other without a file that all of them could write. */
#ifndef CORE_NET_H
#define CORE_NET_H

#include "core/err.h"
#include <stdbool.h>

/**
 * Listen on numeric ${host} and ${port} (0: any free one). Returns a non-blocking descriptor that children do not
 * inherit and the port in ${*bound}, or -1: ERR_EXISTS when the port is taken (the message says what to do), ERR_INVALID,
 * ERR_DENIED, ERR_IO.
 */
int net_listen(const char *host, int port, int *bound, struct err *err);

/** Whether ${host}:${port} could be listened on now: 0, or -1 as net_listen. Takes nothing. */
int net_probe(const char *host, int port, struct err *err);

/**
 * Claim "codefoundry-${what}" among all processes of this host (of its network namespace, unix(7), "abstract"), whoever runs them. Returns true and, in
 * ${*fd}, what keeps it until it is closed, or this process ends; false when it is claimed, by this process too. True with -1 when nobody can
 * be told, for a claim is only a courtesy.
 */
bool net_claim(const char *what, int *fd);

#endif
