/* The server side of user_api.h: what a person does in a chat. */
#ifndef TESTSUITE_TELEGRAM_USER_SIDE_H
#define TESTSUITE_TELEGRAM_USER_SIDE_H

#include "testsuite/telegram/tg.h"

/** Answer a request below /user/. Checks origin and key first. */
void tg_user_side(struct tg *tg, struct http_exchange *x);

#endif
