#include "sessions/test_lease.h"
#include <sys/wait.h>

#define PROCESSES 8
#define EACH 50

static void blocks_follow_each_other(void **data)
{
	struct test_state *t = *data;
	struct block b[4], none;
	for (int i = 0; i < 4; i++) {
		char uuid[16];
		snprintf(uuid, sizeof(uuid), "s%d", i);
		assert_ok(take(t, uuid, &b[i], err));
		assert_int_equal(b[i].port, base + 16 * i);
		assert_int_equal(b[i].count, 16);
	}
	struct err err = {0};
	assert_int_equal(take(t, "s4", &none, &err), -1);
	assert_int_equal(err.code, ERR_QUOTA);
	/* what is given back is found again, also between others */
	assert_ok(db_run(t->st->db, err, "DELETE FROM leases WHERE session = 's1'", ""));
	assert_ok(take(t, "s5", &none, err));
	assert_int_equal(none.port, base + 16);
}

static void a_gap_too_small_is_skipped(void **data)
{
	struct test_state *t = *data;
	struct block b;
	assert_ok(db_run(t->st->db, err,
	                 "INSERT INTO leases (kind, value, session, purpose, taken_at) VALUES ('port', ?, "
	                 "'x', 'y', 1)",
	                 "i", (int64_t)base + 15));
	assert_ok(take(t, "s", &b, err));
	assert_int_equal(b.port, base + 16);
}

static void a_port_in_use_is_skipped(void **data)
{
	struct test_state *t = *data;
	struct block b;
	struct err why;
	int fd = listen_on(base + 3);
	assert_int_equal(net_probe("127.0.0.1", base + 3, &why), -1);
	assert_ok(take(t, "s", &b, err));
	assert_int_equal(b.port, base + 4);
	close(fd);
	assert_int_equal(net_probe("127.0.0.1", base + 3, &why), 0);

	fd = listen_on(base + 5);
	struct err err = {0};
	assert_int_equal(lease_held(t->st, "s", true, NULL, NULL, &err), 1);
	close(fd);
	assert_int_equal(lease_held(t->st, "s", true, NULL, NULL, &err), 0);
}

