#include "bot/html.h"
#include "core/mem.h"
#include "jobs/test_state.h"
#include <string.h>

static void units_are_what_is_seen(void **state)
{
	(void)state;
	static const struct {
		const char *html;
		size_t units;
	} cases[] = {{"", 0},           {"abc", 3},
	             {"<b>abc</b>", 3}, {"&lt;&amp;", 2},
	             {"я😀", 3},         {"a & b", 5},
	             {"&nosuch", 7},    {"<", 1},
	             {"a<b", 3},        {"<a href=\"x\">y</a>", 1}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(html_units(cases[i].html), cases[i].units);
}

static void text_is_split(void **state)
{
	(void)state;
	static const struct {
		const char *html;
		size_t max;
		const char *pieces[5];
	} cases[] = {
	        {"", 10, {NULL}},
	        {" \n ", 10, {NULL}},
	        {"short", 10, {"short"}},
	        {"one two\nthree", 10, {"one two", "three"}},
	        {"aaaa bbbb cccc", 10, {"aaaa bbbb", "cccc"}},
	        {"aaaaaaaaaaaaa", 10, {"aaaaaaaaaa", "aaa"}},
	        {"<b>aaaa bbbb cccc</b>", 10, {"<b>aaaa bbbb</b>", "<b>cccc</b>"}},
	        {"<pre><code class=\"language-c\">a\nb\nc\nd\ne\nf</code></pre>",
	         5,
	         {"<pre><code class=\"language-c\">a\nb\nc</code></pre>",
	          "<pre><code class=\"language-c\">d\ne\nf</code></pre>"}},
	        {"&lt;&lt;&lt;&lt;", 3, {"&lt;&lt;&lt;", "&lt;"}},
	        {"😀😀😀", 5, {"😀😀", "😀"}},
	        {"1234567890<b></b>", 10, {"1234567890<b></b>"}},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char **pieces = NULL;
		size_t n = html_split(cases[i].html, cases[i].max, &pieces), want = 0;
		while (want < 5 && cases[i].pieces[want])
			want++;
		assert_int_equal(n, want);
		for (size_t k = 0; k < n; k++) {
			assert_string_equal(pieces[k], cases[i].pieces[k]);
			assert_true(html_units(pieces[k]) <= cases[i].max);
			free(pieces[k]);
		}
		free(pieces);
	}
}

static void ten_thousand_characters_stay_whole(void **state)
{
	(void)state;
	cleanup_str struct str html = STR_INIT, want = STR_INIT, got = STR_INIT;
	for (int i = 0; i < 1000; i++)
		str_addf(&html, "<i>word%04d</i> &amp;\n", i);
	html_plain(str_text(&html), &want);
	char **pieces = NULL;
	size_t n = html_split(str_text(&html), HTML_MESSAGE_UNITS, &pieces);
	assert_int_equal(n, 3);
	for (size_t i = 0; i < n; i++) {
		assert_true(html_units(pieces[i]) <= HTML_MESSAGE_UNITS);
		html_plain(pieces[i], &got);
		str_addc(&got, '\n');
		free(pieces[i]);
	}
	free(pieces);
	str_cut(&got, got.len - 1);
	assert_string_equal(str_text(&got), str_text(&want));
}

static void plain_has_no_tags(void **state)
{
	(void)state;
	cleanup_str struct str out = STR_INIT;
	html_plain("<b>1 &lt; 2</b> &amp; <a href=\"http://x/?a&amp;b\">&quot;x&quot;</a> &nosuch;", &out);
	assert_string_equal(str_text(&out), "1 < 2 & \"x\" &nosuch;");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(units_are_what_is_seen),
	        cmocka_unit_test(text_is_split),
	        cmocka_unit_test(ten_thousand_characters_stay_whole),
	        cmocka_unit_test(plain_has_no_tags),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
