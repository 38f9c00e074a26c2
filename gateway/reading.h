/* A sentence becomes a command and its parameters: the first verb and the first thing choose the command from one table, the
 * words that are left fill the parameters. What is missing or wrong is the responder's business. */
#ifndef GATEWAY_READING_H
#define GATEWAY_READING_H

#include "gateway/commands.h"
#include "gateway/words.h"

struct reading {
	struct words words;
	int verb_at, object_at; /* -1: there is no such word */
	enum verb verb;
	enum object object;
	cJSON *params; /* owned; TAKE it or leave it to reading_end */
};

/** Interpret ${text} as a wish. Returns the command, NULL when it is none; ${r} then still tells verb and object
 * (greetings, thanks). Call reading_end in both cases. */
const struct command *reading_begin(struct reading *r, const char *text);

/** Interpret ${text} as the value of the parameter ${missing} of ${command}, of which ${params} are known already. */
void reading_answer(struct reading *r, const char *text, const struct command *command, const char *missing,
                    const cJSON *params);

void reading_end(struct reading *r);

#endif
