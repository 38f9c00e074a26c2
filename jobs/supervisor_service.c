/* One service as a states × events table:
 *
 *            start         ready           stop            exit
 *  stopped ────────▶ starting ────▶ ready ───────▶ stopping ────▶ stopped
 *     ▲                 │  ▲          │                 │ restart asked
 *     │ stop       exit ▼  │ timer    │ exit            ▼
 *     └───────────── backoff ◀────────┘             starting
 *                       │ exit 2, 3 or five times before it was ever ready
 *                       ▼
 *                     failed ──start──▶ starting
 */
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/str.h"
#include "jobs/supervisor_private.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 30000
#define STABLE_MS 10000 /* ready for so long: the next crash starts with the first backoff again */
#define NO_READY_MS 2000
#define STOP_MS 5000
#define CRASHES_MAX 5
#define EXIT_USAGE 2
#define EXIT_CONFIG 3
#define DRAIN_MAX_BYTES (1 << 20)

static const char *const names[] = {
        [SERVICE_STOPPED] = "stopped", [SERVICE_STARTING] = "starting", [SERVICE_READY] = "ready",
        [SERVICE_BACKOFF] = "backoff", [SERVICE_STOPPING] = "stopping", [SERVICE_FAILED] = "failed",
};

const char *service_state_name(enum service_state state)
{
	return names[state];
}

/* -- its output and its word that it is ready -- */

static void read_output(void *arg)
{
	struct service *s = arg;
	char buf[16384];
	ssize_t n;
	/* bounded: what it left running may write for ever */
	for (size_t total = 0; total < DRAIN_MAX_BYTES && (n = read(s->out[0], buf, sizeof(buf))) > 0;
	     total += (size_t)n)
		service_log_feed(s->log, buf, (size_t)n);
}

static void forget_ready(struct service *s)
{
	loop_watch_free(TAKE(s->ready_watch));
	if (s->ready_fd >= 0)
		close(TAKE_FD(s->ready_fd));
}

static void read_ready(void *arg)
{
	struct service *s = arg;
	char buf[64];
	ssize_t n = read(s->ready_fd, buf, sizeof(buf));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	bool ready = n > 0 && memchr(buf, '\n', (size_t)n);
	if (n <= 0 || ready)
		forget_ready(s);
	if (ready)
		service_event(s, EVENT_READY);
}

static void timer_fired(void *arg)
{
	struct service *s = arg;
	if (s->state == SERVICE_BACKOFF)
		supervisor_look(s->sv);
	service_event(s, EVENT_TIMER);
}

/* -- its process -- */

/* The common variables, then its own, which win (proc_spec: the last of a key). Borrowed strings in an owned array. */
static const char **merge_env(const char *const *common, const char *const *own)
{
	const char *const *lists[] = {common, own};
	size_t n = 0, used = 0;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		for (const char *const *e = lists[i]; e && *e; e++)
			n++;
	const char **env = mem_alloc((n + 1) * sizeof(*env));
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		for (const char *const *e = lists[i]; e && *e; e++)
			env[used++] = *e;
	return env;
}

static int spawn(struct service *s, struct err *err)
{
	const struct supervisor_options *options = s->sv->options;
	int ready[2] = {-1, -1};
	if (!s->spec->no_ready && pipe2(ready, O_CLOEXEC))
		return err_sys(err, errno, "pipe");
	const char **env = merge_env(options->env, s->spec->env);
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = s->spec->argv;
	spec.env = env;
	spec.clear_env = options->clear_env;
	spec.out = spec.errfd = s->out[1];
	spec.ready_fd = ready[1];
	spec.die_with_parent = true;
	pid_t pid = 0;
	service_log_begin(s->log);
	int rc = proc_spawn(&spec, &pid, err);
	free(env);
	if (ready[1] >= 0)
		close(ready[1]);
	if (rc && ready[0] >= 0)
		close(ready[0]);
	if (rc)
		return -1;
	s->ready_fd = ready[0];
	s->ready_watch = ready[0] >= 0 ? loop_watch_new(s->sv->loop, ready[0], read_ready, s) : NULL;
	s->proc = (struct proc_id){.pid = pid};
	proc_identify(pid, &s->proc);
	return 0;
}

