#include "core/http_form.h"

#include "core/mem.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static struct http_field *add(struct http_form *form, const char *name, size_t name_len, const char *value,
                              size_t len)
{
	struct http_field *f;

	if (form->n == HTTP_FORM_MAX)
		return NULL;
	if ((form->n & (form->n - 1)) == 0) /* room for the next power of two */
		form->fields = mem_resize(form->fields, form->n ? form->n * 2 : 1, sizeof(*form->fields));
	f = &form->fields[form->n++];
	f->name = mem_strndup(name, name_len);
	f->value = mem_alloc(len + 1);
	if (len)
		memcpy(f->value, value, len);
	f->len = len;
	f->cap = len + 1;
	f->filename = NULL;
	return f;
}

static void unescape(char *text)
{
	for (char *p = text; (p = strchr(p, '+')); p++)
		*p = ' ';
	MHD_http_unescape(text);
}

/* MHD's own parser of urlencoded bodies gives up at a long key, which JSON sent by mistake as a form is. */
static int read_urlencoded(struct http_form *form, const char *body, size_t len)
{
	const char *end = body + len;

	while (body < end) {
		const char *stop = memchr(body, '&', (size_t)(end - body));
		const char *next = stop ? stop + 1 : end;
		size_t n = (size_t)((stop ? stop : end) - body);
		const char *eq = memchr(body, '=', n);
		size_t name = eq ? (size_t)(eq - body) : n;
		struct http_field *f;

		if (n) {
			f = add(form, body, name, eq ? eq + 1 : "", eq ? n - name - 1 : 0);
			if (!f)
				return -1;
			unescape(f->name);
			unescape(f->value);
			f->len = strlen(f->value);
		}
		body = next;
	}
	return 0;
}

static enum MHD_Result take_query(void *arg, enum MHD_ValueKind kind, const char *key, const char *value)
{
	(void)kind;
	return add(arg, key, strlen(key), value ? value : "", value ? strlen(value) : 0) ? MHD_YES : MHD_NO;
}

static enum MHD_Result take_part(void *arg, enum MHD_ValueKind kind, const char *key, const char *filename,
                                 const char *content_type, const char *encoding, const char *data,
                                 uint64_t off, size_t size)
{
	struct http_form *form = arg;
	struct http_field *f;

	(void)kind, (void)content_type, (void)encoding;
	if (off && form->n) { /* goes on */
		f = &form->fields[form->n - 1];
		if (f->len + size + 1 > f->cap) {
			f->cap = 2 * (f->len + size + 1);
			f->value = mem_resize(f->value, f->cap, 1);
		}
		memcpy(f->value + f->len, data, size);
		f->len += size;
		f->value[f->len] = '\0';
		return MHD_YES;
	}
	if (!key)
		return MHD_YES;
	f = add(form, key, strlen(key), data, size);
	if (f && filename)
		f->filename = mem_strdup(filename);
	return f ? MHD_YES : MHD_NO;
}

static int read_multipart(struct http_form *form, struct MHD_Connection *connection, const char *body,
                          size_t len)
{
	struct MHD_PostProcessor *pp = MHD_create_post_processor(connection, 8192, take_part, form);
	enum MHD_Result fed, ended;

	if (!pp)
		return -1;
	fed = MHD_post_process(pp, body, len);
	ended = MHD_destroy_post_processor(pp);
	return fed == MHD_YES && ended == MHD_YES ? 0 : -1;
}

int http_form_read(struct http_form *form, struct MHD_Connection *connection, const char *body, size_t len)
{
	const char *type =
	        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
	int given = MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, NULL, NULL);

	if (given > HTTP_FORM_MAX)
		return -1;
	MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, take_query, form);
	if (type && !strncasecmp(type, "application/x-www-form-urlencoded", 33))
		return read_urlencoded(form, body, len);
	if (type && !strncasecmp(type, "multipart/form-data", 19))
		return read_multipart(form, connection, body, len);
	return 0;
}

void http_form_free(struct http_form *form)
{
	for (size_t i = 0; i < form->n; i++) {
		free(form->fields[i].name);
		free(form->fields[i].value);
		free(form->fields[i].filename);
	}
	free(form->fields);
	*form = (struct http_form){0};
}

const struct http_field *http_form_find(const struct http_form *form, const char *name, bool file)
{
	for (size_t i = 0; i < form->n; i++)
		if ((form->fields[i].filename != NULL) == file && !strcmp(form->fields[i].name, name))
			return &form->fields[i];
	return NULL;
}
