/* One update being answered. Everything a handler says or asks goes through here into one transaction of bot.db, which the
 * router commits together with the mark that the update is done; effects elsewhere carry the update's origin. */
#ifndef BOT_CALL_H
#define BOT_CALL_H

#include "bot/app.h"
#include "bot/auth.h"
#include "bot/texts.h"
#include "bot/update.h"
#include "core/json.h"
#include <stdbool.h>

struct call {
	struct bot *bot;
	const struct update *u;
	const struct command *command; /* NULL for free text and buttons */
	enum lang lang;
	enum role role;
	unsigned said; /* messages so far, for their keys */
	char *notice;  /* what a pressed button shows (freed by the router); NULL: nothing */
};

/** Say ${html} in the chat, with ${buttons} (JSON or NULL). */
int call_say(struct call *c, const char *html, const char *buttons, struct err *err);
/** Say text ${id}. */
int call_text(struct call *c, enum text_id id, const struct text_arg *args, struct err *err);
/** Say how the command is used. */
int call_usage(struct call *c, struct err *err);
/** Replace the message whose button was pressed. */
int call_replace(struct call *c, const char *html, struct err *err);
/** Ask ${html} with a button ${yes} that leads to ${action}(${payload}) and a button ${no} that leads nowhere. */
int call_confirm(struct call *c, const char *html, enum text_id yes, enum text_id no, const char *action,
                 const char *payload, struct err *err);

/**
 * Enqueue job ${kind} with ${args} (transferred) about ${session} (may be NULL), once for this update, note it in the
 * audit log, and follow it in a progress message titled ${title} (HTML).
 */
int call_job(struct call *c, const char *kind, cJSON *args, const char *session, const char *title,
             struct err *err);

/** "tg:<user>": how this user is written as an owner. */
const char *call_owner(const struct call *c, char buf[32]);
/** Whether ${owner} is this user, or this user an admin. */
bool call_may(const struct call *c, const char *owner);
/** 0 when the user may act on session ${name}; else 1 and it was said why, or -1. */
int call_check_session(struct call *c, const char *name, struct err *err);

int call_audit(const struct call *c, const char *action, const char *target, const char *outcome,
               struct err *err);

/** A request ${id} to the gateway for this update; ${key} is where the key of its message stands. */
struct link_ask call_link(struct call *c, const char *id, char key[48]);

/** The UUID that this update has as a request. */
void call_request_id(const struct call *c, char id[37]);

/** Cut the next word off ${*rest} (which is moved) into ${buf}; "" at the end. What is too long for ${buf} is cut. */
const char *call_word(const char **rest, char *buf, size_t size);

#define CALL_CONFIRM_MS (10 * 60 * INT64_C(1000))

#endif
