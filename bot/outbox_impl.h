/* What the three files of the outbox share: outbox.c keeps rows, outbox_queue.c decides when, outbox_send.c talks. */
#ifndef BOT_OUTBOX_IMPL_H
#define BOT_OUTBOX_IMPL_H

#include "bot/budget.h"
#include "bot/outbox.h"

#define OUTBOX_BUCKETS 1024
#define OUTBOX_IN_FLIGHT 48

struct item {
	struct item *next;
	struct outbox *outbox;
	struct chat *chat; /* NULL: bound to no order */
	int64_t id;        /* row; 0: not durable */
	int64_t chat_id;
	enum outbox_kind kind;
	char *body, *document;
	int64_t progress, message_id;
	int64_t created_at, until; /* wall; until 0: for good */
	unsigned tried;     /* ways of rewriting that were used */
	int failures;
};

enum chat_place { CHAT_IDLE, CHAT_READY, CHAT_WAITING };

struct chat {
	int64_t id;
	struct chat *hash_next, *list_next;
	enum chat_place place;
	struct item *head, *tail; /* the head may be in flight */
	size_t n;                 /* items */
	bool in_flight;
	int64_t hold_until; /* monotonic */
	struct budget_chat budget;
};

struct ended {
	struct ended *next;
	int64_t id, progress, message_id;
	bool sent;
	char *error;
};

struct outbox {
	struct loop *loop;
	struct db *db;
	struct api *api;
	struct outbox_events ev;
	void *arg;
	struct budget budget;
	struct item *staged, **staged_end;
	size_t n_staged, pending, in_flight, n_chats;
	struct chat *chats[OUTBOX_BUCKETS];
	struct chat *ready, **ready_end, *waiting;
	struct item *loose, **loose_end; /* bound to no order, waiting for a free place */
	int64_t next_due;                /* of the waiting chats */
	int64_t hold_until, hold_ms;     /* no connection: everybody waits */
	struct loop_timer *wake, *flush;
	struct ended *ended, **ended_end;
	struct item *flying[OUTBOX_IN_FLIGHT];
};

/* outbox.c */
void outbox_item_free(struct item *item);
/** The item is over: remember it for the next flush. */
void outbox_end(struct outbox *o, const struct item *item, bool sent, int64_t message_id, const char *error);
/** Write what is over to the database, now. */
void outbox_flush(void *outbox);

/* outbox_queue.c */
void outbox_enqueue(struct outbox *o, struct item *item);
/** Take a waiting, not durable edit of ${progress} out of the queue of ${chat}; NULL when there is none. */
struct item *outbox_pending_edit(struct outbox *o, int64_t chat, int64_t progress);
void outbox_pump(void *outbox);
/** ${item} left the wire: go on with its chat. ${over}: it is done with and freed, else it is tried again after ${wait_ms}. */
void outbox_landed(struct outbox *o, struct item *item, bool over, int64_t wait_ms);
/** Nobody speaks for ${ms}. */
void outbox_hold(struct outbox *o, int64_t ms);
/** ${item} left the wire because its chat is ${to} now: go on there with everything that waits. */
void outbox_relocate(struct outbox *o, struct item *item, int64_t to);
void outbox_queue_free(struct outbox *o);

/* outbox_send.c */
void outbox_send(struct outbox *o, struct item *item);

#endif
