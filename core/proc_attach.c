/* A child that has our standard streams, and the terminal if there is one. */
#include "core/mem.h"
#include "core/proc.h"
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

/* Wait for the child, which has the terminal: its Ctrl-C comes to us too and is its matter; an end that is meant for us
 * goes to it as well. */
static int wait_attached(pid_t pid, const sigset_t *set, int *told)
{
	int status, sig;
	static const struct timespec now = {0};
	while (waitpid(pid, &status, WNOHANG) == 0) {
		sig = sigwaitinfo(set, NULL);
		if (sig == SIGTERM || sig == SIGHUP)
			kill(pid, sig);
		if (sig > 0 && sig != SIGCHLD)
			*told = sig;
	}
	while ((sig = sigtimedwait(set, NULL, &now)) > 0) /* the Ctrl-C that ended it is no end of ours */
		if (sig != SIGCHLD)
			*told = sig;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int proc_attach(const struct proc_spec *given, int *status, int *told, struct err *err)
{
	static const int signals[] = {SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP};
	struct proc_spec spec = *given;
	sigset_t set, old;
	pid_t pid;
	int signal = 0;
	spec.in = PROC_INHERIT;
	spec.same_group = true;
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaddset(&set, signals[i]);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	int rc = proc_spawn(&spec, &pid, err);
	if (rc == 0)
		*status = wait_attached(pid, &set, &signal);
	if (told)
		*told = signal;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}
