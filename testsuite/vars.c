#include "testsuite/vars.h"
#include "core/mem.h"
#include "core/str.h"
#include "core/text.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_EXPANDED (1u << 20)

struct vars {
	cJSON *values; /* name → text */
};

struct vars *vars_new(void)
{
	struct vars *v = mem_alloc(sizeof(*v));
	v->values = json_object();
	return v;
}

void vars_free(struct vars *v)
{
	if (!v)
		return;
	cJSON_Delete(v->values);
	free(v);
}

void vars_set(struct vars *v, const char *name, const char *value)
{
	cJSON_DeleteItemFromObjectCaseSensitive(v->values, name);
	json_add_text(v->values, name, value);
}

void vars_set_int(struct vars *v, const char *name, int64_t value)
{
	char buf[24];
	snprintf(buf, sizeof(buf), "%" PRId64, value);
	vars_set(v, name, buf);
}

const char *vars_get(const struct vars *v, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(v->values, name));
}

/* "x*200": ${times} of what stands before the star. Returns whether ${expr} has that form. */
static bool repeat_of(const char *expr, size_t *unit, long *times)
{
	const char *star = strrchr(expr, '*');
	if (!star || star == expr)
		return false;
	char *end;
	errno = 0;
	*times = strtol(star + 1, &end, 10);
	*unit = (size_t)(star - expr);
	return end != star + 1 && *end == '\0' && errno == 0 && *times >= 0;
}

static int expand_one(const struct vars *v, const char *expr, struct str *out, struct err *err)
{
	const char *value = vars_get(v, expr);
	if (value) {
		str_add(out, value);
		return 0;
	}
	size_t unit;
	long times;
	if (!repeat_of(expr, &unit, &times))
		return err_set(err, ERR_INVALID, "no variable is called {{%s}}", expr);
	for (long i = 0; i < times && !out->overflow; i++)
		str_addn(out, expr, unit);
	return 0;
}

char *vars_expand(const struct vars *v, const char *text, struct err *err)
{
	cleanup_str struct str out = STR_INIT_MAX(MAX_EXPANDED);
	const char *open;
	while ((open = strstr(text, "{{"))) {
		const char *close = strstr(open + 2, "}}");
		if (!close)
			break;
		str_addn(&out, text, (size_t)(open - text));
		cleanup_free char *expr = mem_strndup(open + 2, (size_t)(close - open - 2));
		if (expand_one(v, expr, &out, err))
			return NULL;
		text = close + 2;
	}
	str_add(&out, text);
	if (out.overflow)
		return err_set(err, ERR_LIMIT, "a text with its variables replaced is over 1 MiB"), NULL;
	return str_take(&out);
}

char *vars_expand_value(const struct vars *v, const cJSON *value, struct err *err)
{
	if (cJSON_IsString(value))
		return vars_expand(v, value->valuestring, err);
	return json_print(value);
}

static cJSON *integer(const char *text)
{
	int64_t n;
	return text_int(text, &n) || llabs(n) > (1LL << 53) ? NULL : cJSON_CreateNumber((double)n);
}

static cJSON *expand_text(const struct vars *v, const char *text, struct err *err)
{
	cleanup_free char *expanded = vars_expand(v, text, err);
	if (!expanded)
		return NULL;
	const char *close = strstr(text, "}}");
	bool whole = strncmp(text, "{{", 2) == 0 && close && close[2] == '\0';
	cJSON *number = whole ? integer(expanded) : NULL;
	return number ? number : cJSON_CreateString(expanded);
}

cJSON *vars_expand_json(const struct vars *v, const cJSON *value, struct err *err)
{
	if (cJSON_IsString(value))
		return expand_text(v, value->valuestring, err);
	if (!cJSON_IsArray(value) && !cJSON_IsObject(value))
		return cJSON_Duplicate(value, true);
	cleanup_json cJSON *copy = cJSON_IsArray(value) ? json_array() : json_object();
	const cJSON *item;
	cJSON_ArrayForEach(item, value)
	{
		cJSON *child = vars_expand_json(v, item, err);
		if (!child)
			return NULL;
		if (cJSON_IsArray(value))
			cJSON_AddItemToArray(copy, child);
		else
			json_add(copy, item->string, child);
	}
	return TAKE(copy);
}
