/* `codefoundry session import`: what a sessions.json of the reference lists, and start it here. */
#include "cli/args.h"
#include "cli/cmd_session.h"
#include "cli/term.h"
#include "core/file.h"
#include "core/mem.h"
#include "sessions/reference.h"
#include <stdio.h>
#include <string.h>

static cJSON *read_file(const char *path, struct err *err)
{
	cleanup_free char *text = NULL;
	size_t len = 0;
	if (file_read(path, REFERENCE_MAX, &text, &len, err))
		return NULL;
	cJSON *file = json_parse(text, len, err);
	if (!file)
		err_wrap(err, "%s", path);
	return file;
}

/* Start what is to be started; one that fails does not keep the others from it. Returns how many failed. */
static int start_all(struct state *st, cJSON *plan, bool json)
{
	int failed = 0;
	cJSON *one;
	cJSON_ArrayForEach(one, plan)
	{
		struct err why = {0};
		const char *name = json_text(one, "name");
		if (strcmp(json_text_or(one, "action", ""), "start") != 0)
			continue;
		cleanup_json cJSON *args = json_object();
		json_add_text(args, "name", name);
		bool started = cli_run_job(st, "session.start", args, name, json, NULL, &why) == 0;
		cJSON_ReplaceItemInObject(one, "action", cJSON_CreateString(started ? "started" : "failed"));
		if (!started)
			json_add_text(one, "reason", why.msg);
		failed += !started;
	}
	return failed;
}

static void print_plan(const cJSON *plan)
{
	static const struct term_column columns[] = {
	        {"NAME", "name"}, {"AGE", "started_at"}, {"ACTION", "action"}, {"REASON", "reason"}};
	int n = 0;
	const cJSON *one;
	if (cJSON_GetArraySize(plan))
		term_table(columns, ARRAY_LEN(columns), plan);
	else
		printf("it lists no sessions\n");
	cJSON_ArrayForEach(one, plan) n += !strcmp(json_text_or(one, "action", ""), "start");
	if (n)
		printf("%d would be started anew, with this program's stack: add --start\n", n);
}

int session_verb_import(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool json = false, start = false, dry = false;
	const struct arg table[] = {
	        {"json", ARG_FLAG, &json}, {"start", ARG_FLAG, &start}, {"dry-run", ARG_FLAG, &dry}, {0}};
	struct args a = {
	        "codefoundry session import FILE [--start] [--dry-run] [--json]   e.g. session import "
	        "/tmp/codefoundry-sessions/sessions.json",
	        table, 1, 1};
	cleanup_state struct state *st = NULL;
	if (args_parse(&a, argc, argv, err))
		return -1;
	if (start && dry)
		return err_set(err, ERR_USAGE, "--dry-run starts nothing: choose it or --start");
	cleanup_json cJSON *file = read_file(a.words[0], err);
	if (!file || state_open(&st, cfg, err))
		return -1;
	cleanup_json cJSON *plan = reference_plan(st, file, err);
	if (!plan)
		return err_wrap(err, "%s", a.words[0]);
	int failed = start ? start_all(st, plan, json) : 0;
	if (json)
		term_json(plan);
	else
		print_plan(plan);
	return failed ? err_set(err, ERR_FAILED, "%d of them could not be started", failed) : 0;
}
