/* What buttons mean. A button carries a random token; its meaning stands in bot.db, bound to one user, with an end, and
 * is used once: pressing one button of a message uses up all of them. */
#ifndef BOT_CALLBACKS_H
#define BOT_CALLBACKS_H

#include "core/db.h"
#include "core/err.h"
#include <stddef.h>
#include <stdint.h>

#define CALLBACK_TOKEN_LEN 24 /* of the 64 bytes that callback_data may have */
#define CALLBACK_BATCH_LEN 16

struct callback {
	char action[24];
	char payload[512];
	int64_t chat;
};

/** Start the buttons of one message: a name that they share. */
void callbacks_batch(char batch[CALLBACK_BATCH_LEN + 1]);

/** Add one button's meaning; ${token} is its callback_data. ${user} may press it until ${expires_at} (wall ms). ERR_LIMIT
 * when ${action} or ${payload} is longer than struct callback holds. */
int callbacks_add(struct db *db, const char *batch, int64_t chat, int64_t user, const char *action,
                  const char *payload, int64_t expires_at, char token[CALLBACK_TOKEN_LEN + 1],
                  struct err *err);

/**
 * ${user} pressed ${token}: in the caller's transaction, use it and its batch up. Returns 0 with ${*cb}, or -1:
 * ERR_NOT_FOUND unknown, ERR_STATE used before, ERR_TIMEOUT expired, ERR_DENIED somebody else's; nothing is used up then.
 */
int callbacks_use(struct db *db, const char *token, int64_t user, int64_t now_ms, struct callback *cb,
                  struct err *err);

/** The message that had these buttons is over: they mean nothing any more. ${token}: any of them; NULL is fine. */
int callbacks_void(struct db *db, const char *token, struct err *err);

#endif
