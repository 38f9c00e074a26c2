#include "compose/docker.h"
#include "sessions/engine.h"
#include "sessions/test_sessions.h"
#include <string.h>

/* A row of the table is not checked by the compiler: a call that is missing would crash when it is made. */
static void every_engine_is_whole(void **data)
{
	(void)data;
	for (size_t i = 0; engines[i]; i++) {
		const struct engine *e = engines[i];
		assert_non_null(e->name);
		assert_true(e->plan && e->prepare && e->launch && e->wait && e->stop && e->left && e->alive);
		assert_true(e->services && e->service && e->logs && e->follow && e->exec && e->read &&
		            e->found);
	}
}

static void by_name(void **data)
{
	(void)data;
	struct err err = {0};
	for (size_t i = 0; engines[i]; i++)
		assert_ptr_equal(engine_by_name(engines[i]->name, &err), engines[i]);
	assert_null(engine_by_name("swarm", &err));
	assert_int_equal(err.code, ERR_ENGINE);
	assert_non_null(strstr(err.msg, "engine swarm is not part of this program: set ENGINE="));
}

static void chosen(void **data)
{
	struct test_state *t = *data;
	struct err err = {0};
	assert_ptr_equal(engine_chosen(t->cfg, &err), &engine_process);
	assert_string_equal(session_engine(t->cfg), "process");
	bool compose = engine_by_name("compose", &err);
	test_sessions_set(t, "ENGINE", "compose");
	const struct engine *e = engine_chosen(t->cfg, &err);
	assert_int_equal(e != NULL, compose);
	assert_string_equal(session_engine(t->cfg), "compose");
	test_sessions_set(t, "ENGINE", "auto");
	e = engine_chosen(t->cfg, &err);
	assert_non_null(e);
	assert_string_equal(e->name, compose && docker_expected() ? "compose" : "process");
	assert_string_equal(session_engine(t->cfg), e->name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_engine_is_whole),
	        cmocka_unit_test(by_name),
	        cmocka_unit_test_setup_teardown(chosen, test_sessions_setup, test_state_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
