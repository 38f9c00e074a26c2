/* Answers of both generations of control groups, and a container that works. */
#include "compose/docker_stats.h"
#include "compose/test_docker.h"
#include "core/clock.h"
#include <stdint.h>

#define WAIT_MS 10000

static void readings_are_those_of_the_docker_client(void **state)
{
	static const struct {
		const char *stats, *expected;
	} cases[] = {
	        {"{\"cpu_stats\":{\"cpu_usage\":{\"total_usage\":1234567890}},\"pids_stats\":{\"current\":3},"
	         "\"memory_stats\":{\"usage\":5000,\"limit\":9000,\"stats\":{\"total_inactive_file\":1000,"
	         "\"inactive_file\":7}}}",
	         "{\"cpu_us\":1234567,\"memory_bytes\":4000,\"memory_limit_bytes\":9000,\"pids\":3}"},
	        {"{\"memory_stats\":{\"usage\":5000,\"limit\":9000,\"stats\":{\"inactive_file\":500}}}",
	         "{\"cpu_us\":0,\"memory_bytes\":4500,\"memory_limit_bytes\":9000,\"pids\":0}"},
	        {"{\"memory_stats\":{\"usage\":10,\"stats\":{\"inactive_file\":500}}}",
	         "{\"cpu_us\":0,\"memory_bytes\":10,\"memory_limit_bytes\":0,\"pids\":0}"},
	        {"{\"memory_stats\":{},\"pids_stats\":{}}", /* stopped */
	         "{\"cpu_us\":0,\"memory_bytes\":0,\"memory_limit_bytes\":0,\"pids\":0}"},
	        {"{\"read\":\"2026-01-01T00:00:03.5Z\",\"preread\":\"2026-01-01T00:00:02.5Z\",\"memory_"
	         "stats\":{},"
	         "\"cpu_stats\":{\"cpu_usage\":{\"total_usage\":3000000000}},"
	         "\"precpu_stats\":{\"cpu_usage\":{\"total_usage\":1745000000}}}", /* two readings */
	         "{\"cpu_us\":3000000,\"memory_bytes\":0,\"memory_limit_bytes\":0,\"pids\":0,\"cpu_percent\":"
	         "125.5}"},
	        {"{\"read\":\"2026-01-01T00:00:03.5Z\",\"preread\":\"0001-01-01T00:00:00Z\",\"memory_stats\":"
	         "{},"
	         "\"cpu_stats\":{\"cpu_usage\":{\"total_usage\":3000000000}}}", /* the first one */
	         "{\"cpu_us\":3000000,\"memory_bytes\":0,\"memory_limit_bytes\":0,\"pids\":0}"},
	        {"null", "{\"cpu_us\":0,\"memory_bytes\":0,\"memory_limit_bytes\":0,\"pids\":0}"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_json cJSON *stats = cJSON_Parse(cases[i].stats), *into = json_object();
		assert_non_null(stats);
		docker_stats_add(into, stats);
		cleanup_free char *text = json_print(into);
		assert_string_equal(text, cases[i].expected);
	}
}

static int setup(void **state)
{
	struct test_docker *t = mem_alloc(sizeof(*t));
	test_docker_open(t);
	test_docker_image(t);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	test_docker_close(*state);
	free(*state);
	return 0;
}

static void a_container_that_works(void **state)
{
	const struct test_docker *t = *state;
	cleanup_free char *id =
	        test_docker_container(t, "busy", "sleep 100 & while :; do :; done", NULL, NULL, true);
	cleanup_json cJSON *one = NULL, *none = json_object();
	int64_t deadline = clock_mono_ms() + WAIT_MS;
	do { /* it begins to work a little after it was started */
		cJSON_Delete(TAKE(one));
		one = json_object();
		docker_stats((const char *[]){id, "no-such-container"}, (cJSON *[]){one, none}, 2);
	} while (clock_mono_ms() < deadline &&
	         (json_int(one, "cpu_us", 0) < 100000 || json_int(one, "pids", 0) < 2));
	assert_int_equal(json_int(one, "pids", 0), 2);
	assert_in_range(json_int(one, "cpu_us", 0), 100000, WAIT_MS * 1000);
	assert_in_range(json_int(one, "memory_bytes", 0), 1, 64 << 20);
	assert_true(json_int(one, "memory_limit_bytes", 0) > 0);
	assert_non_null(json_at(one, "cpu_percent"));
	assert_int_equal(cJSON_GetArraySize(none), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(readings_are_those_of_the_docker_client),
	                                   cmocka_unit_test(a_container_that_works)};
	return cmocka_run_group_tests_name("docker_stats", tests, setup, teardown);
}
