/* Parameters of a Bot API call: query string, urlencoded or multipart form, or a JSON object, all seen as texts. A
 * JSON value that is not a string is its own JSON text, so `null` reads "null", as with the real server. */
#ifndef TESTSUITE_TELEGRAM_PARAMS_H
#define TESTSUITE_TELEGRAM_PARAMS_H

#include "core/err.h"
#include "core/http_server.h"
#include "core/json.h"
#include <stdbool.h>
#include <stdint.h>

#define TG_PARAMS_MAX (1u << 20) /* bytes of a body that is not a file */

struct tg_param {
	char *name, *value;
};

struct tg_params {
	struct http_exchange *x; /* borrowed */
	struct tg_param *list;   /* from a JSON body */
	size_t n;
};

/** Read them. Returns 0, or -1: ERR_INVALID (400, message is the description), ERR_LIMIT (413). */
int tg_params_read(struct tg_params *p, struct http_exchange *x, struct err *err);
void tg_params_free(struct tg_params *p);

/** The value, "" when absent; borrowed. */
const char *tg_param(const struct tg_params *p, const char *name);
/** Clamped to ${min}..${max}; not a number is 0, absent is ${otherwise}. */
int64_t tg_param_int(const struct tg_params *p, const char *name, int64_t otherwise, int64_t min,
                     int64_t max);
/** "true", "yes" and "1". */
bool tg_param_bool(const struct tg_params *p, const char *name);

#endif
