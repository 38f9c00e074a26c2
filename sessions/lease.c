#include "sessions/lease.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/net.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PURPOSE_NESTED "nested"
#define CLAIMS_MAX 16 /* a stack has fewer ports */

int lease_stack_ports(void)
{
	int n = 0;
	for (const struct stack_service *s = stack_services; s->name; s++)
		for (const struct stack_port *p = s->ports; p->key; p++)
			n++;
	return n;
}

static bool is_free(int64_t port)
{
	struct err ignored;
	return net_probe("127.0.0.1", (int)port, &ignored) == 0;
}

/* Whether ${table} of the kernel has a listener on ${port}; also when it cannot be read. */
static bool listed_in(const char *table, int port)
{
	char line[256];
	unsigned local, state;
	bool found = false;
	FILE *f = fopen(table, "re");
	if (!f)
		return errno != ENOENT; /* no tcp6 where IPv6 is off */
	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &local, &state) == 2 &&
		        local == (unsigned)port && state == TCP_LISTEN;
	fclose(f);
	return found;
}

/* Held means by a listener. Where ip_local_port_range covers SESSION_PORT_RANGE, an outgoing connection of anybody may
 * have been given the port as its end and keeps it for a minute of TIME_WAIT: that is nothing the session left. */
static bool port_held(int port)
{
	return !is_free(port) && (listed_in("/proc/net/tcp", port) || listed_in("/proc/net/tcp6", port));
}

/* Another installation on this host has leases of its own and finds our ports free until our services have bound them.
 * An abstract socket for each, which ends with this process at the latest, tells it that they are taken. */
static int claims[CLAIMS_MAX], claimed;

void lease_unclaim(void)
{
	while (claimed > 0)
		close(claims[--claimed]);
}

static bool claim_port(int port)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "codefoundry-port-%d", port);
	cleanup_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || claimed == CLAIMS_MAX)
		return true; /* only a courtesy to others */
	if (bind(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n)))
		return errno != EADDRINUSE;
	claims[claimed++] = TAKE_FD(fd);
	return true;
}

/* Those of the stack: the nested ones are probed again by who takes them. */
static bool claim_block(int port)
{
	lease_unclaim();
	for (int end = port + lease_stack_ports(); port < end; port++)
		if (!claim_port(port))
			return false;
	return true;
}

/* Find the lowest ${count} ports in a row that nobody leased and that can be bound, and claim them. Returns the first, 0 for none. */
static int find_block(struct state *st, int low, int high, int count, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	if (db_query(st->db, &q, err,
	             "SELECT value FROM leases WHERE kind = 'port' AND value BETWEEN ? AND ? ORDER BY value",
	             "ii", (int64_t)low, (int64_t)high))
		return -1;
	int rc = query_next(&q, err), run = 0;
	int64_t leased = rc > 0 ? query_int(&q, 0) : INT64_MAX;
	for (int port = low; rc >= 0 && port <= high; port++) {
		if (port == leased) {
			rc = query_next(&q, err);
			leased = rc > 0 ? query_int(&q, 0) : INT64_MAX;
			run = 0;
		} else if (leased - (port - run) < count) {
			run++; /* the gap is too small: no need to probe */
		} else {
			run = is_free(port) ? run + 1 : 0;
			if (run == count && claim_block(port - count + 1))
				return port - count + 1;
			run = run == count ? 0 : run;
		}
	}
	return rc < 0 ? -1 : 0;
}

static int insert(struct state *st, const char *uuid, int port, const char *service, const char *purpose,
                  struct err *err)
{
	return db_run(st->db, err,
	              "INSERT INTO leases (kind, value, session, service, purpose, taken_at)"
	              " VALUES ('port', ?, ?, ?, ?, ?)",
	              "ittti", (int64_t)port, uuid, service, purpose, clock_now_ms());
}

