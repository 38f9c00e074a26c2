#include "core/proc.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_FD 3
#define KEEP_FD 4
#define KILL_GRACE_MS 2000

extern char **environ;

static bool same_key(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");
	return strcspn(b, "=") == n && !strncmp(a, b, n);
}

/* The child's environment: borrowed strings in an owned, NULL-terminated array. */
static char **make_env(const struct proc_spec *spec, const char *ready)
{
	static const char *const kept[] = {"PATH=", "HOME=", "LANG=", "TZ=", "TERM="};
	size_t n = 0, more = 0;
	while (environ && environ[n])
		n++;
	while (spec->env && spec->env[more])
		more++;
	char **env = mem_alloc((n + more + 2) * sizeof(*env));
	size_t used = 0;
	for (size_t i = 0; i < n; i++) {
		bool keep = !spec->clear_env;
		for (size_t k = 0; k < ARRAY_LEN(kept); k++)
			keep |= same_key(environ[i], kept[k]);
		for (size_t k = 0; k < more; k++)
			keep &= !same_key(environ[i], spec->env[k]);
		if (keep && !same_key(environ[i], "CODEFOUNDRY_READY_FD="))
			env[used++] = environ[i];
	}
	for (size_t k = 0; k < more; k++)
		env[used++] = (char *)spec->env[k];
	if (spec->ready_fd > 0)
		env[used++] = (char *)ready;
	return env;
}

/* In the child, between fork and exec: only async-signal-safe calls. Report errno on ${report} when it fails. */
static void become(const struct proc_spec *spec, const char *program, char **env, pid_t parent, int report)
{
	int fds[5] = {spec->in, spec->out, spec->errfd, spec->ready_fd > 0 ? spec->ready_fd : PROC_NULL,
	              spec->keep_fd > 0 ? spec->keep_fd : PROC_NULL};
	sigset_t none;
	sigemptyset(&none);
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (spec->new_session ? setsid() < 0 : !spec->same_group && setpgid(0, 0))
		goto failed;
	if (spec->die_with_parent && (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent))
		goto failed;
	/* first out of the way of 0–4, then into place */
	report = fcntl(report, F_DUPFD_CLOEXEC, 10);
	for (int i = 0; i < 5; i++)
		if (fds[i] >= 0 && (fds[i] = fcntl(fds[i], F_DUPFD, 10)) < 0)
			goto failed;
	for (int i = 0; i < 5; i++) {
		if (fds[i] == PROC_NULL && i < 3)
			fds[i] = open("/dev/null", O_RDWR);
		if (fds[i] >= 0 && dup2(fds[i], i) < 0)
			goto failed;
		if (fds[i] == PROC_NULL && i >= 3)
			close(i);
	}
	syscall(SYS_close_range, 5u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
	if (spec->cwd && chdir(spec->cwd))
		goto failed;
	environ = env;
	execvp(program, (char *const *)spec->argv);
failed:;
	int e = errno;
	if (write(report, &e, sizeof(e)) < 0)
		_exit(126);
	_exit(127);
}

int proc_spawn(const struct proc_spec *spec, pid_t *pid, struct err *err)
{
	int report[2];
	char ready[40];
	snprintf(ready, sizeof(ready), "CODEFOUNDRY_READY_FD=%d", READY_FD);
	if (pipe2(report, O_CLOEXEC))
		return err_sys(err, errno, "start %s: pipe", spec->argv[0]);
	cleanup_close int in = report[0];
	cleanup_close int out = report[1];
	char **env = make_env(spec, ready);
	pid_t parent = getpid();
	sigset_t all, old;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old); /* no handler of ours may run in the child */
	pid_t child = fork();
	if (child == 0)
		become(spec, spec->argv[0], env, parent, out);
	int fork_errno = errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	free(env);
	if (child < 0)
		return err_sys(err, fork_errno, "start %s: fork", spec->argv[0]);
	close(TAKE_FD(out));
	int e = 0;
	ssize_t n;
	while ((n = read(in, &e, sizeof(e))) < 0 && errno == EINTR)
		;
	if (n == 0) {
		*pid = child;
		return 0;
	}
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return err_sys(err, n == (ssize_t)sizeof(e) ? e : EIO, "start %s", spec->argv[0]);
}

/* One captured stream of proc_run. */
struct stream {
	int fd;
	char *p;
	size_t len, cap;
};

static void stream_read(struct stream *s, size_t max, bool *cut)
{
	char buf[16384];
	ssize_t n = read(s->fd, buf, sizeof(buf));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		close(TAKE_FD(s->fd));
		return;
	}
	size_t keep = (size_t)n;
	if (s->len + keep > max) {
		keep = max - s->len;
		*cut = true;
	}
	if (s->len + keep + 1 > s->cap) {
		s->cap = (s->len + keep + 1) * 2;
		s->p = mem_resize(s->p, s->cap, 1);
	}
	memcpy(s->p + s->len, buf, keep);
	s->len += keep;
}

static char *stream_take(struct stream *s)
{
	if (!s->p)
		return mem_strdup("");
	s->p[s->len] = '\0';
	return TAKE(s->p);
}

