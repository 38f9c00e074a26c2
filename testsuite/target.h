/* What scenarios run against: a session's stack, or the control plane of a state directory. Knows addresses, credentials
 * and users, and how to get at services. */
#ifndef TESTSUITE_TARGET_H
#define TESTSUITE_TARGET_H

#include "core/err.h"
#include "core/json.h"
#include "jobs/state.h"
#include "testsuite/telegram/user_api.h"
#include <stdbool.h>
#include <stdint.h>

struct target;

/** A session that runs. ${st} is borrowed for the target's life. */
int target_of_session(struct target **target, struct state *st, const char *session, struct err *err);

/** The control plane that runs in ${state_dir}; ${env} ({KEY: text}, transferred) holds the ports it was started with. */
int target_of_stack(struct target **target, const char *state_dir, cJSON *env, struct err *err);
void target_free(struct target *target);

const char *target_name(const struct target *target);
/** The stack's state directory where this machine's programs see it; NULL for a session whose is in its engine's keeping. */
const char *target_state_dir(const struct target *target);
/** Setting ${key} the stack's services got, NULL when unset. */
const char *target_env(const struct target *target, const char *key);
/** All of them, {KEY: text}; borrowed. */
const cJSON *target_settings(const struct target *target);
/** Token of the stack's bot, key of its user-side API; NULL when it has no built-in Telegram server. */
const char *target_bot_token(const struct target *target);
const char *target_key(const struct target *target);

/** URL of an endpoint "service/port name", as in "gateway/health": the caller frees it. NULL with ${err} naming those there are. */
char *target_url(const struct target *target, const char *endpoint, struct err *err);

/* Users. A target without testers has its person do everything. */
int64_t target_tester(const struct target *target, int slot); /* 0: none */
int64_t target_person(const struct target *target);
int64_t target_stranger(const struct target *target); /* a new random id that nobody has */

/** Restart, stop, start or kill a service. Blocks until done. */
int target_service(struct target *target, const char *service, const char *op, struct err *err);

/** Read the file ${path} (relative, without ..) below the stack's state directory, wherever that is: at most ${max} bytes. Returns 0 and
 * transfers ${*text} (NUL-terminated; a NULL pointer: only whether it is there), or -1: ERR_NOT_FOUND, ERR_INVALID for a
 * directory, ERR_LIMIT. */
int target_read(struct target *target, const char *path, size_t max, char **text, struct err *err);

/** Whether a file or directory is there: 1, 0, or -1. */
int target_has(struct target *target, const char *path, struct err *err);

/* Who does these two instead: a scenario's process asks the one that holds the database (errand.h). */
struct target_proxy {
	int (*service)(void *arg, const char *service, const char *op, struct err *err);
	int (*read)(void *arg, const char *path, size_t max, char **text, struct err *err);
};
void target_through(struct target *target, const struct target_proxy *proxy, void *arg);

/** The user-side API, connected when first used (so that a forked child has a connection of its own). NULL with ${err}. */
struct user_api *target_api(struct target *target, struct err *err);

#endif
