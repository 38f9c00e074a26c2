/* More than one engine: this file brings its own table, with one that never answers and one whose objects are a count. */
#include "sessions/counters.h"
#include "sessions/engine.h"
#include "sessions/plan.h"
#include "sessions/store.h"
#include "sessions/test_stack.h"

/* What the counting engine has, and was asked. */
static struct box {
	int containers, networks;
	bool stubborn, deaf, kept, told, late, dead, race, ill, heard;
	char orphan[ID_UUID_LEN + 1];
	int stops, listings, questions;
} box;

static int box_plan(struct job *job, struct session_row *row, struct lease_wants *wants, struct err *err)
{
	(void)job, (void)err;
	json_add(row->spec, "services", cJSON_Parse("[\"web\"]"));
	wants->ports = cJSON_Parse("[{\"service\":\"web\",\"purpose\":\"80/tcp\",\"target\":80}]");
	wants->networks = cJSON_Parse("[\"front\",\"back\"]");
	wants->taken = cJSON_Parse("[\"198.18.0.0/26\"]");
	return 0;
}

static int box_prepare(struct job *job, const struct session_row *row, struct err *err)
{
	return box.deaf ? err_set(err, ERR_ENGINE, "the box is deaf") : plan_write(job_state(job), row, err);
}

static int box_launch(struct job *job, const struct session_row *row, struct err *err)
{
	(void)job, (void)row, (void)err;
	box.containers = 2;
	box.networks = 1;
	return 0;
}

static int box_wait(struct job *job, const struct session_row *row, struct err *err)
{
	(void)job, (void)row, (void)err;
	return 0;
}

static int box_stop(struct state *st, const struct session_row *row, bool keep, struct err *err)
{
	(void)st, (void)row, (void)err;
	box.stops++;
	box.kept = keep;
	if (!box.stubborn)
		box.containers = box.networks = 0;
	return 0;
}

static int box_left(struct state *st, const struct session_row *row, cJSON *left, struct err *err)
{
	(void)st, (void)row;
	if (box.deaf)
		return err_set(err, ERR_ENGINE, "the box is deaf");
	json_add_int(left, "containers", box.containers);
	json_add_int(left, "networks", box.networks);
	json_add_int(left, "volumes", 0);
	return box.containers + box.networks;
}

static bool box_alive(struct state *st, const struct session_row *row)
{
	struct err ignored = {0};
	box.questions++;
	/* somebody uses it between the look and what is done about it */
	if (box.race)
		db_run(st->db, &ignored, "UPDATE sessions SET used_at = used_at + 1 WHERE uuid = ?", "t",
		       row->uuid);
	return !box.dead;
}

static cJSON *box_services(struct state *st, const struct session_row *row)
{
	cJSON *list = json_array(), *one = json_object();
	(void)st, (void)row;
	json_add_text(one, "name", "lid");
	json_add_text(one, "state", box.ill ? "starting" : "ready");
	cJSON_AddItemToArray(list, one);
	return list;
}

/* Nothing ever happens to its services that it would tell of, but somebody rings. */
static int box_await(struct state *st, const struct session_row *row, int64_t since_ms, int fd,
                     int64_t timeout_ms, struct err *err)
{
	struct pollfd bell = {.fd = fd, .events = POLLIN};
	(void)row, (void)since_ms, (void)err;
	state_ring(st);
	box.heard = poll(&bell, 1, (int)timeout_ms) == 1;
	box.ill = false;
	return 0;
}

static int64_t box_used_at(struct state *st, const struct session_row *row)
{
	(void)st, (void)row;
	return 0;
}

static cJSON *box_found(struct state *st, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	cJSON *found = json_object(), *sessions = cJSON_AddArrayToObject(found, "sessions");
	box.listings++;
	/* those that run, as an engine would know of them */
	if (box.told &&
	    db_query(st->db, &q, err, "SELECT uuid FROM sessions WHERE state = 'running'", "") == 0) {
		while (query_next(&q, err) > 0) {
			cJSON *one = json_object();
			json_add_text(one, "uuid", query_text(&q, 0));
			json_add_bool(one, "alive", true);
			cJSON_AddItemToArray(sessions, one);
		}
	}
	if (box.orphan[0] && (box.late || box.containers || box.networks)) {
		cJSON *one = json_object();
		json_add_text(one, "uuid", box.orphan);
		cJSON_AddItemToArray(sessions, one);
	}
	return found;
}

static cJSON *silent_found(struct state *st, struct err *err)
{
	(void)st;
	err_set(err, ERR_ENGINE, "nobody answers");
	return NULL;
}

