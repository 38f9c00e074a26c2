/* What two installations on one host tell each other: each has leases of its own, and finds the other's ports free where nothing
 * has bound them: until the services have, while they are restarted, and those for sessions made inside a session nearly always. An
 * abstract socket for each, which ends with the last process that holds it, tells that they are taken. */
#include "core/err.h"
#include "core/mem.h"
#include "core/net.h"
#include "sessions/lease_private.h"
#include "sessions/marker.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLAIMS_MAX (LEASE_PORTS_MAX + 2 * LEASE_NETWORKS_MAX)
#define FD_FIRST 10 /* out of the way of those that a child has at fixed places */

static struct claim {
	int fd, port; /* 0: no port */
} claims[CLAIMS_MAX];
static int claimed;

void lease_unclaim(void)
{
	while (claimed > 0)
		close(claims[--claimed].fd);
}

/* ${port} is 0 for what is no port. */
static bool claim(const char *what, int port)
{
	cleanup_close int fd = -1;
	if (claimed == CLAIMS_MAX)
		return true;
	if (!net_claim(what, &fd))
		return false;
	int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FD_FIRST);
	if (high >= 0)
		claims[claimed++] = (struct claim){.fd = high, .port = port};
	return true;
}

bool lease_claim(const char *what)
{
	return claim(what, 0);
}

/* Whether ${port} is of those that the session around us keeps for us: it holds them against all others, and would against us. */
static bool is_inner(int port)
{
	const char *range = getenv(MARKER_PORTS_KEY);
	int low, high;
	return range && sscanf(range, "%d-%d", &low, &high) == 2 && port >= low && port <= high;
}

static bool claim_port(int port)
{
	char what[32];
	snprintf(what, sizeof(what), "%sport-%d", is_inner(port) ? "inner-" : "", port);
	return claim(what, port);
}

bool lease_try_port(int port, bool udp)
{
	return claim_port(port) && lease_port_free(port, false) && (!udp || lease_port_free(port, true));
}

int lease_hold(struct state *st, const char *uuid, struct err *err)
{
	cleanup_json cJSON *leases = lease_list(st, uuid, err);
	const cJSON *one;
	cJSON_ArrayForEach(one, leases)
	        claim_port((int)json_int(one, "port", 0)); /* those that we have are refused as well */
	return leases ? 0 : -1;
}

int lease_claims(int fds[LEASE_PORTS_MAX])
{
	int n = 0;
	for (int i = 0; i < claimed && n < LEASE_PORTS_MAX; i++)
		if (claims[i].port)
			fds[n++] = claims[i].fd;
	return n;
}
