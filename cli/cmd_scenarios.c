/* `codefoundry test …`: run scenarios in the foreground, and see what ran before. */
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/term.h"
#include "core/file.h"
#include "core/mem.h"
#include "testsuite/builtin.h"
#include "testsuite/history.h"
#include "testsuite/report.h"
#include "testsuite/test_run.h"
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HISTORY_MAX 1000
#define TREND_RUNS 40

/* The job may be run again after a crash by a worker elsewhere: paths must hold there too. */
static int add_files(cJSON *args, const struct arg_list *files, struct err *err)
{
	cJSON *list = json_array();
	json_add(args, "files", list);
	for (size_t i = 0; i < files->n; i++) {
		cleanup_free char *path = realpath(files->items[i], NULL);
		if (!path)
			return err_sys(err, errno, "scenario file %s", files->items[i]);
		cJSON_AddItemToArray(list, cJSON_CreateString(path));
	}
	return 0;
}

/* -1: not given, the setting decides. */
static int add_count(cJSON *args, const char *key, int64_t n, int64_t least, struct err *err)
{
	if (n >= 0 && n < least)
		return err_set(err, ERR_USAGE, "--%.*s must be at least %lld", (int)strcspn(key, "_"), key,
		               (long long)least);
	if (n >= 0)
		json_add_int(args, key, n);
	return 0;
}

static int print_report(const cJSON *result, report_fn *report, const char *path, struct err *err)
{
	cleanup_str struct str text = STR_INIT;
	report(result, &text);
	if (path)
		return file_write(path, str_text(&text), text.len, 0644, err);
	fputs(str_text(&text), stdout);
	return 0;
}

/* Told before the run, not after it. */
static int check_output(const char *path, struct err *err)
{
	if (!path)
		return 0;
	cleanup_free char *copy = mem_strdup(path);
	const char *dir = dirname(copy);
	if (access(dir, W_OK | X_OK))
		return err_sys(err, errno, "--output %s: write into %s", path, dir);
	return 0;
}

static int verb_run(const struct config *cfg, int argc, char **argv, struct err *err)
{
	const char *session = NULL, *format = "text", *output = NULL, *label = NULL;
	struct arg_list scenarios = {0}, files = {0};
	int64_t retry = -1, repeat = -1, parallel = -1, timeout = -1;
	const struct arg table[] = {{"session", ARG_TEXT, &session},
	                            {"scenario", ARG_LIST, &scenarios},
	                            {"file", ARG_LIST, &files},
	                            {"format", ARG_TEXT, &format},
	                            {"output", ARG_TEXT, &output},
	                            {"label", ARG_TEXT, &label},
	                            {"retry", ARG_INT, &retry},
	                            {"repeat", ARG_INT, &repeat},
	                            {"parallel", ARG_INT, &parallel},
	                            {"timeout", ARG_INT, &timeout},
	                            {0}};
	struct args a = {
	        "codefoundry test run [--session NAME] [--scenario SCENARIO]… [--file FILE]… [--format "
	        "text|tap|junit|json|html] [--output FILE]   e.g. test run --session demo --format junit "
	        "--output report.xml",
	        .table = table};
	report_fn *report = NULL;
	cleanup_state struct state *st = NULL;
	cleanup_json cJSON *args = json_object(), *result = NULL;
	if (args_parse(&a, argc, argv, err) || !(report = report_find(format, err)) ||
	    check_output(output, err) || add_files(args, &files, err) || state_open(&st, cfg, err))
		return -1;
	if (session)
		json_add_text(args, "session", session);
	if (label)
		json_add_text(args, "label", label);
	json_add(args, "scenarios", cJSON_CreateStringArray(scenarios.items, (int)scenarios.n));
	if (add_count(args, "retry", retry, 0, err) || add_count(args, "repeat", repeat, 1, err) ||
	    add_count(args, "parallel", parallel, 1, err) || add_count(args, "timeout_s", timeout, 1, err))
		return -1;
	bool quiet = strcmp(format, "text") != 0 && !isatty(STDERR_FILENO);
	if (cli_run_job(st, test_run_kind.name, args, session, quiet, &result, err) ||
	    print_report(result, report, output, err))
		return -1;
	int64_t failed = json_int(result, "failed", 0);
	if (json_text(result, "residue"))
		return err_set(err, ERR_FAILED, "%s", json_text(result, "residue"));
	return failed ? err_set(err, ERR_FAILED, "%lld of %lld scenarios failed", (long long)failed,
	                        (long long)json_int(result, "total", 0))
	              : 0;
}

