/* Following the log files of a supervisor. It writes whole lines, and moves a file that has grown too large aside. */
#include "core/file.h"
#include "core/mem.h"
#include "core/str.h"
#include "jobs/line.h"
#include "jobs/supervisor.h"
#include "sessions/logs.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define SERVICES_MAX 64
#define LINE_MAX_BYTES 8300 /* what the supervisor writes at most, and its mark */
#define STEADY_TRIES 5
#define LOOK_MS 1000 /* for what inotify does not tell, such as on a file system of another kind */

struct follower {
	const char *name; /* borrowed */
	logs_fn *fn;
	void *arg;
	char *path;
	int fd;          /* -1: there is no file yet */
	struct str line; /* of which the end has not come */
};

static int open_log(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

static int put_line(const struct follower *f, const char *text, size_t len)
{
	cleanup_free char *clean = line_clean(text, len, LINE_MAX_BYTES);
	cleanup_json cJSON *entry = logs_entry(clean);
	json_add_text(entry, "service", f->name);
	return f->fn(f->arg, entry);
}

/* Give on what has come since; -1 when nobody wants it. */
static int drain(struct follower *f)
{
	char buf[16384];
	ssize_t n;
	while (f->fd >= 0 && (n = read(f->fd, buf, sizeof(buf))) > 0) {
		const char *at = buf, *end = buf + n, *newline;
		while ((newline = memchr(at, '\n', (size_t)(end - at)))) {
			str_addn(&f->line, at, (size_t)(newline - at));
			if (put_line(f, str_text(&f->line), f->line.len))
				return -1;
			str_free(&f->line);
			f->line = STR_INIT_MAX(LINE_MAX_BYTES);
			at = newline + 1;
		}
		str_addn(&f->line, at, (size_t)(end - at));
	}
	return 0;
}

/* Whether another file stands at the path than the one that is open. */
static bool moved(const struct follower *f)
{
	struct stat ours, there;
	if (stat(f->path, &there))
		return false;
	return f->fd < 0 || fstat(f->fd, &ours) || ours.st_ino != there.st_ino || ours.st_dev != there.st_dev;
}

static int look(struct follower *f)
{
	if (drain(f))
		return -1;
	if (!moved(f))
		return 0;
	int next = open_log(f->path);
	if (drain(f)) { /* what was written last before it was moved */
		if (next >= 0)
			close(next);
		return -1;
	}
	if (f->fd >= 0)
		close(f->fd);
	f->fd = next;
	return drain(f);
}

/* The last ${n} lines, and stand behind them: taken again while the file grows in between. */
static cJSON *tail(struct follower *f, const char *dir, int n)
{
	cJSON *lines = NULL;
	for (int i = 0; i < STEADY_TRIES; i++) {
		if (f->fd >= 0)
			close(TAKE_FD(f->fd));
		f->fd = open_log(f->path);
		off_t before = f->fd >= 0 ? lseek(f->fd, 0, SEEK_END) : 0;
		cJSON_Delete(lines);
		lines = supervisor_log_tail(dir, f->name, n);
		if (!moved(f) && (f->fd < 0 || lseek(f->fd, 0, SEEK_END) == before))
			break;
	}
	return lines;
}

static cJSON *tail_entries(struct follower *f, const char *dir, const struct logs_window *w)
{
	cleanup_json cJSON *lines = tail(f, dir, w->n);
	cJSON *entries = json_array();
	const cJSON *line;
	cJSON_ArrayForEach(line, lines) cJSON_AddItemToArray(entries, logs_entry(line->valuestring));
	logs_cut(entries, w);
	return entries;
}

/* -1 when nobody wants more. */
static int put_tails(struct follower *list, int count, const char *dir, const struct logs_window *w)
{
	cJSON *logs[SERVICES_MAX];
	const char *names[SERVICES_MAX];
	for (int i = 0; i < count; i++) {
		names[i] = list[i].name;
		logs[i] = tail_entries(&list[i], dir, w);
	}
	cleanup_json cJSON *merged = logs_merge(logs, names, count, w->n);
	const cJSON *entry;
	int rc = 0;
	cJSON_ArrayForEach(entry, merged)
	{
		rc = rc ? rc : list->fn(list->arg, entry);
	}
	for (int i = 0; i < count; i++)
		cJSON_Delete(logs[i]);
	return rc;
}

/* Until a signal, the end of the reader or of the directory. */
static void follow(struct follower *list, int count, const char *logs, int signals, int notify)
{
	char events[4096];
	for (;;) {
		struct pollfd p[] = {{.fd = signals, .events = POLLIN},
		                     {.fd = notify, .events = POLLIN},
		                     {.fd = STDOUT_FILENO, .events = 0}};
		int rc = poll(p, ARRAY_LEN(p), LOOK_MS);
		if (rc < 0 && errno != EINTR)
			return;
		if (rc > 0 && (p[0].revents || (p[2].revents & (POLLERR | POLLHUP | POLLNVAL))))
			return;
		while (notify >= 0 && read(notify, events, sizeof(events)) > 0)
			;
		for (int i = 0; i < count; i++)
			if (look(&list[i]))
				return;
		if (!path_exists(logs))
			return;
	}
}

static int follow_signalled(struct follower *list, int count, const char *logs, const sigset_t *set,
                            struct err *err)
{
	cleanup_close int signals = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	cleanup_close int notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct signalfd_siginfo info;
	if (signals < 0)
		return err_sys(err, errno, "signalfd");
	if (notify >= 0)
		inotify_add_watch(notify, logs, IN_MODIFY | IN_CREATE | IN_MOVED_FROM | IN_DELETE_SELF);
	follow(list, count, logs, signals, notify);
	/* it was to end this, not us */
	while (read(signals, &info, sizeof(info)) > 0)
		;
	return 0;
}

int logs_follow(const char *dir, const cJSON *services, const struct logs_window *w, logs_fn *fn, void *arg,
                struct err *err)
{
	struct follower list[SERVICES_MAX];
	int count = 0;
	cleanup_free char *logs = mem_printf("%s/log", dir);
	const cJSON *one;
	cJSON_ArrayForEach(one, services)
	{
		if (count == SERVICES_MAX)
			break;
		list[count++] = (struct follower){.name = one->valuestring,
		                                  .fn = fn,
		                                  .arg = arg,
		                                  .path = mem_printf("%s/%s.log", logs, one->valuestring),
		                                  .fd = -1,
		                                  .line = STR_INIT_MAX(LINE_MAX_BYTES)};
	}
	sigset_t set, old;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	int rc = 0;
	if (count && put_tails(list, count, dir, w) == 0)
		rc = follow_signalled(list, count, logs, &set, err);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	for (int i = 0; i < count; i++) {
		if (list[i].fd >= 0)
			close(list[i].fd);
		free(list[i].path);
		str_free(&list[i].line);
	}
	return rc;
}
