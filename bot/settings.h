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

#endif
