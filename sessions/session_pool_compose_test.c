/* Warm sessions of containers. */
#include "sessions/test_compose.h"
#include "sessions/test_pool.h"

/* The file that a start without options takes. */
static void file_of(struct test_state *t, const char *yaml)
{
	cleanup_free char *args = with_file(t, "warm", yaml), *path = state_path(t->st, "files/warm.yml");
	setenv("COMPOSE_FILE", path, 1);
	test_sessions_set(t, "COMPOSE_FILE", path);
}

static const char first_file[] = "services:\n"
                                 "  web:\n"
                                 "    image: '@'\n"
                                 "    stop_signal: SIGKILL\n"
                                 "    command: [sleep, '1000']\n"
                                 "    ports: ['80']\n"
                                 "    volumes: ['data:/data']\n"
                                 "    healthcheck: {test: [CMD, 'true'], interval: 30s}\n"
                                 "volumes:\n"
                                 "  data: {}\n";

static int warm_teardown(void **data)
{
	unsetenv("SESSION_POOL");
	unsetenv("COMPOSE_FILE");
	return compose_teardown(data);
}

static char *warm_container(struct test_state *t)
{
	cleanup_free char *name = NULL;
	assert_ok(db_get_text(t->st->db, &name, err, "SELECT name FROM sessions WHERE pool <> ''", ""));
	return container_of(t, name, "web");
}

static void taken_with_all_it_has(void **data)
{
	struct test_state *t = *data;
	file_of(t, first_file);
	pool_of(t, "1");
	refill(t);
	cleanup_free char *before = warm_container(t);
	cleanup_json cJSON *started = run(t, "session.start", "{\"name\":\"demo\"}");
	assert_int_equal(cJSON_GetArraySize(json_at(started, "endpoints")), 1);
	cleanup_free char *after = container_of(t, "demo", "web");
	assert_string_equal(before, after);
	assert_objects(t, 1, 1, 1);

	/* the name is free for another, made anew beside it; nothing of the two is mixed up */
	cleanup_free char *said = sh(t, "demo", "web", "echo kept > /data/x");
	does(t, "session.stop", "{\"name\":\"demo\",\"keep\":true}");
	does(t, "session.reap", "{}");
	does(t, "session.start", "{\"name\":\"demo\"}");
	cleanup_free char *kept = sh(t, "demo", "web", "cat /data/x");
	assert_string_equal(kept, "kept\n");
	refill(t);
	assert_objects(t, 2, 2, 2);
	stop_gone(t, "demo");
	assert_objects(t, 1, 1, 1);
	drain(t);
	assert_gone(t);
}

static void an_edited_file_makes_another(void **data)
{
	struct test_state *t = *data;
	file_of(t, first_file);
	pool_of(t, "1");
	refill(t);
	cleanup_free char *before = warm_container(t), *edited = mem_printf("%s  more: {}\n", first_file);
	file_of(t, edited);
	does(t, "session.start", "{\"name\":\"demo\"}");
	cleanup_free char *after = container_of(t, "demo", "web");
	assert_string_not_equal(before, after);
	cleanup_json cJSON *r = run(t, "session.reap", "{}");
	assert_string_equal(json_text(only_removed(r), "reason"), REASON_RETIRED);
	assert_receipt(json_at(only_removed(r), "receipt"));
	stop_gone(t, "demo");
	assert_gone(t);
}

static void a_dead_one_is_not_taken(void **data)
{
	struct test_state *t = *data;
	file_of(t, first_file);
	pool_of(t, "1");
	refill(t);
	cleanup_free char *dead = warm_container(t), *path = mem_printf("/containers/%s/kill", dead);
	assert_ok(docker_call("POST", path, NULL, 0, NULL, err));
	does(t, "session.start", "{\"name\":\"demo\"}");
	cleanup_free char *after = container_of(t, "demo", "web");
	assert_string_not_equal(dead, after);
	drain(t);
	stop_gone(t, "demo");
	assert_gone(t);
}

#define W1(name) cmocka_unit_test_setup_teardown(name, setup_v1, warm_teardown)

int main(int argc, char **argv)
{
	if (argc > 1)
		return again_main(argc, argv);
	const struct CMUnitTest tests[] = {
	        W1(taken_with_all_it_has),
	        W1(an_edited_file_makes_another),
	        W1(a_dead_one_is_not_taken),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
