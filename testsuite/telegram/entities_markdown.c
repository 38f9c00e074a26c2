/* parse_mode Markdown (legacy, entities do not nest) and MarkdownV2 (they do, and every special character outside of
 * them must be escaped). Bot API, "MarkdownV2 style" and "Markdown style". */
#include "core/mem.h"
#include "testsuite/telegram/entities.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct markdown {
	const char *text, *p;
	struct tg_formatted *out;
	struct err *err;
};

static size_t at(const struct markdown *m)
{
	return (size_t)(m->p - m->text);
}

static bool space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* After ```: the language, if one stands there, and one line break. */
static char *skip_language(struct markdown *m)
{
	size_t n = 0;
	char *language = NULL;

	while (m->p[n] && !space(m->p[n]) && m->p[n] != '`')
		n++;
	if (n > 0 && m->p[n] && m->p[n] != '`') {
		language = mem_strndup(m->p, n);
		m->p += n;
	}
	if (*m->p == '\r' || *m->p == '\n') {
		bool two = (m->p[1] == '\r' || m->p[1] == '\n') && m->p[1] != m->p[0];
		m->p += two ? 2 : 1;
	}
	return language;
}

static void add_link(struct markdown *m, size_t units, const char *url)
{
	cleanup_free char *link = tg_link_checked(url);

	if (link)
		tg_formatted_add(m->out, "text_link", units, m->out->units - units, link);
}

/* [text](url): m->p stands on "]". */
static void legacy_link(struct markdown *m, size_t units, size_t bytes)
{
	cleanup_free char *url = NULL;

	if (m->p[1] != '(') {
		url = mem_strdup(str_text(&m->out->text) + bytes);
	} else {
		m->p += 2;
		size_t n = strcspn(m->p, ")");
		url = mem_strndup(m->p, n);
		m->p += n;
	}
	add_link(m, units, url);
}

static int legacy_entity(struct markdown *m)
{
	size_t begin = at(m), units = m->out->units, bytes = m->out->text.len;
	char c = *m->p++;
	bool pre = c == '`' && m->p[0] == '`' && m->p[1] == '`';
	cleanup_free char *language = NULL;

	if (pre) {
		m->p += 2;
		language = skip_language(m);
	}
	const char *end = pre ? "```" : c == '[' ? "]" : c == '_' ? "_" : c == '*' ? "*" : "`";
	while (*m->p && strncmp(m->p, end, strlen(end)) != 0)
		tg_formatted_putc(m->out, *m->p++);
	if (*m->p == '\0')
		return err_set(m->err, ERR_INVALID,
		               "Can't find end of the entity starting at byte offset %zu", begin);
	if (c == '[')
		legacy_link(m, units, bytes);
	else
		tg_formatted_add(m->out,
		                 pre        ? "pre"
		                 : c == '_' ? "italic"
		                 : c == '*' ? "bold"
		                            : "code",
		                 units, m->out->units - units, language);
	m->p += pre ? 3 : *m->p != '\0';
	return 0;
}

int tg_parse_markdown(const char *text, struct tg_formatted *f, struct err *err)
{
	struct markdown m = {text, text, f, err};

	while (*m.p) {
		if (*m.p == '\\' && m.p[1] && strchr("_*`[", m.p[1])) {
			tg_formatted_putc(f, m.p[1]);
			m.p += 2;
		} else if (!strchr("_*`[", *m.p)) {
			tg_formatted_putc(f, *m.p++);
		} else if (legacy_entity(&m) < 0) {
			return -1;
		}
	}
	return 0;
}

/* MarkdownV2. */

enum kind { BOLD, ITALIC, UNDERLINE, STRIKE, SPOILER, CODE, PRE, LINK, EMOJI, QUOTE, KINDS };

/* In the order in which they are tried: longer marks first. `name` is what the error text calls it. */
static const struct {
	const char *open, *close, *type, *name;
} kinds[KINDS] = {
        [UNDERLINE] = {"__", "__", "underline", "Underline"},
        [ITALIC] = {"_", "_", "italic", "Italic"},
        [BOLD] = {"*", "*", "bold", "Bold"},
        [STRIKE] = {"~", "~", "strikethrough", "Strikethrough"},
        [SPOILER] = {"||", "||", "spoiler", "Spoiler"},
        [PRE] = {"```", "```", "pre", "Pre"},
        [CODE] = {"`", "`", "code", "Code"},
        [EMOJI] = {"![", "]", "custom_emoji", "CustomEmoji"},
        [LINK] = {"[", "]", "text_link", "TextUrl"},
        [QUOTE] = {"", "", "blockquote", "BlockQuote"},
};
static const enum kind order[] = {UNDERLINE, ITALIC, BOLD, STRIKE, SPOILER, PRE, CODE, EMOJI, LINK};

struct open_mark {
	enum kind kind;
	char *language;
	size_t units, bytes, begin;
};

struct markdown2 {
	struct markdown m;
	struct open_mark *open;
	size_t n;
	bool quote;
};

static bool starts(const char *p, const char *mark)
{
	return strncmp(p, mark, strlen(mark)) == 0;
}

static bool escaped(const char *p)
{
	return p[0] == '\\' && p[1] > 0 && p[1] <= 126;
}

static void push(struct markdown2 *v, enum kind kind, size_t begin, char *language)
{
	v->open = mem_resize(v->open, v->n + 1, sizeof(*v->open));
	v->open[v->n++] = (struct open_mark){kind, language, v->m.out->units, v->m.out->text.len, begin};
}

