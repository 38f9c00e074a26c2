#include "sessions/lifecycle.h"
#include <assert.h>
#include <string.h>

#define TO(state, actions)                                                                                   \
	{                                                                                                    \
		true, SESSION_##state, (actions)                                                             \
	}

/* An empty cell refuses the event. */
static const struct lifecycle_step steps[SESSION_STATE_COUNT][SESSION_EVENT_COUNT] = {
        [SESSION_ABSENT] =
                {
                        [EVENT_CREATE] = TO(CREATING, ACTION_INSERT),
                },
        [SESSION_CREATING] =
                {
                        [EVENT_LAUNCH] = TO(STARTING, ACTION_NONE),
                        [EVENT_FAIL] = TO(STOPPING, ACTION_NONE),
                        [EVENT_STOP] = TO(STOPPING, ACTION_NONE),
                },
        [SESSION_STARTING] =
                {
                        [EVENT_HEALTHY] = TO(RUNNING, ACTION_STARTED),
                        [EVENT_FAIL] = TO(STOPPING, ACTION_NONE),
                        [EVENT_STOP] = TO(STOPPING, ACTION_NONE),
                        [EVENT_KEEP] = TO(STOPPING, ACTION_NONE),
                        [EVENT_CRASH] = TO(STOPPING, ACTION_NONE),
                },
        [SESSION_RUNNING] =
                {
                        [EVENT_STOP] = TO(STOPPING, ACTION_NONE),
                        [EVENT_KEEP] = TO(STOPPING, ACTION_NONE),
                        [EVENT_EXPIRE] = TO(STOPPING, ACTION_NONE),
                        [EVENT_CRASH] = TO(STOPPING, ACTION_NONE),
                },
        [SESSION_STOPPING] =
                {
                        /* Asked again, for example after a crash in the middle: removal wins over keeping. */
                        [EVENT_STOP] = TO(STOPPING, ACTION_NONE),
                        [EVENT_GONE] = TO(ABSENT, ACTION_FREE | ACTION_DELETE),
                        [EVENT_KEPT] = TO(STOPPED, ACTION_STOPPED),
                        [EVENT_BURIED] = TO(FAILED, ACTION_STOPPED | ACTION_FREE),
                },
        [SESSION_STOPPED] =
                {
                        [EVENT_RESUME] = TO(STARTING, ACTION_NONE),
                        [EVENT_STOP] = TO(STOPPING, ACTION_NONE),
                        [EVENT_EXPIRE] = TO(STOPPING, ACTION_NONE),
                },
        [SESSION_FAILED] =
                {
                        [EVENT_GONE] = TO(ABSENT, ACTION_FREE | ACTION_DELETE),
                },
};

static const char *const state_names[SESSION_STATE_COUNT] = {
        [SESSION_ABSENT] = "removed",  [SESSION_CREATING] = "creating", [SESSION_STARTING] = "starting",
        [SESSION_RUNNING] = "running", [SESSION_STOPPING] = "stopping", [SESSION_STOPPED] = "stopped",
        [SESSION_FAILED] = "failed",
};

static const char *const event_names[SESSION_EVENT_COUNT] = {
        [EVENT_CREATE] = "create", [EVENT_LAUNCH] = "launch", [EVENT_HEALTHY] = "healthy",
        [EVENT_FAIL] = "fail",     [EVENT_STOP] = "stop",     [EVENT_KEEP] = "keep",
        [EVENT_EXPIRE] = "expire", [EVENT_CRASH] = "crash",   [EVENT_RESUME] = "resume",
        [EVENT_GONE] = "gone",     [EVENT_KEPT] = "kept",     [EVENT_BURIED] = "buried",
};

const struct lifecycle_step *lifecycle_step(enum session_state state, enum session_event event)
{
	assert(state < SESSION_STATE_COUNT && event < SESSION_EVENT_COUNT);
	return &steps[state][event];
}

const char *lifecycle_state_name(enum session_state state)
{
	assert(state < SESSION_STATE_COUNT);
	return state_names[state];
}

const char *lifecycle_event_name(enum session_event event)
{
	assert(event < SESSION_EVENT_COUNT);
	return event_names[event];
}

enum session_state lifecycle_state_of(const char *name)
{
	for (int i = 0; name && i < SESSION_STATE_COUNT; i++)
		if (!strcmp(name, state_names[i]))
			return (enum session_state)i;
	return SESSION_ABSENT;
}
