/* Settings: environment variables over a dotenv file over defaults, checked against const tables that each part
 * brings. All bad settings are reported at once, one line each: key, value, what is allowed. */
#ifndef CORE_CONFIG_H
#define CORE_CONFIG_H

#include "core/err.h"
#include "core/str.h"
#include <stdbool.h>
#include <stdint.h>

enum setting_type {
	SETTING_TEXT,
	SETTING_INT,    /* min..max */
	SETTING_BOOL,   /* true false on off yes no 1 0 */
	SETTING_CHOICE, /* one of `allowed`, "a|b|c" */
	SETTING_IDS,    /* comma list of positive integers, or "*" */
	SETTING_URL,    /* one of the schemes in `allowed`, "http|https" */
	SETTING_RANGE,  /* "low-high", both within min..max */
};

struct setting {
	const char *key;
	enum setting_type type;
	const char *def; /* text of the default; NULL: unset */
	int64_t min, max;
	const char *allowed;
	bool secret;       /* never shown, told to the log's redaction */
	const char *group; /* heading in .env.test.example and help */
	const char *help;  /* one line */
};

struct config;

/**
 * Read ${env_file} (NULL: none; ${file_required} says whether a missing file is an error), then the environment.
 * ${tables} is a NULL-terminated list of setting tables, each ended by a NULL key; all are borrowed for the
 * config's life. Empty values and placeholders (your_…_here, changeme, <…>) count as unset: the default stands.
 * Unknown keys in the file are warned about with the nearest known key. Returns 0 and transfers ${*cfg}, or -1
 * (ERR_CONFIG) with every bad setting in ${err}: a line each, and past its room the keys.
 */
int config_load(struct config **cfg, const struct setting *const *tables, const char *env_file,
                bool file_required, struct err *err);
void config_free(struct config *cfg);

/* Typed access by key; an unknown key is our bug (assert). Texts are borrowed for the config's life. */
const char *config_text(const struct config *cfg, const char *key); /* NULL when unset or empty */
int64_t config_int(const struct config *cfg, const char *key);
bool config_bool(const struct config *cfg, const char *key);
bool config_is_set(const struct config *cfg, const char *key);          /* given by the user, not a default */
bool config_was_placeholder(const struct config *cfg, const char *key); /* unset, because it is one */
void config_range(const struct config *cfg, const char *key, int64_t *low, int64_t *high);

/** Whether ${id} stands in the SETTING_IDS ${key}; ${*any} (may be NULL) tells whether the list is "*". */
bool config_has_id(const struct config *cfg, const char *key, int64_t id, bool *any);

/** Write the first ${max} ids of the SETTING_IDS ${key} to ${ids}; returns how many that are, none for "*". */
size_t config_ids(const struct config *cfg, const char *key, int64_t *ids, size_t max);

/** Replace one value (copied; NULL: back to the default), as tests and `up` do. Returns 0, or -1 with ${err} when it is not allowed. */
int config_set(struct config *cfg, const char *key, const char *value, struct err *err);

/** An independent copy, for who must complete what others only read; config_free it. */
struct config *config_copy(const struct config *cfg);

/** The file that was read, NULL if none. */
const char *config_file(const struct config *cfg);

/** Append every setting as a commented dotenv file, grouped: the text of .env.test.example. */
void config_example(const struct setting *const *tables, struct str *out);

#endif
