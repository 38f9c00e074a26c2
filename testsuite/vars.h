/* Variables of a playing scenario: {{name}} in any text becomes its value, {{x*200}} becomes 200 times x. An unknown name
 * is an error, not an empty text: a condition on nothing would always hold. */
#ifndef TESTSUITE_VARS_H
#define TESTSUITE_VARS_H

#include "core/err.h"
#include "core/json.h"

struct vars;

struct vars *vars_new(void);
void vars_free(struct vars *vars);

/** Set ${name} to a copy of ${value}. */
void vars_set(struct vars *vars, const char *name, const char *value);
void vars_set_int(struct vars *vars, const char *name, int64_t value);
/** Borrowed until the next set; NULL when unknown. */
const char *vars_get(const struct vars *vars, const char *name);

/** ${text} with its variables replaced: the caller frees it. NULL with ERR_INVALID for an unknown name or a result over 1 MiB. */
char *vars_expand(const struct vars *vars, const char *text, struct err *err);

/** Text of a scalar (numbers and booleans as they are written), with variables replaced. NULL with ${err}. */
char *vars_expand_value(const struct vars *vars, const cJSON *value, struct err *err);

/** Copy of ${value} with variables replaced in every text; a text that is one variable holding an integer becomes a number. */
cJSON *vars_expand_json(const struct vars *vars, const cJSON *value, struct err *err);

#endif
