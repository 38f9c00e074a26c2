#include "core/log.h"
#include "core/mem.h"
#include "jobs/line.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* after the standard headers */
#include <cmocka.h>

static void foreign_text_is_harmless(void **state)
{
	(void)state;
	static const struct {
		const char *text, *clean;
		size_t max;
	} cases[] = {
	        {"", "", 10},
	        {"two\nlines\tтекст", "two\nlines\tтекст", 100},
	        {"\033[31mred\033[0m", "red", 100},
	        {"\033", "", 100}, /* cut off in the middle of a sequence */
	        {"\033[", "", 100},
	        {"\033]0;title\007x", "0;titlex", 100},
	        {"a\xc2\x9b"
	         "31mb",
	         "a31mb", 100}, /* C1, which terminals obey too */
	        {"a\r\b\x7f"
	         "b",
	         "ab", 100},
	        {"bad \xff\xc3", "bad ?\?", 100},
	        {"жжж", "жж", 5}, /* not in the middle of a character */
	        {"my s3cret-word", "my ***", 100},
	};
	log_secret("s3cret-word");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *clean = line_clean(cases[i].text, strlen(cases[i].text), cases[i].max);
		assert_string_equal(clean, cases[i].clean);
	}
	cleanup_free char *cut = line_clean("a\0b", 3, 100);
	assert_string_equal(cut, "ab");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(foreign_text_is_harmless)};
	return cmocka_run_group_tests_name("jobs/line", tests, NULL, NULL);
}
