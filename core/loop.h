/* One libuv loop per long-running process. Everything that waits hangs on it: timers, signals, curl, libwebsockets,
 * the HTTP server, the bell. Callbacks run on the loop's thread and must not block for long. */
#ifndef CORE_LOOP_H
#define CORE_LOOP_H

#include "core/err.h"
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct loop;
typedef void loop_fn(void *arg);

/** Make a loop that stops on SIGTERM and SIGINT and ignores SIGPIPE. */
int loop_open(struct loop **loop, struct err *err);
/** Close all handles that are left and free the loop. Everything opened on it must have been closed before. */
void loop_close(struct loop *loop);

uv_loop_t *loop_uv(struct loop *loop);

/** Run until loop_stop. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/** Call ${fn} on the first SIGTERM or SIGINT instead of stopping at once; it calls loop_stop when drained. A second
 * signal stops at once. */
void loop_on_signal(struct loop *loop, loop_fn *fn, void *arg);

/** Attach ${data}, one per loop, which loop_close hands to ${close} first: for core/ws, whose library has handles of its own
 * on the loop that only it can close. */
void loop_attach(struct loop *loop, void *data, loop_fn *close);
void *loop_attached(const struct loop *loop);

/* Timers are allocated once and set many times. Not repeating unless ${repeat_ms} > 0. */
struct loop_timer;
struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *fn, void *arg);
void loop_timer_set(struct loop_timer *t, int64_t first_ms, int64_t repeat_ms);
void loop_timer_clear(struct loop_timer *t);
bool loop_timer_active(const struct loop_timer *t);
void loop_timer_free(struct loop_timer *t); /* NULL is fine; also from within its own callback */

/* Call ${fn} whenever ${fd} is readable. The descriptor stays the caller's, becomes non-blocking and must outlive
 * the watch. Returns NULL for a descriptor that cannot be polled (a regular file, a closed one) or has a watch. */
struct loop_watch;
struct loop_watch *loop_watch_new(struct loop *loop, int fd, loop_fn *fn, void *arg);
/** The same for the other end of a socket closing or being lost, whatever data is still unread; fires until freed. */
struct loop_watch *loop_watch_hangup(struct loop *loop, int fd, loop_fn *fn, void *arg);
void loop_watch_free(struct loop_watch *w); /* NULL is fine; also from within its own callback */

#endif
