#include "core/mem.h"
#include "testsuite/builtin.h"
#include "testsuite/scenario.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "name: x\ntitle: t\nsteps:\n"

static void nine_scenarios_can_be_read(void **state)
{
	(void)state;
	size_t n = 0;
	const struct builtin *b;
	for (; (b = builtin_at(n)); n++) {
		struct err err = {0};
		struct scenario *sc = NULL;
		if (builtin_load(b->name, &sc, &err))
			fail_msg("%s", err.msg);
		assert_string_equal(sc->name, b->name);
		assert_true(strlen(sc->title) > 20);
		assert_true(sc->needs_target);
		scenario_free(sc);
	}
	assert_int_equal(n, 9);
}

static void unknown_name_is_answered_with_the_nearest(void **state)
{
	(void)state;
	struct err err = {0};
	struct scenario *sc;
	assert_int_equal(builtin_load("statsu", &sc, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_non_null(strstr(err.msg, "did you mean status"));
	assert_non_null(strstr(err.msg, "reconnect"));
}

/* What is wrong with a file, and in which line it is said to be. */
static const struct {
	const char *text, *message;
	bool trusted;
} refused[] = {
        {"", "f.yml", false},
        {"name: [", "f.yml", false},
        {"just text", "f.yml:", false},
        {"name: x\ntitle: t\n", "lacks 'steps'", false},
        {"name: x\ntitle: t\nsteps: []\n", "f.yml:3: 'steps' wants a list of steps", false},
        {"name: X/../y\ntitle: t\nsteps:\n  - send: a\n", "'name' wants", false},
        {"name: x\ntitle: t\nstesp:\n  - send: a\n",
         "f.yml:3: 'scenario' knows no key 'stesp' (did you mean 'steps'?)", false},
        {HEAD "  - sned: a\n", "f.yml:4: no step is called 'sned'", false},
        {HEAD "  - send: a\n  - just text\n", "f.yml:5: a step is a map", false},
        {HEAD "  - as: tester\n", "f.yml:4: a step without anything to do", false},
        {HEAD "  - send: a\n    expect: b\n", "f.yml:5: one step cannot be both 'send' and 'expect'", false},
        {HEAD "  - send: a\n  - expect:\n      contians: b\n",
         "f.yml:6: 'expect' knows no key 'contians' (did you mean 'contains'?)", false},
        {HEAD "  - send: {txt: a}\n", "f.yml:4: 'send' knows no key 'txt'", false},
        {HEAD "  - send: {language: en}\n", "'send' lacks 'text'", false},
        {HEAD "  - expect: {matches: \"(\"}\n", "f.yml:4: 'matches' is no regular expression", false},
        {HEAD "  - expect: {matches: [a, \"[\"]}\n", "is no regular expression", false},
        {HEAD "  - expect: {within: soon}\n", "'within' wants a time", false},
        {HEAD "  - expect: {edited: maybe}\n", "'edited' wants true or false", false},
        {HEAD "  - expect: {contains: []}\n", "'contains' is an empty list", false},
        {HEAD "  - expect: {contains: {a: b}}\n", "'contains' wants a text", false},
        {HEAD "  - expect: {capture: [A-b]}\n", "'capture' wants a name", false},
        {HEAD "  - expect_none: {contains: a}\n", "'expect_none' lacks 'proof'", false},
        {HEAD "  - expect_none: {proof: [{sned: a}]}\n", "no step is called 'sned'", false},
        {HEAD "  - http: {to: a/b, expect: {status: many}}\n", "'status' wants a whole number", false},
        {HEAD "  - http: {to: a/b, expect: {json: {a.b: {contans: x}}}}\n", "knows no key 'contans'", false},
        {HEAD "  - http: {to: a/b, expect: {json: {a: [1]}}}\n", "not a list", false},
        {HEAD "  - http: gateway\n", "step 'http' wants a map of keys", false},
        {HEAD "  - wait: {until: {nothing: 1}}\n", "no step is called 'nothing'", false},
        {HEAD "  - run: {argv: [id]}\n", "f.yml:4: step 'run' is allowed only in files given by path", false},
        {HEAD "  - stack: {}\n", "'stack' is allowed only in files given by path", false},
        {HEAD "  - repeat: {times: 2, steps: [{run: {argv: [id]}}]}\n", "'run' is allowed only", false},
        {HEAD "  - run: {argv: [id], env: {A: [1]}}\n", "'A' in 'env' wants a text", true},
        {HEAD "  - free_ports: [A]\n", "'names' wants a name", true},
};

static void wrong_files_are_refused_by_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct err err = {0};
		struct scenario *sc = NULL;
		const char *text = refused[i].text;
		if (scenario_parse(&sc, text, strlen(text), "f.yml", refused[i].trusted, &err) == 0)
			fail_msg("accepted: %s", text);
		if (!strstr(err.msg, refused[i].message))
			fail_msg("%s\n  gave \"%s\"\n  not \"%s\"", text, err.msg, refused[i].message);
	}
}