static cJSON *listing(struct err *err)
{
	cleanup_json cJSON *list = json_array();
	const struct builtin *b;
	for (size_t i = 0; (b = builtin_at(i)); i++) {
		struct scenario *sc;
		if (builtin_load(b->name, &sc, err))
			return NULL;
		cJSON *row = json_object();
		json_add_text(row, "name", sc->name);
		json_add_bool(row, "alone", sc->alone);
		json_add_text(row, "title", sc->title);
		cJSON_AddItemToArray(list, row);
		scenario_free(sc);
	}
	return TAKE(list);
}

static int verb_list(const struct config *cfg, int argc, char **argv, struct err *err)
{
	static const struct term_column columns[] = {
	        {"SCENARIO", "name"}, {"ALONE", "alone"}, {"WHAT IT SHOWS", "title"}};
	bool json = false;
	const struct arg table[] = {{"json", ARG_FLAG, &json}, {0}};
	struct args a = {.usage = "codefoundry test list [--json]", .table = table};
	(void)cfg;
	if (args_parse(&a, argc, argv, err))
		return -1;
	cleanup_json cJSON *rows = listing(err);
	if (!rows)
		return -1;
	if (json)
		term_json(rows);
	else
		term_table(columns, ARRAY_LEN(columns), rows);
	return 0;
}

/* What tables show as text. */
static void join_failures(cJSON *rows)
{
	cJSON *row;
	cJSON_ArrayForEach(row, rows)
	{
		cleanup_str struct str names = STR_INIT;
		const cJSON *name;
		cJSON_ArrayForEach(name, json_at(row, "failures"))
		        str_addf(&names, "%s%s", names.len ? ", " : "", name->valuestring);
		cJSON_DeleteItemFromObjectCaseSensitive(row, "failures");
		json_add_text(row, "failures", str_text(&names));
	}
}

static int verb_history(const struct config *cfg, int argc, char **argv, struct err *err)
{
	static const struct term_column columns[] = {{"RUN", "run_id"},       {"AGE", "started_at"},
	                                             {"SESSION", "session"},  {"TOTAL", "total"},
	                                             {"PASSED", "passed"},    {"FAILED", "failed"},
	                                             {"FLAKY", "flaky"},      {"RATE %", "pass_rate"},
	                                             {"TOOK", "duration_ms"}, {"FAILURES", "failures"}};
	bool json = false;
	int64_t limit = 20;
	const struct arg table[] = {{"json", ARG_FLAG, &json}, {"n", ARG_INT, &limit}, {0}};
	struct args a = {.usage = "codefoundry test history [-n COUNT] [--json]", .table = table};
	cleanup_state struct state *st = NULL;
	if (args_parse(&a, argc, argv, err) || state_open(&st, cfg, err))
		return -1;
	cleanup_json cJSON *rows = history_list(st, (int)(limit > HISTORY_MAX ? HISTORY_MAX : limit), err);
	if (!rows)
		return -1;
	if (json) {
		term_json(rows);
	} else if (!rows->child) {
		printf("no test runs yet; `codefoundry test run` makes one\n");
	} else {
		join_failures(rows);
		term_table(columns, ARRAY_LEN(columns), rows);
		cleanup_str struct str trend = STR_INIT;
		history_trend(rows, TREND_RUNS, &trend);
		printf("\npass rate %s\n", str_text(&trend));
	}
	return 0;
}

int cli_test(const struct config *cfg, int argc, char **argv, struct err *err)
{
	static const struct cli_verb verbs[] = {
	        {"run", "run [--session NAME] [--scenario SCENARIO]…",
	         "run scenarios; --file, --format text|tap|junit|json|html, --output, --retry, --repeat, "
	         "--parallel, "
	         "--timeout",
	         verb_run},
	        {"list", "list [--json]", "the scenarios of the regression suite", verb_list},
	        {"history", "history [-n COUNT] [--json]", "what was run, and the trend", verb_history},
	        {0}};
	return cli_group("test", verbs, cfg, argc, argv, err);
}
