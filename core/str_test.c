#include "core/mem.h"
#include "core/str.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* after the standard headers */
#include <cmocka.h>

static void grows(void **state)
{
	(void)state;
	cleanup_str struct str s = STR_INIT;
	assert_string_equal(str_text(&s), "");
	str_add(&s, "");
	str_add(&s, "ab");
	str_addc(&s, 'c');
	str_addn(&s, "defg", 2);
	str_addf(&s, "%d-%s", 5, "x");
	assert_string_equal(str_text(&s), "abcde5-x");
	assert_int_equal(s.len, 8);
	str_cut(&s, 99);
	str_cut(&s, 3);
	assert_string_equal(str_text(&s), "abc");
	str_addn(&s, "\0z", 2); /* bytes, not only text */
	assert_int_equal(s.len, 5);
	assert_memory_equal(s.p, "abc\0z", 6);
	cleanup_free char *taken = str_take(&s), *empty = str_take(&s);
	assert_memory_equal(taken, "abc\0z", 6);
	assert_string_equal(empty, "");
	assert_int_equal(s.max, STR_MAX_DEFAULT);
	for (int i = 0; i < 100000; i++)
		str_addc(&s, (char)('a' + i % 26));
	assert_int_equal(s.len, 100000);
	assert_int_equal(s.p[99999], 'a' + 99999 % 26);
	str_free(&s);
	str_free(&s);
	assert_string_equal(str_text(&s), "");
}

static void keeps_its_bound(void **state)
{
	(void)state;
	static const struct {
		size_t max;
		const char *first, *second, *text;
		bool overflow;
	} cases[] = {
	        {4, "ab", "cd", "abcd", false}, {4, "ab", "cde", "ab", true},
	        {4, "abcde", "f", "", true},    {0, "", "", "", false},
	        {0, "", "a", "", true},         {5, "abcde", "", "abcde", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (int how = 0; how < 2; how++) {
			cleanup_str struct str s = STR_INIT_MAX(cases[i].max);
			if (how == 0) {
				str_add(&s, cases[i].first);
				str_add(&s, cases[i].second);
			} else {
				str_addf(&s, "%s", cases[i].first);
				str_addf(&s, "%s", cases[i].second);
			}
			assert_string_equal(str_text(&s), cases[i].text);
			assert_int_equal(s.overflow, cases[i].overflow);
			if (s.overflow) { /* stays so: nothing smaller slips in after what is missing */
				str_addc(&s, 'z');
				assert_string_equal(str_text(&s), cases[i].text);
			}
		}
	}
}

static void escapes(void **state)
{
	(void)state;
	static const struct {
		const char *text, *html, *url;
	} cases[] = {
	        {"", "", ""},
	        {"plain-1_2.3~", "plain-1_2.3~", "plain-1_2.3~"},
	        {"<a href=\"x\">&amp;</a>", "&lt;a href=&quot;x&quot;&gt;&amp;amp;&lt;/a&gt;",
	         "%3Ca%20href%3D%22x%22%3E%26amp%3B%3C%2Fa%3E"},
	        {"ü🎉", "ü🎉", "%C3%BC%F0%9F%8E%89"},
	        {"%\xff\n", "%\xff\n", "%25%FF%0A"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_str struct str html = STR_INIT, url = STR_INIT;
		str_add_html(&html, cases[i].text);
		str_add_url(&url, cases[i].text, strlen(cases[i].text));
		assert_string_equal(str_text(&html), cases[i].html);
		assert_string_equal(str_text(&url), cases[i].url);
	}
	cleanup_str struct str url = STR_INIT;
	str_add_url(&url, "a\0b", 3);
	assert_string_equal(str_text(&url), "a%00b");
}

static void json_strings(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
	        {"", "\"\""},
	        {"plain é", "\"plain é\""},
	        {"a\"b\\c", "\"a\\\"b\\\\c\""},
	        {"\n\t\x7f\x01", "\"\\n\\u0009\\u007f\\u0001\""},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_str struct str s = STR_INIT;
		str_add_json(&s, cases[i][0]);
		assert_string_equal(str_text(&s), cases[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(grows),
	        cmocka_unit_test(keeps_its_bound),
	        cmocka_unit_test(escapes),
	        cmocka_unit_test(json_strings),
	};
	return cmocka_run_group_tests_name("core/str", tests, NULL, NULL);
}
