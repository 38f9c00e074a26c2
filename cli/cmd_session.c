/* `codefoundry session …`: the same operations as in the chat, in the foreground. */
#include "cli/cmd_session.h"
#include "cli/args.h"
#include "cli/term.h"
#include "compose/lint.h"
#include "core/clock.h"
#include "core/mem.h"
#include "sessions/session.h"
#include "sessions/supervise.h"
#include <stdio.h>
#include <string.h>

#define FOREIGN_SHOWN 10

static void print_started(const cJSON *result)
{
	char took[48], left[48];
	printf("session %s is running (ready after %s, expires in %s)\n", json_text(result, "name"),
	       clock_duration(json_int(result, "ready_ms", 0), took, sizeof(took)),
	       clock_left(json_int(result, "expires_at", 0) - clock_now_ms(), left, sizeof(left)));
	session_print_endpoints(json_at(result, "endpoints"));
}

static void print_extended(const cJSON *result)
{
	char left[48];
	printf("session %s now expires in %s\n", json_text(result, "name"),
	       clock_left(json_int(result, "expires_at", 0) - clock_now_ms(), left, sizeof(left)));
}

static void print_held(const cJSON *held)
{
	char iso[32];
	if (held)
		printf("%s: no session is removed for its age before %s\n", json_text_or(held, "why", "?"),
		       clock_iso(json_int(held, "until", 0), iso, sizeof(iso)));
}

/* What was done or would be, a line each; of what is not ours only a few. */
static void print_actions(const cJSON *actions, long long foreign)
{
	static const struct term_column columns[] = {
	        {"ACTION", "action"}, {"WHAT", "what"}, {"NAME", "name"}, {"WHY", "why"}};
	cleanup_json cJSON *rows = json_array();
	const cJSON *one;
	long long strangers = 0;
	cJSON_ArrayForEach(one, actions)
	{
		if (!strcmp(json_text_or(one, "action", ""), "leave") && strangers++ >= FOREIGN_SHOWN)
			continue;
		cJSON *row = cJSON_Duplicate(one, true);
		const char *also = json_text(one, "error") ?: json_text(one, "also");
		cleanup_free char *why =
		        also ? mem_printf("%s: %s", json_text_or(one, "why", ""), also) : NULL;
		if (why)
			cJSON_ReplaceItemInObject(row, "why", cJSON_CreateString(why));
		cJSON_AddItemToArray(rows, row);
	}
	if (cJSON_GetArraySize(rows))
		term_table(columns, ARRAY_LEN(columns), rows);
	if (foreign > FOREIGN_SHOWN)
		printf("and %lld more that are not ours\n", foreign - FOREIGN_SHOWN);
}

static void print_reaped(const cJSON *result)
{
	long long orphans = json_int(result, "orphans", 0), adopted = json_int(result, "adopted", 0);
	bool dry = json_bool(result, "dry_run", false);
	print_actions(json_at(result, "actions"), json_int(result, "foreign", 0));
	printf("%d %s, %lld kept, %lld orphan%s", cJSON_GetArraySize(json_at(result, "removed")),
	       dry ? "would be removed" : "removed", (long long)json_int(result, "kept", 0), orphans,
	       orphans == 1 ? "" : "s");
	if (adopted)
		printf(", %lld %s", adopted, dry ? "would be adopted" : "adopted");
	printf("\n");
	print_held(json_at(result, "held"));
}

/* Run ${kind} with ${owned} (transferred) and print its result with ${print}, or as JSON. */
static int operate(const struct config *cfg, const char *kind, cJSON *owned, bool json,
                   void (*print)(const cJSON *result), struct err *err)
{
	cleanup_json cJSON *args = owned, *result = NULL;
	cleanup_state struct state *st = NULL;
	if (state_open(&st, cfg, err) ||
	    cli_run_job(st, kind, args, json_text(args, "name"), json, &result, err))
		return -1;
	if (json)
		term_json(result);
	else
		print(result);
	return 0;
}

static int add_files(cJSON *args, const struct arg_list *compose, const char *env_file, struct err *err)
{
	cleanup_json cJSON *files = json_array();
	for (size_t i = 0; i < compose->n; i++) {
		cleanup_free char *path = cli_absolute(compose->items[i], err);
		if (!path)
			return err_wrap(err, "--compose");
		cJSON_AddItemToArray(files, cJSON_CreateString(path));
	}
	if (env_file) {
		cleanup_free char *path = cli_absolute(env_file, err);
		if (!path)
			return err_wrap(err, "--env-file");
		if (!compose->n)
			return err_set(err, ERR_USAGE, "--env-file goes with --compose FILE");
		json_add_text(args, "env_file", path);
	}
	if (compose->n)
		json_add(args, "compose", TAKE(files));
	return 0;
}

