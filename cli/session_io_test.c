/* A terminal and a pipe to a service of a session that runs, with the real program. ENGINE says in which engine (default: process). */
#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/str.h"
#include "jobs/test_state.h"
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>

#define START_MS 180000 /* of containers too, whose image may have to be made */
#define WAIT_MS 15000
#define AGAIN_MS 300
#define OUTPUT_MAX (4u << 20)
#define PIPED (1 << 20)

static char program[4096], session[32], own_state[64];

/* -- the program with pipes -- */

static struct proc_result run(const char *const *argv, const char *input, int64_t timeout_ms)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc_result result;
	struct err err = {0};
	spec.argv = argv;
	if (proc_run(&spec, input, timeout_ms, OUTPUT_MAX, &result, &err))
		fail_msg("%s", err.msg);
	assert_false(result.timed_out);
	return result;
}

static void expect(const char *const *argv, const char *input, int status, const char *out, const char *errs)
{
	struct proc_result result = run(argv, input, WAIT_MS);
	if (result.status != status || strcmp(result.out, out) || !strstr(result.errs, errs))
		fail_msg("exit code %d, said '%s' and '%s'", result.status, result.out, result.errs);
	proc_result_free(&result);
}

#define RUN(...) ((const char *const[]){program, "--env", "/dev/null", "session", __VA_ARGS__, NULL})

static int setup(void **state)
{
	(void)state;
	char range[32];
	int port = 10240 + test_place(50) * 160;
	snprintf(program, sizeof(program), "%s", proc_self());
	char *build = strstr(program, "/test/cli/"); /* the test's own place is build/test/cli */
	assert_non_null(build);
	snprintf(build, sizeof(program) - (size_t)(build - program), "/codefoundry");
	snprintf(session, sizeof(session), "io-%d", (int)getpid());
	snprintf(range, sizeof(range), "%d-%d", port, port + 159);
	snprintf(own_state, sizeof(own_state), "/tmp/codefoundry-test.XXXXXX");
	assert_non_null(mkdtemp(own_state));
	setenv("STATE_DIR", own_state, 1);
	setenv("SESSION_PORT_RANGE", range, 1);
	setenv("ENGINE", "process", 0);
	setenv("PS1", "$ ", 1);
	struct proc_result result = run(RUN("start", session), NULL, START_MS);
	if (result.status)
		fail_msg("%s", result.errs);
	proc_result_free(&result);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	struct err err = {0};
	struct proc_result result = run(RUN("stop", session), NULL, START_MS);
	int rc = tree_remove(own_state, &err) || result.status;
	if (rc)
		print_error("%s%s\n", result.errs, err.msg);
	proc_result_free(&result);
	return rc;
}

static void exec_passes_on_streams_and_exit_code(void **state)
{
	(void)state;
	expect(RUN("exec", session, "--", "sh", "-c", "echo out; echo err >&2; exit 7"), NULL, 7, "out\n",
	       "err\n");
	expect(RUN("exec", session, "--", "cat"), "one\ntwo\n", 0, "one\ntwo\n", "");
	expect(RUN("exec", session, "gateway", "--", "sh", "-c", "read a b; echo $b$a"), "x y\n", 0, "yx\n",
	       "");
	expect(RUN("exec", session, "--", "sh", "-c", "kill -9 $$"), NULL, 137, "", "");
	expect(RUN("exec", session, "--", "printf", "%s|", "a b", "$(id)", "-t", "--", "*"), NULL, 0,
	       "a b|$(id)|-t|--|*|", "");
}

static void exec_pipes_much(void **state)
{
	(void)state;
	cleanup_free char *input = mem_alloc(PIPED + 1);
	for (size_t i = 0; i < PIPED; i++)
		input[i] = (char)(i % 251 + 1);
	struct proc_result result = run(RUN("exec", session, "--", "cat"), input, WAIT_MS);
	assert_int_equal(result.status, 0);
	assert_int_equal(result.out_len, PIPED);
	assert_memory_equal(result.out, input, PIPED);
	proc_result_free(&result);
}

static void wrong_lines_say_what_is_right(void **state)
{
	(void)state;
	expect(RUN("exec", session), NULL, 2, "", "after --");
	expect(RUN("exec", session, "nope", "--", "ls"), NULL, 1, "", "no service nope");
	expect(RUN("exec", "no-such", "--", "ls"), NULL, 1, "", "no session no-such");
	expect(RUN("exec", "x; id", "--", "ls"), NULL, 1, "", "no session name");
	expect(RUN("attach", session), NULL, 2, "", "session exec");
	struct proc_result result = run(RUN("exec", session, "--", "no-such-program"), NULL, WAIT_MS);
	assert_int_not_equal(result.status, 0);
	/* Docker's client says it on standard output */
	assert_true(strstr(result.errs, "no-such-program") || strstr(result.out, "no-such-program"));
	proc_result_free(&result);
}

/* -- files -- */