/* -- actions: each returns the state that follows -- */

static enum service_state act_crashed(struct service *s)
{
	bool starting = s->state != SERVICE_READY;
	forget_ready(s);
	if (s->sv->stopping)
		return SERVICE_STOPPED;
	if ((starting && (s->exit == EXIT_USAGE || s->exit == EXIT_CONFIG)) ||
	    (!s->was_ready && ++s->crashes >= CRASHES_MAX)) {
		log_error("%s failed: exit %d before it was ready; its log says why (%s/log/%s.log)",
		          s->spec->name, s->exit, s->sv->options->dir, s->spec->name);
		return SERVICE_FAILED;
	}
	if (!starting && clock_mono_ms() - s->ready_at >= STABLE_MS)
		s->backoff_ms = BACKOFF_FIRST_MS;
	log_warn("%s ended (exit %d); starts again in %lld ms", s->spec->name, s->exit,
	         (long long)s->backoff_ms);
	loop_timer_set(s->timer, s->backoff_ms, 0);
	s->backoff_ms = s->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : s->backoff_ms * 2;
	s->restarts++;
	return SERVICE_BACKOFF;
}

static enum service_state launch(struct service *s)
{
	struct err err = {0};
	s->again = false;
	loop_timer_clear(s->timer);
	if (spawn(s, &err)) {
		cleanup_free char *line = mem_printf("%s\n", err.msg);
		service_log_feed(s->log, line, strlen(line));
		s->exit = err.code == ERR_NOT_FOUND ? 127 : 126;
		s->state = SERVICE_STARTING;
		return act_crashed(s);
	}
	if (s->spec->no_ready)
		loop_timer_set(s->timer, NO_READY_MS, 0);
	return SERVICE_STARTING;
}

/* Somebody asked: what went wrong before is forgotten. */
static enum service_state act_start(struct service *s)
{
	s->crashes = 0;
	s->was_ready = false;
	s->backoff_ms = BACKOFF_FIRST_MS;
	return launch(s);
}

static enum service_state act_relaunch(struct service *s)
{
	return s->sv->stopping ? SERVICE_STOPPED : launch(s);
}

static enum service_state act_ready(struct service *s)
{
	loop_timer_clear(s->timer);
	s->was_ready = true;
	s->crashes = 0;
	s->ready_at = clock_mono_ms();
	return SERVICE_READY;
}

static enum service_state act_waited(struct service *s)
{
	return s->spec->no_ready ? act_ready(s) : s->state;
}

static enum service_state act_stop(struct service *s)
{
	int64_t stop_ms = s->sv->options->stop_ms;
	s->again = false;
	forget_ready(s);
	proc_signal(&s->proc, SIGTERM);
	loop_timer_set(s->timer, stop_ms > 0 ? stop_ms : STOP_MS, 0);
	return SERVICE_STOPPING;
}

static enum service_state act_restart(struct service *s)
{
	enum service_state next = act_stop(s);
	s->again = true;
	s->restarts++;
	return next;
}

static enum service_state act_again(struct service *s)
{
	s->again = true;
	return s->state;
}

static enum service_state act_not_again(struct service *s)
{
	s->again = false;
	return s->state;
}

static enum service_state act_kill(struct service *s)
{
	log_warn("%s did not end when told to: killed", s->spec->name);
	kill(-s->proc.pid, SIGKILL); /* not reaped yet, so the group is still its own */
	return s->state;
}

static enum service_state act_stopped(struct service *s)
{
	loop_timer_clear(s->timer);
	return s->again && !s->sv->stopping ? act_start(s) : SERVICE_STOPPED;
}

