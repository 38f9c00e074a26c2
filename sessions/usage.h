/* What sessions really use of memory, remembered by what they are made of: the next start of the same stack is expected to need as
 * much (admission.h). Read now and then while a session runs, and when it is stopped. */
#ifndef SESSIONS_USAGE_H
#define SESSIONS_USAGE_H

#include "jobs/worker.h"
#include "sessions/engine.h"

/** What ${row}, which is planned, is made of: engine, the built-in stack or the digest of the resolved compose file, services. The caller
 * frees it. */
char *usage_stack(const struct session_row *row);

/**
 * What a start of ${row} (its stack: ${stack}) is expected to use: the most that the last ones used, and a quarter more; else what
 * its services plausibly need (8 MiB each of our own as processes, 16 in containers, 64 of any others), and never more than
 * SESSION_MEMORY_MB. ${*starts} of them were learned from; 0: it is assumed.
 */
int usage_expect(struct state *st, const struct session_row *row, const char *stack, int64_t *bytes,
                 int *starts, struct err *err);

/** Read what the running ones use now that were not read for ${older_ms}. An engine that does not tell is left out. */
int usage_look(struct state *st, int64_t older_ms, struct err *err);

/** Read once more what ${row} uses, before it is taken down. Failure is not reported: it is learned another time. */
void usage_note(struct state *st, const struct session_row *row);

#endif
