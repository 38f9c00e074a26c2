#include "bot/commands.h"
#include "core/clock.h"
#include "core/mem.h"
#include "jobs/audit.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_ROWS 10
#define MAX_ROWS 50

static void add_row(struct str *out, const cJSON *row)
{
	static const char *const keys[] = {"actor", "action", "target", "outcome"};
	char at[32];
	clock_iso(json_int(row, "at", 0), at, sizeof(at));
	at[19] = '\0'; /* seconds are enough */
	at[10] = ' ';
	str_addf(out, "%s", at);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const char *value = json_text(row, keys[i]);
		str_addc(out, ' ');
		str_add_html(out, value ? value : "–");
	}
	str_addc(out, '\n');
}

static int run(struct call *c, const char *args, struct err *err)
{
	long n = strtol(args, NULL, 10);
	cleanup_json cJSON *rows = audit_list(c->bot->st,
	                                      n <= 0         ? DEFAULT_ROWS
	                                      : n > MAX_ROWS ? MAX_ROWS
	                                                     : (int)n,
	                                      err);
	if (!rows)
		return -1;
	if (cJSON_GetArraySize(rows) == 0)
		return call_text(c, T_AUDIT_NONE, TEXT_NONE, err);
	cleanup_str struct str html = STR_INIT;
	const cJSON *row;
	texts_add(&html, c->lang, T_AUDIT_HEAD, TEXT_NONE);
	str_add(&html, "<pre>");
	cJSON_ArrayForEach(row, rows) add_row(&html, row);
	str_add(&html, "</pre>");
	return call_say(c, str_text(&html), NULL, err);
}

const struct command cmd_audit = {
        .name = "audit",
        .role = ROLE_ADMIN,
        .about = {"Who did what (admins)", "Кто что делал (администраторы)"},
        .usage = "/audit [rows]",
        .example = "/audit 20",
        .run = run,
};
