/* One look at all three that know of sessions: the database, the engines, the files. Each is asked once for all sessions, objects
 * before rows (so that what is made meanwhile has its row), rows before directories. Looking changes nothing but lease files that are behind their rows. */
#ifndef SESSIONS_SCAN_H
#define SESSIONS_SCAN_H

#include "sessions/engine.h"

#define SCAN_ENGINES_MAX 8

enum scan_source { SCAN_ROW, SCAN_FILE, SCAN_LABELS };

/* A session that has a row, or would have one after it was adopted. */
struct scan_session {
	struct session_row row;  /* as STORE_SCAN */
	enum scan_source source; /* SCAN_FILE: has no row, or an older one */
	const char *why;         /* why it is not SCAN_ROW */
	const cJSON
	        *found; /* what its engine has of it (engine->found), NULL: nothing, or it did not answer */
	const struct engine *found_by;
	bool has_directory;
};

/* Objects without a row that make no session any more. */
struct scan_orphan {
	const struct engine *engine;
	const cJSON *found;
};

struct scan {
	struct scan_session *sessions; /* those with a row first */
	struct scan_orphan *orphans;
	char **directories; /* of no session */
	size_t n_sessions, n_orphans, n_directories;
	cJSON *found[SCAN_ENGINES_MAX]; /* as engines[]; NULL: it did not answer */
};

/** Look. On failure ${scan} is empty. An engine that does not answer is logged (once in a row) and left out. */
int scan_open(struct scan *scan, struct state *st, struct err *err);
void scan_close(struct scan *scan);

/** Whether ${engine} answered. */
bool scan_answered(const struct scan *scan, const struct engine *engine);

#endif
