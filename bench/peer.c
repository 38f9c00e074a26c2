/* Processes under measurement: their life, and what the kernel knows of them. */
#include "bench/bench.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/proc.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STOP_MS 3000

void give_up(const char *fmt, ...)
{
	va_list ap;
	fflush(stdout);
	fputs("bench: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

char *new_dir(const struct bench *b, const char *name)
{
	char *dir = mem_printf("%s/%s-XXXXXX", b->dir, name);
	if (!mkdtemp(dir))
		give_up("no folder %s can be made", dir);
	return dir;
}

void peer_start(struct peer *p, const struct bench *b, const char *const *argv, const char *const *env)
{
	struct err err = {0};
	int fds[2];
	cleanup_free char *path = mem_printf("%s/log", b->dir);
	cleanup_close int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	struct proc_spec spec = PROC_SPEC_INIT;
	if (log < 0 || pipe2(fds, O_CLOEXEC))
		give_up("no pipe or log file for %s", argv[0]);
	spec.argv = argv;
	spec.env = env;
	spec.out = fds[1];
	spec.errfd = log;
	spec.ready_fd = fds[1]; /* ours then say an empty line */
	spec.die_with_parent = true;
	*p = (struct peer){.out = fds[0]};
	if (proc_spawn(&spec, &p->pid, &err))
		give_up("%s", err.msg);
	close(fds[1]);
}

/* The next line, or NULL when there is no whole one yet. */
static char *take_line(struct peer *p, char *line, size_t size)
{
	char *end = memchr(p->text, '\n', p->len);
	if (!end)
		return NULL;
	size_t n = (size_t)(end - p->text);
	snprintf(line, size, "%.*s", (int)n, p->text);
	p->len -= n + 1;
	memmove(p->text, end + 1, p->len);
	return line;
}

static void read_more(struct peer *p, int64_t deadline, const char *word)
{
	struct pollfd wait = {.fd = p->out, .events = POLLIN};
	int64_t left = deadline - clock_mono_ms();
	if (left <= 0 || poll(&wait, 1, (int)left) <= 0)
		give_up("a peer did not say `%s` in time: its last words stand in the log", word);
	ssize_t n = read(p->out, p->text + p->len, sizeof(p->text) - p->len);
	if (n <= 0)
		give_up("a peer ended without saying `%s`", word);
	p->len += (size_t)n;
}

const char *peer_wait(struct peer *p, const char *word)
{
	static char line[sizeof(p->text)];
	int64_t deadline = clock_mono_ms() + PEER_MS;
	size_t n = strlen(word);
	for (;;) {
		while (take_line(p, line, sizeof(line)))
			if (strncmp(line, word, n) == 0 && (line[n] == ' ' || !line[n]))
				return line[n] ? line + n + 1 : line + n;
		read_more(p, deadline, word);
	}
}

void peer_stop(struct peer *p)
{
	struct pollfd end = {.fd = p->out};
	kill(p->pid, SIGTERM);
	poll(&end, 1, STOP_MS); /* its end of the pipe closes with it */
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	close(p->out);
}

int64_t process_cpu_ns(pid_t pid)
{
	clockid_t clock;
	struct timespec t;
	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t))
		give_up("process %d is gone: its last words stand in the log", (int)pid);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

int64_t process_kb(pid_t pid, const char *file, const char *field)
{
	cleanup_free char *path = mem_printf("/proc/%d/%s", (int)pid, file);
	char line[256];
	int64_t kb = 0;
	size_t n = strlen(field);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, field, n) == 0 && line[n] == ':')
			kb = strtoll(line + n + 1, NULL, 10);
	if (f)
		fclose(f);
	return kb;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

double median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}
