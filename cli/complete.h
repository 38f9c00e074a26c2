/* What may stand at the end of a command line, for the completion of shells: `codefoundry complete -- WORD…` prints it, one a line with
 * a tab and what it is about behind it; ":files": the names of files. Odd rule: it runs the command's own function, whose
 * args_parse() then tells what the command takes and ends the program, so that nothing of this is written twice. */
#ifndef CLI_COMPLETE_H
#define CLI_COMPLETE_H

#include "core/config.h"
#include <stdbool.h>

/** From now on ${word} is completed: args_parse() does not return any more. ${cfg} is borrowed. */
void complete_begin(const struct config *cfg, const char *word);

/** Whether it has begun: then nothing may be done, and nothing be said but by complete_offer(). */
bool complete_wanted(void);

/** Print ${word} if it begins as what is completed; ${about} may be NULL. */
void complete_offer(const char *word, const char *about);

/** Print that files are wanted. */
void complete_files(void);

#endif
