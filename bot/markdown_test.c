#include "bot/markdown.h"
#include "core/mem.h"
#include "jobs/test_state.h"
#include <string.h>

static const struct {
	const char *markdown, *html;
} cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"a < b & c > d", "a &lt; b &amp; c &gt; d"},
        {"**bold** *it* ~~gone~~ `co<de`", "<b>bold</b> <i>it</i> <s>gone</s> <code>co&lt;de</code>"},
        {"***both***", "<i><b>both</b></i>"},
        {"# Head\n\ntext", "<b>Head</b>\n\ntext"},
        {"one\n\ntwo", "one\n\ntwo"},
        {"one\ntwo", "one\ntwo"},
        {"- a\n- b", "• a\n• b"},
        {"text\n\n- a\n- b\n\nmore", "text\n\n• a\n• b\n\nmore"},
        {"- a\n  - b\n- c", "• a\n   • b\n• c"},
        {"3. x\n4. y", "3. x\n4. y"},
        {"- a\n\n- b", "• a\n• b"},
        {"> quoted\n> more", "<blockquote>quoted\nmore</blockquote>"},
        {"> a\n>> b", "<blockquote>a\n\nb</blockquote>"},
        {"```c\nint a<b;\n```", "<pre><code class=\"language-c\">int a&lt;b;</code></pre>"},
        {"```\nx\n```\nafter", "<pre>x</pre>\n\nafter"},
        {"[t](https://e.x/?a&b)", "<a href=\"https://e.x/?a&amp;b\">t</a>"},
        {"[t](javascript:alert(1))", "t"},
        {"![alt](http://x/y.png)", "alt"},
        {"<b>raw</b>", "&lt;b&gt;raw&lt;/b&gt;"},
        {"&lt; &nbsp; &copy;", "&lt; \u00a0 &amp;copy;"},
        {"| a | b |\n|---|---|\n| 1 | *2* |\n| 3&lt; | 4 |", "<pre>a  │ b\n1  │ 2\n3&lt; │ 4</pre>"},
        {"---", "———"},
        {"**open", "**open"},
        {"_a **b_ c**", "<i>a **b</i> c**"},
};

static void markdown_becomes_html(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_str struct str out = STR_INIT;
		markdown_html(cases[i].markdown, &out);
		if (strcmp(str_text(&out), cases[i].html))
			fail_msg("case %zu: %s\n  got: %s\n want: %s", i, cases[i].markdown, str_text(&out),
			         cases[i].html);
	}
}

/* Whatever comes in, tags nest. */
static void assert_nested(const char *html)
{
	char open[64][16];
	size_t depth = 0;
	for (const char *p = html; (p = strchr(p, '<')); p++) {
		char name[16] = {0};
		size_t n = strcspn(p + 1, " >");
		assert_true(n < sizeof(name) && depth < 64);
		memcpy(name, p + 1, n);
		if (name[0] == '/') {
			assert_true(depth > 0);
			assert_string_equal(name + 1, open[--depth]);
		} else {
			memcpy(open[depth++], name, sizeof(name));
		}
	}
	assert_int_equal(depth, 0);
}

static void noise_stays_well_formed(void **state)
{
	static const char *const bits[] = {
	        "*", "**",          "_", "`", "```\n", "> ", "- ", "1. ", "\n", "\n\n", "|", "|-|-|\n",
	        "[", "](http://x)", "<", "&", "&lt;",  "#",  " ",  "a",   "~~", "    ", "я"};
	(void)state;
	srandom(7);
	for (int i = 0; i < 3000; i++) {
		cleanup_str struct str in = STR_INIT, out = STR_INIT;
		for (int k = 0; k < 40; k++)
			str_add(&in, bits[(size_t)random() % ARRAY_LEN(bits)]);
		markdown_html(str_text(&in), &out);
		assert_nested(str_text(&out));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(markdown_becomes_html),
	        cmocka_unit_test(noise_stays_well_formed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
