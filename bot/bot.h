/* The bot: one process, one loop. Everything it must not forget stands in bot.db, everything it causes in codefoundry.db. */
#ifndef BOT_BOT_H
#define BOT_BOT_H

#include "core/config.h"
#include "core/err.h"

extern const struct setting bot_settings[];

/**
 * Run until SIGTERM. ${cfg} holds bot_settings, gateway_settings, session_settings and state_settings. Returns 0, or -1
 * with ${err}: ERR_CONFIG when the token is missing or Telegram refuses it, ERR_EXISTS when the health port is taken.
 */
int bot_main(const struct config *cfg, struct err *err);

#endif
