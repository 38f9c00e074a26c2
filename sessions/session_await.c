/* Waiting for what others do to a session: changes of its state ring the bell, those of its services its engine tells. */
#include "core/bell.h"
#include "core/clock.h"
#include "core/mem.h"
#include "sessions/operation.h"
#include "sessions/session.h"
#include <string.h>

static const char *const goals[] = {
        [SESSION_GOAL_HEALTHY] = "healthy", [SESSION_GOAL_GONE] = "gone", [SESSION_GOAL_STOPPED] = "stopped"};

int session_goal(const char *name, enum session_goal *goal, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(goals); i++) {
		if (strcmp(goals[i], name) != 0)
			continue;
		*goal = (enum session_goal)i;
		return 0;
	}
	return err_set(err, ERR_USAGE, "a session can be waited for to be healthy, gone or stopped, not '%s'",
	               name);
}

struct watch {
	struct state *st;
	const char *name;
	enum session_goal goal;
	cJSON *session; /* NULL: there is none and never was */
	const char *state;
	struct str what; /* is waited for */
};

/* Whether somebody is about to make it. */
static bool is_coming(const struct watch *w)
{
	struct err ignored = {0};
	cleanup_free char *owner = session_owner(w->st, w->name, &ignored);
	return owner != NULL;
}

/* How many of its services are not up, their names in ${names}. */
static int down(const cJSON *session, struct str *names)
{
	int n = 0;
	const cJSON *service;
	cJSON_ArrayForEach(service, json_at(session, "services"))
	{
		if (session_service_up(json_text(service, "state")))
			continue;
		str_addf(names, "%s%s", n++ ? ", " : "", json_text_or(service, "name", "?"));
	}
	return n;
}

static bool is_one_of(const char *state, const char *const *states)
{
	while (*states && strcmp(*states, state) != 0)
		states++;
	return *states != NULL;
}

/* It is not on its way to the goal, and nobody is about to put it there. */
static int given_up(const struct watch *w, struct err *err)
{
	const char *why = json_text_or(w->session, "error", json_text(w->session, "reason"));
	err_clear(err);
	if (!w->session)
		return store_missing(w->st, w->name, err);
	return err_set(err, ERR_STATE, "session %s is %s%s%s: `codefoundry session start %s` starts it",
	               w->name, w->state, why ? ", " : "", why ? why : "", w->name);
}

/* 1: it is there; 0: not yet; -1: it will not be. */
static int judge(struct watch *w, struct err *err)
{
	static const char *const on_the_way[] = {"creating", "starting", "stopping", NULL}, *const over[] = {
	                                                                                            "",
	                                                                                            "removed",
	                                                                                            "failed",
	                                                                                            NULL};
	bool runs = !strcmp(w->state, "running"), ended = is_one_of(w->state, over);
	if (w->goal == SESSION_GOAL_GONE)
		return ended;
	if (w->goal == SESSION_GOAL_STOPPED && !strcmp(w->state, "stopped"))
		return 1;
	if (w->goal == SESSION_GOAL_HEALTHY && runs) {
		str_cut(&w->what, 0);
		return down(w->session, &w->what) == 0;
	}
	if (runs || is_one_of(w->state, on_the_way) || (ended && is_coming(w)))
		return 0;
	return given_up(w, err);
}

static int look(struct watch *w, struct err *err)
{
	cJSON_Delete(TAKE(w->session));
	w->session = session_show(w->st, w->name, err);
	if (!w->session && err->code != ERR_NOT_FOUND)
		return -1;
	w->state = json_text_or(w->session, "state", "");
	str_cut(&w->what, 0);
	str_add(&w->what, *w->state ? w->state : "its start");
	return judge(w, err);
}

/* Until something may have changed since ${since_ms}. */
static int pause_of(const struct watch *w, struct bell *bell, int64_t since_ms, int64_t left, struct err *err)
{
	cleanup_row struct session_row row = {0};
	struct err ignored = {0};
	bool services = w->goal == SESSION_GOAL_HEALTHY && !strcmp(w->state, "running") &&
	                store_by_name(w->st, w->name, &row, &ignored) == 0;
	const struct engine *engine = services ? engine_by_name(row.engine, err) : NULL;
	int rc = 0;
	if (engine)
		rc = engine->await(w->st, &row, since_ms, bell_fd(bell), left, err);
	else
		bell_wait(bell, left);
	bell_drain(bell);
	return rc;
}

static int wait_until(struct watch *w, struct bell *bell, int64_t timeout_ms, struct err *err)
{
	int64_t deadline = clock_mono_ms() + timeout_ms;
	for (;;) {
		int64_t since_ms = clock_now_ms(), left = deadline - clock_mono_ms();
		int rc = look(w, err);
		if (rc)
			return rc > 0 ? 0 : -1;
		if (left <= 0)
			return err_set(err, ERR_TIMEOUT, "session %s is not %s after %lld s, waiting for %s",
			               w->name, goals[w->goal], (long long)(timeout_ms / 1000),
			               str_text(&w->what));
		if (pause_of(w, bell, since_ms, left, err))
			return -1;
	}
}

int session_await(struct state *st, const char *name, enum session_goal goal, int64_t timeout_ms,
                  cJSON **session, struct err *err)
{
	struct watch w = {.st = st, .name = name, .goal = goal, .what = STR_INIT_MAX(512)};
	struct bell *bell;
	if (bell_open(&bell, st->dir, err))
		return -1;
	int rc = wait_until(&w, bell, timeout_ms, err);
	bell_close(bell);
	if (rc == 0 && !w.session) {
		w.session = json_object();
		json_add_text(w.session, "name", name);
		json_add_text(w.session, "state", "gone");
	}
	if (rc == 0) {
		err_clear(err);
		*session = TAKE(w.session);
	}
	cJSON_Delete(w.session);
	str_free(&w.what);
	return rc;
}
