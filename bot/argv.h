/* A command line written in a chat as the words of argv: quotes and backslashes as a shell has them, and nothing else of a shell. */
#ifndef BOT_ARGV_H
#define BOT_ARGV_H

#include "core/err.h"
#include "core/json.h"

/** The words of ${text} as an array of texts: blanks part them, '…' keeps all as it is, "…" all but \" and \\, a backslash the character after it.
 * NULL with ERR_INVALID when a quote is not closed. */
cJSON *argv_split(const char *text, struct err *err);

#endif
