/* Warm sessions: SESSION_POOL of the stack that a plain `session start` would make, started before anybody asks. A start takes one
 * over: the row gets its name, owner and times, what runs goes on running. Odd rule: a warm one is called pool_<hex>, which no
 * session of a person can be, and its objects and its directory keep that name when it is taken. */
#ifndef SESSIONS_POOL_H
#define SESSIONS_POOL_H

#include "jobs/sha256.h"
#include "sessions/engine.h"

#define POOL_OWNER "system:pool"
#define REASON_RETIRED "retired"

/** A name for a new warm session; the caller frees it. */
char *pool_name(void);
/** Whether ${name} is one. */
bool pool_is_name(const char *name);

/** Whether a start with ${args} may take a warm one: it asks for nothing but a name (where it was asked, "chat", makes no difference). */
bool pool_fits(const cJSON *args);

/** What warm sessions planned as ${row} are made of: program, engine, frozen compose file, settings. The same recipe, the same stack. */
void pool_recipe(const struct config *cfg, const struct session_row *row, char recipe[SHA256_HEX + 1]);

/**
 * Find a warm session of ${recipe} that is healthy now and take its guard. Those that are ill or of another recipe are retired on
 * the way, which the reaper then removes. Returns 1 with ${*guard} and ${row}, 0: there is none, or -1.
 */
int pool_find(struct state *st, const char *recipe, int *guard, struct session_row *row, struct err *err);

/** Within the caller's transaction: ${row}, which pool_find() gave, gets name, owner, job and times of ${want}. ERR_EXISTS when a session of
 * that name is alive, ERR_STATE when the warm one is no longer there to be taken. */
int pool_take(struct state *st, struct session_row *row, const struct session_row *want, struct err *err);

/** Somebody's start has no room: end the newest warm session now, within ${job}. Returns 1 when one is gone, 0 when there is none, or -1. */
int pool_yield(struct job *job, struct err *err);

/** Retire what there is beyond SESSION_POOL. */
int pool_trim(struct state *st, struct err *err);

/* Keeps SESSION_POOL of them: enqueues starts, and trims. */
extern const struct worker_task session_pool_task;

#endif
