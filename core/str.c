#include "core/str.h"
#include "core/mem.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Make room for ${n} more bytes and the NUL; false (and overflow) when that would pass the bound. */
static bool reserve(struct str *s, size_t n)
{
	if (s->overflow || n > s->max || s->len > s->max - n) {
		s->overflow = true;
		return false;
	}
	if (s->len + n + 1 > s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 64;
		while (cap < s->len + n + 1)
			cap *= 2;
		s->p = mem_resize(s->p, cap, 1);
		s->cap = cap;
	}
	return true;
}

void str_addn(struct str *s, const char *text, size_t n)
{
	if (!reserve(s, n))
		return;
	if (n)
		memcpy(s->p + s->len, text, n);
	s->len += n;
	s->p[s->len] = '\0';
}

void str_add(struct str *s, const char *text)
{
	str_addn(s, text, strlen(text));
}

void str_addc(struct str *s, char c)
{
	str_addn(s, &c, 1);
}

void str_addf(struct str *s, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	if (n >= 0 && reserve(s, (size_t)n)) {
		vsnprintf(s->p + s->len, (size_t)n + 1, fmt, again);
		s->len += (size_t)n;
	}
	va_end(again);
	va_end(ap);
}

void str_add_html(struct str *s, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			str_add(s, "&amp;");
			break;
		case '<':
			str_add(s, "&lt;");
			break;
		case '>':
			str_add(s, "&gt;");
			break;
		case '"':
			str_add(s, "&quot;");
			break;
		default:
			str_addc(s, *text);
		}
	}
}

void str_add_json(struct str *s, const char *text)
{
	str_addc(s, '"');
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		size_t plain = 0;
		while (p[plain] >= 32 && p[plain] != 127 && p[plain] != '"' && p[plain] != '\\')
			plain++;
		str_addn(s, (const char *)p, plain);
		p += plain;
		if (!*p)
			break;
		if (*p == '"' || *p == '\\')
			str_addf(s, "\\%c", *p);
		else if (*p == '\n')
			str_add(s, "\\n");
		else
			str_addf(s, "\\u%04x", *p);
	}
	str_addc(s, '"');
}

void str_add_url(struct str *s, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c < 128 && (isalnum(c) || strchr("-._~", c)) && c)
			str_addc(s, (char)c);
		else
			str_addf(s, "%%%02X", c);
	}
}

const char *str_text(const struct str *s)
{
	return s->p ? s->p : "";
}

char *str_take(struct str *s)
{
	char *p = s->p ? s->p : mem_strdup("");
	*s = STR_INIT_MAX(s->max);
	return p;
}

void str_cut(struct str *s, size_t len)
{
	if (len < s->len) {
		s->len = len;
		s->p[len] = '\0';
	}
}

void str_free(struct str *s)
{
	free(s->p);
	*s = STR_INIT_MAX(s->max);
}
