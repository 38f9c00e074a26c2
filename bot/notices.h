/* Telling people what they did not ask for: notices of the worker (jobs/notice.h), as messages in the chats of those they concern. What
 * was told last stands in bot.db, in the same transaction as the messages, so that a killed bot neither forgets nor repeats one. */
#ifndef BOT_NOTICES_H
#define BOT_NOTICES_H

#include "bot/app.h"

struct notices;

/** Go on where the process before this one ended. ${bot} is borrowed for its life; its outbox must be open. */
int notices_open(struct notices **n, struct bot *bot, struct err *err);
void notices_close(struct notices *n);

/** The bell rang: tell what is new. Not within a transaction. */
void notices_look(void *notices);

#endif
