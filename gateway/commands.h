/* What the gateway can be asked to do, as one table: names, arguments, who may, and whether it is a job or a query. The
 * Command Protocol, the responder and `help` all read it. */
#ifndef GATEWAY_COMMANDS_H
#define GATEWAY_COMMANDS_H

#include "gateway/access.h"
#include "gateway/protocol.h"
#include "jobs/job.h"

enum lang { LANG_EN, LANG_RU };
/* Both texts stand where they are used, so that the compiler checks both formats. Needs a `lang`. */
#define T(en, ru) (lang == LANG_RU ? (ru) : (en))

enum param_type {
	PARAM_TEXT, /* up to 200 bytes */
	PARAM_INT,  /* min..max */
	PARAM_BOOL,
	PARAM_TEXTS, /* a list of up to 50 texts, or one text */
	PARAM_OBJECT,
	PARAM_PROJECT, /* a project's name */
	PARAM_TYPE,    /* a project's type or another word for it */
	PARAM_SESSION, /* a session's name */
};

struct command_param {
	const char *name;
	enum param_type type;
	bool required;
	int64_t min, max;
};

/* Runs on a thread of its own, with a state of its own; may block. ${runtime} is the gateway's snapshot of itself. */
typedef cJSON *command_query(struct state *st, const cJSON *args, const cJSON *runtime, struct err *err);
/* Append a result as Markdown for people. */
typedef void command_tell(const cJSON *result, enum lang lang, struct str *out);

struct command {
	const char *name, *description, *description_ru, *usage, *example;
	enum role role;                 /* the least that may */
	struct command_param params[6]; /* ended by a NULL name */
	const char *kind;               /* of the job, or */
	command_query *query;           /* the query */
	command_tell *tell;
};

/* Ended by a NULL name. */
extern const struct command commands[];

const struct command *command_find(const char *name);

/**
 * Check ${params} (object or NULL) and build the arguments: known parameters only, types of projects spelled out.
 * Returns 0 and transfers ${*args}, or -1 with ${fault} naming the parameter and what is allowed.
 */
int command_args(const struct command *command, const cJSON *params, cJSON **args, struct fault *fault);

/** The name of the first required parameter that ${params} lacks, NULL when none is missing. */
const char *command_missing(const struct command *command, const cJSON *params);

/** Fill ${fault} for a command that does not exist, naming the nearest; returns -1. */
int command_unknown(const char *name, struct fault *fault);

#endif
