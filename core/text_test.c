#include "core/mem.h"
#include "core/text.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* after the standard headers */
#include <cmocka.h>

/* Bytes of exactly their size on the heap, so that a read past the end shows. */
static char *bytes(const char *s, size_t n)
{
	char *p = malloc(n ? n : 1);
	memcpy(p, s, n);
	return p;
}

static void utf8_validity(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool valid;
		const char *repaired;
	} cases[] = {
	        {"", true, NULL},
	        {"ascii\x7f\x01", true, NULL},
	        {"\xc2\x80 \xdf\xbf", true, NULL}, /* two bytes: first, last */
	        {"\xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf", true,
	         NULL},                                            /* three, around the surrogates */
	        {"\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf", true, NULL}, /* four: first, last */
	        {"\x80", false, "?"},
	        {"a\xbfz", false, "a?z"},
	        {"\xc0\x80", false, "?\?"}, /* overlong NUL */
	        {"\xc1\xbf", false, "?\?"},
	        {"\xe0\x9f\xbf", false, "?\?\?"},
	        {"\xf0\x8f\xbf\xbf", false, "?\?\?\?"},
	        {"\xed\xa0\x80", false, "?\?\?"}, /* surrogates */
	        {"\xed\xbf\xbf", false, "?\?\?"},
	        {"\xf4\x90\x80\x80", false, "?\?\?\?"}, /* above U+10FFFF */
	        {"\xf5\x80\x80\x80", false, "?\?\?\?"},
	        {"\xf8\x88\x80\x80\x80", false, "?\?\?\?\?"},
	        {"\xfe\xff", false, "?\?"},
	        {"\xc3", false, "?"}, /* cut off */
	        {"\xe2\x82", false, "?\?"},
	        {"\xf0\x9f\x8e", false, "?\?\?"},
	        {"\xc3(", false, "?("},
	        {"\xe2\x82\"", false, "?\?\""},
	        {"\xf0\x9f\x8e\xc3\xbc", false, "?\?\?ü"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t n = strlen(cases[i].text);
		cleanup_free char *p = bytes(cases[i].text, n);
		if (text_is_utf8(p, n) != cases[i].valid)
			fail_msg("case %zu", i);
		assert_int_equal(text_make_utf8(p, n), !cases[i].valid);
		assert_memory_equal(p, cases[i].repaired ? cases[i].repaired : cases[i].text, n);
		assert_true(text_is_utf8(p, n));
		/* none of it may be read past its end, wherever it is cut */
		for (size_t k = 0; k <= n; k++) {
			cleanup_free char *part = bytes(cases[i].text, k);
			text_columns(part, k);
			text_utf16_len(part, k);
			text_utf16_prefix(part, k, 1);
			assert_true(text_utf8_prefix(part, k) <= k);
			text_make_utf8(part, k);
		}
	}
	assert_true(text_is_utf8("a\0b", 3)); /* NUL is a character */
}

static void prefix_drops_half_a_character(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t n, prefix;
	} cases[] = {
	        {"abc", 3, 3}, {"abc", 0, 0}, {"aü", 3, 3}, {"aü", 2, 1}, {"a€", 4, 4},       {"a€", 3, 1},
	        {"a€", 2, 1},  {"🎉", 4, 4},   {"🎉", 3, 0},  {"🎉", 1, 0},  {"\x80\x80", 2, 2}, {"üü", 3, 2},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (text_utf8_prefix(cases[i].text, cases[i].n) != cases[i].prefix)
			fail_msg("case %zu", i);
}

static void utf16_units(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t units;
	} lengths[] = {{"", 0},
	               {"abc", 3},
	               {"юникод", 6},
	               {"€", 1},
	               {"🎉", 2},
	               {"a🎉b", 4},
	               {"👨‍👩‍👧", 8},
	               {"￿", 1},
	               {"𐀀", 2}};
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		size_t n = strlen(lengths[i].text);
		assert_int_equal(text_utf16_len(lengths[i].text, n), lengths[i].units);
		assert_int_equal(text_utf16_prefix(lengths[i].text, n, lengths[i].units), n);
		assert_int_equal(text_utf16_prefix(lengths[i].text, n, 4096), n);
	}
	static const struct {
		const char *text;
		size_t units, bytes;
	} prefixes[] = {{"abc", 0, 0}, {"abc", 2, 2}, {"юникод", 2, 4}, {"🎉x", 1, 0}, {"🎉x", 2, 4},
	                {"🎉x", 3, 5},  {"a🎉", 2, 1},  {"a🎉🎉", 4, 5},    {"€€", 1, 3}, {"", 5, 0}};
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		assert_int_equal(
		        text_utf16_prefix(prefixes[i].text, strlen(prefixes[i].text), prefixes[i].units),
		        prefixes[i].bytes);
}

