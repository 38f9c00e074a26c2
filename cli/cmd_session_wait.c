/* `codefoundry session wait`: until a session that others start is healthy, or will not be. */
#include "cli/args.h"
#include "cli/cmd_session.h"
#include "cli/term.h"
#include "core/bell.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/str.h"
#include "sessions/session.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 250 /* changes of a session ring the bell, those of its services do not */
#define WAIT_S 60

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

/* Whether somebody is about to make it. */
static bool is_coming(struct state *st, const char *name)
{
	struct err ignored = {0};
	cleanup_free char *owner = session_owner(st, name, &ignored);
	return owner != NULL;
}

static int given_up(const char *name, const cJSON *session, struct err *err)
{
	const char *why = json_text_or(session, "error", json_text(session, "reason"));
	return err_set(err, ERR_STATE, "session %s is %s%s%s: `codefoundry session start %s` starts it", name,
	               json_text(session, "state"), why ? ", " : "", why ? why : "", name);
}

/* 1: healthy; 0: not yet, ${what} says what is waited for; -1: it will not be. */
static int look(struct state *st, const char *name, cJSON **session, struct str *what, struct err *err)
{
	*session = session_show(st, name, err);
	const char *state = json_text_or(*session, "state", "");
	str_cut(what, 0);
	if (!strcmp(state, "running"))
		return down(*session, what) == 0;
	str_add(what, *session ? state : "its start");
	if (!strcmp(state, "creating") || !strcmp(state, "starting") || !strcmp(state, "stopping"))
		return 0;
	if (!*session && err->code != ERR_NOT_FOUND)
		return -1;
	if (strcmp(state, "stopped") != 0 && is_coming(st, name))
		return 0;
	return *session ? given_up(name, *session, err) : -1;
}

static int wait_healthy(struct state *st, const char *name, int64_t seconds, cJSON **session, struct err *err)
{
	int64_t deadline = clock_mono_ms() + 1000 * seconds;
	cleanup_str struct str what = STR_INIT_MAX(512);
	struct bell *bell;
	if (bell_open(&bell, st->dir, err))
		return -1;
	int rc;
	for (;;) {
		rc = look(st, name, session, &what, err);
		int64_t left = deadline - clock_mono_ms();
		if (rc)
			break;
		if (left <= 0) {
			rc = err_set(err, ERR_TIMEOUT,
			             "session %s is not healthy after %lld s, waiting for %s", name,
			             (long long)seconds, str_text(&what));
			break;
		}
		cJSON_Delete(TAKE(*session));
		bell_wait(bell, left < LOOK_MS ? left : LOOK_MS);
		bell_drain(bell);
	}
	bell_close(bell);
	return rc > 0 ? 0 : -1;
}

int session_verb_wait(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool json = false;
	int64_t seconds = WAIT_S;
	const struct arg table[] = {{"json", ARG_FLAG, &json}, {"timeout", ARG_SPAN, &seconds}, {0}};
	struct args a = {"codefoundry session wait NAME [--timeout 60s] [--json]   e.g. session wait demo",
	                 table, 1, 1};
	cleanup_state struct state *st = NULL;
	cleanup_json cJSON *session = NULL;
	if (args_parse(&a, argc, argv, err) || session_name_check(a.words[0], err) ||
	    state_open(&st, cfg, err) || wait_healthy(st, a.words[0], seconds, &session, err))
		return -1;
	err_clear(err);
	if (json) {
		term_json(session);
		return 0;
	}
	printf("session %s is healthy\n", a.words[0]);
	session_print_endpoints(json_at(session, "endpoints"));
	return 0;
}
