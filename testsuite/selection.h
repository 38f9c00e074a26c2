/* Which scenarios a run plays: some or all of the nine, files, directories of files. */
#ifndef TESTSUITE_SELECTION_H
#define TESTSUITE_SELECTION_H

#include "testsuite/scenario.h"

struct selection {
	struct scenario **scenarios;
	size_t n;
	const char *owner;
};

/** Read what ${args} {scenarios?, files?} of the job test.run name; the nine when it names nothing. Files only for an ${owner} on the command
 * line. Returns 0, or -1 with ${err}; free with selection_free in both cases. */
int selection_make(struct selection *s, const cJSON *args, const char *owner, struct err *err);
void selection_free(struct selection *s);

/** Whether any of them talks to a session. */
bool selection_needs_target(const struct selection *s);

#endif