static void columns(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t columns;
	} cases[] = {
	        {"", 0},     {"abc", 3},  {"юникод", 6}, {"日本", 4}, {"한국", 4}, {"e\xcc\x81", 1},
	        {"🎉", 2},    {"✅", 2},    {"❌", 2},      {"🟢", 2}, {"✓", 1},    {"─│█▒", 4},
	        {"a\tb", 2}, {"\xff", 1}, {"ｆ", 2},     {"…", 1},    {"⏳", 2},    {"⚡", 2},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (text_columns(cases[i].text, strlen(cases[i].text)) != cases[i].columns)
			fail_msg("%s: %zu", cases[i].text,
			         text_columns(cases[i].text, strlen(cases[i].text)));
}

static void distances(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		unsigned distance;
	} cases[] = {{"", "", 0},       {"", "abc", 3},           {"abc", "abc", 0},
	             {"abc", "abd", 1}, {"abc", "ab", 1},         {"abc", "abcd", 1},
	             {"abc", "acb", 1}, {"kitten", "sitting", 3}, {"status", "sttaus", 1},
	             {"ab", "ba", 1},   {"help", "halp", 1},      {"abc", "xyz", 3}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(text_distance(cases[i].a, cases[i].b), cases[i].distance);
		assert_int_equal(text_distance(cases[i].b, cases[i].a), cases[i].distance);
	}
	char w64[65], w65[66];
	memset(w64, 'x', 64);
	memset(w65, 'x', 65);
	w64[64] = w65[65] = '\0';
	assert_int_equal(text_distance(w64, w64), 0);
	assert_int_equal(text_distance(w64, "x"), 63);
	assert_int_equal(text_distance(w65, w65), 65);
	assert_int_equal(text_distance("", w65), 65);
}

static void controls(void **state)
{
	(void)state;
	static const struct {
		const char *text, *blank;
	} cases[] = {{"", ""},
	             {"plain é 🙂", "plain é 🙂"},
	             {"a\033[2Jb", "a [2Jb"},
	             {"a\x7f"
	              "b\r",
	              "a b "},
	             {"\xc2\x9b"
	              "31m",
	              " 31m"}, /* CSI as one character */
	             {"\xc2\xa0\xc2\x80", "\xc2\xa0 "},
	             {"two\nlines\t", "two\nlines "}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *s = mem_strdup(cases[i].text);
		text_blank(s, "\n");
		assert_string_equal(s, cases[i].blank);
	}
	assert_int_equal(text_control(""), 0);
	assert_int_equal(text_control("\xc2"), 0);
}

static void whole_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int rc;
		int64_t value;
	} cases[] = {{"0", 0, 0},
	             {"-12", 0, -12},
	             {"+7", 0, 7},
	             {"9223372036854775807", 0, INT64_MAX},
	             {"", -1, 5},
	             {" 1", -1, 5},
	             {"1 ", -1, 5},
	             {"9223372036854775808", -1, 5},
	             {"1.5", -1, 5},
	             {"0x10", -1, 5},
	             {"99999999999999999999", -1, 5},
	             {"zwei", -1, 5}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t value = 5;
		assert_int_equal(text_int(cases[i].text, &value), cases[i].rc);
		assert_true(value == cases[i].value);
	}
}

static void nearest(void **state)
{
	(void)state;
	static const char *const words[] = {"start",    "status", "stop", "session",
	                                    "sessions", "new",    "q",    NULL};
	static const char *const none[] = {NULL};
	static const struct {
		const char *word, *nearest;
	} cases[] = {{"status", "status"},
	             {"statsu", "status"},
	             {"sttaus", "status"},
	             {"sesions", "sessions"},
	             {"sesion", "session"},
	             {"nwe", "new"},
	             {"strat", "start"},
	             {"stp", "stop"},
	             {"xyzzy", NULL},
	             {"", NULL},
	             {"x", NULL},
	             {"zz", NULL},
	             {"q", "q"},
	             {"completely-else", NULL}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *found = text_nearest(cases[i].word, words);
		if (!found != !cases[i].nearest || (found && strcmp(found, cases[i].nearest)))
			fail_msg("%s: %s", cases[i].word, found ? found : "none");
	}
	assert_null(text_nearest("word", none));
}

/* Of the published vectors: places in lock files depend on it. */
static void hashes(void **state)
{
	(void)state;
	assert_true(text_hash("") == 0xcbf29ce484222325u);
	assert_true(text_hash("a") == 0xaf63dc4c8601ec8cu);
	assert_true(text_hash("foobar") == 0x85944171f73967e8u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(utf8_validity), cmocka_unit_test(prefix_drops_half_a_character),
	        cmocka_unit_test(utf16_units),   cmocka_unit_test(columns),
	        cmocka_unit_test(distances),     cmocka_unit_test(nearest),
	        cmocka_unit_test(controls),      cmocka_unit_test(whole_numbers),
	        cmocka_unit_test(hashes),
	};
	return cmocka_run_group_tests_name("core/text", tests, NULL, NULL);
}
