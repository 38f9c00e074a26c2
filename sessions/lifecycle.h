/* The life of a session as one table: state × event → state and what changes in the database with it. Odd rule: every
 * end passes through `stopping`, also that of a start that failed, so that there is one way to take things down.
 *
 *            create          launch          healthy
 *  (absent) ───────▶ creating ──────▶ starting ──────▶ running
 *      ▲                │  fail, stop   │ ▲  fail, stop,  │  stop, expire,
 *      │                │               │ │  keep, crash  │  crash, keep
 *      │                ▼               ▼ │ resume        ▼
 *      │ gone ┌───────────────────────────┼──────────────────┐  kept
 *      ├──────┤  stopping                 │                  ├──────▶ stopped ──┐
 *      │      └───────────────────────────┼──────────────────┘                  │ stop, expire: stopping
 *      │ gone                     buried ▼└──────────── resume ─────────────────┘
 *      └────────────────────────── failed
 */
#ifndef SESSIONS_LIFECYCLE_H
#define SESSIONS_LIFECYCLE_H

#include <stdbool.h>

enum session_state {
	SESSION_ABSENT, /* no row: never made, or removed */
	SESSION_CREATING,
	SESSION_STARTING,
	SESSION_RUNNING,
	SESSION_STOPPING,
	SESSION_STOPPED,
	SESSION_FAILED,
	SESSION_STATE_COUNT
};

enum session_event {
	EVENT_CREATE,
	EVENT_LAUNCH,  /* everything is prepared, services are about to start */
	EVENT_HEALTHY, /* all services are ready */
	EVENT_FAIL,    /* the start went wrong: take it down, then bury it */
	EVENT_STOP,    /* take it down and remove it */
	EVENT_KEEP,    /* stop its services, keep files and leases */
	EVENT_EXPIRE,
	EVENT_CRASH,
	EVENT_RESUME,
	EVENT_GONE,   /* the receipt shows that nothing is left */
	EVENT_KEPT,   /* no process is left, the rest is kept */
	EVENT_BURIED, /* nothing is left of a failed start but its reason */
	SESSION_EVENT_COUNT
};

/* What the database does in the same transaction as the change of state. */
enum session_action {
	ACTION_NONE = 0,
	ACTION_INSERT = 1,  /* row and leases come into being */
	ACTION_STARTED = 2, /* stamp started_at, forget reason and error */
	ACTION_STOPPED = 4, /* stamp stopped_at */
	ACTION_FREE = 8,    /* leases and steps go */
	ACTION_DELETE = 16, /* the row goes */
};

struct lifecycle_step {
	bool allowed;
	enum session_state to;
	unsigned actions;
};

/** The cell for ${state} × ${event}; `allowed` is false where the event is refused. Never NULL. */
const struct lifecycle_step *lifecycle_step(enum session_state state, enum session_event event);

/** "running"; "removed" for SESSION_ABSENT. */
const char *lifecycle_state_name(enum session_state state);
/** "stop" */
const char *lifecycle_event_name(enum session_event event);
/** The state of a name; SESSION_ABSENT for any other text. */
enum session_state lifecycle_state_of(const char *name);

#endif
