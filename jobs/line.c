#include "jobs/line.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/str.h"
#include "core/text.h"

/* Length of the escape sequence at ${p}: ESC [ … final byte, or ESC and one more. */
static size_t escape_length(const char *p, const char *end)
{
	const char *q = p + 1;
	if (q < end && *q == '[')
		for (q++; q < end && (*q < '@' || *q > '~'); q++)
			;
	return (size_t)((q < end ? q + 1 : end) - p);
}

/* Length of the UTF-8 character at ${p}, 0 when there is none. */
static size_t char_length(const char *p, const char *end)
{
	for (size_t n = 1; n <= 4 && n <= (size_t)(end - p); n++)
		if (text_is_utf8(p, n))
			return n;
	return 0;
}

char *line_clean(const char *text, size_t len, size_t max)
{
	struct str out = STR_INIT_MAX(len + 1);
	const char *end = text + len;
	for (const char *p = text; p < end;) {
		size_t n = char_length(p, end);
		if (*p == '\033')
			n = escape_length(p, end);
		else if (!n)
			str_addc(&out, '?');
		else if (*p == '\t' || *p == '\n' || (*p && !text_control(p)))
			str_addn(&out, p, n);
		p += n ? n : 1;
	}
	cleanup_free char *valid = str_take(&out);
	char *clean = log_redact(valid);
	size_t cut = 0;
	for (size_t n; clean[cut] && (n = char_length(clean + cut, clean + cut + 4)) && cut + n <= max;)
		cut += n;
	clean[cut] = '\0';
	return clean;
}
