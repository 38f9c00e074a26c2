/* One message per long work, edited while it goes on: stage, bar, elapsed time, last log lines, a Cancel button; at the
 * end it becomes the outcome. What is followed stands in bot.db, so a new process goes on editing the same message. */
#ifndef BOT_PROGRESS_H
#define BOT_PROGRESS_H

#include "bot/outbox.h"
#include "bot/texts.h"
#include "core/db.h"
#include "jobs/state.h"
#include <stdbool.h>
#include <stdint.h>

struct progress;

struct progress_spec {
	int64_t chat, topic, user;
	enum lang lang;
	const char *source; /* "job" or "request" */
	const char *ref;    /* job id, or request id */
	const char *title;  /* HTML */
	const char *key;    /* of the opening message in the outbox */
	int64_t message_id; /* go on with this message; 0: send one */
	bool quiet;         /* show nothing before there is something to tell */
	bool cancel;        /* with a Cancel button (jobs) */
};

/** All is borrowed for its life. Follow what an earlier process left with a first progress_sync. ${limits}: edit seldom
 * enough for the real Telegram. */
struct progress *progress_new(struct loop *loop, struct db *db, struct state *st, struct outbox *outbox,
                              bool limits);
void progress_free(struct progress *p);

/** Begin to follow, in the caller's transaction. */
int progress_open(struct progress *p, const struct progress_spec *spec, struct err *err);

/** In the caller's transaction: the work is over, its message becomes ${html} with ${buttons} (JSON or NULL). 0 also when
 * nothing follows ${ref}. */
int progress_end(struct progress *p, const char *source, const char *ref, const char *html,
                 const char *buttons, struct err *err);

/** The transaction with calls of the two above was committed, or rolled back. */
void progress_sync(struct progress *p);

/** What a request tells about itself now. Not within a transaction. */
void progress_report(struct progress *p, const char *ref, int percent, const char *text);

/** The bell rang: look at the jobs. */
void progress_look(void *progress);

#endif
