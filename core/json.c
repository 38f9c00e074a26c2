#include "core/json.h"
#include "core/mem.h"
#include "core/str.h"
#include "core/text.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void json_cleanup(cJSON **j)
{
	cJSON_Delete(*j);
}

cJSON *json_parse(const char *text, size_t len, struct err *err)
{
	const char *end = NULL;
	cJSON *j = cJSON_ParseWithLengthOpts(text, len, &end, 0);
	if (j)
		while (end < text + len && memchr(" \t\r\n", *end, 5))
			end++;
	if (j && end == text + len && text_is_utf8(text, len))
		return j;
	if (j && end == text + len)
		end = text; /* cJSON does not look at encodings, but whoever we pass it on to does */
	cJSON_Delete(j);
	err_set(err, ERR_INVALID, "not JSON, from byte %zu on",
	        end && end >= text ? (size_t)(end - text) : 0);
	return NULL;
}

/* As cJSON: 15 digits where they are the same number, else 17. */
static void print_number(struct str *out, double d)
{
	char buf[32], *p = buf + sizeof(buf);
	if (fabs(d) < 1e15 && d == (double)(int64_t)d && (d != 0 || !signbit(d))) {
		uint64_t left = (uint64_t)fabs(d);
		do {
			*--p = (char)('0' + left % 10);
		} while (left /= 10);
		if (d < 0)
			*--p = '-';
		str_addn(out, p, (size_t)(buf + sizeof(buf) - p));
		return;
	}
	if (!isfinite(d)) {
		str_add(out, "null");
		return;
	}
	snprintf(buf, sizeof(buf), "%1.15g", d);
	if (strtod(buf, NULL) != d)
		snprintf(buf, sizeof(buf), "%1.17g", d);
	str_add(out, buf);
}

static void print(struct str *out, const cJSON *j)
{
	bool object = cJSON_IsObject(j);
	if (object || cJSON_IsArray(j)) {
		str_addc(out, object ? '{' : '[');
		for (const cJSON *item = j->child; item; item = item->next) {
			if (item != j->child)
				str_addc(out, ',');
			if (object) {
				str_add_json(out, item->string ? item->string : "");
				str_addc(out, ':');
			}
			print(out, item);
		}
		str_addc(out, object ? '}' : ']');
	} else if (cJSON_IsNumber(j)) {
		print_number(out, j->valuedouble);
	} else if ((cJSON_IsString(j) || cJSON_IsRaw(j)) && j->valuestring) {
		if (cJSON_IsRaw(j))
			str_add(out, j->valuestring);
		else
			str_add_json(out, j->valuestring);
	} else {
		str_add(out, cJSON_IsTrue(j) ? "true" : cJSON_IsFalse(j) ? "false" : "null");
	}
}

/* cJSON's own printing reads every number back with sscanf and copies the text at the end: it was three quarters of what
 * journalling an update costs besides SQLite. */
char *json_print(const cJSON *j)
{
	struct str out = STR_INIT_MAX(SIZE_MAX / 4);
	print(&out, j);
	return str_take(&out);
}

char *json_print_pretty(const cJSON *j)
{
	char *text = cJSON_Print(j);
	return text ? text : mem_strdup("null");
}

const cJSON *json_at(const cJSON *obj, const char *path)
{
	char key[128];
	while (obj && *path) {
		size_t n = strcspn(path, ".");
		if (n >= sizeof(key))
			return NULL;
		memcpy(key, path, n);
		key[n] = '\0';
		if (cJSON_IsArray(obj))
			obj = n && n < 9 && strspn(key, "0123456789") == n
			              ? cJSON_GetArrayItem(obj, atoi(key))
			              : NULL;
		else
			obj = cJSON_GetObjectItemCaseSensitive(obj, key);
		path += n + (path[n] == '.');
	}
	return obj;
}

const char *json_text(const cJSON *obj, const char *path)
{
	return cJSON_GetStringValue(json_at(obj, path));
}

const char *json_text_or(const cJSON *obj, const char *path, const char *otherwise)
{
	const char *text = json_text(obj, path);
	return text ? text : otherwise;
}

bool json_has_text(const cJSON *list, const char *text)
{
	const cJSON *one;
	cJSON_ArrayForEach(one, list)
	{
		if (cJSON_IsString(one) && !strcmp(one->valuestring, text))
			return true;
	}
	return false;
}

int64_t json_int(const cJSON *obj, const char *path, int64_t otherwise)
{
	const cJSON *item = json_at(obj, path);
	if (!cJSON_IsNumber(item) || item->valuedouble != item->valuedouble)
		return otherwise;
	if (item->valuedouble >= 0x1p63)
		return INT64_MAX;
	if (item->valuedouble < -0x1p63)
		return INT64_MIN;
	return (int64_t)item->valuedouble;
}

bool json_bool(const cJSON *obj, const char *path, bool otherwise)
{
	const cJSON *item = json_at(obj, path);
	return cJSON_IsBool(item) ? cJSON_IsTrue(item) : otherwise;
}

void json_add(cJSON *obj, const char *key, cJSON *value)
{
	cJSON *item = value ? value : cJSON_CreateNull();
	if (!cJSON_AddItemToObject(obj, key, item))
		cJSON_Delete(item);
}

void json_add_text(cJSON *obj, const char *key, const char *value)
{
	cleanup_free char *repaired = NULL;
	if (value && !text_is_utf8(value, strlen(value))) {
		repaired = mem_strdup(value);
		text_make_utf8(repaired, strlen(repaired));
	}
	json_add(obj, key, value ? cJSON_CreateString(repaired ? repaired : value) : NULL);
}

void json_add_int(cJSON *obj, const char *key, int64_t value)
{
	json_add(obj, key, cJSON_CreateNumber((double)value));
}

void json_add_bool(cJSON *obj, const char *key, bool value)
{
	json_add(obj, key, cJSON_CreateBool(value));
}

cJSON *json_object(void)
{
	return cJSON_CreateObject();
}

cJSON *json_array(void)
{
	return cJSON_CreateArray();
}
