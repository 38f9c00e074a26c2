/* proc_run. The test program is its own child: `proc_run_test MODE …` does one odd thing that real programs do. */
#include "core/clock.h"
#include "core/proc_testing.h"

static void child_exit(char **argv)
{
	fputs("out\n", stdout);
	fputs("err\n", stderr);
	exit(atoi(argv[0]));
}

static void child_kill(char **argv)
{
	kill(getpid(), atoi(argv[0]));
}

static void child_spam(char **argv)
{
	for (long n = atol(argv[0]); n > 0; n--)
		putchar('x');
}

/* Be deaf to TERM, or have a child that is; say so, then stay. */
static void child_deaf(char **argv)
{
	bool by_child = !strcmp(argv[0], "child");
	pid_t pid = by_child ? fork() : 0;
	if (pid)
		wait_forever();
	signal(SIGTERM, SIG_IGN);
	char line[32];
	int n = snprintf(line, sizeof(line), "%d", getpid());
	if (write(1, line, (size_t)n) == n)
		wait_forever();
}

/* Leave a child behind that holds our output: "quiet", or one that keeps writing ("chatty"). */
static void child_leave(char **argv)
{
	bool chatty = !strcmp(argv[0], "chatty");
	if (fork())
		exit(3);
	struct pollfd nothing = {.fd = -1};
	while (write(1, ".", 1) == 1 && poll(&nothing, 1, chatty ? 20 : -1) == 0)
		;
	exit(0);
}

static const struct mode modes[] = {
        {"exit", child_exit}, {"kill", child_kill},   {"spam", child_spam}, {"cat", child_cat},
        {"deaf", child_deaf}, {"leave", child_leave}, {"wait", child_wait},
};

static int setup(void **state)
{
	(void)state;
	err_clear(&err);
	return 0;
}

static void run_tells_how_it_ended(void **state)
{
	(void)state;
	static const struct {
		const char *mode, *arg, *out, *errs;
		int status;
	} cases[] = {{"exit", "0", "out\n", "err\n", 0},
	             {"exit", "3", "out\n", "err\n", 3},
	             {"exit", "255", "out\n", "err\n", 255},
	             {"kill", "9", "", "", 137},
	             {"kill", "15", "", "", 143},
	             {"spam", "0", "", "", 0}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct proc_spec spec = PROC_SPEC_INIT;
		spec.argv = ARGV(cases[i].mode, cases[i].arg);
		struct proc_result r = run(&spec, NULL, i % 2 ? RUN_MS : i == 0 ? INT64_MAX : 0, 4096);
		assert_int_equal(r.status, cases[i].status);
		assert_string_equal(r.out, cases[i].out);
		assert_string_equal(r.errs, cases[i].errs);
		assert_int_equal(r.out_len, strlen(cases[i].out));
		assert_false(r.cut || r.timed_out);
		proc_result_free(&r);
		proc_result_free(&r); /* twice is once */
	}
}

static void output_is_cut_at_the_bound(void **state)
{
	(void)state;
	static const struct {
		const char *said;
		size_t max, kept;
		bool cut;
	} cases[] = {{"1000000", 1000, 1000, true},
	             {"1000", 1000, 1000, false},
	             {"1001", 1000, 1000, true},
	             {"5", 0, 0, true},
	             {"300000", SIZE_MAX, 300000, false}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct proc_spec spec = PROC_SPEC_INIT;
		spec.argv = ARGV("spam", cases[i].said);
		struct proc_result r = run(&spec, NULL, RUN_MS, cases[i].max);
		assert_int_equal(r.status, 0); /* it was read to its end all the same */
		assert_int_equal(r.out_len, cases[i].kept);
		assert_int_equal(strlen(r.out), cases[i].kept);
		assert_int_equal(r.cut, cases[i].cut);
		proc_result_free(&r);
	}
}

static void input_larger_than_a_pipe(void **state)
{
	(void)state;
	size_t size = 3 << 20;
	cleanup_free char *input = mem_alloc(size + 1);
	for (size_t i = 0; i < size; i++)
		input[i] = (char)('a' + i % 26);
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = ARGV("cat");
	struct proc_result r = run(&spec, input, RUN_MS, size);
	assert_int_equal(r.out_len, size);
	assert_memory_equal(r.out, input, size);
	proc_result_free(&r);
	r = run(&spec, "", RUN_MS, 10); /* an empty input ends at once */
	assert_int_equal(r.out_len, 0);
	proc_result_free(&r);
	spec.argv = ARGV("exit", "4"); /* does not read: no SIGPIPE for us, and its status counts */
	r = run(&spec, input, RUN_MS, 10);
	assert_int_equal(r.status, 4);
	proc_result_free(&r);
	spec.argv = ARGV("wait"); /* does not read and does not end */
	r = run(&spec, input, 100, 10);
	assert_true(r.timed_out);
	assert_int_equal(r.status, 128 + SIGTERM);
	proc_result_free(&r);
	assert_ptr_equal(signal(SIGPIPE, SIG_DFL), SIG_DFL);
}

static void timeout_is_term_then_kill(void **state)
{
	(void)state;
	static const struct {
		const char *who;
		int status;
	} cases[] = {{"self", 128 + SIGKILL}, {"child", 128 + SIGTERM}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct proc_spec spec = PROC_SPEC_INIT;
		spec.argv = ARGV("deaf", cases[i].who);
		int64_t start = clock_mono_ms();
		struct proc_result r = run(&spec, NULL, 200, 100);
		int64_t took = clock_mono_ms() - start;
		assert_true(r.timed_out);
		assert_int_equal(r.status, cases[i].status);
		assert_in_range(took, 2100, 6000);
		pid_t deaf = atoi(r.out);
		assert_true(deaf > 1 && ends(deaf)); /* also when it was only of the group */
		proc_result_free(&r);
	}
}

static void what_is_left_behind_does_not_hold_us(void **state)
{
	(void)state;
	static const char *const kinds[] = {"quiet", "chatty"};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct proc_spec spec = PROC_SPEC_INIT;
		spec.argv = ARGV("leave", kinds[i]);
		int64_t start = clock_mono_ms();
		struct proc_result r = run(&spec, NULL, RUN_MS, 10000);
		assert_int_equal(r.status, 3);
		assert_int_equal(r.out[0], '.');
		assert_false(r.timed_out);
		assert_in_range(clock_mono_ms() - start, 900, 4000);
		proc_result_free(&r);
	}
}

static void a_lost_status_is_no_success(void **state)
{
	(void)state;
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGCHLD, SIG_IGN); /* the kernel reaps */
		struct proc_result r;
		struct proc_spec spec = PROC_SPEC_INIT;
		spec.argv = ARGV("exit", "0");
		_exit(proc_run(&spec, NULL, RUN_MS, 10, &r, &err) || r.status != 255);
	}
	assert_int_equal(finished(pid), 0);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return as_child(modes, ARRAY_LEN(modes), argv + 1);
#define TEST(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
	        TEST(run_tells_how_it_ended),
	        TEST(output_is_cut_at_the_bound),
	        TEST(input_larger_than_a_pipe),
	        TEST(timeout_is_term_then_kill),
	        TEST(what_is_left_behind_does_not_hold_us),
	        TEST(a_lost_status_is_no_success),
	};
	return cmocka_run_group_tests_name("core/proc_run", tests, NULL, NULL);
}
