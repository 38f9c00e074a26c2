#include "bot/commands.h"
#include "bot/words.h"
#include "core/clock.h"
#include "core/mem.h"
#include "sessions/session.h"

static void add_line(struct str *html, enum lang lang, const cJSON *session)
{
	char left[64];
	const char *state = json_text(session, "state"), *name = json_text(session, "name");
	int64_t expires = json_int(session, "expires_at", 0) - clock_now_ms();
	texts_left(lang, expires, left);
	str_add(html, "• <b>");
	str_add_html(html, name ? name : "?");
	str_add(html, "</b> – ");
	str_add_html(html, state ? words_state(lang, state) : "?");
	if (json_bool(session, "pinned", false)) {
		str_add(html, ", 📌, ");
	} else {
		str_add(html, ", ⏳ ");
		str_add(html, left);
		str_add(html, ", ");
	}
	str_add_html(html, json_text_or(session, "owner", "?"));
	str_addc(html, '\n');
}

static int run(struct call *c, const char *args, struct err *err)
{
	(void)args;
	cleanup_json cJSON *list = sessions_list(c->bot->st, false, err);
	if (!list)
		return -1;
	if (cJSON_GetArraySize(list) == 0)
		return call_text(c, T_SESSIONS_NONE, TEXT_NONE, err);
	cleanup_str struct str html = STR_INIT;
	const cJSON *session;
	texts_add(&html, c->lang, T_SESSIONS_HEAD, TEXT_NONE);
	cJSON_ArrayForEach(session, list) add_line(&html, c->lang, session);
	return call_say(c, str_text(&html), NULL, err);
}

const struct command cmd_sessions = {
        .name = "sessions",
        .role = ROLE_VIEWER,
        .about = {"Sessions that are alive", "Живые сессии"},
        .usage = "/sessions",
        .example = "/sessions",
        .run = run,
};
