/* `codefoundry session attach`, `exec`, `logs`: this terminal, or what stands in its place, and a service. */
#include "cli/args.h"
#include "cli/cmd_session.h"
#include "core/mem.h"
#include "sessions/session.h"
#include <stdio.h>
#include <unistd.h>

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

struct printing {
	bool json, named; /* named: which service wrote it */
};

static int print_entry(void *arg, const cJSON *entry)
{
	const struct printing *p = arg;
	cleanup_free char *line = p->json ? json_print(entry) : mem_strdup(json_text_or(entry, "msg", ""));
	if (p->named && !p->json)
		printf("%s | ", json_text_or(entry, "service", "?"));
	printf("%s\n", line);
	return fflush(stdout) ? -1 : 0;
}

static int print_window(struct state *st, const char *const *words, const struct logs_window *w,
                        struct printing *printing, struct err *err)
{
	cleanup_json cJSON *entries = session_log_entries(st, words[0], words + 1, w, err);
	const cJSON *entry;
	cJSON_ArrayForEach(entry, entries)
	{
		if (print_entry(printing, entry))
			return 1;
	}
	return entries ? 0 : -1;
}

int session_verb_logs(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool follow = false;
	int64_t lines = 50;
	struct printing printing = {0};
	struct logs_window w = {0};
	const struct arg table[] = {{"json", ARG_FLAG, &printing.json}, {"n", ARG_INT, &lines},
	                            {"f", ARG_FLAG, &follow},           {"since", ARG_TIME, &w.since_ms},
	                            {"until", ARG_TIME, &w.until_ms},   {0}};
	struct args a = {
	        "codefoundry session logs NAME [SERVICE]… [-n LINES] [-f] [--since 10m] [--until TIME] "
	        "[--json]   e.g. session logs demo gateway -f",
	        table, 1, ARGS_POSITIONAL_MAX};
	cleanup_state struct state *st = NULL;
	if (args_parse(&a, argc, argv, err))
		return -1;
	if (follow && w.until_ms)
		return err_set(err, ERR_USAGE, "-f has no end and --until is one: choose one");
	if (state_open(&st, cfg, err))
		return -1;
	printing.named = a.n != 2;
	w.n = (int)(lines > LOGS_MAX ? LOGS_MAX : lines);
	if (follow)
		return session_follow(st, a.words[0], a.words + 1, &w, print_entry, &printing, err);
	return print_window(st, a.words, &w, &printing, err);
}
