/* Warm sessions: taken by a plain start, replaced in the background, never counted as anybody's, never left. */
#include "sessions/lease_file.h"
#include "sessions/test_pool.h"
#include "sessions/test_rollback.h"

static int pool_teardown(void **data)
{
	unsetenv("SESSION_POOL");
	return teardown(data);
}

static char *uuid_of(struct test_state *t, const char *name)
{
	char *uuid = NULL;
	assert_ok(db_get_text(t->st->db, &uuid, err, "SELECT uuid FROM sessions WHERE name = ?", "t", name));
	return uuid;
}

static void a_start_takes_a_warm_one(void **data)
{
	struct test_state *t = *data;
	pool_of(t, "2");
	refill(t);
	assert_int_equal(warm(t), 2);
	int before = processes(t);
	int64_t began = clock_now_ms();
	cleanup_json cJSON *started =
	        run(t, "session.start", "{\"name\":\"demo\",\"chat\":{\"chat\":7,\"topic\":0}}");
	assert_string_equal(json_text(started, "name"), "demo");
	assert_int_equal(count(t, "SELECT chat ->> '$.chat' FROM sessions WHERE name = 'demo'"), 7);
	assert_int_equal(processes(t), before); /* nothing was made */
	assert_int_equal(warm(t), 1);
	const cJSON *e;
	cJSON_ArrayForEach(e, json_at(started, "endpoints")) assert_true(answers(json_text(e, "url")));
	cleanup_free char *dir = NULL;
	cleanup_json cJSON *file = NULL;
	assert_ok(db_get_text(t->st->db, &dir, err, "SELECT dir FROM sessions WHERE name = 'demo'", ""));
	assert_ok(lease_file_read(t->st, strrchr(dir, '/') + 1, &file, err));
	assert_string_equal(json_text(file, "session.name"), "demo");
	cleanup_json cJSON *shown = session_show(t->st, "demo", &(struct err){0});
	assert_string_equal(json_text(shown, "owner"), "cli:test");
	assert_true(json_int(shown, "created_at", 0) >= began);
	assert_true(json_int(shown, "expires_at", 0) >= began + 1000 * config_int(t->cfg, "SESSION_TIMEOUT"));
	refill(t);
	assert_int_equal(warm(t), 2);
	stop_clean(t, "demo");
	drain(t);
	assert_nothing_left(t);
}

static void what_asks_for_more_is_made_anew(void **data)
{
	struct test_state *t = *data;
	pool_of(t, "1");
	refill(t);
	does(t, "session.start", "{\"name\":\"part\",\"services\":[\"gateway\"]}");
	assert_int_equal(warm(t), 1);
	/* "pool" in a person's arguments is nothing to us */
	does(t, "session.start", "{\"name\":\"own\",\"pool\":true}");
	assert_int_equal(warm(t), 1);
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE name = 'own' AND pool IS NULL"), 1);
	drain(t);
	stop_clean(t, "part");
	stop_clean(t, "own");
	assert_nothing_left(t);
}

