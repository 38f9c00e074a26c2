/* For tests that drive the compose tools: both generations, docker-compose from PATH and docker compose v2 from the folder that
 * `make compose-v2` fills. A generation that is missing fails the test. */
#ifndef COMPOSE_COMPOSE_TESTING_H
#define COMPOSE_COMPOSE_TESTING_H

#include "compose/provider.h"
#include "core/str.h"
#include "jobs/test_state.h"
#include <unistd.h>

static const char *const generations[] = {PROVIDER_V1, PROVIDER_V2};

static inline void with_compose_v2(void)
{
	const char *dir = getenv("CODEFOUNDRY_TEST_COMPOSE_V2");
	if (!dir || !path_exists(dir))
		fail_msg("CODEFOUNDRY_TEST_COMPOSE_V2 names no folder: run through make, after `make "
		         "compose-v2`");
	setenv("DOCKER_CONFIG", dir, 1);
}

static inline struct provider generation(size_t i)
{
	struct provider p;
	with_compose_v2();
	assert_ok(provider_find(generations[i], &p, err));
	return p;
}

struct test_dir {
	char path[64];
};

static inline int test_dir_setup(void **data)
{
	struct test_dir *d = mem_alloc(sizeof(*d));
	snprintf(d->path, sizeof(d->path), "/tmp/codefoundry-test.XXXXXX");
	assert_non_null(mkdtemp(d->path));
	*data = d;
	return 0;
}

static inline int test_dir_teardown(void **data)
{
	struct test_dir *d = *data;
	assert_ok(tree_remove(d->path, err));
	free(d);
	return 0;
}

/* Write ${text} to a file of the test's directory; the caller frees its path. */
static inline char *test_dir_write(const struct test_dir *d, const char *name, const char *text)
{
	char *path = mem_printf("%s/%s", d->path, name);
	assert_ok(file_write(path, text, strlen(text), 0644, err));
	return path;
}

#endif
