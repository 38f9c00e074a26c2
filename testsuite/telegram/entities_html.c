/* parse_mode HTML (Bot API, "HTML style"). An unknown tag is an error, an unknown &entity; stays as it is. */
#include "core/mem.h"
#include "core/text.h"
#include "testsuite/telegram/entities.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *tag, *type;
} tags[] = {
        {"b", "bold"},
        {"strong", "bold"},
        {"i", "italic"},
        {"em", "italic"},
        {"u", "underline"},
        {"ins", "underline"},
        {"s", "strikethrough"},
        {"strike", "strikethrough"},
        {"del", "strikethrough"},
        {"code", "code"},
        {"pre", "pre"},
        {"a", "text_link"},
        {"blockquote", "blockquote"},
        {"span", "spoiler"},
        {"tg-spoiler", "spoiler"},
        {"tg-emoji", "custom_emoji"},
};

struct open_tag {
	char tag[16];
	const char *type;
	char *arg;
	size_t units, bytes; /* where its text begins */
};

struct html {
	const char *text, *p;
	struct tg_formatted *out;
	struct open_tag *open;
	size_t n;
	struct err *err;
};

static bool space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

/* A character reference at *p: its code with *p moved past it, or 0. */
static unsigned reference(const char **p)
{
	static const struct {
		const char *name;
		char c;
	} named[] = {{"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}};
	const char *s = *p + 1;
	unsigned code = 0;

	if (s[0] == '#') {
		bool hex = s[1] == 'x';
		char *end;
		const char *digits = s + 1 + hex;
		if (!isxdigit((unsigned char)*digits))
			return 0;
		unsigned long value = strtoul(digits, &end, hex ? 16 : 10);
		if (value == 0 || value >= 0x10ffff || end - *p >= 10 || (value >= 0xd800 && value <= 0xdfff))
			return 0;
		code = (unsigned)value;
		s = end;
	} else {
		size_t n = 0;
		while (isalpha((unsigned char)s[n]))
			n++;
		for (size_t i = 0; i < ARRAY_LEN(named); i++)
			if (strlen(named[i].name) == n && strncmp(s, named[i].name, n) == 0)
				code = (unsigned)named[i].c;
		if (code == 0)
			return 0;
		s += n;
	}
	*p = s + (*s == ';');
	return code;
}

static const char *type_of(const char *tag)
{
	for (size_t i = 0; i < ARRAY_LEN(tags); i++)
		if (strcmp(tags[i].tag, tag) == 0)
			return tags[i].type;
	return NULL;
}

/* A quoted or bare attribute value at h->p into ${value}. */
static int attribute_value(struct html *h, size_t begin, struct str *value)
{
	struct tg_formatted decoded = TG_FORMATTED_INIT;

	if (*h->p != '"' && *h->p != '\'') {
		const char *from = h->p;
		for (; isalnum((unsigned char)*h->p) || *h->p == '.' || *h->p == '-'; h->p++)
			str_addc(value, (char)tolower((unsigned char)*h->p));
		if (*h->p && !space(*h->p) && *h->p != '>')
			return err_set(h->err, ERR_INVALID, "Unexpected end of name token at byte offset %zu",
			               (size_t)(from - h->text));
	} else {
		char quote = *h->p++;
		while (*h->p && *h->p != quote) {
			unsigned code = *h->p == '&' ? reference(&h->p) : 0;
			if (code)
				tg_formatted_put_code(&decoded, code);
			else
				tg_formatted_putc(&decoded, *h->p++);
		}
		str_add(value, str_text(&decoded.text));
		tg_formatted_free(&decoded);
		if (*h->p)
			h->p++;
	}
	if (*h->p == '\0')
		return err_set(h->err, ERR_INVALID, "Unclosed start tag at byte offset %zu", begin);
	return 0;
}

/* Keep the one attribute that means something for the tag. */
static void keep_attribute(struct open_tag *t, const char *name, size_t n, const char *value)
{
	static const struct {
		const char *tag, *name, *prefix;
	} wanted[] = {{"a", "href", ""},
	              {"code", "class", "language-"},
	              {"span", "class", "tg-"},
	              {"tg-emoji", "emoji-id", ""}};

	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		size_t skip = strlen(wanted[i].prefix);
		if (strcmp(t->tag, wanted[i].tag) != 0 || strlen(wanted[i].name) != n ||
		    strncmp(name, wanted[i].name, n) != 0 || strncmp(value, wanted[i].prefix, skip) != 0)
			continue;
		free(t->arg);
		t->arg = mem_strdup(value + skip);
	}
	if (strcmp(t->tag, "blockquote") == 0 && n == 10 && strncmp(name, "expandable", n) == 0)
		t->type = "expandable_blockquote";
}

static int attribute(struct html *h, struct open_tag *t, size_t begin)
{
	cleanup_str struct str value = STR_INIT_MAX(1u << 16);
	const char *name = h->p;

	while (*h->p && !space(*h->p) && *h->p != '=' && *h->p != '>')
		h->p++;
	size_t n = (size_t)(h->p - name);
	if (n == 0)
		return err_set(h->err, ERR_INVALID,
		               "Empty attribute name in the tag \"%s\" at byte offset %zu", t->tag, begin);
	while (space(*h->p))
		h->p++;
	if (*h->p != '=') {
		if (strcmp(t->tag, "blockquote") == 0) {
			keep_attribute(t, name, n, "");
			return 0;
		}
		return err_set(h->err, ERR_INVALID,
		               "Expected equal sign in declaration of an attribute of the tag \"%s\" at byte "
		               "offset %zu",
		               t->tag, begin);
	}
	h->p++;
	while (space(*h->p))
		h->p++;
	if (*h->p == '\0')
		return err_set(h->err, ERR_INVALID, "Unclosed start tag \"%s\" at byte offset %zu", t->tag,
		               begin);
	if (attribute_value(h, begin, &value) < 0)
		return -1;
	keep_attribute(t, name, n, str_text(&value));
	return 0;
}

static int start_tag(struct html *h, size_t begin)
{
	const char *name = h->p;

	while (*h->p && !space(*h->p) && *h->p != '>')
		h->p++;
	if (*h->p == '\0')
		return err_set(h->err, ERR_INVALID, "Unclosed start tag at byte offset %zu", begin);
	int n = (int)(h->p - name);
	struct open_tag t = {.units = h->out->units, .bytes = h->out->text.len};
	for (int i = 0; i < n && i < (int)sizeof(t.tag) - 1; i++)
		t.tag[i] = (char)tolower((unsigned char)name[i]);
	t.type = n < (int)sizeof(t.tag) ? type_of(t.tag) : NULL;
	if (t.type == NULL) {
		n = (int)text_utf16_prefix(name, (size_t)n, 64);
		return err_set(h->err, ERR_INVALID, "Unsupported start tag \"%.*s\" at byte offset %zu", n,
		               name, begin);
	}
	h->open = mem_resize(h->open, h->n + 1, sizeof(*h->open));
	struct open_tag *top = &h->open[h->n++];
	*top = t;
	while (*h->p != '>') {
		while (space(*h->p))
			h->p++;
		if (*h->p == '\0')
			return err_set(h->err, ERR_INVALID, "Unclosed start tag at byte offset %zu", begin);
		if (*h->p != '>' && attribute(h, top, begin) < 0)
			return -1;
	}
	h->p++;
	if (strcmp(top->tag, "span") == 0 && (top->arg == NULL || strcmp(top->arg, "spoiler") != 0))
		return err_set(h->err, ERR_INVALID,
		               "Tag \"span\" must have class \"tg-spoiler\" at byte offset %zu", begin);
	return 0;
}

/* <pre><code class="language-c">: one entity with a language, whichever way they nest. */
static void add_code(struct html *h, const struct open_tag *t, size_t length)
{
	struct tg_formatted *f = h->out;
	struct tg_entity *last = f->n ? &f->entities[f->n - 1] : NULL;
	bool same = last && last->offset == t->units && last->length == length;
	bool pre = strcmp(t->type, "pre") == 0;

	if (same && pre && strcmp(last->type, "code") == 0 && last->arg) {
		last->type = "pre";
	} else if (same && !pre && strcmp(last->type, "pre") == 0 && t->arg) {
		free(last->arg);
		last->arg = mem_strdup(t->arg);
	} else {
		tg_formatted_add(f, t->type, t->units, length, t->arg);
	}
}

static int add_entity(struct html *h, const struct open_tag *t)
{
	size_t length = h->out->units - t->units;

	if (length == 0)
		return 0;
	if (strcmp(t->type, "code") == 0 || strcmp(t->type, "pre") == 0) {
		add_code(h, t, length);
	} else if (strcmp(t->type, "text_link") == 0) {
		const char *url = t->arg && *t->arg ? t->arg : str_text(&h->out->text) + t->bytes;
		cleanup_free char *link = tg_link_checked(url);
		if (link)
			tg_formatted_add(h->out, t->type, t->units, length, link);
	} else if (strcmp(t->type, "custom_emoji") == 0) {
		if (t->arg == NULL || strtoll(t->arg, NULL, 10) == 0)
			return err_set(h->err, ERR_INVALID, "Invalid custom emoji identifier specified");
		tg_formatted_add(h->out, t->type, t->units, length, t->arg);
	} else {
		tg_formatted_add(h->out, t->type, t->units, length, NULL);
	}
	return 0;
}

static int end_tag(struct html *h, size_t begin)
{
	const char *name = h->p;

	if (h->n == 0)
		return err_set(h->err, ERR_INVALID, "Unexpected end tag at byte offset %zu", begin);
	while (*h->p && !space(*h->p) && *h->p != '>')
		h->p++;
	size_t n = (size_t)(h->p - name);
	while (space(*h->p))
		h->p++;
	if (*h->p != '>')
		return err_set(h->err, ERR_INVALID, "Unclosed end tag at byte offset %zu", begin);
	h->p++;
	struct open_tag *top = &h->open[h->n - 1];
	if (n > 0 && (strlen(top->tag) != n || strncasecmp(name, top->tag, n) != 0)) {
		char found[65] = "";
		n = text_utf16_prefix(name, n, 16);
		for (size_t i = 0; i < n && i < sizeof(found) - 1; i++)
			found[i] = (char)tolower((unsigned char)name[i]);
		return err_set(h->err, ERR_INVALID,
		               "Unmatched end tag at byte offset %zu, expected \"</%s>\", found \"</%s>\"",
		               begin, top->tag, found);
	}
	int rc = add_entity(h, top);
	free(top->arg);
	h->n--;
	return rc;
}

static int parse(struct html *h)
{
	while (*h->p) {
		unsigned code = *h->p == '&' ? reference(&h->p) : 0;
		if (code) {
			tg_formatted_put_code(h->out, code);
		} else if (*h->p != '<') {
			tg_formatted_putc(h->out, *h->p++);
		} else {
			size_t begin = (size_t)(h->p++ - h->text);
			bool end = *h->p == '/';
			h->p += end;
			if ((end ? end_tag(h, begin) : start_tag(h, begin)) < 0)
				return -1;
		}
	}
	if (h->n > 0)
		return err_set(h->err, ERR_INVALID, "Can't find end tag corresponding to start tag \"%s\"",
		               h->open[h->n - 1].tag);
	return 0;
}

int tg_parse_html(const char *text, struct tg_formatted *f, struct err *err)
{
	struct html h = {.text = text, .p = text, .out = f, .err = err};
	int rc = parse(&h);

	for (size_t i = 0; i < h.n; i++)
		free(h.open[i].arg);
	free(h.open);
	for (size_t i = 0; rc == 0 && i < f->n; i++) {
		/* inline code has no language */
		if (strcmp(f->entities[i].type, "code") == 0) {
			free(f->entities[i].arg);
			f->entities[i].arg = NULL;
		}
	}
	return rc;
}
