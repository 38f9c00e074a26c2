/* The job test.run with scenarios that need no session: how they are chosen, played, retried, ended, recorded and reported. */
#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include "sessions/session.h"
#include "testsuite/history.h"
#include "testsuite/report.h"
#include "testsuite/test_run.h"
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct bench {
	char dir[64];
	struct config *cfg;
	struct state *st;
};

static const struct job_kind *const kinds[] = {&test_run_kind, NULL};

static int setup(void **state)
{
	static struct bench b;
	static const struct setting *const tables[] = {state_settings, worker_settings, session_settings,
	                                               test_settings, NULL};
	struct err err = {0};
	memcpy(b.dir, "/tmp/cf-test-run-XXXXXX", 24);
	assert_non_null(mkdtemp(b.dir));
	cleanup_free char *dir = mem_printf("%s/state", b.dir);
	setenv("STATE_DIR", dir, 1);
	setenv("ENGINE", "process", 1);
	if (config_load(&b.cfg, tables, NULL, false, &err) || state_open(&b.st, b.cfg, &err))
		fail_msg("%s", err.msg);
	*state = &b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;
	struct err err = {0};
	state_close(b->st);
	config_free(b->cfg);
	return tree_remove(b->dir, &err);
}

static void write_scenario(struct bench *b, const char *name, const char *steps)
{
	struct err err = {0};
	cleanup_free char *path = mem_printf("%s/%s.yml", b->dir, name);
	cleanup_free char *text =
	        mem_printf("name: %s\ntitle: the title of %s\nsteps:\n%s", name, name, steps);
	if (file_write(path, text, strlen(text), 0600, &err))
		fail_msg("%s", err.msg);
}

#define PASSES "  - check: {text: abc, contains: b}\n"
#define FAILS "  - set: {v: abc}\n  - check: {text: \"{{v}}\", contains: x}\n"
#define CRASHES "  - run: {argv: [sh, -c, \"kill -9 $PPID\"]}\n"

/* Run all files of the bench's directory (or those of ${files}) with more ${options}, a JSON object. */
static int run(struct bench *b, const char *options, const char *owner, cJSON **result, struct err *err)
{
	cleanup_json cJSON *args = cJSON_Parse(options);
	assert_non_null(args);
	if (!cJSON_HasObjectItem(args, "files") && !cJSON_HasObjectItem(args, "scenarios")) {
		cJSON *files = json_array();
		cJSON_AddItemToArray(files, cJSON_CreateString(b->dir));
		json_add(args, "files", files);
	}
	struct job_request req = {.kind = "test.run", .args = args, .owner = owner};
	return jobs_run(b->st, kinds, &req, NULL, NULL, result, err);
}

static const char *status_of(const cJSON *result, const char *name)
{
	const cJSON *s;
	cJSON_ArrayForEach(s, json_at(result, "scenarios"))
	{
		if (strcmp(json_text(s, "name"), name) == 0)
			return json_text(s, "status");
	}
	return "absent";
}

static const char *message_of(const cJSON *result, const char *name)
{
	const cJSON *s;
	cJSON_ArrayForEach(s, json_at(result, "scenarios"))
	{
		if (strcmp(json_text(s, "name"), name) == 0)
			return json_text_or(s, "message", "");
	}
	return "absent";
}

