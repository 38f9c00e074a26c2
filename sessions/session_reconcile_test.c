/* Sessions of containers whose database, or files too, are gone: their labels bring them back or end them, and what only looks like them
 * is left alone. */
#include "sessions/adopt.h"
#include "sessions/lease_file.h"
#include "sessions/test_compose.h"
#include "sessions/test_rollback.h"

static const char web_file[] = "services:\n"
                               "  web:\n"
                               "    image: '@'\n"
                               "    stop_signal: SIGKILL\n"
                               "    command: [sleep, '1000']\n"
                               "    ports: ['80']\n"
                               "    volumes: ['data:/data']\n"
                               "    healthcheck: {test: [CMD, 'true'], interval: 30s}\n"
                               "volumes: {data: {}}\n";

static void lose_files(struct test_state *t)
{
	cleanup_free char *sessions = state_path(t->st, "sessions");
	assert_ok(tree_remove(sessions, err));
}

static void assert_reaped(const cJSON *reaped, int removed, int adopted, int orphans)
{
	cleanup_free char *shown = json_print_pretty(reaped);
	if (cJSON_GetArraySize(json_at(reaped, "removed")) != removed ||
	    json_int(reaped, "adopted", -1) != adopted || json_int(reaped, "orphans", -1) != orphans)
		fail_msg("%s", shown);
}

static void reap(struct test_state *t, int removed, int adopted, int orphans)
{
	cleanup_json cJSON *r = run(t, "session.reap", "{}");
	assert_reaped(r, removed, adopted, orphans);
	cleanup_json cJSON *again = run(t, "session.reap", "{}");
	assert_reaped(again, 0, 0, 0);
}

static cJSON *shown(struct test_state *t, const char *name)
{
	struct err err = {0};
	cJSON *s = session_show(t->st, name, &err);
	if (!s)
		fail_msg("%s", err.msg);
	return s;
}

/* ports and subnets of all sessions, as text */
static char *leases(struct test_state *t)
{
	char *all = NULL;
	assert_ok(db_get_text(
	        t->st->db, &all, err,
	        "SELECT group_concat(kind || value || coalesce(service, '') || coalesce(target, ''))"
	        " FROM (SELECT * FROM leases ORDER BY kind, value)",
	        ""));
	return all;
}

static void labels_alone_bring_one_back(void **data)
{
	struct test_state *t = *data;
	cJSON_Delete(start(t, "demo", web_file));
	cleanup_json cJSON *before = shown(t, "demo");
	cleanup_free char *had = leases(t);
	lose_database(t);
	lose_files(t);
	cleanup_json cJSON *dry = run(t, "session.reap", "{\"dry_run\":true}");
	assert_reaped(dry, 0, 1, 0);
	assert_int_equal(count(t, "SELECT count(*) FROM sessions"), 0);
	reap(t, 0, 1, 0);
	cleanup_json cJSON *after = shown(t, "demo");
	static const char *const same[] = {"uuid", "name", "engine", "state"};
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		assert_string_equal(json_text(after, same[i]), json_text(before, same[i]));
	assert_true(cJSON_Compare(json_at(after, "endpoints"), json_at(before, "endpoints"), true));
	assert_string_equal(json_text(after, "services.0.state"), "ready");
	assert_string_equal(json_text(after, "owner"), "system:adopted");
	/* the label has seconds */
	assert_int_equal(json_int(after, "expires_at", 0) / 1000, json_int(before, "expires_at", 1) / 1000);
	cleanup_free char *has = leases(t);
	assert_string_equal(has, had);
	/* what could not be started again is not stopped for it */
	static const char left[] =
	        "session demo is left running, for it could not be started again: its compose file";
	refused(t, "session.restart", "{\"name\":\"demo\"}", ERR_NOT_FOUND, left);
	refused(t, "session.stop", "{\"name\":\"demo\",\"keep\":true}", ERR_NOT_FOUND, left);
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE state = 'running'"), 1);
	/* from now on it has a file, and with that its extension survives */
	does(t, "session.extend", "{\"name\":\"demo\",\"minutes\":100}");
	cleanup_json cJSON *extended = shown(t, "demo");
	lose_database(t);
	reap(t, 0, 1, 0);
	cleanup_json cJSON *still = shown(t, "demo");
	assert_int_equal(json_int(still, "expires_at", 0), json_int(extended, "expires_at", 1));
	stop_gone(t, "demo");
	assert_gone(t);
}

