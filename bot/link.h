/* The bot's connection to the gateway. What is asked stands in bot.db under its own id (the sessionId on the wire) and is
 * asked again, with the same id, after a reconnect or a crash, until it is answered or given up. */
#ifndef BOT_LINK_H
#define BOT_LINK_H

#include "bot/progress.h"
#include "core/json.h"
#include <stdbool.h>
#include <stdint.h>

struct link;

struct link_options {       /* zero: the default in brackets */
	int64_t give_up_ms; /* not connected for so long: tell, with a Retry button [60000] */
	int64_t silence_ms; /* connected, asked, and no frame for so long [120000] */
	int64_t ping_ms;    /* round trips measured [10000] */
	int64_t first_retry_ms, longest_retry_ms; /* [50], [10000] */
};

struct link_ask {
	const char *id; /* UUID; the same for every try */
	int64_t chat, topic, user;
	enum lang lang;
	const char *title;  /* HTML, of the progress message */
	const char *key;    /* of the progress message */
	int64_t message_id; /* go on with this message; 0: a new one */
	bool quiet;         /* no message before there is progress */
};

/** Connect to ${url} (copied, like ${token}, which may be NULL) and stay connected; all else is borrowed for its life. */
struct link *link_open(struct loop *loop, struct db *db, struct outbox *outbox, struct progress *progress,
                       const char *url, const char *token, const struct link_options *options);
/** Nothing is asked or told any more. The memory goes when the connection has ended: let the loop run on for a moment. */
void link_close(struct link *link);

/** In the caller's transaction: ask ${frame} (transferred; sessionId and userId are added). A request with that id begins anew. */
int link_ask(struct link *link, const struct link_ask *ask, cJSON *frame, struct err *err);
/** In the caller's transaction: ask request ${ask->id}, which was given up, once more. ERR_NOT_FOUND when it is gone. */
int link_retry(struct link *link, const struct link_ask *ask, struct err *err);
/** The transaction was committed (or rolled back): send what is new. */
void link_sync(struct link *link);

/** The newest request of ${user} in ${chat} whose question waits for an answer; transfers ${*id}, NULL when there is none. */
int link_question(struct db *db, int64_t chat, int64_t user, char **id, struct err *err);

bool link_connected(const struct link *link);
/** Round trip of the last ping; -1: none yet. */
int64_t link_rtt_ms(const struct link *link);
/** Since when (monotonic) it is connected or not. */
int64_t link_since(const struct link *link);

#endif