/* What may reach out of the session: checked here, so that a wrong word is a wrong command line. */
static int add_allowed(cJSON *args, const struct arg_list *allow, struct err *err)
{
	cleanup_json cJSON *ids = json_array();
	for (size_t i = 0; i < allow->n; i++)
		if (lint_allow(ids, allow->items[i], err))
			return err_wrap(err, "--allow");
	if (ids->child)
		json_add(args, "allow", TAKE(ids));
	return 0;
}

static void add_texts(cJSON *args, const char *key, const struct arg_list *list)
{
	if (list->n)
		json_add(args, key, cJSON_CreateStringArray(list->items, (int)list->n));
}

static int verb_start(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool json = false, dev = false;
	const char *env_file = NULL;
	struct arg_list services = {0}, compose = {0}, profiles = {0}, allow = {0};
	const struct arg table[] = {{"json", ARG_FLAG, &json},        {"service", ARG_LIST, &services},
	                            {"compose", ARG_LIST, &compose},  {"env-file", ARG_TEXT, &env_file},
	                            {"profile", ARG_LIST, &profiles}, {"allow", ARG_LIST, &allow},
	                            {"dev", ARG_FLAG, &dev},          {0}};
	struct args a = {
	        "codefoundry session start [NAME | --dev] [--service S]… [--compose FILE]… [--env-file "
	        "FILE] [--profile P]…"
	        " [--allow=ID,ID] [--json]   e.g. session start demo",
	        table, .most = 1};
	if (args_parse(&a, argc, argv, err))
		return -1;
	cleanup_json cJSON *args = json_object();
	if (add_files(args, &compose, env_file, err) || add_allowed(args, &allow, err))
		return -1;
	if (a.n && dev)
		return err_set(err, ERR_USAGE,
		               "--dev is a name by itself, that of your own session: leave %s out",
		               a.words[0]);
	cleanup_free char *own = dev ? session_dev_name(strchr(cli_owner(), ':') + 1) : NULL;
	if (own || a.n)
		json_add_text(args, "name", own ? own : a.words[0]);
	add_texts(args, "services", &services);
	add_texts(args, "profiles", &profiles);
	return operate(cfg, "session.start", TAKE(args), json, print_started, err);
}

static int verb_stop(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool json = false, keep = false;
	const struct arg table[] = {{"json", ARG_FLAG, &json}, {"keep", ARG_FLAG, &keep}, {0}};
	struct args a = {"codefoundry session stop NAME [--keep] [--json]   e.g. session stop demo", table, 1,
	                 1};
	if (args_parse(&a, argc, argv, err))
		return -1;
	cJSON *args = json_object();
	json_add_text(args, "name", a.words[0]);
	json_add_bool(args, "keep", keep);
	return operate(cfg, "session.stop", args, json, session_print_receipt, err);
}

static int verb_restart(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool json = false;
	const struct arg table[] = {{"json", ARG_FLAG, &json}, {0}};
	struct args a = {
	        "codefoundry session restart NAME [SERVICE] [--json]   e.g. session restart demo gateway",
	        table, 1, 2};
	if (args_parse(&a, argc, argv, err))
		return -1;
	cJSON *args = json_object();
	json_add_text(args, "name", a.words[0]);
	if (a.n > 1)
		json_add_text(args, "service", a.words[1]);
	return operate(cfg, "session.restart", args, json, print_started, err);
}

static int verb_extend(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool json = false;
	int64_t minutes = 60;
	const struct arg table[] = {{"json", ARG_FLAG, &json}, {"minutes", ARG_INT, &minutes}, {0}};
	struct args a = {
	        "codefoundry session extend NAME [--minutes N]   e.g. session extend demo --minutes 90",
	        table, 1, 1};
	if (args_parse(&a, argc, argv, err))
		return -1;
	cJSON *args = json_object();
	json_add_text(args, "name", a.words[0]);
	json_add_int(args, "minutes", minutes);
	return operate(cfg, "session.extend", args, json, print_extended, err);
}

static void print_pinned(const cJSON *result)
{
	char left[48];
	if (json_bool(result, "pinned", false))
		printf("session %s is pinned: it does not expire\n", json_text(result, "name"));
	else
		printf("session %s expires in %s again\n", json_text(result, "name"),
		       clock_left(json_int(result, "expires_at", 0) - clock_now_ms(), left, sizeof(left)));
}

