/* Sessions of real containers: compose files of the busybox test image, and what is left of them by label. The test program
 * starts itself again as the process of a job (test_stack.h). */
#ifndef SESSIONS_TEST_COMPOSE_H
#define SESSIONS_TEST_COMPOSE_H

#include "compose/compose_testing.h"
#include "compose/override.h"
#include "compose/test_docker.h"
#include "sessions/compose_private.h"
#include "sessions/test_stack.h"

static struct test_docker docker; /* the image, and what stands for strangers' objects */

/* -- a state directory of its own for each test, one image for all -- */

/* Where the engine of these tests listens; NULL: Docker. */
static char *engine_host;

static inline void engine_again(void)
{
	if (engine_host)
		setenv("DOCKER_HOST", engine_host, 1);
	else
		unsetenv("DOCKER_HOST");
}

static inline int group_setup(void **data)
{
	char number[16];
	const char *host = getenv("DOCKER_HOST");
	(void)data;
	engine_host = host ? mem_strdup(host) : NULL;
	with_compose_v2();
	test_docker_open(&docker);
	test_docker_image(&docker);
	snprintf(number, sizeof(number), "cft-%.8s", docker.id);
	setenv("COMPOSE_PROJECT_NAME", number, 1);
	setenv("SESSION_SUBNET_POOL", "10.214.0.0/16", 1);
	setenv("SESSION_START_TIMEOUT", "30", 1);
	return 0;
}

static inline int group_teardown(void **data)
{
	(void)data;
	test_docker_close(&docker);
	return 0;
}

static inline int setup_with(void **data, const char *provider)
{
	struct test_state *t = mem_alloc(sizeof(*t));
	setenv("COMPOSE_PROVIDER", provider, 1);
	test_sessions_open(t);
	setenv("ENGINE", "compose", 1);
	test_state_disconnect(t);
	test_sessions_connect(t);
	*data = t;
	return 0;
}

static inline int setup_v1(void **data)
{
	return setup_with(data, PROVIDER_V1);
}

static inline int setup_v2(void **data)
{
	return setup_with(data, PROVIDER_V2);
}

static inline cJSON *objects(struct test_state *t, const char *uuid, enum docker_kind kind)
{
	struct err err = {0};
	cJSON *list = compose_objects(t->st, uuid, kind, &err);
	if (!list)
		fail_msg("%s", err.msg);
	return list;
}

static inline int compose_teardown(void **data)
{
	struct test_state *t = *data;
	struct err err = {0};
	step_hook = NULL;
	engine_again();
	int left = marker_kill(t->st->install, NULL, 0, &err);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	for (enum docker_kind kind = DOCKER_CONTAINER; kind < DOCKER_KINDS; kind++) {
		cleanup_json cJSON *list = compose_objects(t->st, NULL, kind, &err);
		const cJSON *one;
		cJSON_ArrayForEach(one, list) if (docker_remove(kind, json_text_or(one, "id", ""), &err))
		        print_error("%s\n", err.msg);
	}
	test_state_close(t);
	free(t);
	return left;
}

#define V1(name) cmocka_unit_test_setup_teardown(name, setup_v1, compose_teardown)
#define ON_V2(name, setup, teardown)                                                                         \
	{                                                                                                    \
#name " (v2)", name, setup, teardown, NULL                                                   \
	}
#define V2(name) ON_V2(name, setup_v2, compose_teardown)

/* -- compose files -- */

/* Arguments of session.start for session ${name} of a file with ${yaml}, in which @ stands for the image. The caller frees it. */
static inline char *with_file(struct test_state *t, const char *name, const char *yaml)
{
	cleanup_str struct str text = STR_INIT;
	cleanup_free char *path = state_path(t->st, "files/%s.yml", name), *dir = state_path(t->st, "files");
	assert_ok(dir_make(dir, 0700, err));
	str_add(&text, "version: '3.9'\n");
	for (const char *p = yaml; *p; p++)
		str_add(&text, *p == '@' ? docker.image : (char[2]){*p, '\0'});
	assert_ok(file_write(path, str_text(&text), text.len, 0600, err));
	return mem_printf("{\"name\":\"%s\",\"compose\":[\"%s\"]}", name, path);
}

