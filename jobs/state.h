/* The state directory of one installation and the database that all its processes share. The schema stands here as
 * one append-only migration list, whole, because SQLite's user_version is one number for all parts. */
#ifndef JOBS_STATE_H
#define JOBS_STATE_H

#include "core/config.h"
#include "core/db.h"
#include "core/err.h"
#include "core/id.h"

struct state {
	const struct config *cfg;      /* borrowed */
	char *dir;                     /* absolute, 0700 */
	char install[ID_UUID_LEN + 1]; /* this installation's UUID, kept in STATE_DIR/install */
	struct db *db;                 /* codefoundry.db */
};

extern const struct setting state_settings[];

/** The state directory by configuration: STATE_DIR, else /var/lib/codefoundry for root, else
 * $XDG_STATE_HOME/codefoundry. The caller frees the absolute path. */
char *state_dir(const struct config *cfg);

/** What tells the state directory ${dir} from others on this machine: the parts show it in their health, so that who asks at a port can tell
 * whether his own part answers there, or that of another installation. "" when it is not there. The caller frees it. */
char *state_mark(const char *dir);

/** Make what is missing and open. Errors name the directory and what to do. ${cfg} is borrowed for the state's life. */
int state_open(struct state **state, const struct config *cfg, struct err *err);
void state_close(struct state *state);

/* On owned locals: `cleanup_state struct state *st = NULL;` */
#define cleanup_state __attribute__((cleanup(state_cleanup)))
void state_cleanup(struct state **state);

/** Path below the state directory: state_path(st, "sessions/%s", name). The caller frees it. */
char *state_path(const struct state *state, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** Wake whoever follows this database; call after a commit that others wait for. */
void state_ring(const struct state *state);

#endif
