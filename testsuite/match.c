#include "testsuite/match.h"
#include "core/mem.h"
#include "core/text.h"
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#define MAX_GROUPS 10
#define QUOTE_MAX 300

const struct schema match_json_schema[] = {
        MATCH_KEYS,
        {.key = "absent", .shape = SHAPE_FLAG},
        {.key = "count", .shape = SHAPE_COUNT},
        {.key = "at_least", .shape = SHAPE_COUNT},
        {.key = "at_most", .shape = SHAPE_COUNT},
        {.key = NULL},
};

void match_quote(struct str *out, const char *text, size_t max)
{
	str_addc(out, '"');
	size_t i = 0;
	for (; text[i] && i < max; i++) {
		size_t control = text_control(text + i);
		if (text[i] == '\n')
			str_add(out, "\\n");
		else if (control)
			str_addf(out, "\\x%02x", (unsigned char)text[i += control - 1]);
		else
			str_addc(out, text[i]);
	}
	while (text[i] && ((unsigned char)text[i] & 0xc0) == 0x80) /* not in the middle of a character */
		str_addc(out, text[i++]);
	str_add(out, text[i] ? "…\"" : "\"");
}

/* First item of a value that may stand alone or in a list. */
static const cJSON *first(const cJSON *v)
{
	return cJSON_IsArray(v) ? v->child : v;
}

static const cJSON *following(const cJSON *v, const cJSON *item)
{
	return cJSON_IsArray(v) ? item->next : NULL;
}

static void store_groups(struct vars *vars, const cJSON *names, const char *text, const regmatch_t *m)
{
	int g = 1;
	for (const cJSON *n = first(names); n && g < MAX_GROUPS; n = following(names, n), g++) {
		cleanup_free char *value = NULL;
		if (m[g].rm_so >= 0)
			value = mem_strndup(text + m[g].rm_so, (size_t)(m[g].rm_eo - m[g].rm_so));
		vars_set(vars, n->valuestring, value ? value : "");
	}
}

/* 1 found, 0 not, -1. With ${capture} the groups are stored. */
static int regex_found(struct vars *vars, const char *pattern, const char *text, const cJSON *capture,
                       struct err *err)
{
	regex_t re;
	regmatch_t m[MAX_GROUPS];
	int rc = regcomp(&re, pattern, REG_EXTENDED | REG_NEWLINE);
	if (rc) {
		char why[128];
		regerror(rc, &re, why, sizeof(why));
		return err_set(err, ERR_INVALID, "no regular expression: \"%.200s\": %s", pattern, why);
	}
	rc = regexec(&re, text, MAX_GROUPS, m, 0);
	regfree(&re);
	if (rc == 0 && capture)
		store_groups(vars, capture, text, m);
	return rc == 0;
}

struct condition {
	const char *key;
	bool regex, negated;
	const char *phrase, *unmet;
};

static const struct condition conditions[] = {
        {"contains", false, false, "containing", "does not contain"},
        {"not", false, true, "without", "contains"},
        {"not_matches", true, true, "not matching", "matches"},
        {"matches", true, false, "matching", "does not match"}, /* last: only then groups are stored */
};

/* All items of one condition. */
static int condition_met(struct vars *vars, const struct condition *c, const cJSON *cond, const char *text,
                         struct str *why, struct err *err)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(cond, c->key);
	const cJSON *capture = cJSON_GetObjectItemCaseSensitive(cond, "capture");
	for (const cJSON *item = list ? first(list) : NULL; item; item = following(list, item)) {
		cleanup_free char *want = vars_expand_value(vars, item, err);
		if (!want)
			return -1;
		int found = c->regex ? regex_found(vars, want, text,
		                                   item == first(list) && !c->negated ? capture : NULL, err)
		                     : strstr(text, want) != NULL;
		if (found < 0)
			return -1;
		if ((found == 1) == !c->negated)
			continue;
		str_addf(why, "%s ", c->unmet);
		match_quote(why, want, QUOTE_MAX);
		return 0;
	}
	return 1;
}