static const struct engine silent = {.name = "silent", .found = silent_found};
static const struct engine counting = {.name = "box",
                                       .plan = box_plan,
                                       .prepare = box_prepare,
                                       .launch = box_launch,
                                       .wait = box_wait,
                                       .stop = box_stop,
                                       .left = box_left,
                                       .alive = box_alive,
                                       .services = box_services,
                                       .await = box_await,
                                       .used_at = box_used_at,
                                       .found = box_found};

/* In place of those in engine.c. */
const struct engine *const engines[] = {&silent, &counting, &engine_process, NULL};

const struct engine *engine_by_name(const char *name, struct err *err)
{
	for (size_t i = 0; engines[i]; i++)
		if (!strcmp(engines[i]->name, name))
			return engines[i];
	err_set(err, ERR_ENGINE, "no engine %s", name);
	return NULL;
}

const struct engine *engine_chosen(const struct config *cfg, struct err *err)
{
	(void)cfg, (void)err;
	return &counting;
}

static int box_setup(void **data)
{
	int rc = setup(data);
	box = (struct box){0};
	test_sessions_set(*data, "SESSION_SUBNET_POOL", "198.18.0.0/22");
	return rc;
}

static void receipts_count_what_the_engine_makes(void **data)
{
	static const char *const order[] = {"ok",    "containers", "networks", "volumes",
	                                    "ports", "files",      "leases",   "rows"};
	struct test_state *t = *data;
	does(t, "session.start", "{\"name\":\"demo\"}");
	assert_int_equal(count(t, "SELECT count(*) FROM leases WHERE kind = 'subnet'"), 2);
	box.stubborn = true;
	refused(t, "session.stop", "{\"name\":\"demo\"}", ERR_BUSY,
	        "session demo is not gone: 2 containers, 1 networks, 0 volumes, 0 ports, 0 files are left;");
	assert_false(box.kept);
	assert_int_equal(count(t, "SELECT count(*) FROM leases WHERE kind = 'subnet'"), 2);
	box.stubborn = false;
	cleanup_json cJSON *result = run(t, "session.stop", "{\"name\":\"demo\"}");
	const cJSON *one = json_at(result, "receipt")->child;
	for (size_t i = 0; i < ARRAY_LEN(order); i++, one = one->next) {
		assert_non_null(one);
		assert_string_equal(one->string, order[i]);
		assert_true(i == 0 ? cJSON_IsTrue(one) : one->valueint == 0);
	}
	assert_null(one);
	assert_nothing_left(t);
}

static void keeping_is_told(void **data)
{
	struct test_state *t = *data;
	does(t, "session.start", "{\"name\":\"demo\"}");
	does(t, "session.stop", "{\"name\":\"demo\",\"keep\":true}");
	assert_true(box.kept);
	assert_int_equal(count(t, "SELECT count(*) FROM leases WHERE kind = 'subnet'"), 2);
	does(t, "session.start", "{\"name\":\"demo\"}");
	does(t, "session.stop", "{\"name\":\"demo\"}");
	assert_false(box.kept);
	assert_nothing_left(t);
}

/* Nothing is known of what is left, so nothing is given back; it is tried again when the engine answers. */
static void an_engine_that_went_away_keeps_the_session(void **data)
{
	struct test_state *t = *data;
	does(t, "session.start", "{\"name\":\"demo\"}");
	box.deaf = true;
	refused(t, "session.stop", "{\"name\":\"demo\"}", ERR_ENGINE, "the box is deaf");
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE state = 'stopping'"), 1);
	assert_int_equal(count(t, "SELECT count(*) FROM receipts WHERE ok = 0 AND next_try_at > removed_at"),
	                 1);
	assert_int_equal(count(t, "SELECT count(*) FROM leases"), 3);
	box.deaf = false;
	assert_ok(db_run(t->st->db, err, "UPDATE receipts SET next_try_at = 1", ""));
	cleanup_json cJSON *r = run(t, "session.reap", "{}");
	assert_true(json_bool(only_removed(r), "receipt.ok", false));
	assert_nothing_left(t);
}

static char *metrics(struct test_state *t)
{
	struct str out = STR_INIT;
	counters_render(t->st, &out);
	return out.p ? out.p : mem_strdup("");
}

static void assert_metric(struct test_state *t, const char *line)
{
	cleanup_free char *all = metrics(t), *whole = mem_printf("\n%s\n", line);
	if (!strstr(all, whole))
		fail_msg("no line %s in\n%s", line, all);
}

