/* Text of foreign programs on its way into databases, JSON and terminals. */
#ifndef JOBS_LINE_H
#define JOBS_LINE_H

#include <stddef.h>

/** Copy of ${len} bytes as valid UTF-8 of at most ${max} bytes: colour sequences and control characters but tab and
 * newline are left out, bad bytes become "?", registered secrets "***". The caller frees it. */
char *line_clean(const char *text, size_t len, size_t max);

#endif
