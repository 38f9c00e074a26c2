/* The shape of scenario files as data: which keys a map may have and what stands in them. */
#ifndef TESTSUITE_SCHEMA_H
#define TESTSUITE_SCHEMA_H

#include "core/err.h"
#include "core/json.h"
#include <stdbool.h>

enum shape {
	SHAPE_TEXT,  /* text; numbers and booleans are taken as their text */
	SHAPE_TEXTS, /* text, or a list of texts */
	SHAPE_REGEX, /* POSIX extended regular expression, or a list of them */
	SHAPE_NAME,  /* [a-z][a-z0-9_]* */
	SHAPE_NAME_LIST,
	SHAPE_FLAG,     /* true or false */
	SHAPE_COUNT,    /* integer >= 0, or a {{variable}} */
	SHAPE_DURATION, /* scenario_duration */
	SHAPE_ANY,      /* any JSON */
	SHAPE_MAP,      /* map whose values are texts */
	SHAPE_OBJECT,   /* map with the keys of `keys` */
	SHAPE_CHECKS,   /* map of JSON path → expected scalar, or a map with the keys of `keys` */
	SHAPE_STEP,     /* one step */
	SHAPE_STEPS,    /* a list of steps */
};

struct schema {
	const char *key; /* NULL ends a table */
	enum shape shape;
	bool required;
	const struct schema *keys;
};

/* What a walk over a file carries: the path for messages, and who checks a step. */
struct schema_walk {
	char path[256]; /* of the node being checked */
	int (*step)(struct schema_walk *walk, cJSON *step, struct err *err);
	void *arg;
};

/** Check map ${node} against ${table}; ${what} names it in messages. Returns 0, or -1 with ${walk}->path at the culprit. */
int schema_check(struct schema_walk *walk, cJSON *node, const struct schema *table, const char *what,
                 struct err *err);

/** Go down to ${key} of the current path; schema_up(walk, len) returns. Returns the length before. */
size_t schema_down(struct schema_walk *walk, const char *key);
void schema_up(struct schema_walk *walk, size_t len);

#endif
