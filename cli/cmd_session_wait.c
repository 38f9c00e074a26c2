/* `codefoundry session wait`: until a session that others start, stop or remove has got there, or will not. */
#include "cli/args.h"
#include "cli/cmd_session.h"
#include "cli/term.h"
#include "core/mem.h"
#include "sessions/session.h"
#include <stdio.h>

#define WAIT_S 60

int session_verb_wait(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool json = false;
	int64_t seconds = WAIT_S;
	const char *wanted = "healthy";
	enum session_goal goal;
	const struct arg table[] = {
	        {"json", ARG_FLAG, &json}, {"for", ARG_TEXT, &wanted}, {"timeout", ARG_SPAN, &seconds}, {0}};
	struct args a = {
	        "codefoundry session wait NAME [--for healthy|gone|stopped] [--timeout 60s] [--json]   "
	        "e.g. session wait demo",
	        table, 1, 1};
	cleanup_state struct state *st = NULL;
	cleanup_json cJSON *session = NULL;
	if (args_parse(&a, argc, argv, err) || session_goal(wanted, &goal, err) ||
	    session_name_check(a.words[0], err) || state_open(&st, cfg, err) ||
	    session_await(st, a.words[0], goal, 1000 * seconds, &session, err))
		return -1;
	if (json) {
		term_json(session);
		return 0;
	}
	printf("session %s is %s\n", a.words[0], wanted);
	if (goal == SESSION_GOAL_HEALTHY)
		session_print_endpoints(json_at(session, "endpoints"));
	return 0;
}
