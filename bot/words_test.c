#include "bot/words.h"
#include "core/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void errors_in_both_languages(void **state)
{
	(void)state;
	for (int code = ERR_FAILED; code < ERR_CODE_COUNT; code++) {
		cleanup_free char *en = words_error(LANG_EN, (enum err_code)code, "session x exists"),
		                  *ru = words_error(LANG_RU, (enum err_code)code, "session x exists");
		bool silent = code == ERR_FAILED || code == ERR_CANCELLED || code == ERR_USAGE;
		assert_string_equal(en, "session x exists");
		assert_non_null(strstr(ru, "session x exists"));
		if (!strcmp(ru, en) != silent)
			fail_msg("%s: %s", err_name((enum err_code)code), ru);
	}
}

static void stages_in_both_languages(void **state)
{
	static const struct {
		enum lang lang;
		const char *stage, *said;
	} cases[] = {{LANG_EN, "wait", "waiting for x"},
	             {LANG_RU, "wait", "ожидание готовности служб"},
	             {LANG_RU, "files", "waiting for x"},
	             {LANG_RU, NULL, "waiting for x"}};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_string_equal(words_stage(cases[i].lang, cases[i].stage, "waiting for x"),
		                    cases[i].said);
	assert_string_equal(words_state(LANG_EN, "running"), "running");
	assert_string_equal(words_state(LANG_RU, "running"), "работает");
	assert_string_equal(words_state(LANG_RU, "of the future"), "of the future");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(errors_in_both_languages),
	                                   cmocka_unit_test(stages_in_both_languages)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
