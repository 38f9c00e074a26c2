/* `codefoundry session attach`, `exec`, `logs`: this terminal, or what stands in its place, and a service. */
#include "cli/args.h"
#include "cli/cmd_session.h"
#include "cli/term.h"
#include "core/clock.h"
#include "core/mem.h"
#include "sessions/logs.h"
#include "sessions/session.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOG_LINES_MAX 10000

static int check_terminal(const char *name, struct err *err)
{
	if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		return 0;
	return err_set(err, ERR_USAGE,
	               "this needs a terminal; without one: codefoundry session exec %s -- COMMAND", name);
}

/* Returns the exit code of what ran, or -1. */
static int run(const struct config *cfg, const char *const *words, const char *const *command, bool tty,
               struct err *err)
{
	int status = 0;
	cleanup_state struct state *st = NULL;
	if (session_name_check(words[0], err) || (tty && check_terminal(words[0], err)) ||
	    state_open(&st, cfg, err) || session_exec(st, words[0], words[1], command, tty, &status, err))
		return -1;
	return status;
}

int session_verb_attach(const struct config *cfg, int argc, char **argv, struct err *err)
{
	static const struct arg table[] = {{0}};
	static const char *const shell[] = {NULL};
	struct args a = {"codefoundry session attach NAME [SERVICE]   e.g. session attach demo", table, 1, 2};
	if (args_parse(&a, argc, argv, err))
		return -1;
	return run(cfg, a.words, shell, true, err);
}

int session_verb_exec(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool tty = false;
	const struct arg table[] = {{"t", ARG_FLAG, &tty}, {0}};
	struct args a = {"codefoundry session exec NAME [SERVICE] [-t] -- COMMAND [ARG]…   e.g. session exec "
	                 "demo gateway -- ls -l /",
	                 table, 1, 2};
	const char *const *command = args_take_command(&argc, argv);
	if (args_parse(&a, argc, argv, err))
		return -1;
	if (!command || !command[0])
		return err_set(err, ERR_USAGE, "say after -- what to run\nusage: %s", a.usage);
	return run(cfg, a.words, command, tty, err);
}

/* -- logs -- */

static bool any_time(const cJSON *lines)
{
	const cJSON *line;
	cJSON_ArrayForEach(line, lines)
	{
		if (strstr(line->valuestring, "\"ts\":\""))
			return true;
	}
	return !lines->child;
}

static int print_logs(struct state *st, const char *const *words, int n, int64_t since_s, bool json,
                      struct err *err)
{
	cleanup_json cJSON *logs = session_logs(st, words[0], words[1], n, err);
	const cJSON *line;
	if (!logs)
		return -1;
	if (since_s && !any_time(logs))
		return err_set(err, ERR_INVALID,
		               "these lines carry no time; add -f, and the engine tells their age");
	if (since_s)
		logs_since(logs, clock_now_ms() - 1000 * since_s);
	if (json)
		term_json(logs);
	else
		cJSON_ArrayForEach(line, logs) puts(line->valuestring);
	return 0;
}

int session_verb_logs(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool json = false, follow = false;
	int64_t lines = 50, since_s = 0;
	const struct arg table[] = {{"json", ARG_FLAG, &json},
	                            {"n", ARG_INT, &lines},
	                            {"f", ARG_FLAG, &follow},
	                            {"since", ARG_SPAN, &since_s},
	                            {0}};
	struct args a = {
	        "codefoundry session logs NAME [SERVICE] [-n LINES] [-f] [--since 10m] [--json]   e.g. "
	        "session logs demo gateway -f",
	        table, 1, 2};
	cleanup_state struct state *st = NULL;
	if (args_parse(&a, argc, argv, err))
		return -1;
	if (follow && json)
		return err_set(err, ERR_USAGE, "--json gives one whole answer, -f has no end: choose one");
	if (state_open(&st, cfg, err))
		return -1;
	int n = (int)(lines > LOG_LINES_MAX ? LOG_LINES_MAX : lines);
	if (follow)
		return session_follow(st, a.words[0], a.words[1], n, since_s, err);
	return print_logs(st, a.words, n, since_s, json, err);
}