/* Move data until the child is gone (its pidfd is readable) and both streams are closed or it left them behind. */
static void converse(pid_t pid, int pidfd, int *in, const char *input, struct stream s[2], int64_t timeout_ms,
                     size_t max, struct proc_result *r)
{
	int64_t deadline = clock_mono_ms() + timeout_ms, kill_at = INT64_MAX;
	size_t left = input ? strlen(input) : 0;
	bool gone = false;
	while (!gone || s[0].fd >= 0 || s[1].fd >= 0) {
		struct pollfd p[4] = {{.fd = gone ? -1 : pidfd, .events = POLLIN},
		                      {.fd = s[0].fd, .events = POLLIN},
		                      {.fd = s[1].fd, .events = POLLIN},
		                      {.fd = *in, .events = POLLOUT}};
		int64_t now = clock_mono_ms(), until = r->timed_out ? kill_at : deadline;
		/* what the child left running may keep the pipes open: one more second of it is enough */
		int wait = gone                    ? 1000
		           : until <= now          ? 0
		           : until - now > INT_MAX ? INT_MAX
		                                   : (int)(until - now);
		int n = poll(p, 4, wait);
		if (n == 0 && gone)
			break;
		if (p[1].revents)
			stream_read(&s[0], max, &r->cut);
		if (p[2].revents)
			stream_read(&s[1], max, &r->cut);
		if (p[3].revents) {
			ssize_t w = left ? write(*in, input, left) : -1;
			input += w > 0 ? w : 0;
			left -= w > 0 ? (size_t)w : 0;
			if ((w < 0 && errno != EAGAIN && errno != EINTR) || !left)
				close(TAKE_FD(*in));
		}
		gone |= p[0].revents != 0;
		if (!gone && clock_mono_ms() >= until) {
			kill(-pid, r->timed_out ? SIGKILL : SIGTERM);
			kill_at = r->timed_out ? INT64_MAX : clock_mono_ms() + KILL_GRACE_MS;
			r->timed_out = true;
		}
	}
}

int proc_run(const struct proc_spec *given, const char *input, int64_t timeout_ms, size_t max_bytes,
             struct proc_result *result, struct err *err)
{
	struct proc_spec spec = *given;
	int in[2] = {-1, -1}, out[2] = {-1, -1}, errs[2] = {-1, -1};
	struct stream s[2] = {{.fd = -1}, {.fd = -1}};
	pid_t pid = 0;
	*result = (struct proc_result){0};
	if (pipe2(out, O_CLOEXEC) || pipe2(errs, O_CLOEXEC) || (input && pipe2(in, O_CLOEXEC))) {
		err_sys(err, errno, "start %s: pipe", spec.argv[0]);
		goto done;
	}
	if (input) {
		spec.in = in[0];
		fcntl(in[1], F_SETFL, O_NONBLOCK);
	}
	spec.out = out[1];
	spec.errfd = errs[1];
	spec.same_group = false;
	if (proc_spawn(&spec, &pid, err)) {
		pid = 0;
		goto done;
	}
	close(TAKE_FD(out[1]));
	close(TAKE_FD(errs[1]));
	s[0].fd = TAKE_FD(out[0]);
	s[1].fd = TAKE_FD(errs[0]);
	void (*pipe_handler)(int) = signal(SIGPIPE, SIG_IGN);
	cleanup_close int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	converse(pid, pidfd, &in[1], input, s, timeout_ms, max_bytes, result);
	signal(SIGPIPE, pipe_handler);
	int status = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	result->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	result->out_len = s[0].len;
	result->err_len = s[1].len;
	result->out = stream_take(&s[0]);
	result->errs = stream_take(&s[1]);
done:;
	int fds[] = {in[0], in[1], out[0], out[1], errs[0], errs[1], s[0].fd, s[1].fd};
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return pid ? 0 : -1;
}

void proc_result_free(struct proc_result *r)
{
	free(r->out);
	free(r->errs);
	*r = (struct proc_result){0};
}

int proc_identify(pid_t pid, struct proc_id *id)
{
	char path[64], buf[1024];
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (file_peek(path, buf, sizeof(buf)) <= 0)
		return -1;
	char *p = strrchr(buf, ')'); /* the name may hold anything, even ") Z 1" */
	if (!p || p[1] != ' ' || p[2] == 'Z' || p[2] == 'X')
		return -1;
	p += 2;
	for (int field = 3; field < 22 && p; field++)
		if ((p = strchr(p, ' ')))
			p++;
	if (!p)
		return -1;
	id->pid = pid;
	id->start = strtoll(p, NULL, 10);
	return 0;
}

bool proc_alive(const struct proc_id *id)
{
	struct proc_id now;
	return id->pid > 0 && proc_identify(id->pid, &now) == 0 && (!id->start || now.start == id->start);
}

int proc_signal(const struct proc_id *id, int sig)
{
	cleanup_close int fd = (int)syscall(SYS_pidfd_open, id->pid, 0);
	if (fd < 0)
		return errno == ESRCH ? 0 : -1;
	/* the descriptor pins whoever has the pid now: look once more whether it is the one meant */
	if (!proc_alive(id))
		return 0;
	return syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0) && errno != ESRCH ? -1 : 0;
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
		char *deleted = strstr(path, " (deleted)");
		if (deleted)
			*deleted = '\0';
	}
	return path;
}

void proc_ready(void)
{
	const char *text = getenv("CODEFOUNDRY_READY_FD");
	if (!text)
		return;
	int fd = atoi(text);
	if (fd > 2 && write(fd, "\n", 1) == 1)
		close(fd);
	unsetenv("CODEFOUNDRY_READY_FD");
}
