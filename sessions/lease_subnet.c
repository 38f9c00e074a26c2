/* Subnets: blocks of SESSION_SUBNET_POOL, and those that a file gives its networks itself. Stored as the integer of their first address,
 * with their bits as target where those are not BLOCK_BITS. */
#include "core/clock.h"
#include "core/mem.h"
#include "sessions/lease_private.h"
#include <arpa/inet.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BITS LEASE_BLOCK_BITS
#define BLOCK (1u << (32 - BLOCK_BITS))
#define POOL_BITS_MIN 8
#define FIXED_BITS_MAX 30 /* two addresses: the engine takes one */
#define ROUTES "/proc/net/route"

/* Addresses from low to high, both in it. */
struct span {
	uint32_t low, high;
};

struct spans {
	struct span *list;
	size_t n;
};

static void add_span(struct spans *s, uint32_t address, uint32_t mask)
{
	s->list = mem_resize(s->list, s->n + 1, sizeof(*s->list));
	s->list[s->n++] = (struct span){address & mask, address | ~mask};
}

static uint32_t mask_of(int bits)
{
	return bits > 0 ? ~0u << (32 - bits) : 0;
}

/* Parse "10.213.0.0/16". Returns 0, or -1 for anything else. */
static int parse_net(const char *text, struct span *out, int *bits)
{
	char address[16];
	int n = 0;
	struct in_addr a;
	if (!text || sscanf(text, "%15[0-9.]/%2d%n", address, bits, &n) != 2 || text[n] ||
	    inet_pton(AF_INET, address, &a) != 1 || *bits < 0 || *bits > 32)
		return -1;
	uint32_t mask = mask_of(*bits);
	*out = (struct span){ntohl(a.s_addr) & mask, ntohl(a.s_addr) | ~mask};
	return 0;
}

static int read_pool(struct state *st, struct span *pool, struct err *err)
{
	const char *text = config_text(st->cfg, "SESSION_SUBNET_POOL");
	int bits;
	if (parse_net(text, pool, &bits) || bits < POOL_BITS_MIN || bits > BLOCK_BITS)
		return err_set(err, ERR_CONFIG,
		               "SESSION_SUBNET_POOL=%s is no network of %d to %d bits: write it like "
		               "10.213.0.0/16",
		               text ? text : "", POOL_BITS_MIN, BLOCK_BITS);
	return 0;
}

/* The host's own routes, without the default one. */
static void add_routes(struct spans *s)
{
	char line[256];
	unsigned destination, flags, mask;
	FILE *f = fopen(ROUTES, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%*s %x %*x %x %*d %*d %*d %x", &destination, &flags, &mask) == 3 &&
		    (flags & RTF_UP) && mask)
			add_span(s, ntohl(destination), ntohl(mask));
	if (f)
		fclose(f);
}

static int by_low(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	return x->low < y->low ? -1 : x->low > y->low;
}

/* Everything a new subnet must stay clear of, in order. */
static int collect(struct state *st, const struct span *pool, const cJSON *taken, struct spans *s,
                   int64_t *leased, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	const cJSON *one;
	struct span net;
	int rc, bits;
	if (db_query(st->db, &q, err, "SELECT value, target FROM leases WHERE kind = 'subnet'", ""))
		return -1;
	for (*leased = 0; (rc = query_next(&q, err)) > 0;) {
		uint32_t address = (uint32_t)query_int(&q, 0);
		add_span(s, address, mask_of(query_is_null(&q, 1) ? BLOCK_BITS : (int)query_int(&q, 1)));
		*leased += query_is_null(&q, 1) && address >= pool->low && address <= pool->high;
	}
	cJSON_ArrayForEach(one, taken)
	{
		if (parse_net(cJSON_GetStringValue(one), &net, &bits) == 0)
			add_span(s, net.low, ~(net.low ^ net.high));
	}
	add_routes(s);
	if (s->n)
		qsort(s->list, s->n, sizeof(*s->list), by_low);
	return rc;
}

static bool claim(uint32_t address)
{
	char what[32];
	snprintf(what, sizeof(what), "subnet-%08x", address);
	return lease_claim(what);
}

