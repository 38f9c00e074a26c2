/* `codefoundry session list`: what there is, as a person or a script wants it. */
#include "cli/args.h"
#include "cli/cmd_session.h"
#include "cli/term.h"
#include "core/clock.h"
#include "core/mem.h"
#include "sessions/reference.h"
#include "sessions/session.h"
#include <stdio.h>
#include <string.h>

void session_print_endpoints(const cJSON *endpoints)
{
	const cJSON *e;
	cJSON_ArrayForEach(e, endpoints)
	{
		printf("  %-14s %-10s %s\n", json_text(e, "service"), json_text(e, "name"),
		       json_text(e, "url"));
	}
}

/* Of a removal that left something. */
static void print_next_try(const cJSON *session)
{
	char left[48];
	long long tries = json_int(session, "tries", 0);
	if (!tries)
		return;
	printf("tried %lld time%s, again in %s, or now with: codefoundry session stop %s\n", tries,
	       tries == 1 ? "" : "s",
	       clock_left(json_int(session, "next_try_at", 0) - clock_now_ms(), left, sizeof(left)),
	       json_text(session, "name"));
}

void session_print_receipt(const cJSON *result)
{
	const char *name = json_text(result, "name");
	const cJSON *receipt = json_at(result, "receipt"), *count;
	if (!receipt) {
		printf("session %s is stopped and kept: `codefoundry session start %s` resumes it\n", name,
		       name);
		return;
	}
	bool ok = json_bool(receipt, "ok", false);
	printf(ok ? "session %s is removed. Left behind:" : "session %s is not gone. Left:", name);
	const char *comma = "";
	cJSON_ArrayForEach(count, receipt)
	{
		if (!cJSON_IsNumber(count)) /* each engine has its own kinds of objects */
			continue;
		printf("%s %.0f %s", comma, count->valuedouble, count->string);
		comma = ",";
	}
	printf("\n");
	if (!ok)
		print_next_try(result);
}

static bool is_unknown(const cJSON *session)
{
	const cJSON *service;
	cJSON_ArrayForEach(service, json_at(session, "services"))
	{
		if (!strcmp(json_text_or(service, "state", ""), "unknown"))
			return true;
	}
	return false;
}

/* Below a table: why there are question marks in it. */
static void say_unknown(void)
{
	fprintf(stderr,
	        "Docker does not answer, so the state of their services is not known; `codefoundry doctor` "
	        "says why\n");
}

void session_warn_unknown(const cJSON *session)
{
	if (is_unknown(session))
		say_unknown();
}

/* "9 min, idle": which end is next, and when. */
static void add_left(cJSON *row)
{
	char left[48];
	const char *ends = json_text_or(row, "ends", "?");
	clock_left(json_int(row, "expires_at", 0) - clock_now_ms(), left, sizeof(left));
	bool pinned = json_bool(row, "pinned", false);
	cleanup_free char *cell = pinned ? mem_strdup(ends) : mem_printf("%s, %s", left, ends);
	json_add_text(row, "left", cell);
}

/* What the table shows besides the row: how many services are up, and times no finer than people care. */
static void add_cells(cJSON *row)
{
	char buf[48];
	int up = 0, all = 0;
	const cJSON *service;
	cJSON_ArrayForEach(service, json_at(row, "services"))
	{
		all++;
		up += session_service_up(json_text(service, "state"));
	}
	if (is_unknown(row))
		snprintf(buf, sizeof(buf), "?/%d", all);
	else
		snprintf(buf, sizeof(buf), "%d/%d", up, all);
	json_add_text(row, "up", buf);
	json_add_text(row, "age", clock_rough(json_int(row, "age_ms", 0), buf, sizeof(buf)));
	add_left(row);
}

static void print_list(cJSON *rows)
{
	static const struct term_column columns[] = {{"NAME", "name"},
	                                             {"STATE", "state"},
	                                             {"UP", "up"},
	                                             {"EXPIRES IN", "left"},
	                                             {"ENGINE", "engine", .spare = true},
	                                             {"OWNER", "owner", .spare = true},
	                                             {"AGE", "age", .spare = true},
	                                             {"REASON", "reason"}};
	cJSON *row;
	bool reasons = false, unknown = false;
	cJSON_ArrayForEach(row, rows)
	{
		add_cells(row);
		reasons |= json_text(row, "reason") != NULL;
		unknown |= is_unknown(row);
	}
	if (cJSON_GetArraySize(rows))
		term_table(columns, ARRAY_LEN(columns) - !reasons, rows);
	else
		printf("no sessions; `codefoundry session start demo` makes one\n");
	if (unknown)
		say_unknown();
}

/* What needs the database only. */
static int print_plain(struct state *st, bool names, struct err *err)
{
	cleanup_json cJSON *list = names ? session_names(st, err) : reference_list(st, err);
	const cJSON *one;
	if (!list)
		return -1;
	if (!names)
		term_json(list);
	else
		cJSON_ArrayForEach(one, list) puts(json_text_or(one, "name", ""));
	return 0;
}

int session_verb_list(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool json = false, all = false, names = false, reference = false;
	const struct arg table[] = {{"json", ARG_FLAG, &json},
	                            {"all", ARG_FLAG, &all},
	                            {"names", ARG_FLAG, &names},
	                            {"reference", ARG_FLAG, &reference},
	                            {0}};
	struct args a = {"codefoundry session list [--all] [--json]   e.g. session list --all (--names: only "
	                 "those; --reference: "
	                 "as its sessions.json)",
	                 table};
	cleanup_state struct state *st = NULL;
	if (args_parse(&a, argc, argv, err) || state_open(&st, cfg, err))
		return -1;
	if (names || reference)
		return print_plain(st, names, err);
	cleanup_json cJSON *rows = sessions_list(st, all, err);
	if (!rows)
		return -1;
	if (json)
		term_json(rows);
	else
		print_list(rows);
	return 0;
}
