/* The parts of a running bot, as its handlers see them. */
#ifndef BOT_APP_H
#define BOT_APP_H

#include "bot/link.h"
#include "bot/outbox.h"
#include "bot/poller.h"
#include "bot/progress.h"
#include "core/metrics.h"
#include "jobs/state.h"

enum bot_metric {
	M_UPDATES,
	M_COMMANDS,
	M_POISON,
	M_UNAUTHORIZED,
	M_MESSAGES,
	M_PENDING,
	M_POLLING,
	M_LAST_POLL,
	M_LAST_UPDATE,
	M_GATEWAY,
	M_GATEWAY_RTT,
};

struct bot {
	const struct config *cfg;
	struct state *st;
	struct loop *loop;
	struct db *db; /* bot.db */
	struct api *api;
	struct outbox *outbox;
	struct progress *progress;
	struct link *link;
	struct notices *notices;
	struct poller *poller;
	struct metrics *metrics;
	const char *api_url;
	bool limits;
	int64_t id;        /* of the bot, from its token */
	char username[64]; /* no @ */
	struct loop_timer *retry;
};

/** Some updates could not be handled now: take them up from the journal in a moment. */
void bot_retry_soon(struct bot *bot);

#endif