static enum service_state act_rest(struct service *s)
{
	loop_timer_clear(s->timer);
	return SERVICE_STOPPED;
}

static enum service_state act_nothing(struct service *s)
{
	return s->state;
}

/* An empty cell refuses the event. */
static enum service_state (*const actions[SERVICE_STATES][SERVICE_EVENTS])(struct service *) = {
        [SERVICE_STOPPED] =
                {[EVENT_START] = act_start, [EVENT_STOP] = act_nothing, [EVENT_RESTART] = act_start},
        [SERVICE_STARTING] = {[EVENT_START] = act_nothing,
                              [EVENT_READY] = act_ready,
                              [EVENT_EXIT] = act_crashed,
                              [EVENT_TIMER] = act_waited,
                              [EVENT_STOP] = act_stop,
                              [EVENT_RESTART] = act_restart},
        [SERVICE_READY] = {[EVENT_START] = act_nothing,
                           [EVENT_EXIT] = act_crashed,
                           [EVENT_STOP] = act_stop,
                           [EVENT_RESTART] = act_restart},
        [SERVICE_BACKOFF] = {[EVENT_START] = act_start,
                             [EVENT_TIMER] = act_relaunch,
                             [EVENT_STOP] = act_rest,
                             [EVENT_RESTART] = act_start},
        [SERVICE_STOPPING] = {[EVENT_START] = act_again,
                              [EVENT_EXIT] = act_stopped,
                              [EVENT_TIMER] = act_kill,
                              [EVENT_STOP] = act_not_again,
                              [EVENT_RESTART] = act_again},
        [SERVICE_FAILED] = {[EVENT_START] = act_start, [EVENT_STOP] = act_rest, [EVENT_RESTART] = act_start},
};

bool service_accepts(enum service_state state, enum service_event event)
{
	return actions[state][event] != NULL;
}

int service_event(struct service *s, enum service_event event)
{
	if (!service_accepts(s->state, event))
		return -1;
	enum service_state next = actions[s->state][event](s);
	if (next != s->state) {
		log_debug("%s: %s → %s", s->spec->name, names[s->state], names[next]);
		s->since = clock_now_ms();
	}
	s->state = next;
	supervisor_changed(s->sv);
	return 0;
}

void service_exited(struct service *s, int status)
{
	s->exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	s->proc = (struct proc_id){0};
	read_output(s);
	service_log_flush(s->log);
	service_event(s, EVENT_EXIT);
}

int service_init(struct service *s, struct supervisor *sv, const struct supervisor_service *spec,
                 size_t index, int width, struct err *err)
{
	bool color = isatty(STDERR_FILENO) && !getenv("NO_COLOR");
	*s = (struct service){.sv = sv,
	                      .spec = spec,
	                      .exit = -1,
	                      .ready_fd = -1,
	                      .out = {-1, -1},
	                      .backoff_ms = BACKOFF_FIRST_MS,
	                      .since = clock_now_ms()};
	if (service_log_open(&s->log, sv->options->dir, spec->name, sv->options->log_max_bytes, width,
	                     color ? (int)index : -1, err))
		return -1;
	/* one pipe for all its processes: what one of them leaves running is still heard */
	if (pipe2(s->out, O_CLOEXEC))
		return err_sys(err, errno, "pipe");
	s->out_watch = loop_watch_new(sv->loop, s->out[0], read_output, s);
	s->timer = loop_timer_new(sv->loop, timer_fired, s);
	return 0;
}

void service_free(struct service *s)
{
	if (!s->sv)
		return;
	forget_ready(s);
	loop_watch_free(TAKE(s->out_watch));
	loop_timer_free(TAKE(s->timer));
	if (s->out[0] >= 0)
		read_output(s);
	if (s->log)
		service_log_flush(s->log);
	service_log_close(TAKE(s->log));
	for (int i = 0; i < 2; i++)
		if (s->out[i] >= 0)
			close(TAKE_FD(s->out[i]));
}
