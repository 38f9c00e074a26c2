#include "bench/bench.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Wait for the measuring child, or for the word to stop. Returns whether it ended well. */
static bool watch(pid_t child, const sigset_t *signals)
{
	for (;;) {
		int status = 0, sig = sigwaitinfo(signals, NULL);
		if (sig > 0 && sig != SIGCHLD)
			kill(child, SIGKILL); /* and what it runs with it */
		else if (sig < 0 && errno != EINTR)
			return false;
		if (waitpid(child, &status, sig == SIGCHLD ? WNOHANG : 0) == child)
			return status == 0;
	}
}

bool bench_guarded(void (*run)(void *arg), void *arg)
{
	sigset_t signals, before;
	sigemptyset(&signals);
	for (size_t i = 0; i < 4; i++)
		sigaddset(&signals, (const int[]){SIGCHLD, SIGINT, SIGTERM, SIGHUP}[i]);
	sigprocmask(SIG_BLOCK, &signals, &before);
	fflush(stdout);
	pid_t parent = getpid(), child = fork();
	if (child < 0)
		give_up("fork: %s", strerror(errno));
	if (child == 0) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		run(arg);
		fflush(stdout);
		_exit(0);
	}
	bool well = watch(child, &signals);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return well;
}
