#include "jobs/state.h"
#include "core/bell.h"
#include "core/file.h"
#include "core/mem.h"
#include "jobs/sha256.h"
#include "jobs/state_private.h"
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK_DIGITS 12

const struct setting state_settings[] = {
        {.key = "STATE_DIR",
         .type = SETTING_TEXT,
         .group = "State",
         .help = "Where databases, sessions, logs and backups live (default /var/lib/codefoundry for root, "
                 "else "
                 "$XDG_STATE_HOME/codefoundry)"},
        {.key = NULL},
};

/* Append only. Script i takes user_version from i to i + 1. Times are UTC milliseconds. */
static const char *const migrations[] = {
        /* jobs: `origin` makes a request that is repeated after a crash the same job; `stage`, `percent` and `message` repeat
         * the newest progress event, so that a list needs no join. */
        "CREATE TABLE jobs ("
        " id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, args TEXT NOT NULL, owner TEXT NOT NULL,"
        " origin TEXT UNIQUE, session TEXT,"
        " state TEXT NOT NULL CHECK (state IN ('queued','running','done','failed','cancelled')),"
        " attempt INTEGER NOT NULL DEFAULT 0, timeout_ms INTEGER NOT NULL DEFAULT 0,"
        " created_at INTEGER NOT NULL, not_before INTEGER NOT NULL DEFAULT 0, started_at INTEGER,"
        " finished_at INTEGER, cancel_at INTEGER, cancel_by TEXT, pid INTEGER, pid_start INTEGER,"
        " stage TEXT, percent INTEGER NOT NULL DEFAULT 0, message TEXT,"
        " result TEXT, error_code TEXT, error TEXT) STRICT;"
        "CREATE INDEX jobs_open ON jobs (state, not_before, id) WHERE state IN ('queued','running');"
        "CREATE INDEX jobs_owner ON jobs (owner, id);"
        "CREATE TABLE job_events ("
        " id INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,"
        " at INTEGER NOT NULL, type TEXT NOT NULL CHECK (type IN ('progress','log','state')), stage TEXT,"
        " percent INTEGER NOT NULL DEFAULT -1, text TEXT NOT NULL) STRICT;"
        "CREATE INDEX job_events_job ON job_events (job, id);"

        /* sessions: a row lives from `creating` until the receipt; failed ones stay for their reason until pruned.
         * `spec` is what was asked for (services, compose files, options), frozen. */
        "CREATE TABLE sessions ("
        " uuid TEXT PRIMARY KEY, name TEXT NOT NULL, owner TEXT NOT NULL, engine TEXT NOT NULL,"
        " state TEXT NOT NULL CHECK (state IN "
        "('creating','starting','running','stopping','stopped','failed')),"
        " reason TEXT, error TEXT, spec TEXT NOT NULL DEFAULT '{}', dir TEXT NOT NULL, job INTEGER,"
        " created_at INTEGER NOT NULL, started_at INTEGER, stopped_at INTEGER, expires_at INTEGER NOT NULL,"
        " hard_expires_at INTEGER, idle_ms INTEGER NOT NULL DEFAULT 0, used_at INTEGER,"
        " warned_at INTEGER, pinned INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;"
        "CREATE UNIQUE INDEX sessions_alive ON sessions (name) WHERE state <> 'failed';"
        "CREATE INDEX sessions_expiry ON sessions (expires_at) WHERE state <> 'failed';"

        /* every side effect of an operation: written before it happens, closed after it did. */
        "CREATE TABLE session_steps ("
        " id INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL, job INTEGER, operation TEXT NOT NULL,"
        " step TEXT NOT NULL, object TEXT, intent_at INTEGER NOT NULL, done_at INTEGER, outcome TEXT) STRICT;"
        "CREATE INDEX session_steps_session ON session_steps (session, id);"

        /* leases: a host port, or a subnet as the integer of its first IPv4 address; given back with the receipt. */
        "CREATE TABLE leases ("
        " kind TEXT NOT NULL CHECK (kind IN ('port','subnet')), value INTEGER NOT NULL, session TEXT NOT "
        "NULL,"
        " service TEXT, purpose TEXT NOT NULL, taken_at INTEGER NOT NULL,"
        " PRIMARY KEY (kind, value)) STRICT, WITHOUT ROWID;"
        "CREATE INDEX leases_session ON leases (session);"

        /* receipts: what was left after a removal, by engine listing; not ok: retried at next_try_at. */
        "CREATE TABLE receipts ("
        " id INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL, name TEXT NOT NULL, owner TEXT NOT "
        "NULL,"
        " engine TEXT NOT NULL, reason TEXT, created_at INTEGER NOT NULL, removed_at INTEGER NOT NULL,"
        " ok INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 1, next_try_at INTEGER,"
        " receipt TEXT NOT NULL) STRICT;"
        "CREATE INDEX receipts_name ON receipts (name, id);"

        "CREATE TABLE test_runs ("
        " id INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER, owner TEXT NOT NULL, session TEXT, commit_id "
        "TEXT,"
        " label TEXT, started_at INTEGER NOT NULL, finished_at INTEGER, duration_ms INTEGER,"
        " total INTEGER NOT NULL DEFAULT 0, passed INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL "
        "DEFAULT 0,"
        " skipped INTEGER NOT NULL DEFAULT 0, flaky INTEGER NOT NULL DEFAULT 0) STRICT;"
        "CREATE TABLE test_results ("
        " id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL REFERENCES test_runs (id) ON DELETE "
        "CASCADE,"
        " scenario TEXT NOT NULL, status TEXT NOT NULL CHECK (status IN "
        "('passed','failed','skipped','flaky')),"
        " attempts INTEGER NOT NULL DEFAULT 1, duration_ms INTEGER NOT NULL, message TEXT, detail TEXT) "
        "STRICT;"
        "CREATE INDEX test_results_scenario ON test_results (scenario, run);"

        "CREATE TABLE projects ("
        " name TEXT PRIMARY KEY, archetype TEXT NOT NULL, framework TEXT, path TEXT NOT NULL, owner TEXT NOT "
        "NULL,"
        " created_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;"

        /* audit: hash = SHA-256 over prev and the row, so that a changed or missing row shows. */
        "CREATE TABLE audit ("
        " id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, actor TEXT NOT NULL, source TEXT NOT "
        "NULL,"
        " action TEXT NOT NULL, target TEXT, outcome TEXT NOT NULL, detail TEXT, prev TEXT NOT NULL,"
        " hash TEXT NOT NULL) STRICT;",

        /* leases of container ports: what they lead to; NULL where the service itself listens on the host. */
        "ALTER TABLE leases ADD COLUMN target INTEGER;"
        "ALTER TABLE leases ADD COLUMN protocol TEXT;",

        /* a warm session, started before anybody asked: what it is made of; '' once it is not wanted any more. */
        "ALTER TABLE sessions ADD COLUMN pool TEXT;",

        /* sessions: `generation` grows with every change, whoever makes it, so that a row that comes from an old backup is known by
         * a lease file that is ahead of it. A change that sets it itself is the restoring of such a row. */
        "ALTER TABLE sessions ADD COLUMN generation INTEGER NOT NULL DEFAULT 1;"
        "CREATE TRIGGER sessions_generation AFTER UPDATE ON sessions WHEN new.generation = old.generation "
        "BEGIN"
        " UPDATE sessions SET generation = old.generation + 1 WHERE uuid = old.uuid; END;",

        /* clock: the wall clock and the time since `boot` when somebody looked last, to see it jump. */
        "CREATE TABLE clock ("
        " one INTEGER PRIMARY KEY CHECK (one = 1), boot TEXT NOT NULL, boot_ms INTEGER NOT NULL,"
        " wall_ms INTEGER NOT NULL, held_until INTEGER NOT NULL DEFAULT 0, why TEXT) STRICT;",

        /* notices: what people are to be told of, worth telling before `until`; ids grow for ever (jobs/notice.h). `chat` of a session: where
         * its owner asked for it, when that is not his private chat. */
        "CREATE TABLE notices ("
        " id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, until INTEGER "
        "NOT NULL,"
        " kind TEXT NOT NULL, session TEXT, owner TEXT, payload TEXT NOT NULL) STRICT;"
        "ALTER TABLE sessions ADD COLUMN chat TEXT;",

        /* what happened to sessions since this database was made: sums that never shrink, and what the last reap saw. */
        "CREATE TABLE session_counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT "
        "ROWID;",

        /* memory: what a session is made of and was promised, and what those of the same stack really used; rows of removed sessions stay
         * to be learned from. */
        "ALTER TABLE sessions ADD COLUMN stack TEXT;"
        "ALTER TABLE sessions ADD COLUMN promised_bytes INTEGER NOT NULL DEFAULT 0;"
        "CREATE TABLE session_usage ("
        " session TEXT PRIMARY KEY, stack TEXT NOT NULL, at INTEGER NOT NULL, memory_bytes INTEGER NOT NULL,"
        " peak_bytes INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
        "CREATE INDEX session_usage_stack ON session_usage (stack, at);",
        NULL,
};

