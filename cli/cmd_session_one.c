/* `codefoundry session show`: one session, with what it uses and what it costs, or the receipt of one that is gone. */
#include "cli/args.h"
#include "cli/cmd_session.h"
#include "cli/term.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/str.h"
#include "core/text.h"
#include "sessions/session.h"
#include <stdio.h>
#include <string.h>

static void print_end(const cJSON *s)
{
	char left[48], age[48];
	int64_t at = json_int(s, "expires_at", 0);
	if (json_at(s, "age_ms"))
		printf("  age     %s\n", clock_rough(json_int(s, "age_ms", 0), age, sizeof(age)));
	if (json_bool(s, "pinned", false))
		printf("  pinned: it does not expire\n");
	else if (at && json_text(s, "ends"))
		printf("  ends    in %s (%s)\n", clock_left(at - clock_now_ms(), left, sizeof(left)),
		       strcmp(json_text(s, "ends"), "age") ? "unless it is used" : "its greatest age");
}

/* "  memory  12.3 MiB   0.14 % of this machine's": ${amount} and ${share}, a percentage, as far as they are known. */
static void print_amount(const char *what, const char *amount, const cJSON *share, const char *of)
{
	int pad = 10 - (int)text_columns(amount, strlen(amount));
	printf("  %-7s %s%*s ", what, amount, pad > 0 ? pad : 0, "");
	if (cJSON_IsNumber(share))
		printf("%.2f %% of %s\n", share->valuedouble, of);
	else
		printf("not known\n");
}

static void print_cost(const cJSON *cost)
{
	char amount[32];
	const cJSON *cpu = json_at(cost, "cpu_percent");
	cleanup_free char *cpus =
	        mem_printf("this machine's %lld CPUs", (long long)json_int(cost, "machine.cpus", 0));
	if (!cost)
		return;
	print_amount("memory", term_size(json_at(cost, "memory_bytes"), amount, sizeof(amount)),
	             json_at(cost, "memory_share"), "this machine's");
	snprintf(amount, sizeof(amount), "%.1f %%", cJSON_IsNumber(cpu) ? cpu->valuedouble : 0);
	print_amount("one CPU", cJSON_IsNumber(cpu) ? amount : "–", json_at(cost, "cpu_share"), cpus);
	print_amount("disk", term_size(json_at(cost, "disk_bytes"), amount, sizeof(amount)),
	             json_at(cost, "disk_share"), "this machine's");
}

/* "20000→80 20001": host and container, once where they are the same. */
static void add_ports(cJSON *row)
{
	cleanup_str struct str text = STR_INIT_MAX(200);
	const cJSON *port;
	cJSON_ArrayForEach(port, json_at(row, "ports"))
	{
		long long host = json_int(port, "host", 0), inside = json_int(port, "container", 0);
		str_addf(&text, "%s%lld", text.len ? " " : "", host);
		if (host != inside)
			str_addf(&text, "→%lld", inside);
		if (strcmp(json_text_or(port, "protocol", "tcp"), "tcp") != 0)
			str_addf(&text, "/%s", json_text(port, "protocol"));
	}
	json_add_text(row, "mapped", text.len ? str_text(&text) : "–");
}

static void print_services(const cJSON *services)
{
	static const struct term_column columns[] = {{"SERVICE", "name"},
	                                             {"STATE", "state"},
	                                             {"CPU %", "cpu"},
	                                             {"MEMORY", "memory"},
	                                             {"PORTS", "mapped", .spare = true},
	                                             {"LIMIT", "limit", .spare = true},
	                                             {"PIDS", "pids", .spare = true},
	                                             {"RESTARTS", "restarts", .spare = true},
	                                             {"IMAGE", "image"}};
	cleanup_json cJSON *rows = cJSON_Duplicate(services, true);
	bool images = false;
	cJSON *row;
	cJSON_ArrayForEach(row, rows)
	{
		char cpu[32], size[32];
		const cJSON *percent = json_at(row, "cpu_percent");
		snprintf(cpu, sizeof(cpu), "%5.1f", percent ? percent->valuedouble : 0);
		json_add_text(row, "cpu", cJSON_IsNumber(percent) ? cpu : "    –");
		json_add_text(row, "memory", term_size(json_at(row, "memory_bytes"), size, sizeof(size)));
		json_add_text(row, "limit",
		              term_size(json_at(row, "memory_limit_bytes"), size, sizeof(size)));
		add_ports(row);
		images |= json_text(row, "image") != NULL;
	}
	if (cJSON_GetArraySize(rows))
		term_table(columns, ARRAY_LEN(columns) - !images, rows);
}

/* "  allowed engine-socket (proxy), host-bind (web)": what of its file reaches out of it, as far as it has ${action}. */
static void print_findings(const cJSON *findings, const char *action, const char *head)
{
	cleanup_str struct str text = STR_INIT_MAX(1000);
	const cJSON *one;
	cJSON_ArrayForEach(one, findings)
	{
		if (strcmp(json_text_or(one, "action", ""), action) != 0)
			continue;
		str_addf(&text, "%s%s (%s)", text.len ? ", " : "", json_text_or(one, "rule", "?"),
		         json_text_or(one, "name", "?"));
	}
	if (text.len)
		printf("  %-7s %s\n", head, str_text(&text));
}

static void print_session(const cJSON *s)
{
	const char *reason = json_text(s, "reason"), *tool = json_text(s, "provider");
	printf("%s: %s, owner %s%s%s\n", json_text(s, "name"), json_text(s, "state"), json_text(s, "owner"),
	       reason ? ", " : "", reason ? reason : "");
	printf("  engine  %s%s%s%s\n", json_text(s, "engine"), tool ? " (" : "", tool ? tool : "",
	       tool ? ")" : "");
	print_end(s);
	print_cost(json_at(s, "cost"));
	print_findings(json_at(s, "isolation"), "allowed", "allowed");
	print_findings(json_at(s, "isolation"), "told", "shared");
	session_print_endpoints(json_at(s, "endpoints"));
	print_services(json_at(s, "services"));
	session_warn_unknown(s);
	if (cJSON_IsObject(json_at(s, "receipt")))
		session_print_receipt(s);
}

int session_verb_show(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool json = false;
	const struct arg table[] = {{"json", ARG_FLAG, &json}, {0}};
	struct args a = {"codefoundry session show NAME [--json]", table, 1, 1};
	cleanup_state struct state *st = NULL;
	if (args_parse(&a, argc, argv, err) || state_open(&st, cfg, err))
		return -1;
	cleanup_json cJSON *s = session_show(st, a.words[0], err);
	if (!s)
		return -1;
	session_add_cost(st, s);
	if (json)
		term_json(s);
	else
		print_session(s);
	return 0;
}
