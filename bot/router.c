#include "bot/router.h"
#include "bot/callbacks.h"
#include "bot/commands.h"
#include "bot/journal.h"
#include "bot/store.h"
#include "bot/words.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/mutant.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 100 /* of one getUpdates */

/* -- language and rights -- */

/* The chat's choice, else the user's own language, else BOT_LANG, else English. */
static enum lang language(struct bot *bot, const struct update *u)
{
	struct err ignored = {0};
	enum lang lang = LANG_EN;
	cleanup_free char *chosen = NULL;
	if (db_get_text(bot->db, &chosen, &ignored, "SELECT lang FROM chats WHERE chat = ?", "i", u->chat) ==
	            0 &&
	    texts_lang(chosen, &lang))
		return lang;
	if (!texts_lang(u->language, &lang))
		texts_lang(config_text(bot->cfg, "BOT_LANG"), &lang);
	return lang;
}

/* For what is said to this user unasked, in whichever chat he spoke. */
static int note_language(const struct call *c, struct err *err)
{
	enum lang lang;
	if (c->role == ROLE_NONE || !texts_lang(c->u->language, &lang))
		return 0;
	return db_run(
	        c->bot->db, err,
	        "INSERT INTO chats (chat, spoken, changed_at) VALUES (?1, ?2, ?3) ON CONFLICT (chat) DO "
	        "UPDATE"
	        " SET spoken = excluded.spoken WHERE spoken IS NOT excluded.spoken",
	        "iti", c->u->user, texts_code(lang), clock_now_ms());
}

static int stranger(struct call *c, struct err *err)
{
	bool tell = false;
	char id[24];
	metrics_add(c->bot->metrics, M_UNAUTHORIZED, NULL, 1);
	if (auth_stranger(c->bot->db, c->u->user, clock_now_ms(), &tell, err))
		return -1;
	if (!tell)
		return 0;
	snprintf(id, sizeof(id), "%" PRId64, c->u->user);
	log_with(LOG_WARN, LOG_FIELDS({"user", id}), "an unauthorized user was turned away");
	if (call_audit(c, c->command ? c->command->name : "message", NULL, "denied", err))
		return -1;
	if (c->u->kind == UPDATE_PRESS)
		return 0;
	return call_text(c, T_UNAUTHORIZED, TEXT_ARGS({"id", id}), err);
}

static int role_too_low(struct call *c, const char *what, enum role needed, struct err *err)
{
	if (call_audit(c, what, NULL, "denied", err))
		return -1;
	return call_text(c, T_ROLE_NEEDED,
	                 TEXT_ARGS({"command", what}, {"needed", auth_role_name(needed)},
	                           {"role", auth_role_name(c->role)}),
	                 err);
}

/* -- the kinds of updates -- */

static int on_command(struct call *c, struct err *err)
{
	c->command = commands_find(c->u->command);
	if (c->role == ROLE_NONE && MUTANT("auth_refuses_and_does_it") && c->command)
		return stranger(c, err) || c->command->run(c, c->u->text, err) ? -1 : 0;
	if (c->role == ROLE_NONE)
		return stranger(c, err);
	if (!c->command && MUTANT("error_unknown_command_is_ignored"))
		return 0;
	if (!c->command) {
		const char *nearest = commands_nearest(c->u->command);
		return call_text(c, nearest ? T_UNKNOWN_NEAREST : T_UNKNOWN_COMMAND,
		                 TEXT_ARGS({"command", c->u->command}, {"nearest", nearest}), err);
	}
	metrics_add(c->bot->metrics, M_COMMANDS, NULL, 1);
	if (c->role < c->command->role)
		return role_too_low(c, c->command->name, c->command->role, err);
	return c->command->run(c, c->u->text, err);
}

static int on_text(struct call *c, struct err *err)
{
	if (c->role == ROLE_NONE)
		return stranger(c, err);
	if (c->role < ROLE_OPERATOR)
		return role_too_low(c, "chat", ROLE_OPERATOR, err);
	return chat_text(c, c->u->text, err);
}

static int on_other(struct call *c, struct err *err)
{
	return c->role == ROLE_NONE ? stranger(c, err) : call_text(c, T_TEXT_ONLY, TEXT_NONE, err);
}

static enum text_id refusal(enum err_code code)
{
	return code == ERR_STATE     ? T_BUTTON_USED
	       : code == ERR_TIMEOUT ? T_BUTTON_EXPIRED
	       : code == ERR_DENIED  ? T_BUTTON_NOT_YOURS
	                             : T_BUTTON_UNKNOWN;
}

