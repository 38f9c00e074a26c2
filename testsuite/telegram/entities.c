/* What the three markup languages share: building the result, trimming it, and finding entities in plain text. */
#include "testsuite/telegram/entities.h"
#include "core/mem.h"
#include "core/text.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void tg_formatted_free(struct tg_formatted *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->entities[i].arg);
	free(f->entities);
	str_free(&f->text);
	*f = TG_FORMATTED_INIT;
}

void tg_formatted_add(struct tg_formatted *f, const char *type, size_t offset, size_t length, const char *arg)
{
	if (length == 0)
		return;
	f->entities = mem_resize(f->entities, f->n + 1, sizeof(*f->entities));
	f->entities[f->n++] = (struct tg_entity){type, offset, length, arg ? mem_strdup(arg) : NULL};
}

/* UTF-16 code units that the character starting with byte ${c} takes; 0 for a continuation byte. */
static size_t units_of(unsigned char c)
{
	if ((c & 0xc0) == 0x80)
		return 0;
	return c >= 0xf0 ? 2 : 1;
}

void tg_formatted_putc(struct tg_formatted *f, char c)
{
	str_addc(&f->text, c);
	f->units += units_of((unsigned char)c);
}

void tg_formatted_put_code(struct tg_formatted *f, unsigned code)
{
	if (code < 0x80) {
		tg_formatted_putc(f, (char)code);
	} else if (code < 0x800) {
		tg_formatted_putc(f, (char)(0xc0 | code >> 6));
		tg_formatted_putc(f, (char)(0x80 | (code & 0x3f)));
	} else if (code < 0x10000) {
		tg_formatted_putc(f, (char)(0xe0 | code >> 12));
		tg_formatted_putc(f, (char)(0x80 | (code >> 6 & 0x3f)));
		tg_formatted_putc(f, (char)(0x80 | (code & 0x3f)));
	} else {
		tg_formatted_putc(f, (char)(0xf0 | code >> 18));
		tg_formatted_putc(f, (char)(0x80 | (code >> 12 & 0x3f)));
		tg_formatted_putc(f, (char)(0x80 | (code >> 6 & 0x3f)));
		tg_formatted_putc(f, (char)(0x80 | (code & 0x3f)));
	}
}

char *tg_link_checked(const char *url)
{
	const char *host = strstr(url, "://");

	if (strncasecmp(url, "tg://", 5) == 0 || strncasecmp(url, "ton://", 6) == 0)
		return mem_strdup(url);
	if (host && strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0)
		return NULL;
	host = host ? host + 3 : url;
	size_t host_len = strcspn(host, "/?#");
	const char *at = memchr(host, '@', host_len);
	const char *name = at ? at + 1 : host;
	size_t name_len = host_len - (size_t)(name - host);
	if (name_len == 0 || strcspn(host, " \t\r\n<>\"") < host_len ||
	    (memchr(name, '.', name_len) == NULL && name[0] != '['))
		return NULL;
	return mem_printf("%s%.*s%s%s", host == url ? "http://" : "", (int)(host + host_len - url), url,
	                  host[host_len] == '/' ? "" : "/", host + host_len);
}

/* Cut ${skip} units off the front and everything past ${units}; entities follow the text. */
static void shift_entities(struct tg_formatted *f, size_t skip, size_t units)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->n; i++) {
		struct tg_entity e = f->entities[i];
		size_t end = e.offset + e.length > skip ? e.offset + e.length - skip : 0;
		e.offset = e.offset > skip ? e.offset - skip : 0;
		end = end < units ? end : units;
		if (e.offset < end) {
			e.length = end - e.offset;
			f->entities[kept++] = e;
		} else {
			free(e.arg);
		}
	}
	f->n = kept;
	f->units = units;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* Telegram shows no surrounding white space, so a text of nothing else is empty. */
static void trim(struct tg_formatted *f)
{
	const char *text = str_text(&f->text);
	size_t from = 0, to = f->text.len;

	while (to > 0 && is_blank(text[to - 1]))
		to--;
	while (from < to && is_blank(text[from]))
		from++;
	if (from == 0 && to == f->text.len)
		return;
	size_t units = text_utf16_len(text + from, to - from);
	char *kept = mem_strndup(text + from, to - from);
	str_cut(&f->text, 0);
	str_add(&f->text, kept);
	free(kept);
	shift_entities(f, from, units);
}

static bool overlaps(const struct tg_formatted *f, size_t n, size_t offset, size_t length)
{
	for (size_t i = 0; i < n; i++)
		if (f->entities[i].offset < offset + length &&
		    offset < f->entities[i].offset + f->entities[i].length &&
		    (strcmp(f->entities[i].type, "code") == 0 || strcmp(f->entities[i].type, "pre") == 0 ||
		     strcmp(f->entities[i].type, "text_link") == 0))
			return true;
	return false;
}

static bool word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (c & 0x80);
}

