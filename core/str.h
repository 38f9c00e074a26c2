/* Growable text with an upper bound. Past the bound nothing more is added and `overflow` stays set, so a
 * builder checks once at its end. Always NUL-terminated once anything was added. */
#ifndef CORE_STR_H
#define CORE_STR_H

#include <stdbool.h>
#include <stddef.h>

struct str {
	char *p;
	size_t len, cap, max;
	bool overflow;
};

#define STR_MAX_DEFAULT (16u << 20)
#define STR_INIT ((struct str){.max = STR_MAX_DEFAULT})
#define STR_INIT_MAX(bytes) ((struct str){.max = (bytes)})
#define cleanup_str __attribute__((cleanup(str_free)))

void str_add(struct str *s, const char *text);
void str_addn(struct str *s, const char *text, size_t n);
void str_addc(struct str *s, char c);
void str_addf(struct str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** Append ${text} with &, <, > and " as HTML entities. */
void str_add_html(struct str *s, const char *text);

/** Append ${text} as a JSON string, quotes included; bytes over 127 stay as they are. */
void str_add_json(struct str *s, const char *text);

/** Append ${n} bytes percent-encoded for a URL component (RFC 3986 unreserved characters stay). */
void str_add_url(struct str *s, const char *text, size_t n);

/** The text, "" when empty; borrowed until the next change. */
const char *str_text(const struct str *s);

/** Transfer the text to the caller (free() it, never NULL) and empty ${s}. */
char *str_take(struct str *s);

/** Cut back to ${len} bytes. */
void str_cut(struct str *s, size_t len);

void str_free(struct str *s);

#endif