int match_text(struct vars *vars, const cJSON *cond, const char *text, struct str *why, struct err *err)
{
	const cJSON *equals = cJSON_GetObjectItemCaseSensitive(cond, "equals");
	if (equals) {
		cleanup_free char *want = vars_expand_value(vars, equals, err);
		if (!want)
			return -1;
		if (strcmp(want, text) != 0) {
			str_add(why, "is not ");
			match_quote(why, want, QUOTE_MAX);
			return 0;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(conditions); i++) {
		int met = condition_met(vars, &conditions[i], cond, text, why, err);
		if (met != 1)
			return met;
	}
	return 1;
}

static void describe_list(const struct vars *vars, const cJSON *list, const char *phrase, struct str *out)
{
	for (const cJSON *item = list ? first(list) : NULL; item; item = following(list, item)) {
		struct err ignored = {0};
		cleanup_free char *want = vars_expand_value(vars, item, &ignored);
		str_addf(out, " %s ", phrase);
		match_quote(out, want ? want : "?", QUOTE_MAX);
	}
}

void match_describe(const struct vars *vars, const cJSON *cond, struct str *out)
{
	describe_list(vars, cJSON_GetObjectItemCaseSensitive(cond, "equals"), "equal to", out);
	for (size_t i = 0; i < ARRAY_LEN(conditions); i++)
		describe_list(vars, cJSON_GetObjectItemCaseSensitive(cond, conditions[i].key),
		              conditions[i].phrase, out);
}

/* -- JSON -- */

#define MAX_VALUES 256

struct values {
	const cJSON *at[MAX_VALUES];
	size_t n;
};

/* Collect what stands at ${path}: keys and indexes with dots between, `*` for all children. "" is the document. */
static void collect(const cJSON *node, const char *path, struct values *out)
{
	if (!node)
		return;
	if (*path == '\0') {
		if (out->n < MAX_VALUES)
			out->at[out->n++] = node;
		return;
	}
	size_t len = strcspn(path, ".");
	const char *rest = path[len] ? path + len + 1 : path + len;
	cleanup_free char *key = mem_strndup(path, len);
	if (strcmp(key, "*") == 0) {
		const cJSON *child;
		cJSON_ArrayForEach(child, node) collect(child, rest, out);
	} else if (cJSON_IsArray(node)) {
		if (key[strspn(key, "0123456789")] == '\0')
			collect(cJSON_GetArrayItem(node, atoi(key)), rest, out);
	} else if (cJSON_IsObject(node)) {
		collect(cJSON_GetObjectItemCaseSensitive(node, key), rest, out);
	}
}

static char *text_of(const cJSON *v)
{
	return cJSON_IsString(v) ? mem_strdup(v->valuestring) : json_print(v);
}

/* A size condition: `count`, `at_least`, `at_most` look at a number, or at how many children a list or map has. */
static int size_met(struct vars *vars, const cJSON *want, const cJSON *v, struct str *why, struct err *err)
{
	static const char *const keys[] = {"count", "at_least", "at_most"};
	double have = cJSON_IsNumber(v) ? v->valuedouble : cJSON_GetArraySize(v);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const cJSON *k = cJSON_GetObjectItemCaseSensitive(want, keys[i]);
		if (!k)
			continue;
		cleanup_free char *text = vars_expand_value(vars, k, err);
		if (!text)
			return -1;
		double n = strtod(text, NULL);
		if (i == 0 ? have == n : i == 1 ? have >= n : have <= n)
			continue;
		str_addf(why, "is %g, wanted %s %g", have, keys[i], n);
		return 0;
	}
	return 1;
}

static int value_met(struct vars *vars, const cJSON *want, const cJSON *v, struct str *why, struct err *err)
{
	cleanup_free char *have = text_of(v);
	if (cJSON_IsObject(want)) {
		int met = size_met(vars, want, v, why, err);
		return met == 1 ? match_text(vars, want, have, why, err) : met;
	}
	cleanup_free char *text = vars_expand_value(vars, want, err);
	if (!text)
		return -1;
	if (strcmp(text, have) == 0)
		return 1;
	str_add(why, "is ");
	match_quote(why, have, QUOTE_MAX);
	str_add(why, ", wanted ");
	match_quote(why, text, QUOTE_MAX);
	return 0;
}

/* One path: one of its values must be as wanted. */
static int check_met(struct vars *vars, const cJSON *want, const cJSON *doc, struct str *why, struct err *err)
{
	struct values found = {.n = 0};
	cleanup_free char *path = vars_expand(vars, want->string, err);
	if (!path)
		return -1;
	collect(doc, path, &found);
	bool absent = json_bool(want, "absent", false);
	if (absent || !found.n) {
		if (absent == !found.n)
			return 1;
		str_addf(why, "\"%s\" is %s", path, absent ? "there" : "not there");
		return 0;
	}
	cleanup_str struct str first_why = STR_INIT;
	for (size_t i = 0; i < found.n; i++) {
		str_cut(&first_why, 0);
		int met = value_met(vars, want, found.at[i], &first_why, err);
		if (met)
			return met;
	}
	str_addf(why, "\"%s\" %s", path, str_text(&first_why));
	return 0;
}

int match_json(struct vars *vars, const cJSON *checks, const cJSON *doc, struct str *why, struct err *err)
{
	if (!doc) {
		str_add(why, "is not JSON");
		return 0;
	}
	const cJSON *want;
	cJSON_ArrayForEach(want, checks)
	{
		int met = check_met(vars, want, doc, why, err);
		if (met != 1)
			return met;
	}
	return 1;
}

int match_save(struct vars *vars, const cJSON *save, const cJSON *doc, struct err *err)
{
	const cJSON *item;
	cJSON_ArrayForEach(item, save)
	{
		struct values found = {.n = 0};
		cleanup_free char *path = vars_expand_value(vars, item, err);
		if (!path)
			return -1;
		collect(doc, path, &found);
		if (!found.n)
			return err_set(err, ERR_FAILED, "nothing to save in {{%s}}: \"%s\" is not there",
			               item->string, path);
		cleanup_str struct str all = STR_INIT;
		for (size_t i = 0; i < found.n; i++) {
			cleanup_free char *text = text_of(found.at[i]);
			str_addf(&all, "%s%s", i ? "\n" : "", text);
		}
		vars_set(vars, item->string, str_text(&all));
	}
	return 0;
}
