#include "sessions/marker.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/text.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENVIRON_MAX (256u << 10)
#define EXECVE_WAIT_MS 500      /* loading a program from a slow disk takes this long */
#define EXECVE_WAIT_ALL_MS 2000 /* for all of one look: many may hang there, when the disk is gone */
#define KILL_ROUNDS 5
#define KILL_WAIT_MS 3000

char *marker_make(const char *install, const char *session)
{
	const char *outer = getenv(MARKER_KEY);
	return mem_printf("%s%s%s.%s", outer ? outer : "", outer && *outer ? "/" : "", install, session);
}

bool marker_inside(void)
{
	const char *outer = getenv(MARKER_KEY);
	return outer && *outer;
}

bool marker_parse(const char *path, const char *install, char session[ID_UUID_LEN + 1])
{
	size_t n = strlen(install);
	for (const char *p = path; p; p = strchr(p, '/')) {
		p += *p == '/';
		if (strncmp(p, install, n) || p[n] != '.')
			continue;
		size_t len = strcspn(p + n + 1, "/");
		char text[ID_UUID_LEN + 1] = "";
		if (len != ID_UUID_LEN)
			continue;
		memcpy(text, p + n + 1, len);
		if (!id_is_uuid(text))
			continue;
		memcpy(session, text, sizeof(text));
		return true;
	}
	return false;
}

/* Bytes of /proc/PID/environ in ${buf}; -1 when it may not be read. */
static ssize_t read_environ(const char *path, char *buf, size_t size)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t n;
	if (fd < 0)
		return -1;
	while (used + 1 < size && (n = read(fd, buf + used, size - 1 - used)) > 0)
		used += (size_t)n;
	buf[used] = '\0';
	return (ssize_t)used;
}

/* The value of our key in the environment of ${pid}, borrowed from ${buf}; NULL when there is none. Of a process inside execve
 * the kernel shows an empty one: it is asked again, for a leak may hide there. At most ${*patience} ms, which become fewer. */
static const char *environ_marker(pid_t pid, char *buf, size_t size, int64_t *patience)
{
	char path[64];
	ssize_t used;
	int64_t most = *patience < EXECVE_WAIT_MS ? *patience : EXECVE_WAIT_MS, began = 0, waited = 0;
	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	while ((used = read_environ(path, buf, size)) == 0 && waited < most && proc_has_environ(pid)) {
		sched_yield();
		began = began ? began : clock_mono_ms();
		waited = clock_mono_ms() - began;
	}
	*patience -= waited;
	for (const char *p = buf; p < buf + used; p += strlen(p) + 1)
		if (!strncmp(p, MARKER_KEY "=", sizeof(MARKER_KEY)))
			return p + sizeof(MARKER_KEY);
	return NULL;
}

/* A process of another user may carry any text in its environment. */
static bool is_ours(int proc, const char *pid)
{
	struct stat s;
	return fstatat(proc, pid, &s, 0) == 0 && s.st_uid == geteuid();
}

/* Call ${fn} for every process of this user with a marker, this one excepted. */
static int walk(void (*fn)(void *arg, const struct proc_id *id, const char *path), void *arg, struct err *err)
{
	DIR *dir = opendir("/proc");
	if (!dir)
		return err_sys(err, errno, "list processes: /proc");
	cleanup_free char *buf = mem_alloc(ENVIRON_MAX);
	struct proc_id id;
	struct dirent *e;
	int64_t patience = EXECVE_WAIT_ALL_MS;
	while ((e = readdir(dir))) {
		pid_t pid = (pid_t)atoi(e->d_name);
		if (!isdigit((unsigned char)e->d_name[0]) || pid == getpid() ||
		    !is_ours(dirfd(dir), e->d_name) || !environ_marker(pid, buf, ENVIRON_MAX, &patience) ||
		    proc_identify(pid, &id))
			continue;
		/* again: what has none, which are most, is done with; identified before and after reading, for the pid may
		 * have changed hands in between */
		const char *path = environ_marker(pid, buf, ENVIRON_MAX, &patience);
		if (path && proc_alive(&id))
			fn(arg, &id, path);
	}
	closedir(dir);
	return 0;
}