/* An outgoing connection of anybody whose own end is a leased port is nothing that the session left. */
static void only_a_listener_holds_a_port(void **data)
{
	struct test_state *t = *data;
	struct err err = {0};
	struct block b;
	struct err why;
	assert_ok(take(t, "s", &b, err));
	int server = listen_on(base + 100), client = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in a = {.sin_family = AF_INET,
	                        .sin_port = htons((uint16_t)b.port),
	                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(client, (struct sockaddr *)&a, sizeof(a)), 0);
	a.sin_port = htons((uint16_t)(base + 100));
	assert_int_equal(connect(client, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(net_probe("127.0.0.1", b.port, &why), -1);
	assert_int_equal(lease_held(t->st, "s", true, NULL, NULL, &err), 0);
	close(client);
	close(server);
}

static void no_range_is_a_clear_refusal(void **data)
{
	struct test_state *t = *data;
	struct block b;
	struct err err = {0};
	test_sessions_set(t, "SESSION_PORT_RANGE", "0-0");
	assert_int_equal(take(t, "s", &b, &err), -1);
	assert_int_equal(err.code, ERR_QUOTA);
	assert_non_null(strstr(err.msg, "SESSION_PORT_RANGE"));
}

static int take_nets(struct test_state *t, const char *uuid, struct err *err)
{
	cleanup_json cJSON *nets = json_array();
	cJSON_AddItemToArray(nets, cJSON_CreateString("a"));
	cJSON_AddItemToArray(nets, cJSON_CreateString("b"));
	struct lease_wants wants = {.networks = nets};
	if (db_begin(t->st->db, err) || lease_take(t->st, uuid, &wants, err) || db_commit(t->st->db, err))
		return -1;
	return 0;
}

static void a_survey_tells_who_has_what(void **data)
{
	struct test_state *t = *data;
	struct block b;
	struct err err = {0};
	char uuid[ID_UUID_LEN + 1];
	id_uuid(uuid);
	assert_ok(take(t, uuid, &b, err));
	assert_ok(take_nets(t, uuid, err));
	cleanup_close int fd = listen_on(base + 63);
	cleanup_json cJSON *survey = lease_survey(t->st, &err);
	if (!survey)
		fail_msg("%s", err.msg);
	assert_int_equal(json_int(survey, "ports.leased", -1), b.count);
	assert_int_equal(json_int(survey, "ports.taken", -1), 1);
	assert_int_equal(json_int(survey, "ports.free", -1), 64 - b.count - 1);
	assert_int_equal(json_int(survey, "subnets.leased", -1), 2);
	assert_int_equal(json_int(survey, "subnets.conflicts", -1), 0);
	assert_int_equal(json_int(survey, "subnets.free", -1),
	                 json_int(survey, "subnets.blocks", 0) - json_int(survey, "subnets.taken", 0) - 2);
}

static void endpoints(void **data)
{
	struct test_state *t = *data;
	struct block b;
	assert_ok(take(t, "s", &b, err));
	struct err err = {0};
	cleanup_json cJSON *leases = lease_list(t->st, "s", &err);
	assert_int_equal(cJSON_GetArraySize(leases), 16);
	assert_int_equal(lease_port_of(leases, "TELEGRAM_PORT"), b.port);
	assert_int_equal(lease_port_of(leases, "BOT_PORT"), b.port + 3);
	assert_int_equal(lease_port_of(leases, "NO_PORT"), 0);
	char url[64];
	snprintf(url, sizeof(url), "ws://127.0.0.1:%d", base + 1);
	cleanup_json cJSON *services = cJSON_Parse("[\"gateway\",\"test-runner\"]");
	cleanup_json cJSON *list = lease_endpoints(leases, services);
	assert_int_equal(cJSON_GetArraySize(list), 2);
	assert_string_equal(json_text(list->child, "url"), url);
	assert_string_equal(json_text(list->child, "service"), "gateway");
	assert_string_equal(json_text(list->child, "name"), "websocket");
}

/* -- ports of containers -- */

static int take_ports(struct test_state *t, const char *uuid, const char *ports, int nested, bool containers,
                      struct err *err)
{
	cleanup_json cJSON *p = cJSON_Parse(ports), *networks = cJSON_Parse("[\"net\"]");
	struct lease_wants wants = {.ports = p, .nested = nested, .networks = containers ? networks : NULL};
	test_sessions_set(t, "SESSION_SUBNET_POOL", "198.18.0.0/20");
	if (db_begin(t->st->db, err))
		return -1;
	if (lease_take(t->st, uuid, &wants, err)) {
		db_rollback(t->st->db);
		return -1;
	}
	return db_commit(t->st->db, err);
}

static void ports_of_containers(void **data)
{
	static const struct {
		const char *name, *scheme;
	} expected[] = {{"websocket", "ws"}, {"443", "https"},     {"5432", "postgresql"}, {"3306", "mysql"},
	                {"6379", "redis"},   {"27017", "mongodb"}, {"5672", "amqp"},       {"22", "ssh"},
	                {"8080", "http"},    {"53", "udp"}};
	struct test_state *t = *data;
	struct err err = {0};
	assert_ok(take_ports(
	        t, "s",
	        "[{\"service\":\"gw\",\"purpose\":\"GATEWAY_PORT\",\"target\":18789,\"protocol\":\"tcp\"},"
	        "{\"service\":\"gw\",\"purpose\":\"443/tcp\",\"target\":443},"
	        "{\"service\":\"gw\",\"target\":5432},"
	        "{\"service\":\"gw\",\"purpose\":\"3306/tcp\",\"target\":3306},"
	        "{\"service\":\"gw\",\"purpose\":\"6379/tcp\",\"target\":6379},"
	        "{\"service\":\"gw\",\"purpose\":\"27017/tcp\",\"target\":27017},"
	        "{\"service\":\"gw\",\"purpose\":\"5672/tcp\",\"target\":5672},"
	        "{\"service\":\"gw\",\"purpose\":\"22/tcp\",\"target\":22},"
	        "{\"service\":\"gw\",\"purpose\":\"8080/tcp\",\"target\":8080},"
	        "{\"service\":\"gw\",\"purpose\":\"53/udp\",\"target\":53,\"protocol\":\"udp\"},"
	        "{\"service\":\"other\",\"purpose\":\"80/tcp\",\"target\":80}]",
	        2, true, err));
	cleanup_json cJSON *leases = lease_list(t->st, "s", &err), *only = cJSON_Parse("[\"gw\"]"),
	                   *endpoints = lease_endpoints(leases, only);
	assert_int_equal(cJSON_GetArraySize(leases), 13);
	assert_int_equal(json_int(leases, "0.target", 0), 18789);
	assert_string_equal(json_text(leases, "2.purpose"), "5432/tcp");
	assert_string_equal(json_text(leases, "9.protocol"), "udp");
	assert_null(json_at(leases, "12.target"));
	assert_string_equal(json_text(leases, "12.purpose"), "nested");
	assert_int_equal(cJSON_GetArraySize(endpoints), ARRAY_LEN(expected));
	for (int i = 0; i < (int)ARRAY_LEN(expected); i++) {
		const cJSON *one = cJSON_GetArrayItem(endpoints, i);
		cleanup_free char *url = mem_printf("%s://127.0.0.1:%d", expected[i].scheme, base + i);
		assert_string_equal(json_text(one, "name"), expected[i].name);
		assert_string_equal(json_text(one, "url"), url);
		assert_string_equal(json_text(one, "service"), "gw");
	}
}

static int bind_udp(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	                        .sin_port = htons((uint16_t)port),
	                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void udp_is_probed_and_held(void **data)
{
	struct test_state *t = *data;
	struct err err = {0};
	static const char *const want = "[{\"service\":\"dns\",\"target\":53,\"protocol\":\"udp\"}]";
	int fd = bind_udp(base);
	assert_ok(take_ports(t, "s", want, 0, true, err));
	cleanup_json cJSON *leases = lease_list(t->st, "s", &err);
	assert_int_equal(json_int(leases, "0.port", 0), base + 1);
	close(fd);
	assert_int_equal(lease_held(t->st, "s", true, NULL, NULL, &err), 0);
	fd = bind_udp(base + 1);
	assert_int_equal(lease_held(t->st, "s", true, NULL, NULL, &err), 1);
	close(fd);
	int tcp = listen_on(base + 1); /* of somebody else */
	assert_int_equal(lease_held(t->st, "s", true, NULL, NULL, &err), 0);
	close(tcp);
}

static void a_session_has_so_many_at_most(void **data)
{
	struct test_state *t = *data;
	struct err err = {0};
	static const char *const want = "[{\"service\":\"a\",\"target\":1}]";
	set_range(t, 600);
	assert_int_equal(take_ports(t, "s", want, LEASE_PORTS_MAX, false, &err), -1);
	assert_int_equal(err.code, ERR_QUOTA);
	assert_ok(take_ports(t, "s", want, LEASE_PORTS_MAX - 1, false, err));
	set_range(t, LEASE_PORTS_MAX + 8);
	assert_int_equal(take_ports(t, "t", want, 10, false, &err), -1);
	assert_non_null(strstr(err.msg, "sessions have 256 of 264"));
}

static int take_many(struct test_state *t, int who)
{
	struct err err = {0};
	struct block b;
	test_sessions_connect(t);
	set_range(t, PROCESSES * EACH * 8 + 200);
	test_sessions_set(t, "SESSION_NESTED_PORTS", "4");
	for (int i = 0; i < EACH; i++) {
		char uuid[32];
		snprintf(uuid, sizeof(uuid), "%d.%d", who, i);
		if (take(t, uuid, &b, &err)) {
			fprintf(stderr, "%s\n", err.msg);
			return 1;
		}
	}
	return 0;
}

/* The primary key makes a duplicate impossible; this shows that none fails or is lost because of it. */
static void many_at_once(void **data)
{
	struct test_state *t = *data;
	for (int p = 0; p < PROCESSES; p++)
		if (fork() == 0)
			_exit(take_many(t, p));
	int status;
	while (wait(&status) > 0)
		assert_int_equal(status, 0);
	int64_t rows = 0, ports = 0, sessions = 0, spread = 0;
	assert_ok(db_get_int(t->st->db, &rows, err, "SELECT count(*) FROM leases", ""));
	assert_ok(db_get_int(t->st->db, &ports, err, "SELECT count(DISTINCT value) FROM leases", ""));
	assert_ok(db_get_int(t->st->db, &sessions, err, "SELECT count(DISTINCT session) FROM leases", ""));
	assert_ok(db_get_int(t->st->db, &spread, err,
	                     "SELECT count(*) FROM (SELECT session FROM leases GROUP BY session"
	                     " HAVING max(value) - min(value) <> 7)",
	                     ""));
	assert_int_equal(rows, PROCESSES * EACH * 8);
	assert_int_equal(ports, rows);
	assert_int_equal(sessions, PROCESSES * EACH);
	assert_int_equal(spread, 0);
}

int main(void)
{
	base = test_sessions_port();
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(blocks_follow_each_other, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_gap_too_small_is_skipped, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_port_in_use_is_skipped, setup, teardown),
	        cmocka_unit_test_setup_teardown(only_a_listener_holds_a_port, setup, teardown),
	        cmocka_unit_test_setup_teardown(no_range_is_a_clear_refusal, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_survey_tells_who_has_what, setup, teardown),
	        cmocka_unit_test_setup_teardown(endpoints, setup, teardown),
	        cmocka_unit_test_setup_teardown(ports_of_containers, setup, teardown),
	        cmocka_unit_test_setup_teardown(udp_is_probed_and_held, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_session_has_so_many_at_most, setup, teardown),
	        cmocka_unit_test_setup_teardown(many_at_once, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
