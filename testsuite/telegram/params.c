/* See params.h. */
#include "testsuite/telegram/params.h"
#include "core/mem.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int read_json(struct tg_params *p, const char *body, size_t len, struct err *err)
{
	struct err reason;
	cleanup_json cJSON *json = NULL;
	const cJSON *item;

	if (len == 0)
		return 0;
	if (len > TG_PARAMS_MAX)
		return err_set(err, ERR_LIMIT, "Request Entity Too Large: too much parameters");
	json = json_parse(body, len, &reason);
	if (json == NULL)
		return err_set(err, ERR_INVALID, "Bad Request: can't parse request body: %s", reason.msg);
	if (!cJSON_IsObject(json))
		return err_set(err, ERR_INVALID, "Bad Request: JSON object expected");
	cJSON_ArrayForEach(item, json)
	{
		p->list = mem_resize(p->list, p->n + 1, sizeof(*p->list));
		p->list[p->n++] = (struct tg_param){mem_strdup(item->string),
		                                    cJSON_IsString(item) ? mem_strdup(item->valuestring)
		                                                         : json_print(item)};
	}
	return 0;
}

int tg_params_read(struct tg_params *p, struct http_exchange *x, struct err *err)
{
	const char *type = http_header(x, "Content-Type");
	size_t len = 0;
	const char *body = http_body(x, &len);

	*p = (struct tg_params){.x = x};
	if (type && strncasecmp(type, "application/json", 16) == 0)
		return read_json(p, body, len, err);
	if (len > TG_PARAMS_MAX && (type == NULL || strncasecmp(type, "multipart/form-data", 19) != 0))
		return err_set(err, ERR_LIMIT, "Request Entity Too Large: too much parameters");
	return 0;
}

void tg_params_free(struct tg_params *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->list[i].name);
		free(p->list[i].value);
	}
	free(p->list);
	*p = (struct tg_params){0};
}

const char *tg_param(const struct tg_params *p, const char *name)
{
	const char *value = http_param(p->x, name);

	for (size_t i = 0; value == NULL && i < p->n; i++)
		if (strcmp(p->list[i].name, name) == 0)
			value = p->list[i].value;
	return value ? value : "";
}

int64_t tg_param_int(const struct tg_params *p, const char *name, int64_t otherwise, int64_t min, int64_t max)
{
	const char *text = tg_param(p, name);
	int64_t value = *text ? strtoll(text, NULL, 10) : otherwise;

	return value < min ? min : value > max ? max : value;
}

bool tg_param_bool(const struct tg_params *p, const char *name)
{
	const char *text = tg_param(p, name);

	return strcasecmp(text, "true") == 0 || strcasecmp(text, "yes") == 0 || strcmp(text, "1") == 0;
}
