/* A command of a chat, in a session of processes: bounded in what it says and how long it takes. This program is `codefoundry session
 * exec` too. */
#include "sessions/test_stack.h"

#define START "{\"name\":\"demo\",\"services\":[\"gateway\"]}"
#define OUTPUT_MAX 16384
#define LINES_MAX 200

/* session exec NAME SERVICE -- WORD… */
static int exec_in_session(char **argv)
{
	struct test_state t = {0};
	struct err err = {0};
	int status = 0;
	const char *const *words = (const char *const *)argv + 6;
	int rc = open_quiet(&t) || session_exec(t.st, argv[3], argv[4], words, false, &status, &err);
	if (rc)
		fprintf(stderr, "%s\n", err.msg);
	return rc ? 1 : status;
}

static int run_setup(void **data)
{
	int rc = setup(data);
	test_sessions_set(*data, "SESSION_CHAT_EXEC", "all");
	does(*data, "session.start", START);
	return rc;
}

#define R(name) cmocka_unit_test_setup_teardown(name, run_setup, teardown)

/* What it says to ${script} of the shell; ${limit_ms} 0: the usual one. */
static int run_script(struct test_state *t, const char *script, int64_t limit_ms, cJSON **result,
                      struct err *err)
{
	cleanup_json cJSON *args = cJSON_Parse("{\"name\":\"demo\",\"argv\":[\"sh\",\"-c\"]}");
	cJSON_AddItemToArray(cJSON_GetObjectItem(args, "argv"), cJSON_CreateString(script));
	struct job_request request = {
	        .kind = "session.exec", .args = args, .owner = "cli:test", .timeout_ms = limit_ms};
	return jobs_run(t->st, kinds, &request, NULL, NULL, result, err);
}

static void output_is_kept_up_to_a_bound(void **data)
{
	static const struct {
		const char *script, *begins;
		size_t len;
		bool cut;
		int code, lines;
	} cases[] = {
	        {"echo one; echo two >&2; exit 3", "one\ntwo\n", 8, false, 3, 2},
	        {"exec seq 100000 199999", "100000\n100001\n", OUTPUT_MAX, true, 0, LINES_MAX},
	        {"head -c 16384 /dev/zero | tr '\\0' x", "xxx", OUTPUT_MAX, false, 0, 1},
	        {"head -c 16385 /dev/zero | tr '\\0' x", "xxx", OUTPUT_MAX, true, 0, 1},
	        {"sleep 600 & echo left", "left\n", 5, false, 0, 1}, /* holds the output open */
	        {"kill -9 $$", "", 0, false, 137, 0},
	        {"kill -9 $PPID", "", 0, false, 137, 0}, /* who runs it */
	};
	struct test_state *t = *data;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_json cJSON *r = NULL;
		assert_ok(db_run(t->st->db, err, "DELETE FROM job_events", ""));
		assert_ok(run_script(t, cases[i].script, 0, &r, err));
		const char *output = json_text(r, "output");
		if (strlen(output) != cases[i].len ||
		    strncmp(output, cases[i].begins, strlen(cases[i].begins)) ||
		    json_bool(r, "cut", !cases[i].cut) != cases[i].cut ||
		    json_int(r, "exit_code", -1) != cases[i].code)
			fail_msg("%s: %zu bytes, cut %d, exit code %lld", cases[i].script, strlen(output),
			         json_bool(r, "cut", false), (long long)json_int(r, "exit_code", -1));
		assert_int_equal(count(t, "SELECT count(*) FROM job_events WHERE type = 'log'"),
		                 cases[i].lines);
	}
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

static void ended_within(struct test_state *t, const char *script, int64_t most_ms)
{
	struct err err = {0};
	cleanup_json cJSON *result = NULL;
	int64_t began = clock_mono_ms();
	assert_int_equal(run_script(t, script, 500, &result, &err), -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
	assert_string_equal(err.msg, "session.exec took longer than its limit of 500 ms");
	assert_in_range(clock_mono_ms() - began, 500, most_ms);
}

static void what_takes_too_long_is_ended(void **data)
{
	struct test_state *t = *data;
	cleanup_json cJSON *result = NULL;
	int before = processes(t);
	assert_ok(run_script(t, "exit 0", 0, &result, err));
	assert_int_equal(count(t, "SELECT timeout_ms FROM jobs WHERE kind = 'session.exec'"), 60000);
	ended_within(t, "sleep 600", 6000); /* before it would be killed */
	ended_within(t, "trap '' TERM; while :; do sleep 600; done", 20000);
	assert_int_equal(processes(t), before);
	/* who runs it hangs and hears no TERM */
	ended_within(t, "kill -STOP $PPID; exec sleep 600", 20000);
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

static void what_is_no_command_is_refused(void **data)
{
	struct test_state *t = *data;
	static const char *const bad[] = {"[]", "[\"\"]", "[\"ls\",5]", "[[\"ls\"]]", "\"ls\"", "null"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_free char *args = mem_printf("{\"name\":\"demo\",\"argv\":%s}", bad[i]);
		refused(t, "session.exec", args, ERR_INVALID, "");
	}
	for (int words = 64; words <= 65; words++) {
		cleanup_json cJSON *args = cJSON_Parse("{\"name\":\"demo\",\"argv\":[\"true\"]}");
		for (int i = 1; i < words; i++)
			cJSON_AddItemToArray(cJSON_GetObjectItem(args, "argv"), cJSON_CreateString("x"));
		cleanup_free char *text = json_print(args);
		if (words == 64)
			does(t, "session.exec", text);
		else
			refused(t, "session.exec", text, ERR_INVALID, "1 to 64 words");
	}
	cleanup_free char *most = mem_printf("{\"name\":\"demo\",\"argv\":[\"true\",\"%04090d\"]}", 0),
	                  *more = mem_printf("{\"name\":\"demo\",\"argv\":[\"true\",\"%04091d\"]}", 0);
	does(t, "session.exec", most);
	refused(t, "session.exec", more, ERR_INVALID, "at most 4096 bytes");
	test_sessions_set(t, "SESSION_CHAT_EXEC", "containers");
	refused(t, "session.exec", most, ERR_DENIED, "processes of this machine itself");
	stop_clean(t, "demo");
}

int main(int argc, char **argv)
{
	if (argc > 6 && !strcmp(argv[2], "exec"))
		return exec_in_session(argv);
	if (argc > 1)
		return again_main(argc, argv);
	alarm(300);
	const struct CMUnitTest tests[] = {
	        R(output_is_kept_up_to_a_bound),
	        R(what_takes_too_long_is_ended),
	        R(what_is_no_command_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