static void cp_copies_both_ways(void **state)
{
	(void)state;
	struct err err = {0};
	bool containers = !strcmp(getenv("ENGINE"), "compose");
	cleanup_free char *in = mem_printf("%s/in", own_state), *out = mem_printf("%s/out", own_state),
	                  *text = NULL;
	/* where both engines have the state directory of the stack */
	cleanup_free char *there = mem_printf("%s:%s/copied", session,
	                                      containers ? "/var/lib/codefoundry" : ""),
	                  *named = mem_printf("%s:gateway:%s/copied", session,
	                                      containers ? "/var/lib/codefoundry" : "");
	assert_int_equal(file_write(in, "a line\n", 7, 0640, &err), 0);
	expect(RUN("cp", in, there), NULL, 0, "", "");
	expect(RUN("cp", named, out), NULL, 0, "", "");
	assert_int_equal(file_read(out, 100, &text, NULL, &err), 0);
	assert_string_equal(text, "a line\n");
	struct proc_result result = run(RUN("cp", there, "-"), NULL, WAIT_MS);
	assert_int_equal(result.status, 0);
	assert_true(result.out_len >= 1024 && !strcmp(result.out, "copied") &&
	            !strcmp(result.out + 512, "a line\n"));
	proc_result_free(&result);
	expect(RUN("cp", in, out), NULL, 2, "", "must be in a session");
	expect(RUN("cp", there, named), NULL, 2, "", "must be in a session");
	expect(RUN("cp", in), NULL, 2, "", "missing");
	expect(RUN("cp", in, "x:gateway:"), NULL, 2, "", "which file");
	expect(RUN("cp", in, "no-such:/x"), NULL, 1, "", "no session no-such");
	expect(RUN("cp", in, "./here:there"), NULL, 2, "",
	       "must be in a session"); /* a file of this machine */
	cleanup_free char *nobody = mem_printf("%s:nobody:/x", session);
	expect(RUN("cp", nobody, out), NULL, 1, "", "no service nobody");
}

/* -- the program in a terminal -- */

struct terminal {
	pid_t pid;
	int fd;
	struct str seen;
};

static void open_terminal(struct terminal *t, const char *const *argv)
{
	struct winsize size = {.ws_row = 33, .ws_col = 101};
	*t = (struct terminal){.seen = STR_INIT};
	t->pid = forkpty(&t->fd, NULL, NULL, &size);
	assert_true(t->pid >= 0);
	if (t->pid == 0) {
		execv(program, (char *const *)argv);
		_exit(126);
	}
}

static void attach(struct terminal *t)
{
	open_terminal(t, RUN("attach", session));
}

/* Read what comes within ${ms}. Returns false at its end. */
static bool look(struct terminal *t, int64_t ms)
{
	char buf[4096];
	struct pollfd p = {.fd = t->fd, .events = POLLIN};
	if (poll(&p, 1, (int)ms) <= 0)
		return true;
	ssize_t n = read(t->fd, buf, sizeof(buf));
	if (n > 0)
		str_addn(&t->seen, buf, (size_t)n);
	return n > 0;
}

static void type(struct terminal *t, const char *keys)
{
	assert_int_equal(write(t->fd, keys, strlen(keys)), strlen(keys));
}

/* Read until ${text} was seen ${times}. */
static void await(struct terminal *t, const char *text, int times)
{
	int64_t deadline = clock_mono_ms() + WAIT_MS;
	for (bool more = true;;) {
		int n = 0;
		for (const char *p = str_text(&t->seen); (p = strstr(p, text)); p++)
			n++;
		if (n >= times)
			return;
		int64_t left = deadline - clock_mono_ms();
		if (left <= 0 || !more)
			fail_msg("'%s' did not come, but: %s", text, str_text(&t->seen));
		more = look(t, left);
	}
}

/* Type ${keys} until ${text} is seen: what comes beside the keys (a signal, a size) may come after them, and a shell drops what was typed
 * before it noticed. */
static void insist(struct terminal *t, const char *keys, const char *text)
{
	int64_t deadline = clock_mono_ms() + WAIT_MS;
	do {
		type(t, keys);
		for (int64_t again = clock_mono_ms() + AGAIN_MS;
		     clock_mono_ms() < again && !strstr(str_text(&t->seen), text);)
			if (!look(t, again - clock_mono_ms()))
				fail_msg("it ended: %s", str_text(&t->seen));
	} while (!strstr(str_text(&t->seen), text) && clock_mono_ms() < deadline);
	await(t, text, 1);
}

/* Its exit code. */
static int end(struct terminal *t)
{
	int64_t deadline = clock_mono_ms() + WAIT_MS;
	int status = -1;
	while (look(t, AGAIN_MS))
		if (clock_mono_ms() > deadline)
			fail_msg("it does not end: %s", str_text(&t->seen));
	assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
	close(t->fd);
	str_free(&t->seen);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
}

