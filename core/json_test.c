#include "core/json.h"
#include "core/mem.h"
#include "core/str.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the standard headers */
#include <cmocka.h>

static struct err err;

/* Parse from exactly ${n} bytes on the heap, not terminated: a read past the end shows. */
static cJSON *parse(const char *text, size_t n)
{
	char *p = malloc(n ? n : 1);
	memcpy(p, text, n);
	cJSON *j = json_parse(p, n, &err);
	free(p);
	return j;
}

static void parses_one_value(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
	        {"{}", true},
	        {"[]", true},
	        {"null", true},
	        {"\"x\"", true},
	        {" \t\r\n{\"a\":[1,-2.5e3,true,null]} \t\r\n", true},
	        {"\xef\xbb\xbf{}", true},
	        {"\"\\ud83c\\udf89 \\u00fc\"", true},
	        {"", false},
	        {" ", false},
	        {"{", false},
	        {"{\"a\":1", false},
	        {"{\"a\":}", false},
	        {"{a:1}", false},
	        {"{} {}", false},
	        {"{}x", false},
	        {"{}\v", false},
	        {"1 2", false},
	        {"\"open", false},
	        {"\"\\ud83c\"", false},
	        {"\"\\u12", false},
	        {"\"\\", false},
	        {"nul", false},
	        {"NaN", false},
	        {"nan", false},
	        {"Infinity", false},
	        {"-", false},
	        {"[1,]", false},
	        {"<html>", false},
	        {"\"\xff\"", false}, /* not UTF-8 */
	        {"{\"\xc3\":1}", false},
	        {"\"\xed\xa0\x80\"", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		err_clear(&err);
		cleanup_json cJSON *j = parse(cases[i].text, strlen(cases[i].text));
		if (!!j != cases[i].good)
			fail_msg("%s: %s", cases[i].text, j ? "accepted" : err.msg);
		assert_int_equal(err.code, j ? ERR_NONE : ERR_INVALID);
	}
	assert_null(parse("{}\0{}", 5));
	cleanup_json cJSON *terminated = parse("{}\n\0", 4); /* a length that counts the terminator */
	assert_non_null(terminated);
	assert_null(parse("{\"a\":1} x", 9));
	assert_string_equal(err.msg, "not JSON, from byte 8 on");
}

static void depth_is_bounded(void **state)
{
	(void)state;
	static const struct {
		int depth;
		bool good;
	} cases[] = {{1000, true}, {1001, false}, {1000000, false}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t d = (size_t)cases[i].depth;
		cleanup_free char *text = mem_alloc(2 * d + 1);
		memset(text, '[', d);
		memset(text + d, ']', d);
		cleanup_json cJSON *j = parse(text, 2 * d);
		assert_int_equal(!!j, cases[i].good);
		assert_null(parse(text, d)); /* never closed */
	}
}

static void numbers_saturate(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t value;
	} cases[] = {
	        {"0", 0},
	        {"-0", 0},
	        {"1.9", 1},
	        {"-1.9", -1},
	        {"9007199254740991", 9007199254740991},
	        {"-1001234567890123", -1001234567890123},
	        {"9223372036854774784", 9223372036854774784}, /* the largest double below 2^63 */
	        {"9223372036854775807", INT64_MAX},
	        {"1e19", INT64_MAX},
	        {"-9223372036854775808", INT64_MIN},
	        {"-1e19", INT64_MIN},
	        {"1e999", INT64_MAX},
	        {"-1e999", INT64_MIN},
	        {"1e-999", 0},
	        {"\"5\"", 7}, /* not a number: the default */
	        {"true", 7},
	        {"null", 7},
	        {"[]", 7},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *text = mem_printf("{\"n\":%s}", cases[i].text);
		cleanup_json cJSON *j = parse(text, strlen(text));
		assert_non_null(j);
		if (json_int(j, "n", 7) != cases[i].value)
			fail_msg("%s: %lld", text, (long long)json_int(j, "n", 7));
	}
	cleanup_json cJSON *j = json_object();
	json_add(j, "nan", cJSON_CreateNumber(NAN));
	assert_int_equal(json_int(j, "nan", 7), 7);
	json_add(j, "inf", cJSON_CreateNumber(INFINITY));
	cleanup_free char *printed = json_print(j);
	assert_string_equal(printed, "{\"nan\":null,\"inf\":null}"); /* neither is JSON */
}

