/* The queue of updates and getUpdates with the real server's rules: true long polling, one poller (the older waiting
 * one ends with 409), offsets, allowed_updates, and the slowing down of who asks the same again. */
#ifndef TESTSUITE_TELEGRAM_UPDATES_H
#define TESTSUITE_TELEGRAM_UPDATES_H

#include "testsuite/telegram/call.h"

struct tg_updates;

int tg_updates_open(struct tg *tg, struct err *err);
void tg_updates_close(struct tg *tg);

/** Queue {"update_id":N,"${type}":${content}} (transfers ${content}); ${*id} is 0 when allowed_updates leaves it out. */
int tg_updates_push(struct tg *tg, const char *type, cJSON *content, int64_t *id, struct err *err);

/** Queue any JSON as it is (borrowed). An object without update_id gets one. An id more than 200000 below the last
 * is taken as the restart at a random number after an idle week: the queue is emptied and counting goes on from there. */
int tg_updates_inject(struct tg *tg, const cJSON *update, int64_t *id, struct err *err);

/** After a commit: a waiting poller gets what is new (2 ms later, so that a burst comes in one answer). */
void tg_updates_wake(struct tg *tg);

/** ${c} will be answered by someone else. */
void tg_updates_forget(struct tg *tg, struct tg_call *c);

bool tg_updates_polling(const struct tg *tg); /* someone waits, or did within the last 3 s */
int64_t tg_updates_pending(const struct tg *tg);
int64_t tg_updates_last_poll_ms(const struct tg *tg); /* wall clock, 0 never */

int tg_get_updates(struct tg_call *c, struct err *err);
int tg_set_webhook(struct tg_call *c, struct err *err);
int tg_delete_webhook(struct tg_call *c, struct err *err);
int tg_get_webhook_info(struct tg_call *c, struct err *err);

#endif
