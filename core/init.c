#include "core/init.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_main;

/* Reap all that is dead. Leaves when ${child} is among them. */
static void reap(pid_t child)
{
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
		if (pid == child)
			_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void watch(pid_t child, const sigset_t *all)
{
	for (;;) {
		siginfo_t info;
		int signal = sigwaitinfo(all, &info);
		if (signal == SIGCHLD)
			reap(child);
		else if (signal > 0 && info.si_code != SI_KERNEL)
			kill(child, signal);
	}
}

void init_split(void)
{
	sigset_t all, old;
	if (getpid() != 1)
		return;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old); /* what comes before the child is there waits */
	pid_t child = fork();
	if (child < 0) {
		fprintf(stderr, "codefoundry: fork: %s\n", strerror(errno));
		_exit(1);
	}
	if (child > 0)
		watch(child, &all);
	sigprocmask(SIG_SETMASK, &old, NULL);
	is_main = true;
}

bool init_is_main(void)
{
	return is_main;
}
