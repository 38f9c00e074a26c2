#include "bot/api.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/str.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CALL_MS 30000
#define UPLOAD_MS 120000
#define POLL_SLACK_MS 10000
#define MAX_ANSWER (16u << 20)

struct api {
	struct http_client *http;
	char *prefix; /* "<base>/bot<token>/" */
	struct pending *calls;
};

struct pending {
	struct http_call *call;
	api_done *done;
	void *arg;
	struct pending *next, **link;
};

int64_t api_token_id(const char *token)
{
	size_t digits = strspn(token, "0123456789");
	if (digits < 1 || digits > 18 || token[digits] != ':')
		return 0;
	size_t rest = 0;
	for (const char *p = token + digits + 1; *p; p++, rest++)
		if (!isalnum((unsigned char)*p) && *p != '_' && *p != '-')
			return 0;
	return rest >= 20 ? strtoll(token, NULL, 10) : 0;
}

static void unlink_call(struct pending *p)
{
	*p->link = p->next;
	if (p->next)
		p->next->link = p->link;
}

static void cancel(struct pending *p)
{
	unlink_call(p);
	http_cancel(p->call);
	free(p);
}

void api_cancel(struct api *api, const void *arg)
{
	for (struct pending *p = api->calls, *next; p; p = next) {
		next = p->next;
		if (p->arg == arg)
			cancel(p);
	}
}

int api_open(struct api **out, struct loop *loop, const char *base, const char *token, struct err *err)
{
	struct api *api = mem_alloc(sizeof(*api));
	size_t n = strlen(base);
	while (n > 0 && base[n - 1] == '/')
		n--;
	log_secret(token);
	api->prefix = mem_printf("%.*s/bot%s/", (int)n, base, token);
	if (http_client_open(&api->http, loop, err)) {
		api_close(api);
		return -1;
	}
	*out = api;
	return 0;
}

void api_close(struct api *api)
{
	if (!api)
		return;
	while (api->calls)
		cancel(api->calls);
	if (api->http)
		http_client_close(api->http);
	free(api->prefix);
	free(api);
}

static enum api_status status_of(int code)
{
	switch (code) {
	case 401:
		return API_TOKEN;
	case 409:
		return API_CONFLICT;
	case 429:
		return API_FLOOD;
	default:
		return code >= 400 && code < 500 ? API_REFUSED : API_SERVER;
	}
}

static void sort_answer(const struct http_response *res, struct api_result *out, cJSON **tree)
{
	struct err ignored = {0};
	out->code = (int)res->status;
	*tree = json_parse(res->body ? res->body : "", res->len, &ignored);
	const cJSON *ok = json_at(*tree, "ok");
	if (!cJSON_IsBool(ok)) {
		/* A proxy's page, or a server that has no words for it: 429 and 5xx by status, the rest is a bad day. */
		out->status = res->status == 429 ? API_FLOOD : API_SERVER;
		out->description = *tree ? "the answer is not a Bot API answer" : "the answer is not JSON";
		out->retry_after_ms = res->retry_after_s > 0 ? res->retry_after_s * 1000 : 1000;
		return;
	}
	if (cJSON_IsTrue(ok)) {
		out->status = API_OK;
		out->description = "";
		out->result = json_at(*tree, "result");
		return;
	}
	const char *description = json_text(*tree, "description");
	out->code = (int)json_int(*tree, "error_code", res->status);
	out->status = status_of(out->code);
	out->description = description ? description : "no description";
	int64_t wait_s = json_int(*tree, "parameters.retry_after", res->retry_after_s);
	out->retry_after_ms = (wait_s < 1 ? 1 : wait_s > 86400 ? 86400 : wait_s) * 1000;
	out->migrate_to = json_int(*tree, "parameters.migrate_to_chat_id", 0);
}

static void sort(const struct http_response *res, const struct err *err, struct api_result *out, cJSON **tree)
{
	*out = (struct api_result){
	        .status = API_NETWORK, .description = err ? err->msg : "", .retry_after_ms = 1000};
	*tree = NULL;
	if (res)
		sort_answer(res, out, tree);
	else if (err && err->code == ERR_LIMIT)
		out->status = API_SERVER;
}

static void answered(void *arg, const struct http_response *res, const struct err *err)
{
	struct pending *p = arg;
	cleanup_json cJSON *tree = NULL;
	struct api_result out;
	unlink_call(p);
	sort(res, err, &out, &tree);
	p->done(p->arg, &out);
	free(p);
}

static void start(struct api *api, const struct http_request *req, api_done *done, void *arg)
{
	struct pending *p = mem_alloc(sizeof(*p));
	*p = (struct pending){.done = done, .arg = arg, .next = api->calls, .link = &api->calls};
	if (api->calls)
		api->calls->link = &p->next;
	api->calls = p;
	p->call = http_start(api->http, req, answered, p);
}

void api_call(struct api *api, const char *method, const char *body, size_t len, int64_t wait_ms,
              api_done *done, void *arg)
{
	cleanup_str struct str url = STR_INIT_MAX(4096);
	str_add(&url, api->prefix);
	str_add(&url, method);
	/* A half-open socket is noticed by silence: the limit lies above what the server may be silent on purpose. */
	struct http_request req = {.url = str_text(&url),
	                           .content_type = "application/json",
	                           .body = body,
	                           .body_len = len,
	                           .total_ms = wait_ms ? wait_ms + 2 * POLL_SLACK_MS : CALL_MS,
	                           .idle_ms = wait_ms ? wait_ms + POLL_SLACK_MS : 0,
	                           .max_body = MAX_ANSWER};
	start(api, &req, done, arg);
}

static char *field_text(const cJSON *member)
{
	return cJSON_IsString(member) ? mem_strdup(member->valuestring) : json_print(member);
}

void api_upload(struct api *api, const char *method, const cJSON *params, const char *field,
                const char *file_name, const void *data, size_t len, api_done *done, void *arg)
{
	size_t n = 0, room = (size_t)cJSON_GetArraySize(params) + 1;
	struct http_part *parts = mem_alloc(room * sizeof(*parts));
	const cJSON *member;
	cJSON_ArrayForEach(member, params)
	{
		char *text = field_text(member);
		parts[n++] = (struct http_part){.name = member->string, .data = text, .len = strlen(text)};
	}
	parts[n] = (struct http_part){.name = field,
	                              .filename = file_name,
	                              .content_type = "text/plain; charset=utf-8",
	                              .data = data,
	                              .len = len};
	cleanup_str struct str url = STR_INIT_MAX(4096);
	str_add(&url, api->prefix);
	str_add(&url, method);
	struct http_request req = {.method = "POST",
	                           .url = str_text(&url),
	                           .parts = parts,
	                           .n_parts = n + 1,
	                           .total_ms = UPLOAD_MS,
	                           .idle_ms = CALL_MS};
	start(api, &req, done, arg);
	for (size_t i = 0; i < n; i++)
		free((void *)parts[i].data);
	free(parts);
}