/* Bytes of an entity that Telegram finds by itself at ${p}, 0 for none. */
static size_t found_at(const char *p, const char **type)
{
	size_t n = 1;

	if (strncmp(p, "http://", 7) == 0 || strncmp(p, "https://", 8) == 0) {
		n = strcspn(p, " \t\r\n<>\"");
		while (n > 0 && strchr(".,;:!?)'", p[n - 1]))
			n--;
		char *copy = mem_strndup(p, n), *link = tg_link_checked(copy);
		bool ok = link != NULL;
		free(copy);
		free(link);
		*type = "url";
		return ok ? n : 0;
	}
	if (p[0] != '/' && p[0] != '@' && p[0] != '#')
		return 0;
	while (p[0] == '#' ? word(p[n]) : isalnum((unsigned char)p[n]) || p[n] == '_')
		n++;
	if (p[0] == '/' && n > 1 && p[n] == '@')
		for (n++; isalnum((unsigned char)p[n]) || p[n] == '_';)
			n++;
	*type = p[0] == '/' ? "bot_command" : p[0] == '@' ? "mention" : "hashtag";
	if (p[0] == '@')
		return n >= 5 ? n : 0;
	return n > 1 && p[n] != '/' ? n : 0;
}

static void find_plain(struct tg_formatted *f)
{
	const char *text = str_text(&f->text);
	size_t units = 0, marked = f->n;

	for (size_t i = 0; i < f->text.len;) {
		const char *type = NULL;
		bool start = i == 0 || (!word(text[i - 1]) && !strchr("/@#", text[i - 1]));
		size_t n = start ? found_at(text + i, &type) : 0;
		size_t length = text_utf16_len(text + i, n);
		if (n > 0 && !overlaps(f, marked, units, length)) {
			tg_formatted_add(f, type, units, length, NULL);
		} else if (n == 0) {
			n = 1;
			length = units_of((unsigned char)text[i]);
		}
		units += length;
		i += n;
	}
}

static int by_place(const void *a, const void *b)
{
	const struct tg_entity *x = a, *y = b;

	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	if (x->length != y->length)
		return x->length > y->length ? -1 : 1;
	return 0;
}

static int finish(struct tg_formatted *f, struct err *err)
{
	if (!text_is_utf8(str_text(&f->text), f->text.len))
		return err_set(err, ERR_INVALID, "strings must be encoded in UTF-8");
	trim(f);
	find_plain(f);
	if (f->n > 1)
		qsort(f->entities, f->n, sizeof(*f->entities), by_place);
	return 0;
}

static void put_plain(const char *text, struct tg_formatted *f)
{
	for (; *text; text++)
		if (*text != '\r')
			tg_formatted_putc(f, *text);
}

int tg_entities_parse(const char *mode, const char *text, struct tg_formatted *f, struct err *err)
{
	static const struct {
		const char *name;
		int (*parse)(const char *text, struct tg_formatted *f, struct err *err);
	} modes[] = {
	        {"html", tg_parse_html}, {"markdown", tg_parse_markdown}, {"markdownv2", tg_parse_markdown2}};

	if (!text_is_utf8(text, strlen(text)))
		return err_set(err, ERR_INVALID, "strings must be encoded in UTF-8");
	if (*mode == '\0' || strcasecmp(mode, "none") == 0) {
		put_plain(text, f);
		return finish(f, err);
	}
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		if (strcasecmp(mode, modes[i].name) != 0)
			continue;
		if (modes[i].parse(text, f, err) < 0)
			return err_wrap(err, "can't parse entities");
		return finish(f, err);
	}
	return err_set(err, ERR_INVALID, "unsupported parse_mode");
}

int tg_entities_given(const char *text, const cJSON *list, struct tg_formatted *f, struct err *err)
{
	static const char *const types[] = {"bold",
	                                    "italic",
	                                    "underline",
	                                    "strikethrough",
	                                    "spoiler",
	                                    "blockquote",
	                                    "expandable_blockquote",
	                                    "code",
	                                    "pre",
	                                    "text_link"};
	const cJSON *item;

	if (!text_is_utf8(text, strlen(text)))
		return err_set(err, ERR_INVALID, "strings must be encoded in UTF-8");
	put_plain(text, f);
	if (!cJSON_IsArray(list))
		list = NULL;
	cJSON_ArrayForEach(item, list)
	{
		int64_t offset = json_int(item, "offset", -1), length = json_int(item, "length", 0);
		const char *type = json_text(item, "type");
		if (offset < 0 || length <= 0 || (size_t)offset >= f->units || type == NULL)
			continue;
		size_t room = f->units - (size_t)offset;
		for (size_t i = 0; i < ARRAY_LEN(types); i++)
			if (strcmp(type, types[i]) == 0)
				tg_formatted_add(
				        f, types[i], (size_t)offset,
				        (size_t)length < room ? (size_t)length : room,
				        json_text(item, strcmp(type, "pre") == 0 ? "language" : "url"));
	}
	return finish(f, err);
}

cJSON *tg_entities_json(const struct tg_formatted *f)
{
	if (f->n == 0)
		return NULL;
	cJSON *list = json_array();
	for (size_t i = 0; i < f->n; i++) {
		const struct tg_entity *e = &f->entities[i];
		cJSON *item = json_object();
		json_add_int(item, "offset", (int64_t)e->offset);
		json_add_int(item, "length", (int64_t)e->length);
		json_add_text(item, "type", e->type);
		if (e->arg)
			json_add_text(item,
			              strcmp(e->type, "pre") == 0         ? "language"
			              : strcmp(e->type, "text_link") == 0 ? "url"
			                                                  : "custom_emoji_id",
			              e->arg);
		cJSON_AddItemToArray(list, item);
	}
	return list;
}
