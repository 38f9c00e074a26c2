#include "bot/buttons.h"
#include "bot/callbacks.h"
#include "bot/commands.h"
#include "core/clock.h"
#include "core/mem.h"
#include <string.h>

/* ${code} "auto" goes back to the user's own language. */
static int choose(struct call *c, const char *code, struct err *err)
{
	enum lang lang = c->lang;
	bool named = texts_lang(code, &lang);
	if (!named && strcmp(code, "auto"))
		return err_set(err, ERR_INVALID, "the language may be en, ru or auto");
	if (db_run(c->bot->db, err,
	           "INSERT INTO chats (chat, lang, changed_at) VALUES (?, ?, ?) ON CONFLICT (chat) DO UPDATE "
	           "SET"
	           " lang = excluded.lang, changed_at = excluded.changed_at",
	           "iti", c->u->chat, named ? texts_code(lang) : NULL, clock_now_ms()))
		return -1;
	if (!named && !texts_lang(c->u->language, &lang))
		texts_lang(config_text(c->bot->cfg, "BOT_LANG"), &lang);
	c->lang = lang;
	return 0;
}

int cmd_lang_set(struct call *c, const char *payload, struct err *err)
{
	if (choose(c, payload, err))
		return -1;
	return call_replace(c, texts_raw(c->lang, T_LANG_SET), err);
}

static int offer(struct call *c, struct err *err)
{
	char batch[CALLBACK_BATCH_LEN + 1], tokens[LANG_COUNT][CALLBACK_TOKEN_LEN + 1];
	struct button buttons[LANG_COUNT];
	callbacks_batch(batch);
	for (int i = 0; i < LANG_COUNT; i++) {
		if (callbacks_add(c->bot->db, batch, c->u->chat, c->u->user, "lang", texts_code((enum lang)i),
		                  clock_now_ms() + CALL_CONFIRM_MS, tokens[i], err))
			return -1;
		buttons[i] = (struct button){texts_own_name((enum lang)i), tokens[i]};
	}
	cleanup_free char *json = buttons_json(buttons, LANG_COUNT);
	cleanup_free char *html =
	        texts_make(c->lang, T_LANG_CHOOSE, TEXT_ARGS({"language", texts_own_name(c->lang)}));
	return call_say(c, html, json, err);
}

static int run(struct call *c, const char *args, struct err *err)
{
	char code[16];
	if (!*call_word(&args, code, sizeof(code)))
		return offer(c, err);
	if (choose(c, code, err))
		return -1;
	return call_text(c, T_LANG_SET, TEXT_NONE, err);
}

const struct command cmd_lang = {
        .name = "lang",
        .role = ROLE_VIEWER,
        .about = {"Language of this chat: English or Russian", "Язык этого чата: русский или английский"},
        .usage = "/lang [en|ru|auto]",
        .example = "/lang ru",
        .run = run,
};
