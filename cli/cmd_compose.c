/* `codefoundry compose …`: what a compose file would be as a session, without starting anything. Needs the compose tool, but
 * neither an engine that runs nor a database. */
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/term.h"
#include "compose/lint.h"
#include "compose/project.h"
#include "core/mem.h"
#include "core/text.h"
#include "jobs/state.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHAT_BYTES 32

/* What both verbs are told. */
struct request {
	struct arg_list profiles, allow;
	const char *env_file;
	bool json;
	struct args args; /* words: the files */
	char *files[ARGS_POSITIONAL_MAX + 1], *env_path;
	cJSON *chosen, *allowed;
};

static void request_free(struct request *r)
{
	for (size_t i = 0; r->files[i]; i++)
		free(r->files[i]);
	free(r->env_path);
	cJSON_Delete(r->chosen);
	cJSON_Delete(r->allowed);
}

static int add_files(struct request *r, struct err *err)
{
	for (int i = 0; i < r->args.n; i++)
		if (!(r->files[i] = cli_absolute(r->args.words[i], err)))
			return -1;
	if (r->env_file && !(r->env_path = cli_absolute(r->env_file, err)))
		return err_wrap(err, "--env-file");
	return 0;
}

static cJSON *policy(const struct request *r, const struct config *cfg, struct err *err)
{
	cleanup_json cJSON *asked = cJSON_CreateStringArray(r->allow.items, (int)r->allow.n);
	return lint_policy(cfg, asked, err);
}

/* The project that argv asks for; the caller deletes it. NULL with ${err}. */
static cJSON *load(struct request *r, const char *usage, const struct config *cfg, int argc, char **argv,
                   struct err *err)
{
	struct provider tool;
	const struct arg table[] = {{"profile", ARG_LIST, &r->profiles},
	                            {"allow", ARG_LIST, &r->allow},
	                            {"env-file", ARG_TEXT, &r->env_file},
	                            {"json", ARG_FLAG, &r->json},
	                            {0}};
	r->args = (struct args){usage, table, .least = 1, .most = ARGS_POSITIONAL_MAX};
	if (args_parse(&r->args, argc, argv, err) || !(r->allowed = policy(r, cfg, err)) || add_files(r, err))
		return NULL;
	cleanup_free char *dir = state_dir(cfg), *cache = mem_printf("%s/cache", dir);
	provider_open(cfg, dir);
	if (provider_find(config_text(cfg, "COMPOSE_PROVIDER"), &tool, err))
		return NULL;
	r->chosen = cJSON_CreateStringArray(r->profiles.items, (int)r->profiles.n);
	return project_load(&(struct project_ask){.provider = &tool,
	                                          .files = (const char *const *)r->files,
	                                          .env_file = r->env_path,
	                                          .profiles = r->chosen,
	                                          .allow = r->allowed,
	                                          .cache_dir = cache},
	                    err);
}

/* -- lint -- */

/* ${text}, which is freed, cut to what leaves room for the reason in a terminal of 80 columns. */
static char *brief(char *text)
{
	size_t len = strlen(text), cut = text_utf8_prefix(text, WHAT_BYTES);
	if (len <= WHAT_BYTES)
		return text;
	char *shorter = mem_printf("%.*s…", (int)cut, text);
	free(text);
	return shorter;
}

/* The same with refused ones first, then what was allowed; with what a table shows. */
static cJSON *in_order(const cJSON *findings)
{
	static const char *const order[] = {"refused", "allowed", "told", "rewritten"};
	cJSON *rows = json_array();
	const cJSON *one;
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		cJSON_ArrayForEach(one, findings)
		{
			if (strcmp(json_text_or(one, "action", ""), order[i]) != 0)
				continue;
			cleanup_free char *place = lint_place(one), *what = brief(lint_what(one));
			cJSON *row = cJSON_Duplicate(one, true);
			const char *file = json_text_or(one, "file", ""), *slash = strrchr(file, '/');
			json_add_text(row, "from", slash ? slash + 1 : file);
			json_add_text(row, "place", place);
			json_add_text(row, "what", what);
			cJSON_AddItemToArray(rows, row);
		}
	}
	return rows;
}

