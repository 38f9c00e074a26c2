#include "core/text.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 64

/* Decode one character of valid or invalid UTF-8: its length in bytes, 0 when it is not valid (RFC 3629). */
static size_t decode(const unsigned char *s, size_t n, uint32_t *c)
{
	static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = s[0] < 0x80                   ? 1
	             : s[0] >= 0xf0 && s[0] < 0xf8 ? 4
	             : s[0] >= 0xe0                ? 3
	             : s[0] >= 0xc0                ? 2
	                                           : 0;
	if (!len || s[0] >= 0xf8 || len > n)
		return 0;
	*c = len == 1 ? s[0] : s[0] & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (s[i] & 0x3f);
	}
	if (len > 1 && *c < lowest[len])
		return 0;
	return *c > 0x10ffff || (*c >= 0xd800 && *c < 0xe000) ? 0 : len;
}

/* Bytes of ASCII at the beginning, whole words at a time: most of what passes through here is nothing else. */
static size_t ascii_prefix(const char *s, size_t n)
{
	size_t i = 0;
	for (uint64_t word; n - i >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, s + i, sizeof(word));
		if (word & UINT64_C(0x8080808080808080))
			break;
	}
	return i;
}

bool text_is_utf8(const char *s, size_t n)
{
	uint32_t c;
	for (size_t i = ascii_prefix(s, n); i < n;) {
		size_t len = decode((const unsigned char *)s + i, n - i, &c);
		if (!len)
			return false;
		i += len;
	}
	return true;
}

bool text_make_utf8(char *s, size_t n)
{
	uint32_t c;
	bool bad = false;
	for (size_t i = 0; i < n;) {
		size_t len = decode((const unsigned char *)s + i, n - i, &c);
		if (!len) {
			s[i] = '?';
			bad = true;
		}
		i += len ? len : 1;
	}
	return bad;
}

size_t text_control(const char *s)
{
	const unsigned char *c = (const unsigned char *)s;
	if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)
		return 2;
	return c[0] && (c[0] < 32 || c[0] == 127);
}

void text_blank(char *s, const char *keep)
{
	char *to = s;
	for (size_t n; *s; s += n ? n : 1) {
		n = text_control(s);
		*to++ = n && !strchr(keep, *s) ? ' ' : *s;
	}
	*to = '\0';
}

int text_int(const char *text, int64_t *value)
{
	char *end;
	errno = 0;
	long long v = strtoll(text, &end, 10);
	if (end == text || *end || errno || isspace((unsigned char)*text))
		return -1;
	*value = v;
	return 0;
}

size_t text_utf8_prefix(const char *s, size_t n)
{
	size_t start = n; /* of the last character */
	while (start && n - start < 4 && ((unsigned char)s[start - 1] & 0xc0) == 0x80)
		start--;
	if (!start || (unsigned char)s[start - 1] < 0xc0)
		return n;
	start--;
	unsigned char lead = (unsigned char)s[start];
	size_t need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
	return n - start < need ? start : n;
}

size_t text_utf16_len(const char *s, size_t n)
{
	size_t units = 0;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		units += (c & 0xc0) != 0x80;
		units += c >= 0xf0;
	}
	return units;
}

size_t text_utf16_prefix(const char *s, size_t n, size_t units)
{
	size_t i = 0;
	while (i < n) {
		unsigned char c = (unsigned char)s[i];
		size_t need = c >= 0xf0 ? 2 : 1;
		if (need > units)
			break;
		units -= need;
		i++;
		while (i < n && ((unsigned char)s[i] & 0xc0) == 0x80)
			i++;
	}
	return i;
}

/* wcwidth(3) depends on the locale, which programs of ours do not set; these are the ranges that matter. */
static size_t columns_of(uint32_t c)
{
	static const struct {
		uint32_t first, last;
		size_t columns;
	} ranges[] = {
	        {0x0000, 0x001f, 0},   {0x007f, 0x009f, 0},   {0x0300, 0x036f, 0},   {0x1100, 0x115f, 2},
	        {0x200b, 0x200f, 0},   {0x20d0, 0x20ff, 0},   {0x231a, 0x231b, 2},   {0x23e9, 0x23ec, 2},
	        {0x23f0, 0x23f0, 2},   {0x23f3, 0x23f3, 2},   {0x25fd, 0x25fe, 2},   {0x2614, 0x2615, 2},
	        {0x2648, 0x2653, 2},   {0x267f, 0x267f, 2},   {0x2693, 0x2693, 2},   {0x26a1, 0x26a1, 2},
	        {0x26aa, 0x26ab, 2},   {0x26bd, 0x26be, 2},   {0x26c4, 0x26c5, 2},   {0x26ce, 0x26ce, 2},
	        {0x26d4, 0x26d4, 2},   {0x26ea, 0x26ea, 2},   {0x26f2, 0x26f3, 2},   {0x26f5, 0x26f5, 2},
	        {0x26fa, 0x26fa, 2},   {0x26fd, 0x26fd, 2},   {0x2705, 0x2705, 2},   {0x270a, 0x270b, 2},
	        {0x2728, 0x2728, 2},   {0x274c, 0x274c, 2},   {0x274e, 0x274e, 2},   {0x2753, 0x2755, 2},
	        {0x2757, 0x2757, 2},   {0x2795, 0x2797, 2},   {0x27b0, 0x27b0, 2},   {0x27bf, 0x27bf, 2},
	        {0x2b1b, 0x2b1c, 2},   {0x2b50, 0x2b50, 2},   {0x2b55, 0x2b55, 2},   {0x2e80, 0x303e, 2},
	        {0x3041, 0xa4cf, 2},   {0xac00, 0xd7a3, 2},   {0xf900, 0xfaff, 2},   {0xfe00, 0xfe0f, 0},
	        {0xff00, 0xff60, 2},   {0xffe0, 0xffe6, 2},   {0x1f18e, 0x1f18e, 2}, {0x1f191, 0x1f19a, 2},
	        {0x1f300, 0x1f64f, 2}, {0x1f680, 0x1f6ff, 2}, {0x1f7e0, 0x1f7eb, 2}, {0x1f900, 0x1f9ff, 2},
	        {0x1fa70, 0x1faff, 2}, {0x20000, 0x3fffd, 2},
	};
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return ranges[i].columns;
	return 1;
}

size_t text_columns(const char *s, size_t n)
{
	size_t columns = 0;
	for (size_t i = 0; i < n;) {
		uint32_t c = 0;
		size_t len = decode((const unsigned char *)s + i, n - i, &c);
		columns += len ? columns_of(c) : 1;
		i += len ? len : 1;
	}
	return columns;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned text_distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	if (n > WORD_MAX || m > WORD_MAX)
		return (unsigned)(n > m ? n : m);
	unsigned d[WORD_MAX + 1][WORD_MAX + 1];
	for (unsigned i = 0; i <= n; i++)
		d[i][0] = i;
	for (unsigned j = 0; j <= m; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		for (size_t j = 1; j <= m; j++) {
			d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1,
			                d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
		}
	}
	return d[n][m];
}

const char *text_nearest(const char *word, const char *const *words)
{
	const char *best = NULL;
	unsigned len = (unsigned)strlen(word), nearer_than = len / 3 + 2;
	for (; *words; words++) {
		unsigned d = text_distance(word, *words);
		if (d < nearer_than && (d < len || !d)) {
			nearer_than = d;
			best = *words;
		}
	}
	return best;
}

uint64_t text_hash(const char *text)
{
	uint64_t h = 14695981039346656037u;
	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 1099511628211u;
	return h;
}
