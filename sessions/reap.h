/* What should be otherwise: sessions past their time, crashed, lost, or half removed; sessions that the database does not know any more;
 * an engine's objects (processes, containers…), directories and leases of this installation that no session has; and what is
 * not ours but looks like it. Looking has no effect; each finding is dealt with under the guard of its name. */
#ifndef SESSIONS_REAP_H
#define SESSIONS_REAP_H

#include "sessions/engine.h"

enum reap_kind {
	REAP_SESSION, /* a row to be taken down for `reason` */
	REAP_ADOPT, /* session `what` to be made a row of again: from the file in `directory`, or from what `engine` has */
	REAP_OBJECTS,   /* of `engine`, of session uuid `what`, which has no row */
	REAP_FAILED,    /* the record of a failed start that is old */
	REAP_DIRECTORY, /* sessions/`what`, which has no row */
	REAP_LEASES,    /* of session uuid `what`, which has no row */
	REAP_FOREIGN,   /* object `what`, not ours: nothing is done */
};

#define REASON_LOST "lost" /* kept, but nothing of it is there any more */

struct reap_finding {
	enum reap_kind kind;
	char *what;                  /* name, uuid or directory */
	char *uuid;                  /* REAP_SESSION, REAP_FAILED and REAP_ADOPT */
	char *reason;                /* of REASON_*, or a sentence */
	char *directory;             /* REAP_ADOPT from a file; REAP_FOREIGN: its kind */
	int64_t generation;          /* of the row that was looked at */
	const struct engine *engine; /* REAP_OBJECTS, and REAP_ADOPT from labels */
};

struct reap_plan {
	struct reap_finding *list;
	size_t n;
	int64_t foreign; /* how many there are in all; a few of them are in the list */
};

/**
 * Look. Transfers what is in ${plan} (reap_free). An engine that does not answer is logged and left out. ${expired} false: sessions
 * past their time are left alone.
 */
int reap_look(struct state *st, bool expired, struct reap_plan *plan, struct err *err);
void reap_free(struct reap_plan *plan);

/** Whether there is anything to be done. */
bool reap_due(const struct reap_plan *plan);

/** ${f} as {"action":"remove|adopt|free|leave","what":"session|record|objects|directory|leases|<kind of a foreign object>","name","uuid"?,"why"}. */
cJSON *reap_show(const struct reap_finding *f);

#endif
