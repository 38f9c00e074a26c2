/* What a person types after `make`: the targets there are, and values that reach the program as they are. Runs from the source root. */
#include "core/file.h"
#include "core/mem.h"
#include "core/proc.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MAKE_MS 30000
#define TARGETS_LEAST 30

static char state_dir[64];

/* Not as a part of the make that runs this test. The build of this very test: build, build/asan, … */
static struct proc_result make(const char *target, const char *value)
{
	cleanup_free char *build = mem_strdup(proc_self());
	char *end = strstr(build, "/test/tests/");
	assert_non_null(end);
	*end = '\0';
	cleanup_free char *where = mem_printf("BUILD=%s", build),
	                  *state = mem_printf("STATE_DIR=%s", state_dir);
	const char *argv[] = {"make", "-s", target, where, value, NULL};
	const char *env[] = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "ENGINE=process", state, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc_result result;
	struct err err = {0};
	spec.argv = argv;
	spec.env = env;
	if (proc_run(&spec, NULL, MAKE_MS, 1 << 20, &result, &err))
		fail_msg("%s", err.msg);
	return result;
}

static void make_alone_lists_the_targets_in_groups(void **state)
{
	(void)state;
	static const char *const some[] = {"\nRun\n",      "\n  up ",    "\n  start-test ",
	                                   "\n  shell ",   "\n  exec ",  "\n  logs-gateway ",
	                                   "\n  stats ",   "\n  top ",   "\n  clean-all ",
	                                   "\n  rebuild ", "\n  doctor "};
	struct proc_result result = make("help", NULL);
	int targets = 0;
	assert_int_equal(result.status, 0);
	for (const char *p = result.out; (p = strstr(p, "\n  ")); p++)
		targets++;
	assert_true(targets >= TARGETS_LEAST);
	for (size_t i = 0; i < ARRAY_LEN(some); i++)
		if (!strstr(result.out, some[i]))
			fail_msg("no '%s'", some[i] + 1);
	proc_result_free(&result);
}

static void what_is_set_is_an_argument_and_nothing_more(void **state)
{
	static const char *const targets[] = {"start-session",  "stop-session", "show-session", "start-test",
	                                      "attach-session", "logs",         "stats",        "exec",
	                                      "extend-session", "wait-session", "test-telegram"};
	static const char *const hostile[] = {
	        "x; touch MARK",       "$(touch MARK)",       "`touch MARK`",
	        "$(shell touch MARK)", "\"; touch MARK; \"",  "'; touch MARK; '",
	        "x && touch MARK",     "${x:-$(touch MARK)}", "$(eval SESSION:=$(shell touch MARK))",
	        "x\ntouch MARK"};
	(void)state;
	cleanup_free char *mark = mem_printf("%s.mark", state_dir);
	setenv("CMD", "true", 1);
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		const char *odd = hostile[i % ARRAY_LEN(hostile)], *at = strstr(odd, "MARK");
		cleanup_free char *value =
		        mem_printf("SESSION=%.*s%s%s", (int)(at - odd), odd, mark, at + strlen("MARK"));
		struct proc_result result = make(targets[i], value);
		if (!access(mark, F_OK))
			fail_msg("%s %s was run", targets[i], value);
		if (!result.status || !strstr(result.errs, "codefoundry: "))
			fail_msg("%s %s: %s", targets[i], value, result.errs);
		proc_result_free(&result);
	}
}

static int setup(void **state)
{
	(void)state;
	snprintf(state_dir, sizeof(state_dir), "/tmp/codefoundry-test.XXXXXX");
	return mkdtemp(state_dir) ? 0 : -1;
}

static int teardown(void **state)
{
	struct err err;
	(void)state;
	return tree_remove(state_dir, &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(make_alone_lists_the_targets_in_groups),
	        cmocka_unit_test(what_is_set_is_an_argument_and_nothing_more),
	};
	return cmocka_run_group_tests_name("make", tests, setup, teardown);
}