static void what_was_kept_is_kept(void **data)
{
	struct test_state *t = *data;
	cJSON_Delete(start(t, "demo", web_file));
	does(t, "session.stop", "{\"name\":\"demo\",\"keep\":true}");
	cleanup_free char *had = leases(t);
	lose_database(t);
	lose_files(t);
	reap(t, 0, 1, 0);
	cleanup_json cJSON *after = shown(t, "demo");
	assert_string_equal(json_text(after, "state"), "stopped");
	cleanup_free char *has = leases(t);
	assert_string_equal(has, had);
	assert_objects(t, 1, 1, 1);
	/* its files are gone for good: it cannot be resumed, and stays what it was */
	refused(t, "session.start", "{\"name\":\"demo\"}", ERR_NOT_FOUND, "compose.yml is gone");
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE state = 'stopped'"), 1);
	stop_gone(t, "demo");
	assert_gone(t);
}

/* As `docker rm -f` does, which keeps volumes that have no name. */
static void a_container_was_removed_by_hand(void **data)
{
	struct test_state *t = *data;
	cJSON_Delete(start(t, "demo",
	                   "services:\n  web:\n    image: '@'\n    command: [sleep, '1000']\n"
	                   "    stop_signal: SIGKILL\n"
	                   "    volumes: [/one, {type: volume, target: /two}]\n"));
	assert_objects(t, 1, 1, 2);
	cleanup_row struct session_row row = {0};
	assert_ok(store_by_name(t->st, "demo", &row, err));
	cleanup_json cJSON *list = NULL;
	assert_ok(!(list = compose_objects(t->st, row.uuid, DOCKER_CONTAINER, err)));
	cleanup_free char *path = mem_printf("/containers/%s?force=1", json_text(list->child, "id"));
	assert_ok(docker_call("DELETE", path, NULL, 0, NULL, err));
	reap(t, 1, 0, 0);
	assert_gone(t);
}

static void expired_labels_are_removed_at_once(void **data)
{
	struct test_state *t = *data;
	test_sessions_set(t, "SESSION_TIMEOUT", "1");
	cJSON_Delete(start(t, "demo", web_file));
	cleanup_json cJSON *s = shown(t, "demo");
	lose_database(t);
	lose_files(t);
	while (clock_now_ms() <= json_int(s, "expires_at", 0))
		poll(NULL, 0, (int)(json_int(s, "expires_at", 0) - clock_now_ms() + 1));
	reap(t, 0, 0, 1);
	assert_gone(t);
}

/* Containers that never ran, networks and volumes: no session can be made of them. */
static void what_never_ran_is_removed(void **data)
{
	struct test_state *t = *data;
	char uuid[ID_UUID_LEN + 1];
	id_uuid(uuid);
	cleanup_free char *install = mem_printf(LABEL_INSTALL "=%s", t->st->install),
	                  *session = mem_printf(LABEL_SESSION "=%s", uuid),
	                  *expires =
	                          mem_printf(LABEL_EXPIRES "=%lld", (long long)clock_now_ms() / 1000 + 1000);
	const char *const labels[] = {install, session, expires, LABEL_NAME "=demo", LABEL_SERVICE "=web",
	                              NULL};
	cleanup_free char *created =
	        test_docker_container(&docker, "created", "sleep 1", labels, NULL, false);
	assert_objects(t, 1, 0, 0);
	reap(t, 0, 0, 1);
	assert_objects(t, 0, 0, 0);
	assert_gone(t);
}

static void the_database_alone_is_gone(void **data)
{
	struct test_state *t = *data;
	cJSON_Delete(start(t, "demo", web_file));
	cleanup_free char *said = sh(t, "demo", "web", "echo kept > /data/x"), *had = leases(t);
	cleanup_json cJSON *before = shown(t, "demo");
	lose_database(t);
	reap(t, 0, 1, 0);
	cleanup_json cJSON *after = shown(t, "demo");
	static const char *const same[] = {"uuid", "name", "owner", "engine", "state"};
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		assert_string_equal(json_text(after, same[i]), json_text(before, same[i]));
	assert_int_equal(json_int(after, "expires_at", 0), json_int(before, "expires_at", 1));
	cleanup_free char *has = leases(t);
	assert_string_equal(has, had);
	/* as if nothing had happened */
	does(t, "session.restart", "{\"name\":\"demo\"}");
	cleanup_free char *kept = sh(t, "demo", "web", "cat /data/x");
	assert_string_equal(kept, "kept\n");
	stop_gone(t, "demo");
	assert_gone(t);
}

