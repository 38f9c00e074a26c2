/* Parameters of a request to http_server: query string, urlencoded body, multipart body. Private to it. The number is
 * bounded because a body of one megabyte can hold half a million of them. */
#ifndef CORE_HTTP_FORM_H
#define CORE_HTTP_FORM_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

#define HTTP_FORM_MAX 1000

struct http_field {
	char *name, *value;
	char *filename;  /* not NULL: an uploaded file */
	size_t len, cap; /* of the value */
};

struct http_form {
	struct http_field *fields;
	size_t n;
};

/** Add the parameters of ${connection}'s query and of its ${body} when that is a form. Returns 0, or -1 when there are too
 * many or a multipart body is malformed. Other bodies are not looked at. */
int http_form_read(struct http_form *form, struct MHD_Connection *connection, const char *body, size_t len);
void http_form_free(struct http_form *form);

/** First field (not file) called ${name}, or first file when ${file}; NULL when there is none. */
const struct http_field *http_form_find(const struct http_form *form, const char *name, bool file);

#endif
