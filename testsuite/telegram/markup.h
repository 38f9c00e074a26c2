/* reply_markup: the checks of the real server before a message is sent. */
#ifndef TESTSUITE_TELEGRAM_MARKUP_H
#define TESTSUITE_TELEGRAM_MARKUP_H

#include "core/err.h"
#include "core/json.h"

/**
 * Check ${text} (JSON; "" is none). Returns 0 and transfers in ${*inline_keyboard} the markup as it appears in a
 * Message ({"inline_keyboard":[[…]]}), NULL when there is none or it is of another kind; or -1 (ERR_INVALID)
 * with the description without "Bad Request: ".
 */
int tg_markup_parse(const char *text, cJSON **inline_keyboard, struct err *err);

/** Whether ${message} (Bot API Message) has a button with ${data}. */
bool tg_markup_has(const cJSON *message, const char *data);

#endif
