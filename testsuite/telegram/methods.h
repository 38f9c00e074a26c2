/* The Bot API methods that this server knows, and the pieces they share. Checks run in the real server's order: text,
 * markup, chat, length, rights, flood limits. */
#ifndef TESTSUITE_TELEGRAM_METHODS_H
#define TESTSUITE_TELEGRAM_METHODS_H

#include "testsuite/telegram/call.h"
#include "testsuite/telegram/entities.h"
#include "testsuite/telegram/store.h"

/** The method of that name in any case, NULL when there is none. */
const struct tg_method *tg_method_find(const char *name);

/* All return 0, or -1 with the call failed (or ${err} set for a failure of ours). */

/** The Chat of parameter chat_id; transfers. */
int tg_find_chat(struct tg_call *c, cJSON **chat, struct err *err);
/** Blocked by the user: 403. */
int tg_may_write(struct tg_call *c, const cJSON *chat);
/** Flood limits, when they are on: 429. */
int tg_flood(struct tg_call *c, const cJSON *chat);
/** Parse "text" or "caption" with its parse_mode or entities. */
int tg_read_text(struct tg_call *c, const char *name, struct tg_formatted *f, struct err *err);
/** Parse reply_markup; transfers. */
int tg_read_markup(struct tg_call *c, cJSON **markup, struct err *err);
/** The message of parameters chat_id and message_id; ${what} as in "message to edit not found". */
int tg_find_message(struct tg_call *c, const cJSON *chat, const char *what, struct tg_message *m,
                    struct err *err);

int tg_send_message(struct tg_call *c, struct err *err);
int tg_send_document(struct tg_call *c, struct err *err);
int tg_send_photo(struct tg_call *c, struct err *err);
int tg_edit_message_text(struct tg_call *c, struct err *err);
int tg_edit_message_caption(struct tg_call *c, struct err *err);
int tg_edit_message_reply_markup(struct tg_call *c, struct err *err);
int tg_delete_message(struct tg_call *c, struct err *err);
int tg_set_message_reaction(struct tg_call *c, struct err *err);
int tg_get_me(struct tg_call *c, struct err *err);
int tg_log_out(struct tg_call *c, struct err *err);
int tg_get_chat(struct tg_call *c, struct err *err);
int tg_send_chat_action(struct tg_call *c, struct err *err);
int tg_answer_callback_query(struct tg_call *c, struct err *err);
int tg_set_my_commands(struct tg_call *c, struct err *err);
int tg_get_my_commands(struct tg_call *c, struct err *err);
int tg_delete_my_commands(struct tg_call *c, struct err *err);
int tg_get_file(struct tg_call *c, struct err *err);

#endif
