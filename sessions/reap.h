/* What should not be there any more: sessions past their time, crashed, or half removed; an engine's objects
 * (processes, containers…), directories and leases of this installation that no session has. Looking has no effect; each finding is dealt with under the guard of its name. */
#ifndef SESSIONS_REAP_H
#define SESSIONS_REAP_H

#include "sessions/engine.h"

enum reap_kind {
	REAP_SESSION,   /* a row to be taken down for `reason` */
	REAP_FAILED,    /* the record of a failed start that is old */
	REAP_OBJECTS,   /* of `engine`, of session uuid `what`, which has no row */
	REAP_DIRECTORY, /* sessions/`what`, which has no row */
	REAP_LEASES,    /* of session uuid `what`, which has no row */
};

struct reap_finding {
	enum reap_kind kind;
	char *what;                  /* name, uuid or directory */
	char *uuid;                  /* REAP_SESSION and REAP_FAILED only */
	const char *reason;          /* of REASON_*, or "orphan" */
	const struct engine *engine; /* REAP_OBJECTS only */
};

/**
 * Look. Transfers ${*list} (reap_free) and ${*n}. An engine that does not answer is logged and left out. ${expired} false: sessions past their time are left alone.
 */
int reap_look(struct state *st, bool expired, struct reap_finding **list, size_t *n, struct err *err);
void reap_free(struct reap_finding *list, size_t n);

#endif