static bool is_first_of_rule(const cJSON *rows, const cJSON *row)
{
	const cJSON *one;
	cJSON_ArrayForEach(one, rows)
	{
		if (!strcmp(json_text(one, "rule"), json_text(row, "rule")) &&
		    !strcmp(json_text(one, "advice"), json_text(row, "advice")))
			break;
	}
	return one == row;
}

/* Under ${title}, what to do about the ${rows} with ${action}, if there are any: once for each rule. */
static void print_advice(const cJSON *rows, const char *action, const char *title)
{
	const cJSON *row;
	bool first = true;
	cJSON_ArrayForEach(row, rows)
	{
		cleanup_free char *advice = lint_advice(row);
		if (strcmp(json_text_or(row, "action", ""), action) != 0 || !is_first_of_rule(rows, row))
			continue;
		printf("%s%s%s  %s: %s\n", first ? "\n" : "", first ? title : "", first ? "\n" : "",
		       json_text(row, "rule"), advice);
		first = false;
	}
}

/* ${files}: how many there are; of one it need not be said which. */
static void print_findings(const cJSON *findings, int files)
{
	static const struct term_column columns[] = {{"FILE", "from"},
	                                             {"WHERE", "place"},
	                                             {"DONE", "action"},
	                                             {"WHAT", "what"},
	                                             {"WHY", "reason"}};
	size_t from = files > 1 ? 0 : 1;
	cleanup_json cJSON *rows = in_order(findings);
	int refused = lint_count(findings, LINT_REFUSED), allowed = lint_count(findings, LINT_ALLOWED),
	    told = lint_count(findings, LINT_TOLD);
	if (rows->child)
		term_table(columns + from, ARRAY_LEN(columns) - from, rows);
	print_advice(rows, "refused", "What to do:");
	print_advice(rows, "told", "What stays, and could be better:");
	printf("%s%d refused, %d allowed, %d told, %d rewritten: %s\n", rows->child ? "\n" : "", refused,
	       allowed, told, lint_count(findings, LINT_REWRITTEN),
	       refused          ? "no session can be made of it like this"
	       : allowed + told ? "its sessions are isolated but for what is allowed and told"
	                        : "its sessions are isolated");
}

static int verb_lint(const struct config *cfg, int argc, char **argv, struct err *err)
{
	__attribute__((cleanup(request_free))) struct request r = {0};
	cleanup_json cJSON *project = load(
	        &r,
	        "codefoundry compose lint FILE… [--env-file FILE] [--profile P]… [--allow=ID,ID] [--json]   "
	        "e.g. compose lint docker-compose.yml",
	        cfg, argc, argv, err);
	if (!project)
		return -1;
	const cJSON *findings = json_at(project, "findings");
	if (r.json)
		term_json(findings);
	else
		print_findings(findings, r.args.n);
	return lint_count(findings, LINT_REFUSED) ? 1 : 0;
}

/* -- resolve -- */

static int verb_resolve(const struct config *cfg, int argc, char **argv, struct err *err)
{
	__attribute__((cleanup(request_free))) struct request r = {0};
	cleanup_json cJSON *project =
	        load(&r,
	             "codefoundry compose resolve FILE… [--env-file FILE] [--profile P]… [--allow=ID,ID]   "
	             "(JSON, which is YAML too)",
	             cfg, argc, argv, err);
	if (!project || project_verdict(project, err))
		return -1;
	term_json(json_at(project, "base"));
	return 0;
}

int cli_compose(const struct config *cfg, int argc, char **argv, struct err *err)
{
	static const struct cli_verb verbs[] = {
	        {"lint", "lint FILE… [--allow=ID,ID] [--json]",
	         "what of it reaches out of a session, and what is done about it", verb_lint},
	        {"resolve", "resolve FILE…", "the file that sessions are made from", verb_resolve},
	        {NULL}};
	return cli_group("compose", verbs, cfg, argc, argv, err);
}
