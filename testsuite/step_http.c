/* Steps that look at a service from outside over HTTP. */
#include "core/http_client.h"
#include "core/mem.h"
#include "testsuite/steps.h"
#include <stdlib.h>
#include <string.h>

#define MAX_HEADERS 16
#define SHOWN_BYTES 300

static const struct schema http_expect_keys[] = {
        MATCH_KEYS,
        {.key = "status", .shape = SHAPE_COUNT},
        {.key = "type", .shape = SHAPE_TEXT},
        {.key = "refused", .shape = SHAPE_FLAG},
        {.key = "json", .shape = SHAPE_CHECKS, .keys = match_json_schema},
        {.key = NULL},
};

static const struct schema http_keys[] = {
        {.key = "to", .shape = SHAPE_TEXT},
        {.key = "url", .shape = SHAPE_TEXT},
        {.key = "path", .shape = SHAPE_TEXT},
        {.key = "method", .shape = SHAPE_TEXT},
        {.key = "headers", .shape = SHAPE_MAP},
        {.key = "body", .shape = SHAPE_TEXT},
        {.key = "json", .shape = SHAPE_ANY},
        {.key = "within", .shape = SHAPE_DURATION},
        {.key = "expect", .shape = SHAPE_OBJECT, .keys = http_expect_keys},
        {.key = "save", .shape = SHAPE_MAP},
        {.key = NULL},
};

static char *url_of(struct play *p, const cJSON *args, struct err *err)
{
	cleanup_free char *to = NULL, *url = NULL, *path = NULL, *base = NULL;
	if (step_text(p, args, "to", &to, err) || step_text(p, args, "url", &url, err) ||
	    step_text(p, args, "path", &path, err))
		return NULL;
	if (!to == !url)
		return err_set(err, ERR_INVALID, "http wants either 'to' or 'url'"), NULL;
	if (to && !p->target)
		return err_set(err, ERR_STATE, "there is no stack yet: a `stack` step must come first"), NULL;
	base = to ? target_url(p->target, to, err) : TAKE(url);
	return base ? mem_printf("%s%s", base, path ? path : "") : NULL;
}

static int body_of(struct play *p, const cJSON *args, char **body, const char **type, struct err *err)
{
	const cJSON *json = cJSON_GetObjectItemCaseSensitive(args, "json");
	if (!json)
		return step_text(p, args, "body", body, err);
	cleanup_json cJSON *expanded = vars_expand_json(p->vars, json, err);
	if (!expanded)
		return -1;
	*body = json_print(expanded);
	*type = "application/json";
	return 0;
}

static int headers_of(struct play *p, const cJSON *args, char **headers, struct err *err)
{
	size_t n = 0;
	const cJSON *item;
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(args, "headers"))
	{
		cleanup_free char *value = vars_expand_value(p->vars, item, err);
		if (!value)
			return -1;
		if (n == MAX_HEADERS)
			return err_set(err, ERR_LIMIT, "at most %d headers", MAX_HEADERS);
		headers[n++] = mem_printf("%s: %s", item->string, value);
	}
	return 0;
}

static int fetch(struct play *p, const cJSON *args, const char *url, struct http_reply *reply,
                 struct err *err)
{
	char *headers[MAX_HEADERS + 1] = {NULL};
	cleanup_free char *body = NULL, *method = NULL;
	const char *type = NULL;
	int64_t left = step_left(step_deadline(p, args));
	int rc = headers_of(p, args, headers, err) || body_of(p, args, &body, &type, err) ||
	                         step_text(p, args, "method", &method, err)
	                 ? -1
	                 : 0;
	if (rc == 0) {
		struct http_request req = {.method = method,
		                           .url = url,
		                           .headers = (const char *const *)headers,
		                           .content_type = type,
		                           .body = body,
		                           .body_len = body ? strlen(body) : 0,
		                           .total_ms = left ? left : 1};
		rc = http_fetch(&req, reply, err);
	}
	for (size_t i = 0; headers[i]; i++)
		free(headers[i]);
	return rc;
}

static int status_met(struct play *p, const cJSON *want, const struct http_reply *r, struct str *why,
                      struct err *err)
{
	int64_t status;
	cleanup_free char *type = NULL;
	if (step_int(p, want, "status", 0, &status, err) || step_text(p, want, "type", &type, err))
		return -1;
	if (status && status != r->status) {
		str_addf(why, "has status %ld, wanted %lld", r->status, (long long)status);
		return 0;
	}
	if (type && !strstr(r->content_type, type)) {
		str_addf(why, "has type %s, wanted %s", r->content_type, type);
		return 0;
	}
	return 1;
}

static int reply_met(struct play *p, const cJSON *want, const struct http_reply *r, const cJSON *doc,
                     struct str *why, struct err *err)
{
	const cJSON *checks = cJSON_GetObjectItemCaseSensitive(want, "json");
	int met = status_met(p, want, r, why, err);
	if (met == 1)
		met = match_text(p->vars, want, r->body, why, err);
	return met == 1 && checks ? match_json(p->vars, checks, doc, why, err) : met;
}

static int examine(struct play *p, const cJSON *args, const struct http_reply *r, struct err *err)
{
	const cJSON *want = cJSON_GetObjectItemCaseSensitive(args, "expect");
	const cJSON *save = cJSON_GetObjectItemCaseSensitive(args, "save");
	struct err not_json = {0};
	cleanup_str struct str why = STR_INIT;
	cleanup_json cJSON *doc = json_parse(r->body, r->len, &not_json);
	int met = want ? reply_met(p, want, r, doc, &why, err) : 1;
	if (met < 0)
		return -1;
	if (!met) {
		cleanup_str struct str text = STR_INIT;
		str_addf(&text, "the answer %s: status %ld, ", str_text(&why), r->status);
		match_quote(&text, r->body, SHOWN_BYTES);
		return err_set(err, ERR_FAILED, "%s", str_text(&text));
	}
	vars_set(p->vars, "body", r->body);
	vars_set_int(p->vars, "status", r->status);
	return save ? match_save(p->vars, save, doc, err) : 0;
}

static int http_run(struct play *p, const char *who, const cJSON *args, struct err *err)
{
	(void)who;
	struct http_reply reply = {0};
	cleanup_free char *url = url_of(p, args, err);
	if (!url)
		return -1;
	const char *name = json_text(args, "to") ? json_text(args, "to") : json_text(args, "url");
	const char *path = json_text_or(args, "path", "");
	bool refused = json_bool(args, "expect.refused", false);
	int rc = fetch(p, args, url, &reply, err);
	if (rc && refused && err->code == ERR_NET && !reply.heard)
		return 0; /* also what a port forwarder does for a port behind which nobody listens: accept and hang up */
	if (rc)
		return err_wrap(err, "%s%s", name, path);
	rc = refused ? err_set(err, ERR_FAILED, "wanted no connection, but it answered with status %ld",
	                       reply.status)
	             : examine(p, args, &reply, err);
	http_reply_free(&reply);
	return rc ? err_wrap(err, "%s%s", name, path) : 0;
}

const struct step_kind http_steps[] = {
        {"http", NULL, http_keys, STEP_TO, http_run},
        {.name = NULL},
};