static inline cJSON *start(struct test_state *t, const char *name, const char *yaml)
{
	cleanup_free char *args = with_file(t, name, yaml);
	return run(t, "session.start", args);
}

static inline int64_t enqueue_start(struct test_state *t, const char *name, const char *yaml)
{
	cleanup_free char *args = with_file(t, name, yaml);
	return enqueue(t, "session.start", args);
}

static inline void start_refused(struct test_state *t, const char *name, const char *yaml, enum err_code code,
                                 const char *text)
{
	cleanup_free char *args = with_file(t, name, yaml);
	refused(t, "session.start", args, code, text);
}

/* -- what there is -- */

static inline int object_count(struct test_state *t, enum docker_kind kind)
{
	cleanup_json cJSON *list = objects(t, NULL, kind);
	return cJSON_GetArraySize(list);
}

static inline void assert_objects(struct test_state *t, int containers, int networks, int volumes)
{
	assert_int_equal(object_count(t, DOCKER_CONTAINER), containers);
	assert_int_equal(object_count(t, DOCKER_NETWORK), networks);
	assert_int_equal(object_count(t, DOCKER_VOLUME), volumes);
}

static inline void assert_gone(struct test_state *t)
{
	assert_objects(t, 0, 0, 0);
	assert_int_equal(object_count(t, DOCKER_IMAGE), 0);
	assert_nothing_left(t);
}

static inline void assert_receipt(const cJSON *receipt)
{
	static const char *const keys[] = {"containers", "networks", "volumes", "images",
	                                   "ports",      "files",    "leases",  "rows"};
	assert_true(json_bool(receipt, "ok", false));
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_int_equal(json_int(receipt, keys[i], -1), 0);
}

static inline void stop_gone(struct test_state *t, const char *name)
{
	cleanup_free char *args = mem_printf("{\"name\":\"%s\"}", name);
	cleanup_json cJSON *result = run(t, "session.stop", args);
	assert_receipt(json_at(result, "receipt"));
}

/* The engine's id of the container of ${service}; the caller frees it. */
static inline char *container_of(struct test_state *t, const char *session, const char *service)
{
	cleanup_row struct session_row row = {0};
	assert_ok(store_by_name(t->st, session, &row, err));
	struct err err = {0};
	cleanup_json cJSON *c = compose_container(t->st, &row, service, &err);
	if (!c)
		fail_msg("%s", err.msg);
	return mem_strdup(json_text(c, "id"));
}

static inline cJSON *inspect(const char *id)
{
	cleanup_free char *path = mem_printf("/containers/%s/json", id);
	struct err err = {0};
	cJSON *c = docker_get(path, &err);
	if (!c)
		fail_msg("%s", err.msg);
	return c;
}

/* What ${script} prints in the container. The caller frees it. */
static inline char *sh(struct test_state *t, const char *session, const char *service, const char *script)
{
	cleanup_free char *id = container_of(t, session, service);
	const char *argv[] = {"/bin/sh", "-c", script, NULL};
	struct docker_output out = {0};
	assert_ok(docker_exec(id, argv, 5000, 4096, &out, err));
	return out.text;
}

/* -- waiting for the engine -- */

struct sight {
	const char *action; /* of a container; NULL: any */
	int wanted, seen;
	int64_t until_ms;
};

static inline bool sighted(void *arg, const cJSON *event)
{
	struct sight *s = arg;
	if (!strcmp(json_text_or(event, "Type", ""), "container") &&
	    (!s->action || !strcmp(json_text_or(event, "Action", ""), s->action)))
		s->seen++;
	return s->seen < s->wanted;
}

static inline bool in_time(void *arg)
{
	return clock_mono_ms() < ((struct sight *)arg)->until_ms;
}

/* How many times ${action} happens to containers of this test's sessions from ${since_ms} on, until ${wanted} times or for
 * ${limit_ms}. */
static inline int events(struct test_state *t, const char *action, int wanted, int64_t since_ms,
                         int64_t limit_ms)
{
	struct sight s = {.action = action, .wanted = wanted, .until_ms = clock_mono_ms() + limit_ms};
	cleanup_free char *label = mem_printf(LABEL_INSTALL "=%s", t->st->install);
	assert_ok(docker_events(since_ms, label, sighted, in_time, &s, err));
	return s.seen;
}

#endif
