/* Project types and their files, which live in gateway/templates/ and travel inside the program. {{name}} and
 * {{<option>}} in a file are replaced; nothing else is, and values hold no character that means anything in them. */
#ifndef GATEWAY_TEMPLATES_H
#define GATEWAY_TEMPLATES_H

#include "core/err.h"
#include "core/json.h"
#include "core/str.h"
#include <stddef.h>

struct template_file {
	const char *path;       /* in the project */
	const char *text, *end; /* embedded */
};

struct template_option {
	const char *name, *def, *help;
	int (*check)(const char *value); /* 0 when it is allowed */
	const char *allowed;
};

struct project_template {
	const char *type;  /* "web-service" */
	const char *title; /* for people */
	const char *title_ru;
	const char *port;               /* default of the option `port` */
	const char *aliases;            /* "api|webservice": other words for it */
	struct template_file files[12]; /* ended by a NULL path */
};

/* Ended by a NULL type. */
extern const struct project_template project_templates[];

/** Find by type or alias; case, spaces and underscores do not matter. NULL when there is none. */
const struct project_template *template_find(const char *type);

/** Comma list of the types, for messages. */
const char *template_types(void);

/**
 * Check ${options} (object of text, number or bool; NULL: none) of ${t} and return {"port":"8080",…} with the defaults
 * filled in, or NULL with ERR_INVALID naming the option, its value and what is allowed.
 */
cJSON *template_options(const struct project_template *t, const cJSON *options, struct err *err);

/** Append ${file} with ${values} (object of texts) put in. */
void template_render(const struct template_file *file, const cJSON *values, struct str *out);

#endif
