/* bot.db: what the bot must not forget. One writer, synchronous=FULL. It is kept apart from codefoundry.db so that a
 * restored backup of that one never sends old messages again. */
#ifndef BOT_STORE_H
#define BOT_STORE_H

#include "core/db.h"
#include "core/err.h"
#include <stdbool.h>
#include <stdint.h>

/** Open or create ${dir}/bot.db. Returns 0 and transfers ${*db}. */
int store_open(struct db **db, const char *dir, struct err *err);

/**
 * Say which bot this database serves. When it served another one before, everything of that one is forgotten: its
 * updates, chats and unsent messages mean nothing under this token. ${*changed} tells whether that happened.
 */
int store_identify(struct db *db, int64_t bot_id, bool *changed, struct err *err);

/** Delete what is over and older than it can matter: updates and messages after 8 days (a server may repeat an update
 * for 24 h, ids restart after a week), quarantined updates after 30, buttons and requests when they expired, languages that were noted and not chosen after 90. */
int store_prune(struct db *db, int64_t now_ms, struct err *err);

/** A group became a supergroup: everything of chat ${from} belongs to chat ${to} now. In a transaction of its own. */
int store_migrate_chat(struct db *db, int64_t from, int64_t to, struct err *err);

/* One update's part of a larger transaction. */
int store_savepoint(struct db *db, struct err *err);
int store_release(struct db *db, struct err *err);
void store_rollback_to(struct db *db);

#endif