static int insert_block(struct state *st, const char *uuid, const struct lease_block *b, struct err *err)
{
	int port = b->port;
	for (const struct stack_service *s = stack_services; s->name; s++)
		for (const struct stack_port *p = s->ports; p->key; p++)
			if (insert(st, uuid, port++, s->name, p->key, err))
				return -1;
	for (; port < b->port + b->count; port++)
		if (insert(st, uuid, port, NULL, PURPOSE_NESTED, err))
			return -1;
	return 0;
}

int lease_possible(struct state *st, struct err *err)
{
	int64_t low, high;
	config_range(st->cfg, "SESSION_PORT_RANGE", &low, &high);
	return low > 0 ? 0
	               : err_set(err, ERR_QUOTA,
	                         "no ports are left for sessions here: SESSION_PORT_RANGE is empty (a "
	                         "session inside "
	                         "a session has none of its own; start it from outside)");
}

int lease_take(struct state *st, const char *uuid, struct lease_block *block, struct err *err)
{
	int64_t low, high;
	config_range(st->cfg, "SESSION_PORT_RANGE", &low, &high);
	if (lease_possible(st, err))
		return -1;
	int stack = lease_stack_ports(), nested = (int)config_int(st->cfg, "SESSION_NESTED_PORTS");
	struct lease_block b = {.count = stack + nested};
	b.port = find_block(st, (int)low, (int)high, b.count, err);
	if (b.port < 0)
		return -1;
	if (b.port == 0)
		return err_set(err, ERR_QUOTA,
		               "no %d free ports in a row in SESSION_PORT_RANGE %lld-%lld: stop a session, "
		               "or widen it",
		               b.count, (long long)low, (long long)high);
	b.nested_low = b.port + stack;
	b.nested_high = b.port + b.count - 1;
	if (insert_block(st, uuid, &b, err))
		return -1;
	*block = b;
	return 0;
}

cJSON *lease_list(struct state *st, const char *uuid, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	if (db_query(st->db, &q, err,
	             "SELECT value, service, purpose FROM leases WHERE kind = 'port' AND session = ? ORDER "
	             "BY value",
	             "t", uuid))
		return NULL;
	cleanup_json cJSON *list = json_array();
	int rc;
	while ((rc = query_next(&q, err)) > 0) {
		cJSON *one = json_object();
		json_add_int(one, "port", query_int(&q, 0));
		if (!query_is_null(&q, 1))
			json_add_text(one, "service", query_text(&q, 1));
		json_add_text(one, "purpose", query_text(&q, 2));
		cJSON_AddItemToArray(list, one);
	}
	return rc < 0 ? NULL : TAKE(list);
}

int lease_port_of(const cJSON *leases, const char *key)
{
	const cJSON *one;
	cJSON_ArrayForEach(one, leases)
	{
		const char *purpose = json_text(one, "purpose");
		if (purpose && !strcmp(purpose, key))
			return (int)json_int(one, "port", 0);
	}
	return 0;
}

cJSON *lease_endpoints(const cJSON *leases, const cJSON *services)
{
	cJSON *list = json_array();
	for (const struct stack_service *s = stack_services; s->name; s++) {
		for (const struct stack_port *p = s->ports; p->key; p++) {
			int port = lease_port_of(leases, p->key);
			if (!port || !json_has_text(services, s->name))
				continue;
			cleanup_free char *url = mem_printf("%s://127.0.0.1:%d", p->scheme, port);
			cJSON *one = json_object();
			json_add_text(one, "service", s->name);
			json_add_text(one, "name", p->name);
			json_add_text(one, "url", url);
			cJSON_AddItemToArray(list, one);
		}
	}
	return list;
}

int lease_held(struct state *st, const char *uuid, struct err *err)
{
	cleanup_json cJSON *leases = lease_list(st, uuid, err);
	if (!leases)
		return -1;
	int held = 0;
	const cJSON *one;
	cJSON_ArrayForEach(one, leases) held += port_held((int)json_int(one, "port", 0));
	return held;
}