/* What does not go is tried again by itself, later each time, and seen meanwhile; a reap before the time leaves it alone. */
static void a_removal_is_tried_again_and_again(void **data)
{
	struct test_state *t = *data;
	does(t, "session.start", "{\"name\":\"demo\"}");
	assert_metric(t, "codefoundry_sessions{state=\"running\"} 1");
	assert_metric(t, "codefoundry_sessions_leases{kind=\"subnet\"} 2");
	box.stubborn = true;
	refused(t, "session.stop", "{\"name\":\"demo\"}", ERR_BUSY, "2 containers");
	int64_t wait_ms = 30000;
	for (int tries = 1; tries <= 10; tries++) {
		struct err err = {0};
		cleanup_json cJSON *shown = session_show(t->st, "demo", &err);
		assert_string_equal(json_text(shown, "state"), "stopping");
		assert_false(json_bool(shown, "receipt.ok", true));
		assert_int_equal(json_int(shown, "receipt.containers", -1), 2);
		assert_int_equal(json_int(shown, "tries", -1), tries);
		assert_int_equal(count(t, "SELECT next_try_at - removed_at FROM receipts"), wait_ms);
		assert_int_equal(json_int(shown, "next_try_at", 0),
		                 count(t, "SELECT next_try_at FROM receipts"));
		assert_metric(t, "codefoundry_sessions_receipts_open 1");
		int stops = box.stops;
		does(t, "session.reap", "{}");
		assert_int_equal(box.stops, stops);
		assert_ok(db_run(t->st->db, err, "UPDATE receipts SET next_try_at = 1", ""));
		refused(t, "session.reap", "{}", ERR_BUSY, "session demo is not gone");
		assert_int_equal(box.stops, stops + 1);
		wait_ms = wait_ms * 2 < 3600000 ? wait_ms * 2 : 3600000;
	}
	assert_metric(t, "codefoundry_sessions_receipts_total{ok=\"false\"} 11");
	assert_metric(t, "codefoundry_sessions_receipts_total{ok=\"true\"} 0");
	box.stubborn = false;
	assert_ok(db_run(t->st->db, err, "UPDATE receipts SET next_try_at = 1", ""));
	cleanup_json cJSON *r = run(t, "session.reap", "{}");
	assert_true(json_bool(only_removed(r), "receipt.ok", false));
	struct err err = {0};
	cleanup_json cJSON *gone = session_show(t->st, "demo", &err);
	assert_string_equal(json_text(gone, "state"), "removed");
	assert_true(json_bool(gone, "receipt.ok", false));
	assert_metric(t, "codefoundry_sessions_receipts_open 0");
	assert_metric(t, "codefoundry_sessions_receipts_total{ok=\"true\"} 1");
	assert_metric(t, "codefoundry_sessions_reaps_total 21");
	assert_nothing_left(t);
}

static void orphans_of_every_engine(void **data)
{
	struct test_state *t = *data;
	id_uuid(box.orphan);
	box.containers = 3;
	cleanup_json cJSON *dry = run(t, "session.reap", "{\"dry_run\":true}");
	assert_int_equal(json_int(dry, "orphans", -1), 1);
	assert_int_equal(box.stops, 0);
	/* what does not go is an error, though the engine said that it went */
	box.stubborn = true;
	refused(t, "session.reap", "{}", ERR_BUSY, "{\"containers\":3,\"networks\":0,\"volumes\":0}");
	box.stubborn = false;
	cleanup_json cJSON *r = run(t, "session.reap", "{}");
	assert_int_equal(json_int(r, "orphans", -1), 1);
	assert_int_equal(box.containers, 0);
	assert_false(box.kept);
	cleanup_json cJSON *none = run(t, "session.reap", "{}");
	assert_int_equal(json_int(none, "orphans", -1), 0);
	/* what was removed by its own session after the listing is none */
	box.late = true;
	cleanup_json cJSON *late = run(t, "session.reap", "{}");
	assert_int_equal(json_int(late, "orphans", -1), 0);
}

/* What has happened to a session since the look is looked at anew, before anything is done to it. */
static void what_changed_since_the_look_is_left(void **data)
{
	struct test_state *t = *data;
	does(t, "session.start", "{\"name\":\"demo\"}");
	box.dead = box.race = true;
	cleanup_json cJSON *early = run(t, "session.reap", "{}");
	assert_int_equal(cJSON_GetArraySize(json_at(early, "removed")), 0);
	assert_int_equal(box.stops, 0);
	box.race = false;
	cleanup_json cJSON *late = run(t, "session.reap", "{}");
	assert_string_equal(json_text(only_removed(late), "reason"), "crashed");
	assert_nothing_left(t);
}

