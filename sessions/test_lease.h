/* Leases of a state directory whose range of ports is small. */
#ifndef SESSIONS_TEST_LEASE_H
#define SESSIONS_TEST_LEASE_H

#include "core/clock.h"
#include "core/id.h"
#include "core/mem.h"
#include "core/net.h"
#include "sessions/lease.h"
#include "sessions/test_sessions.h"
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int base;

static inline void set_range(struct test_state *t, int ports)
{
	char range[32];
	snprintf(range, sizeof(range), "%d-%d", base, base + ports - 1);
	test_sessions_set(t, "SESSION_PORT_RANGE", range);
}

static inline int setup(void **data)
{
	struct test_state *t = mem_alloc(sizeof(*t));
	test_sessions_open(t);
	set_range(t, 64);
	*data = t;
	return 0;
}

static inline int teardown(void **data)
{
	test_state_close(*data);
	free(*data);
	return 0;
}

struct block {
	int port, count;
};

static inline int take(struct test_state *t, const char *uuid, struct block *b, struct err *err)
{
	cleanup_json cJSON *leases = NULL, *ports = lease_want_stack();
	*b = (struct block){0};
	struct lease_wants wants = {.ports = ports,
	                            .nested = (int)config_int(t->cfg, "SESSION_NESTED_PORTS")};
	if (db_begin(t->st->db, err))
		return -1;
	int rc = lease_take(t->st, uuid, &wants, err);
	if (rc)
		db_rollback(t->st->db);
	if (rc || db_commit(t->st->db, err) || !(leases = lease_list(t->st, uuid, err)))
		return -1;
	b->port = (int)json_int(leases->child, "port", 0);
	b->count = cJSON_GetArraySize(leases);
	return 0;
}

static inline int64_t count_leases(struct test_state *t)
{
	int64_t n = -1;
	assert_ok(db_get_int(t->st->db, &n, err, "SELECT count(*) FROM leases", ""));
	return n;
}

static inline int listen_on(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	                        .sin_port = htons((uint16_t)port),
	                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

#endif
