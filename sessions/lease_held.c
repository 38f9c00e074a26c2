/* Which leased ports are free, and who listens on those that are not. */
#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/net.h"
#include "core/text.h"
#include "sessions/lease_private.h"
#include "sessions/marker.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define UDP_UNCONNECTED 7 /* in /proc/net/udp: TCP_CLOSE */

bool lease_is_udp(const cJSON *lease)
{
	return !strcmp(json_text_or(lease, "protocol", "tcp"), "udp");
}

static bool is_free_udp(int64_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	                        .sin_port = htons((uint16_t)port),
	                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
}

bool lease_port_free(int64_t port, bool udp)
{
	struct err ignored;
	return udp ? is_free_udp(port) : net_probe("127.0.0.1", (int)port, &ignored) == 0;
}

/* -- who listens -- */

struct look {
	struct state *st;
	const char *uuid;
	bool own_user;
	char *who; /* the first that counts, owned */
};

/* A socket as the kernel lists it. */
struct listener {
	int port;
	unsigned uid;
	char link[40]; /* "socket:[inode]": what a descriptor of it points to */
};

static bool has_open(const char *pid, const char *link)
{
	char path[300], target[64];
	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	DIR *dir = opendir(path);
	struct dirent *e;
	bool found = false;
	while (dir && !found && (e = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		found = !strcmp(target, link);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* What carries the marker of something else, or is another user's where the session's never are, it did not leave. */
static bool is_stranger(const struct look *look, const struct listener *l, pid_t pid)
{
	char session[ID_UUID_LEN + 1];
	cleanup_free char *path = pid ? marker_of(pid) : NULL;
	if (path)
		return !marker_parse(path, look->st->install, session) || strcmp(session, look->uuid) != 0;
	return look->own_user && l->uid != geteuid();
}

static char *describe(const struct listener *l, pid_t pid)
{
	char path[40], name[32];
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	if (!pid || file_peek(path, name, sizeof(name)) <= 0)
		return mem_printf("something listens on port %d", l->port);
	name[strcspn(name, "\n")] = '\0';
	text_make_utf8(name, strlen(name));
	text_blank(name, "");
	return mem_printf("process %d (%s) listens on port %d", (int)pid, name, l->port);
}

/* Whether one of those that have it open may be of the session; also when none is seen: those of other users are not shown to us. */
static bool counts(struct look *look, const struct listener *l)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;
	pid_t one = 0;
	bool seen = false, strangers = true;
	while (dir && strangers && (e = readdir(dir))) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9' || !has_open(e->d_name, l->link))
			continue;
		seen = true;
		one = (pid_t)strtol(e->d_name, NULL, 10);
		strangers = is_stranger(look, l, one);
	}
	if (dir)
		closedir(dir);
	if (seen ? strangers : is_stranger(look, l, 0))
		return false;
	if (!look->who)
		look->who = describe(l, one);
	return true;
}

/* Whether ${table} of the kernel has a socket in ${wanted} state on ${port} that counts; also when it cannot be read. */
static bool listed_in(struct look *look, const char *table, int port, unsigned wanted)
{
	char line[256];
	unsigned local, state;
	unsigned long inode;
	struct listener l = {.port = port};
	bool found = false;
	FILE *f = fopen(table, "re");
	if (!f)
		return errno != ENOENT; /* no tcp6 where IPv6 is off */
	while (!found && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %u %*d %lu",
		           &local, &state, &l.uid, &inode) != 4 ||
		    local != (unsigned)port || state != wanted)
			continue;
		snprintf(l.link, sizeof(l.link), "socket:[%lu]", inode);
		found = counts(look, &l);
	}
	fclose(f);
	return found;
}

/* Held means by a listener. Where ip_local_port_range covers SESSION_PORT_RANGE, an outgoing connection of anybody may
 * have been given the port as its end and keeps it for a minute of TIME_WAIT: that is nothing the session left. */
static bool port_held(struct look *look, int port, bool udp)
{
	if (lease_port_free(port, udp))
		return false;
	return udp ? listed_in(look, "/proc/net/udp", port, UDP_UNCONNECTED) ||
	                       listed_in(look, "/proc/net/udp6", port, UDP_UNCONNECTED)
	           : listed_in(look, "/proc/net/tcp", port, TCP_LISTEN) ||
	                       listed_in(look, "/proc/net/tcp6", port, TCP_LISTEN);
}

static bool is_among(const cJSON *ports, int port)
{
	const cJSON *one;
	cJSON_ArrayForEach(one, ports)
	{
		if (one->valueint == port)
			return true;
	}
	return false;
}

int lease_held(struct state *st, const char *uuid, bool own_user, const cJSON *lent, char **who,
               struct err *err)
{
	cleanup_json cJSON *leases = lease_list(st, uuid, err);
	if (!leases)
		return -1;
	struct look look = {.st = st, .uuid = uuid, .own_user = own_user};
	int held = 0;
	const cJSON *one;
	cJSON_ArrayForEach(one, leases)
	{
		int port = (int)json_int(one, "port", 0);
		held += !is_among(lent, port) && port_held(&look, port, lease_is_udp(one));
	}
	if (who)
		*who = TAKE(look.who);
	free(look.who);
	return held;
}
