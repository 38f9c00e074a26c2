/* What the two files of the gateway link share: link.c connects and asks, link_frames.c understands the answers. */
#ifndef BOT_LINK_FRAMES_H
#define BOT_LINK_FRAMES_H

#include "bot/link.h"
#include "core/id.h"
#include "core/loop.h"
#include "core/ws.h"

#define LINK_HOLD_MS 1000 /* not asked again so soon after the gateway said that it is too much */
#define LINK_HOLDS 60     /* how often it may say so to one request */

#define LINK_QUESTION_MS (3600 * INT64_C(1000)) /* how long a question may wait for its answer */

struct request {
	struct request *next;
	char id[ID_UUID_LEN + 1];
	char *frame, *title;
	int64_t round; /* of the same id: grows when it is asked anew */
	int64_t chat, topic, user;
	enum lang lang;
	bool sent;
	int holds;        /* how often it was too much for the gateway */
	int64_t deadline; /* monotonic */
};

struct link {
	struct loop *loop;
	struct db *db;
	struct outbox *outbox;
	struct progress *progress;
	char *url, *token;
	struct link_options opt;
	struct ws *ws;
	bool connected, closing;
	int64_t since, retry_ms, rtt_ms, ping_at;
	char ping_id[ID_UUID_LEN + 1],
	        own_id[ID_UUID_LEN + 1]; /* own_id: the gateway's name for this connection */
	struct request *requests;        /* in the order they were asked */
	int64_t hold_until;              /* monotonic; nothing is sent before */
	struct loop_timer *retry, *pinger, *deadlines;
};

struct request *link_find(struct link *l, const char *id);
void link_forget(struct link *l, struct request *r);
/** Send what has its turn. */
void link_send(struct link *l);

/** A frame came. */
void link_frame(struct link *l, const char *text, size_t len);
/** The request's time is over: say so, with a Retry button. */
void link_give_up(struct link *l, struct request *r);

#endif
