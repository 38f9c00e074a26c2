/* Access to cJSON trees from outside: nothing is assumed to be there or of the right type. */
#ifndef CORE_JSON_H
#define CORE_JSON_H

#include "core/err.h"
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define cleanup_json __attribute__((cleanup(json_cleanup), unused))
void json_cleanup(cJSON **j);

/** Parse ${len} bytes that hold exactly one JSON value in valid UTF-8 (white space and NUL may follow). Depth is
 * bounded by cJSON (1000). Returns the tree (json_free/cJSON_Delete it), or NULL with ${err} ERR_INVALID naming the offset. */
cJSON *json_parse(const char *text, size_t len, struct err *err);

/** Print without white space; the caller frees the text. Never NULL. */
char *json_print(const cJSON *j);
char *json_print_pretty(const cJSON *j);

/* Members of objects; ${key} may be a path "message.chat.id", in arrays "photo.0.file_id". A NULL ${obj} is fine. */
const cJSON *json_at(const cJSON *obj, const char *path);
const char *json_text(const cJSON *obj, const char *path); /* NULL unless a string */
const char *json_text_or(const cJSON *obj, const char *path, const char *otherwise);
int64_t json_int(const cJSON *obj, const char *path, int64_t otherwise); /* rounds toward zero, saturates */
bool json_bool(const cJSON *obj, const char *path, bool otherwise);

/** Whether ${list} is an array with the text ${text} in it. */
bool json_has_text(const cJSON *list, const char *text);

/* Building: each adds to ${obj} and tolerates NULL values (adds JSON null). Integers keep 52 bits (cJSON prints 15 digits where it
 * takes them for the same number). Texts from outside that are
 * no UTF-8 get ? for the bad bytes, so that what is printed always is. */
void json_add_text(cJSON *obj, const char *key, const char *value);
void json_add_int(cJSON *obj, const char *key, int64_t value);
void json_add_bool(cJSON *obj, const char *key, bool value);
void json_add(cJSON *obj, const char *key, cJSON *value); /* transfers ${value} */
cJSON *json_object(void);
cJSON *json_array(void);

#endif
