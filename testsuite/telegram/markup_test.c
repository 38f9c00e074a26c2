#include "core/mem.h"
#include "core/str.h"
#include "testsuite/telegram/markup.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define KEYS(row) "{\"inline_keyboard\":[" row "]}"

static void accepted_and_passed_on(void **state)
{
	static const struct {
		const char *text;
		bool kept;
	} cases[] = {{"", false},
	             {"{}", false},
	             {"{\"remove_keyboard\":true}", false},
	             {"{\"keyboard\":[[\"a\"]]}", false},
	             {KEYS(""), false},
	             {KEYS("[]"), false},
	             {KEYS("[{\"text\":\"a\",\"callback_data\":\"x\"}]"), true},
	             {KEYS("[{\"text\":\"a\",\"url\":\"example.org\"}]"), true},
	             {KEYS("[{\"text\":\"a\",\"switch_inline_query\":\"\"}]"), true}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_json cJSON *markup = NULL;
		struct err err;
		assert_int_equal(tg_markup_parse(cases[i].text, &markup, &err), 0);
		assert_int_equal(markup != NULL, cases[i].kept);
	}
}

/* ${n} buttons, ${per_row} in a row, with ${data} bytes of callback data each. */
static int parse(int n, int per_row, int data)
{
	cleanup_str struct str text = STR_INIT;
	cleanup_json cJSON *markup = NULL;
	struct err err;

	str_add(&text, "{\"inline_keyboard\":[");
	for (int i = 0; i < n; i++) {
		str_addf(&text, "%s{\"text\":\"b\",\"callback_data\":\"%0*d\"}",
		         i == 0        ? "["
		         : i % per_row ? ","
		                       : "],[",
		         data, 7);
	}
	str_add(&text, "]]}");
	return tg_markup_parse(str_text(&text), &markup, &err);
}

static void limits(void **state)
{
	(void)state;
	assert_int_equal(parse(1, 1, 64), 0);
	assert_int_equal(parse(1, 1, 65), -1);
	assert_int_equal(parse(8, 8, 1), 0);
	assert_int_equal(parse(9, 9, 1), -1);
	assert_int_equal(parse(100, 5, 1), 0);
	assert_int_equal(parse(101, 5, 1), -1);
}

static void malformed_is_refused(void **state)
{
	static const char *const bad[] = {"x",
	                                  "null",
	                                  "[]",
	                                  "7",
	                                  "{\"inline_keyboard\":7}",
	                                  KEYS("7"),
	                                  KEYS("[7]"),
	                                  KEYS("[{\"text\":7,\"callback_data\":\"x\"}]"),
	                                  KEYS("[{\"text\":\"a\",\"callback_data\":7}]"),
	                                  KEYS("[{\"text\":\"a\",\"url\":\"ftp://x.org\"}]")};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_json cJSON *markup = NULL;
		struct err err;
		assert_int_equal(tg_markup_parse(bad[i], &markup, &err), -1);
		assert_null(markup);
		assert_int_equal(err.code, ERR_INVALID);
	}
}

static void finds_its_buttons(void **state)
{
	cleanup_json cJSON *message =
	        cJSON_Parse("{\"reply_markup\":" KEYS("[{\"text\":\"a\",\"callback_data\":\"x\"}]") "}");
	cleanup_json cJSON *plain = cJSON_Parse("{}");

	(void)state;
	assert_true(tg_markup_has(message, "x"));
	assert_false(tg_markup_has(message, "y"));
	assert_false(tg_markup_has(plain, "x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(accepted_and_passed_on),
	        cmocka_unit_test(limits),
	        cmocka_unit_test(malformed_is_refused),
	        cmocka_unit_test(finds_its_buttons),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
