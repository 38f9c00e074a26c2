/* What the files of the supervisor share: supervisor.c the whole set, supervisor_service.c one service,
 * supervisor_control.c the socket, supervisor_log.c the lines. */
#ifndef JOBS_SUPERVISOR_PRIVATE_H
#define JOBS_SUPERVISOR_PRIVATE_H

#include "core/loop.h"
#include "core/proc.h"
#include "jobs/supervisor.h"
#include <stddef.h>

#define SUPERVISOR_SOCKET "control.sock"
#define SUPERVISOR_TAIL 20 /* log lines that come with a failure */

enum service_state {
	SERVICE_STOPPED,
	SERVICE_STARTING,
	SERVICE_READY,
	SERVICE_BACKOFF,
	SERVICE_STOPPING,
	SERVICE_FAILED,
	SERVICE_STATES
};

enum service_event {
	EVENT_START,   /* asked for, or its backoff is over */
	EVENT_READY,   /* it said so */
	EVENT_EXIT,    /* its process is gone */
	EVENT_TIMER,   /* what is due depends on the state */
	EVENT_STOP,    /* asked for */
	EVENT_RESTART, /* asked for */
	SERVICE_EVENTS
};

struct service {
	struct supervisor *sv;
	const struct supervisor_service *spec;
	enum service_state state;
	int64_t since;       /* wall clock, of the state */
	struct proc_id proc; /* pid 0: none */
	int exit;            /* of the last process: code, or 128 + signal; -1: none yet */
	int restarts, crashes;
	bool was_ready; /* since it was last asked for */
	bool again;     /* stopping in order to start */
	int64_t ready_at, backoff_ms;
	int ready_fd, out[2];
	struct loop_watch *ready_watch, *out_watch;
	struct loop_timer *timer;
	struct service_log *log;
};

struct control;

struct supervisor {
	const struct supervisor_options *options;
	struct loop *loop;
	struct service *services;
	size_t n;
	uv_signal_t child;
	struct control *control;
	struct loop_timer *look;
	bool stopping, drained, lost;
};

/* -- supervisor.c -- */
/** A service changed its state: whoever waits for that looks again. */
void supervisor_changed(struct supervisor *sv);
/** Begin the end. */
void supervisor_shutdown(struct supervisor *sv);
/** The same when its folder was removed or moved, if that is looked for. Asked before a service is started again, too. */
void supervisor_look(struct supervisor *sv);
struct service *supervisor_find(struct supervisor *sv, const char *name);

/* -- supervisor_service.c -- */
int service_init(struct service *s, struct supervisor *sv, const struct supervisor_service *spec,
                 size_t index, int width, struct err *err);
void service_free(struct service *s);
/** Returns 0, or -1 when the state refuses the event. */
int service_event(struct service *s, enum service_event event);
bool service_accepts(enum service_state state, enum service_event event);
/** Its process ended with waitpid's ${status}. */
void service_exited(struct service *s, int status);
const char *service_state_name(enum service_state state);

/* -- supervisor_control.c -- */
int control_open(struct control **control, struct supervisor *sv, struct err *err);
void control_changed(struct control *control);
/** Whether the folder is still there under its name, and still ours; also when that cannot be told. */
bool control_reachable(const struct control *control);
/** All is gone: answer who asked for the shutdown, then call ${done}, which is called within a second in any case. */
void control_finish(struct control *control, loop_fn *done, void *arg);
/** Close all handles; the memory is needed until the loop is closed, then comes control_free. */
void control_close(struct control *control);
void control_free(struct control *control);

/* -- supervisor_log.c -- */
/** ${echo_color} is an index into the colours, -1: no colour; ${width} of the prefix, 0: no echo. */
int service_log_open(struct service_log **log, const char *dir, const char *service, int64_t max_bytes,
                     int width, int echo_color, struct err *err);
void service_log_feed(struct service_log *log, const char *data, size_t n);
/** End a line that was begun, such as the last words of a crash. */
void service_log_flush(struct service_log *log);
/** A new process begins: lines count from here. */
void service_log_begin(struct service_log *log);
/** How many of the log's last lines are of the process that began last. */
int service_log_lines(const struct service_log *log);
void service_log_close(struct service_log *log);

#endif
