/* For the tests of this floor: a state directory with all settings that sessions read. */
#ifndef SESSIONS_TEST_SESSIONS_H
#define SESSIONS_TEST_SESSIONS_H

#include "compose/provider.h"
#include "jobs/test_state.h"
#include "sessions/session.h"
#include <unistd.h>

/* Of the floors above; only what plan.c hands down. */
static const struct setting test_other_settings[] = {
        {.key = "LOG_LEVEL", .type = SETTING_TEXT, .def = "info"},
        {.key = "BOT_LANG", .type = SETTING_TEXT, .def = "en"},
        {.key = NULL},
};

static inline void test_sessions_connect(struct test_state *t)
{
	static const struct setting *const tables[] = {state_settings,      worker_settings,
	                                               provider_settings,   session_settings,
	                                               test_other_settings, NULL};
	assert_ok(config_load(&t->cfg, tables, NULL, false, err));
	assert_ok(state_open(&t->st, t->cfg, err));
}

/* Each test process has ports of its own: several may run on this host at once. */
static inline int test_sessions_port(void)
{
	return 10240 + test_place(50) * 160;
}

static inline void test_sessions_open(struct test_state *t)
{
	char range[32];
	snprintf(range, sizeof(range), "%d-%d", test_sessions_port(), test_sessions_port() + 159);
	setenv("SESSION_PORT_RANGE", range, 1);
	setenv("ENGINE", "process", 1); /* also where there is Docker */
	snprintf(t->dir, sizeof(t->dir), "/tmp/codefoundry-test.XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	setenv("STATE_DIR", t->dir, 1);
	test_sessions_connect(t);
}

static inline int test_sessions_setup(void **data)
{
	struct test_state *t = mem_alloc(sizeof(*t));
	test_sessions_open(t);
	*data = t;
	return 0;
}

static inline void test_sessions_set(struct test_state *t, const char *key, const char *value)
{
	assert_ok(config_set(t->cfg, key, value, err));
}

#endif