/* Removed, and its name used again, since the backup was made. */
static void the_database_is_an_old_one(void **data)
{
	struct test_state *t = *data;
	cleanup_free char *copy = mem_printf("%s/old.db", t->dir),
	                  *db = mem_printf("%s/codefoundry.db", t->dir);
	cJSON_Delete(start(t, "again", web_file));
	cJSON_Delete(start(t, "gone", web_file));
	assert_ok(db_backup(t->st->db, copy, err));
	stop_gone(t, "again");
	stop_gone(t, "gone");
	cJSON_Delete(start(t, "again", web_file));
	cleanup_json cJSON *before = shown(t, "again");
	lose_database(t);
	test_state_disconnect(t);
	assert_int_equal(rename(copy, db), 0);
	test_sessions_connect(t);
	reap(t, 1, 1, 0);
	cleanup_json cJSON *after = shown(t, "again");
	assert_string_equal(json_text(after, "uuid"), json_text(before, "uuid"));
	assert_string_equal(json_text(after, "services.0.state"), "ready");
	assert_objects(t, 1, 1, 1);
	stop_gone(t, "again");
	assert_gone(t);
}

static int64_t all_objects(const char *label)
{
	const char *const labels[] = {label, NULL};
	int64_t n = 0;
	for (enum docker_kind kind = DOCKER_CONTAINER; kind < DOCKER_KINDS; kind++) {
		struct err err = {0};
		cleanup_json cJSON *list = docker_list(kind, labels, &err);
		if (!list)
			fail_msg("%s", err.msg);
		n += cJSON_GetArraySize(list);
	}
	return n;
}

static bool told(const cJSON *reaped, const char *name, const char *why)
{
	const cJSON *one;
	cJSON_ArrayForEach(one, json_at(reaped, "actions"))
	{
		if (!strcmp(json_text(one, "action"), "leave") && strstr(json_text_or(one, "name", ""), name))
			return !strcmp(json_text_or(one, "why", ""), why);
	}
	return false;
}

/* Names like ours, labels of another installation, a session label with no installation: all are told, none is touched. */
static void strangers_survive(void **data)
{
	struct test_state *t = *data;
	char other[ID_UUID_LEN + 1], uuid[ID_UUID_LEN + 1];
	id_uuid(other);
	id_uuid(uuid);
	cleanup_free char *theirs = mem_printf(LABEL_INSTALL "=%s", other),
	                  *session = mem_printf(LABEL_SESSION "=%s", uuid),
	                  *ours = mem_printf(LABEL_INSTALL "=%s", t->st->install),
	                  *project = mem_printf(LABEL_PROJECT "=%sdemo", docker.prefix);
	const char *const foreign[] = {theirs, session, LABEL_NAME "=demo", LABEL_EXPIRES "=5", NULL};
	const char *const alike[] = {project, LABEL_NAME "=demo", session, NULL};
	const char *const nameless[] = {ours, LABEL_SESSION "=demo", NULL};
	/* listed newest first: those of others stand between those that look like ours */
	cleanup_free char *a = test_docker_container(&docker, "demo-web-1", "sleep 600", alike, NULL, true),
	                  *b = test_docker_container(&docker, "theirs", "sleep 600", foreign, NULL, true),
	                  *c = test_docker_container(&docker, "nameless", "sleep 600", nameless, NULL, true),
	                  *d = test_docker_container(&docker, "theirs-2", "sleep 600", foreign, NULL, true);
	int64_t strangers = all_objects(docker.label);
	cJSON_Delete(start(t, "mine", web_file));
	lose_database(t);
	lose_files(t);
	cleanup_json cJSON *r = run(t, "session.reap", "{}");
	assert_reaped(r, 0, 1, 0);
	assert_true(json_int(r, "foreign", 0) >= 4);
	assert_true(told(r, "theirs", "of another installation") ||
	            json_int(r, "foreign", 0) >
	                    ENGINE_FOREIGN_MAX / 2); /* other tests run on this Docker too */
	assert_true(told(r, "demo-web-1", "is called like one of ours, but has no label of ours"));
	assert_true(told(r, "nameless", "has our label, but names no session"));
	stop_gone(t, "mine");
	assert_int_equal(all_objects(docker.label), strangers);
	assert_ok(docker_remove(DOCKER_CONTAINER, a, err));
	assert_ok(docker_remove(DOCKER_CONTAINER, b, err));
	assert_ok(docker_remove(DOCKER_CONTAINER, d, err));
	assert_ok(docker_remove(DOCKER_CONTAINER, c, err));
	assert_gone(t);
}

