#include "core/proc.h"
#include "core/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_FD 3
#define FIRST_OTHER_FD 5
#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

extern char **environ;

int (*proc_hook)(const char *program);

/* What the child tells when it cannot become the program. */
struct failure {
	int error;
	bool in_cwd; /* the directory, not the program, was at fault */
};

static bool same_key(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");
	return strcspn(b, "=") == n && !strncmp(a, b, n);
}

static bool has_key(const char *const *env, const char *key)
{
	for (; env && *env; env++)
		if (same_key(*env, key))
			return true;
	return false;
}

/* The child's environment: borrowed strings in an owned, NULL-terminated array. */
static char **make_env(const struct proc_spec *spec, const char *ready)
{
	static const char *const kept[] = {
	        "PATH=", "HOME=", "LANG=", "TZ=", "TERM=", PROC_SESSION_KEY "=", PROC_SESSION_PORTS_KEY "=",
	        NULL};
	size_t n = 0, more = 0;
	while (environ && environ[n])
		n++;
	while (spec->env && spec->env[more])
		more++;
	char **env = mem_alloc((n + more + 2) * sizeof(*env));
	size_t used = 0;
	for (size_t i = 0; i < n; i++)
		if ((!spec->clear_env || has_key(kept, environ[i])) && !has_key(spec->env, environ[i]) &&
		    !same_key(environ[i], "CODEFOUNDRY_READY_FD="))
			env[used++] = environ[i];
	for (size_t k = 0; k < more; k++) /* the last of a key wins */
		if (strchr(spec->env[k], '=') && !has_key(spec->env + k + 1, spec->env[k]))
			env[used++] = (char *)spec->env[k];
	if (spec->ready_fd > 0)
		env[used++] = (char *)ready;
	return env;
}

/* The file to execute: looked up here rather than with execvp(3), which gives what it cannot execute to a shell.
 * Relative directories in PATH are left out. NULL when there is none; the caller frees it. */
static char *find_program(const char *name, char *const *env)
{
	if (strchr(name, '/'))
		return mem_strdup(name);
	const char *path = PATH_DEFAULT;
	for (; *env; env++)
		if (same_key(*env, "PATH="))
			path = *env + strlen("PATH=");
	for (size_t n; name[0] && *path; path += n + (path[n] == ':')) {
		n = strcspn(path, ":");
		cleanup_free char *file = mem_printf("%.*s/%s", (int)n, path, name);
		struct stat st;
		if (path[0] == '/' && stat(file, &st) == 0 && S_ISREG(st.st_mode) && access(file, X_OK) == 0)
			return TAKE(file);
	}
	return NULL;
}