static int answer_press(struct call *c, const char *notice, struct err *err)
{
	char key[48];
	snprintf(key, sizeof(key), "u%" PRId64 ":answer", c->u->id);
	struct outbox_message m = {.kind = OUTBOX_ANSWER,
	                           .key = key,
	                           .chat = c->u->chat,
	                           .html = notice ? notice : "",
	                           .callback_id = c->u->callback_id};
	return outbox_add(c->bot->outbox, &m, err);
}

static int press(struct call *c, struct err *err)
{
	struct callback cb;
	if (callbacks_use(c->bot->db, c->u->data ? c->u->data : "", c->u->user, clock_now_ms(), &cb, err)) {
		if (err->code == ERR_DB || err->code == ERR_BUSY)
			return -1;
		c->notice = mem_strdup(texts_raw(c->lang, refusal(err->code)));
		err_clear(err);
		return 0;
	}
	const struct button_action *action = commands_action(cb.action);
	if (!action)
		return err_set(err, ERR_INVALID, "the button means nothing to this version");
	return c->role < action->role ? role_too_low(c, action->name, action->role, err)
	                              : action->run(c, cb.payload, err);
}

static int on_press(struct call *c, struct err *err)
{
	if (c->role == ROLE_NONE)
		return stranger(c, err) || answer_press(c, texts_raw(c->lang, T_BUTTON_NOT_YOURS), err) ? -1
		                                                                                        : 0;
	return press(c, err) || answer_press(c, c->notice, err) ? -1 : 0;
}

static int on_ignored(struct call *c, struct err *err)
{
	(void)c;
	(void)err;
	return 0;
}

static int (*const handlers[])(struct call *c, struct err *err) = {
        [UPDATE_IGNORED] = on_ignored, [UPDATE_COMMAND] = on_command, [UPDATE_TEXT] = on_text,
        [UPDATE_OTHER] = on_other,     [UPDATE_PRESS] = on_press,
};

/* -- one update -- */

/* Trying again may help; everything else is the person's to change. */
static bool transient(enum err_code code)
{
	return code == ERR_BUSY || code == ERR_DB || code == ERR_IO || code == ERR_FAILED;
}

static int say_error(struct call *c, const struct err *told, struct err *err)
{
	cleanup_free char *clean = words_error(c->lang, told->code, told->msg);
	if (c->u->kind == UPDATE_PRESS && answer_press(c, clean, err))
		return -1;
	return call_text(c, T_ERROR, TEXT_ARGS({"error", clean}), err);
}

static int answer(struct call *c, struct err *err)
{
	struct bot *bot = c->bot;
	size_t mark = outbox_mark(bot->outbox);
	if (store_savepoint(bot->db, err))
		return -1;
	if (handlers[c->u->kind](c, err) == 0)
		return store_release(bot->db, err);
	store_rollback_to(bot->db);
	outbox_discard(bot->outbox, mark);
	c->said = 0;
	if (transient(err->code))
		return -1;
	struct err told = *err;
	err_clear(err);
	return say_error(c, &told, err);
}

static struct call call_of(struct bot *bot, const struct update *u)
{
	struct call c = {.bot = bot, .u = u};
	if (u->kind != UPDATE_IGNORED) {
		c.lang = language(bot, u);
		c.role = auth_role(bot->cfg, u->user);
	}
	return c;
}

/* Within a transaction. -1: leave it for another attempt. */
static int handle(struct bot *bot, const cJSON *json, int64_t id, struct err *err)
{
	struct update u;
	update_read(json, bot->username, bot->id, &u);
	u.id = id;
	struct call c = call_of(bot, &u);
	int rc = note_language(&c, err) || answer(&c, err);
	free(c.notice);
	if (rc == 0)
		return journal_done(bot->db, id, err);
	struct err ignored = {0};
	journal_failed(bot->db, id, err->msg, &ignored);
	return -1;
}

static void say_gave_up(struct bot *bot, const cJSON *json, int64_t id)
{
	struct err ignored = {0};
	struct update u;
	update_read(json, bot->username, bot->id, &u);
	u.id = id;
	struct call c = call_of(bot, &u);
	if (c.role != ROLE_NONE && u.chat)
		call_text(&c, T_GAVE_UP, TEXT_NONE, &ignored);
}

