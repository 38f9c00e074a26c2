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
#define ASK_TIMES 4        /* which thread has it, and whether it may be read, may change in between */
#define EXECVE_WAIT_MS 500 /* loading a program from a slow disk takes this long */
/* For all of one look: many may hang there, when the disk is gone. And for all that are ending, which takes a second per GiB. */
#define WAIT_ALL_MS 2000
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

/* One look at all processes. */
struct look {
	char *environ;              /* ENVIRON_MAX bytes */
	int64_t patience;           /* ms that it may still wait */
	struct marker_proc *ending; /* whose they are cannot be told any more */
	int n_ending;
};

static void look_free(struct look *l)
{
	free(l->environ);
	free(l->ending);
}
#define cleanup_look __attribute__((cleanup(look_free)))

/* Bytes of the environment of ${pid} as its ${thread} shows it; -1 when it may not be read. Where the memory is gone it is root's, and reads empty
 * or (Linux 6.18) cannot be opened by anybody. */
static ssize_t read_environ(pid_t pid, pid_t thread, char *buf, size_t size)
{
	char path[64];
	if (thread == pid)
		snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	else
		snprintf(path, sizeof(path), "/proc/%d/task/%d/environ", (int)pid, (int)thread);
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

/* The value of our key in the environment of ${pid}, borrowed from the look; NULL when there is none. Of a process inside execve
 * the kernel shows an empty one: it is asked again, for a leak may hide there; and another thread, when the first has ended.
 * ${*ending} is set when it cannot be told any more. */
static const char *environ_marker(struct look *l, pid_t pid, bool *ending)
{
	ssize_t used;
	int64_t most = l->patience < EXECVE_WAIT_MS ? l->patience : EXECVE_WAIT_MS, began = 0, waited = 0;
	enum proc_environ state = PROC_ENVIRON_SOME;
	pid_t thread = pid;
	for (int asked = 0; (used = read_environ(pid, thread, l->environ, ENVIRON_MAX)) <= 0 &&
	                    (asked < ASK_TIMES || (used == 0 && waited < most)) &&
	                    (state = proc_environ(pid, &thread)) == PROC_ENVIRON_SOME;
	     asked++) {
		sched_yield();
		began = began ? began : clock_mono_ms();
		waited = clock_mono_ms() - began;
	}
	l->patience -= waited;
	*ending = used <= 0 && state == PROC_ENVIRON_LOST;
	for (const char *p = l->environ; p < l->environ + used; p += strlen(p) + 1)
		if (!strncmp(p, MARKER_KEY "=", sizeof(MARKER_KEY)))
			return p + sizeof(MARKER_KEY);
	return NULL;
}

char *marker_of(pid_t pid)
{
	cleanup_look struct look l = {.environ = mem_alloc(ENVIRON_MAX), .patience = EXECVE_WAIT_MS};
	bool ending;
	const char *path = environ_marker(&l, pid, &ending);
	return path && *path ? mem_strdup(path) : NULL;
}

/* A process of another user may carry any text in its environment. */
static bool is_ours(int proc, const char *pid)
{
	struct stat s;
	return fstatat(proc, pid, &s, 0) == 0 && s.st_uid == geteuid();
}

static void add(struct marker_proc **list, int *n, const struct marker_proc *one)
{
	*list = mem_resize(*list, (size_t)*n + 1, sizeof(**list));
	(*list)[(*n)++] = *one;
}

typedef void found_fn(void *arg, const struct proc_id *id, const char *path);

/* Twice: what has no marker, which are most, is done with; identified before and after reading, for the pid may have changed
 * hands in between. */
static void look_at(struct look *l, pid_t pid, found_fn *fn, void *arg)
{
	struct marker_proc one = {0};
	bool ending;
	const char *path = environ_marker(l, pid, &ending);
	if (!path && !ending)
		return;
	if (proc_identify(pid, &one.id))
		return;
	if (path)
		path = environ_marker(l, pid, &ending);
	if (ending)
		add(&l->ending, &l->n_ending, &one);
	else if (path && proc_alive(&one.id))
		fn(arg, &one.id, path);
}

/* Call ${fn} for every process of this user with a marker, this one excepted. */
static int walk(struct look *l, found_fn *fn, void *arg, struct err *err)
{
	DIR *dir = opendir("/proc");
	if (!dir)
		return err_sys(err, errno, "list processes: /proc");
	l->environ = l->environ ? l->environ : mem_alloc(ENVIRON_MAX);
	struct dirent *e;
	while ((e = readdir(dir))) {
		pid_t pid = (pid_t)atoi(e->d_name);
		if (isdigit((unsigned char)e->d_name[0]) && pid != getpid() && is_ours(dirfd(dir), e->d_name))
			look_at(l, pid, fn, arg);
	}
	closedir(dir);
	return 0;
}

struct wanted {
	const char *install, *session;
	struct marker_proc *found;
	int n, known; /* the first ${known} were found before */
};

static bool is_known(const struct wanted *w, const struct proc_id *id)
{
	for (int i = 0; i < w->known; i++)
		if (w->found[i].id.pid == id->pid && w->found[i].id.start == id->start)
			return true;
	return false;
}

static void take(void *arg, const struct proc_id *id, const char *path)
{
	struct wanted *w = arg;
	struct marker_proc one = {.id = *id};
	if (!marker_parse(path, w->install, one.session) || (w->session && strcmp(w->session, one.session)) ||
	    is_known(w, id))
		return;
	add(&w->found, &w->n, &one);
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

/* Add who can be found. To be ${sure} that it is nobody, those that are ending are waited for: one may be of these, and its ports are
 * open until its end. Then once more, for what they started. */
static int find(struct wanted *w, bool sure, struct err *err)
{
	cleanup_look struct look l = {.patience = WAIT_ALL_MS};
	if (walk(&l, take, w, err))
		return -1;
	if (sure && !w->n && l.n_ending) {
		wait_gone(l.ending, l.n_ending, l.patience);
		if (walk(&l, take, w, err))
			return -1;
	}
	return w->n;
}

int marker_find(const char *install, const char *session, struct marker_proc **list, struct err *err)
{
	struct wanted w = {.install = install, .session = session};
	if (find(&w, session != NULL, err) < 0)
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
	cleanup_look struct look l = {.patience = WAIT_ALL_MS};
	cJSON *one;
	if (walk(&l, sort_process, &s, err))
		return -1;
	/* foreign text must not steer a terminal */
	cJSON_ArrayForEach(one, foreign)
	        text_blank(cJSON_GetObjectItemCaseSensitive(one, "name")->valuestring, "");
	*list = s.ours.found;
	*total = s.total;
	return s.ours.n;
}

/* Who is left: of those we know whoever still runs, though it may not be seen any more whose they are, and who can be found. */
static int find_left(struct wanted *w, struct err *err)
{
	w->known = 0;
	for (int i = 0; i < w->n; i++)
		if (proc_alive(&w->found[i].id))
			w->found[w->known++] = w->found[i];
	w->n = w->known;
	return find(w, true, err);
}

int marker_kill(const char *install, const char *session, int64_t grace_ms, struct err *err)
{
	struct wanted w = {.install = install, .session = session};
	int n;
	for (int round = 0; (n = find_left(&w, err)) > 0 && round < KILL_ROUNDS; round++) {
		/* first politely; whatever appears after that was started by one that is going */
		int sig = round == 0 && grace_ms > 0 ? SIGTERM : SIGKILL;
		for (int i = 0; i < n; i++)
			proc_signal(&w.found[i].id, sig);
		wait_gone(w.found, n, sig == SIGTERM ? grace_ms : KILL_WAIT_MS);
	}
	pid_t first = n > 0 ? w.found[0].id.pid : 0;
	free(w.found);
	return n > 0 ? err_set(err, ERR_BUSY,
	                       "process %d does not end, even when killed: it may hang in the kernel (ps -o "
	                       "stat,wchan -p %d)",
	                       (int)first, (int)first)
	             : n;
}