/* However many sessions there are, an engine is asked once; of those that its listing leaves out, by themselves. */
static void engines_are_asked_once(void **data)
{
	struct test_state *t = *data;
	for (int i = 0; i < 5; i++) {
		cleanup_free char *args = mem_printf("{\"name\":\"s%d\"}", i);
		does(t, "session.start", args);
	}
	box.told = true;
	box.listings = box.questions = 0;
	does(t, "session.reap", "{}");
	assert_int_equal(box.listings, 1);
	assert_int_equal(box.questions, 0);
	box.told = false;
	does(t, "session.reap", "{}");
	assert_int_equal(box.listings, 2);
	assert_int_equal(box.questions, 5);
	for (int i = 0; i < 5; i++) {
		cleanup_free char *args = mem_printf("{\"name\":\"s%d\"}", i);
		does(t, "session.stop", args);
	}
	assert_nothing_left(t);
}

/* A row that another build of the program made: it stays, the others are reaped. */
static void rows_of_an_unknown_engine(void **data)
{
	struct test_state *t = *data;
	does(t, "session.start", "{\"name\":\"alien\"}");
	does(t, "session.start", "{\"name\":\"demo\"}");
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET engine = 'swarm' WHERE name = 'alien'", ""));
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET expires_at = 1, hard_expires_at = 1", ""));
	cleanup_json cJSON *r = run(t, "session.reap", "{}");
	assert_string_equal(json_text(only_removed(r), "name"), "demo");
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE name = 'alien'"), 1);
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET engine = 'box'", ""));
	does(t, "session.stop", "{\"name\":\"alien\"}");
	assert_nothing_left(t);
}

static void files_are_named_in_a_terminal_only(void **data)
{
	static const struct {
		const char *owner, *args;
		enum err_code code;
	} cases[] = {
	        {"tg:7", "{\"compose\":[\"/etc/passwd\"]}", ERR_DENIED},
	        {"gw:x", "{\"env_file\":\"/etc/passwd\"}", ERR_DENIED},
	        {"cli:test", "{\"compose\":[\"passwd\"]}", ERR_INVALID},
	        {"cli:test", "{\"compose\":[]}", ERR_INVALID},
	        {"cli:test", "{\"compose\":\"/etc/passwd\"}", ERR_INVALID},
	        {"cli:test", "{\"compose\":[7]}", ERR_INVALID},
	        {"cli:test", "{\"env_file\":\"/a\"}", ERR_INVALID},
	        {"cli:test", "{\"compose\":[\"/a\"],\"env_file\":\"a\"}", ERR_INVALID},
	        {"cli:test", "{\"compose\":[\"/a\"],\"env_file\":7}", ERR_INVALID},
	};
	struct test_state *t = *data;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		cJSON *result = NULL;
		assert_int_equal(run_as(t, "session.start", cases[i].owner, cases[i].args, &result, &err),
		                 -1);
		assert_int_equal(err.code, cases[i].code);
	}
	does(t, "session.start", "{\"name\":\"demo\",\"compose\":[\"/a\",\"/b\"],\"env_file\":\"/c\"}");
	does(t, "session.stop", "{\"name\":\"demo\"}");
	assert_nothing_left(t);
}

/* What is done to the session itself only the bell tells. */
static void who_waits_hears_the_bell(void **data)
{
	struct test_state *t = *data;
	cleanup_json cJSON *session = NULL;
	does(t, "session.start", "{\"name\":\"demo\"}");
	box.ill = true;
	assert_ok(session_await(t->st, "demo", SESSION_GOAL_HEALTHY, 5000, &session, err));
	assert_true(box.heard);
	assert_string_equal(json_text(session, "state"), "running");
	does(t, "session.stop", "{\"name\":\"demo\"}");
	assert_nothing_left(t);
}

#define B(name) cmocka_unit_test_setup_teardown(name, box_setup, teardown)

int main(int argc, char **argv)
{
	if (argc > 1)
		return again_main(argc, argv);
	const struct CMUnitTest tests[] = {
	        B(receipts_count_what_the_engine_makes),
	        B(keeping_is_told),
	        B(an_engine_that_went_away_keeps_the_session),
	        B(a_removal_is_tried_again_and_again),
	        B(orphans_of_every_engine),
	        B(what_changed_since_the_look_is_left),
	        B(engines_are_asked_once),
	        B(rows_of_an_unknown_engine),
	        B(files_are_named_in_a_terminal_only),
	        B(who_waits_hears_the_bell),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