struct wanted {
	const char *install, *session;
	struct marker_proc *found;
	int n;
};

static void take(void *arg, const struct proc_id *id, const char *path)
{
	struct wanted *w = arg;
	struct marker_proc one = {.id = *id};
	if (!marker_parse(path, w->install, one.session) || (w->session && strcmp(w->session, one.session)))
		return;
	w->found = mem_resize(w->found, (size_t)w->n + 1, sizeof(*w->found));
	w->found[w->n++] = one;
}

int marker_find(const char *install, const char *session, struct marker_proc **list, struct err *err)
{
	struct wanted w = {.install = install, .session = session};
	if (walk(take, &w, err))
		return -1;
	*list = w.found;
	return w.n;
}

struct survey {
	struct wanted ours;
	const char *outer;
	cJSON *foreign;
	int most;
	int64_t total;
};

/* Of another installation; what we ourselves run in is no stranger. */
static void note_stranger(struct survey *s, const char *path)
{
	const cJSON *one;
	if (!*path || (s->outer && !strcmp(path, s->outer)))
		return;
	cJSON_ArrayForEach(one, s->foreign)
	{
		if (!strcmp(json_text_or(one, "name", ""), path))
			return;
	}
	if (s->total++ >= s->most)
		return;
	cJSON *added = json_object();
	json_add_text(added, "kind", "processes");
	json_add_text(added, "name", path);
	json_add_text(added, "why", "of a session of another installation");
	cJSON_AddItemToArray(s->foreign, added);
}

static void sort_process(void *arg, const struct proc_id *id, const char *path)
{
	struct survey *s = arg;
	char session[ID_UUID_LEN + 1];
	if (marker_parse(path, s->ours.install, session))
		take(&s->ours, id, path);
	else
		note_stranger(s, path);
}

int marker_survey(const char *install, struct marker_proc **list, int most, cJSON *foreign, int64_t *total,
                  struct err *err)
{
	struct survey s = {
	        .ours.install = install, .outer = getenv(MARKER_KEY), .foreign = foreign, .most = most};
	cJSON *one;
	if (walk(sort_process, &s, err))
		return -1;
	/* foreign text must not steer a terminal */
	cJSON_ArrayForEach(one, foreign)
	        text_blank(cJSON_GetObjectItemCaseSensitive(one, "name")->valuestring, "");
	*list = s.ours.found;
	*total = s.total;
	return s.ours.n;
}

/* Wait until all ${n} processes are gone, at most ${timeout_ms}. */
static void wait_gone(const struct marker_proc *list, int n, int64_t timeout_ms)
{
	int64_t deadline = clock_mono_ms() + timeout_ms;
	for (int i = 0; i < n; i++) {
		cleanup_close int fd = (int)syscall(SYS_pidfd_open, list[i].id.pid, 0);
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left;
		while (fd >= 0 && proc_alive(&list[i].id) && (left = deadline - clock_mono_ms()) > 0)
			if (poll(&p, 1, (int)left) < 0 && errno != EINTR)
				return;
	}
}

int marker_kill(const char *install, const char *session, int64_t grace_ms, struct err *err)
{
	for (int round = 0; round < KILL_ROUNDS; round++) {
		cleanup_free struct marker_proc *list = NULL;
		int n = marker_find(install, session, &list, err);
		if (n <= 0 || !list)
			return n;
		/* first politely; whatever appears after that was started by one that is going */
		int sig = round == 0 && grace_ms > 0 ? SIGTERM : SIGKILL;
		for (int i = 0; i < n; i++)
			proc_signal(&list[i].id, sig);
		wait_gone(list, n, sig == SIGTERM ? grace_ms : KILL_WAIT_MS);
	}
	cleanup_free struct marker_proc *left = NULL;
	int n = marker_find(install, session, &left, err);
	return n > 0 && left ? err_set(err, ERR_BUSY,
	                               "process %d does not end, even when killed: it may hang in the kernel "
	                               "(ps -o "
	                               "stat,wchan -p %d)",
	                               (int)left[0].id.pid, (int)left[0].id.pid)
	                     : n;
}
