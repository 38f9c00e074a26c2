/* From an update to its answer: who may, which command, and one transaction per batch that holds the answers, what they
 * follow and the mark that the updates are done. An update that cannot be handled is set aside; the queue goes on. */
#ifndef BOT_ROUTER_H
#define BOT_ROUTER_H

#include "bot/app.h"
#include "core/json.h"

/** Journal and handle one poll's ${updates}; for the poller. ${*fresh}: how many were new. -1: nothing was kept. */
int router_take(struct bot *bot, const cJSON *updates, size_t *fresh, struct err *err);

/**
 * Handle what the journal holds unanswered: after a crash, one by one with every attempt counted durably before it, so
 * that an update that kills the process is the one that is set aside.
 */
int router_recover(struct bot *bot, struct err *err);

#endif
