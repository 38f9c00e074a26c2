/* One HTTP transfer as curl sees it: what http_client's asynchronous and blocking requests share. Private to them.
 * Odd rule: no message ever holds more of a URL than scheme, host and port, because Telegram's path is a secret. */
#ifndef CORE_HTTP_TRANSFER_H
#define CORE_HTTP_TRANSFER_H

#include "core/http_client.h"
#include "core/str.h"
#include <curl/curl.h>
#include <stdbool.h>

struct http_transfer {
	CURL *easy;
	struct curl_slist *headers;
	curl_mime *mime;
	struct str body;
	size_t seen, max_body; /* bytes that came, and may come */
	int64_t total_ms, idle_s;
	bool (*on_data)(void *arg, const char *data, size_t len);
	ssize_t (*give)(void *arg, char *buf, size_t size);
	bool withdrawn; /* give gave up */
	void *arg;
	curl_off_t moved; /* bytes in both directions */
	int64_t moved_ms; /* when that changed last, monotonic */
	bool idle;        /* given up for silence */
	bool abandoned;   /* nobody wants to hear of it any more */
	bool too_large;
	bool enough;      /* on_data wants no more */
	int body_fd;      /* borrowed; <= 0: none */
	curl_off_t sent;  /* bytes of it */
	char origin[280]; /* "https://host:port", or the path of a Unix socket */
	char detail[CURL_ERROR_SIZE];
};

/** Prepare ${t} (zeroed) for ${req} on ${easy} (transferred, fresh or reset; NULL: make one). Returns 0, or -1 (ERR_INVALID)
 * for a request that can never be sent; http_transfer_free is due either way. */
int http_transfer_init(struct http_transfer *t, CURL *easy, const struct http_request *req, void *arg,
                       struct err *err);

/** What curl's ${code} means: 0 with ${res} filled (it borrows from ${t}), or -1. */
int http_transfer_result(struct http_transfer *t, CURLcode code, struct http_response *res, struct err *err);

/** Whether a line of an answer came before ${code}: a connection that is refused, reset or closed at once says nothing. */
bool http_transfer_heard(const struct http_transfer *t, CURLcode code);

/** Frees all but the easy handle, which is reset and transferred to the caller (NULL if there is none). */
CURL *http_transfer_free(struct http_transfer *t);

#endif
