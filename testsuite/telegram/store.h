/* telegram.db: its schema, and the users, chats and messages in it. Updates, events, commands and files keep their
 * SQL in their own modules. One writer, so ids are counted in memory from where the file left off. */
#ifndef TESTSUITE_TELEGRAM_STORE_H
#define TESTSUITE_TELEGRAM_STORE_H

#include "testsuite/telegram/tg.h"

/** Open ${tg->dir}/telegram.db into ${tg->db}. */
int tg_store_open(struct tg *tg, struct err *err);

/** Drop what is past its time or number: updates after 24 h (Bot API, "Getting updates"), the oldest events, messages
 * and callback queries. */
int tg_store_prune(struct tg *tg, struct err *err);

/** A small value kept over restarts. Transfers ${*value}, NULL when absent. */
int tg_store_meta(struct tg *tg, const char *key, char **value, struct err *err);
int tg_store_set_meta(struct tg *tg, const char *key, const char *value, struct err *err); /* NULL removes */

/** Remember a user; NULL ${name} or ${language} keeps what is known (else the name in the credentials, else "User ID"). */
int tg_store_save_user(struct tg *tg, int64_t id, const char *name, const char *language, struct err *err);
/** 1 and transfers a Bot API User, 0 unknown, -1. */
int tg_store_user(struct tg *tg, int64_t id, cJSON **user, struct err *err);
int tg_store_block(struct tg *tg, int64_t user, bool blocked, struct err *err);
bool tg_store_blocked(struct tg *tg, int64_t user);

/** Remember a Bot API Chat. */
int tg_store_save_chat(struct tg *tg, int64_t id, const cJSON *chat, struct err *err);
/** 1 and transfers a Bot API Chat, 0 unknown, -1. */
int tg_store_chat(struct tg *tg, int64_t id, cJSON **chat, struct err *err);

struct tg_message {
	cJSON *body; /* Bot API Message */
	char *raw;   /* text or caption as the bot sent it; NULL for a user's */
	bool from_bot;
};
#define cleanup_message __attribute__((cleanup(tg_message_free)))
void tg_message_free(struct tg_message *m);

/** Insert or replace. */
int tg_store_save_message(struct tg *tg, int64_t chat, int64_t id, const struct tg_message *m,
                          struct err *err);
/** 1 and transfers into ${*m}, 0 unknown, -1. */
int tg_store_message(struct tg *tg, int64_t chat, int64_t id, struct tg_message *m, struct err *err);
int tg_store_delete_message(struct tg *tg, int64_t chat, int64_t id, struct err *err);

/** The bot as a Bot API User. */
cJSON *tg_bot_user(const struct tg *tg);

#endif
