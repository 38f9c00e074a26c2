/* For unit tests of all floors that need a state directory: a fresh one below $TMPDIR, removed at the end. */
#ifndef JOBS_TEST_STATE_H
#define JOBS_TEST_STATE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka needs those above */
#include "core/bell.h"
#include "core/clock.h"
#include "core/config.h"
#include "core/file.h"
#include "core/mem.h"
#include "jobs/state.h"
#include "jobs/worker.h"
#include <cmocka.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Within ${call}, `err` is an error object of its own. */
#define assert_ok(call)                                                                                      \
	do {                                                                                                 \
		_Pragma("GCC diagnostic push")                                                               \
		        _Pragma("GCC diagnostic ignored \"-Wshadow\"") struct err assert_err_ = {0},         \
		                                                                  *err = &assert_err_;       \
		_Pragma("GCC diagnostic pop") if (call) fail_msg("%s: %s", #call, err->msg);                 \
	} while (0)

struct test_state {
	char dir[64];
	struct config *cfg;
	struct state *st;
};

static inline void test_state_connect(struct test_state *t)
{
	static const struct setting *const tables[] = {state_settings, worker_settings, NULL};
	assert_ok(config_load(&t->cfg, tables, NULL, false, err));
	assert_ok(state_open(&t->st, t->cfg, err));
}

/* STATE_DIR is set for children too. */
static inline void test_state_open(struct test_state *t)
{
	snprintf(t->dir, sizeof(t->dir), "/tmp/codefoundry-test.XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	setenv("STATE_DIR", t->dir, 1);
	test_state_connect(t);
}

static inline void test_state_disconnect(struct test_state *t)
{
	state_close(t->st);
	config_free(t->cfg);
}

static inline void test_state_close(struct test_state *t)
{
	test_state_disconnect(t);
	assert_ok(tree_remove(t->dir, err));
}

/* For cmocka_unit_test_setup_teardown(). */
static inline int test_state_setup(void **data)
{
	struct test_state *t = mem_alloc(sizeof(*t));
	test_state_open(t);
	*data = t;
	return 0;
}

static inline int test_state_teardown(void **data)
{
	test_state_close(*data);
	free(*data);
	return 0;
}

/* A number below ${n} that no other test program which runs now has: for ports and the like. Tests that run at the same time are told
 * their slot (tests/tap_sum.c); the rest is by pid, so that the next one does not meet what the kernel still holds of the last. */
static inline int test_place(int n)
{
	const char *slot = getenv("CODEFOUNDRY_TEST_SLOT");
	return slot ? (int)(getpid() % (n / 2)) * 2 + atoi(slot) % 2 : (int)(getpid() % n);
}

/* Wait for a job row that satisfies ${sql}. */
static inline void test_wait_job(struct state *st, const char *sql)
{
	struct bell *bell;
	int64_t until = clock_mono_ms() + 15000;
	cleanup_free char *query = mem_printf("SELECT count(*) FROM jobs WHERE %s", sql);
	assert_ok(bell_open(&bell, st->dir, err));
	for (;;) {
		int64_t n = 0;
		assert_ok(db_get_int(st->db, &n, err, query, ""));
		if (n)
			break;
		if (clock_mono_ms() > until)
			fail_msg("never came true: %s", sql);
		bell_wait(bell, 1000);
	}
	bell_close(bell);
}

/* Exit code of our child, or 128 + signal. */
static inline int test_wait_end(pid_t pid)
{
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Content of a small file of the state directory, "" when it is missing. The caller frees it. */
static inline char *test_file(struct state *st, const char *name)
{
	cleanup_free char *path = state_path(st, "%s", name);
	char *text = NULL;
	struct err err = {0};
	return file_read(path, 10000, &text, NULL, &err) ? mem_strdup("") : text;
}

/* Write ${text} to a file of the state directory, whose folders are made. */
static inline void test_put(struct state *st, const char *name, const char *text)
{
	cleanup_free char *path = state_path(st, "%s", name), *dir = mem_strdup(path);
	*strrchr(dir, '/') = '\0';
	assert_ok(dir_make(dir, 0700, err) || file_write(path, text, strlen(text), 0600, err));
}

#endif
