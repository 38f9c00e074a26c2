#include "core/dotenv.h"
#include "core/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* after the standard headers */
#include <cmocka.h>

#define BAD_FORM "not a line of the form KEY=value"
#define BAD_QUOTE "a quote is not closed"
#define BAD_TAIL "text after the closing quote"

static void reads_one_line(void **state)
{
	(void)state;
	static const struct {
		const char *text, *key, *value, *problem;
	} cases[] = {
	        {"A=b", "A", "b", NULL},
	        {"A=b\n", "A", "b", NULL},
	        {"A=b\r\n", "A", "b", NULL},
	        {"A=b\r", "A", "b", NULL},
	        {"\xef\xbb\xbf"
	         "A=b",
	         "A", "b", NULL},
	        {"  A = b  ", "A", "b", NULL},
	        {"\tA\t=\tb\t", "A", "b", NULL},
	        {"A=", "A", "", NULL},
	        {"A=   ", "A", "", NULL},
	        {"A==b=", "A", "=b=", NULL},
	        {"export A=b", "A", "b", NULL},
	        {"export   A=b", "A", "b", NULL},
	        {"export\tA=b", "A", "b", NULL},
	        {"export=b", "export", "b", NULL},
	        {"exported=b", "exported", "b", NULL},
	        {"A=b c", "A", "b c", NULL},
	        {"A=b # c", "A", "b", NULL},
	        {"A=b\t# c", "A", "b", NULL},
	        {"A=b#c", "A", "b#c", NULL},
	        {"A=#b", "A", "#b", NULL},
	        {"A= # b", "A", "", NULL},
	        {"A=\"b # c\"", "A", "b # c", NULL},
	        {"A='b # c' # d", "A", "b # c", NULL},
	        {"A=\"b\"\r\n", "A", "b", NULL},
	        {"A=\"\"", "A", "", NULL},
	        {"A=' b '", "A", " b ", NULL},
	        {"A=b\"c", "A", "b\"c", NULL},
	        {"A=\"a\\nb\\tc\\rd\"", "A", "a\nb\tc\rd", NULL},
	        {"A=\"\\\"\\\\\\$\\`\"", "A", "\"\\$`", NULL},
	        {"A=\"C:\\dir\\x\"", "A", "C:\\dir\\x", NULL},
	        {"A='a\\nb'", "A", "a\\nb", NULL},
	        {"A=a\\nb", "A", "a\\nb", NULL},
	        {"A=\"'\"", "A", "'", NULL},
	        {"A=$HOME`id`$(id)", "A", "$HOME`id`$(id)", NULL},
	        {"A_1=ü", "A_1", "ü", NULL},
	        {"A", NULL, NULL, BAD_FORM},
	        {"=b", NULL, NULL, BAD_FORM},
	        {" = ", NULL, NULL, BAD_FORM},
	        {"A B=c", NULL, NULL, BAD_FORM},
	        {"A-B=c", NULL, NULL, BAD_FORM},
	        {"Ä=c", NULL, NULL, BAD_FORM},
	        {"export ", NULL, NULL, BAD_FORM},
	        {"export A", NULL, NULL, BAD_FORM},
	        {"A=\"b", NULL, NULL, BAD_QUOTE},
	        {"A='", NULL, NULL, BAD_QUOTE},
	        {"A='b\"", NULL, NULL, BAD_QUOTE},
	        {"A=\"b\\\"", NULL, NULL, BAD_QUOTE},
	        {"A=\"b\\", NULL, NULL, BAD_QUOTE},
	        {"A=\"b\"c", NULL, NULL, BAD_TAIL},
	        {"A='b' c", NULL, NULL, BAD_TAIL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		/* of exactly its size, so that a read past the end shows */
		cleanup_free char *text = mem_strdup(cases[i].text);
		const char *p = text;
		struct dotenv_line line = {0};
		if (dotenv_next(&p, &line) != 1)
			fail_msg("nothing in \"%s\"", text);
		assert_int_equal(line.number, 1);
		if (cases[i].problem) {
			assert_null(line.key);
			assert_string_equal(line.problem, cases[i].problem);
		} else {
			if (line.problem)
				fail_msg("\"%s\": %s", text, line.problem);
			assert_string_equal(line.key, cases[i].key);
			assert_string_equal(line.value, cases[i].value);
		}
		dotenv_clear(&line);
		assert_int_equal(dotenv_next(&p, &line), 0);
	}
}

static void counts_lines(void **state)
{
	(void)state;
	const char *p = "\n# A=b\r\n  \nB=1\n\r\n\t# c\nC=\"\nD=2";
	struct dotenv_line line = {0};
	static const struct {
		unsigned number;
		const char *key;
	} want[] = {{4, "B"}, {7, NULL}, {8, "D"}};
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_int_equal(dotenv_next(&p, &line), 1);
		assert_int_equal(line.number, want[i].number);
		if (want[i].key)
			assert_string_equal(line.key, want[i].key);
		else
			assert_null(line.key);
		dotenv_clear(&line);
	}
	assert_int_equal(dotenv_next(&p, &line), 0);
	assert_int_equal(dotenv_next(&p, &line), 0);
	p = "";
	assert_int_equal(dotenv_next(&p, &line), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(reads_one_line),
	        cmocka_unit_test(counts_lines),
	};
	return cmocka_run_group_tests_name("core/dotenv", tests, NULL, NULL);
}
