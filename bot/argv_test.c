#include "bot/argv.h"
#include "core/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void words_and_quotes(void **state)
{
	static const struct {
		const char *text, *json; /* NULL: refused */
	} cases[] = {
	        {"", "[]"},
	        {"  \t\n ", "[]"},
	        {"ls -l /", "[\"ls\",\"-l\",\"/\"]"},
	        {"sh -c 'ls | head -3'", "[\"sh\",\"-c\",\"ls | head -3\"]"},
	        {"echo \"a 'b'\" '\"c\"'", "[\"echo\",\"a 'b'\",\"\\\"c\\\"\"]"},
	        {"a\"b c\"d'e'", "[\"ab cde\"]"},
	        {"'' \"\"", "[\"\",\"\"]"},
	        {"a\\ b \\' \"\\\"\" \"\\n\" '\\'", "[\"a b\",\"'\",\"\\\"\",\"\\\\n\",\"\\\\\"]"},
	        {"end\\", "[\"end\\\\\"]"},
	        {"$HOME `id` $(id) *; rm x", "[\"$HOME\",\"`id`\",\"$(id)\",\"*;\",\"rm\",\"x\"]"},
	        {"эхо 'привет мир'", "[\"эхо\",\"привет мир\"]"},
	        {"echo 'open", NULL},
	        {"echo \"open\\\"", NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = {0};
		cleanup_json cJSON *words = argv_split(cases[i].text, &err);
		if (!cases[i].json) {
			assert_null(words);
			assert_int_equal(err.code, ERR_INVALID);
			continue;
		}
		assert_non_null(words);
		cleanup_free char *got = json_print(words);
		assert_string_equal(got, cases[i].json);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(words_and_quotes)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
