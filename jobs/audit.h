/* Who did what to what, for ever: append-only rows, each hashed over its predecessor, so that a row that was changed,
 * removed or put in between shows. Whoever can rewrite the whole table and its sequence can forge it all: keep
 * the newest hash elsewhere if that matters. */
#ifndef JOBS_AUDIT_H
#define JOBS_AUDIT_H

#include "core/json.h"
#include "jobs/state.h"

/**
 * Append one row. ${actor} "tg:123", ${source} "bot" "gateway" "cli" "worker", ${action} "session.start", ${target} may
 * be NULL, ${outcome} "ok" "denied" "failed", ${detail_json} NULL or JSON text. Registered secrets become *** first.
 * Joins an open transaction of the caller's, else makes its own. Returns 0 or -1.
 */
int audit_add(struct state *st, const char *actor, const char *source, const char *action, const char *target,
              const char *outcome, const char *detail_json, struct err *err);

/** The newest ${limit} rows, newest first: {id, at, actor, source, action, target, outcome, detail, hash}; detail is
 * parsed when it is JSON. NULL with ${err}. */
cJSON *audit_list(struct state *st, int limit, struct err *err);

/** Walk the whole chain. Returns 0 and ${*bad_id}: 0 when it is whole, else the id of the first row that does not fit
 * (for a missing row, the id that is missing). -1: it could not be read. */
int audit_verify(struct state *st, int64_t *bad_id, struct err *err);

#endif