static void other_settings_make_another_stack(void **data)
{
	struct test_state *t = *data;
	pool_of(t, "1");
	refill(t);
	cleanup_free char *old = NULL;
	assert_ok(db_get_text(t->st->db, &old, err, "SELECT uuid FROM sessions", ""));
	test_sessions_set(t, "SESSION_MEMORY_MB", "77");
	does(t, "session.start", "{\"name\":\"demo\"}");
	cleanup_free char *uuid = uuid_of(t, "demo");
	assert_string_not_equal(uuid, old);
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE pool = ''"), 1);
	cleanup_json cJSON *reaped = run(t, "session.reap", "{}");
	assert_string_equal(json_text(only_removed(reaped), "reason"), REASON_RETIRED);
	assert_clean(json_at(only_removed(reaped), "receipt"));
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

static void an_ill_one_is_not_taken(void **data)
{
	struct test_state *t = *data;
	pool_of(t, "1");
	refill(t);
	cleanup_free char *name = NULL;
	assert_ok(db_get_text(t->st->db, &name, err, "SELECT name FROM sessions", ""));
	assert_ok(session_service(t->st, name, "gateway", "stop", err));
	does(t, "session.start", "{\"name\":\"demo\"}");
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE pool = ''"), 1);
	drain(t);
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

/* They count for nobody's quota, are in nobody's list, and a person's session of their name cannot be. */
static void they_are_nobodys(void **data)
{
	struct test_state *t = *data;
	pool_of(t, "2");
	setenv("SESSION_MAX_COUNT", "1", 1);
	refill(t);
	test_sessions_set(t, "SESSION_MAX_COUNT", "1");
	struct err err = {0};
	cleanup_json cJSON *list = sessions_list(t->st, false, &err), *all = sessions_list(t->st, true, &err);
	assert_int_equal(cJSON_GetArraySize(list), 0);
	assert_int_equal(cJSON_GetArraySize(all), 2);
	assert_true(json_bool(all->child, "warm", false));
	cleanup_free char *args = mem_printf("{\"name\":\"%s\"}", json_text(all->child, "name"));
	refused(t, "session.start", args, ERR_INVALID, "no session name");
	does(t, "session.start", "{\"name\":\"demo\"}");
	refused(t, "session.start", "{\"name\":\"more\"}", ERR_QUOTA, "demo");
	assert_int_equal(warm(t), 1); /* the refused one took none */
	/* an operator may stop one by its name */
	cleanup_free char *one = NULL;
	assert_ok(db_get_text(t->st->db, &one, err, "SELECT name FROM sessions WHERE pool IS NOT NULL", ""));
	stop_clean(t, one);
	stop_clean(t, "demo");
	unsetenv("SESSION_MAX_COUNT");
	assert_nothing_left(t);
}

/* A taken one is a session like any other: kept, resumed, restarted, and found by its directory. */
static void a_taken_one_lives_on(void **data)
{
	struct test_state *t = *data;
	pool_of(t, "1");
	refill(t);
	does(t, "session.start", "{\"name\":\"demo\"}");
	does(t, "session.restart", "{\"name\":\"demo\"}");
	does(t, "session.stop", "{\"name\":\"demo\",\"keep\":true}");
	assert_int_equal(processes(t), 0);
	cleanup_json cJSON *reaped = run(t, "session.reap", "{}");
	assert_int_equal(json_int(reaped, "orphans", -1), 0);
	does(t, "session.start", "{\"name\":\"demo\"}");
	assert_int_equal(processes(t), 5);
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

/* No ports but those of warm ones are left: they give way, one after the other, as far as it takes. */
static void they_give_way(void **data)
{
	struct test_state *t = *data;
	char range[32];
	int ports = lease_stack_ports() + (int)config_int(t->cfg, "SESSION_NESTED_PORTS");
	pool_of(t, "3");
	refill(t);
	snprintf(range, sizeof(range), "%d-%d", test_sessions_port(), test_sessions_port() + 3 * ports - 1);
	test_sessions_set(t, "SESSION_PORT_RANGE", range);
	does(t, "session.start", "{\"name\":\"part\",\"services\":[\"gateway\"]}");
	assert_int_equal(warm(t), 2);
	assert_int_equal(count(t, "SELECT count(*) FROM receipts WHERE reason = '" REASON_RETIRED "' AND ok"),
	                 1);
	/* the pool's own start takes nothing from anybody */
	pool_of(t, "3");
	assert_ok(session_pool_task.look(t->st, err));
	setenv("SESSION_PORT_RANGE", range, 1);
	int64_t id = count(t, "SELECT max(id) FROM jobs");
	wait_for(spawn_job(id, NULL));
	job_ended(t, id, JOB_FAILED);
	assert_int_equal(warm(t), 2);
	drain(t);
	stop_clean(t, "part");
	assert_nothing_left(t);
}

/* With the database lost a taken one comes back as its owner's, a warm one as nobody's, to be taken. */
static void they_come_back(void **data)
{
	struct test_state *t = *data;
	static const char *const tables[] = {"sessions", "leases", "session_steps"};
	pool_of(t, "2");
	refill(t);
	does(t, "session.start", "{\"name\":\"demo\"}");
	int before = processes(t);
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		cleanup_free char *sql = mem_printf("DELETE FROM %s", tables[i]);
		assert_ok(db_run(t->st->db, err, sql, ""));
	}
	does(t, "session.reap", "{}");
	cleanup_free char *owner = NULL;
	assert_ok(db_get_text(t->st->db, &owner, err,
	                      "SELECT owner FROM sessions WHERE name = 'demo' AND pool IS NULL", ""));
	assert_string_equal(owner, "cli:test");
	assert_int_equal(warm(t), 1);
	does(t, "session.start", "{\"name\":\"next\"}");
	assert_int_equal(processes(t), before);
	assert_int_equal(warm(t), 0);
	stop_clean(t, "demo");
	stop_clean(t, "next");
	assert_nothing_left(t);
}

/* The backup has a warm one that has been somebody's since: it is nobody else's, and nothing takes it down. */
static void a_taken_one_is_warm_in_the_backup(void **data)
{
	static const struct {
		const char *kind, *args;
	} next[] = {{"session.start", "{\"name\":\"next\"}"}, {"session.reap", "{}"}, {"session.stop", NULL}};
	struct test_state *t = *data;
	for (size_t i = 0; i < ARRAY_LEN(next); i++) {
		pool_of(t, "1");
		refill(t);
		cleanup_free char *warm_name = NULL, *args = NULL;
		assert_ok(db_get_text(t->st->db, &warm_name, err, "SELECT name FROM sessions", ""));
		args = mem_printf("{\"name\":\"%s\"}", warm_name);
		back_up(t);
		does(t, "session.start", "{\"name\":\"demo\"}");
		cleanup_free char *uuid = uuid_of(t, "demo");
		roll_back(t);
		pool_of(t, "0");
		if (next[i].args)
			does(t, next[i].kind, next[i].args);
		else
			refused(t, next[i].kind, args, ERR_STATE, "is called demo by now");
		does(t, "session.reap", "{}");
		cleanup_free char *still = uuid_of(t, "demo");
		assert_non_null(still);
		assert_string_equal(still, uuid);
		stop_clean(t, "demo");
		if (!i)
			stop_clean(t, "next");
		assert_nothing_left(t);
	}
}

/* More starts at once than warm ones: each of those is taken once. */
static void many_at_once(void **data)
{
	struct test_state *t = *data;
	enum { WARM = 3, STARTS = 6 };
	int64_t ids[STARTS];
	pid_t pids[STARTS];
	pool_of(t, "3");
	refill(t);
	int64_t first = count(t, "SELECT max(id) FROM jobs");
	for (int i = 0; i < STARTS; i++)
		ids[i] = enqueue(t, "session.start", "{}");
	for (int i = 0; i < STARTS; i++)
		pids[i] = spawn_job(ids[i], NULL);
	for (int i = 0; i < STARTS; i++) {
		assert_int_equal(wait_for(pids[i]), 0);
		job_ended(t, ids[i], JOB_DONE);
	}
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE pool IS NULL"), STARTS);
	cleanup_free char *sql = mem_printf("SELECT count(*) FROM sessions WHERE dir LIKE '%%/pool_%%' AND"
	                                    " pool IS NULL AND job > %lld",
	                                    (long long)first);
	assert_int_equal(count(t, sql), WARM);
	assert_int_equal(processes(t), 5 * STARTS);
	drain(t);
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET hard_expires_at = 1, expires_at = 1", ""));
	does(t, "session.reap", "{}");
	assert_nothing_left(t);
}

/* What is planned for those that nobody wants any more takes nothing from the count of what people have. */
static void a_plan_counts_what_people_have(void **data)
{
	struct test_state *t = *data;
	pool_of(t, "2");
	refill(t);
	does(t, "session.start", "{\"name\":\"demo\"}");
	refill(t);
	pool_of(t, "0");
	assert_ok(pool_trim(t->st, err));
	cleanup_json cJSON *plan = run(t, "session.reap", "{\"dry_run\":true}");
	assert_int_equal(cJSON_GetArraySize(json_at(plan, "removed")), 2);
	assert_int_equal(json_int(plan, "kept", -9), 1);
	drain(t);
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

/* Killed while it makes a warm one: nothing is left, and the next look makes another. */
static void a_killed_fill_leaves_nothing(void **data)
{
	struct test_state *t = *data;
	static const char *const points[] = {"directory", "launch", "healthy.done"};
	pool_of(t, "1");
	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		assert_ok(session_pool_task.look(t->st, err));
		int64_t id = count(t, "SELECT max(id) FROM jobs");
		int status = wait_for(spawn_job(id, points[i]));
		assert_true(WIFSIGNALED(status));
		does(t, "session.reap", "{}");
		assert_nothing_left(t);
		assert_ok(jobs_recover(t->st, kinds, err) < 0);
		assert_int_equal(wait_for(spawn_job(id, NULL)), 0);
		job_ended(t, id, JOB_DONE);
		assert_int_equal(warm(t), 1);
		drain(t);
		assert_nothing_left(t);
		pool_of(t, "1");
	}
}

/* What failed is not tried again at once, and never while another try goes on. */
static void a_failure_rests(void **data)
{
	struct test_state *t = *data;
	pool_of(t, "1");
	fault(t, "gateway", "exit");
	assert_ok(session_pool_task.look(t->st, err));
	assert_ok(session_pool_task.look(t->st, err));
	int64_t id = count(t, "SELECT id FROM jobs WHERE state = 'queued'");
	assert_int_equal(count(t, "SELECT count(*) FROM jobs"), 1);
	wait_for(spawn_job(id, NULL));
	job_ended(t, id, JOB_FAILED);
	assert_ok(session_pool_task.look(t->st, err));
	assert_int_equal(count(t, "SELECT count(*) FROM jobs"), 1);
	fault(t, "gateway", NULL);
	assert_ok(db_run(t->st->db, err, "UPDATE jobs SET finished_at = finished_at - 61000", ""));
	refill(t);
	assert_int_equal(warm(t), 1);
	drain(t);
	assert_nothing_left(t);
}

static void names(void **data)
{
	(void)data;
	cleanup_free char *name = pool_name();
	assert_true(pool_is_name(name));
	assert_int_equal(session_name_check(name, &(struct err){0}), -1);
	static const char *const others[] = {
	        "pool_", "pool_0123456", "pool_012345678", "pool_0123456g", "pool-01234567", "demo", NULL};
	for (size_t i = 0; others[i]; i++)
		assert_false(pool_is_name(others[i]));
	assert_false(pool_is_name(NULL));
}

#define P(name) cmocka_unit_test_setup_teardown(name, setup, pool_teardown)

int main(int argc, char **argv)
{
	if (argc > 1)
		return again_main(argc, argv);
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(names),
	        P(a_start_takes_a_warm_one),
	        P(what_asks_for_more_is_made_anew),
	        P(other_settings_make_another_stack),
	        P(an_ill_one_is_not_taken),
	        P(they_are_nobodys),
	        P(a_taken_one_lives_on),
	        P(they_give_way),
	        P(they_come_back),
	        P(a_taken_one_is_warm_in_the_backup),
	        P(many_at_once),
	        P(a_plan_counts_what_people_have),
	        P(a_killed_fill_leaves_nothing),
	        P(a_failure_rests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