static void large_files_are_refused(void **state)
{
	(void)state;
	struct err err = {0};
	struct scenario *sc;
	cleanup_free char *text = mem_alloc(SCENARIO_MAX_BYTES + 2);
	memset(text, '#', SCENARIO_MAX_BYTES + 1);
	assert_int_equal(scenario_parse(&sc, text, SCENARIO_MAX_BYTES + 1, "f.yml", true, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
}

/* What a file says about how it must be run. */
static const struct {
	const char *steps;
	bool target, talks, alone;
} needs[] = {
        {"  - send: a\n", true, true, false},
        {"  - http: {to: gateway/health}\n", true, false, false},
        {"  - http: {url: \"http://127.0.0.1:1\"}\n", false, false, false},
        {"  - restart: gateway\n", true, false, true},
        {"  - fault: {method: sendMessage, drop: true}\n", true, true, true},
        {"  - wait: {until: {stop: gateway}}\n", true, false, true},
        {"  - run: {argv: [codefoundry, help]}\n", false, false, false},
        {"  - stack: {}\n  - send: a\n  - kill: telegram-bot\n", false, false, false},
        {"  - send: a\n  - stack: {}\n", true, true, false},
};

static void needs_follow_from_steps(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(needs); i++) {
		struct err err = {0};
		struct scenario *sc = NULL;
		cleanup_free char *text = mem_printf(HEAD "%s", needs[i].steps);
		if (scenario_parse(&sc, text, strlen(text), "f.yml", true, &err))
			fail_msg("%s", err.msg);
		assert_int_equal(sc->needs_target, needs[i].target);
		assert_int_equal(sc->talks, needs[i].talks);
		assert_int_equal(sc->alone, needs[i].alone);
		scenario_free(sc);
	}
}

static void shorthands_are_written_out(void **state)
{
	(void)state;
	static const char text[] =
	        HEAD "  - send: /start\n  - expect: [a, b]\n  - repeat:\n      times: 2\n      steps:\n"
	             "        - press: Stop\n";
	struct err err = {0};
	struct scenario *sc = NULL;
	assert_int_equal(scenario_parse(&sc, text, strlen(text), "f.yml", false, &err), 0);
	const cJSON *first = cJSON_GetArrayItem(sc->steps, 0), *second = cJSON_GetArrayItem(sc->steps, 1),
	            *third = cJSON_GetArrayItem(sc->steps, 2);
	assert_string_equal(json_text(first, "send.text"), "/start");
	assert_int_equal(cJSON_GetArraySize(json_at(second, "expect.contains")), 2);
	assert_string_equal(json_text(cJSON_GetArrayItem(json_at(third, "repeat.steps"), 0), "press.button"),
	                    "Stop");
	assert_int_equal(scenario_line(sc, "/steps/2/repeat/steps/0"), 9);
	assert_int_equal(scenario_line(sc, "/steps/1/nothing/like/that"), 5);
	scenario_free(sc);
}

static void durations(void **state)
{
	(void)state;
	static const struct {
		const char *json;
		int64_t ms;
	} table[] = {{"5", 5000},         {"0.25", 250},       {"\"5s\"", 5000},  {"\"200ms\"", 200},
	             {"\"2m\"", 120000},  {"\"1.5 s\"", 1500}, {"-1", -1},        {"\"s\"", -1},
	             {"\"5 hours\"", -1}, {"\"\"", -1},        {"\"-5s\"", -1},   {"\"nan s\"", -1},
	             {"true", -1},        {"1e300", -1},       {"\"1e300s\"", -1}};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		cleanup_json cJSON *v = cJSON_Parse(table[i].json);
		if (scenario_duration(v) != table[i].ms)
			fail_msg("%s is %lld", table[i].json, (long long)scenario_duration(v));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(nine_scenarios_can_be_read),
	        cmocka_unit_test(unknown_name_is_answered_with_the_nearest),
	        cmocka_unit_test(wrong_files_are_refused_by_line),
	        cmocka_unit_test(large_files_are_refused),
	        cmocka_unit_test(needs_follow_from_steps),
	        cmocka_unit_test(shorthands_are_written_out),
	        cmocka_unit_test(durations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
