/* What a person does with a session of processes that runs: enter it, follow its logs, read its files. */
#include "sessions/test_stack.h"

/* Standard output goes to a file meanwhile. */
static char *exec_output(struct test_state *t, const char *service, const char *const *argv, int *status)
{
	cleanup_free char *path = state_path(t->st, "out");
	char *text = NULL;
	cleanup_close int old = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	cleanup_close int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct err err = {0};
	fflush(stdout);
	dup2(file, STDOUT_FILENO);
	int rc = session_exec(t->st, "demo", service, argv, false, status, &err);
	dup2(old, STDOUT_FILENO);
	if (rc)
		fail_msg("%s", err.msg);
	assert_ok(file_read(path, 1 << 20, &text, NULL, err));
	return text;
}

static void a_program_runs_in_it(void **data)
{
	struct test_state *t = *data;
	int status = -1;
	struct err err = {0};
	does(t, "session.start", "{\"name\":\"demo\",\"services\":[\"gateway\",\"test-runner\"]}");
	cleanup_free char *env = exec_output(t, NULL, (const char *[]){"env", NULL}, &status);
	assert_int_equal(status, 0);
	assert_non_null(strstr(env, "SESSION_NAME=demo\n"));
	assert_non_null(strstr(env, "CODEFOUNDRY_SESSION_NAME=demo\n"));
	assert_non_null(strstr(env, "TELEGRAM_API_URL=http://127.0.0.1:"));
	assert_null(strstr(env, "CF_TEST_")); /* nothing of whoever asks */
	cleanup_free char *cwd = exec_output(t, "gateway", (const char *[]){"pwd", NULL}, &status);
	assert_non_null(strstr(cwd, "/sessions/demo\n"));
	cleanup_free char *none =
	        exec_output(t, NULL, (const char *[]){"/bin/sh", "-c", "exit 7", NULL}, &status);
	assert_int_equal(status, 7);
	cleanup_free char *killed =
	        exec_output(t, NULL, (const char *[]){"/bin/sh", "-c", "kill -9 $$", NULL}, &status);
	assert_int_equal(status, 128 + 9);
	assert_int_equal(session_exec(t->st, "demo", NULL, (const char *[]){"no-such-program", NULL}, false,
	                              &status, &err),
	                 -1);
	assert_non_null(strstr(err.msg, "no-such-program"));
	assert_int_equal(
	        session_exec(t->st, "demo", "db", (const char *[]){"env", NULL}, false, &status, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);

	/* what is left running in it ends with it */
	cleanup_free char *bg = exec_output(
	        t, NULL, (const char *[]){"/bin/sh", "-c", "tail -f /dev/null >/dev/null & exit 0", NULL},
	        &status);
	assert_int_equal(processes(t), 4);
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

/* No argv: a shell, which reads its commands from our standard input. */
static void without_a_program_it_is_a_shell(void **data)
{
	struct test_state *t = *data;
	int status = -1, in[2];
	static const char script[] = "echo in $SESSION_NAME\nexit 5\n";
	does(t, "session.start", "{\"name\":\"demo\",\"services\":[\"gateway\"]}");
	assert_int_equal(pipe(in), 0);
	assert_int_equal(write(in[1], script, sizeof(script) - 1), sizeof(script) - 1);
	close(in[1]);
	int old = dup(STDIN_FILENO);
	dup2(in[0], STDIN_FILENO);
	close(in[0]);
	cleanup_free char *out = exec_output(t, NULL, (const char *[]){NULL}, &status);
	dup2(old, STDIN_FILENO);
	close(old);
	assert_string_equal(out, "in demo\n");
	assert_int_equal(status, 5);
	stop_clean(t, "demo");
}

/* Ctrl-C goes to the whole group of the terminal: it ends the program, not who waits for it. */
static void an_interrupt_is_the_programs(void **data)
{
	struct test_state *t = *data;
	int status = -1;
	does(t, "session.start", "{\"name\":\"demo\",\"services\":[\"gateway\"]}");
	pid_t group = getpgrp();
	assert_int_equal(setpgid(0, 0), 0);
	cleanup_free char *out = exec_output(
	        t, NULL, (const char *[]){"/bin/sh", "-c", "kill -INT 0; tail -f /dev/null", NULL}, &status);
	assert_int_equal(status, 128 + SIGINT);
	setpgid(0, group);
	stop_clean(t, "demo");
}

static void files_are_read(void **data)
{
	static const struct {
		const char *path;
		enum err_code code;
	} bad[] = {
	        {"", ERR_INVALID},
	        {"/etc/passwd", ERR_INVALID},
	        {"..", ERR_INVALID},
	        {"../plan.json", ERR_INVALID},
	        {"sub/../../plan.json", ERR_INVALID},
	        {"link", ERR_INVALID},
	        {"out/passwd", ERR_INVALID},
	        {"sub", ERR_INVALID},
	        {".", ERR_INVALID},
	        {"fifo", ERR_INVALID},
	        {"telegram.json/x", ERR_INVALID},
	        {"nothing", ERR_NOT_FOUND},
	        {"sub/nothing", ERR_NOT_FOUND},
	        {"nowhere/nothing", ERR_NOT_FOUND},
	};
	struct test_state *t = *data;
	struct err err = {0};
	does(t, "session.start", "{\"name\":\"demo\",\"services\":[\"gateway\"]}");
	cleanup_free char *state = state_path(t->st, "sessions/demo/state");
	cleanup_free char *link = mem_printf("%s/link", state), *out = mem_printf("%s/out", state),
	                  *sub = mem_printf("%s/sub", state), *fifo = mem_printf("%s/fifo", state),
	                  *file = mem_printf("%s/sub/hello.txt", state), *text = NULL;
	assert_ok(dir_make(sub, 0700, err));
	assert_ok(file_write(file, "hello", 5, 0600, err));
	assert_int_equal(symlink("/etc/passwd", link), 0);
	assert_int_equal(symlink("/etc", out), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		err_clear(&err);
		if (session_read(t->st, "demo", bad[i].path, 1 << 20, &text, &err) != -1 ||
		    err.code != bad[i].code)
			fail_msg("%s: %s", bad[i].path, err.msg);
	}
	assert_ok(session_read(t->st, "demo", "sub//hello.txt", 5, &text, err));
	assert_string_equal(text, "hello");
	assert_ok(session_read(t->st, "demo", "./sub/hello.txt", 0, NULL, err));
	free(TAKE(text));
	assert_int_equal(session_read(t->st, "demo", "sub/hello.txt", 4, &text, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	does(t, "session.stop", "{\"name\":\"demo\",\"keep\":true}");
	assert_int_equal(session_read(t->st, "demo", "sub/hello.txt", 5, &text, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	stop_clean(t, "demo");
}

/* -- follow -- */

static int print(void *arg, const cJSON *entry)
{
	(void)arg;
	printf("%s | %s\n", json_text(entry, "service"), json_text(entry, "msg"));
	return fflush(stdout) ? -1 : 0;
}

/* A child that follows with a connection of its own; its standard output is ${*out}. */
static pid_t follow_child(const char *service, FILE **out)
{
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct test_state own = {0};
		struct err err = {0};
		dup2(ends[1], STDOUT_FILENO);
		close(ends[1]);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		const char *const services[] = {service, NULL};
		const struct logs_window w = {.n = 10};
		int rc = open_quiet(&own) || session_follow(own.st, "demo", services, &w, print, NULL, &err);
		_exit(rc ? 1 : 0);
	}
	close(ends[1]);
	*out = fdopen(ends[0], "r");
	return pid;
}

static void await_line(FILE *out, const char *wanted)
{
	char line[9000];
	while (fgets(line, sizeof(line), out)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strcmp(line, wanted))
			return;
	}
	fail_msg("'%s' did not come", wanted);
}

static void logs_are_followed(void **data)
{
	struct test_state *t = *data;
	FILE *out;
	does(t, "session.start", "{\"name\":\"demo\"}");
	pid_t pid = follow_child(NULL, &out);
	for (int i = 0; i < 4; i++) {
		char line[256];
		assert_non_null(fgets(line, sizeof(line), out));
		if (!strstr(line, " is up\n"))
			fail_msg("%s", line);
	}
	assert_ok(session_service(t->st, "demo", "gateway", "restart", err));
	await_line(out, "gateway | gateway is up");
	kill(pid, SIGINT);
	assert_int_equal(wait_for(pid), 0);
	fclose(out);

	pid = follow_child("gateway", &out);
	await_line(out, "gateway | gateway is up");
	kill(pid, SIGTERM);
	assert_int_equal(wait_for(pid), 0);
	fclose(out);

	/* and it ends with the session */
	pid = follow_child("gateway", &out);
	await_line(out, "gateway | gateway is up");
	stop_clean(t, "demo");
	assert_int_equal(wait_for(pid), 0);
	fclose(out);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return again_main(argc, argv);
	const struct CMUnitTest tests[] = {
	        T(a_program_runs_in_it),
	        T(without_a_program_it_is_a_shell),
	        T(an_interrupt_is_the_programs),
	        T(files_are_read),
	        T(logs_are_followed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
