/* What the two tests of the Engine API against the real engine share: a container that runs all the time, and
 * calls that must succeed. */
#ifndef COMPOSE_DOCKER_TESTING_H
#define COMPOSE_DOCKER_TESTING_H

#include "compose/docker.h"
#include "compose/test_docker.h"

static struct test_docker t;
static char *box; /* a container that runs all the time */

static inline cJSON *call(const char *method, const char *path, const char *body)
{
	cleanup_json cJSON *j = body ? cJSON_Parse(body) : NULL;
	cJSON *reply = NULL;
	struct err err;
	if (docker_call(method, path, j, 0, &reply, &err))
		fail_msg("%s %s: %s", method, path, err.msg);
	return reply;
}

static inline void removed(enum docker_kind kind, const char *id)
{
	struct err err;
	if (docker_remove(kind, id, &err))
		fail_msg("%s", err.msg);
}

static inline int setup(void **state)
{
	(void)state;
	alarm(180);
	test_docker_open(&t);
	test_docker_image(&t);
	box = test_docker_container(&t, "box", "trap 'exit 0' TERM; while :; do sleep 600 & wait; done", NULL,
	                            NULL, true);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	test_docker_close(&t);
	free(box);
	return test_docker_count(&t);
}

#endif