/* Never a directory that others may have made before us, such as one in /tmp. */
static const char *home(void)
{
	const char *set = getenv("HOME");
	const struct passwd *user = set ? NULL : getpwuid(geteuid());
	return set ? set : user ? user->pw_dir : "";
}

char *state_dir(const struct config *cfg)
{
	const char *set = config_text(cfg, "STATE_DIR");
	cleanup_free char *relative = NULL;
	if (set)
		relative = mem_strdup(set);
	else if (geteuid() == 0)
		relative = mem_strdup("/var/lib/codefoundry");
	else if (getenv("XDG_STATE_HOME"))
		relative = mem_printf("%s/codefoundry", getenv("XDG_STATE_HOME"));
	else
		relative = mem_printf("%s/.local/state/codefoundry", home());
	if (relative[0] == '/')
		return TAKE(relative);
	char cwd[PATH_MAX];
	return mem_printf("%s/%s", getcwd(cwd, sizeof(cwd)) ? cwd : "", relative);
}

char *state_mark(const char *dir)
{
	char place[64], hex[SHA256_HEX + 1];
	struct stat s;
	if (stat(dir, &s))
		return mem_strdup("");
	snprintf(place, sizeof(place), "%llx:%llx", (unsigned long long)s.st_dev,
	         (unsigned long long)s.st_ino);
	sha256_hex(place, strlen(place), hex);
	return mem_printf("%.*s", MARK_DIGITS, hex);
}