/* In the child: nothing but 0–4 goes over exec (but what the spec holds). */
static void keep_no_others(void)
{
	if (syscall(SYS_close_range, (unsigned)FIRST_OTHER_FD, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */) == 0)
		return;
	struct rlimit limit; /* before Linux 5.11, or forbidden by a container's seccomp filter */
	int end = getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > 65536 ? 65536 : (int)limit.rlim_cur;
	for (int fd = FIRST_OTHER_FD; fd < end; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* In the child: put the spec's descriptors at 0–4. First out of the way, then into place. */
static int place(const struct proc_spec *spec)
{
	int fds[FIRST_OTHER_FD] = {spec->in, spec->out, spec->errfd,
	                           spec->ready_fd > 0 ? spec->ready_fd : PROC_NULL,
	                           spec->keep_fd > 0 ? spec->keep_fd : PROC_NULL};
	for (int i = 0; i < FIRST_OTHER_FD; i++)
		if (fds[i] >= 0 && (fds[i] = fcntl(fds[i], F_DUPFD, 10)) < 0)
			return -1;
	for (int i = 0; i < FIRST_OTHER_FD; i++) {
		if (fds[i] == PROC_NULL && i >= READY_FD)
			close(i);
		else if (fds[i] == PROC_NULL && (fds[i] = open("/dev/null", O_RDWR)) < 0)
			return -1;
		if (fds[i] >= 0 && dup2(fds[i], i) < 0)
			return -1;
	}
	keep_no_others();
	for (int i = 0; i < spec->n_held; i++)
		if (fcntl(spec->held[i], F_SETFD, 0))
			return -1;
	return 0;
}

/* In the child, between fork and exec: only async-signal-safe calls. Reports on ${report} when it fails. */
static void become(const struct proc_spec *spec, const char *program, char **env, pid_t parent, int report)
{
	struct failure failure = {0};
	sigset_t none;
	sigemptyset(&none);
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	int high = fcntl(report, F_DUPFD_CLOEXEC, 10);
	if (high < 0)
		goto failed;
	report = high;
	if (spec->new_session ? setsid() < 0 : !spec->same_group && setpgid(0, 0))
		goto failed;
	if (spec->die_with_parent && prctl(PR_SET_PDEATHSIG, SIGKILL))
		goto failed;
	if (spec->die_with_parent && getppid() != parent)
		_exit(128 + SIGKILL); /* it died before we asked */
	if (place(spec))
		goto failed;
	failure.in_cwd = spec->cwd && chdir(spec->cwd);
	if (!failure.in_cwd)
		execve(program, (char *const *)spec->argv, env);
failed:
	failure.error = errno;
	if (write(report, &failure, sizeof(failure)) < 0)
		_exit(126);
	_exit(127);
}

/* Wait until the child has become the program (the report closes) or told why it could not. */
static int await_exec(const struct proc_spec *spec, pid_t child, int report, struct err *err)
{
	struct failure failure = {0};
	ssize_t n;
	while ((n = read(report, &failure, sizeof(failure))) < 0 && errno == EINTR)
		;
	if (n == 0)
		return 0;
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	if (failure.in_cwd)
		return err_sys(err, failure.error, "start %s in %s", spec->argv[0], spec->cwd);
	return err_sys(err, n == (ssize_t)sizeof(failure) ? failure.error : EIO, "start %s", spec->argv[0]);
}

int proc_spawn(const struct proc_spec *spec, pid_t *pid, struct err *err)
{
	int report[2];
	char ready[40];
	snprintf(ready, sizeof(ready), "CODEFOUNDRY_READY_FD=%d", READY_FD);
	cleanup_free char **env = make_env(spec, ready);
	cleanup_free char *program = find_program(spec->argv[0], env);
	if (!program)
		return err_set(err, ERR_NOT_FOUND, "start %s: there is no such program in PATH: install it",
		               spec->argv[0]);
	int refused = proc_hook ? proc_hook(spec->argv[0]) : 0;
	if (refused)
		return err_sys(err, refused, "start %s: fork", spec->argv[0]);
	if (pipe2(report, O_CLOEXEC))
		return err_sys(err, errno, "start %s: pipe", spec->argv[0]);
	cleanup_close int in = report[0];
	cleanup_close int out = report[1];
	pid_t parent = getpid();
	sigset_t all, old;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old); /* no handler of ours may run in the child */
	pid_t child = fork();
	if (child == 0)
		become(spec, program, env, parent, out);
	int fork_errno = errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (child < 0)
		return err_sys(err, fork_errno, "start %s: fork", spec->argv[0]);
	close(TAKE_FD(out));
	if (await_exec(spec, child, in, err))
		return -1;
	*pid = child;
	return 0;
}

const char *proc_self(void)
{
	static char path[PATH_MAX];
	if (!path[0]) {
		ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
		if (n <= 0)
			return "/proc/self/exe";
		path[n] = '\0';
		/* a rebuilt program: the kernel marks the old name; the new file is what should be started */
		static const char deleted[] = " (deleted)";
		size_t rest = sizeof(deleted) - 1;
		if ((size_t)n > rest && !strcmp(path + n - rest, deleted))
			path[(size_t)n - rest] = '\0';
	}
	return path;
}

void proc_ready(void)
{
	const char *text = getenv("CODEFOUNDRY_READY_FD");
	if (!text)
		return;
	int fd = atoi(text);
	if (fd > 2) {
		ssize_t told = write(fd, "\n", 1);
		(void)told; /* a supervisor that is gone needs no answer */
		close(fd);
	}
	unsetenv("CODEFOUNDRY_READY_FD");
}
