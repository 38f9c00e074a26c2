#include "core/mem.h"
#include "testsuite/telegram/entities.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

/* Text, then each entity as " type@offset+length=arg"; or "!" and the error. */
static char *shown(const char *mode, const char *text)
{
	cleanup_formatted struct tg_formatted f = TG_FORMATTED_INIT;
	struct str out = STR_INIT;
	struct err err;

	if (tg_entities_parse(mode, text, &f, &err) < 0) {
		str_addf(&out, "!%s", err.msg);
		return str_take(&out);
	}
	str_add(&out, str_text(&f.text));
	for (size_t i = 0; i < f.n; i++) {
		str_addf(&out, " %s@%zu+%zu", f.entities[i].type, f.entities[i].offset, f.entities[i].length);
		if (f.entities[i].arg)
			str_addf(&out, "=%s", f.entities[i].arg);
	}
	return str_take(&out);
}

#define BAD "!can't parse entities: "

static const struct {
	const char *mode, *text, *want;
} cases[] = {
        {"", "plain", "plain"},
        {"", "  plain \n", "plain"},
        {"", " \n ", ""},
        {"HTML", "a <b>bold</b> c", "a bold c bold@2+4"},
        {"html", "<i>\xf0\x9f\x98\x80x</i><u>y</u>", "\xf0\x9f\x98\x80xy italic@0+3 underline@3+1"},
        {"HTML", "<b>b<i>i</i></b>", "bi bold@0+2 italic@1+1"},
        {"HTML", "&lt;b&gt; &amp;&quot; &nbsp; &#65;&#x42;", "<b> &\" &nbsp; AB"},
        {"HTML", "<pre><code class=\"language-c\">x;</code></pre>", "x; pre@0+2=c"},
        {"HTML", "<pre>x</pre><code>y</code>", "xy pre@0+1 code@1+1"},
        {"HTML", "<a href=\"http://ex.org/?a=1&amp;b\">l</a>", "l text_link@0+1=http://ex.org/?a=1&b"},
        {"HTML", "<a href='http://localhost:8080/'>local</a>", "local"},
        {"HTML", "<a href='http://127.0.0.1:8080'>ip</a>", "ip text_link@0+2=http://127.0.0.1:8080/"},
        {"HTML", "<span class=\"tg-spoiler\">s</span><tg-spoiler>t</tg-spoiler>",
         "st spoiler@0+1 spoiler@1+1"},
        {"HTML", "<blockquote expandable>q</blockquote>", "q expandable_blockquote@0+1"},
        {"HTML", "<b></b>", ""},
        {"HTML", "  <b> x </b>  ", "x bold@0+1"},
        {"HTML", "a < b", BAD "Unsupported start tag \"\" at byte offset 2"},
        {"HTML", "<b>x", BAD "Can't find end tag corresponding to start tag \"b\""},
        {"HTML", "x</b>", BAD "Unexpected end tag at byte offset 1"},
        {"HTML", "<b>x</i>", BAD "Unmatched end tag at byte offset 4, expected \"</b>\", found \"</i>\""},
        {"HTML", "<div>x</div>", BAD "Unsupported start tag \"div\" at byte offset 0"},
        {"HTML", "<b", BAD "Unclosed start tag at byte offset 0"},
        {"HTML", "<b>x</b", BAD "Unclosed end tag at byte offset 4"},
        {"HTML", "<a href>x</a>",
         BAD "Expected equal sign in declaration of an attribute of the tag \"a\" at byte offset 0"},
        {"HTML", "<span>x</span>", BAD "Tag \"span\" must have class \"tg-spoiler\" at byte offset 0"},
        {"Markdown", "*b* _i_ `c`", "b i c bold@0+1 italic@2+1 code@4+1"},
        {"Markdown", "a\\*b \\_", "a*b _"},
        {"Markdown", "```sh\nls\n```", "ls pre@0+2=sh"},
        {"Markdown", "[t](http://ex.org/)", "t text_link@0+1=http://ex.org/"},
        {"Markdown", "*b", BAD "Can't find end of the entity starting at byte offset 0"},
        {"Markdown", "a_b", BAD "Can't find end of the entity starting at byte offset 1"},
        {"MarkdownV2", "*b _i_* __u__ ~s~ ||p||",
         "b i u s p bold@0+3 italic@2+1 underline@4+1 strikethrough@6+1 spoiler@8+1"},
        {"MarkdownV2", "`a.b` ```c\nx-y```", "a.b x-y code@0+3 pre@4+3=c"},
        {"MarkdownV2", "```a``b```", "a``b pre@0+4"},
        {"MarkdownV2", "[t\\.](http://ex.org/a\\)b)", "t. text_link@0+2=http://ex.org/a)b"},
        {"MarkdownV2", ">q\n>r\nx", "q\nr\nx blockquote@0+3"},
        {"MarkdownV2", "a.b", BAD "Character '.' is reserved and must be escaped with the preceding '\\'"},
        {"MarkdownV2", "a!b", BAD "Character '!' is reserved and must be escaped with the preceding '\\'"},
        {"MarkdownV2", "*b", BAD "Can't find end of Bold entity at byte offset 0"},
        {"MarkdownV2", "x [a](b", BAD "Can't find end of a URL at byte offset 6"},
        {"BBCode", "x", "!unsupported parse_mode"},
        {"", "/start@bot_x now /a/b", "/start@bot_x now /a/b bot_command@0+12"},
        {"", "\xf0\x9f\x98\x80 /help #tag @name1",
         "\xf0\x9f\x98\x80 /help #tag @name1"
         " bot_command@3+5 hashtag@9+4 mention@14+6"},
        {"", "see http://ex.org/a.", "see http://ex.org/a. url@4+15"},
        {"HTML", "<code>/x</code> /y", "/x /y code@0+2 bot_command@3+2"},
        {"", "bad \xff utf", "!strings must be encoded in UTF-8"},
};

static void parses_as_telegram_does(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *got = shown(cases[i].mode, cases[i].text);
		if (strcmp(got, cases[i].want) != 0)
			print_message("case %zu: %s\n", i, cases[i].text);
		assert_string_equal(got, cases[i].want);
	}
}

/* Every prefix of every case ends in a result or an error, never in a crash or a read past the end. */
static void survives_being_cut_off(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (size_t n = 0; n <= strlen(cases[i].text); n++) {
			cleanup_free char *part = mem_strndup(cases[i].text, n);
			free(shown(cases[i].mode, part));
		}
	}
}

static void survives_deep_nesting(void **state)
{
	cleanup_str struct str deep = STR_INIT;

	(void)state;
	for (int i = 0; i < 8000; i++)
		str_add(&deep, "<b>");
	cleanup_free char *got = shown("HTML", str_text(&deep));
	assert_string_equal(got, BAD "Can't find end tag corresponding to start tag \"b\"");
}

static void given_entities_are_bounded(void **state)
{
	cleanup_formatted struct tg_formatted f = TG_FORMATTED_INIT;
	cleanup_json cJSON *list =
	        cJSON_Parse("[{\"type\":\"bold\",\"offset\":1,\"length\":999},{\"type\":\"evil\"},7,"
	                    "{\"type\":\"italic\",\"offset\":99,\"length\":1}]");
	struct err err;

	(void)state;
	assert_int_equal(tg_entities_given("abc", list, &f, &err), 0);
	assert_int_equal(f.n, 1);
	assert_int_equal(f.entities[0].length, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(parses_as_telegram_does),
	        cmocka_unit_test(survives_being_cut_off),
	        cmocka_unit_test(survives_deep_nesting),
	        cmocka_unit_test(given_entities_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
