/* What two installations on one host tell each other: each has leases of its own, and finds the other's ports free where nothing
 * has bound them: until the services have, while they are restarted, and those for sessions made inside a session nearly always. An
 * abstract socket for each, which ends with the last process that holds it, tells that they are taken. */
#include "core/err.h"
#include "core/mem.h"
#include "sessions/lease_private.h"
#include "sessions/marker.h"
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
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
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "codefoundry-%s", what);
	cleanup_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || claimed == CLAIMS_MAX)
		return true;
	if (bind(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n)))
		return errno != EADDRINUSE;
	int high = fcntl(fd, F_DUPFD_CLOEXEC, FD_FIRST);
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

int lease_claim_block(int port, int count)
{
	lease_unclaim();
	for (int end = port + count; port < end; port++) {
		if (claim_port(port))
			continue;
		lease_unclaim();
		return port;
	}
	return 0;
}

int lease_hold(struct state *st, const char *uuid, int fds[LEASE_PORTS_MAX], struct err *err)
{
	cleanup_json cJSON *leases = lease_list(st, uuid, err);
	if (!leases)
		return -1;
	const cJSON *one;
	int n = 0;
	cJSON_ArrayForEach(one, leases)
	        claim_port((int)json_int(one, "port", 0)); /* ours are refused as well */
	for (int i = 0; i < claimed && n < LEASE_PORTS_MAX; i++)
		if (claims[i].port)
			fds[n++] = claims[i].fd;
	return n;
}
