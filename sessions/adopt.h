/* Sessions that the database does not know, or knows as they were in older days: their rows come back from what is
 * written beside their files, or else from the labels of their objects. Odd rule: nothing is decided about their future here. A row comes back
 * as it was, and whatever looks at rows (the reaper, an operation) then treats it like any other. */
#ifndef SESSIONS_ADOPT_H
#define SESSIONS_ADOPT_H

#include "core/str.h"
#include "sessions/engine.h"

#define REASON_CONFLICT "conflict" /* what it has leased belongs to an older session */

/** What the lease file in ${directory} is to its row. */
enum adopt_verdict {
	ADOPT_NOTHING, /* no file that can be used, or the row is as it should be */
	ADOPT_SAME,    /* both say the same */
	ADOPT_BEHIND,  /* the file is missing, or behind the row: to be written */
	ADOPT_MISSING, /* the session has no row */
	ADOPT_OLD,     /* its row is an older one */
};

/**
 * Compare: ${row} is the alive row that has ${directory} (NULL: none). Has no effect. ${*file} is transferred with ADOPT_MISSING and
 * ADOPT_OLD, else NULL. -1: the database did not answer. A damaged file is logged.
 */
int adopt_compare(struct state *st, const char *directory, const struct session_row *row, cJSON **file,
                  enum adopt_verdict *verdict, struct err *err);

/** Whether ${row} is one of older days, which its session has outlived: 1, 0, or -1. Nothing may be done by it; the reaper puts it right. */
int adopt_is_old(struct state *st, const struct session_row *row, struct err *err);

/** Fill ${row} (store_row_free it; without spec) as ${file} in ${directory} says. */
void adopt_row(struct state *st, const char *directory, const cJSON *file, struct session_row *row);

/**
 * Put the row of the session in ${directory} right, under the guard of ${name}, which must be its name: another's
 * is left alone. A session of another uuid that has the name or a lease of it only in an old row gives way; of two that are both there the
 * younger loses: its row says `stopping` for REASON_CONFLICT. Returns 1 when a row was inserted or replaced, what else that
 * took being appended to ${said} (may be NULL), 0 when nothing was to be done, or -1 with nothing changed.
 */
int adopt_file(struct state *st, const char *directory, const char *name, struct str *said, struct err *err);

/** The same for what stands in the directory of session ${name}, before an operation on it. ERR_STATE: its row is an old one, the session
 * has another name by now. */
int adopt_named(struct state *st, const char *name, struct err *err);

/** The same for who does not hold the guard: when another operation goes on, that one has done it. A failure is logged. */
void adopt_idle(struct state *st, const char *name);

/** The same from nothing but what ${engine} has of session ${uuid}: its file is written too. 0: it has a row by now, or nothing that can be managed. */
int adopt_labels(struct state *st, const struct engine *engine, const char *uuid, struct str *said,
                 struct err *err);

#endif
