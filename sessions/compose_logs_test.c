/* Logs of containers: of several services in the order of their times, by age, and followed over a restart. */
#include "sessions/test_compose.h"

#define SERVICE                                                                                              \
	"    image: '@'\n    stop_signal: SIGKILL\n    command: [sh, -c, 'echo up; exec sleep 1000']\n"      \
	"    healthcheck: {test: [CMD, 'true'], interval: 30s}\n"

/* As its first process would write it. */
static void writes(struct test_state *t, const char *service, const char *text, int stream)
{
	cleanup_free char *script = mem_printf("echo '%s' > /proc/1/fd/%d", text, stream);
	free(sh(t, "demo", service, script));
}

static cJSON *entries(struct test_state *t, const char *service, const struct logs_window *w)
{
	const char *const services[] = {service, NULL};
	struct err err = {0};
	cJSON *list = session_log_entries(t->st, "demo", services, w, &err);
	if (!list)
		fail_msg("%s", err.msg);
	return list;
}

static void assert_lines(const cJSON *list, const char *wanted)
{
	cleanup_str struct str got = STR_INIT;
	const cJSON *e;
	cJSON_ArrayForEach(e, list) str_addf(&got, "%s %s;", json_text(e, "service"), json_text(e, "msg"));
	assert_string_equal(str_text(&got), wanted);
}

static void in_the_order_of_their_times(void **data)
{
	struct test_state *t = *data;
	cJSON_Delete(start(t, "demo", "services:\n  a:\n" SERVICE "  b:\n" SERVICE));
	writes(t, "b", "one", 1);
	writes(t, "a", "two", 2);
	writes(t, "b", "three \x1b[31mred", 1);
	writes(t, "a", "four", 1);
	cleanup_json cJSON *all = entries(t, NULL, &(struct logs_window){.n = 4}),
	                   *one = entries(t, "b", &(struct logs_window){.n = 9});
	assert_lines(all, "b one;a two;b three red;a four;");
	assert_lines(one, "b up;b one;b three red;");
	assert_string_equal(json_text(all, "0.stream"), "stdout");
	assert_string_equal(json_text(all, "1.stream"), "stderr");

	/* by the engine's times, to the millisecond; the last ones before a time are found too */
	int64_t two = clock_parse_iso(json_text(all, "1.ts")),
	        three = clock_parse_iso(json_text(all, "2.ts"));
	cleanup_json cJSON *since = entries(t, NULL, &(struct logs_window){.n = 9, .since_ms = two}),
	                   *until = entries(t, NULL, &(struct logs_window){.n = 2, .until_ms = two + 1}),
	                   *none = entries(t, NULL, &(struct logs_window){.n = 9, .since_ms = three + 60000});
	assert_true(three > two + 1);
	assert_lines(since, "a two;b three red;a four;");
	assert_lines(until, "b one;a two;");
	assert_lines(none, "");
	stop_gone(t, "demo");
	assert_gone(t);
}

/* -- follow -- */

static int print(void *arg, const cJSON *entry)
{
	(void)arg;
	printf("%s %s\n", json_text(entry, "service"), json_text(entry, "msg"));
	return fflush(stdout) ? -1 : 0;
}

static pid_t follow(int n, FILE **out)
{
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct test_state own = {0};
		struct err err = {0};
		const struct logs_window w = {.n = n};
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(60); /* who reads it sees its end */
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		int rc = open_quiet(&own) || session_follow(own.st, "demo", NULL, &w, print, NULL, &err);
		if (rc)
			fprintf(stderr, "%s\n", err.msg);
		_exit(rc ? 1 : 0);
	}
	close(ends[1]);
	*out = fdopen(ends[0], "r");
	return pid;
}

static void comes(FILE *out, const char *wanted)
{
	char line[9000] = "(end)";
	if (!fgets(line, sizeof(line), out) || strncmp(line, wanted, strlen(wanted)) ||
	    line[strlen(wanted)] != '\n')
		fail_msg("'%s' instead of '%s'", line, wanted);
}

static void followed_over_a_restart(void **data)
{
	struct test_state *t = *data;
	FILE *out;
	cJSON_Delete(start(t, "demo", "services:\n  a:\n" SERVICE "  b:\n" SERVICE));
	writes(t, "a", "one", 1);
	pid_t pid = follow(1, &out);
	comes(out, "a one");
	writes(t, "b", "two", 2);
	comes(out, "b two");
	for (int i = 0; i < 3; i++) {
		assert_ok(session_service(t->st, "demo", "a", "restart", err));
		comes(out, "a up");
		writes(t, "a", "again", 1);
		comes(out, "a again");
	}
	writes(t, "b", "three", 1);
	comes(out, "b three");
	/* all of it: stopped, kept and resumed */
	does(t, "session.stop", "{\"name\":\"demo\",\"keep\":true}");
	does(t, "session.start", "{\"name\":\"demo\"}");
	char line[100] = "";
	assert_non_null(fgets(line, sizeof(line), out));
	comes(out, *line == 'a' ? "b up" : "a up");
	/* and it ends with the session */
	stop_gone(t, "demo");
	assert_null(fgets(line, sizeof(line), out));
	assert_int_equal(test_wait_end(pid), 0);
	fclose(out);
	assert_gone(t);
}

static void it_ends_when_it_is_told_or_nobody_reads(void **data)
{
	struct test_state *t = *data;
	FILE *out;
	cJSON_Delete(start(t, "demo", "services:\n  a:\n" SERVICE));
	pid_t pid = follow(9, &out);
	comes(out, "a up");
	kill(pid, SIGINT);
	assert_int_equal(test_wait_end(pid), 0);
	fclose(out);
	pid = follow(9, &out);
	comes(out, "a up");
	fclose(out); /* without a further line */
	assert_int_equal(test_wait_end(pid), 0);
	stop_gone(t, "demo");
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return again_main(argc, argv);
	const struct CMUnitTest tests[] = {
	        V1(in_the_order_of_their_times),
	        V1(followed_over_a_restart),
	        V1(it_ends_when_it_is_told_or_nobody_reads),
	};
	return cmocka_run_group_tests_name("compose_logs", tests, group_setup, group_teardown);
}
