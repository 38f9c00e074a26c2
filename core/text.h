/* UTF-8 as Telegram and terminals count it. */
#ifndef CORE_TEXT_H
#define CORE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool text_is_utf8(const char *s, size_t n);
/** Put ? in place of every byte that is not part of valid UTF-8. Returns whether there were any. */
bool text_make_utf8(char *s, size_t n);
/** Bytes of ${s} without a last character that was cut off within its bytes. */
size_t text_utf8_prefix(const char *s, size_t n);
/** Bytes of the control character at ${s}: C0 and DEL one, C1 two (terminals obey those as well); 0 for any other character. */
size_t text_control(const char *s);
/** Put a space in place of every control character in ${s} but those of ${keep}: foreign text must not steer a terminal. */
void text_blank(char *s, const char *keep);
/** Read a whole number in decimal and nothing else. Returns 0, or -1 with ${*value} untouched (also when it is out of range). */
int text_int(const char *text, int64_t *value);
/** Length in UTF-16 code units of ${n} bytes of valid UTF-8. */
size_t text_utf16_len(const char *s, size_t n);
/** Bytes of the longest prefix of at most ${units} UTF-16 code units that ends on a character boundary. */
size_t text_utf16_prefix(const char *s, size_t n, size_t units);
/** Columns a terminal uses for it (wide characters count two, combining ones none). */
size_t text_columns(const char *s, size_t n);
/** Edit distance (insert, delete, replace, swap neighbours) of two short ASCII words (over 64 bytes: the length of the longer). */
unsigned text_distance(const char *a, const char *b);
/** The entry of the NULL-terminated ${words} nearest to ${word} (the first of several), NULL when none is near enough to be a
 * typo: at most a third of the letters and one more, and never all of them. */
const char *text_nearest(const char *word, const char *const *words);

/** FNV-1a of ${text}: the same in every process and build, for tables and places. Not for what others may choose to collide. */
uint64_t text_hash(const char *text);

#endif
