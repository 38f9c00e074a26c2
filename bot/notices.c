#include "bot/notices.h"
#include "bot/auth.h"
#include "bot/buttons.h"
#include "bot/callbacks.h"
#include "bot/results.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/text.h"
#include "jobs/notice.h"
#include "sessions/warn.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SLOW_LOOK_MS 10000 /* should a ring of the bell be lost */
#define ADMINS_MAX 16

struct notices {
	struct bot *bot;
	int64_t seen;
	struct loop_timer *slow;
};

/* Who is told, and where. */
struct listener {
	int64_t chat, topic, user;
	enum lang lang;
	bool owner; /* what is told of is his */
};

/* -- to whom -- */

/* The chat's choice, else what the user's own Telegram says, else BOT_LANG, else English. */
static enum lang language(struct bot *bot, int64_t chat, int64_t user)
{
	struct err ignored = {0};
	enum lang lang = LANG_EN;
	cleanup_free char *code = NULL;
	if (db_get_text(bot->db, &code, &ignored,
	                "SELECT coalesce((SELECT lang FROM chats WHERE chat = ?1),"
	                " (SELECT spoken FROM chats WHERE chat = ?2))",
	                "ii", chat, user) ||
	    !texts_lang(code, &lang))
		texts_lang(config_text(bot->cfg, "BOT_LANG"), &lang);
	return lang;
}

/* The Telegram user who owns what ${n} tells of, as long as he may act here; 0: there is none. */
static int64_t owner_of(struct bot *bot, const struct notice *n)
{
	int64_t user = 0;
	if (!n->owner || strncmp(n->owner, "tg:", 3) != 0 || text_int(n->owner + 3, &user) ||
	    auth_role(bot->cfg, user) < ROLE_OPERATOR)
		return 0;
	return user;
}

/* The owner, in the chat in which he asked for it; else the admins, each in private. ${list} has room for ADMINS_MAX. */
static size_t find_listeners(struct bot *bot, const struct notice *n, struct listener *list)
{
	int64_t user = owner_of(bot, n), ids[ADMINS_MAX];
	if (user) {
		int64_t chat = json_int(n->payload, "chat.chat", user);
		list[0] = (struct listener){chat, json_int(n->payload, "chat.topic", 0), user,
		                            language(bot, chat, user), true};
		return 1;
	}
	size_t count = config_ids(bot->cfg, "ADMIN_USER_IDS", ids, ADMINS_MAX);
	for (size_t i = 0; i < count; i++)
		list[i] = (struct listener){ids[i], 0, ids[i], language(bot, ids[i], ids[i]), false};
	return count;
}

static int say(struct bot *bot, const struct notice *n, const struct listener *l, const char *html,
               const char *buttons, int64_t until, struct err *err)
{
	cleanup_free char *key = mem_printf("n:%s:%" PRId64, n->key, l->user);
	struct outbox_message m = {.kind = OUTBOX_SEND,
	                           .key = key,
	                           .chat = l->chat,
	                           .topic = l->topic,
	                           .html = html,
	                           .buttons = buttons,
	                           .until = until};
	return outbox_add(bot->outbox, &m, err);
}

/* "demo", and for who does not own it "demo (cli:root)". */
static char *name_of(const struct notice *n, const struct listener *l)
{
	const char *name = json_text_or(n->payload, "name", "?");
	return l->owner ? mem_strdup(name) : mem_printf("%s (%s)", name, n->owner ? n->owner : "?");
}

/* -- a session ends soon -- */

/* Whether it still comes to that end: it was not extended, pinned, stopped meanwhile. 1, 0, or -1. */
static int still_ends(struct bot *bot, const struct notice *n, struct err *err)
{
	int64_t found = 0;
	if (db_get_int(bot->st->db, &found, err,
	               "SELECT 1 FROM sessions WHERE uuid = ? AND expires_at = ? AND pinned = 0"
	               " AND state IN ('running','stopped')",
	               "ti", json_text_or(n->payload, "uuid", ""), json_int(n->payload, "expires_at", 0)))
		return -1;
	return found != 0;
}

/* What is at its greatest age cannot be extended. NULL with ${err}. */
static char *end_buttons(struct bot *bot, const struct notice *n, const struct listener *l, bool extend,
                         struct err *err)
{
	char batch[CALLBACK_BATCH_LEN + 1], tokens[2][CALLBACK_TOKEN_LEN + 1];
	cleanup_free char *payload = mem_printf("%s %s", json_text_or(n->payload, "uuid", ""),
	                                        json_text_or(n->payload, "name", ""));
	callbacks_batch(batch);
	if (callbacks_add(bot->db, batch, l->chat, l->user, "extend-this", payload, n->until, tokens[0],
	                  err) ||
	    callbacks_add(bot->db, batch, l->chat, l->user, "stop-this", payload, n->until, tokens[1], err))
		return NULL;
	const struct button both[] = {{texts_raw(l->lang, T_BUTTON_EXTEND), tokens[0]},
	                              {texts_raw(l->lang, T_BUTTON_STOP), tokens[1]}};
	return extend ? buttons_json(both, 2) : buttons_json(both + 1, 1);
}

