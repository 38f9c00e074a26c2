/* For the tests of marker: programs that have one. */
#ifndef SESSIONS_TEST_MARKER_H
#define SESSIONS_TEST_MARKER_H

#include "core/id.h"
#include "core/mem.h"
#include "sessions/marker.h"
#include "sessions/test_sessions.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OURS "11111111-1111-4111-8111-111111111111"
#define THEIRS "22222222-2222-4222-8222-222222222222"
#define S1 "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
#define S2 "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"

/* A program with a marker (NULL: without), gone at the latest when this one ends. ${out} is its standard output. */
static inline pid_t spawn(const char *marker, const char *const *argv, int out)
{
	cleanup_free char *var = mem_printf(marker ? MARKER_KEY "=%s" : MARKER_KEY, marker);
	const char *env[] = {var, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = argv;
	spec.env = env;
	spec.out = out;
	spec.die_with_parent = true;
	pid_t pid = 0;
	assert_ok(proc_spawn(&spec, &pid, err));
	return pid;
}

/* This program as ${mode}; ${said} (${size} bytes) is what it writes when it is ready. ${more} may be NULL. */
static inline pid_t ready_as(const char *marker, const char *mode, const char *arg, const char *more,
                             void *said, size_t size)
{
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t pid = spawn(marker, (const char *[]){proc_self(), mode, arg, more, NULL}, ends[1]);
	close(ends[1]);
	for (size_t got = 0; got < size;) {
		ssize_t n = read(ends[0], (char *)said + got, size - got);
		assert_true(n > 0);
		got += (size_t)n;
	}
	close(ends[0]);
	return pid;
}

/* Said that TERM is waited for; ends with 7, ${ms} after it came. */
static inline int end_slowly(const char *ms)
{
	sigset_t term;
	int sig;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	if (write(STDOUT_FILENO, "\n", 1) != 1 || sigwait(&term, &sig))
		return 1;
	poll(NULL, 0, (int)strtol(ms, NULL, 10));
	return 7;
}

#endif
