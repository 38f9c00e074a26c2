/* What the settings mean where one depends on another. */
#ifndef BOT_SETTINGS_H
#define BOT_SETTINGS_H

#include "core/config.h"
#include <stdbool.h>

/** The Bot API server, borrowed from ${cfg}. */
const char *settings_api_url(const struct config *cfg);
/** Whether to keep Telegram's rates: as set, else unless the server is on this machine. */
bool settings_limits(const struct config *cfg);
/** The gateway's WebSocket address; the caller frees it. */
char *settings_gateway_url(const struct config *cfg);

/**
 * Complete ${cfg} as a stack's own bot: with TELEGRAM_API_URL but no token, token and users come from ${dir}/telegram.json, which the
 * built-in server of the stack writes (docs/adr/0004); what is set wins. Waits ${wait_ms} at most for the file; without it nothing is
 * changed. -1 when the file is damaged.
 */
int settings_identify(struct config *cfg, const char *dir, int64_t wait_ms, struct err *err);

#endif
