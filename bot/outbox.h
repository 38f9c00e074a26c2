/* What the bot says, durably: a message is a row written in the same transaction as the update it answers, sent in order
 * within its chat, and marked when Telegram took it. It may be sent twice only when the process dies between those two. */
#ifndef BOT_OUTBOX_H
#define BOT_OUTBOX_H

#include "bot/api.h"
#include "core/db.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum outbox_kind { OUTBOX_SEND, OUTBOX_EDIT, OUTBOX_DOCUMENT, OUTBOX_ANSWER };

struct outbox_message {
	enum outbox_kind kind;
	const char *key;     /* unique: the same key is said once */
	int64_t chat, topic; /* topic 0: none */
	const char *html;    /* SEND, EDIT: any length; DOCUMENT: caption; ANSWER: text */
	const char *buttons; /* reply_markup as JSON; NULL: none */
	int64_t message_id;  /* EDIT: the message, or 0 and… */
	int64_t progress; /* …the progress row whose message it is; SEND: the one whose message this becomes */
	const char *callback_id;          /* ANSWER */
	const char *file_name, *document; /* DOCUMENT */
	int64_t until;                    /* dropped when it could not be sent by then (wall ms); 0: it always matters */
};

struct outbox_events {
	void (*refused)(void *arg, const char *description); /* the token is not valid any more */
	void (*counted)(void *arg,
	                const char *outcome); /* "sent", "dropped", "flood", "error": for metrics */
};

struct outbox;

/** Load what was not sent before and begin. ${limits}: keep Telegram's rates. All is borrowed for its life. */
int outbox_open(struct outbox **o, struct loop *loop, struct db *db, struct api *api, bool limits,
                const struct outbox_events *events, void *arg, struct err *err);
/** Records what was taken already; messages under way may be sent again by the next process. */
void outbox_close(struct outbox *o);

/**
 * Add a message, in the caller's transaction. Text over 4096 units is cut into several messages, or becomes its
 * beginning and a document when more than 5 would be needed. Nothing is sent before outbox_commit.
 */
int outbox_add(struct outbox *o, const struct outbox_message *m, struct err *err);
/** The transaction was committed: send. */
void outbox_commit(struct outbox *o);
/** Where the messages of one update begin; outbox_discard forgets those added since (their rows were rolled back). */
size_t outbox_mark(const struct outbox *o);
void outbox_discard(struct outbox *o, size_t mark);

/** Edit a progress message soon, if nothing newer comes meanwhile; not durable. */
void outbox_edit_soon(struct outbox *o, int64_t chat, int64_t progress, const char *html,
                      const char *buttons);
/** Messages not yet taken by Telegram. */
size_t outbox_pending(const struct outbox *o);
/** Those of them that wait for nothing but their turn, not for the time of their chat. */
size_t outbox_backlog(const struct outbox *o);
/** Forget chats that have been quiet. */
void outbox_tidy(struct outbox *o);

#endif
