#include "sessions/test_lease.h"
#include <net/if.h>
#include <net/route.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

/* -- subnets; 198.18.0.0/15 is for benchmarks of networks, nobody's (RFC 2544) -- */

static int lease(struct test_state *t, const char *uuid, const struct lease_wants *wants, char *out,
                 size_t size, struct err *err)
{
	if (db_begin(t->st->db, err))
		return -1;
	if (lease_take(t->st, uuid, wants, err)) {
		db_rollback(t->st->db);
		return -1;
	}
	cleanup_json cJSON *nets = db_commit(t->st->db, err) ? NULL : lease_subnets(t->st, uuid, err);
	if (!nets)
		return -1;
	cleanup_free char *text = json_print(nets);
	snprintf(out, size, "%s", text);
	return 0;
}

static int lease_nets(struct test_state *t, const char *uuid, const char *networks, const char *taken,
                      char *out, size_t size, struct err *err)
{
	cleanup_json cJSON *n = cJSON_Parse(networks), *busy = taken ? cJSON_Parse(taken) : NULL;
	return lease(t, uuid, &(struct lease_wants){.networks = n, .taken = busy}, out, size, err);
}

static void subnets(void **data)
{
	struct test_state *t = *data;
	char nets[256];
	struct err err = {0};
	test_sessions_set(t, "SESSION_SUBNET_POOL", "198.18.0.0/24");
	assert_ok(lease_nets(t, "a", "[\"front\",\"back\"]", NULL, nets, sizeof(nets), err));
	assert_string_equal(nets, "{\"front\":\"198.18.0.0/26\",\"back\":\"198.18.0.64/26\"}");
	/* around what the engine has, also a network that is narrower or begins elsewhere */
	assert_ok(lease_nets(t, "b", "[\"net\"]", "[\"198.18.0.129/32\",\"172.17.0.0/16\",\"fd00::/64\"]",
	                     nets, sizeof(nets), err));
	assert_string_equal(nets, "{\"net\":\"198.18.0.192/26\"}");
	assert_int_equal(lease_nets(t, "c", "[\"x\",\"y\"]", NULL, nets, sizeof(nets), &err), -1);
	assert_int_equal(err.code, ERR_QUOTA);
	assert_non_null(strstr(err.msg, "SESSION_SUBNET_POOL 198.18.0.0/24: sessions have 3 of 4"));
	assert_ok(lease_nets(t, "c", "[\"x\"]", NULL, nets, sizeof(nets), err));
	assert_string_equal(nets, "{\"x\":\"198.18.0.128/26\"}");
	assert_ok(db_run(t->st->db, err, "DELETE FROM leases", ""));
	assert_int_equal(lease_nets(t, "d", "[\"x\"]", "[\"198.16.0.0/13\"]", nets, sizeof(nets), &err), -1);
	assert_int_equal(err.code, ERR_QUOTA);
	/* no network, no pool needed */
	test_sessions_set(t, "SESSION_SUBNET_POOL", "nonsense");
	assert_ok(lease_nets(t, "e", "[]", NULL, nets, sizeof(nets), err));
	assert_string_equal(nets, "{}");
}

/* As lease_nets(), of networks that keep their subnets. */
static int lease_fixed(struct test_state *t, const char *uuid, const char *fixed, const char *taken,
                       char *out, size_t size, struct err *err)
{
	cleanup_json cJSON *f = cJSON_Parse(fixed), *busy = taken ? cJSON_Parse(taken) : NULL;
	return lease(t, uuid, &(struct lease_wants){.fixed = f, .taken = busy}, out, size, err);
}

static void fixed_subnets(void **data)
{
	struct test_state *t = *data;
	static const struct {
		const char *fixed, *taken;
		enum err_code code;
		const char *text;
	} refusals[] = {
	        {"{\"n\":\"198.18.1.0/24\"}", NULL, ERR_BUSY,
	         "network n keeps its 198.18.1.0/24, which overlaps"},
	        {"{\"n\":\"198.18.0.0/16\"}", NULL, ERR_BUSY, "overlaps"},
	        {"{\"n\":\"198.18.1.128/30\"}", NULL, ERR_BUSY, "overlaps"},
	        {"{\"n\":\"198.18.0.0/25\"}", NULL, ERR_BUSY, "overlaps"}, /* a block of the pool */
	        {"{\"n\":\"198.19.4.0/24\"}", "[\"198.19.0.0/16\"]", ERR_BUSY,
	         "of the engine or of this host"},
	        {"{\"n\":\"198.19.6.0/24\",\"m\":\"198.19.6.128/25\"}", NULL, ERR_BUSY, "network m keeps"},
	        {"{\"n\":\"198.19.6.0/31\"}", NULL, ERR_INVALID, "is no subnet"},
	        {"{\"n\":\"0.0.0.0/0\"}", NULL, ERR_INVALID, "is no subnet"},
	        {"{\"n\":\"fd00::/64\"}", NULL, ERR_INVALID, "is no subnet"},
	        {"{\"n\":7}", NULL, ERR_INVALID, "is no subnet"},
	};
	char nets[256];
	struct err err = {0};
	test_sessions_set(t, "SESSION_SUBNET_POOL", "198.18.0.0/23");
	assert_ok(lease_fixed(t, "a", "{\"n\":\"198.18.1.0/24\"}", NULL, nets, sizeof(nets), err));
	assert_string_equal(nets, "{\"n\":\"198.18.1.0/24\"}");
	/* what is given out stays clear of it, and is told what is left of the pool */
	assert_ok(lease_nets(t, "b", "[\"w\",\"x\",\"y\",\"z\"]", NULL, nets, sizeof(nets), err));
	assert_int_equal(lease_nets(t, "c", "[\"v\"]", NULL, nets, sizeof(nets), &err), -1);
	assert_non_null(strstr(err.msg, "sessions have 4 of 8"));
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		int before = (int)count_leases(t);
		memset(&err, 0, sizeof(err));
		assert_int_equal(
		        lease_fixed(t, "d", refusals[i].fixed, refusals[i].taken, nets, sizeof(nets), &err),
		        -1);
		if (err.code != refusals[i].code || !strstr(err.msg, refusals[i].text))
			fail_msg("%s: %s: %s", refusals[i].fixed, err_name(err.code), err.msg);
		assert_int_equal(count_leases(t), before);
	}
	cleanup_json cJSON *survey = NULL;
	assert_ok(!(survey = lease_survey(t->st, err)));
	assert_int_equal(json_int(survey, "subnets.leased", -1), 4);
	assert_ok(db_run(t->st->db, err, "DELETE FROM leases WHERE session = 'a'", ""));
	assert_ok(lease_fixed(t, "d", "{\"n\":\"198.18.1.0/25\"}", NULL, nets, sizeof(nets), err));
	assert_string_equal(nets, "{\"n\":\"198.18.1.0/25\"}");
}

