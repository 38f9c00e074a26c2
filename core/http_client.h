/* HTTP with libcurl: asynchronous on a loop for servers, blocking for operations. Every request has a connect, a
 * total and an idle limit and a largest body. Proxies come from the usual environment variables. */
#ifndef CORE_HTTP_CLIENT_H
#define CORE_HTTP_CLIENT_H

#include "core/err.h"
#include "core/loop.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HTTP_NO_LIMIT (-1)
#define HTTP_ASK_MS 200

struct http_part { /* of multipart/form-data; `filename` NULL: a plain field */
	const char *name, *filename, *content_type;
	const void *data;
	size_t len;
};

struct http_request {
	const char *method; /* NULL: GET, or POST when there is a body or parts */
	const char *url;
	const char *unix_socket;    /* connect here instead of to the URL's host; NULL */
	const char *const *headers; /* "Name: value", NULL-terminated; NULL */
	const char *content_type;   /* of the body */
	const void *body;           /* copied */
	size_t body_len;
	int body_fd; /* > 0: the body is this regular file from its beginning, read as it is sent (borrowed) */
	/* Only of http_fetch: gives the next bytes of a body whose length nobody knows before, 0 at its end, -1 to give up (ERR_CANCELLED); ${method} PUT.
	 * May block. May be NULL. */
	ssize_t (*give)(void *arg, char *buf, size_t size);
	const struct http_part *parts; /* data copied */
	size_t n_parts;
	int64_t connect_ms, total_ms; /* 0: 5 s, 30 s; total_ms HTTP_NO_LIMIT: none */
	int64_t idle_ms; /* give up when nothing arrives for so long; 0: only the total limit. Second granularity */
	size_t max_body; /* 0: 8 MiB */
	/* Called with pieces of the body of a 2xx answer as they come (then the response has none) and says whether it wants
	 * more: the transfer ends well there if not. May be NULL. */
	bool (*on_data)(void *arg, const char *data, size_t len);
	/* Only of http_fetch: asked at least every HTTP_ASK_MS while it blocks; false: ERR_CANCELLED. May be NULL. */
	bool (*go_on)(void *arg);
	int wake_fd; /* Only of http_fetch: go_on is asked at once when this is readable too; <= 0: none (borrowed) */
	void *arg; /* of all three in http_fetch; http_start has its own */
};

struct http_response {
	long status;      /* HTTP status */
	const char *body; /* NUL-terminated, borrowed during the callback */
	size_t len;
	const char *content_type; /* "" when absent */
	int64_t retry_after_s;    /* from Retry-After; -1 when absent */
};

/** Exactly one of ${res} and ${err} is set. ERR_TIMEOUT, ERR_NET (no connection, reset, TLS), ERR_LIMIT. The URL is
 * never part of the message beyond its scheme, host and port: it may hold a token. */
typedef void http_done(void *arg, const struct http_response *res, const struct err *err);

/** Whether ${url} (http or https) is on this machine: localhost, 127.0.0.0/8 or [::1]. Nothing is resolved. */
bool http_is_local(const char *url);

struct http_client;
struct http_call;

int http_client_open(struct http_client **client, struct loop *loop, struct err *err);
/** Cancels what is under way without calling back. */
void http_client_close(struct http_client *client);

/** Start a request; ${done} is always called later, from the loop, unless cancelled. The call is borrowed until then. */
struct http_call *http_start(struct http_client *client, const struct http_request *req, http_done *done,
                             void *arg);
void http_cancel(struct http_call *call);

struct http_reply {
	bool heard; /* at least a line came, whatever became of the answer; set in failure too */
	long status;
	char *body; /* NUL-terminated, never NULL after success */
	size_t len;
	char content_type[128];
	char server[64]; /* who says to have answered: "Libpod/4.3.1 (linux)"; "" when it does not */
};

/** Blocking request. Returns 0 with ${reply} to free with http_reply_free whatever the status, or -1. */
int http_fetch(const struct http_request *req, struct http_reply *reply, struct err *err);
void http_reply_free(struct http_reply *reply);

#endif
