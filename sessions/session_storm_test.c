/* Many starts and stops at once, each in a process of its own, on one database: no port and no subnet is ever two sessions', none
 * is lost, and nobody is told that the database is locked. CF_TEST_STORM=200 makes it as large as a machine bears. */
#include "sessions/test_stack.h"

#define TAKERS 200
#define ROUNDS 3
#define SESSIONS 40 /* unless CF_TEST_STORM says otherwise */
#define AT_ONCE 40
#define RANGE "18300-20099" /* behind those of the other tests */

/* -- the observer: triggers see every commit, also what came and went between two looks -- */

static void observe(struct test_state *t)
{
	static const char *const sql[] = {
	        "CREATE TABLE seen (id INTEGER PRIMARY KEY, taken INTEGER, kind TEXT, value INTEGER, session "
	        "TEXT)",
	        "CREATE TRIGGER taken AFTER INSERT ON leases BEGIN"
	        " INSERT INTO seen (taken, kind, value, session) VALUES (1, new.kind, new.value, "
	        "new.session); "
	        "END",
	        "CREATE TRIGGER given AFTER DELETE ON leases BEGIN"
	        " INSERT INTO seen (taken, kind, value, session) VALUES (0, old.kind, old.value, "
	        "old.session); "
	        "END"};
	for (size_t i = 0; i < ARRAY_LEN(sql); i++)
		assert_ok(db_run(t->st->db, err, sql[i], ""));
}

/* Every taking of a port or subnet is followed by its return by the same session, before anybody else takes it. */
static void assert_never_shared(struct test_state *t, int64_t sessions)
{
	assert_int_equal(count(t, "SELECT count(*) FROM (SELECT taken, session,"
	                          " lag(taken, 1, 0) OVER w AS before, lag(session) OVER w AS whose FROM seen"
	                          " WINDOW w AS (PARTITION BY kind, value ORDER BY id))"
	                          " WHERE taken = before OR (taken = 0 AND session IS NOT whose)"),
	                 0);
	assert_int_equal(count(t, "SELECT count(*) FROM leases"), 0);
	assert_int_equal(count(t, "SELECT count(DISTINCT session) FROM seen"), sessions);
	assert_int_equal(count(t, "SELECT sum(iif(taken, 1, -1)) FROM seen"), 0);
}

static int setup_storm(void **data)
{
	struct test_state *t = mem_alloc(sizeof(*t));
	test_sessions_open(t);
	setenv("SESSION_PORT_RANGE", RANGE, 1);
	setenv("SESSION_NESTED_PORTS", "1", 1);
	setenv("SESSION_MAX_COUNT", "1000", 1);
	test_state_disconnect(t);
	test_sessions_connect(t);
	observe(t);
	*data = t;
	return 0;
}

/* -- leases -- */

static int take(struct state *st, const char *uuid, struct err *err)
{
	struct lease_wants wants = {.ports = lease_want_stack(), .nested = 1, .networks = json_array()};
	cJSON_AddItemToArray(wants.networks, cJSON_CreateString("default"));
	int rc = db_begin(st->db, err);
	if (rc == 0 && (lease_take(st, uuid, &wants, err) || db_commit(st->db, err))) {
		db_rollback(st->db);
		rc = -1;
	}
	lease_wants_free(&wants);
	return rc;
}

/* Takes and gives back, again and again. Exit code 0, or what went wrong is on stderr. */
static int taker(int who)
{
	struct test_state t = {0};
	struct err err = {0};
	int rc = open_quiet(&t);
	for (int i = 0; i < ROUNDS && rc == 0; i++) {
		cleanup_free char *uuid = mem_printf("%d.%d", who, i);
		rc = take(t.st, uuid, &err);
		lease_unclaim();
		if (rc == 0)
			rc = db_run(t.st->db, &err, "DELETE FROM leases WHERE session = ?", "t", uuid);
	}
	if (rc)
		fprintf(stderr, "taker %d: %s\n", who, err.msg);
	test_state_disconnect(&t);
	return rc != 0;
}

static void leases_at_once(void **data)
{
	struct test_state *t = *data;
	int status;
	for (int i = 0; i < TAKERS; i++)
		if (fork() == 0)
			_exit(taker(i));
	while (wait(&status) > 0)
		assert_int_equal(status, 0);
	assert_never_shared(t, TAKERS * ROUNDS);
	assert_int_equal(count(t, "SELECT count(*) FROM seen WHERE taken AND kind = 'subnet'"),
	                 TAKERS * ROUNDS);
}

/* -- sessions -- */

struct storm {
	struct test_state *t;
	struct one {
		pid_t pid;
		int64_t job;
		bool stops;
	} * all;
	int n, begun, running;
};

static void begin(struct storm *s, int i, bool stops)
{
	cleanup_free char *args =
	        mem_printf("{\"name\":\"s%d\"%s}", i, stops ? "" : ",\"services\":[\"gateway\"]");
	int64_t job = enqueue(s->t, stops ? "session.stop" : "session.start", args);
	s->all[i] = (struct one){.pid = spawn_job(job, NULL), .job = job, .stops = stops};
	s->running++;
}

/* One of them ended: a start is followed by its stop. */
static void next(struct storm *s)
{
	int status = 0;
	pid_t pid = wait(&status);
	assert_true(pid > 0);
	for (int i = 0; i < s->begun; i++) {
		if (s->all[i].pid != pid)
			continue;
		assert_int_equal(status, 0);
		job_ended(s->t, s->all[i].job, JOB_DONE);
		s->running--;
		s->all[i].pid = 0;
		if (!s->all[i].stops)
			begin(s, i, true);
		return;
	}
}

static void sessions_at_once(void **data)
{
	const char *wish = getenv("CF_TEST_STORM");
	struct storm s = {.t = *data, .n = wish && atoi(wish) > 0 ? atoi(wish) : SESSIONS};
	s.all = mem_alloc((size_t)s.n * sizeof(*s.all));
	while (s.begun < s.n || s.running) {
		if (s.begun < s.n && s.running < AT_ONCE) {
			s.begun++;
			begin(&s, s.begun - 1, false);
		} else {
			next(&s);
		}
	}
	free(s.all);
	assert_never_shared(s.t, s.n);
	assert_int_equal(count(s.t, "SELECT count(*) FROM job_events WHERE text LIKE '%locked%'"), 0);
	assert_int_equal(count(s.t, "SELECT count(*) FROM receipts WHERE ok = 1"), s.n);
	assert_nothing_left(s.t);
}

#define STORM(name) cmocka_unit_test_setup_teardown(name, setup_storm, teardown)

int main(int argc, char **argv)
{
	if (argc > 1)
		return again_main(argc, argv);
	const struct CMUnitTest tests[] = {
	        STORM(leases_at_once),
	        STORM(sessions_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
