/* Command line options by table, on getopt_long. */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include "core/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARGS_LIST_MAX 32
#define ARGS_POSITIONAL_MAX 8

/* ARG_SPAN: "90", "90s", "10m", "2h", "1d", as seconds. ARG_TIME: that long ago, or RFC 3339, as milliseconds since the epoch. */
enum arg_type { ARG_FLAG, ARG_TEXT, ARG_INT, ARG_SPAN, ARG_TIME, ARG_LIST };

struct arg_list {
	const char *items[ARGS_LIST_MAX];
	size_t n;
};

struct arg {
	const char *name; /* "json" for --json; a one-letter name is -n */
	enum arg_type type;
	void *target; /* bool, const char *, int64_t or struct arg_list; texts are borrowed from argv */
};

struct args {
	const char *usage;       /* one line with an example */
	const struct arg *table; /* ended by a NULL name */
	int least, most;         /* how many words that are not options; most <= ARGS_POSITIONAL_MAX */
	const char *words[ARGS_POSITIONAL_MAX + 1]; /* out: those words, NULL-terminated */
	int n;                                      /* out */
};

/** Parse argv[1..]. Returns 0, or -1 (ERR_USAGE) with the usage in the message; --help prints the usage and ends the program. */
int args_parse(struct args *args, int argc, char **argv, struct err *err);

/** From now on args_parse() gives what it was given to ${fn} and ends the program: for completion, which asks what there is to parse. */
void args_instead(void (*fn)(const struct args *args, int argc, char **argv));

/** Cut `--env FILE` and `--env=FILE` out of argv, wherever before "--". Returns the file or NULL; ${*missing} tells of
 * one without a value. */
const char *args_take_env(int *argc, char **argv, bool *missing);

/** Cut off what follows a first "--", the command line of another program. Returns it, NULL-terminated and borrowed from argv, or NULL when
 * there is no "--". */
const char *const *args_take_command(int *argc, char **argv);

#endif