/* Another installation on this machine, with a session of the same name: each sees and reaps its own only. */
static void a_second_installation_survives(void **data)
{
	struct test_state *t = *data, other = {0};
	cJSON_Delete(start(t, "demo", web_file));
	char *project = mem_strdup(getenv("COMPOSE_PROJECT_NAME"));
	cleanup_free char *second = mem_printf("%sx", project);
	setenv("COMPOSE_PROJECT_NAME", second, 1);
	setenv("SESSION_SUBNET_POOL", "10.215.0.0/16", 1);
	test_sessions_open(&other);
	setenv("ENGINE", "compose", 1);
	test_state_disconnect(&other);
	setenv("SESSION_PORT_RANGE", "9200-9359", 1);
	test_sessions_connect(&other);
	cJSON_Delete(start(&other, "demo", web_file));
	lose_database(&other);
	cleanup_free char *files = state_path(other.st, "sessions");
	assert_ok(tree_remove(files, err));
	reap(&other, 0, 1, 0);
	reap(t, 0, 0, 0);
	assert_objects(t, 1, 1, 1);
	assert_objects(&other, 1, 1, 1);
	stop_gone(&other, "demo");
	reap(t, 0, 0, 0);
	assert_objects(t, 1, 1, 1);
	test_state_close(&other);
	setenv("COMPOSE_PROJECT_NAME", project, 1);
	setenv("SESSION_SUBNET_POOL", "10.214.0.0/16", 1);
	setenv("STATE_DIR", t->dir, 1);
	free(project);
	stop_gone(t, "demo");
	assert_gone(t);
}

/* Its name is another's by now: it gets one of its own. */
static void a_name_that_was_used_again(void **data)
{
	struct test_state *t = *data;
	cJSON_Delete(start(t, "demo", web_file));
	cleanup_json cJSON *first = shown(t, "demo");
	lose_database(t);
	lose_files(t);
	char *project = mem_strdup(getenv("COMPOSE_PROJECT_NAME"));
	cleanup_free char *second = mem_printf("%sx", project);
	test_sessions_set(t, "COMPOSE_PROJECT_NAME",
	                  second); /* or else the names of its objects would be in the way */
	cJSON_Delete(start(t, "demo", web_file));
	reap(t, 0, 1, 0);
	cleanup_free char *renamed = mem_printf("demo-%.6s", json_text(first, "uuid"));
	cleanup_json cJSON *adopted = shown(t, renamed);
	assert_string_equal(json_text(adopted, "uuid"), json_text(first, "uuid"));
	assert_objects(t, 2, 2, 2);
	stop_gone(t, renamed);
	assert_objects(t, 1, 1, 1);
	stop_gone(t, "demo");
	free(project);
	assert_gone(t);
}

/* With the database the id by which all of it is known: the sessions' files have it. */
static void the_installations_id_is_gone_too(void **data)
{
	struct test_state *t = *data;
	cJSON_Delete(start(t, "demo", web_file));
	char install[ID_UUID_LEN + 1];
	memcpy(install, t->st->install, sizeof(install));
	cleanup_free char *file = state_path(t->st, "install");
	assert_int_equal(unlink(file), 0);
	lose_database(t);
	assert_string_equal(t->st->install, install);
	reap(t, 0, 1, 0);
	stop_gone(t, "demo");
	assert_gone(t);
}

/* Docker does not answer: nothing is lost, crashed or an orphan for that. */
static void a_silent_engine_proves_nothing(void **data)
{
	struct test_state *t = *data;
	cJSON_Delete(start(t, "runs", web_file));
	cJSON_Delete(start(t, "kept", web_file));
	does(t, "session.stop", "{\"name\":\"kept\",\"keep\":true}");
	lose_files(t);
	setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock", 1);
	cleanup_json cJSON *r = run(t, "session.reap", "{}");
	assert_reaped(r, 0, 0, 0);
	unsetenv("DOCKER_HOST");
	reap(t, 0, 0, 0);
	stop_gone(t, "runs");
	stop_gone(t, "kept");
	assert_gone(t);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return again_main(argc, argv);
	const struct CMUnitTest tests[] = {
	        V1(labels_alone_bring_one_back),
	        V2(labels_alone_bring_one_back),
	        V1(what_was_kept_is_kept),
	        V1(expired_labels_are_removed_at_once),
	        V1(what_never_ran_is_removed),
	        V1(the_database_alone_is_gone),
	        V1(a_container_was_removed_by_hand),
	        V1(the_database_is_an_old_one),
	        V1(strangers_survive),
	        V1(a_second_installation_survives),
	        V1(a_name_that_was_used_again),
	        V1(a_silent_engine_proves_nothing),
	        V1(the_installations_id_is_gone_too),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
