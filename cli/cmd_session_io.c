/* `codefoundry session logs`: what a service says, in this terminal. */
#include "cli/args.h"
#include "cli/cmd_session.h"
#include "cli/term.h"
#include "core/mem.h"
#include "sessions/session.h"
#include <stdio.h>

#define LOG_LINES_MAX 10000

int session_verb_logs(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool json = false;
	int64_t lines = 50;
	const struct arg table[] = {{"json", ARG_FLAG, &json}, {"n", ARG_INT, &lines}, {0}};
	struct args a = {
	        "codefoundry session logs NAME [SERVICE] [-n LINES]   e.g. session logs demo gateway", table,
	        1, 2};
	cleanup_state struct state *st = NULL;
	if (args_parse(&a, argc, argv, err) || state_open(&st, cfg, err))
		return -1;
	int n = (int)(lines > LOG_LINES_MAX ? LOG_LINES_MAX : lines);
	cleanup_json cJSON *logs = session_logs(st, a.words[0], a.words[1], n, err);
	if (!logs)
		return -1;
	const cJSON *line;
	if (json)
		term_json(logs);
	else
		cJSON_ArrayForEach(line, logs) puts(cJSON_GetStringValue(line));
	return 0;
}
