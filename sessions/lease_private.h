/* Between the files of lease: what two installations on one host tell each other. */
#ifndef SESSIONS_LEASE_PRIVATE_H
#define SESSIONS_LEASE_PRIVATE_H

#include "sessions/lease.h"

/* -- lease_held.c -- */
/** Whether nobody has bound ${port} on loopback now. */
bool lease_port_free(int64_t port, bool udp);
/** Whether ${lease} is of a UDP port. */
bool lease_is_udp(const cJSON *lease);

/* -- lease_claim.c -- */
/** Tell other installations that ${what} ("subnet-…") is about to be used. Returns false when one of them said so first;
 * true also when it cannot be told, for it is only a courtesy. Held until lease_unclaim(). */
bool lease_claim(const char *what);
/** Claim ${port} and see whether nobody has bound it. In this order: a probe listens for an instant, and would be in the way of who has
 * claimed a port and is just binding it. What was claimed stays so, also when it is not free. */
bool lease_try_port(int port, bool udp);

/* -- lease_subnet.c -- */
/** Lease a /26 of SESSION_SUBNET_POOL for each of ${networks} that overlaps no lease, nothing in ${taken} and no route. */
int lease_take_subnets(struct state *st, const char *uuid, const cJSON *networks, const cJSON *taken,
                       struct err *err);

/** Lease each of ${fixed} ({name: "10.5.0.0/24"}) as it is, held against the same. ERR_BUSY says what it overlaps. */
int lease_take_fixed(struct state *st, const char *uuid, const cJSON *fixed, const cJSON *taken,
                     struct err *err);

/** Add {"pool","blocks","leased","taken","conflicts","free"} of lease_survey to ${out}. */
int lease_survey_subnets(struct state *st, cJSON *out, struct err *err);

#endif
