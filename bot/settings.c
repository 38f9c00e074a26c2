#include "bot/settings.h"
#include "bot/bot.h"
#include "compose/stack.h"
#include "core/http_client.h"
#include "core/log.h"
#include "core/mem.h"
#include <inttypes.h>

const struct setting bot_settings[] = {
        {.key = "TELEGRAM_BOT_TOKEN",
         .type = SETTING_TEXT,
         .secret = true,
         .group = "Telegram",
         .help = "Token of the bot, from @BotFather; unset: the built-in Telegram server is used"},
        {.key = "AUTHORIZED_USER_IDS",
         .type = SETTING_IDS,
         .group = "Telegram",
         .help = "Telegram user ids that may use the bot, comma separated; empty: nobody, *: everybody"},
        {.key = "ADMIN_USER_IDS",
         .type = SETTING_IDS,
         .group = "Telegram",
         .help = "Users that may also act on what others own, and read the audit log"},
        {.key = "VIEWER_USER_IDS",
         .type = SETTING_IDS,
         .group = "Telegram",
         .help = "Users that may only look"},
        {.key = "TELEGRAM_API_URL",
         .type = SETTING_URL,
         .allowed = "http|https",
         .group = "Telegram",
         .help = "Bot API server (default https://api.telegram.org)"},
        {.key = "TELEGRAM_RATE_LIMIT",
         .type = SETTING_BOOL,
         .group = "Telegram",
         .help = "Keep to Telegram's flood limits (default: off with a server on this machine, on "
                 "otherwise)"},
        {.key = "GATEWAY_URL",
         .type = SETTING_URL,
         .allowed = "ws|wss",
         .group = "Telegram",
         .help = "Gateway the bot talks to (default ws://127.0.0.1:GATEWAY_PORT)"},
        {.key = "BOT_LANG",
         .type = SETTING_CHOICE,
         .def = "auto",
         .allowed = "auto|en|ru",
         .group = "Telegram",
         .help = "Language for users whose own is neither English nor Russian (auto: English)"},
        {.key = "BOT_HOST",
         .type = SETTING_TEXT,
         .def = "127.0.0.1",
         .group = "Telegram",
         .help = "Address of the bot's health port (0.0.0.0 in a container)"},
        {.key = "BOT_PORT",
         .type = SETTING_INT,
         .def = "18792",
         .min = 0,
         .max = 65535,
         .group = "Telegram",
         .help = "Port of the bot's /health and /metrics"},
        {.key = NULL},
};

const char *settings_api_url(const struct config *cfg)
{
	const char *url = config_text(cfg, "TELEGRAM_API_URL");
	return url ? url : "https://api.telegram.org";
}

bool settings_limits(const struct config *cfg)
{
	/* Shared with the built-in server, which enforces what we keep to. */
	if (config_is_set(cfg, "TELEGRAM_RATE_LIMIT"))
		return config_bool(cfg, "TELEGRAM_RATE_LIMIT");
	return !http_is_local(settings_api_url(cfg));
}

char *settings_gateway_url(const struct config *cfg)
{
	const char *url = config_text(cfg, "GATEWAY_URL");
	return url ? mem_strdup(url) : mem_printf("ws://127.0.0.1:%" PRId64, config_int(cfg, "GATEWAY_PORT"));
}

/* ${users} of the stack as ${key}, unless that was set. */
static int take_users(struct config *cfg, const cJSON *credentials, const char *role, const char *key,
                      struct err *err)
{
	cleanup_str struct str ids = STR_INIT;
	if (config_is_set(cfg, key))
		return 0;
	stack_user_ids(credentials, role, &ids);
	return config_set(cfg, key, str_text(&ids), err);
}

int settings_identify(struct config *cfg, const char *dir, int64_t wait_ms, struct err *err)
{
	cleanup_json cJSON *credentials = NULL;
	if (config_text(cfg, "TELEGRAM_BOT_TOKEN") || !config_text(cfg, "TELEGRAM_API_URL"))
		return 0;
	if (stack_credentials_await(dir, 0, &credentials, err)) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		log_info("no TELEGRAM_BOT_TOKEN: waiting for %s/telegram.json, which the built-in Telegram "
		         "server "
		         "writes",
		         dir);
		if (stack_credentials_await(dir, wait_ms, &credentials, err))
			return err->code == ERR_NOT_FOUND ? 0 : -1;
	}
	if (take_users(cfg, credentials, NULL, "AUTHORIZED_USER_IDS", err) ||
	    take_users(cfg, credentials, "admin", "ADMIN_USER_IDS", err))
		return -1;
	return config_set(cfg, "TELEGRAM_BOT_TOKEN", json_text(credentials, "token"), err);
}
