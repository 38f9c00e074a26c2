/* Who may do what: viewers look, operators act, admins act on what others own. Ids come from the settings only: nobody
 * gets in by talking. Strangers are told once an hour, with their id, so that they can ask to be let in. */
#ifndef BOT_AUTH_H
#define BOT_AUTH_H

#include "core/config.h"
#include "core/db.h"
#include "core/err.h"
#include <stdbool.h>
#include <stdint.h>

enum role { ROLE_NONE, ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN };

#define AUTH_TOLD_MS (3600 * INT64_C(1000))
#define AUTH_STRANGERS 1000

/** Role of ${user} by ADMIN_USER_IDS, VIEWER_USER_IDS, AUTHORIZED_USER_IDS, in that order. */
enum role auth_role(const struct config *cfg, int64_t user);
const char *auth_role_name(enum role role);

/** Log what the settings mean when that may surprise: nobody is authorized, or everybody is. */
void auth_explain(const struct config *cfg);

/**
 * A stranger spoke: in the caller's transaction, count it; ${*tell} is whether to answer (once per AUTH_TOLD_MS). At most
 * AUTH_STRANGERS are remembered, the oldest are forgotten.
 */
int auth_stranger(struct db *db, int64_t user, int64_t now_ms, bool *tell, struct err *err);

#endif
