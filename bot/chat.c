/* Free text: a talk with the gateway. A text that follows a question of the gateway is its answer. */
#include "bot/commands.h"
#include "core/id.h"
#include "core/mem.h"
#include <stdio.h>
#include <string.h>

static cJSON *chat_frame(const struct call *c, const char *text)
{
	char id[ID_UUID_LEN + 1];
	cJSON *frame = json_object(), *context = json_object();
	json_add_text(frame, "type", "chat");
	json_add_text(frame, "content", text);
	json_add_text(context, "platform", "telegram");
	json_add_text(context, "language", texts_code(c->lang));
	call_request_id(c, id);
	json_add_text(context, "request_id", id); /* sent again after a crash, it is still one request */
	json_add(frame, "context", context);
	return frame;
}

static int ask(struct call *c, const char *id, const char *text, struct err *err)
{
	char key[48];
	struct link_ask to_ask = call_link(c, id, key);
	to_ask.title = texts_raw(c->lang, T_CHAT_TITLE);
	to_ask.quiet = true;
	return link_ask(c->bot->link, &to_ask, chat_frame(c, text), err);
}

int chat_text(struct call *c, const char *text, struct err *err)
{
	char id[ID_UUID_LEN + 1];
	cleanup_free char *question = NULL;
	if (link_question(c->bot->db, c->u->chat, c->u->user, &question, err))
		return -1;
	call_request_id(c, id);
	return ask(c, question ? question : id, text, err);
}

/* ${payload}: "<request>\n<option>". The question stays above, with what was chosen. */
int chat_answer(struct call *c, const char *payload, struct err *err)
{
	char id[ID_UUID_LEN + 1];
	const char *option = strchr(payload, '\n');
	if (!option || option - payload != ID_UUID_LEN)
		return err_set(err, ERR_INVALID, "the button has no answer");
	snprintf(id, sizeof(id), "%.*s", ID_UUID_LEN, payload);
	cleanup_str struct str html = STR_INIT;
	str_add(&html, "→ ");
	str_add_html(&html, option + 1);
	return call_say(c, str_text(&html), NULL, err) || ask(c, id, option + 1, err) ? -1 : 0;
}

int chat_retry(struct call *c, const char *payload, struct err *err)
{
	char key[48];
	struct link_ask again = call_link(c, payload, key);
	again.message_id = c->u->message_id;
	return link_retry(c->bot->link, &again, err);
}
