/* A small HTTP/1.1 server on the loop (libmicrohttpd with its epoll descriptor watched by libuv): health, metrics,
 * pages, and the built-in Telegram server. An exchange may be answered later, which is how long polling works. */
#ifndef CORE_HTTP_SERVER_H
#define CORE_HTTP_SERVER_H

#include "core/err.h"
#include "core/loop.h"
#include <stdbool.h>
#include <stddef.h>

struct http_server;
struct http_exchange;

/** Called when a whole request has arrived. Must lead to exactly one http_answer*, now or later. */
typedef void http_handler(void *arg, struct http_exchange *x);

struct http_server_options {
	const char *host;    /* numeric address; NULL: 127.0.0.1 */
	int port;            /* 0: any free one */
	size_t max_body;     /* larger requests get 413; 0: 1 MiB */
	int max_connections; /* 0: 1024 */
	int idle_s;          /* close idle connections; 0: 75 */
};

/** Listen. ERR_EXISTS when the port is taken (message names it and says what to change). */
int http_server_open(struct http_server **server, struct loop *loop,
                     const struct http_server_options *options, http_handler *handler, void *arg,
                     struct err *err);
int http_server_port(const struct http_server *server);
/** Unanswered exchanges are closed. */
void http_server_close(struct http_server *server);

/* The request; everything is borrowed until the answer. */
const char *http_method(const struct http_exchange *x);
const char *http_path(const struct http_exchange *x);                     /* decoded, no query */
const char *http_header(const struct http_exchange *x, const char *name); /* NULL when absent */
const char *http_body(const struct http_exchange *x, size_t *len);        /* raw, NUL-terminated */
/** A parameter from the query string, an urlencoded body or a multipart field, in that order; NULL when absent. */
const char *http_param(const struct http_exchange *x, const char *name);
/** Walk all of them: returns the name of parameter ${i} and its ${*value}, NULL past the end. */
const char *http_param_at(const struct http_exchange *x, size_t i, const char **value);
/** A file of a multipart body: its data, ${*len} and ${*filename}; NULL when absent. */
const char *http_upload(const struct http_exchange *x, const char *name, size_t *len, const char **filename);

/** Call ${fn} when the client goes away before the answer; the exchange must still be answered (the answer is dropped). */
void http_on_gone(struct http_exchange *x, loop_fn *fn, void *arg);

/** Answer; ${body} is copied. The exchange is invalid afterwards. */
void http_answer(struct http_exchange *x, int status, const char *content_type, const void *body, size_t len);
/** The same with one more header. */
void http_answer_with(struct http_exchange *x, int status, const char *content_type, const void *body,
                      size_t len, const char *header, const char *value);
void http_answer_text(struct http_exchange *x, int status, const char *content_type, const char *text);
/** Close the connection without an answer (fault injection). */
void http_drop(struct http_exchange *x);

#endif
