#include "bot/html.h"
#include "core/mem.h"
#include "core/text.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 16

struct tags { /* open ones, as they stand in the text */
	const char *at[MAX_DEPTH];
	size_t len[MAX_DEPTH];
	size_t depth;
};

struct place {
	const char *at;
	size_t units;
	struct tags tags;
};

enum token { TOKEN_END, TOKEN_TAG, TOKEN_ENTITY, TOKEN_CHAR };

static const struct {
	const char *text;
	size_t len;
	char c;
} entities[] = {{"&lt;", 4, '<'}, {"&gt;", 4, '>'}, {"&amp;", 5, '&'}, {"&quot;", 6, '"'}};

static size_t char_len(const char *s)
{
	unsigned char c = (unsigned char)*s;
	size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	for (size_t i = 1; i < n; i++)
		if (((unsigned char)s[i] & 0xc0) != 0x80)
			return i;
	return n;
}

static enum token next(const char *s, size_t *len)
{
	const char *end;
	if (!*s)
		return TOKEN_END;
	if (*s == '<' && (end = strchr(s, '>'))) {
		*len = (size_t)(end - s) + 1;
		return TOKEN_TAG;
	}
	if (*s == '&') {
		size_t n = strcspn(s, "; \n<");
		if (s[n] == ';' && n <= 8) {
			*len = n + 1;
			return TOKEN_ENTITY;
		}
	}
	*len = char_len(s);
	return TOKEN_CHAR;
}

static size_t units_of(enum token token, const char *s, size_t len)
{
	if (token == TOKEN_CHAR)
		return len == 4 ? 2 : 1;
	return token == TOKEN_ENTITY && s[1] == '#' ? 2 : token == TOKEN_ENTITY;
}

size_t html_units(const char *html)
{
	size_t units = 0, len = 0;
	for (enum token t; (t = next(html, &len)) != TOKEN_END; html += len)
		units += units_of(t, html, len);
	return units;
}

static void track(struct tags *tags, const char *tag, size_t len)
{
	if (tag[1] == '/') {
		if (tags->depth)
			tags->depth--;
	} else if (tags->depth < MAX_DEPTH) {
		tags->at[tags->depth] = tag;
		tags->len[tags->depth++] = len;
	}
}

static void open_tags(struct str *out, const struct tags *tags)
{
	for (size_t i = 0; i < tags->depth; i++)
		str_addn(out, tags->at[i], tags->len[i]);
}

static void close_tags(struct str *out, const struct tags *tags)
{
	for (size_t i = tags->depth; i-- > 0;) {
		str_add(out, "</");
		str_addn(out, tags->at[i] + 1, strcspn(tags->at[i] + 1, " >"));
		str_add(out, ">");
	}
}

/* Walk from ${from} until the end or ${max} units, and choose where to cut. */
static struct place find_cut(const struct place *from, size_t max, bool *last)
{
	struct place here = *from, line = {0}, space = {0};
	size_t len = 0;
	here.units = 0;
	*last = false;
	for (;;) {
		enum token t = next(here.at, &len);
		size_t units = t == TOKEN_END ? 0 : units_of(t, here.at, len);
		if (t == TOKEN_END) {
			*last = true;
			return here;
		}
		if (t == TOKEN_CHAR && *here.at == '\n')
			line = here;
		else if (t == TOKEN_CHAR && *here.at == ' ')
			space = here;
		if (here.units + units > max)
			break;
		if (t == TOKEN_TAG)
			track(&here.tags, here.at, len);
		here.units += units;
		here.at += len;
	}
	if (line.at && line.units >= max / 2)
		return line;
	return space.at && space.units >= max / 2 ? space : here;
}

static bool blank(const char *html)
{
	size_t len = 0;
	for (enum token t; (t = next(html, &len)) != TOKEN_END; html += len)
		if (t == TOKEN_ENTITY || (t == TOKEN_CHAR && !strchr(" \n\t\r", *html)))
			return false;
	return true;
}

size_t html_split(const char *html, size_t max_units, char ***pieces)
{
	size_t n = 0;
	bool last = false;
	struct place from = {.at = html};
	*pieces = NULL;
	while (!last) {
		struct place cut = find_cut(&from, max_units, &last);
		struct str out = STR_INIT;
		open_tags(&out, &from.tags);
		str_addn(&out, from.at, (size_t)(cut.at - from.at));
		close_tags(&out, &cut.tags);
		if (blank(str_text(&out))) {
			str_free(&out);
		} else {
			*pieces = mem_resize(*pieces, n + 1, sizeof(**pieces));
			(*pieces)[n++] = str_take(&out);
		}
		from = cut;
		if (*from.at == '\n' || *from.at == ' ')
			from.at++;
	}
	return n;
}

static bool add_named(const char *s, size_t n, struct str *out)
{
	for (size_t i = 0; i < ARRAY_LEN(entities); i++) {
		if (entities[i].len == n && memcmp(entities[i].text, s, n) == 0) {
			str_addc(out, entities[i].c);
			return true;
		}
	}
	return false;
}

void html_plain(const char *html, struct str *out)
{
	size_t len = 0;
	for (enum token t; (t = next(html, &len)) != TOKEN_END; html += len)
		if (t == TOKEN_CHAR || (t == TOKEN_ENTITY && !add_named(html, len, out)))
			str_addn(out, html, len);
}
