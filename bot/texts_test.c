#include "bot/texts.h"
#include "core/mem.h"
#include "jobs/test_state.h"
#include <ctype.h>
#include <string.h>

/* The placeholders of a text, each once, as a set in order of first appearance is not needed: compare both ways. */
static bool has_all(const char *from, const char *in)
{
	for (const char *p = strchr(from, '{'); p; p = strchr(p + 1, '{')) {
		cleanup_free char *name = mem_strndup(p, strcspn(p, "}") + 1);
		if (!strstr(in, name))
			return false;
	}
	return true;
}

static void every_text_has_both_languages(void **state)
{
	(void)state;
	for (int id = 0; id < TEXT_COUNT; id++) {
		const char *en = texts_raw(LANG_EN, (enum text_id)id),
		           *ru = texts_raw(LANG_RU, (enum text_id)id);
		if (!en || !ru || !*en || !*ru)
			fail_msg("text %d lacks a language", id);
		if (!has_all(en, ru) || !has_all(ru, en))
			fail_msg("the placeholders differ:\n%s\n%s", en, ru);
	}
}

/* Tags pair up within every text. */
static void every_text_is_well_formed(void **state)
{
	(void)state;
	for (int id = 0; id < TEXT_COUNT; id++) {
		for (int lang = 0; lang < LANG_COUNT; lang++) {
			int depth = 0;
			for (const char *p = texts_raw((enum lang)lang, (enum text_id)id); *p; p++)
				if (*p == '<')
					depth += p[1] == '/' ? -1 : 1;
			assert_int_equal(depth, 0);
		}
	}
}

static void arguments_are_escaped(void **state)
{
	(void)state;
	cleanup_free char *error = texts_make(LANG_EN, T_ERROR, TEXT_ARGS({"error", "a<b>&\"{id}"}));
	assert_string_equal(error, "❌ a&lt;b&gt;&amp;&quot;{id}");
	cleanup_free char *raw = texts_make(LANG_EN, T_DONE, TEXT_ARGS({"what", "<b>x</b>"}));
	assert_string_equal(raw, "✅ <b>x</b>");
	cleanup_free char *missing = texts_make(LANG_EN, T_ERROR, TEXT_NONE);
	assert_string_equal(missing, "❌ {error}");
	cleanup_free char *null = texts_make(LANG_EN, T_ERROR, TEXT_ARGS({"error", NULL}));
	assert_string_equal(null, "❌ –");
}

/* Words of one language do not come into the other as an argument. */
static void sessions_are_counted_in_both_languages(void **state)
{
	(void)state;
	static const struct {
		enum lang lang;
		const char *says;
	} cases[] = {{LANG_EN, "Sessions: 3 (2 running)\n"}, {LANG_RU, "Сессии: 3 (работает 2)\n"}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *text =
		        texts_make(cases[i].lang, T_STATUS, TEXT_ARGS({"sessions", "3"}, {"running", "2"}));
		assert_non_null(strstr(text, cases[i].says));
	}
}

static void languages_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *code;
		int lang; /* -1: not ours */
	} cases[] = {{"en", LANG_EN}, {"ru", LANG_RU}, {"ru-RU", LANG_RU}, {"EN_us", LANG_EN}, {"rus", -1},
	             {"r", -1},       {"", -1},        {NULL, -1},         {"de", -1},         {"auto", -1}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		enum lang lang = LANG_EN;
		bool known = texts_lang(cases[i].code, &lang);
		assert_int_equal(known ? (int)lang : -1, cases[i].lang);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_text_has_both_languages),
	        cmocka_unit_test(every_text_is_well_formed),
	        cmocka_unit_test(arguments_are_escaped),
	        cmocka_unit_test(sessions_are_counted_in_both_languages),
	        cmocka_unit_test(languages_are_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
