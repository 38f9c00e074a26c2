/* `codefoundry job …`: what runs, what ran, and its end. */
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/term.h"
#include "core/mem.h"
#include "core/text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOB_LIST_MAX 1000
#define JOB_EVENTS_MAX 20001 /* as many as there can be, and the line that says so */

static int parse_id(const char *text, int64_t *id, struct err *err)
{
	if (text_int(text, id) || *id <= 0)
		return err_set(err, ERR_USAGE, "'%s' is not a job number; `codefoundry job list` shows them",
		               text);
	return 0;
}

/* Of a failed job the reason counts, not how far it came. */
static void put_reasons(cJSON *rows)
{
	cJSON *row;
	cJSON_ArrayForEach(row, rows)
	{
		if (!json_text(row, "error"))
			continue;
		cJSON *error = cJSON_Duplicate(json_at(row, "error"), 1);
		cJSON_DeleteItemFromObject(row, "message");
		json_add(row, "message", error);
	}
}

static int verb_list(const struct config *cfg, int argc, char **argv, struct err *err)
{
	static const struct term_column columns[] = {
	        {"JOB", "id"},    {"KIND", "kind"},      {"SESSION", "session"}, {"STATE", "state"},
	        {"%", "percent"}, {"AGE", "created_at"}, {"OWNER", "owner"},     {"MESSAGE", "message"}};
	bool json = false;
	int64_t limit = 20;
	const struct arg table[] = {{"json", ARG_FLAG, &json}, {"n", ARG_INT, &limit}, {0}};
	struct args a = {"codefoundry job list [-n COUNT] [--json]", table};
	cleanup_state struct state *st = NULL;
	if (args_parse(&a, argc, argv, err) || state_open(&st, cfg, err))
		return -1;
	cleanup_json cJSON *rows =
	        jobs_list(st, NULL, -1, (int)(limit > JOB_LIST_MAX ? JOB_LIST_MAX : limit), err);
	if (!rows)
		return -1;
	if (!json)
		put_reasons(rows);
	if (json)
		term_json(rows);
	else if (cJSON_GetArraySize(rows))
		term_table(columns, ARRAY_LEN(columns), rows);
	else
		printf("no jobs yet\n");
	return 0;
}

static void print_event(void *arg, const struct job_event *event)
{
	(void)arg;
	const char *stage = event->stage ? event->stage : "";
	if (event->percent >= 0)
		printf("  %3d%% %-10s %s\n", event->percent, stage, event->text);
	else
		printf("       %-10s %s\n", stage, event->text);
	fflush(stdout); /* who follows through a pipe waits for it */
}

static int find_job(struct state *st, int64_t id, cJSON **job, struct err *err)
{
	struct job_row row = {0};
	if (jobs_get(st, id, &row, err))
		return -1;
	*job = job_row_json(&row);
	json_add(*job, "args", TAKE(row.args));
	json_add_text(*job, "error_code", row.error_code ? err_name(row.error_code) : NULL);
	job_row_free(&row);
	return 0;
}

static void quiet(void *arg, const struct job_event *event)
{
	(void)arg;
	(void)event;
}

/* What a job ended with is what following it ends with. */
static int as_it_ended(const cJSON *job, struct err *err)
{
	if (!strcmp(json_text_or(job, "state", ""), job_state_name(JOB_DONE)))
		return 0;
	return err_set(err, err_code_of(json_text_or(job, "error_code", "")), "job %lld %s: %s",
	               (long long)json_int(job, "id", 0), json_text_or(job, "state", "?"),
	               json_text_or(job, "error", "?"));
}

static int verb_show(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool json = false, follow = false;
	int64_t id;
	const struct arg table[] = {{"json", ARG_FLAG, &json}, {"f", ARG_FLAG, &follow}, {0}};
	struct args a = {"codefoundry job show NUMBER [-f] [--json]   e.g. job show 7 -f", table, 1, 1};
	cleanup_state struct state *st = NULL;
	cleanup_json cJSON *job = NULL;
	if (args_parse(&a, argc, argv, err) || parse_id(a.words[0], &id, err) || state_open(&st, cfg, err) ||
	    (follow && json && jobs_follow(st, id, quiet, NULL, err)) || find_job(st, id, &job, err))
		return -1;
	if (json) {
		term_json(job);
		return follow ? as_it_ended(job, err) : 0;
	}
	printf("job %lld: %s, %s, owner %s\n", (long long)id, json_text(job, "kind"), json_text(job, "state"),
	       json_text(job, "owner"));
	if (follow ? jobs_follow(st, id, print_event, NULL, err)
	           : jobs_events(st, id, 0, JOB_EVENTS_MAX, print_event, NULL, err))
		return -1;
	if (!follow && json_text(job, "error"))
		printf("error: %s\n", json_text(job, "error"));
	if (!follow)
		return 0;
	cleanup_json cJSON *ended = NULL;
	return find_job(st, id, &ended, err) || as_it_ended(ended, err) ? -1 : 0;
}

static int verb_retry(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool json = false;
	int64_t id;
	const struct arg table[] = {{"json", ARG_FLAG, &json}, {0}};
	struct args a = {"codefoundry job retry NUMBER [--json]   e.g. job retry 7", table, 1, 1};
	cleanup_state struct state *st = NULL;
	cleanup_json cJSON *result = NULL;
	struct term_progress progress;
	if (args_parse(&a, argc, argv, err) || parse_id(a.words[0], &id, err) || state_open(&st, cfg, err))
		return -1;
	term_progress_start(&progress, json);
	int rc = jobs_retry(st, cli_kinds, id, term_progress_event, &progress, &result, err);
	term_progress_end(&progress);
	if (rc)
		return -1;
	if (json)
		term_json(result);
	else
		printf("done; `codefoundry job list` shows it\n");
	return 0;
}

static int verb_cancel(const struct config *cfg, int argc, char **argv, struct err *err)
{
	int64_t id;
	static const struct arg table[] = {{0}};
	struct args a = {"codefoundry job cancel NUMBER   e.g. job cancel 7", table, 1, 1};
	cleanup_state struct state *st = NULL;
	if (args_parse(&a, argc, argv, err) || parse_id(a.words[0], &id, err) || state_open(&st, cfg, err) ||
	    jobs_cancel(st, id, cli_owner(), err))
		return -1;
	printf("job %lld is asked to end; `codefoundry job show %lld` tells when it has\n", (long long)id,
	       (long long)id);
	return 0;
}

static int verb_exec(const struct config *cfg, int argc, char **argv, struct err *err)
{
	int64_t id;
	cleanup_state struct state *st = NULL;
	if (argc != 2)
		return err_set(err, ERR_USAGE, "codefoundry job exec NUMBER (started by the worker)");
	if (parse_id(argv[1], &id, err) || state_open(&st, cfg, err))
		return -1;
	return jobs_exec(st, cli_kinds, id, err);
}

int cli_job(const struct config *cfg, int argc, char **argv, struct err *err)
{
	static const struct cli_verb verbs[] = {
	        {"list", "list [-n COUNT] [--json]", "newest jobs first", verb_list},
	        {"show", "show NUMBER [-f] [--json]",
	         "one job with its events and result (-f: until it is over)", verb_show},
	        {"retry", "retry NUMBER [--json]", "run again what failed or was cancelled", verb_retry},
	        {"cancel", "cancel NUMBER", "ask for its end; what it began is undone", verb_cancel},
	        {"exec", NULL, NULL, verb_exec},
	        {0}};
	return cli_group("job", verbs, cfg, argc, argv, err);
}