/* What is printed reads back as the same tree, numbers written as cJSON writes them. */
static void printing(void **state)
{
	(void)state;
	static const char *const texts[] = {
	        "0",
	        "-0",
	        "-5",
	        "1732190400123",
	        "999999999999999",
	        "1e+15",
	        "-9.00719925474099e+15",
	        "0.1",
	        "-2.5e-07",
	        "1e+300",
	        "5e-324",
	        "null",
	        "true",
	        "false",
	        "[]",
	        "{}",
	        "[1,[],{\"a\":[null]}]",
	        "{\"a\":{\"\":\"\"},\"b\":\"x\"}",
	        "\"\\\"\\\\/\\n\"",
	        "\"п😀\"",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		cleanup_json cJSON *j = parse(texts[i], strlen(texts[i]));
		cleanup_free char *printed = json_print(j), *theirs = cJSON_PrintUnformatted(j);
		assert_string_equal(printed, theirs);
	}
	cleanup_json cJSON *sum = cJSON_CreateNumber(0.1 + 0.2);
	cleanup_free char *exact = json_print(sum);
	assert_string_equal(exact, "0.30000000000000004"); /* cJSON says 0.3 */
	cleanup_json cJSON *j = cJSON_CreateString("\t\x01\x7f\r"), *raw = cJSON_CreateRaw("[1]");
	cleanup_free char *printed = json_print(j), *raw_printed = json_print(raw);
	cleanup_json cJSON *again = parse(printed, strlen(printed));
	assert_string_equal(json_text(again, ""), "\t\x01\x7f\r");
	assert_string_equal(raw_printed, "[1]");
}

static void paths(void **state)
{
	(void)state;
	static const char text[] = "{\"a\":{\"b\":[{\"c\":\"x\"},5,[true]],\"\":9},\"A\":1,\"0\":\"zero\","
	                           "\"t\":true,\"n\":null}";
	static const struct {
		const char *path, *printed; /* NULL: nothing there */
	} cases[] = {
	        {"a.b.0.c", "\"x\""},
	        {"a.b.1", "5"},
	        {"a.b.2.0", "true"},
	        {"a.b.3", NULL},
	        {"a.b.-1", NULL},
	        {"a.b.x", NULL},
	        {"a.b.0x", NULL},
	        {"a.b.", "[{\"c\":\"x\"},5,[true]]"},
	        {"a..", "9"},
	        {"0", "\"zero\""},
	        {"A", "1"},
	        {"a.B", NULL},
	        {"t.x", NULL},
	        {"n", "null"},
	        {"n.x", NULL},
	        {"a.b.99999999999999999999", NULL},
	        {"a.b.4294967296", NULL},
	        {"zz", NULL},
	        {".", NULL},
	};
	cleanup_json cJSON *j = parse(text, strlen(text));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const cJSON *item = json_at(j, cases[i].path);
		cleanup_free char *printed = item ? json_print(item) : NULL;
		if (!printed != !cases[i].printed || (printed && strcmp(printed, cases[i].printed)))
			fail_msg("%s: %s", cases[i].path, printed ? printed : "nothing");
	}
	assert_ptr_equal(json_at(j, ""), j);
	assert_null(json_at(NULL, "a.b"));
	assert_null(json_text(NULL, "a"));
	assert_null(json_text(j, "t"));
	assert_null(json_text(j, "n"));
	assert_string_equal(json_text(j, "a.b.0.c"), "x");
	assert_true(json_bool(j, "t", false) && json_bool(j, "zz", true) && !json_bool(j, "A", false));
	assert_int_equal(json_int(NULL, "x", -1), -1);
	char long_path[400];
	memset(long_path, 'k', sizeof(long_path) - 1);
	long_path[399] = '\0';
	assert_null(json_at(j, long_path));
}

static void builds_valid_json(void **state)
{
	(void)state;
	cleanup_json cJSON *j = json_object();
	json_add_text(j, "text", "a\"\\\n\x01ü");
	json_add_text(j, "none", NULL);
	json_add_text(j, "bad", "x\xff\xf0\x9f");
	json_add_int(j, "id", -1001234567890123);
	json_add_int(j, "big", (1ll << 52) - 1);
	json_add_bool(j, "yes", true);
	json_add(j, "null", NULL);
	json_add(j, "list", json_array());
	json_add(NULL, "nowhere", json_object()); /* is freed */
	cleanup_free char *text = json_print(j), *pretty = json_print_pretty(j), *null = json_print(NULL);
	assert_string_equal(text, "{\"text\":\"a\\\"\\\\\\n\\u0001ü\",\"none\":null,\"bad\":\"x?\?\?\","
	                          "\"id\":-1001234567890123,"
	                          "\"big\":4503599627370495,\"yes\":true,\"null\":null,\"list\":[]}");
	assert_non_null(strchr(pretty, '\n'));
	assert_string_equal(null, "null");
	cleanup_json cJSON *again = parse(pretty, strlen(pretty));
	assert_true(cJSON_Compare(j, again, true));
	cleanup_json cJSON *nothing = NULL; /* cleanup of nothing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(parses_one_value),
	        cmocka_unit_test(depth_is_bounded),
	        cmocka_unit_test(numbers_saturate),
	        cmocka_unit_test(printing),
	        cmocka_unit_test(paths),
	        cmocka_unit_test(builds_valid_json),
	};
	return cmocka_run_group_tests_name("core/json", tests, NULL, NULL);
}