static int set_aside(struct bot *bot, const cJSON *json, int64_t id, struct err *err)
{
	log_error("update %" PRId64 " is set aside after %d attempts", id, JOURNAL_ATTEMPTS);
	metrics_add(bot->metrics, M_POISON, NULL, 1);
	say_gave_up(bot, json, id);
	return journal_poison(bot->db, id, err);
}

/* A locked database says nothing about the update: others would fail alike, each after the same wait. */
static bool is_locked(const struct err *err)
{
	return err->code == ERR_BUSY;
}

/* In a chat one thing comes after the other, also when the one before has to be tried again. */
static bool must_wait(struct bot *bot, int64_t id)
{
	struct err err = {0};
	bool waits = false;
	if (journal_waits(bot->db, id, &waits, &err))
		log_error("the journal cannot be read: %s", err.msg);
	return waits || err.code;
}

/* -- batches -- */

static int finish(struct bot *bot, struct err *err)
{
	int rc = db_commit(bot->db, err);
	if (rc) {
		db_rollback(bot->db);
		outbox_discard(bot->outbox, 0);
	} else {
		outbox_commit(bot->outbox);
	}
	progress_sync(bot->progress);
	link_sync(bot->link);
	return rc;
}

/* What fails here stays open in the journal and is taken up by the retry timer. */
static int handle_batch(struct bot *bot, const cJSON *updates, const size_t *at, size_t n, struct err *err)
{
	bool again = loop_timer_active(bot->retry), stop = false;
	size_t i = 0, k = 0;
	const cJSON *json;
	if (db_begin(bot->db, err))
		return -1;
	cJSON_ArrayForEach(json, updates)
	{
		struct err one = {0};
		if (k < n && at[k] == i && !stop) {
			k++;
			int64_t id = json_int(json, "update_id", -1);
			if (!(again && must_wait(bot, id)) && handle(bot, json, id, &one)) {
				log_warn("update %" PRId64 " is handled again later: %s", id, one.msg);
				again = true;
				stop = is_locked(&one);
			}
		}
		i++;
	}
	if (finish(bot, err))
		return -1;
	if (again)
		bot_retry_soon(bot);
	return 0;
}

int router_take(struct bot *bot, const cJSON *updates, size_t *fresh, struct err *err)
{
	size_t at[BATCH];
	struct err later = {0};
	if (MUTANT("error_odd_update_blocks_the_queue") && !json_at(updates->child, "message.from.id"))
		return err_set(err, ERR_FAILED, "an odd update");
	if (journal_add(bot->db, updates, clock_now_ms(), at, BATCH, fresh, err))
		return -1;
	if (*fresh == 0)
		return 0;
	metrics_add(bot->metrics, M_UPDATES, NULL, (double)*fresh);
	metrics_set(bot->metrics, M_LAST_UPDATE, NULL, (double)clock_now_ms() / 1000);
	if (handle_batch(bot, updates, at, *fresh, &later)) {
		/* They stand in the journal: Telegram need not give them again. */
		log_error("updates are handled again later: %s", later.msg);
		bot_retry_soon(bot);
	}
	return 0;
}

struct recovery {
	struct bot *bot;
	bool again, stop;
};

static void recover_one(void *arg, int64_t id, int attempts, const char *raw)
{
	struct recovery *r = arg;
	struct bot *bot = r->bot;
	struct err err = {0}, why = {0};
	if (r->stop || must_wait(bot, id)) {
		r->again = true;
		return;
	}
	cleanup_json cJSON *json = json_parse(raw, strlen(raw), &err);
	bool last = attempts >= JOURNAL_ATTEMPTS;
	err_clear(&err);
	if ((!last && journal_attempt(bot->db, id, &err)) || db_begin(bot->db, &err)) {
		log_error("update %" PRId64 " waits: %s", id, err.msg);
		r->again = true;
		return;
	}
	int rc = last ? set_aside(bot, json, id, &err) : handle(bot, json, id, &why);
	if (rc)
		log_warn("update %" PRId64 " is handled again later: %s", id, last ? err.msg : why.msg);
	r->again = r->again || rc;
	r->stop = rc && is_locked(&why);
	if (r->stop)
		journal_blameless(bot->db, id, &err);
	if (finish(bot, &err))
		r->again = true;
}

int router_recover(struct bot *bot, struct err *err)
{
	struct recovery r = {.bot = bot};
	if (journal_each_open(bot->db, recover_one, &r, err))
		return -1;
	if (r.again)
		bot_retry_soon(bot);
	return 0;
}
