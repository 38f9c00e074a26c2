#include "bot/logs.h"
#include "core/log.h"
#include "core/mem.h"
#include <stdlib.h>

#define DEFAULT_LINES 20
#define MAX_LINES 500

int logs_count(const char *text)
{
	long n = strtol(text, NULL, 10);
	return n <= 0 ? DEFAULT_LINES : n > MAX_LINES ? MAX_LINES : (int)n;
}

int logs_say(struct call *c, const char *what, const cJSON *lines, struct err *err)
{
	cleanup_str struct str all = STR_INIT;
	const cJSON *line;
	cJSON_ArrayForEach(line, lines)
	{
		if (all.len)
			str_addc(&all, '\n');
		str_add(&all, cJSON_IsString(line) ? line->valuestring : "");
	}
	if (!all.len)
		return call_text(c, T_LOGS_NONE, TEXT_ARGS({"what", what}), err);
	cleanup_free char *clean = log_redact(str_text(&all));
	return call_text(c, T_LOGS_HEAD, TEXT_ARGS({"what", what}, {"lines", clean}), err);
}