/* The lowest free block of ${pool} from ${*from} on, which moves behind it; false when there is none. ${s} is in order. */
static bool find_block(const struct span *pool, const struct spans *s, uint64_t *from, uint32_t *found)
{
	uint64_t at = *from > pool->low ? *from : pool->low, end = 0;
	size_t i = 0;
	for (; at + BLOCK - 1 <= pool->high; at += BLOCK) {
		/* a wide network that begins early may reach further than those after it */
		for (; i < s->n && s->list[i].low < at + BLOCK; i++)
			end = s->list[i].high >= end ? (uint64_t)s->list[i].high + 1 : end;
		if (end > at || !claim((uint32_t)at))
			continue;
		*found = (uint32_t)at;
		*from = at + BLOCK;
		return true;
	}
	return false;
}

static int full(struct state *st, const struct span *pool, int64_t leased, struct err *err)
{
	int64_t blocks = ((int64_t)pool->high - pool->low + 1) / BLOCK;
	return err_set(
	        err, ERR_QUOTA,
	        "no free network of %u addresses in SESSION_SUBNET_POOL %s: sessions have %lld of %lld, "
	        "the rest overlaps networks of this host; stop a session, or widen or move it",
	        BLOCK, config_text(st->cfg, "SESSION_SUBNET_POOL"), (long long)leased, (long long)blocks);
}

static int take_each(struct state *st, const char *uuid, const cJSON *networks, const struct span *pool,
                     const struct spans *s, int64_t leased, struct err *err)
{
	uint64_t from = 0;
	uint32_t address;
	const cJSON *one;
	cJSON_ArrayForEach(one, networks)
	{
		if (!find_block(pool, s, &from, &address))
			return full(st, pool, leased, err);
		if (db_run(st->db, err,
		           "INSERT INTO leases (kind, value, session, purpose, taken_at)"
		           " VALUES ('subnet', ?, ?, ?, ?)",
		           "itti", (int64_t)address, uuid, cJSON_GetStringValue(one), clock_now_ms()))
			return -1;
	}
	return 0;
}

int lease_take_subnets(struct state *st, const char *uuid, const cJSON *networks, const cJSON *taken,
                       struct err *err)
{
	struct span pool;
	struct spans s = {0};
	int64_t leased;
	int n = cJSON_GetArraySize(networks);
	if (n == 0)
		return 0;
	if (n > LEASE_NETWORKS_MAX)
		return err_set(err, ERR_QUOTA, "it has %d networks; a session may have %d", n,
		               LEASE_NETWORKS_MAX);
	if (read_pool(st, &pool, err))
		return -1;
	int rc = collect(st, &pool, taken, &s, &leased, err);
	if (rc == 0)
		rc = take_each(st, uuid, networks, &pool, &s, leased, err);
	free(s.list);
	return rc;
}

/* -- fixed ones -- */

/* The alive session that has a subnet which overlaps ${net}; the caller frees it. NULL: none has, or nobody can tell. */
static char *holder_of(struct state *st, const struct span *net)
{
	struct err ignored = {0};
	char *name = NULL;
	db_get_text(
	        st->db, &name, &ignored,
	        "SELECT sessions.name FROM leases JOIN sessions ON uuid = session WHERE kind = 'subnet' AND"
	        " value <= ?2 AND value + (1 << (32 - ifnull(target, ?3))) > ?1 LIMIT 1",
	        "iii", (int64_t)net->low, (int64_t)net->high, (int64_t)BLOCK_BITS);
	return name;
}

static int overlaps(struct state *st, const char *name, const char *text, const struct span *net,
                    struct err *err)
{
	cleanup_free char *holder = holder_of(st, net);
	return err_set(
	        err, ERR_BUSY,
	        "network %.80s keeps its %s, which overlaps %s%s: stop that one first, or start without "
	        "--allow=fixed-subnet, and it is given a free one",
	        name, text, holder ? "a network of session " : "a network of the engine or of this host",
	        holder ? holder : "");
}

