/* What the other parts say in English, for a chat in another language: errors by their code, steps of jobs by their stage. The English text itself
 * stays where it tells more. */
#ifndef BOT_WORDS_H
#define BOT_WORDS_H

#include "bot/texts.h"
#include "core/err.h"

/** What went wrong in words of ${lang}, followed by ${text}, which says it exactly; without secrets. The caller frees it. */
char *words_error(enum lang lang, enum err_code code, const char *text);

/** What a job does in ${stage} (may be NULL), else ${text}. Borrowed. */
const char *words_stage(enum lang lang, const char *stage, const char *text);
/** The ${state} of a session or one of its services; itself when there is no word for it. Borrowed. */
const char *words_state(enum lang lang, const char *state);

#endif
