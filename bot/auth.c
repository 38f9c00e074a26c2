#include "bot/auth.h"
#include "core/log.h"
#include "core/mutant.h"
#include <string.h>

static const char *const names[] = {
        [ROLE_NONE] = "none", [ROLE_VIEWER] = "viewer", [ROLE_OPERATOR] = "operator", [ROLE_ADMIN] = "admin"};

const char *auth_role_name(enum role role)
{
	return names[role];
}

/* "*" in the lists of admins and viewers would raise or lower everybody: only AUTHORIZED_USER_IDS takes it. */
static bool listed(const struct config *cfg, const char *key, int64_t user)
{
	bool any = false;
	return config_has_id(cfg, key, user, &any) && !any;
}

enum role auth_role(const struct config *cfg, int64_t user)
{
	if (user <= 0)
		return ROLE_NONE;
	if (MUTANT("auth_lets_everybody_in"))
		return ROLE_OPERATOR;
	if (listed(cfg, "ADMIN_USER_IDS", user))
		return ROLE_ADMIN;
	if (listed(cfg, "VIEWER_USER_IDS", user))
		return ROLE_VIEWER;
	return config_has_id(cfg, "AUTHORIZED_USER_IDS", user, NULL) ? ROLE_OPERATOR : ROLE_NONE;
}

void auth_explain(const struct config *cfg)
{
	bool any = false;
	config_has_id(cfg, "AUTHORIZED_USER_IDS", 1, &any);
	if (any)
		log_warn("AUTHORIZED_USER_IDS=* lets every Telegram user run sessions on this machine");
	else if (!config_text(cfg, "AUTHORIZED_USER_IDS") && !config_text(cfg, "ADMIN_USER_IDS") &&
	         !config_text(cfg, "VIEWER_USER_IDS"))
		log_warn("AUTHORIZED_USER_IDS is empty: nobody may use this bot. Write to it: it answers "
		         "with your id, which "
		         "you then put there");
}

int auth_stranger(struct db *db, int64_t user, int64_t now_ms, bool *tell, struct err *err)
{
	int64_t told_at = 0, known = 0;
	if (db_get_int(db, &told_at, err, "SELECT told_at FROM unauthorized WHERE user = ?", "i", user))
		return -1;
	/* A clock that was set back must not silence us for long. */
	*tell = told_at == 0 || now_ms - told_at >= AUTH_TOLD_MS || told_at > now_ms ||
	        MUTANT("auth_tells_every_time");
	if (!*tell)
		return db_run(db, err, "UPDATE unauthorized SET seen = seen + 1 WHERE user = ?", "i", user);
	if (db_run(db, err,
	           "INSERT INTO unauthorized (user, told_at) VALUES (?, ?) ON CONFLICT (user) DO UPDATE SET"
	           " told_at = excluded.told_at, seen = seen + 1",
	           "ii", user, now_ms) ||
	    db_get_int(db, &known, err, "SELECT count(*) FROM unauthorized", ""))
		return -1;
	if (known <= AUTH_STRANGERS)
		return 0;
	return db_run(db, err,
	              "DELETE FROM unauthorized WHERE user IN (SELECT user FROM unauthorized ORDER BY "
	              "told_at LIMIT ?)",
	              "i", known - AUTH_STRANGERS);
}
