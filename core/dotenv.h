/* The lines of a dotenv file as shells, docker and the dotenv libraries agree on them: KEY=value, `export`, comments, quotes.
 * A value is one line; nothing is expanded. */
#ifndef CORE_DOTENV_H
#define CORE_DOTENV_H

struct dotenv_line {
	unsigned number;     /* counted from 1; start with {0} */
	char *key, *value;   /* NULL for a bad line */
	const char *problem; /* what is wrong with a bad line */
};

/**
 * Step ${*p} past the next line that says something. Returns 1 with ${line} filled (dotenv_clear it), or 0 at the end.
 */
int dotenv_next(const char **p, struct dotenv_line *line);
void dotenv_clear(struct dotenv_line *line); /* keeps the number */

#endif
