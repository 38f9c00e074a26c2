/* libuv with our habits: handles are allocated here and freed in their close callback, so a timer or watch may be
 * freed from within its own callback. Signals arrive in the loop like everything else. */
#include "core/loop.h"

#include "core/mem.h"
#include <signal.h>
#include <stdlib.h>

struct loop {
	uv_loop_t uv;
	uv_signal_t term, intr;
	loop_fn *on_signal;
	void *on_signal_arg;
	bool signalled;
	void *attached;
	loop_fn *close_attached;
};

struct loop_timer {
	uv_timer_t uv;
	loop_fn *fn;
	void *arg;
};

struct loop_watch {
	uv_poll_t uv;
	loop_fn *fn;
	void *arg;
};

static void signal_arrived(uv_signal_t *handle, int signum)
{
	struct loop *loop = handle->data;
	bool first = !loop->signalled;

	(void)signum;
	loop->signalled = true;
	if (first && loop->on_signal)
		loop->on_signal(loop->on_signal_arg);
	else
		loop_stop(loop);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void finish(uv_loop_t *uv)
{
	uv_walk(uv, close_handle, NULL);
	while (uv_run(uv, UV_RUN_DEFAULT) != 0)
		;
	uv_loop_close(uv);
}

static int watch_signal(struct loop *loop, uv_signal_t *handle, int signum)
{
	int rc = uv_signal_init(&loop->uv, handle);

	handle->data = loop;
	return rc ? rc : uv_signal_start(handle, signal_arrived, signum);
}

int loop_open(struct loop **loop, struct err *err)
{
	struct loop *l = mem_alloc(sizeof(*l));
	int rc = uv_loop_init(&l->uv);

	if (rc) {
		free(l);
		return err_sys(err, -rc, "event loop");
	}
	signal(SIGPIPE, SIG_IGN);
	rc = watch_signal(l, &l->term, SIGTERM);
	if (!rc)
		rc = watch_signal(l, &l->intr, SIGINT);
	if (rc) {
		finish(&l->uv);
		free(l);
		return err_sys(err, -rc, "event loop: signals");
	}
	*loop = l;
	return 0;
}

void loop_close(struct loop *loop)
{
	if (!loop)
		return;
	if (loop->attached)
		loop->close_attached(loop->attached);
	finish(&loop->uv);
	free(loop);
}

void loop_attach(struct loop *loop, void *data, loop_fn *close)
{
	loop->attached = data;
	loop->close_attached = close;
}

void *loop_attached(const struct loop *loop)
{
	return loop->attached;
}

uv_loop_t *loop_uv(struct loop *loop)
{
	return &loop->uv;
}

void loop_run(struct loop *loop)
{
	uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
	uv_stop(&loop->uv);
}

void loop_on_signal(struct loop *loop, loop_fn *fn, void *arg)
{
	loop->on_signal = fn;
	loop->on_signal_arg = arg;
}

static void free_handle(uv_handle_t *handle)
{
	free(handle->data);
}

static void timer_fired(uv_timer_t *handle)
{
	struct loop_timer *t = handle->data;

	t->fn(t->arg);
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *fn, void *arg)
{
	struct loop_timer *t = mem_alloc(sizeof(*t));

	uv_timer_init(&loop->uv, &t->uv);
	t->uv.data = t;
	t->fn = fn;
	t->arg = arg;
	return t;
}

void loop_timer_set(struct loop_timer *t, int64_t first_ms, int64_t repeat_ms)
{
	/* libuv counts from the start of the iteration, which may be long ago when a callback worked hard. */
	if (first_ms > 0)
		uv_update_time(t->uv.loop);
	uv_timer_start(&t->uv, timer_fired, first_ms > 0 ? (uint64_t)first_ms : 0,
	               repeat_ms > 0 ? (uint64_t)repeat_ms : 0);
}

void loop_timer_clear(struct loop_timer *t)
{
	uv_timer_stop(&t->uv);
}

bool loop_timer_active(const struct loop_timer *t)
{
	return uv_is_active((const uv_handle_t *)&t->uv);
}

void loop_timer_free(struct loop_timer *t)
{
	if (t)
		uv_close((uv_handle_t *)&t->uv, free_handle);
}

static void watch_fired(uv_poll_t *handle, int status, int events)
{
	struct loop_watch *w = handle->data;

	(void)status; /* an error is found by whoever reads the descriptor */
	(void)events;
	w->fn(w->arg);
}

static struct loop_watch *watch(struct loop *loop, int fd, int events, loop_fn *fn, void *arg)
{
	struct loop_watch *w = mem_alloc(sizeof(*w));

	if (uv_poll_init(&loop->uv, &w->uv, fd)) {
		free(w);
		return NULL;
	}
	w->uv.data = w;
	w->fn = fn;
	w->arg = arg;
	uv_poll_start(&w->uv, events, watch_fired);
	return w;
}

struct loop_watch *loop_watch_new(struct loop *loop, int fd, loop_fn *fn, void *arg)
{
	return watch(loop, fd, UV_READABLE, fn, arg);
}

struct loop_watch *loop_watch_hangup(struct loop *loop, int fd, loop_fn *fn, void *arg)
{
	return watch(loop, fd, UV_DISCONNECT, fn, arg);
}

void loop_watch_free(struct loop_watch *w)
{
	if (w)
		uv_close((uv_handle_t *)&w->uv, free_handle);
}