static void bad_pools(void **data)
{
	struct test_state *t = *data;
	static const char *const bad[] = {"nonsense",       "10.0.0.0",  "10.0.0.0/27",  "10.0.0.0/7",
	                                  "10.0.0.0/16x",   "10.0.0/16", "300.0.0.0/16", "10.0.0.0/-8",
	                                  "10.0.0.0/16/26", "fd00::/64", "/16",          "10.0.0.0/"};
	char nets[256];
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = {0};
		test_sessions_set(t, "SESSION_SUBNET_POOL", bad[i]);
		assert_int_equal(lease_nets(t, "a", "[\"x\"]", NULL, nets, sizeof(nets), &err), -1);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_non_null(strstr(err.msg, bad[i]));
	}
	assert_int_equal(count_leases(t), 0);
}

/* Set up the loopback of a network namespace of our own with a route to ${net}/26. */
static int add_route(const char *net)
{
	struct rtentry r = {.rt_flags = RTF_UP, .rt_dev = (char[]){"lo"}};
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	struct sockaddr_in dst = {.sin_family = AF_INET}, mask = dst;
	cleanup_close int fd = socket(AF_INET, SOCK_DGRAM, 0);
	inet_pton(AF_INET, net, &dst.sin_addr);
	inet_pton(AF_INET, "255.255.255.192", &mask.sin_addr);
	memcpy(&r.rt_dst, &dst, sizeof(dst));
	memcpy(&r.rt_genmask, &mask, sizeof(mask));
	return ioctl(fd, SIOCSIFFLAGS, &lo) || ioctl(fd, SIOCADDRT, &r);
}

static int in_own_network(void)
{
	struct test_state t = {0};
	struct err err = {0};
	char nets[256] = "";
	if (add_route("198.18.0.0"))
		return 2;
	test_sessions_connect(&t);
	test_sessions_set(&t, "SESSION_SUBNET_POOL", "198.18.0.0/24");
	return lease_nets(&t, "a", "[\"x\"]", NULL, nets, sizeof(nets), &err) ||
	       strcmp(nets, "{\"x\":\"198.18.0.64/26\"}");
}

static void routes_of_the_host(void **data)
{
	(void)data;
	int status;
	pid_t pid = fork();
	if (pid == 0)
		_exit(unshare(CLONE_NEWNET) ? 77 : in_own_network());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip(); /* needs root */
	assert_int_equal(status, 0);
}

static void fast_with_many(void **data)
{
	struct test_state *t = *data;
	char nets[256];
	struct block b;
	assert_ok(db_run(t->st->db, err,
	                 "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)"
	                 " INSERT INTO leases (kind, value, session, purpose, taken_at)"
	                 " SELECT 'subnet', 3323068416 + 64 * i, 's', 'x', 1 FROM n" /* 198.18.0.0 */
	                 " UNION ALL SELECT 'port', 20000 + i, 's', 'x', 1 FROM n",
	                 ""));
	test_sessions_set(t, "SESSION_SUBNET_POOL", "198.16.0.0/12");
	test_sessions_set(t, "SESSION_PORT_RANGE", "20000-30200");
	int64_t began = clock_mono_ms();
	assert_ok(lease_nets(t, "a", "[\"1\",\"2\",\"3\"]", "[\"198.16.0.0/15\"]", nets, sizeof(nets), err));
	assert_ok(take(t, "b", &b, err));
	assert_true(clock_mono_ms() - began < 5000);
	assert_string_equal(
	        nets, "{\"1\":\"198.27.196.0/26\",\"2\":\"198.27.196.64/26\",\"3\":\"198.27.196.128/26\"}");
	assert_true(b.port >= 30000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(subnets, setup, teardown),
	        cmocka_unit_test_setup_teardown(fixed_subnets, setup, teardown),
	        cmocka_unit_test_setup_teardown(bad_pools, setup, teardown),
	        cmocka_unit_test_setup_teardown(routes_of_the_host, setup, teardown),
	        cmocka_unit_test_setup_teardown(fast_with_many, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
