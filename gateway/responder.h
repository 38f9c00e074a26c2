/* Understands requests in plain English and Russian without any model: a verb and an object choose the command, what is
 * left of the sentence fills its parameters, and what is still missing is asked for. Pure: no network, no database. */
#ifndef GATEWAY_RESPONDER_H
#define GATEWAY_RESPONDER_H

#include "gateway/commands.h"

enum response_type { RESPONSE_TEXT, RESPONSE_COMMAND, RESPONSE_QUESTION };

struct response {
	enum response_type type;
	enum lang lang;
	bool understood;               /* false: the text only says what could be asked */
	const struct command *command; /* of a command or a question */
	cJSON *params;                 /* owned: as far as they are known */
	char *text;                    /* owned: the text, or the question */
	cJSON *options;                /* owned: answers to choose from; an array */
	const char *missing;           /* question: the parameter that is asked for */
};

/** Read one chat text (valid UTF-8). Answers in ${lang}, in Russian whenever the text has Cyrillic letters. Always fills
 * ${out}; response_free it. */
void responder_read(const char *text, enum lang lang, struct response *out);

/**
 * Read ${text} as the answer to ${question} (borrowed): it completes the parameters, takes the question back, or is
 * a new request of its own, which then wins.
 */
void responder_answer(const char *text, const struct response *question, struct response *out);

void response_free(struct response *r);

/** The text a connection is greeted with. */
const char *responder_welcome(enum lang lang);

#endif