static void attach_gives_a_shell_and_its_exit_code(void **state)
{
	(void)state;
	struct terminal t;
	attach(&t);
	type(&t, "echo hi-$((40+2)); exit 7\n");
	await(&t, "hi-42", 1);
	assert_int_equal(end(&t), 7);
}

static void ctrl_d_ends_the_shell(void **state)
{
	(void)state;
	struct terminal t;
	attach(&t);
	type(&t, "echo in-$((1+1))\n");
	await(&t, "in-2", 1);
	int64_t deadline = clock_mono_ms() + WAIT_MS;
	do /* a shell that is about to prompt drops what was typed before */
		type(&t, "\4");
	while (look(&t, AGAIN_MS) && look(&t, AGAIN_MS) && clock_mono_ms() < deadline);
	assert_int_equal(end(&t), 0);
}

static void ctrl_c_interrupts_what_runs_and_not_the_shell(void **state)
{
	(void)state;
	struct terminal t;
	attach(&t);
	insist(&t, "echo go-$((1+1)); cat\n", "go-2");
	insist(&t, "meow\n", "meow\r\nmeow"); /* what was typed, and what cat made of it */
	type(&t, "\3");
	await(&t, "^C", 1);
	insist(&t, "echo back-$((1+1))\n", "back-2");
	type(&t, "exit 3\n");
	assert_int_equal(end(&t), 3);
}

/* Whether a process of the session's has ${word} among its arguments; ours that looks has not. */
static bool runs(const char *word)
{
	struct proc_result result = run(RUN("exec", session, "--", "sh", "-c",
	                                    "for p in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$p; echo; done"),
	                                NULL, WAIT_MS);
	assert_non_null(strstr(result.out, "codefoundry"));
	bool found = strstr(result.out, word) != NULL;
	proc_result_free(&result);
	return found;
}

static void ctrl_c_ends_what_exec_runs(void **state)
{
	(void)state;
	struct terminal t;
	cleanup_free char *mark = mem_printf("7%d", (int)getpid());
	open_terminal(&t,
	              RUN("exec", session, "--", "sh", "-c", "echo on-$((1+1)); sleep $0; sleep $0", mark));
	await(&t, "on-2", 1);
	assert_true(runs(mark));
	type(&t, "\3");
	assert_int_equal(end(&t), 130);
	assert_false(runs(mark));
}

static void the_shell_ends_with_its_terminal(void **state)
{
	(void)state;
	struct terminal t;
	cleanup_free char *mark = mem_printf("8%d", (int)getpid()),
	                  *keys = mem_printf("echo on-$((1+1)); sleep %s\n", mark);
	attach(&t);
	insist(&t, keys, "on-2");
	close(t.fd);
	int status;
	assert_int_equal(waitpid(t.pid, &status, 0), t.pid);
	assert_false(runs(mark));
	str_free(&t.seen);
}

/* Docker's client keeps Ctrl-P for itself, until another key comes. */
static void every_key_arrives_at_once(void **state)
{
	(void)state;
	struct terminal t;
	attach(&t);
	type(&t, "stty -icanon -echo; echo on-$((1+1)); head -c 1 | od -b; stty sane\n");
	await(&t, "on-2", 1);
	type(&t, "\20");
	await(&t, " 020", 1);
	type(&t, "exit 4\n");
	assert_int_equal(end(&t), 4);
}

static void the_window_size_is_passed_on(void **state)
{
	(void)state;
	struct terminal t;
	struct winsize size = {.ws_row = 44, .ws_col = 120};
	attach(&t);
	insist(&t, "stty size\n", "33 101"); /* at first there may be none at all */
	int64_t deadline = clock_mono_ms() + WAIT_MS;
	do { /* Docker's client follows the size only a moment after it asked for it first, and misses what comes between */
		size.ws_row ^= 1;
		assert_int_equal(ioctl(t.fd, TIOCSWINSZ, &size), 0);
		type(&t, "stty size\n");
		look(&t, AGAIN_MS);
		look(&t, AGAIN_MS);
	} while (!strstr(str_text(&t.seen), " 120") && clock_mono_ms() < deadline);
	await(&t, " 120", 1);
	type(&t, "exit\n");
	assert_int_equal(end(&t), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(exec_passes_on_streams_and_exit_code),
	        cmocka_unit_test(exec_pipes_much),
	        cmocka_unit_test(wrong_lines_say_what_is_right),
	        cmocka_unit_test(cp_copies_both_ways),
	        cmocka_unit_test(attach_gives_a_shell_and_its_exit_code),
	        cmocka_unit_test(ctrl_d_ends_the_shell),
	        cmocka_unit_test(ctrl_c_interrupts_what_runs_and_not_the_shell),
	        cmocka_unit_test(ctrl_c_ends_what_exec_runs),
	        cmocka_unit_test(the_shell_ends_with_its_terminal),
	        cmocka_unit_test(every_key_arrives_at_once),
	        cmocka_unit_test(the_window_size_is_passed_on),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("session_io", tests, setup, teardown);
}