static void results_are_counted_and_kept(void **state)
{
	struct bench *b = *state;
	struct err err = {0};
	cleanup_json cJSON *result = NULL;
	write_scenario(b, "a", PASSES);
	write_scenario(b, "b", FAILS);
	write_scenario(b, "c", CRASHES);
	/* ten thousand runs ago: its time is over when the next one ends */
	assert_int_equal(
	        db_run(b->st->db, &err,
	               "INSERT INTO test_runs (id, owner, started_at, finished_at) VALUES (-9999, 'x', 1, 1)",
	               ""),
	        0);
	if (run(b, "{\"label\":\"L\"}", "cli:t", &result, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(json_int(result, "total", 0), 3);
	assert_int_equal(json_int(result, "passed", 0), 1);
	assert_int_equal(json_int(result, "failed", 0), 2);
	assert_int_equal(json_int(result, "pass_rate", 0), 33);
	assert_string_equal(status_of(result, "a"), "passed");
	assert_non_null(strstr(message_of(result, "b"),
	                       "step 2 (b.yml:5): the text does not contain \"x\": \"abc\""));
	assert_non_null(strstr(message_of(result, "c"), "died of signal 9"));
	assert_null(json_text(result, "session"));

	cleanup_json cJSON *history = history_list(b->st, 10, &err);
	const cJSON *row = cJSON_GetArrayItem(history, 0);
	assert_int_equal(cJSON_GetArraySize(history), 1);
	assert_int_equal(json_int(row, "failed", 0), 2);
	assert_string_equal(json_text(row, "label"), "L");
	assert_true(json_has_text(json_at(row, "failures"), "b")); /* in the order in which they ended */
	assert_true(json_has_text(json_at(row, "failures"), "c"));
	assert_true(json_int(row, "finished_at", 0) >= json_int(row, "started_at", INT64_MAX));
	cJSON *last = NULL;
	assert_int_equal(history_last(b->st, &last, &err), 0);
	assert_true(cJSON_Compare(last, row, true));
	cJSON_Delete(last);
}

static void passed_on_a_retry_is_flaky(void **state)
{
	struct bench *b = *state;
	struct err err = {0};
	cleanup_json cJSON *result = NULL;
	cleanup_free char *steps =
	        mem_printf("  - run: {argv: [mkdir, \"%s/once\"], expect: {failure: true}}\n", b->dir);
	write_scenario(b, "a", steps);
	write_scenario(b, "b", FAILS);
	if (run(b, "{\"retry\":2}", "cli:t", &result, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(status_of(result, "a"), "flaky");
	assert_string_equal(status_of(result, "b"), "failed");
	assert_int_equal(json_int(result, "passed", 0), 1);
	assert_int_equal(json_int(result, "flaky", 0), 1);
	assert_int_equal(json_int(cJSON_GetArrayItem(json_at(result, "scenarios"), 0), "attempts", 0), 2);
	assert_int_equal(json_int(cJSON_GetArrayItem(json_at(result, "scenarios"), 1), "attempts", 0), 3);
}

/* Two that wait for each other pass only together; two that must not meet pass only alone. */
static void together_unless_alone(void **state)
{
	struct bench *b = *state;
	struct err err = {0};
	cleanup_json cJSON *result = NULL, *serial = NULL;
	for (int i = 0; i < 2; i++) {
		cleanup_free char *meet =
		        mem_printf("  - run: {argv: [mkdir, \"%s/at%d\"]}\n"
		                   "  - wait: {until: {run: {argv: [test, -d, \"%s/at%d\"]}}, within: 5s}\n",
		                   b->dir, i, b->dir, 1 - i);
		cleanup_free char *apart = mem_printf("  - run: {argv: [mkdir, \"%s/in\"]}\n  - run: {argv: "
		                                      "[rmdir, \"%s/in\"]}\nalone: true\n",
		                                      b->dir, b->dir);
		cleanup_free char *a = mem_printf("meet%d", i), *c = mem_printf("apart%d", i);
		write_scenario(b, a, meet);
		write_scenario(b, c, apart);
	}
	if (run(b, "{\"parallel\":2}", "cli:t", &result, &err))
		fail_msg("%s", err.msg);
	for (const cJSON *s = json_at(result, "scenarios")->child; s; s = s->next)
		if (strcmp(json_text(s, "status"), "passed") != 0)
			fail_msg("%s: %s", json_text(s, "name"), json_text(s, "message"));
	cleanup_free char *one = mem_printf("{\"files\":[\"%s/apart0.yml\"],\"repeat\":5}", b->dir);
	if (run(b, one, "cli:t", &serial, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(json_int(serial, "passed", 0), 5);
}

static void time_is_limited(void **state)
{
	struct bench *b = *state;
	struct err err = {0};
	cleanup_json cJSON *result = NULL;
	write_scenario(b, "step", "  - run: {argv: [sleep, \"100\"], within: 100ms}\n");
	write_scenario(b, "all", "  - run: {argv: [sleep, \"100\"], within: 90s}\ntimeout: 300ms\n");
	int64_t begun = clock_mono_ms();
	if (run(b, "{}", "cli:t", &result, &err))
		fail_msg("%s", err.msg);
	assert_true(clock_mono_ms() - begun < 4000);
	assert_non_null(strstr(message_of(result, "step"), "did not end in time"));
	assert_non_null(strstr(message_of(result, "all"), "did not end in time"));
}

static void what_is_refused(void **state)
{
	struct bench *b = *state;
	struct err err = {0};
	write_scenario(b, "a", PASSES);
	assert_int_equal(run(b, "{}", "tg:1", NULL, &err), -1);
	assert_int_equal(err.code, ERR_DENIED);
	assert_int_equal(run(b, "{\"scenarios\":[\"nope\"]}", "tg:1", NULL, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(run(b, "{\"scenarios\":[7]}", "tg:1", NULL, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_int_equal(run(b, "{\"scenarios\":[\"start\"],\"session\":\"no-such\"}", "tg:1", NULL, &err),
	                 -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	write_scenario(b, "b", "  - nothing: 1\n");
	assert_int_equal(run(b, "{}", "cli:t", NULL, &err), -1);
	assert_non_null(strstr(err.msg, "b.yml:4"));
	int64_t rows = -1;
	assert_int_equal(db_get_int(b->st->db, &rows, &err, "SELECT count(*) FROM test_runs", ""), 0);
	assert_int_equal(rows, 0);
}

/* A cancel while a program runs: nothing of it may stay, and no run in the history. */
static void cancelled_in_the_middle(void **state)
{
	struct bench *b = *state;
	struct err err = {0};
	cleanup_free char *pid_file = mem_printf("%s/pid", b->dir), *text = NULL;
	cleanup_free char *steps =
	        mem_printf("  - run: {argv: [sh, -c, \"echo $$ >%s; kill -TERM %d; sleep 100\"]}\n", pid_file,
	                   (int)getpid());
	write_scenario(b, "a", steps);
	assert_int_equal(run(b, "{}", "cli:t", NULL, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	assert_int_equal(file_read(pid_file, 100, &text, NULL, &err), 0);
	for (int i = 0; i < 500 && kill((pid_t)atoi(text), 0) == 0; i++)
		poll(NULL, 0, 10);
	assert_int_equal(kill((pid_t)atoi(text), 0), -1);
	cleanup_json cJSON *history = history_list(b->st, 10, &err);
	assert_int_equal(cJSON_GetArraySize(history), 0);
}

static void reports_hold_what_happened(void **state)
{
	(void)state;
	static const char json[] = "{\"run_id\":7,\"total\":4,\"passed\":2,\"failed\":1,\"skipped\":1,"
	                           "\"flaky\":1,\"pass_rate\":66,\"duration_ms\":1500,"
	                           "\"at\":1767225600000,\"session\":\"demo\",\"scenarios\":["
	                           "{\"name\":\"a\",\"title\":\"A\",\"file\":\"a.yml\",\"status\":\"passed\","
	                           "\"attempts\":1,\"duration_ms\":10},"
	                           "{\"name\":\"b\",\"title\":\"<B>\",\"file\":\"b.yml\",\"status\":"
	                           "\"failed\",\"attempts\":1,\"duration_ms\":20,"
	                           "\"message\":\"step 1: \\\"<x>\\\" & \\u0001\\nsecond\"},"
	                           "{\"name\":\"c\",\"title\":\"C\",\"file\":\"c.yml\",\"status\":\"flaky\","
	                           "\"attempts\":2,\"duration_ms\":30},"
	                           "{\"name\":\"d\",\"title\":\"D\",\"file\":\"d.yml\",\"status\":"
	                           "\"skipped\",\"attempts\":0,\"duration_ms\":0,\"message\":\"why\"}]}";
	static const struct {
		const char *format, *holds[6];
	} table[] = {
	        {"text",
	         {"\nTotal: 4\nPassed: 2\nFailed: 1\n", "\nPass Rate: 66%\n", "FAIL  b: <B>",
	          "          second\n", "FLAKY c", "Duration: 1.5 s"}},
	        {"tap",
	         {"1..4\n", "\nok 1 - a\n", "\nnot ok 2 - b\n", "    second\n", "\nok 3 - c (flaky",
	          "\nok 4 - d # SKIP why\n"}},
	        {"junit",
	         {"tests=\"4\" failures=\"1\" errors=\"0\" skipped=\"1\" time=\"1.500\"",
	          "timestamp=\"2026-01-01T00:00:00\"", "message=\"step 1: &quot;&lt;x&gt;&quot; &amp; ?\"",
	          "<skipped message=\"why\"/>", "name=\"c\"", "</testsuites>"}},
	        {"json", {"\"run_id\":\t7", "\"pass_rate\":\t66", "scenarios", "flaky", "skipped", "demo"}},
	        {"html",
	         {"<!doctype html>", "<dd>66%</dd>", "<svg", "class=\"failed\"", "&lt;x&gt;",
	          "Session demo"}},
	};
	cleanup_json cJSON *result = cJSON_Parse(json);
	assert_non_null(result);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct err err = {0};
		cleanup_str struct str out = STR_INIT;
		report_fn *report = report_find(table[i].format, &err);
		assert_non_null(report);
		report(result, &out);
		for (size_t k = 0; k < ARRAY_LEN(table[i].holds); k++)
			if (!strstr(str_text(&out), table[i].holds[k]))
				fail_msg("%s lacks %s:\n%s", table[i].format, table[i].holds[k],
				         str_text(&out));
	}
	struct err err = {0};
	assert_null(report_find("pdf", &err));
	assert_int_equal(err.code, ERR_USAGE);
}

static void rates_are_rounded_down(void **state)
{
	(void)state;
	assert_int_equal(history_pass_rate(9, 0, 8), 88);
	assert_int_equal(history_pass_rate(9, 0, 9), 100);
	assert_int_equal(history_pass_rate(200, 0, 199), 99);
	assert_int_equal(history_pass_rate(9, 1, 8), 100);
	assert_int_equal(history_pass_rate(3, 3, 0), 0);
	assert_int_equal(history_pass_rate(0, 0, 0), 0);
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

/* Whose it is not, it leaves alone: /tmp is everybody's. */
static void the_directory_of_another_user_is_not_swept(void **state)
{
	struct bench *b = *state;
	struct err err = {0};
	cJSON *result = NULL;
	if (geteuid() != 0)
		skip();
	write_scenario(b, "files", "  - run: {argv: [\"true\"]}\n");
	int64_t last = 0;
	assert_int_equal(db_get_int(b->st->db, &last, &err, "SELECT coalesce(max(id), 0) FROM jobs", ""), 0);
	cleanup_free char *dir = mem_printf("/tmp/cft-%.8s-%lld", b->st->install, (long long)last + 1);
	cleanup_free char *stack = mem_printf("%s/1", dir);
	assert_int_equal(dir_make(stack, 0700, &err), 0);
	assert_int_equal(chown(dir, 54321, 54321), 0);
	assert_int_equal(run(b, "{}", "cli:test", &result, &err), -1);
	assert_true(path_exists(stack));
	assert_int_equal(tree_remove(dir, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        WITH_BENCH(results_are_counted_and_kept),
	        WITH_BENCH(passed_on_a_retry_is_flaky),
	        WITH_BENCH(together_unless_alone),
	        WITH_BENCH(time_is_limited),
	        WITH_BENCH(what_is_refused),
	        WITH_BENCH(cancelled_in_the_middle),
	        WITH_BENCH(the_directory_of_another_user_is_not_swept),
	        cmocka_unit_test(reports_hold_what_happened),
	        cmocka_unit_test(rates_are_rounded_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
