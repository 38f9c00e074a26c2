/* Each case is process 1 of a PID namespace of its own. */
#include "core/clock.h"
#include "core/init.h"
#include "core/mem.h"
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
/* after the standard headers */
#include <cmocka.h>

#define ORPHANS 10

static struct first {
	pid_t helper, pid; /* who waits for process 1; its pid here */
	int out;           /* what the work in it says */
} first;

/* -- the work -- */

static void exits(void)
{
	exit(7);
}

static void dies(void)
{
	raise(SIGKILL);
}

/* Says that it is ready, then which signals it gets; TERM ends it. */
static void hears(void)
{
	sigset_t all;
	int signal = 0;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	printf("%d\n", getpid() == 1 || !init_is_main());
	fflush(stdout);
	while (sigwait(&all, &signal) == 0) {
		printf("%d\n", signal);
		fflush(stdout);
		if (signal == SIGTERM)
			exit(42);
	}
}

/* How many of the pids that come from ${fd} are still there, zombies too, when process 1 had 10 s to reap them. */
static int left(int fd)
{
	int n = 0;
	int64_t until = clock_mono_ms() + 10000;
	for (pid_t pid; read(fd, &pid, sizeof(pid)) == sizeof(pid);) {
		while (kill(pid, 0) == 0 && clock_mono_ms() < until)
			sched_yield();
		n += kill(pid, 0) == 0;
	}
	return n;
}

/* Ten processes lose their parent, then end. */
static void orphans(void)
{
	int pids[2], go[2];
	char c;
	if (pipe(pids) || pipe(go))
		exit(1);
	for (int i = 0; i < ORPHANS; i++) {
		pid_t middle = fork();
		if (middle == 0) {
			if (fork() == 0) {
				pid_t own = getpid();
				close(go[1]);
				_exit(write(pids[1], &own, sizeof(own)) < 0 || read(go[0], &c, 1));
			}
			_exit(0);
		}
		waitpid(middle, NULL, 0);
	}
	close(go[1]);
	close(pids[1]);
	exit(left(pids[0]));
}

/* -- the tests -- */

/* Make process 1 and let it do ${work} behind init_split(). */
static void start(void (*work)(void))
{
	int out[2], told[2];
	assert_int_equal(pipe(out), 0);
	assert_int_equal(pipe(told), 0);
	first.helper = fork();
	if (first.helper == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWPID | (geteuid() ? CLONE_NEWUSER : 0)))
			_exit(99);
		pid_t pid = fork();
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			dup2(out[1], 1);
			close(out[1]);
			init_split();
			work();
			_exit(0);
		}
		int status;
		close(out[1]);
		if (write(told[1], &pid, sizeof(pid)) < 0 || waitpid(pid, &status, 0) != pid)
			_exit(98);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 97);
	}
	close(out[1]);
	close(told[1]);
	first.out = out[0];
	assert_int_equal(read(told[0], &first.pid, sizeof(first.pid)), sizeof(first.pid));
	close(told[0]);
}

static int end(void)
{
	int status = 0;
	assert_int_equal(waitpid(first.helper, &status, 0), first.helper);
	close(first.out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The next number the work says. */
static int said(void)
{
	char text[16] = "";
	for (size_t i = 0; i < sizeof(text) - 1 && read(first.out, text + i, 1) == 1 && text[i] != '\n';)
		i++;
	return *text ? atoi(text) : -1;
}

static void the_exit_code_is_the_childs(void **state)
{
	(void)state;
	start(exits);
	assert_int_equal(end(), 7);
	start(dies);
	assert_int_equal(end(), 128 + SIGKILL);
}

static void signals_are_handed_on(void **state)
{
	static const int signals[] = {SIGHUP, SIGINT, SIGUSR1, SIGWINCH, SIGQUIT, SIGTERM};
	(void)state;
	start(hears);
	assert_int_equal(said(), 0); /* it is not process 1 */
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		assert_int_equal(kill(first.pid, signals[i]), 0);
		assert_int_equal(said(), signals[i]);
	}
	assert_int_equal(end(), 42);
}

static void orphans_are_reaped(void **state)
{
	(void)state;
	start(orphans);
	assert_int_equal(end(), 0);
}

static void other_processes_stay_one(void **state)
{
	(void)state;
	pid_t own = getpid();
	init_split();
	assert_int_equal(getpid(), own);
	assert_false(init_is_main());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_exit_code_is_the_childs),
	        cmocka_unit_test(signals_are_handed_on),
	        cmocka_unit_test(orphans_are_reaped),
	        cmocka_unit_test(other_processes_stay_one),
	};
	return cmocka_run_group_tests_name("core/init", tests, NULL, NULL);
}
