#include "cli/args.h"
#include "core/clock.h"
#include "core/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct got {
	bool json;
	const char *format;
	int64_t lines, since, from;
	struct arg_list services;
	struct args args;
};

static int parse(struct got *got, const char *const *words, struct err *err)
{
	char *argv[16] = {(char *)"logs"};
	int argc = 1;
	while (words[argc - 1]) {
		argv[argc] = (char *)words[argc - 1];
		argc++;
	}
	const struct arg table[] = {{"json", ARG_FLAG, &got->json},
	                            {"format", ARG_TEXT, &got->format},
	                            {"n", ARG_INT, &got->lines},
	                            {"since", ARG_SPAN, &got->since},
	                            {"from", ARG_TIME, &got->from},
	                            {"service", ARG_LIST, &got->services},
	                            {0}};
	got->args = (struct args){"logs NAME [SERVICE]", table, 1, 2};
	return args_parse(&got->args, argc, argv, err);
}

static void options_and_words_in_any_order(void **state)
{
	(void)state;
	struct err err = {0};
	struct got got = {0};
	assert_int_equal(parse(&got,
	                       (const char *[]){"--service", "a", "demo", "--json", "-n", "7", "gateway",
	                                        "--service=b", "--format=tap", NULL},
	                       &err),
	                 0);
	assert_true(got.json);
	assert_string_equal(got.format, "tap");
	assert_int_equal(got.lines, 7);
	assert_int_equal(got.services.n, 2);
	assert_string_equal(got.services.items[1], "b");
	assert_int_equal(got.args.n, 2);
	assert_string_equal(got.args.words[0], "demo");
	assert_string_equal(got.args.words[1], "gateway");
	assert_null(got.args.words[2]);
}

static void after_two_dashes_all_are_words(void **state)
{
	(void)state;
	struct err err = {0};
	struct got got = {0};
	assert_int_equal(parse(&got, (const char *[]){"--", "--json", NULL}, &err), 0);
	assert_false(got.json);
	assert_string_equal(got.args.words[0], "--json");
}

static void wrong_lines_are_refused_with_the_usage(void **state)
{
	static const struct {
		const char *words[5], *says;
	} cases[] = {
	        {{"demo", "--jsn"}, "unknown option --jsn"},
	        {{"demo", "-x"}, "unknown option"},
	        {{"demo", "--format"}, "--format needs a value"},
	        {{"demo", "-n", "many"}, "whole number"},
	        {{"demo", "-n", "-3"}, "whole number"},
	        {{"demo", "-n", "99999999999999999999"}, "whole number"},
	        {{"demo", "--from", "yesterday"}, "a time like 2026"},
	        {{"demo", "--from", "2026-01-31"}, "a time like 2026"},
	        {{"demo", "--from", "999999999d"}, "a time like 2026"},
	        {{"demo", "--since", ""}, "90s, 10m"},
	        {{"demo", "--since", "m"}, "90s, 10m"},
	        {{"demo", "--since", "1w"}, "90s, 10m"},
	        {{"demo", "--since", "-1m"}, "90s, 10m"},
	        {{"demo", "--since", "999999999999999d"}, "90s, 10m"},
	        {{"demo", "gateway", "third"}, "'third' is too much"},
	        {{NULL}, "missing"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		struct got got = {0};
		assert_int_equal(parse(&got, cases[i].words, &err), -1);
		assert_int_equal(err.code, ERR_USAGE);
		if (!strstr(err.msg, cases[i].says))
			fail_msg("case %zu: %s", i, err.msg);
	}
}

static void times_are_seconds(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} cases[] = {{"0", 0}, {"45", 45}, {"90s", 90}, {"10m", 600}, {"2h", 7200}, {"1d", 86400}};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		struct got got = {.since = -1};
		assert_int_equal(parse(&got, (const char *[]){"demo", "--since", cases[i].text, NULL}, &err),
		                 0);
		assert_int_equal(got.since, cases[i].seconds);
	}
}

static void a_moment_is_told_by_its_age_or_its_date(void **state)
{
	struct err err = {0};
	struct got got = {0};
	(void)state;
	assert_int_equal(
	        parse(&got, (const char *[]){"demo", "--from", "2026-11-21T09:20:25+01:00", NULL}, &err), 0);
	assert_int_equal(got.from, 1795249225000);
	int64_t before = clock_now_ms();
	assert_int_equal(parse(&got, (const char *[]){"demo", "--from", "10m", NULL}, &err), 0);
	assert_in_range(got.from, before - 600000, clock_now_ms() - 600000);
}

static void a_command_is_cut_off_whole(void **state)
{
	(void)state;
	char *argv[] = {(char *)"exec", (char *)"demo", (char *)"--", (char *)"ls",
	                (char *)"-n",   (char *)"--",   NULL};
	int argc = 6;
	const char *const *command = args_take_command(&argc, argv);
	assert_int_equal(argc, 2);
	assert_null(argv[2]);
	assert_string_equal(command[0], "ls");
	assert_string_equal(command[1], "-n");
	assert_string_equal(command[2], "--");
	assert_null(command[3]);
	char *empty[] = {(char *)"exec", (char *)"demo", (char *)"--", NULL};
	argc = 3;
	assert_null(args_take_command(&argc, empty)[0]);
	assert_null(args_take_command(&argc, empty));
}

static void help_is_no_error(void **state)
{
	(void)state;
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		struct err err = {0};
		struct got got = {0};
		close(STDOUT_FILENO);
		parse(&got, (const char *[]){"--help", NULL}, &err);
		_exit(9);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void env_is_cut_out_before_two_dashes(void **state)
{
	(void)state;
	bool missing;
	char *argv[] = {(char *)"codefoundry", (char *)"--env", (char *)"a",     (char *)"up",
	                (char *)"--env=b",     (char *)"--",    (char *)"--env", NULL};
	int argc = 7;
	assert_string_equal(args_take_env(&argc, argv, &missing), "b");
	assert_false(missing);
	assert_int_equal(argc, 4);
	assert_string_equal(argv[1], "up");
	assert_string_equal(argv[3], "--env");
	char *bare[] = {(char *)"codefoundry", (char *)"up", (char *)"--env", NULL};
	argc = 3;
	assert_null(args_take_env(&argc, bare, &missing));
	assert_true(missing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(options_and_words_in_any_order),
	        cmocka_unit_test(after_two_dashes_all_are_words),
	        cmocka_unit_test(wrong_lines_are_refused_with_the_usage),
	        cmocka_unit_test(times_are_seconds),
	        cmocka_unit_test(a_moment_is_told_by_its_age_or_its_date),
	        cmocka_unit_test(a_command_is_cut_off_whole),
	        cmocka_unit_test(help_is_no_error),
	        cmocka_unit_test(env_is_cut_out_before_two_dashes),
	};
	return cmocka_run_group_tests_name("args", tests, NULL, NULL);
}
