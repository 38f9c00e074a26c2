/* What a person does, as updates for the bot and events for everybody who watches. Each takes the body of its
 * POST (user_api.h), runs in the caller's transaction, and adds to ${answer}; -1 with ERR_INVALID for a bad request. */
#ifndef TESTSUITE_TELEGRAM_PERSON_H
#define TESTSUITE_TELEGRAM_PERSON_H

#include "testsuite/telegram/tg.h"

int tg_person_message(struct tg *tg, const cJSON *body, cJSON *answer, struct err *err);
int tg_person_press(struct tg *tg, const cJSON *body, cJSON *answer, struct err *err);
int tg_person_update(struct tg *tg, const cJSON *body, cJSON *answer, struct err *err);
int tg_person_block(struct tg *tg, const cJSON *body, cJSON *answer, struct err *err);

#endif
