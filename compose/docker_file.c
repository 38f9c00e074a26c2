/* A file out of a container: the engine sends it as a tar archive (ustar with PAX headers, POSIX.1-2001), of which the first
 * entry is wanted. What it holds was written by whoever runs in the container: nothing of it is believed. */
#include "compose/docker.h"
#include "compose/docker_http.h"
#include "core/mem.h"
#include "core/str.h"
#include "core/text.h"
#include <stdio.h>
#include <string.h>

#define BLOCK 512u
#define MAX_RECORDS (1u << 20)
#define MAX_HEADERS 8
#define SIZE_UNKNOWN (-1)

enum tar_state { TAR_HEADER, TAR_RECORDS, TAR_SKIP, TAR_CONTENT, TAR_DONE };

struct tar {
	enum tar_state state;
	unsigned char head[BLOCK];
	size_t n_head;
	int n_headers;
	uint64_t left, pad; /* bytes of the entry still to come, and up to the next block */
	int64_t pax_size;   /* from an extended header, for the entry behind it */
	struct str records, content;
	size_t max;
	struct err err; /* why it failed */
};

static int broken(struct tar *t, const char *what)
{
	return err_set(&t->err, ERR_ENGINE, "what Docker sent is no archive: %s", what);
}

/* Octal digits between blanks, or with the first bit set a big-endian number (GNU's form for large ones). */
static int read_number(const unsigned char *field, size_t size, int64_t *value)
{
	uint64_t v = 0;
	size_t i = 0;

	if (field[0] & 0x80) {
		v = field[0] & 0x7f;
		for (i = 1; i < size; i++) {
			if (v >> 55)
				return -1;
			v = v << 8 | field[i];
		}
	} else {
		while (i < size && field[i] == ' ')
			i++;
		for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
			v = v << 3 | (uint64_t)(field[i] - '0'); /* 12 digits at most */
		if (i < size && field[i] != ' ' && field[i] != '\0')
			return -1;
	}
	*value = (int64_t)v;
	return v > INT64_MAX ? -1 : 0;
}

static bool checksum_fits(const unsigned char *head)
{
	int64_t given, sum = 0;

	for (size_t i = 0; i < BLOCK; i++)
		sum += i >= 148 && i < 156 ? ' ' : head[i];
	return !read_number(head + 148, 8, &given) && given == sum;
}

/* "LENGTH KEY=VALUE\n" each, LENGTH counting all of it. Only the size matters here. */
static int read_records(struct tar *t)
{
	const char *p = str_text(&t->records), *end = p + t->records.len;

	while (p < end) {
		size_t digits = strspn(p, "0123456789"), len = 0;

		if (!digits || digits > 7)
			return broken(t, "its extended header");
		for (size_t i = 0; i < digits; i++)
			len = len * 10 + (size_t)(p[i] - '0');
		if (len > (size_t)(end - p) || len < digits + 2 || p[digits] != ' ' || p[len - 1] != '\n')
			return broken(t, "its extended header");
		const char *key = p + digits + 1;
		size_t n = len - digits - 2;
		if (n > 5 && !memcmp(key, "size=", 5)) {
			cleanup_free char *value = mem_strndup(key + 5, n - 5);
			if (text_int(value, &t->pax_size) || t->pax_size < 0)
				return broken(t, "the size in its extended header");
		}
		p += len;
	}
	return 0;
}

static const char *kind_of(char type)
{
	static const struct {
		char type;
		const char *name;
	} types[] = {{'1', "a hard link"}, {'2', "a symbolic link"}, {'3', "a device"},
	             {'4', "a device"},    {'5', "a directory"},     {'6', "a pipe"}};

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (types[i].type == type)
			return types[i].name;
	return "no file";
}

static int begin_file(struct tar *t, int64_t size)
{
	if (size > (int64_t)t->max || t->max > INT64_MAX)
		return err_set(&t->err, ERR_LIMIT, "it has %lld bytes, more than %zu", (long long)size,
		               t->max);
	t->left = (uint64_t)size;
	t->state = size ? TAR_CONTENT : TAR_DONE;
	return 0;
}

