/* What the modules of the built-in Telegram server share: one bot, one loop, one database. Nothing outside this
 * folder includes it. */
#ifndef TESTSUITE_TELEGRAM_TG_H
#define TESTSUITE_TELEGRAM_TG_H

#include "core/db.h"
#include "core/err.h"
#include "core/http_server.h"
#include "core/json.h"
#include "core/loop.h"
#include "core/metrics.h"
#include <stdbool.h>
#include <stdint.h>

#define TG_TEXT_MAX 4096 /* UTF-16 code units, after entity parsing */
#define TG_CAPTION_MAX 1024
#define TG_RAW_TEXT_MAX (1 << 15) /* bytes, before entity parsing */
#define TG_UPLOAD_MAX (50u << 20)
#define TG_DOWNLOAD_MAX (20u << 20)
#define TG_PHOTO_MAX (10u << 20)

enum tg_metric {
	TG_M_REQUESTS,
	TG_M_UPDATES,
	TG_M_PENDING,
	TG_M_CONFLICTS,
	TG_M_EVENTS,
	TG_M_FAULTS,
	TG_M_DENIED
};

struct tg_call;

struct tg {
	struct loop *loop;
	struct http_server *http;
	struct db *db;
	char *dir; /* state directory */
	struct metrics *metrics;
	cJSON *credentials;
	const char *token, *username, *key; /* borrowed from the credentials */
	int64_t bot_id;
	int64_t started_ms; /* monotonic */
	bool loopback;      /* bound to loopback: check the Host header */
	int64_t next_message_id;
	struct tg_call *calls; /* under way, for closing */
	cJSON *counts;         /* of calls, by method */
	struct tg_updates *updates;
	struct tg_events *events;
	struct tg_faults *faults;
	struct tg_limits *limits; /* NULL: off */
	struct loop_timer *prune;
};

#endif
