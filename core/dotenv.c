#include "core/dotenv.h"
#include "core/mem.h"
#include "core/str.h"
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The inside of quotes, from after the first to before the last; ${*p} is left after it. Returns NULL when it is open. Double
 * quotes know the escapes that shells and dotenv agree on, and leave other backslashes alone. */
static char *parse_quoted(const char **p, const char *end, char quote)
{
	static const char escapes[][2] = {{'n', '\n'}, {'t', '\t'}, {'r', '\r'}, {'"', '"'},
	                                  {'$', '$'},  {'`', '`'},  {'\\', '\\'}};
	cleanup_str struct str out = STR_INIT;
	for (; *p < end; ++*p) {
		if (**p == quote) {
			++*p;
			return str_take(&out);
		}
		char c = **p;
		for (size_t i = 0; quote == '"' && **p == '\\' && *p + 1 < end && i < ARRAY_LEN(escapes);
		     i++) {
			if ((*p)[1] == escapes[i][0]) {
				c = escapes[i][1];
				++*p;
				break;
			}
		}
		str_addc(&out, c);
	}
	return NULL;
}

/* The value after '=': quoted, or up to a comment, which is a # at the start or after white space. */
static char *parse_value(const char *p, const char *end, const char **problem)
{
	while (p < end && isspace((unsigned char)*p))
		p++;
	if (p < end && (*p == '"' || *p == '\'')) {
		p++;
		cleanup_free char *value = parse_quoted(&p, end, p[-1]);
		if (!value) {
			*problem = "a quote is not closed";
			return NULL;
		}
		while (p < end && isspace((unsigned char)*p))
			p++;
		if (p < end && *p != '#') {
			*problem = "text after the closing quote";
			return NULL;
		}
		return TAKE(value);
	}
	const char *stop = p;
	while (stop < end && !(*stop == '#' && isspace((unsigned char)stop[-1])))
		stop++;
	while (stop > p && isspace((unsigned char)stop[-1]))
		stop--;
	return mem_strndup(p, (size_t)(stop - p));
}

/* One line that is neither empty nor a comment. */
static void parse_line(const char *p, const char *end, struct dotenv_line *line)
{
	if (end - p > 7 && !strncmp(p, "export", 6) && isblank((unsigned char)p[6]))
		for (p += 7; p < end && isblank((unsigned char)*p);)
			p++;
	const char *eq = memchr(p, '=', (size_t)(end - p));
	size_t n = eq ? (size_t)(eq - p) : 0, valid = 0;
	while (n && isblank((unsigned char)p[n - 1]))
		n--;
	while (valid < n && (isalnum((unsigned char)p[valid]) || p[valid] == '_'))
		valid++;
	line->problem = "not a line of the form KEY=value";
	if (!n || valid != n || !(line->value = parse_value(eq + 1, end, &line->problem)))
		return;
	line->key = mem_strndup(p, n);
	line->problem = NULL;
}

int dotenv_next(const char **p, struct dotenv_line *line)
{
	if (line->number == 0 && !strncmp(*p, "\xef\xbb\xbf", 3))
		*p += 3; /* some editors mark UTF-8 so */
	while (**p) {
		const char *start = *p, *end = start + strcspn(start, "\n");
		*p = end + (*end == '\n');
		line->number++;
		while (start < end && isspace((unsigned char)*start))
			start++;
		if (start == end || *start == '#')
			continue;
		parse_line(start, end, line);
		return 1;
	}
	return 0;
}

void dotenv_clear(struct dotenv_line *line)
{
	free(line->key);
	free(line->value);
	*line = (struct dotenv_line){.number = line->number};
}
