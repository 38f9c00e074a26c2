/* proc_run: a child from start to end with everything it says, within a time and a size. */
#include "core/clock.h"
#include "core/mem.h"
#include "core/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILL_GRACE_MS 2000
#define LINGER_MS 1000 /* for what the child left running and still holds our pipes */

/* One captured stream. */
struct stream {
	int fd;
	char *p;
	size_t len, cap;
};

/* One run. `theirs` are the child's ends of the pipes. */
struct talk {
	pid_t pid;
	int pidfd, in, theirs[3];
	const char *input;
	size_t left, max;
	struct stream s[2];
};

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void talk_end(struct talk *t)
{
	int *fds[] = {&t->pidfd,     &t->in,      &t->theirs[0], &t->theirs[1],
	              &t->theirs[2], &t->s[0].fd, &t->s[1].fd};
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		shut(fds[i]);
	free(t->s[0].p);
	free(t->s[1].p);
}

static int talk_pipes(struct talk *t)
{
	int p[2];
	for (int i = 0; i < 2; i++) {
		if (pipe2(p, O_CLOEXEC))
			return -1;
		t->s[i].fd = p[0];
		t->theirs[i + 1] = p[1];
	}
	if (!t->input)
		return 0;
	if (pipe2(p, O_CLOEXEC))
		return -1;
	t->theirs[0] = p[0];
	t->in = p[1];
	return fcntl(t->in, F_SETFL, O_NONBLOCK);
}

static void stream_read(struct stream *s, size_t max, bool *cut)
{
	char buf[16384];
	ssize_t n = read(s->fd, buf, sizeof(buf));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		shut(&s->fd);
		return;
	}
	size_t keep = (size_t)n;
	if (keep > max - s->len) {
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

static void feed(struct talk *t)
{
	ssize_t n = t->left ? write(t->in, t->input, t->left) : 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		t->input += n;
		t->left -= (size_t)n;
	}
	if (n < 0 || !t->left)
		shut(&t->in);
}

static int64_t after(int64_t ms)
{
	int64_t now = clock_mono_ms();
	return ms <= 0 || ms > INT64_MAX - now ? INT64_MAX : now + ms;
}

static int poll_ms(int64_t until)
{
	int64_t left = until - clock_mono_ms();
	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

/* Move data until the child is gone (its pidfd is readable) and both streams are closed or it left them behind. */
static void converse(struct talk *t, int64_t timeout_ms, struct proc_result *r)
{
	bool gone = t->pidfd < 0;
	int64_t until = after(gone ? LINGER_MS : timeout_ms);
	while (!gone || t->s[0].fd >= 0 || t->s[1].fd >= 0) {
		struct pollfd p[4] = {{.fd = gone ? -1 : t->pidfd, .events = POLLIN},
		                      {.fd = t->s[0].fd, .events = POLLIN},
		                      {.fd = t->s[1].fd, .events = POLLIN},
		                      {.fd = t->in, .events = POLLOUT}};
		poll(p, 4, poll_ms(until));
		for (int i = 0; i < 2; i++)
			if (p[i + 1].revents)
				stream_read(&t->s[i], t->max, &r->cut);
		if (p[3].revents)
			feed(t);
		if (p[0].revents) {
			gone = true;
			if (!r->timed_out || until == INT64_MAX)
				until = after(LINGER_MS);
		}
		if (clock_mono_ms() < until)
			continue;
		if (gone)
			break;
		kill(-t->pid, r->timed_out ? SIGKILL : SIGTERM);
		until = r->timed_out ? INT64_MAX : after(KILL_GRACE_MS);
		r->timed_out = true;
	}
	/* who of the group ignored TERM; its number is ours as long as the child is not reaped */
	if (r->timed_out)
		kill(-t->pid, SIGKILL);
}

int proc_run(const struct proc_spec *given, const char *input, int64_t timeout_ms, size_t max_bytes,
             struct proc_result *result, struct err *err)
{
	struct proc_spec spec = *given;
	__attribute__((cleanup(talk_end))) struct talk t = {.pidfd = -1, .in = -1, .theirs = {-1, -1, -1}};
	t.input = input;
	t.left = input ? strlen(input) : 0;
	t.max = max_bytes;
	t.s[0].fd = t.s[1].fd = -1;
	*result = (struct proc_result){0};
	if (talk_pipes(&t))
		return err_sys(err, errno, "start %s: pipe", spec.argv[0]);
	if (input)
		spec.in = t.theirs[0];
	spec.out = t.theirs[1];
	spec.errfd = t.theirs[2];
	spec.same_group = false;
	if (proc_spawn(&spec, &t.pid, err))
		return -1;
	for (int i = 0; i < 3; i++)
		shut(&t.theirs[i]);
	t.pidfd = (int)syscall(SYS_pidfd_open, t.pid, 0);
	int pidfd_errno = t.pidfd < 0 ? errno : 0, status = 0;
	bool watched = !pidfd_errno || pidfd_errno == ESRCH; /* gone and reaped: SIGCHLD is ignored here */
	if (watched) {
		void (*pipe_handler)(int) = signal(SIGPIPE, SIG_IGN);
		converse(&t, timeout_ms, result);
		signal(SIGPIPE, pipe_handler);
	} else {
		kill(-t.pid, SIGKILL);
	}
	pid_t reaped;
	while ((reaped = waitpid(t.pid, &status, 0)) < 0 && errno == EINTR)
		;
	if (!watched)
		return err_sys(err, pidfd_errno, "watch %s (Linux 5.3 or newer is needed)", spec.argv[0]);
	/* someone else's wait took the status: it is lost, but it was not a success we saw */
	result->status = reaped < 0 ? 255 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	result->out_len = t.s[0].len;
	result->err_len = t.s[1].len;
	result->out = stream_take(&t.s[0]);
	result->errs = stream_take(&t.s[1]);
	return 0;
}

void proc_result_free(struct proc_result *r)
{
	free(r->out);
	free(r->errs);
	*r = (struct proc_result){0};
}
