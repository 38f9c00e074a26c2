#include "bot/argv.h"
#include "core/mem.h"
#include "core/str.h"
#include <string.h>

#define BLANKS " \t\r\n"

/* Append what stands between the quotes at ${*p} and move behind them. */
static int take_quoted(const char **p, struct str *word, struct err *err)
{
	const char quote = *(*p)++;
	for (; **p && **p != quote; ++*p) {
		if (quote == '"' && **p == '\\' && (*p)[1] && strchr("\"\\", (*p)[1]))
			++*p;
		str_addc(word, **p);
	}
	if (!**p)
		return err_set(err, ERR_INVALID, "a quote (%c) is not closed", quote);
	++*p;
	return 0;
}

static int take_word(const char **p, struct str *word, struct err *err)
{
	while (**p && !strchr(BLANKS, **p)) {
		if (**p == '\'' || **p == '"') {
			if (take_quoted(p, word, err))
				return -1;
			continue;
		}
		if (**p == '\\' && (*p)[1])
			++*p;
		str_addc(word, *(*p)++);
	}
	return 0;
}

cJSON *argv_split(const char *text, struct err *err)
{
	cleanup_json cJSON *words = json_array();
	for (text += strspn(text, BLANKS); *text; text += strspn(text, BLANKS)) {
		cleanup_str struct str word = STR_INIT;
		if (take_word(&text, &word, err))
			return NULL;
		cJSON_AddItemToArray(words, cJSON_CreateString(str_text(&word)));
	}
	return TAKE(words);
}
