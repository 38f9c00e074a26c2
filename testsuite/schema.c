#include "testsuite/schema.h"
#include "core/mem.h"
#include "core/text.h"
#include "testsuite/scenario.h"
#include <regex.h>
#include <stdio.h>
#include <string.h>

#define MAX_KEYS 32

static int check_value(struct schema_walk *w, cJSON *v, const struct schema *s, struct err *err);

size_t schema_down(struct schema_walk *w, const char *key)
{
	size_t len = strlen(w->path);
	snprintf(w->path + len, sizeof(w->path) - len, "/%s", key);
	return len;
}

static size_t down_index(struct schema_walk *w, int index)
{
	char key[16];
	snprintf(key, sizeof(key), "%d", index);
	return schema_down(w, key);
}

void schema_up(struct schema_walk *w, size_t len)
{
	w->path[len] = '\0';
}

static bool is_scalar(const cJSON *v)
{
	return cJSON_IsString(v) || cJSON_IsNumber(v) || cJSON_IsBool(v);
}

static bool is_variable(const cJSON *v)
{
	return cJSON_IsString(v) && strstr(v->valuestring, "{{");
}

static bool is_name(const char *s)
{
	return s && s[0] >= 'a' && s[0] <= 'z' &&
	       s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

static int check_regex(const cJSON *v, const char *key, struct err *err)
{
	if (!cJSON_IsString(v))
		return err_set(err, ERR_INVALID, "'%s' wants a regular expression", key);
	if (is_variable(v))
		return 0;
	regex_t re;
	int rc = regcomp(&re, v->valuestring, REG_EXTENDED | REG_NEWLINE);
	if (rc) {
		char why[128];
		regerror(rc, &re, why, sizeof(why));
		return err_set(err, ERR_INVALID, "'%s' is no regular expression: \"%.200s\": %s", key,
		               v->valuestring, why);
	}
	regfree(&re);
	return 0;
}

/* A value or a list of values, each checked by ${one}. */
static int check_list(struct schema_walk *w, const cJSON *v, const char *key,
                      int (*one)(const cJSON *v, const char *key, struct err *err), struct err *err)
{
	if (!cJSON_IsArray(v))
		return one(v, key, err);
	int i = 0;
	const cJSON *item;
	cJSON_ArrayForEach(item, v)
	{
		size_t len = down_index(w, i++);
		if (one(item, key, err))
			return -1;
		schema_up(w, len);
	}
	return i ? 0 : err_set(err, ERR_INVALID, "'%s' is an empty list", key);
}

static int check_text(const cJSON *v, const char *key, struct err *err)
{
	return is_scalar(v) ? 0 : err_set(err, ERR_INVALID, "'%s' wants a text", key);
}

static int check_name(const cJSON *v, const char *key, struct err *err)
{
	if (cJSON_IsString(v) && is_name(v->valuestring))
		return 0;
	return err_set(err, ERR_INVALID, "'%s' wants a name of a-z, 0-9 and _ that begins with a letter",
	               key);
}

static int check_map(struct schema_walk *w, const cJSON *v, const char *key, struct err *err)
{
	if (!cJSON_IsObject(v))
		return err_set(err, ERR_INVALID, "'%s' wants a map of texts", key);
	const cJSON *item;
	cJSON_ArrayForEach(item, v)
	{
		size_t len = schema_down(w, item->string);
		if (!is_scalar(item))
			return err_set(err, ERR_INVALID, "'%s' in '%s' wants a text", item->string, key);
		schema_up(w, len);
	}
	return 0;
}

static int check_steps(struct schema_walk *w, cJSON *v, const char *key, struct err *err)
{
	if (!cJSON_IsArray(v) || !v->child)
		return err_set(err, ERR_INVALID, "'%s' wants a list of steps", key);
	int i = 0;
	cJSON *step;
	cJSON_ArrayForEach(step, v)
	{
		size_t len = down_index(w, i++);
		if (w->step(w, step, err))
			return -1;
		schema_up(w, len);
	}
	return 0;
}

/* JSON paths with what is wanted there: a scalar to be equal, or a map of conditions. */
static int check_checks(struct schema_walk *w, cJSON *v, const struct schema *s, struct err *err)
{
	if (!cJSON_IsObject(v))
		return err_set(err, ERR_INVALID, "'%s' wants a map of JSON path to expected value", s->key);
	cJSON *item;
	cJSON_ArrayForEach(item, v)
	{
		size_t len = schema_down(w, item->string);
		if (cJSON_IsObject(item) && schema_check(w, item, s->keys, item->string, err))
			return -1;
		if (cJSON_IsArray(item))
			return err_set(err, ERR_INVALID,
			               "'%s' wants a value or a map of conditions, not a list", item->string);
		schema_up(w, len);
	}
	return 0;
}

static int check_value(struct schema_walk *w, cJSON *v, const struct schema *s, struct err *err)
{
	switch (s->shape) {
	case SHAPE_TEXT:
		return check_text(v, s->key, err);
	case SHAPE_TEXTS:
		return check_list(w, v, s->key, check_text, err);
	case SHAPE_REGEX:
		return check_list(w, v, s->key, check_regex, err);
	case SHAPE_NAME:
		return check_name(v, s->key, err);
	case SHAPE_NAME_LIST:
		return check_list(w, v, s->key, check_name, err);
	case SHAPE_FLAG:
		return cJSON_IsBool(v) ? 0 : err_set(err, ERR_INVALID, "'%s' wants true or false", s->key);
	case SHAPE_COUNT:
		if (is_variable(v) ||
		    (cJSON_IsNumber(v) && v->valuedouble >= 0 && v->valuedouble == (double)v->valueint))
			return 0;
		return err_set(err, ERR_INVALID, "'%s' wants a whole number, 0 or more", s->key);
	case SHAPE_DURATION:
		if (scenario_duration(v) >= 0)
			return 0;
		return err_set(err, ERR_INVALID, "'%s' wants a time such as 5s, 200ms or 2m", s->key);
	case SHAPE_ANY:
		return 0;
	case SHAPE_MAP:
		return check_map(w, v, s->key, err);
	case SHAPE_OBJECT:
		return schema_check(w, v, s->keys, s->key, err);
	case SHAPE_CHECKS:
		return check_checks(w, v, s, err);
	case SHAPE_STEP:
		return w->step(w, v, err);
	case SHAPE_STEPS:
		return check_steps(w, v, s->key, err);
	}
	return err_set(err, ERR_INVALID, "'%s' has an unknown shape", s->key);
}

static const struct schema *find(const struct schema *table, const char *key)
{
	for (; table->key; table++)
		if (strcmp(table->key, key) == 0)
			return table;
	return NULL;
}

static int unknown_key(const struct schema *table, const char *key, const char *what, struct err *err)
{
	const char *words[MAX_KEYS + 1] = {NULL};
	size_t n = 0;
	for (; table[n].key && n < MAX_KEYS; n++)
		words[n] = table[n].key;
	const char *near = text_nearest(key, words);
	return err_set(err, ERR_INVALID, "'%s' knows no key '%.64s'%s%s%s", what, key,
	               near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

int schema_check(struct schema_walk *w, cJSON *node, const struct schema *table, const char *what,
                 struct err *err)
{
	if (!cJSON_IsObject(node))
		return err_set(err, ERR_INVALID, "'%s' wants a map of keys", what);
	cJSON *item;
	cJSON_ArrayForEach(item, node)
	{
		size_t len = schema_down(w, item->string);
		const struct schema *s = find(table, item->string);
		if (!s)
			return unknown_key(table, item->string, what, err);
		if (check_value(w, item, s, err))
			return -1;
		schema_up(w, len);
	}
	for (const struct schema *s = table; s->key; s++)
		if (s->required && !cJSON_HasObjectItem(node, s->key))
			return err_set(err, ERR_INVALID, "'%s' lacks '%s'", what, s->key);
	return 0;
}
