#include "bot/commands.h"
#include "core/mem.h"
#include "sessions/session.h"
#include <stdlib.h>
#include <string.h>

/* Without a session the run makes one of its own and removes it: nothing of anybody's is touched. */
static int enqueue(struct call *c, const char *scenario, const char *session, struct err *err)
{
	cJSON *args = json_object(), *scenarios = json_array();
	if (*session)
		json_add_text(args, "session", session);
	cJSON_AddItemToArray(scenarios, cJSON_CreateString(scenario));
	json_add(args, "scenarios", scenarios);
	cleanup_free char *what = *session ? mem_printf("%s, %s", scenario, session) : mem_strdup(scenario);
	cleanup_free char *title = texts_make(c->lang, T_TEST_RUNNING, TEXT_ARGS({"what", what}));
	return call_job(c, "test.run", args, *session ? session : NULL, title, err);
}

static bool is_session(struct call *c, const char *name)
{
	struct err none = {0};
	cleanup_free char *owner =
	        session_name_check(name, &none) ? NULL : session_owner(c->bot->st, name, &none);
	return owner != NULL;
}

static int run(struct call *c, const char *args, struct err *err)
{
	char scenario[64], session[256];
	call_word(&args, scenario, sizeof(scenario));
	call_word(&args, session, sizeof(session));
	if (*args)
		return call_usage(c, err);
	/* "/test demo" with a session of that name means all scenarios in it. */
	if (*scenario && !*session && is_session(c, scenario)) {
		memcpy(session, scenario, sizeof(scenario));
		memcpy(scenario, "all", sizeof("all"));
	}
	if (!*scenario)
		memcpy(scenario, "all", sizeof("all"));
	int rc = *session ? call_check_session(c, session, err) : 0;
	if (rc)
		return rc < 0 ? -1 : 0;
	return enqueue(c, scenario, session, err);
}

const struct command cmd_test = {
        .name = "test",
        .role = ROLE_OPERATOR,
        .about = {"Run the regression suite, or one scenario, in a session",
                  "Прогнать регрессионные тесты или один сценарий в сессии"},
        .usage = "/test [scenario|all] [session]",
        .example = "/test all demo",
        .run = run,
};
