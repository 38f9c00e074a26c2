/* The whole set: start, reap, end. As child subreaper it inherits every orphan of its services, which is how it can
 * prove that nothing of it is left. */
#include "jobs/supervisor.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"
#include "jobs/supervisor_private.h"
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DRAIN_MS 10000
#define DRAIN_ROUND_MS 50

struct service *supervisor_find(struct supervisor *sv, const char *name)
{
	for (size_t i = 0; name && i < sv->n; i++)
		if (!strcmp(sv->services[i].spec->name, name))
			return &sv->services[i];
	return NULL;
}

/* -- the end -- */

static pid_t parent_of(const char *pid)
{
	char path[300], buf[512];
	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	if (file_peek(path, buf, sizeof(buf)) <= 0)
		return 0;
	char *p = strrchr(buf, ')');
	return p && strlen(p) > 4 ? (pid_t)strtol(p + 4, NULL, 10) : 0;
}

/* Kill our direct children only: until we reap them nobody else can have their pids. Their children become ours. */
static void kill_children(void)
{
	pid_t self = getpid();
	DIR *dir = opendir("/proc");
	struct dirent *e;
	while (dir && (e = readdir(dir)))
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && parent_of(e->d_name) == self)
			kill((pid_t)strtol(e->d_name, NULL, 10), SIGKILL);
	if (dir)
		closedir(dir);
}

/* Kill and reap until nothing descends from us. Returns whether that was reached. */
static bool drain(void)
{
	sigset_t child, old;
	const struct timespec round = {.tv_nsec = DRAIN_ROUND_MS * 1000000L};
	int64_t until = clock_mono_ms() + DRAIN_MS;
	bool empty = false;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, &old);
	for (;;) {
		kill_children();
		pid_t pid;
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		empty = pid < 0 && errno == ECHILD;
		if (empty || clock_mono_ms() > until)
			break;
		sigtimedwait(&child, NULL, &round);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	return empty;
}

static void finished(void *arg)
{
	struct supervisor *sv = arg;
	loop_stop(sv->loop);
}

/* One after the other, last first: a service may need those before it until its end. */
static void stop_next(struct supervisor *sv)
{
	for (size_t i = sv->n; i-- > 0;) {
		struct service *s = &sv->services[i];
		if (s->state == SERVICE_STOPPED || s->state == SERVICE_FAILED)
			continue;
		if (s->state != SERVICE_STOPPING)
			service_event(s, EVENT_STOP); /* comes back here when that ends it at once */
		return;
	}
	if (sv->drained)
		return;
	sv->drained = true;
	if (!drain())
		log_error("some processes cannot be killed (look for state D in ps)");
	control_finish(sv->control, finished, sv);
}

void supervisor_shutdown(struct supervisor *sv)
{
	if (sv->stopping)
		return;
	sv->stopping = true;
	supervisor_changed(sv);
}

void supervisor_look(struct supervisor *sv)
{
	if (!sv->options->lost_ms || sv->stopping || control_reachable(sv->control))
		return;
	sv->lost = true;
	supervisor_shutdown(sv);
}

static void look(void *arg)
{
	supervisor_look(arg);
}

static void on_signal(void *arg)
{
	supervisor_shutdown(arg);
}

void supervisor_changed(struct supervisor *sv)
{
	control_changed(sv->control);
	if (sv->stopping)
		stop_next(sv);
}

/* -- children -- */

static void reap_one(struct supervisor *sv, pid_t pid)
{
	int status = 0;
	struct service *s = NULL;
	for (size_t i = 0; i < sv->n; i++)
		if (sv->services[i].proc.pid == pid)
			s = &sv->services[i];
	/* while it is a zombie its group cannot be another's: what it left in there goes with it */
	if (s)
		kill(-pid, SIGKILL);
	supervisor_look(sv); /* it may have ended because of that, and would make anew what was moved */
	if (waitpid(pid, &status, 0) == pid && s)
		service_exited(s, status);
}

static void on_child(uv_signal_t *handle, int signum)
{
	struct supervisor *sv = handle->data;
	(void)signum;
	for (;;) {
		siginfo_t info = {0};
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) || !info.si_pid)
			return;
		reap_one(sv, info.si_pid);
	}
}

static int begin(struct supervisor *sv, const struct supervisor_service *specs, struct err *err)
{
	int width = 0;
	for (size_t i = 0; i < sv->n; i++)
		if (sv->options->echo && (int)strlen(specs[i].name) > width)
			width = (int)strlen(specs[i].name);
	if (!sv->options->keep_orphans && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
		return err_sys(err, errno, "child subreaper");
	if (control_open(&sv->control, sv, err))
		return -1;
	for (size_t i = 0; i < sv->n; i++)
		if (service_init(&sv->services[i], sv, &specs[i], i, width, err))
			return err_wrap(err, "service %s", specs[i].name);
	sv->child.data = sv;
	if (uv_signal_init(loop_uv(sv->loop), &sv->child) || uv_signal_start(&sv->child, on_child, SIGCHLD))
		return err_set(err, ERR_FAILED, "cannot watch for the end of children");
	loop_on_signal(sv->loop, on_signal, sv);
	sv->look = loop_timer_new(sv->loop, look, sv);
	if (sv->options->lost_ms)
		loop_timer_set(sv->look, sv->options->lost_ms, sv->options->lost_ms);
	return 0;
}

int supervisor_run(const struct supervisor_service *services, size_t n,
                   const struct supervisor_options *options, struct err *err)
{
	struct supervisor sv = {.options = options, .n = n};
	if (dir_make(options->dir, 0700, err) || loop_open(&sv.loop, err))
		return -1;
	sv.services = mem_alloc((n ? n : 1) * sizeof(*sv.services));
	int rc = begin(&sv, services, err);
	if (!rc) {
		proc_ready();
		for (size_t i = 0; i < n; i++)
			service_event(&sv.services[i], EVENT_START);
		loop_run(sv.loop);
		if (!sv.drained)
			drain(); /* a second signal: no time for manners */
	}
	if (sv.lost)
		rc = err_set(err, ERR_STATE, "%s was removed or moved: all in it is ended", options->dir);
	for (size_t i = 0; i < n; i++)
		service_free(&sv.services[i]);
	loop_timer_free(sv.look);
	control_close(sv.control);
	loop_close(sv.loop);
	control_free(sv.control);
	free(sv.services);
	return rc;
}
