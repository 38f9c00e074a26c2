/* `codefoundry session stats` and `top`: what services use, once or again and again. */
#include "cli/args.h"
#include "cli/cmd_session.h"
#include "cli/term.h"
#include "core/mem.h"
#include "sessions/session.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TOP_MS 2000

static void print_stats(const cJSON *stats)
{
	static const struct term_column columns[] = {{"SESSION", "session"},
	                                             {"SERVICE", "name"},
	                                             {"CPU %", "cpu"},
	                                             {"MEMORY", "memory"},
	                                             {"LIMIT", "limit", .spare = true},
	                                             {"PIDS", "pids", .spare = true}};
	cleanup_json cJSON *rows = cJSON_Duplicate(stats, true);
	cJSON *row;
	cJSON_ArrayForEach(row, rows)
	{
		char cpu[32], size[32];
		const cJSON *percent = json_at(row, "cpu_percent");
		snprintf(cpu, sizeof(cpu), "%5.1f", percent ? percent->valuedouble : 0);
		json_add_text(row, "cpu", percent ? cpu : "    –");
		json_add_text(row, "memory", term_size(json_at(row, "memory_bytes"), size, sizeof(size)));
		json_add_text(row, "limit",
		              term_size(json_at(row, "memory_limit_bytes"), size, sizeof(size)));
	}
	if (cJSON_GetArraySize(rows))
		term_table(columns, ARRAY_LEN(columns), rows);
	else
		printf("no session runs; `codefoundry session start demo` makes one\n");
}

/* Replace ${*stats} by a reading ${after_ms} later. */
static int read_again(struct state *st, const char *name, cJSON **stats, int after_ms, struct err *err)
{
	cleanup_json cJSON *before = TAKE(*stats);
	poll(NULL, 0, after_ms);
	*stats = session_stats(st, name, before, err);
	return *stats ? 0 : -1;
}

int session_verb_stats(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool json = false;
	const struct arg table[] = {{"json", ARG_FLAG, &json}, {0}};
	struct args a = {"codefoundry session stats [NAME] [--json]   e.g. session stats demo", table,
	                 .most = 1};
	cleanup_state struct state *st = NULL;
	if (args_parse(&a, argc, argv, err) || state_open(&st, cfg, err))
		return -1;
	cleanup_json cJSON *stats = session_usage(st, a.words[0], err);
	if (!stats)
		return -1;
	if (json)
		term_json(stats);
	else
		print_stats(stats);
	return 0;
}

int session_verb_top(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool json = false;
	const struct arg table[] = {{"json", ARG_FLAG, &json}, {0}};
	struct args a = {"codefoundry session top [NAME] [--json]   e.g. session top demo (Ctrl-C ends it)",
	                 table, .most = 1};
	cleanup_state struct state *st = NULL;
	if (args_parse(&a, argc, argv, err) || state_open(&st, cfg, err))
		return -1;
	bool terminal = isatty(STDOUT_FILENO);
	cleanup_json cJSON *stats = session_usage(st, a.words[0], err);
	if (!stats)
		return -1;
	do {
		if (json) {
			cleanup_free char *line = json_print(stats);
			puts(line);
		} else {
			printf("%s", terminal ? "\033[H\033[2J" : "");
			print_stats(stats);
		}
		if (fflush(stdout))
			return err_sys(err, errno, "write");
	} while (terminal && read_again(st, a.words[0], &stats, TOP_MS, err) == 0);
	return terminal ? -1 : 0;
}
