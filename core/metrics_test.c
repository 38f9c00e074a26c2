#include "core/clock.h"
#include "core/metrics.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SEEN, OPEN, NEVER };

static const struct metric table[] = {
        [SEEN] = {"codefoundry_test_seen_total", METRIC_COUNTER, "Things seen.\nOn \\ two lines"},
        [OPEN] = {"codefoundry_test_open", METRIC_GAUGE, "Open \"things\"."},
        [NEVER] = {"codefoundry_test_never_total", METRIC_COUNTER, "Never."},
        {0},
};

static void text_format(void **state)
{
	struct metrics *m = metrics_new(table);
	struct str out = STR_INIT;
	static const char wanted[] = "# HELP codefoundry_test_seen_total Things seen.\\nOn \\\\ two lines\n"
	                             "# TYPE codefoundry_test_seen_total counter\n"
	                             "codefoundry_test_seen_total{code=\"429\"} 2\n"
	                             "codefoundry_test_seen_total{a=\"x\",b=\"ж\"} 0.5\n"
	                             "# HELP codefoundry_test_open Open \"things\".\n"
	                             "# TYPE codefoundry_test_open gauge\n"
	                             "codefoundry_test_open 1234567890123\n"
	                             "# HELP codefoundry_test_never_total Never.\n"
	                             "# TYPE codefoundry_test_never_total counter\n"
	                             "codefoundry_test_never_total 0\n"
	                             "# HELP process_cpu_seconds_total ";

	(void)state;
	metrics_add(m, SEEN, "code=\"429\"", 1);
	metrics_add(m, SEEN, "code=\"429\"", 1);
	metrics_add(m, SEEN, "a=\"x\",b=\"ж\"", 0.5);
	metrics_set(m, OPEN, NULL, 7);
	metrics_set(m, OPEN, "", 1234567890123.0);
	metrics_render(m, &out);
	assert_true(out.len > sizeof(wanted));
	str_cut(&out, sizeof(wanted) - 1);
	assert_string_equal(str_text(&out), wanted);
	assert_true(metrics_value(m, SEEN, "code=\"429\"") == 2);
	assert_true(metrics_value(m, SEEN, "code=\"500\"") == 0);
	str_free(&out);
	metrics_free(m);
	metrics_free(NULL);
}

static void label_sets_are_bounded(void **state)
{
	struct metrics *m = metrics_new(table);
	struct str out = STR_INIT;
	char labels[64];
	int lines = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(labels, sizeof(labels), "user=\"%d\"", i);
		metrics_add(m, SEEN, labels, 1);
	}
	metrics_add(m, SEEN, "x=\"\nforged 1", 1);
	metrics_render(m, &out);
	for (const char *p = str_text(&out); (p = strstr(p, "test_seen_total{")); p++)
		lines++;
	assert_int_equal(lines, 65);
	assert_true(metrics_value(m, SEEN, "user=\"63\"") == 1);
	assert_true(metrics_value(m, SEEN, "other=\"true\"") == 1000 - 64 + 1);
	assert_null(strstr(str_text(&out), "\nforged"));
	str_free(&out);
	metrics_free(m);
}

static double value_of(const struct str *out, const char *name)
{
	char line[128];
	const char *p;

	snprintf(line, sizeof(line), "\n%s ", name);
	p = strstr(str_text(out), line);
	assert_non_null(p);
	return atof(p + strlen(line));
}

static void process_is_described(void **state)
{
	struct metrics *m = metrics_new(table);
	struct str out = STR_INIT;
	double now = (double)clock_now_ms() / 1000;

	(void)state;
	metrics_set(m, OPEN, NULL, NAN);
	metrics_set(m, OPEN, "x=\"1\"", -INFINITY);
	metrics_render(m, &out);
	assert_non_null(strstr(out.p, "codefoundry_test_open NaN\ncodefoundry_test_open{x=\"1\"} -Inf\n"));
	assert_true(value_of(&out, "process_resident_memory_bytes") > 100000);
	assert_true(value_of(&out, "process_open_fds") >= 3);
	assert_true(value_of(&out, "process_cpu_seconds_total") >= 0);
	assert_true(fabs(value_of(&out, "process_start_time_seconds") - now) < 60);
	str_free(&out);
	metrics_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(text_format),
	        cmocka_unit_test(label_sets_are_bounded),
	        cmocka_unit_test(process_is_described),
	};

	return cmocka_run_group_tests_name("core/metrics", tests, NULL, NULL);
}
