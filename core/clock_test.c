#include "core/clock.h"
#include "core/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
/* after the standard headers */
#include <cmocka.h>

static void clocks_go_forward(void **state)
{
	(void)state;
	int64_t now = clock_now_ms(), mono = clock_mono_ms();
	assert_true(now / 1000 - time(NULL) <= 1 && now / 1000 - time(NULL) >= -1);
	for (int i = 0; i < 1000; i++) {
		int64_t next = clock_mono_ms();
		assert_true(next >= mono);
		mono = next;
	}
}

static void writes_iso_times(void **state)
{
	(void)state;
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {
	        {0, "1970-01-01T00:00:00.000Z"},
	        {1, "1970-01-01T00:00:00.001Z"},
	        {-1, "1969-12-31T23:59:59.999Z"},
	        {-1000, "1969-12-31T23:59:59.000Z"},
	        {951782400000, "2000-02-29T00:00:00.000Z"},
	        {1769860800123, "2026-01-31T12:00:00.123Z"},
	        {253402300799999, "9999-12-31T23:59:59.999Z"},
	        {253402300800000, "9999-12-31T23:59:59.999Z"},
	        {INT64_MAX, "9999-12-31T23:59:59.999Z"},
	        {INT64_MIN, "0000-01-01T00:00:00.000Z"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char buf[25];
		assert_ptr_equal(clock_iso(cases[i].ms, buf, sizeof(buf)), buf);
		assert_string_equal(buf, cases[i].text);
	}
	char small[5];
	assert_string_equal(clock_iso(0, small, sizeof(small)), "1970");
}

static void writes_durations(void **state)
{
	(void)state;
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {
	        {0, "0 ms"},
	        {850, "850 ms"},
	        {999, "999 ms"},
	        {1000, "1.0 s"},
	        {4250, "4.2 s"},
	        {59999, "59.9 s"},
	        {60000, "1 min"},
	        {185000, "3 min 5 s"},
	        {3599999, "59 min 59 s"},
	        {3600000, "1 h"},
	        {7800000, "2 h 10 min"},
	        {86400000, "1 d"},
	        {273600000, "3 d 4 h"},
	        {-5, "-5 ms"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char buf[32];
		assert_string_equal(clock_duration(cases[i].ms, buf, sizeof(buf)), cases[i].text);
	}
	char buf[32];
	assert_non_null(strstr(clock_duration(INT64_MAX, buf, sizeof(buf)), " d"));
}

static void writes_ages_and_what_is_left(void **state)
{
	(void)state;
	static const struct {
		int64_t ms;
		const char *rough, *left;
	} cases[] = {
	        {-5, "under 1 s", "0 s"},       {0, "under 1 s", "0 s"},          {1, "under 1 s", "1 s"},
	        {999, "under 1 s", "1 s"},      {30500, "30 s", "31 s"},          {59999, "59 s", "1 min"},
	        {60000, "1 min", "1 min"},      {60001, "1 min", "2 min"},        {3599995, "59 min", "1 h"},
	        {7199990, "1 h 59 min", "2 h"}, {86399990, "23 h 59 min", "1 d"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char buf[32];
		assert_string_equal(clock_rough(cases[i].ms, buf, sizeof(buf)), cases[i].rough);
		assert_string_equal(clock_left(cases[i].ms, buf, sizeof(buf)), cases[i].left);
	}
	static const char *const units[][2] = {{"850 ms", "850 мс"},         {"3 min 5 s", "3 мин 5 с"},
	                                       {"2 h 10 min", "2 ч 10 мин"}, {"3 d 4 h", "3 д 4 ч"},
	                                       {"under 1 s", "меньше 1 с"},  {"", ""}};
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		char text[48];
		snprintf(text, sizeof(text), "%s", units[i][0]);
		assert_string_equal(clock_russian(text, sizeof(text)), units[i][1]);
	}
	char buf[32];
	assert_non_null(strstr(clock_left(INT64_MAX - 1, buf, sizeof(buf)), " d"));
}

static void reads_iso_times(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
	        {"1970-01-01T00:00:01Z", 1000},
	        {"1970-01-01T00:00:01.5Z", 1500},
	        {"1970-01-01T00:00:01.05Z text after", 1050},
	        {"2026-11-21T09:20:25.071930555Z", 1795252825071},
	        {"1970-01-01T02:00:01+02:00", 1000},
	        {"1969-12-31T20:30:01.5-03:30", 1500},
	        {"2026-11-21T09:20:25+1", 0},
	        {"2026-11-21T09:20:25+99:00", 0},
	        {"2026-11-21T09:20:25", 0},
	        {"2026-11-21", 0},
	        {"yesterday", 0},
	        {"", 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(clock_parse_iso(cases[i].text), cases[i].ms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(clocks_go_forward),
	        cmocka_unit_test(writes_iso_times),
	        cmocka_unit_test(reads_iso_times),
	        cmocka_unit_test(writes_durations),
	        cmocka_unit_test(writes_ages_and_what_is_left),
	};
	return cmocka_run_group_tests_name("core/clock", tests, NULL, NULL);
}
