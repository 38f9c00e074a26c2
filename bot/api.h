/* The Bot API as a client: POST bodies only (some servers read nothing else), every answer sorted into what the caller
 * must do about it. Sources: core.telegram.org/bots/api "Making requests", "ResponseParameters". */
#ifndef BOT_API_H
#define BOT_API_H

#include "core/err.h"
#include "core/http_client.h"
#include "core/json.h"
#include "core/loop.h"
#include <stddef.h>
#include <stdint.h>

enum api_status {
	API_OK,
	API_TOKEN,    /* 401: the token is not, or no longer, valid */
	API_CONFLICT, /* 409: another poller, or a webhook */
	API_FLOOD,    /* 429: wait retry_after_ms */
	API_REFUSED,  /* any other error in the API's own words: repeating it will not help */
	API_SERVER,   /* 5xx, or an answer that is no Bot API answer (a proxy's HTML page) */
	API_NETWORK,  /* no answer */
};

struct api_result {
	enum api_status status;
	int code;                /* error_code or HTTP status, 0 without an answer */
	const char *description; /* never NULL; holds no token */
	int64_t retry_after_ms;  /* API_FLOOD; at least 1000 */
	int64_t migrate_to;      /* the chat's new id, 0 */
	const cJSON *result;     /* API_OK; may be JSON null with some servers */
};

/** ${res} is borrowed during the callback. */
typedef void api_done(void *arg, const struct api_result *res);

struct api;

/** ${base} is the server ("https://api.telegram.org"); ${token} is told to the log's redaction. Both are copied. */
int api_open(struct api **api, struct loop *loop, const char *base, const char *token, struct err *err);
/** Calls under way end without calling back. */
void api_close(struct api *api);
/** End the calls that were started with ${arg}, without calling back. */
void api_cancel(struct api *api, const void *arg);

/** The numeric id in front of the token; 0 when it has not the shape of one ("<digits>:<at least 20 of [A-Za-z0-9_-]>"). */
int64_t api_token_id(const char *token);

/**
 * Call ${method} with the JSON object ${body} (${len} bytes, copied). ${wait_ms} is how long the server may hold the
 * answer on purpose (long polling); limits are set above it. ${done} is called later, exactly once, from the loop.
 */
void api_call(struct api *api, const char *method, const char *body, size_t len, int64_t wait_ms,
              api_done *done, void *arg);

/** Upload ${data} as the file ${field} named ${file_name}; ${params} is an object whose members become form fields. */
void api_upload(struct api *api, const char *method, const cJSON *params, const char *field,
                const char *file_name, const void *data, size_t len, api_done *done, void *arg);

#endif
