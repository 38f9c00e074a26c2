/* Who may connect and as what. Roles hang on the token and on the address a connection comes from, never on what a
 * client says of itself; a browser's page must come from a host we know, or any web page could talk to us. */
#ifndef GATEWAY_ACCESS_H
#define GATEWAY_ACCESS_H

#include "core/config.h"
#include "core/err.h"
#include <stdint.h>

enum role { ROLE_NONE, ROLE_VIEWER, ROLE_OPERATOR };
const char *role_name(enum role role);

struct access {
	const char *host;    /* numeric address to listen on */
	const char *token;   /* NULL: none */
	const char *origins; /* comma list; NULL */
	enum role anonymous; /* of who brings no token */
};

/** Read the settings; texts are borrowed from ${cfg}. ERR_CONFIG when the host is no address, or is open to other
 * machines while neither a token nor GATEWAY_ANONYMOUS says who may talk. */
int access_open(struct access *access, const struct config *cfg, struct err *err);

/**
 * Decide on one connection before its upgrade; any text may be NULL. Returns 0 and ${*role}, or the HTTP status to
 * refuse with: 401 wrong or missing token, 403 foreign origin.
 */
int access_check(const struct access *access, const char *query, const char *authorization,
                 const char *origin, const char *peer, enum role *role);

/* How many messages a connection may send: a bucket of ${burst} that refills with ${per_s} a second (0: no limit). */
struct rate {
	double tokens;
	int64_t at_ms; /* monotonic; 0: not used yet */
	int strikes;   /* refusals since the bucket was last half full */
};

enum rate_verdict { RATE_OK, RATE_REFUSE, RATE_CLOSE };

/** Count one message at ${now_ms} (monotonic). RATE_CLOSE once a second's worth of messages was refused. */
enum rate_verdict rate_take(struct rate *rate, int per_s, int burst, int64_t now_ms);

#endif
