/* What the tests of core/proc share. Each test program is its own child: `proc_test MODE …`. */
#ifndef CORE_PROC_TESTING_H
#define CORE_PROC_TESTING_H

#include "core/mem.h"
#include "core/proc.h"
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
/* after the standard headers */
#include <cmocka.h>

static struct err err;

#define ARGV(...) ((const char *const[]){proc_self(), __VA_ARGS__, NULL})
#define RUN_MS 20000

struct mode {
	const char *name;
	void (*fn)(char **argv);
};

static __attribute__((unused)) void wait_forever(void)
{
	for (;;)
		pause();
}

static __attribute__((unused)) void child_cat(char **argv)
{
	(void)argv;
	char buf[65536];
	for (ssize_t n; (n = read(0, buf, sizeof(buf))) > 0;)
		fwrite(buf, 1, (size_t)n, stdout);
}

static __attribute__((unused)) void child_wait(char **argv)
{
	(void)argv;
	if (write(1, "w", 1) == 1)
		wait_forever();
}

static __attribute__((unused)) struct proc_result run(const struct proc_spec *spec, const char *input,
                                                      int64_t timeout_ms, size_t max)
{
	struct proc_result r;
	if (proc_run(spec, input, timeout_ms, max, &r, &err))
		fail_msg("run: %s", err.msg);
	return r;
}

static __attribute__((unused)) int finished(pid_t pid)
{
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Whether process ${pid}, not our child, ends within 5 s. */
static __attribute__((unused)) bool ends(pid_t pid)
{
	cleanup_close int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return fd < 0 ? errno == ESRCH : poll(&p, 1, 5000) == 1;
}

/* Do what ${argv}[0] names, with the arguments behind it. */
static int as_child(const struct mode *modes, size_t n, char **argv)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(argv[0], modes[i].name))
			return modes[i].fn(argv + 1), 0;
	return 99;
}

#endif
