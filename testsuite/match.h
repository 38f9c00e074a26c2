/* Conditions on texts and on JSON, as every expecting step has them: contains, matches, not, not_matches, capture. */
#ifndef TESTSUITE_MATCH_H
#define TESTSUITE_MATCH_H

#include "core/str.h"
#include "testsuite/schema.h"
#include "testsuite/vars.h"

/* The keys of a map of conditions; a step's table has them beside its own. */
#define MATCH_KEYS                                                                                           \
	{.key = "contains", .shape = SHAPE_TEXTS}, {.key = "matches", .shape = SHAPE_REGEX},                 \
	        {.key = "not", .shape = SHAPE_TEXTS}, {.key = "not_matches", .shape = SHAPE_REGEX},          \
	        {.key = "equals", .shape = SHAPE_TEXT},                                                      \
	{                                                                                                    \
		.key = "capture", .shape = SHAPE_NAME_LIST                                                   \
	}

/* Conditions on a value found in JSON. */
extern const struct schema match_json_schema[];

/**
 * Whether ${text} meets all conditions of ${cond} (which may have other keys as well). When it does, the groups of the first
 * `matches` are stored under the names of `capture`; when not, ${why} is told the first condition that is not met.
 * Returns 1 met, 0 not met, -1 with ${err} (an unknown variable, a bad expression).
 */
int match_text(struct vars *vars, const cJSON *cond, const char *text, struct str *why, struct err *err);

/** Say what ${cond} wants: `a text containing "x", matching /y/`. */
void match_describe(const struct vars *vars, const cJSON *cond, struct str *out);

/** Whether every path of ${checks} is as wanted in ${doc} (NULL: not JSON). As match_text. */
int match_json(struct vars *vars, const cJSON *checks, const cJSON *doc, struct str *why, struct err *err);

/** Store the values at the paths of ${save} (variable → path; all values of a path with `*`, one per line). -1 when a path is absent. */
int match_save(struct vars *vars, const cJSON *save, const cJSON *doc, struct err *err);

/** Append ${text} in quotes, control characters as escapes, cut after ${max} bytes. */
void match_quote(struct str *out, const char *text, size_t max);

#endif
