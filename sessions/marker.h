/* Which processes belong to a session of the process engine: their environment names it. The marker is a path of
 * "<install>.<session>" from the outermost session inwards, so that what a nested session runs is found from outside
 * too. Odd rule: only what carries our own install UUID is ever touched. */
#ifndef SESSIONS_MARKER_H
#define SESSIONS_MARKER_H

#include "core/err.h"
#include "core/id.h"
#include "core/json.h"
#include "core/proc.h"
#include <stdbool.h>
#include <stddef.h>

#define MARKER_KEY PROC_SESSION_KEY
#define MARKER_PORTS_KEY                                                                                     \
	PROC_SESSION_PORTS_KEY /* "20004-20015": leased for what is made inside the session */

struct marker_proc {
	struct proc_id id;
	char session[ID_UUID_LEN + 1]; /* the session of ${install} it belongs to */
};

/** The marker of a session of ours, below the one this process runs in, if any. The caller frees it. */
char *marker_make(const char *install, const char *session);

/** Whether this process itself runs inside a session. */
bool marker_inside(void);

/** Find the session of ${install} in marker ${path}; false when it names none. */
bool marker_parse(const char *path, const char *install, char session[ID_UUID_LEN + 1]);

/** The marker of process ${pid}, which may be this one or of another user; NULL when it has none or does not show it. The caller frees it. */
char *marker_of(pid_t pid);

/**
 * All processes of this user, this one excepted, whose marker names ${install} and, unless it is NULL, ${session}.
 * Returns their number and transfers ${*list} (free it), or -1. A process that is ending names nothing any more, while its ports may still be
 * open: before it is said of a session that none is left, those of this user are waited for. Blocks for 4 s at most, hardly ever at all.
 */
int marker_find(const char *install, const char *session, struct marker_proc **list, struct err *err);

/** marker_find() for all of ${install}, and of the same reading what sessions of other installations processes of this user belong to: the
 * first ${most} are added to ${foreign} as {"kind":"processes","name": marker,"why"}, ${*total} says how many there are
 * (once it is more than ${most}, a session may count more than once). */
int marker_survey(const char *install, struct marker_proc **list, int most, cJSON *foreign, int64_t *total,
                  struct err *err);

/** End them: TERM, after ${grace_ms} KILL, until no more appear and all have ended to the last thread and descriptor. Returns 0 when none is
 * left. Blocks. */
int marker_kill(const char *install, const char *session, int64_t grace_ms, struct err *err);

#endif
