/* For unit tests of all floors that need a state directory: a fresh one below $TMPDIR, removed at the end. */
#ifndef JOBS_TEST_STATE_H
#define JOBS_TEST_STATE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka needs those above */
#include "core/config.h"
#include "core/file.h"
#include "jobs/state.h"
#include "jobs/worker.h"
#include <cmocka.h>

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

static inline void test_state_close(struct test_state *t)
{
	state_close(t->st);
	config_free(t->cfg);
	assert_ok(tree_remove(t->dir, err));
}

#endif
