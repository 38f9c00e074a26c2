#include "sessions/lease.h"
#include "core/clock.h"
#include "core/mem.h"
#include "sessions/lease_private.h"
#include <stdio.h>
#include <string.h>

#define PURPOSE_NESTED "nested"

int lease_stack_ports(void)
{
	int n = 0;
	for (const struct stack_service *s = stack_services; s->name; s++)
		for (const struct stack_port *p = s->ports; p->key; p++)
			n++;
	return n;
}

cJSON *lease_want_stack(void)
{
	cJSON *ports = json_array();
	for (const struct stack_service *s = stack_services; s->name; s++) {
		for (const struct stack_port *p = s->ports; p->key; p++) {
			cJSON *one = json_object();
			json_add_text(one, "service", s->name);
			json_add_text(one, "purpose", p->key);
			cJSON_AddItemToArray(ports, one);
		}
	}
	return ports;
}

void lease_wants_free(struct lease_wants *wants)
{
	cJSON_Delete(wants->ports);
	cJSON_Delete(wants->networks);
	cJSON_Delete(wants->fixed);
	cJSON_Delete(wants->taken);
	*wants = (struct lease_wants){0};
}

/* -- ports -- */

/* A block to be found: ${count} ports. */
struct block {
	int low, high, count;
	bool udp;
};

/* Find the lowest ports in a row that nobody leased and that can be bound, and claim them. Returns the first, 0 for none. */
static int find_block(struct state *st, const struct block *b, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	if (db_query(st->db, &q, err,
	             "SELECT value FROM leases WHERE kind = 'port' AND value BETWEEN ? AND ? ORDER BY value",
	             "ii", (int64_t)b->low, (int64_t)b->high))
		return -1;
	int rc = query_next(&q, err), run = 0;
	int64_t leased = rc > 0 ? query_int(&q, 0) : INT64_MAX;
	for (int port = b->low; rc >= 0 && port <= b->high; port++) {
		if (port == leased) {
			rc = query_next(&q, err);
			leased = rc > 0 ? query_int(&q, 0) : INT64_MAX;
			run = 0;
		} else if (leased - (port - run) < b->count) {
			run++; /* the gap is too small: no need to probe */
		} else {
			run = lease_try_port(port, b->udp) ? run + 1 : 0;
			if (run == b->count)
				return port - b->count + 1;
		}
		if (!run)
			lease_unclaim();
	}
	return rc < 0 ? -1 : 0;
}

/* ${want} is NULL for a nested one. Text and number are NULL where it has none. */
static int insert(struct state *st, const char *uuid, int port, const cJSON *want, struct err *err)
{
	const char *protocol = json_text(want, "protocol"), *purpose = json_text(want, "purpose");
	int64_t target = json_int(want, "target", 0);
	cleanup_free char *plain = mem_printf("%lld/%s", (long long)target, protocol ? protocol : "tcp");
	return db_run(
	        st->db, err,
	        "INSERT INTO leases (kind, value, session, service, purpose, target, protocol, taken_at)"
	        " VALUES ('port', ?, ?, ?, ?, nullif(?, 0), ?, ?)",
	        "itttiti", (int64_t)port, uuid, json_text(want, "service"),
	        !want     ? PURPOSE_NESTED
	        : purpose ? purpose
	                  : plain,
	        target, protocol, clock_now_ms());
}