static int say_expires(struct bot *bot, const struct notice *n, const struct listener *l, struct err *err)
{
	char left[64];
	bool age = !strcmp(json_text_or(n->payload, "ends", ""), "age");
	cleanup_free char *buttons = end_buttons(bot, n, l, !age, err), *name = name_of(n, l);
	if (!buttons)
		return -1;
	texts_left(l->lang, n->until - clock_now_ms(), left);
	cleanup_free char *html = texts_make(
	        l->lang, age ? T_SESSION_ENDS_AGE : T_SESSION_ENDS_IDLE,
	        TEXT_ARGS({"session", name}, {"name", json_text(n->payload, "name")}, {"time", left}));
	return say(bot, n, l, html, buttons, n->until, err);
}

/* -- a session was removed because its time was over -- */

static int always(struct bot *bot, const struct notice *n, struct err *err)
{
	(void)bot, (void)n, (void)err;
	return 1;
}

static int say_removed(struct bot *bot, const struct notice *n, const struct listener *l, struct err *err)
{
	bool idle = !strcmp(json_text_or(n->payload, "reason", ""), "idle");
	cleanup_free char *name = name_of(n, l);
	cleanup_str struct str left = STR_INIT;
	results_add_left(l->lang, json_at(n->payload, "receipt"), &left);
	cleanup_free char *html = texts_make(l->lang, idle ? T_SESSION_OVER_IDLE : T_SESSION_OVER_AGE,
	                                     TEXT_ARGS({"session", name}, {"left", str_text(&left)}));
	return say(bot, n, l, html, NULL, 0, err);
}

/* -- telling -- */

static const struct teller {
	const char *kind;
	/** Whether it is still to be told: 1, 0, or -1. */
	int (*holds)(struct bot *bot, const struct notice *n, struct err *err);
	int (*say)(struct bot *bot, const struct notice *n, const struct listener *l, struct err *err);
} tellers[] = {
        {NOTICE_EXPIRES, still_ends, say_expires},
        {NOTICE_REMOVED, always, say_removed},
};

static const struct teller *teller_of(const struct notice *n)
{
	for (size_t i = 0; i < ARRAY_LEN(tellers); i++)
		if (!strcmp(tellers[i].kind, n->kind))
			return &tellers[i];
	return NULL; /* of a newer program */
}

/* Within a transaction. */
static int say_all(struct bot *bot, const struct notice *n, struct err *err)
{
	struct listener list[ADMINS_MAX];
	const struct teller *t = teller_of(n);
	int holds = t && clock_now_ms() < n->until ? t->holds(bot, n, err) : 0;
	if (holds <= 0)
		return holds;
	size_t count = find_listeners(bot, n, list);
	for (size_t i = 0; i < count; i++)
		if (t->say(bot, n, &list[i], err))
			return -1;
	if (!count)
		log_with(LOG_WARN, LOG_FIELDS({"session", n->session}),
		         "nobody can be told that session %s of %s ends: its owner has no chat here, and "
		         "ADMIN_USER_IDS is empty",
		         n->session ? n->session : "?", n->owner ? n->owner : "?");
	return 0;
}

static int set_seen(struct notices *s, int64_t id, struct err *err)
{
	return db_run(s->bot->db, err, "UPDATE bot SET notice_seen = ?", "i", id);
}

static int tell(struct notices *s, const struct notice *n, struct err *err)
{
	struct bot *bot = s->bot;
	if (db_begin(bot->db, err))
		return -1;
	if (say_all(bot, n, err) || set_seen(s, n->id, err) || db_commit(bot->db, err)) {
		db_rollback(bot->db);
		outbox_discard(bot->outbox, 0);
		return -1;
	}
	outbox_commit(bot->outbox);
	s->seen = n->id;
	return 0;
}

/* A database that is older than what we have seen was restored: its ids are given again. What it still holds has its keys. */
static int begin_again(struct notices *s, struct err *err)
{
	int64_t newest;
	if (notice_newest(s->bot->st, &newest, err))
		return -1;
	if (newest >= s->seen)
		return 0;
	s->seen = 0;
	return set_seen(s, 0, err);
}

static int look(struct notices *s, struct err *err)
{
	if (begin_again(s, err))
		return -1;
	for (;;) {
		cleanup_notice struct notice n = {0};
		int rc = notice_next(s->bot->st, s->seen, &n, err);
		if (rc <= 0)
			return rc;
		if (tell(s, &n, err))
			return -1;
	}
}

void notices_look(void *arg)
{
	struct notices *s = arg;
	struct err err = {0};
	if (look(s, &err))
		log_warn("notices cannot be told now, trying again: %s", err.msg);
}

int notices_open(struct notices **out, struct bot *bot, struct err *err)
{
	struct notices *s = mem_alloc(sizeof(*s));
	s->bot = bot;
	if (db_get_int(bot->db, &s->seen, err, "SELECT notice_seen FROM bot", "")) {
		free(s);
		return -1;
	}
	s->slow = loop_timer_new(bot->loop, notices_look, s);
	loop_timer_set(s->slow, 0, SLOW_LOOK_MS);
	*out = s;
	return 0;
}

void notices_close(struct notices *s)
{
	if (!s)
		return;
	loop_timer_free(s->slow);
	free(s);
}
