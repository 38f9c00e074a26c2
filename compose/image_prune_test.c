#include "compose/image_prune.h"
#include "compose/test_docker.h"

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
	struct test_docker *t = *state;
	test_docker_close(t); /* its containers use what is to go */
	image_prune(t->id, "cf-prune", 0, 0);
	free(t);
	return 0;
}

/* One more image of ${container}, with the test's id as title, called ${name} ("cf-prune:1"). */
static void commit(const struct test_docker *t, const char *container, const char *repo, const char *tag)
{
	struct err err;
	cleanup_free char *change = mem_printf("LABEL " IMAGE_TITLE "=%s\nENV N=%s", t->id, tag),
	                  *query = docker_escape(change),
	                  *path = mem_printf("/commit?container=%s&repo=%s&tag=%s&changes=%s", container,
	                                     repo, tag, query);
	cleanup_json cJSON *config = json_object();
	if (docker_call("POST", path, config, 0, NULL, &err))
		fail_msg("%s", err.msg);
}

static bool has(const char *image)
{
	struct err err = {0};
	cleanup_free char *name = docker_escape(image), *path = mem_printf("/images/%s/json", name);
	cleanup_json cJSON *found = docker_get(path, &err);
	return found != NULL;
}

static void the_newest_and_those_in_use_stay(void **state)
{
	const struct test_docker *t = *state;
	cleanup_free char *box = test_docker_container(t, "box", "true", NULL, NULL, false), *used = NULL;
	static const char *const tags[] = {"1", "2", "3", "4", "5"};
	for (size_t i = 0; i < ARRAY_LEN(tags); i++)
		commit(t, box, "cf-prune", tags[i]);
	commit(t, box, "cf-mine", t->id); /* a name of somebody's own */
	struct test_docker first = *t;
	snprintf(first.image, sizeof(first.image), "cf-prune:1");
	used = test_docker_container(&first, "user", "true", NULL, NULL, false);

	assert_int_equal(image_prune(t->id, "cf-prune", 2, 3600000), 0); /* all are young */
	assert_true(has("cf-prune:2"));
	assert_int_equal(image_prune(t->id, "cf-prune", 2, 0), 2);
	assert_true(has("cf-prune:1")); /* a container uses it */
	assert_false(has("cf-prune:2"));
	assert_false(has("cf-prune:3"));
	assert_true(has("cf-prune:4"));
	assert_true(has("cf-prune:5"));
	cleanup_free char *mine = mem_printf("cf-mine:%s", t->id);
	assert_true(has(mine));
	struct err err;
	cleanup_free char *name = docker_escape(mine), *path = mem_printf("/images/%s", name);
	assert_int_equal(docker_call("DELETE", path, NULL, 0, NULL, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(the_newest_and_those_in_use_stay, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
