#include "core/mutant.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* after the standard headers */
#include <cmocka.h>

#ifdef MUTANTS
#define PLANTED 1
#else
#define PLANTED 0
#endif

static void only_the_chosen_one_in_a_build_for_it(void **state)
{
	(void)state;
	unsetenv("CF_MUTANT");
	assert_false(MUTANT("one"));
	setenv("CF_MUTANT", "one", 1);
	assert_int_equal(MUTANT("one"), PLANTED);
	assert_false(MUTANT("on"));
	assert_false(MUTANT("one-more"));
	assert_false(MUTANT(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(only_the_chosen_one_in_a_build_for_it)};
	return cmocka_run_group_tests_name("core/mutant", tests, NULL, NULL);
}