static int begin_entry(struct tar *t)
{
	char type = (char)t->head[156];
	int64_t size;

	t->n_head = 0;
	if (++t->n_headers > MAX_HEADERS)
		return broken(t, "too many headers");
	if (!checksum_fits(t->head) || read_number(t->head + 124, 12, &size))
		return broken(t, "its header");
	if (type == '0' || type == '\0' || type == '7')
		return begin_file(t, t->pax_size == SIZE_UNKNOWN ? size : t->pax_size);
	if (!strchr("xgLK", type))
		return err_set(&t->err, ERR_INVALID, "it is %s, not a file", kind_of(type));
	if (size > MAX_RECORDS)
		return broken(t, "its extended header is too large");
	str_cut(&t->records, 0);
	t->left = (uint64_t)size;
	t->pad = (BLOCK - t->left % BLOCK) % BLOCK;
	t->state = !size ? TAR_HEADER : type == 'x' ? TAR_RECORDS : TAR_SKIP;
	return 0;
}

static int end_entry(struct tar *t)
{
	if (t->state == TAR_CONTENT) {
		t->state = TAR_DONE;
		return 0;
	}
	if (t->state == TAR_RECORDS && read_records(t))
		return -1;
	t->state = TAR_SKIP;
	t->left = t->pad;
	t->pad = 0;
	if (!t->left)
		t->state = TAR_HEADER;
	return 0;
}

static bool take_tar(void *arg, const char *data, size_t len)
{
	struct tar *t = arg;
	int rc = 0;

	while (len && !rc && t->state != TAR_DONE) {
		size_t room = t->state == TAR_HEADER ? BLOCK - t->n_head
		              : t->left < len        ? (size_t)t->left
		                                     : len;
		size_t n = room < len ? room : len;

		if (t->state == TAR_HEADER)
			memcpy(t->head + t->n_head, data, n);
		else if (t->state != TAR_SKIP)
			str_addn(t->state == TAR_CONTENT ? &t->content : &t->records, data, n);
		data += n;
		len -= n;
		if (t->state != TAR_HEADER) {
			t->left -= n;
			rc = t->left ? 0 : end_entry(t);
		} else {
			t->n_head += n;
			rc = t->n_head == BLOCK ? begin_entry(t) : 0;
		}
	}
	return !rc && t->state != TAR_DONE;
}

/* Docker answers 500 for what would stand below a file; everywhere else that is not there. */
static void name_absence(struct err *err)
{
	static const char sign[] = ": not a directory";
	size_t len = strlen(err->msg), n = sizeof(sign) - 1;

	if (len >= n && !strcmp(err->msg + len - n, sign))
		err->code = ERR_NOT_FOUND;
}

static int fetch_file(struct tar *t, const char *url_path, struct err *err)
{
	struct http_request req = {.on_data = take_tar, .arg = t};
	struct http_reply reply = {0};
	int rc = docker_request(&req, url_path, &reply, err);

	if (!rc && reply.status != 200) {
		rc = docker_refusal(&reply, err);
		name_absence(err);
	}
	http_reply_free(&reply);
	if (!rc && t->err.code)
		rc = err_set(err, t->err.code, "%s", t->err.msg);
	else if (!rc && t->state != TAR_DONE)
		rc = err_set(err, ERR_ENGINE, "Docker ended the archive in the middle");
	return rc;
}

int docker_read_file(const char *container, const char *path, size_t max, char **text, size_t *len,
                     struct err *err)
{
	struct tar t = {.pax_size = SIZE_UNKNOWN,
	                .max = max,
	                .records = STR_INIT_MAX(MAX_RECORDS),
	                .content = STR_INIT_MAX(max)};
	cleanup_free char *escaped = docker_escape(path);

	if (docker_check_id(container, err))
		return -1;
	cleanup_free char *url_path = mem_printf("/containers/%s/archive?path=%s", container, escaped);
	int rc = fetch_file(&t, url_path, err);
	str_free(&t.records);
	if (!rc) {
		if (len)
			*len = t.content.len;
		*text = str_take(&t.content);
	}
	str_free(&t.content);
	return rc ? err_wrap(err, "read %s in %s", path, container) : 0;
}
