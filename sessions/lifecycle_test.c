/* Every cell of the table: the allowed ones are listed here by hand, all others must refuse. */
#include "core/mem.h"
#include "sessions/lifecycle.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct {
	enum session_state from;
	enum session_event event;
	enum session_state to;
	unsigned actions;
} allowed[] = {
        {SESSION_ABSENT, EVENT_CREATE, SESSION_CREATING, ACTION_INSERT},
        {SESSION_CREATING, EVENT_LAUNCH, SESSION_STARTING, 0},
        {SESSION_CREATING, EVENT_FAIL, SESSION_STOPPING, 0},
        {SESSION_CREATING, EVENT_STOP, SESSION_STOPPING, 0},
        {SESSION_STARTING, EVENT_HEALTHY, SESSION_RUNNING, ACTION_STARTED},
        {SESSION_STARTING, EVENT_FAIL, SESSION_STOPPING, 0},
        {SESSION_STARTING, EVENT_STOP, SESSION_STOPPING, 0},
        {SESSION_STARTING, EVENT_KEEP, SESSION_STOPPING, 0},
        {SESSION_STARTING, EVENT_CRASH, SESSION_STOPPING, 0},
        {SESSION_RUNNING, EVENT_STOP, SESSION_STOPPING, 0},
        {SESSION_RUNNING, EVENT_KEEP, SESSION_STOPPING, 0},
        {SESSION_RUNNING, EVENT_EXPIRE, SESSION_STOPPING, 0},
        {SESSION_RUNNING, EVENT_CRASH, SESSION_STOPPING, 0},
        {SESSION_STOPPING, EVENT_STOP, SESSION_STOPPING, 0},
        {SESSION_STOPPING, EVENT_GONE, SESSION_ABSENT, ACTION_FREE | ACTION_DELETE},
        {SESSION_STOPPING, EVENT_KEPT, SESSION_STOPPED, ACTION_STOPPED},
        {SESSION_STOPPING, EVENT_BURIED, SESSION_FAILED, ACTION_STOPPED | ACTION_FREE},
        {SESSION_STOPPED, EVENT_RESUME, SESSION_STARTING, 0},
        {SESSION_STOPPED, EVENT_STOP, SESSION_STOPPING, 0},
        {SESSION_STOPPED, EVENT_EXPIRE, SESSION_STOPPING, 0},
        {SESSION_FAILED, EVENT_GONE, SESSION_ABSENT, ACTION_FREE | ACTION_DELETE},
};

static void every_cell(void **data)
{
	(void)data;
	size_t met = 0;
	for (int s = 0; s < SESSION_STATE_COUNT; s++) {
		for (int e = 0; e < SESSION_EVENT_COUNT; e++) {
			const struct lifecycle_step *step =
			        lifecycle_step((enum session_state)s, (enum session_event)e);
			size_t i = 0;
			while (i < ARRAY_LEN(allowed) && (allowed[i].from != (enum session_state)s ||
			                                  allowed[i].event != (enum session_event)e))
				i++;
			assert_int_equal(step->allowed, i < ARRAY_LEN(allowed));
			if (!step->allowed)
				continue;
			assert_int_equal(step->to, allowed[i].to);
			assert_int_equal(step->actions, allowed[i].actions);
			met++;
		}
	}
	assert_int_equal(met, ARRAY_LEN(allowed));
}

/* From every state there is a way to the end, so that nothing can stay for ever. */
static void every_state_ends(void **data)
{
	(void)data;
	bool ends[SESSION_STATE_COUNT] = {[SESSION_ABSENT] = true};
	for (int round = 0; round < SESSION_STATE_COUNT; round++)
		for (int s = 0; s < SESSION_STATE_COUNT; s++)
			for (int e = 0; e < SESSION_EVENT_COUNT; e++) {
				const struct lifecycle_step *step =
				        lifecycle_step((enum session_state)s, (enum session_event)e);
				ends[s] |= step->allowed && e != EVENT_HEALTHY && ends[step->to];
			}
	for (int s = 0; s < SESSION_STATE_COUNT; s++)
		assert_true(ends[s]);
}

static void names(void **data)
{
	(void)data;
	for (int s = 0; s < SESSION_STATE_COUNT; s++)
		assert_int_equal(lifecycle_state_of(lifecycle_state_name((enum session_state)s)), s);
	for (int e = 0; e < SESSION_EVENT_COUNT; e++)
		assert_non_null(lifecycle_event_name((enum session_event)e));
	assert_int_equal(lifecycle_state_of("nonsense"), SESSION_ABSENT);
	assert_int_equal(lifecycle_state_of(NULL), SESSION_ABSENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_cell),
	        cmocka_unit_test(every_state_ends),
	        cmocka_unit_test(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
