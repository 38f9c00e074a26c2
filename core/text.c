#include "core/text.h"
#include <stdint.h>
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

bool text_is_utf8(const char *s, size_t n)
{
	uint32_t c;
	for (size_t i = 0; i < n;) {
		size_t len = decode((const unsigned char *)s + i, n - i, &c);
		if (!len)
			return false;
		i += len;
	}
	return true;
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
	        {0x200b, 0x200f, 0},   {0x20d0, 0x20ff, 0},   {0x2e80, 0xa4cf, 2},   {0xac00, 0xd7a3, 2},
	        {0xf900, 0xfaff, 2},   {0xfe00, 0xfe0f, 0},   {0xff00, 0xff60, 2},   {0xffe0, 0xffe6, 2},
	        {0x1f300, 0x1f64f, 2}, {0x1f680, 0x1f6ff, 2}, {0x1f900, 0x1f9ff, 2}, {0x20000, 0x3fffd, 2},
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
	unsigned least_so_far = (unsigned)strlen(word) / 3 + 2;
	for (; *words; words++) {
		unsigned d = text_distance(word, *words);
		if (d < least_so_far) {
			least_so_far = d;
			best = *words;
		}
	}
	return best;
}
