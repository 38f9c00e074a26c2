/* The built-in Telegram Bot API server: a bot is tested with no token and no internet. Bot API and user side
 * (user_api.h) on one port. */
#ifndef TESTSUITE_TELEGRAM_SERVER_H
#define TESTSUITE_TELEGRAM_SERVER_H

#include "core/config.h"
#include "core/err.h"
#include "core/json.h"
#include "core/loop.h"

extern const struct setting telegram_settings[];

/** `codefoundry telegram`: serve until SIGTERM. Returns 0, or -1 when it could not start. */
int telegram_main(const struct config *cfg, struct err *err);

struct telegram_options {
	const char *dir;   /* state directory, exists; telegram.db and telegram-files go there */
	const char *host;  /* numeric address or "localhost"; NULL: 127.0.0.1 */
	int port;          /* 0: any free one */
	bool flood_limits; /* answer 429 as Telegram does */
};

struct tg;

/** Listen. ${credentials} as in compose/stack.h, copied. Returns 0 and transfers ${*tg}, or -1. */
int telegram_open(struct tg **tg, struct loop *loop, const struct telegram_options *options,
                  const cJSON *credentials, struct err *err);
int telegram_port(const struct tg *tg);
/** Unanswered requests are dropped; what was accepted is in telegram.db. */
void telegram_close(struct tg *tg);

#endif