static int take_one_fixed(struct state *st, const char *uuid, const cJSON *one, const struct spans *s,
                          struct err *err)
{
	struct span net;
	int bits;
	const char *text = cJSON_IsString(one) ? one->valuestring : "";
	if (parse_net(text, &net, &bits) || bits < POOL_BITS_MIN || bits > FIXED_BITS_MAX)
		return err_set(err, ERR_INVALID, "network %.80s: %.40s is no subnet of %d to %d bits",
		               one->string, text, POOL_BITS_MIN, FIXED_BITS_MAX);
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].low <= net.high && s->list[i].high >= net.low)
			return overlaps(st, one->string, text, &net, err);
	if (!claim(net.low))
		return overlaps(st, one->string, text, &net, err);
	return db_run(st->db, err,
	              "INSERT INTO leases (kind, value, session, purpose, target, taken_at)"
	              " VALUES ('subnet', ?, ?, ?, ?, ?)",
	              "ittii", (int64_t)net.low, uuid, one->string, (int64_t)bits, clock_now_ms());
}

int lease_take_fixed(struct state *st, const char *uuid, const cJSON *fixed, const cJSON *taken,
                     struct err *err)
{
	const cJSON *one;
	cJSON_ArrayForEach(one, fixed)
	{
		struct spans s = {0};
		int64_t leased;
		/* anew for each: two of one file may overlap */
		int rc = collect(st, &(struct span){0, 0}, taken, &s, &leased, err);
		if (rc == 0)
			rc = take_one_fixed(st, uuid, one, &s, err);
		free(s.list);
		if (rc)
			return -1;
	}
	return 0;
}

cJSON *lease_subnets(struct state *st, const char *uuid, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	if (db_query(st->db, &q, err,
	             "SELECT purpose, value, ifnull(target, ?) FROM leases WHERE kind = 'subnet' AND session "
	             "= ? "
	             "ORDER BY value",
	             "it", (int64_t)BLOCK_BITS, uuid))
		return NULL;
	cleanup_json cJSON *nets = json_object();
	int rc;
	while ((rc = query_next(&q, err)) > 0) {
		char text[INET_ADDRSTRLEN + 4];
		struct in_addr a = {.s_addr = htonl((uint32_t)query_int(&q, 1))};
		inet_ntop(AF_INET, &a, text, INET_ADDRSTRLEN);
		size_t len = strlen(text);
		snprintf(text + len, sizeof(text) - len, "/%d", (int)query_int(&q, 2));
		json_add_text(nets, query_text(&q, 0), text);
	}
	return rc < 0 ? NULL : TAKE(nets);
}

/* What the host routes to a block of the pool: nothing, all of it and no more (a session's own bridge), or something else. */
enum routed { ROUTED_NOT, ROUTED_EXACTLY, ROUTED_ELSE };

static enum routed routed(const struct spans *routes, uint32_t low, uint32_t high)
{
	enum routed found = ROUTED_NOT;
	for (size_t i = 0; i < routes->n; i++) {
		const struct span *r = &routes->list[i];
		if (r->low == low && r->high == high)
			found = found == ROUTED_ELSE ? found : ROUTED_EXACTLY;
		else if (r->low <= high && r->high >= low)
			found = ROUTED_ELSE;
	}
	return found;
}

int lease_survey_subnets(struct state *st, cJSON *out, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	struct span pool;
	struct spans routes = {0};
	int64_t blocks = 0, leased = 0, taken = 0, conflicts = 0;
	if (read_pool(st, &pool, err) || db_query(st->db, &q, err,
	                                          "SELECT value FROM leases WHERE kind = 'subnet' AND target "
	                                          "IS NULL AND value BETWEEN ? AND "
	                                          "? ORDER BY value",
	                                          "ii", (int64_t)pool.low, (int64_t)pool.high))
		return -1;
	add_routes(&routes);
	int rc = query_next(&q, err);
	for (uint64_t at = pool.low; rc >= 0 && at + BLOCK - 1 <= pool.high; at += BLOCK, blocks++) {
		bool ours = rc > 0 && (uint64_t)query_int(&q, 0) == at;
		enum routed how = routed(&routes, (uint32_t)at, (uint32_t)at + BLOCK - 1);
		leased += ours;
		conflicts += ours && how == ROUTED_ELSE;
		taken += !ours && how != ROUTED_NOT;
		rc = ours ? query_next(&q, err) : rc;
	}
	free(routes.list);
	json_add_text(out, "pool", config_text(st->cfg, "SESSION_SUBNET_POOL"));
	json_add_int(out, "blocks", blocks);
	json_add_int(out, "leased", leased);
	json_add_int(out, "taken", taken);
	json_add_int(out, "conflicts", conflicts);
	json_add_int(out, "free", blocks - leased - taken);
	return rc < 0 ? -1 : 0;
}