static int pin(const struct config *cfg, int argc, char **argv, const char *kind, const char *usage,
               struct err *err)
{
	bool json = false;
	const struct arg table[] = {{"json", ARG_FLAG, &json}, {0}};
	struct args a = {usage, table, 1, 1};
	if (args_parse(&a, argc, argv, err))
		return -1;
	cJSON *args = json_object();
	json_add_text(args, "name", a.words[0]);
	return operate(cfg, kind, args, json, print_pinned, err);
}

static int verb_pin(const struct config *cfg, int argc, char **argv, struct err *err)
{
	return pin(cfg, argc, argv, "session.pin",
	           "codefoundry session pin NAME [--json]   e.g. session pin demo", err);
}

static int verb_unpin(const struct config *cfg, int argc, char **argv, struct err *err)
{
	return pin(cfg, argc, argv, "session.unpin",
	           "codefoundry session unpin NAME [--json]   e.g. session unpin demo", err);
}

/* What a worker does all the time, for who has none: after the reap, so that what is left to undo of a killed job is little. */
static int settle_jobs(const struct config *cfg, struct err *err)
{
	cleanup_state struct state *st = NULL;
	if (state_open(&st, cfg, err))
		return -1;
	return worker_alive(st) || jobs_recover(st, cli_kinds, err) >= 0 ? 0 : -1;
}

static int verb_reap(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool json = false, dry = false;
	const struct arg table[] = {{"json", ARG_FLAG, &json}, {"dry-run", ARG_FLAG, &dry}, {0}};
	struct args a = {"codefoundry session reap [--dry-run] [--json]", table};
	if (args_parse(&a, argc, argv, err))
		return -1;
	cJSON *args = json_object();
	json_add_bool(args, "dry_run", dry);
	if (operate(cfg, "session.reap", args, json, print_reaped, err))
		return -1;
	return dry ? 0 : settle_jobs(cfg, err);
}

static int verb_supervise(const struct config *cfg, int argc, char **argv, struct err *err)
{
	cleanup_state struct state *st = NULL;
	if (argc != 2)
		return err_set(err, ERR_USAGE,
		               "codefoundry session supervise NAME (started by session start)");
	if (state_open(&st, cfg, err))
		return -1;
	return session_supervise(st, argv[1], err);
}

int cli_session(const struct config *cfg, int argc, char **argv, struct err *err)
{
	static const struct cli_verb verbs[] = {
	        {"start", "start [NAME | --dev] [--service S]…", "make and start, or resume a stopped one",
	         verb_start},
	        {"stop", "stop NAME [--keep] [--json]", "stop and remove (--keep: only stop)", verb_stop},
	        {"restart", "restart NAME [SERVICE] [--json]", "restart it, or one service", verb_restart},
	        {"extend", "extend NAME [--minutes N] [--json]", "let it live longer", verb_extend},
	        {"pin", "pin NAME [--json]", "let it live until it is unpinned or stopped", verb_pin},
	        {"unpin", "unpin NAME [--json]", "let it expire again", verb_unpin},
	        {"list", "list [--all] [--json]", "the sessions (--all: failed and warm ones too)", session_verb_list},
	        {"show", "show NAME [--json]", "services and addresses, or the receipt", session_verb_show},
	        {"attach", "attach NAME [SERVICE]", "a shell in it (Ctrl-D ends it)", session_verb_attach},
	        {"exec", "exec NAME [SERVICE] -- COMMAND [ARG]…",
	         "run a command in it; its exit code is ours", session_verb_exec},
	        {"cp", "cp NAME:[SERVICE:]PATH FILE", "copy files out of it, or FILE into it (-: tar)",
	         session_verb_cp},
	        {"logs", "logs NAME [SERVICE]… [-n N] [-f] [--json]",
	         "last log lines (-f: and what comes; --since 10m)", session_verb_logs},
	        {"stats", "stats [NAME] [--json]", "CPU, memory and processes of each service",
	         session_verb_stats},
	        {"top", "top [NAME]", "the same, again every two seconds", session_verb_top},
	        {"wait", "wait NAME [--for healthy] [--timeout 60s]", "until it is healthy, gone or stopped",
	         session_verb_wait},
	        {"import", "import FILE [--start] [--json]", "what a sessions.json of the reference lists",
	         session_verb_import},
	        {"reap", "reap [--dry-run] [--json]", "remove what expired, finish what was cut off",
	         verb_reap},
	        {"supervise", NULL, NULL, verb_supervise},
	        {0}};
	return cli_group("session", verbs, cfg, argc, argv, err);
}
