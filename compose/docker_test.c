#include "compose/docker.h"
#include "compose/docker_frames.h"
#include "compose/test_docker.h"
#include "core/clock.h"

static struct test_docker t;

static void image_is_made(void **state)
{
	(void)state;
	cleanup_free char *id = test_docker_container(&t, "hello", "echo hello; exit 7", NULL, NULL, true);
	assert_int_equal(test_docker_wait(id), 7);
	struct err err;
	cleanup_json cJSON *lines = docker_logs(id, 10, false, &err);
	assert_non_null(lines);
	assert_int_equal(test_docker_count(&t), 1);
	assert_int_equal(docker_remove(DOCKER_CONTAINER, id, &err), 0);
	assert_int_equal(test_docker_count(&t), 0);
	cleanup_json cJSON *info = docker_info(&err);
	assert_string_equal(json_text_or(info, "os", ""), "linux");
}

static int setup(void **state)
{
	(void)state;
	alarm(120);
	test_docker_open(&t);
	test_docker_image(&t);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	test_docker_close(&t);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(image_is_made),
	};
	return cmocka_run_group_tests_name("compose/docker", tests, setup, teardown);
}
