/* A scenario file, read and checked: YAML in, a tree out whose shape the steps may rely on. Strict, because a test with
 * a misspelt key tests nothing: unknown keys, wrong types and unknown steps are errors with file and line. */
#ifndef TESTSUITE_SCENARIO_H
#define TESTSUITE_SCENARIO_H

#include "core/err.h"
#include "core/json.h"
#include <stdbool.h>
#include <stdint.h>

#define SCENARIO_MAX_BYTES (256u << 10)

struct scenario {
	char *name, *title, *file;
	int64_t timeout_ms; /* 0: the runner's */
	bool needs_target;  /* talks to a session; false when it brings its own stack or needs none */
	bool talks;         /* uses the user's side of the built-in Telegram server */
	bool alone;         /* disturbs services others use: no other scenario may run meanwhile */
	cJSON *tree;        /* the whole file; `as: text` shorthands of steps are written out as maps */
	const cJSON *steps; /* borrowed from the tree */
	char *text;         /* the file as it was read, for line numbers */
	size_t len;
};

/** Read one scenario from ${len} bytes of YAML. ${file} is its name in messages. With ${trusted} (our own tests, files
 * given by path) steps that run programs are allowed. Returns 0 and transfers ${*sc}, or -1 (ERR_INVALID: "file:line: …"). */
int scenario_parse(struct scenario **sc, const char *text, size_t len, const char *file, bool trusted,
                   struct err *err);

/** The same from a file, trusted. */
int scenario_load(struct scenario **sc, const char *path, struct err *err);
void scenario_free(struct scenario *sc);

/** Line (from 1) of the node at ${path} ("/steps/3/expect"), of its nearest parent when it has none, 0 if unknown. */
int scenario_line(const struct scenario *sc, const char *path);

/** Milliseconds of "5s", "200ms", "2m" or a number of seconds; -1 when it is none of these. */
int64_t scenario_duration(const cJSON *value);

#endif