int state_open(struct state **out, const struct config *cfg, struct err *err)
{
	struct state *st = mem_alloc(sizeof(*st));
	st->cfg = cfg;
	st->dir = state_dir(cfg);
	cleanup_free char *db_path = state_path(st, "codefoundry.db");
	if (dir_make(st->dir, 0700, err) || access(st->dir, W_OK | X_OK)) {
		if (!err->code)
			err_sys(err, errno, "not writable");
		err_wrap(err, "state directory %s (set STATE_DIR to a directory you may write)", st->dir);
		goto fail;
	}
	if (state_take_install(st, err))
		goto fail;
	if (db_open(&st->db, db_path, migrations, DB_NORMAL, err)) {
		if (err->code == ERR_DB && strstr(err->msg, DB_DAMAGED))
			err_wrap(err, "the database cannot be used (without a backup: move it away, then "
			              "`codefoundry session reap` brings the sessions back)");
		goto fail;
	}
	*out = st;
	return 0;
fail:
	state_close(st);
	return -1;
}

void state_close(struct state *st)
{
	if (!st)
		return;
	db_close(st->db);
	free(st->dir);
	free(st);
}

void state_cleanup(struct state **st)
{
	state_close(*st);
}

char *state_path(const struct state *st, const char *fmt, ...)
{
	va_list ap;
	char rest[PATH_MAX];
	va_start(ap, fmt);
	vsnprintf(rest, sizeof(rest), fmt, ap);
	va_end(ap);
	return mem_printf("%s/%s", st->dir, rest);
}

void state_ring(const struct state *st)
{
	bell_ring(st->dir);
}
