#include "core/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
/* after the standard headers */
#include <cmocka.h>

static void allocates(void **state)
{
	(void)state;
	cleanup_free char *none = mem_alloc(0), *some = mem_alloc(3), *grown = mem_resize(NULL, 0, 8);
	assert_memory_equal(some, "\0\0\0", 3);
	grown = mem_resize(grown, 4, 8);
	memset(grown, 1, 32);
	assert_non_null(none);
	static const struct {
		const char *text;
		size_t n;
		const char *copy;
	} cases[] = {{"abc", 2, "ab"}, {"abc", 3, "abc"}, {"abc", 99, "abc"}, {"abc", 0, ""}, {"", 5, ""}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *copy = mem_strndup(cases[i].text, cases[i].n);
		assert_string_equal(copy, cases[i].copy);
	}
	cleanup_free char *unterminated = mem_strndup((const char[2]){'a', 'b'}, 2);
	cleanup_free char *copy = mem_strdup("abc"), *printed = mem_printf("%s-%d", "x", 7);
	assert_string_equal(unterminated, "ab");
	assert_string_equal(copy, "abc");
	assert_string_equal(printed, "x-7");
}

static void hands_over(void **state)
{
	(void)state;
	char *p = mem_strdup("x"), *q = TAKE(p);
	assert_null(p);
	assert_string_equal(q, "x");
	free(q);
	int seen;
	{
		cleanup_close int fd = open("/dev/null", O_RDONLY);
		cleanup_close int none = -1;
		seen = fd;
		assert_int_equal(none, -1);
		errno = 42;
	}
	assert_int_equal(fcntl(seen, F_GETFD), -1);
	errno = 42;
	{
		cleanup_close int gone = seen; /* closing fails, and yet the caller's errno stays */
		(void)gone;
	}
	assert_int_equal(errno, 42);
	int kept;
	{
		cleanup_close int fd = open("/dev/null", O_RDONLY);
		kept = TAKE_FD(fd);
		assert_int_equal(fd, -1);
	}
	assert_int_equal(close(kept), 0);
}

/* One line on stderr, then SIGABRT. */
static void out_of_memory_ends_the_process(void **state)
{
	(void)state;
	for (int how = 0; how < 3; how++) {
		int p[2];
		assert_int_equal(pipe(p), 0);
		pid_t pid = fork();
		if (pid == 0) {
			volatile size_t huge = SIZE_MAX / 2;
			dup2(p[1], 2);
			setrlimit(RLIMIT_CORE, &(struct rlimit){0});
			signal(SIGABRT, SIG_DFL);
			void *got = how == 0   ? mem_alloc(huge)
			            : how == 1 ? mem_resize(NULL, huge, 1)
			                       : mem_resize(NULL, huge, 4);
			_exit(got ? 0 : 1);
		}
		close(p[1]);
		char said[256] = "";
		size_t len = 0;
		for (ssize_t n; (n = read(p[0], said + len, sizeof(said) - 1 - len)) > 0;)
			len += (size_t)n;
		close(p[0]);
		int status = 0;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (strstr(said, "AddressSanitizer"))
			skip(); /* it ends the process itself */
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
		assert_string_equal(said, "codefoundry: out of memory\n");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(allocates),
	        cmocka_unit_test(hands_over),
	        cmocka_unit_test(out_of_memory_ends_the_process),
	};
	return cmocka_run_group_tests_name("core/mem", tests, NULL, NULL);
}
