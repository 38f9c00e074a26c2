/* See user_api.h. */
#include "testsuite/telegram/user_api.h"
#include "core/http_client.h"
#include "core/mem.h"
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX (64u << 20)

struct user_api {
	char *base, *authorization;
};

struct user_api *user_api_new(const char *base, const char *key)
{
	struct user_api *api = mem_alloc(sizeof(*api));
	size_t n = strlen(base);

	while (n > 0 && base[n - 1] == '/')
		n--;
	api->base = mem_strndup(base, n);
	api->authorization = mem_printf("Authorization: Bearer %s", key);
	return api;
}

void user_api_free(struct user_api *api)
{
	if (api == NULL)
		return;
	free(api->base);
	free(api->authorization);
	free(api);
}

/* The answer's object, or NULL with the error that its status means. */
static cJSON *understand(const struct http_reply *reply, struct err *err)
{
	cleanup_json cJSON *answer = json_parse(reply->body, reply->len, err);

	if (reply->status == 200 && cJSON_IsObject(answer))
		return TAKE(answer);
	const char *why = json_text(answer, "error");
	if (why == NULL)
		why = json_text(answer, "description");
	if (reply->status == 401)
		err_set(err, ERR_DENIED, "the Telegram server refused the key");
	else if (reply->status >= 400 && reply->status < 500 && why)
		err_set(err, ERR_INVALID, "%s", why);
	else
		err_set(err, ERR_NET, "the Telegram server answered HTTP %ld%s%s", reply->status,
		        why ? ": " : "", why ? why : "");
	return NULL;
}

static cJSON *request(struct user_api *api, const char *path, const cJSON *body, int wait_s, struct err *err)
{
	const char *headers[] = {api->authorization, NULL};
	cleanup_free char *url = mem_printf("%s%s", api->base, path);
	cleanup_free char *text = body ? json_print(body) : NULL;
	struct http_request req = {.url = url,
	                           .headers = headers,
	                           .content_type = body ? "application/json" : NULL,
	                           .body = text,
	                           .body_len = text ? strlen(text) : 0,
	                           .total_ms = (wait_s + 15) * 1000LL,
	                           .max_body = ANSWER_MAX};
	struct http_reply reply = {0};

	if (http_fetch(&req, &reply, err) < 0) {
		if (err->code != ERR_LIMIT)
			err->code = ERR_NET;
		err_wrap(err, "the Telegram server");
		return NULL;
	}
	cJSON *answer = understand(&reply, err);
	http_reply_free(&reply);
	return answer;
}

cJSON *user_api_post(struct user_api *api, const char *path, const cJSON *body, struct err *err)
{
	return request(api, path, body, 0, err);
}

cJSON *user_api_events(struct user_api *api, int64_t chat, int64_t after, int wait_s, struct err *err)
{
	cleanup_free char *path = mem_printf("/user/events?after=%lld&wait=%d", (long long)after, wait_s);
	cleanup_free char *of_chat = mem_printf("%s&chat=%lld", path, (long long)chat);

	return request(api, chat ? of_chat : path, NULL, wait_s, err);
}

cJSON *user_api_get(struct user_api *api, const char *path_and_query, struct err *err)
{
	return request(api, path_and_query, NULL, 0, err);
}
