/* Rows of the sessions table. Every change of state goes through store_apply and with it through the lifecycle
 * table, in one transaction with what else the change brings. */
#ifndef SESSIONS_STORE_H
#define SESSIONS_STORE_H

#include "core/id.h"
#include "core/json.h"
#include "jobs/state.h"
#include "sessions/lifecycle.h"

struct session_row {
	char uuid[ID_UUID_LEN + 1];
	char *name, *owner, *engine;
	char *dir;            /* NULL: none that is its own */
	char *reason, *error; /* may be NULL */
	char *pool;           /* of a warm session: its recipe, "" when it is to go (pool.h); else NULL */
	enum session_state state;
	cJSON *spec; /* {"services":[names]} and what the engine keeps */
	cJSON *plan; /* what engine->plan leaves for its prepare; not stored, may be NULL */
	int64_t job; /* the last job that worked on it; 0: none */
	int64_t created_at, started_at, stopped_at, expires_at, hard_expires_at, idle_ms, used_at,
	        warned_at;  /* ms; 0: unset */
	bool pinned;        /* does not expire */
	char *chat;         /* where its owner asked for it: {"chat","topic"}; NULL: nowhere, or in private */
	int64_t generation; /* grows with every change of the row */
};
#define cleanup_row __attribute__((cleanup(store_row_free)))
void store_row_free(struct session_row *row);

/* Which rows store_rows gives. STORE_SCAN: alive ones by uuid, without owner, reason, error, spec and chat. */
enum store_filter { STORE_ALIVE, STORE_ALL, STORE_OLD_FAILED, STORE_WARM, STORE_SCAN };

/** Insert ${row} (state `creating`). Within a transaction of the caller's, who also takes the leases. ERR_EXISTS when a
 * session of that name is alive. */
int store_insert(struct state *st, const struct session_row *row, struct err *err);

/** The alive session called ${name}; if there is none, its newest failed one. ERR_NOT_FOUND. Free with store_row_free. */
int store_by_name(struct state *st, const char *name, struct session_row *row, struct err *err);
/** The alive session that has ${directory} of STATE_DIR/sessions. ERR_NOT_FOUND. */
int store_by_directory(struct state *st, const char *directory, struct session_row *row, struct err *err);
/** Returns -1 with ${err} (ERR_NOT_FOUND): no session ${name}, and which there are. */
int store_missing(struct state *st, const char *name, struct err *err);
/** The session ${job} works or worked on last. ERR_NOT_FOUND. */
int store_by_job(struct state *st, int64_t job, struct session_row *row, struct err *err);

/** All rows of ${filter}, oldest first. Transfers ${*rows} (store_rows_free) and ${*n}. STORE_OLD_FAILED: failed
 * ones made before ${before_ms}. */
int store_rows(struct state *st, enum store_filter filter, int64_t before_ms, struct session_row **rows,
               size_t *n, struct err *err);
void store_rows_free(struct session_row *rows, size_t n);

/** Whether any row has ${uuid}: 1, 0, or -1. */
int store_has(struct state *st, const char *uuid, struct err *err);

/** Whether an alive session has ${directory} of STATE_DIR/sessions (not always its name: pool.h): 1, 0, or -1. */
int store_has_directory(struct state *st, const char *directory, struct err *err);

/** The name of its directory in STATE_DIR/sessions, not always that of the session; "" when it has none of its own. Borrowed. */
const char *store_directory(const struct session_row *row);

/**
 * Apply ${event} to ${row}: checks the lifecycle table, changes the row (only if its state is still the one ${row} has:
 * else ERR_STATE) and brings what the table's actions say. ${reason} and ${error} replace those of the row unless NULL;
 * ${job} is recorded unless 0. Opens a transaction unless one is open; in its own, the lease file of a session that stays follows
 * the row after it. Rings. ${row} follows.
 */
int store_apply(struct state *st, struct session_row *row, enum session_event event, const char *reason,
                const char *error, int64_t job, struct err *err);

/** Set expires_at and used_at; the lease file is left to the caller (lease_file.h). */
int store_expire_at(struct state *st, struct session_row *row, int64_t expires_at, int64_t used_at,
                    struct err *err);

/** Note where ${row}'s owner asked for it: ${chat} as in the row (copied), NULL: nothing to note. */
int store_chat(struct state *st, struct session_row *row, const char *chat, struct err *err);

/** Pin it, or let it expire again at ${expires_at}, at the latest at ${hard_expires_at}. */
int store_pin(struct state *st, struct session_row *row, bool pinned, int64_t expires_at,
              int64_t hard_expires_at, struct err *err);

/** Rows of sessions and steps that still name ${uuid} (a failed session's own row is no leftover), and its leases. */
int store_count(struct state *st, const char *uuid, int64_t *rows, int64_t *leases, struct err *err);

#endif
