/* Leases: which host ports and subnets belong to which session. A session leases one contiguous block of
 * SESSION_PORT_RANGE, a port for each it wants and then those for sessions made inside it, and a /26 of
 * SESSION_SUBNET_POOL for each of its networks. Taken in the caller's IMMEDIATE transaction, so that two starts never get
 * the same; each port is bind-probed and each subnet held against the host's routes, because others live on this host. */
#ifndef SESSIONS_LEASE_H
#define SESSIONS_LEASE_H

#include "compose/stack.h"
#include "core/json.h"
#include "jobs/state.h"

#define LEASE_PORTS_MAX 256 /* of one session, nested ones included */
#define LEASE_NETWORKS_MAX 64
#define LEASE_BLOCK_BITS 26 /* of a subnet whose lease says nothing else */

/* What a session wants leased; built by engine->plan. */
struct lease_wants {
	cJSON *ports; /* [{"service","purpose","target"?: container port,"protocol"?: "tcp|udp"}] in order: one host port each */
	int nested; /* that many more ports behind them, for sessions made inside it (purpose "nested", no service) */
	cJSON *networks; /* [name…]: one /26 each, purpose = name */
	cJSON *fixed;    /* {"net":"10.5.0.0/24"}: networks that keep the addresses their file gives them */
	cJSON *taken;    /* ["172.17.0.0/16"…]: networks of the engine, not to be overlapped */
};
void lease_wants_free(struct lease_wants *wants);

/** How many ports the stack needs. */
int lease_stack_ports(void);

/** The ports of a lease_wants for the whole stack, also when only some of its services are started. */
cJSON *lease_want_stack(void);

/** Whether there is a range to lease from: 0, or -1 with ERR_QUOTA. */
int lease_possible(struct state *st, struct err *err);

/**
 * Lease all that ${wants} for session ${uuid}, or nothing. Within a transaction of the caller's, who rolls back on failure.
 * ERR_BUSY when a fixed subnet overlaps what another session, the engine or the host has: says who. ERR_QUOTA when range or pool is empty or holds no free block of that size: says how many are taken, and which setting
 * widens it. ERR_CONFIG for a bad SESSION_SUBNET_POOL. Leases stay until the session's row is removed.
 */
int lease_take(struct state *st, const char *uuid, const struct lease_wants *wants, struct err *err);

/** The services have bound what this process leased last, or never will. Until then other installations leave it alone. */
void lease_unclaim(void);

/** Claim what ${uuid} has leased of ports, as far as nobody does, also those nothing listens on, until lease_unclaim(). 0, or -1. */
int lease_hold(struct state *st, const char *uuid, struct err *err);

/** The descriptors (above 4) by which this process claims ports; returns how many. A child that inherits them (proc_spec.held) goes on
 * doing so as long as it lives. Borrowed: lease_unclaim() closes them. */
int lease_claims(int fds[LEASE_PORTS_MAX]);

/** The leased ports of ${uuid} as an array of {port, service?, purpose, target?, protocol?}, ascending. NULL with ${err}. */
cJSON *lease_list(struct state *st, const char *uuid, struct err *err);

/** Its subnets: {"net":"10.213.0.64/26"…}, by name. NULL with ${err}. */
cJSON *lease_subnets(struct state *st, const char *uuid, struct err *err);

/** The port of the stack's setting ${key} ("GATEWAY_PORT") in what lease_list gave, 0 when it has none. */
int lease_port_of(const cJSON *leases, const char *key);

/** [{service, name, url}] on the ports lease_list gave, only of those in ${services} (array of names). A purpose that is a
 * setting of the stack gives name and scheme; any other is "<target>/<protocol>": its target is the name, and the scheme is
 * that of the well-known port, else http, or udp. */
cJSON *lease_endpoints(const cJSON *leases, const cJSON *services);

/** What there is to lease and who has it: {"ports":{"low","high","leased","taken" (by others),"free"},"subnets":{"pool","blocks",
 * "leased","taken" (overlap the host's own routes),"conflicts" (leased, but something else is routed there too),"free"}}. Probes every TCP
 * port. NULL with ${err}: ERR_CONFIG for a bad pool. */
cJSON *lease_survey(struct state *st, struct err *err);

/** Leased ports of ${uuid} on which something still listens that may be its own: the count, or -1. What is marked as of another session is
 * not, nor what listens on one of ${lent} (array of numbers, may be NULL), nor, with ${own_user}, what another user runs. ${*who} (may be NULL) is transferred: "process 812 (nginx) listens on port 20004", the first
 * one; NULL when there is none or it cannot be told. */
int lease_held(struct state *st, const char *uuid, bool own_user, const cJSON *lent, char **who,
               struct err *err);

#endif