static int unclosed(struct markdown2 *v)
{
	const struct open_mark *top = &v->open[v->n - 1];

	return err_set(v->m.err, ERR_INVALID, "Can't find end of %s entity at byte offset %zu",
	               kinds[top->kind].name, top->begin);
}

static int reserved(struct markdown2 *v)
{
	return err_set(v->m.err, ERR_INVALID,
	               "Character '%c' is reserved and must be escaped with the preceding '\\'", *v->m.p);
}

/* (url) after "]": m.p stands on "("; ends on ")". */
static int target(struct markdown2 *v, const char *what, struct str *url)
{
	struct markdown *m = &v->m;
	size_t begin = at(m) + 1;

	for (m->p++; *m->p && *m->p != ')'; m->p++) {
		if (escaped(m->p))
			m->p++;
		str_addc(url, *m->p);
	}
	if (*m->p != ')')
		return err_set(m->err, ERR_INVALID, "Can't find end of a %s at byte offset %zu", what, begin);
	return 0;
}

static int close_link(struct markdown2 *v, const struct open_mark *top)
{
	struct markdown *m = &v->m;
	cleanup_str struct str url = STR_INIT_MAX(1u << 16);

	if (m->p[1] == '(') {
		m->p++;
		if (target(v, top->kind == EMOJI ? "custom emoji URL" : "URL", &url) < 0)
			return -1;
	} else if (top->kind == EMOJI) {
		return err_set(m->err, ERR_INVALID, "Custom emoji entity must contain a tg://emoji URL");
	} else {
		str_add(&url, str_text(&m->out->text) + top->bytes);
	}
	m->p++;
	if (top->kind == LINK) {
		add_link(m, top->units, str_text(&url));
		return 0;
	}
	const char *id = strstr(str_text(&url), "id=");
	if (!starts(str_text(&url), "tg://emoji?") || id == NULL || strtoll(id + 3, NULL, 10) == 0)
		return err_set(m->err, ERR_INVALID, "Custom emoji URL must have an emoji identifier");
	tg_formatted_add(m->out, "custom_emoji", top->units, m->out->units - top->units, id + 3);
	return 0;
}

static int close_mark(struct markdown2 *v)
{
	assert(v->open && v->n); /* closes() said so */
	struct open_mark top = v->open[v->n - 1];
	struct tg_formatted *f = v->m.out;
	int rc = 0;

	if (*v->m.p == '\n' && top.kind != QUOTE)
		return unclosed(v);
	v->n--;
	if (top.kind == QUOTE) {
		tg_formatted_add(f, "blockquote", top.units, f->units - top.units, NULL);
		v->quote = false;
		tg_formatted_putc(f, *v->m.p++);
	} else if (top.kind == LINK || top.kind == EMOJI) {
		rc = close_link(v, &top);
	} else {
		tg_formatted_add(f, kinds[top.kind].type, top.units, f->units - top.units, top.language);
		v->m.p += strlen(kinds[top.kind].close);
	}
	free(top.language);
	return rc;
}

static bool closes(const struct markdown2 *v)
{
	const char *p = v->m.p;

	if (v->n == 0)
		return false;
	if (v->quote && *p == '\n' && p[1] != '>')
		return true;
	enum kind kind = v->open[v->n - 1].kind;
	if (kind == QUOTE)
		return false;
	if (kind == ITALIC)
		return p[0] == '_' && p[1] != '_';
	return starts(p, kinds[kind].close);
}

static int open_mark(struct markdown2 *v)
{
	struct markdown *m = &v->m;
	size_t begin = at(m);

	if (*m->p == '\n') {
		tg_formatted_putc(m->out, *m->p++);
		if (*m->p == '>') {
			m->p++;
			if (!v->quote)
				push(v, QUOTE, begin, NULL);
			v->quote = true;
		}
		return 0;
	}
	if (*m->p == '>' && begin == 0) {
		m->p++;
		v->quote = true;
		push(v, QUOTE, begin, NULL);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		if (!starts(m->p, kinds[order[i]].open))
			continue;
		m->p += strlen(kinds[order[i]].open);
		push(v, order[i], begin, order[i] == PRE ? skip_language(m) : NULL);
		return 0;
	}
	return reserved(v);
}

static int step(struct markdown2 *v)
{
	struct markdown *m = &v->m;
	enum kind top = v->n ? v->open[v->n - 1].kind : KINDS;

	if (escaped(m->p)) {
		tg_formatted_putc(m->out, m->p[1]);
		m->p += 2;
		return 0;
	}
	if (!strchr(top == CODE || top == PRE ? "`" : "_*[]()~`>#+-=|{}.!\n", *m->p)) {
		tg_formatted_putc(m->out, *m->p++);
		return 0;
	}
	if (closes(v))
		return close_mark(v);
	if (top == PRE || top == CODE) {
		/* one ` inside of ``` belongs to the code */
		tg_formatted_putc(m->out, *m->p++);
		return 0;
	}
	return open_mark(v);
}

int tg_parse_markdown2(const char *text, struct tg_formatted *f, struct err *err)
{
	struct markdown2 v = {.m = {text, text, f, err}};
	int rc = 0;

	while (rc == 0 && *v.m.p)
		rc = step(&v);
	if (rc == 0 && v.n > 0 && v.open[v.n - 1].kind == QUOTE) {
		tg_formatted_add(f, "blockquote", v.open[v.n - 1].units, f->units - v.open[v.n - 1].units,
		                 NULL);
		v.n--;
	}
	if (rc == 0 && v.n > 0)
		rc = unclosed(&v);
	for (size_t i = 0; i < v.n; i++)
		free(v.open[i].language);
	free(v.open);
	return rc;
}
