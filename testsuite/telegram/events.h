/* What happened in the chats, for the user's side: kept in order, read by long poll (user_api.h, GET /user/events). */
#ifndef TESTSUITE_TELEGRAM_EVENTS_H
#define TESTSUITE_TELEGRAM_EVENTS_H

#include "testsuite/telegram/store.h"
#include "testsuite/telegram/tg.h"

struct tg_events;

int tg_events_open(struct tg *tg, struct err *err);
void tg_events_close(struct tg *tg);

/** Append ${event} (transferred; without id, at, type, chat and from, which are added) in the caller's transaction. */
int tg_events_add(struct tg *tg, const char *type, int64_t chat, bool from_bot, cJSON *event,
                  struct err *err);

/** The same for a message; `raw`, when there is one, goes along as "html". */
int tg_events_add_message(struct tg *tg, const char *type, int64_t chat, const struct tg_message *m,
                          struct err *err);

/** After a commit: answer those who wait for what is new. */
void tg_events_wake(struct tg *tg);

/** Answer GET /user/events now or when something comes. */
void tg_events_read(struct tg *tg, struct http_exchange *x);

#endif