static int insert_block(struct state *st, const char *uuid, int port, const struct lease_wants *wants,
                        struct err *err)
{
	const cJSON *one;
	cJSON_ArrayForEach(one, wants->ports) if (insert(st, uuid, port++, one, err)) return -1;
	for (int i = 0; i < wants->nested; i++)
		if (insert(st, uuid, port++, NULL, err))
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

static int no_block(struct state *st, const struct block *b, struct err *err)
{
	int64_t taken = 0;
	if (db_get_int(st->db, &taken, err,
	               "SELECT count(*) FROM leases WHERE kind = 'port' AND value BETWEEN ? AND ?", "ii",
	               (int64_t)b->low, (int64_t)b->high))
		return -1;
	return err_set(
	        err, ERR_QUOTA,
	        "no %d free ports in a row in SESSION_PORT_RANGE %d-%d: sessions have %lld of %d; stop "
	        "a session, or widen it",
	        b->count, b->low, b->high, (long long)taken, b->high - b->low + 1);
}

static int take_ports(struct state *st, const char *uuid, const struct lease_wants *wants, struct err *err)
{
	int64_t low, high;
	struct block b = {.count = cJSON_GetArraySize(wants->ports) + wants->nested};
	const cJSON *one;
	if (b.count == 0)
		return 0;
	if (b.count > LEASE_PORTS_MAX)
		return err_set(err, ERR_QUOTA,
		               "it needs %d ports; a session may have %d (SESSION_NESTED_PORTS counts too)",
		               b.count, LEASE_PORTS_MAX);
	if (lease_possible(st, err))
		return -1;
	config_range(st->cfg, "SESSION_PORT_RANGE", &low, &high);
	b.low = (int)low;
	b.high = (int)high;
	cJSON_ArrayForEach(one, wants->ports) b.udp |= lease_is_udp(one);
	int port = find_block(st, &b, err);
	if (port <= 0)
		return port < 0 ? -1 : no_block(st, &b, err);
	return insert_block(st, uuid, port, wants, err);
}

int lease_take(struct state *st, const char *uuid, const struct lease_wants *wants, struct err *err)
{
	lease_unclaim(); /* what an attempt before this one claimed is no other installation's */
	return take_ports(st, uuid, wants, err) ||
	                       lease_take_fixed(st, uuid, wants->fixed, wants->taken, err) ||
	                       lease_take_subnets(st, uuid, wants->networks, wants->taken, err)
	               ? -1
	               : 0;
}

cJSON *lease_list(struct state *st, const char *uuid, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	if (db_query(st->db, &q, err,
	             "SELECT value, service, purpose, target, protocol FROM leases"
	             " WHERE kind = 'port' AND session = ? ORDER BY value",
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
		if (!query_is_null(&q, 3))
			json_add_int(one, "target", query_int(&q, 3));
		if (!query_is_null(&q, 4))
			json_add_text(one, "protocol", query_text(&q, 4));
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

/* -- survey -- */

static int survey_ports(struct state *st, cJSON *out, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	int64_t low, high, leased = 0, taken = 0;
	config_range(st->cfg, "SESSION_PORT_RANGE", &low, &high);
	if (db_query(st->db, &q, err,
	             "SELECT value FROM leases WHERE kind = 'port' AND value BETWEEN ? AND ? ORDER BY value",
	             "ii", low, high))
		return -1;
	int rc = query_next(&q, err);
	for (int64_t port = low; low > 0 && rc >= 0 && port <= high; port++) {
		bool ours = rc > 0 && query_int(&q, 0) == port;
		leased += ours;
		taken += !ours && !lease_try_port((int)port, false);
		lease_unclaim();
		rc = ours ? query_next(&q, err) : rc;
	}
	json_add_int(out, "low", low);
	json_add_int(out, "high", high);
	json_add_int(out, "leased", leased);
	json_add_int(out, "taken", taken);
	json_add_int(out, "free", low > 0 ? high - low + 1 - leased - taken : 0);
	return rc < 0 ? -1 : 0;
}

cJSON *lease_survey(struct state *st, struct err *err)
{
	cleanup_json cJSON *survey = json_object();
	cJSON *ports = cJSON_AddObjectToObject(survey, "ports"),
	      *subnets = cJSON_AddObjectToObject(survey, "subnets");
	return survey_ports(st, ports, err) || lease_survey_subnets(st, subnets, err) ? NULL : TAKE(survey);
}

/* -- endpoints -- */

static const struct stack_port *port_of_stack(const char *key)
{
	for (const struct stack_service *s = stack_services; s->name; s++)
		for (const struct stack_port *p = s->ports; p->key; p++)
			if (!strcmp(p->key, key))
				return p;
	return NULL;
}

static const char *scheme_of(int target, const char *protocol)
{
	static const struct {
		int target;
		const char *scheme;
	} known[] = {{22, "ssh"},    {443, "https"},  {3306, "mysql"},   {5432, "postgresql"},
	             {5672, "amqp"}, {6379, "redis"}, {27017, "mongodb"}};
	if (!strcmp(protocol, "udp"))
		return "udp";
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (known[i].target == target)
			return known[i].scheme;
	return "http";
}

static cJSON *endpoint(const char *service, const char *name, const char *scheme, int64_t port)
{
	cleanup_free char *url = mem_printf("%s://127.0.0.1:%lld", scheme, (long long)port);
	cJSON *one = json_object();
	json_add_text(one, "service", service);
	json_add_text(one, "name", name);
	json_add_text(one, "url", url);
	return one;
}

cJSON *lease_endpoints(const cJSON *leases, const cJSON *services)
{
	cJSON *list = json_array();
	const cJSON *one;
	cJSON_ArrayForEach(one, leases)
	{
		const char *service = json_text(one, "service"), *purpose = json_text_or(one, "purpose", "");
		int target = 0;
		char protocol[8] = "tcp", name[16];
		if (!service || !json_has_text(services, service))
			continue;
		const struct stack_port *own = port_of_stack(purpose);
		if (!own && sscanf(purpose, "%5d/%7s", &target, protocol) < 1)
			continue;
		snprintf(name, sizeof(name), "%d", target);
		cJSON_AddItemToArray(list, endpoint(service, own ? own->name : name,
		                                    own ? own->scheme : scheme_of(target, protocol),
		                                    json_int(one, "port", 0)));
	}
	return list;
}
