/* What happened to sessions, as numbers for a monitor. They are counted in the database, because who does it is a process that ends:
 * a job, or a person's terminal. */
#ifndef SESSIONS_COUNTERS_H
#define SESSIONS_COUNTERS_H

#include "core/str.h"
#include "jobs/state.h"

enum counter {
	COUNTER_RECEIPTS_OK,   /* removals with nothing left */
	COUNTER_RECEIPTS_OPEN, /* tries of a removal that left something, or of which nobody could tell */
	COUNTER_ADOPTED,
	COUNTER_ORPHANS,
	COUNTER_REAPS,
	COUNTER_REAP_MS,
	COUNTER_LAST_REAP_MS, /* of the last one only, as all that follow */
	COUNTER_LAST_FOREIGN,
	COUNTERS
};

/** Add ${n}. Joins an open transaction. */
int counter_add(struct state *st, enum counter counter, int64_t n, struct err *err);
/** Put ${n} in its place. */
int counter_set(struct state *st, enum counter counter, int64_t n, struct err *err);

/** Append the state of all sessions, leases, receipts and reaps in Prometheus text format: codefoundry_sessions… Nothing when the database
 * does not answer. Reads at most some thousand rows; does not wait for writers. */
void counters_render(struct state *st, struct str *out);

#endif
