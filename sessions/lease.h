/* Leases: which host ports belong to which session. A session leases one contiguous block of SESSION_PORT_RANGE: a port
 * for each of its stack's, then SESSION_NESTED_PORTS for sessions made inside it. Taken in the caller's IMMEDIATE
 * transaction, so that two starts never get the same; each port is bind-probed, because others live on this host. The
 * table has room for subnets of engines that need them. */
#ifndef SESSIONS_LEASE_H
#define SESSIONS_LEASE_H

#include "compose/stack.h"
#include "core/json.h"
#include "jobs/state.h"

/* The block of one session; nested_high < nested_low when it has none. */
struct lease_block {
	int port, count;
	int nested_low, nested_high;
};

/** How many ports the stack needs. */
int lease_stack_ports(void);

/** Whether there is a range to lease from: 0, or -1 with ERR_QUOTA. */
int lease_possible(struct state *st, struct err *err);

/**
 * Lease a block for session ${uuid}. Within a transaction of the caller's. ERR_QUOTA when the range is empty or holds no
 * free block of that size. Leases stay until the session's row is removed.
 */
int lease_take(struct state *st, const char *uuid, struct lease_block *block, struct err *err);

/** The services have bound what this process leased last, or never will. Until then other installations leave it alone. */
void lease_unclaim(void);

/** The leased ports of ${uuid} as an array of {port, service?, purpose}, ascending. NULL with ${err}. */
cJSON *lease_list(struct state *st, const char *uuid, struct err *err);

/** The port of the stack's setting ${key} ("GATEWAY_PORT") in what lease_list gave, 0 when it has none. */
int lease_port_of(const cJSON *leases, const char *key);

/** [{service, name, url}] of a stack on the ports lease_list gave, only those in ${services} (array of names). */
cJSON *lease_endpoints(const cJSON *leases, const cJSON *services);

/** Leased ports of ${uuid} on which something still listens: the count, or -1. */
int lease_held(struct state *st, const char *uuid, struct err *err);

#endif
