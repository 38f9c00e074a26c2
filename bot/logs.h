/* Log lines in a chat: bounded, without secrets. */
#ifndef BOT_LOGS_H
#define BOT_LOGS_H

#include "bot/call.h"

/** How many lines ${text} asks for: 1–500, 20 when it is no number. */
int logs_count(const char *text);

/** Say the array of ${lines} under the name ${what}; too many become a document. */
int logs_say(struct call *c, const char *what, const cJSON *lines, struct err *err);

#endif
