/* Changing messages: edits, deletion, reactions. */
#include "core/clock.h"
#include "core/mem.h"
#include "testsuite/telegram/events.h"
#include "testsuite/telegram/methods.h"
#include <string.h>

#define NOT_MODIFIED                                                                                         \
	"message is not modified: specified new message content and reply markup are exactly the same as a " \
	"current content"                                                                                    \
	" and reply markup of the message"
#define DELETE_MAX_S (48 * 3600)

struct edit {
	struct tg_message message;
	cJSON *chat, *markup;
};
#define cleanup_edit __attribute__((cleanup(edit_free)))

static void edit_free(struct edit *e)
{
	tg_message_free(&e->message);
	cJSON_Delete(e->chat);
	cJSON_Delete(e->markup);
}

static int open_edit(struct tg_call *c, struct edit *e, struct err *err)
{
	if (*tg_param(&c->params, "chat_id") == '\0' && *tg_param(&c->params, "message_id") == '\0')
		return tg_call_bad(c, *tg_param(&c->params, "inline_message_id")
		                              ? "MESSAGE_ID_INVALID"
		                              : "inline message identifier is not specified");
	if (tg_read_markup(c, &e->markup, err) < 0 || tg_find_chat(c, &e->chat, err) < 0 ||
	    tg_find_message(c, e->chat, "message to edit", &e->message, err) < 0)
		return -1;
	if (!e->message.from_bot)
		return tg_call_bad(c, "message can't be edited");
	return 0;
}

static void put(cJSON *object, const char *key, cJSON *value)
{
	cJSON_DeleteItemFromObject(object, key);
	if (value)
		cJSON_AddItemToObject(object, key, value);
}

/* Replace ${key} and its entities; keep the edited message when anything changed, markup included. */
static int finish(struct tg_call *c, struct edit *e, const char *key, const struct tg_formatted *text,
                  struct err *err)
{
	cleanup_json cJSON *before = cJSON_Duplicate(e->message.body, true);
	cJSON *body = e->message.body;
	int64_t chat = json_int(e->chat, "id", 0);

	if (key) {
		put(body, key, text->units ? cJSON_CreateString(str_text(&text->text)) : NULL);
		put(body, strcmp(key, "text") == 0 ? "entities" : "caption_entities", tg_entities_json(text));
	}
	put(body, "reply_markup", TAKE(e->markup));
	if (cJSON_Compare(before, body, true))
		return tg_call_bad(c, NOT_MODIFIED);
	if (tg_flood(c, e->chat) < 0)
		return -1;
	int64_t now_s = clock_now_ms() / 1000;
	put(body, "edit_date", cJSON_CreateNumber((double)now_s));
	if (key) {
		mem_cleanup_free(&e->message.raw);
		e->message.raw = mem_strdup(tg_param(&c->params, key));
	}
	if (tg_store_save_message(c->tg, chat, json_int(body, "message_id", 0), &e->message, err) < 0 ||
	    tg_events_add_message(c->tg, "edit", chat, &e->message, err) < 0)
		return -1;
	c->result = TAKE(e->message.body);
	return 0;
}

int tg_edit_message_text(struct tg_call *c, struct err *err)
{
	cleanup_formatted struct tg_formatted text = TG_FORMATTED_INIT;
	cleanup_edit struct edit e = {0};

	if (tg_read_text(c, "text", &text, err) < 0 || open_edit(c, &e, err) < 0)
		return -1;
	if (json_at(e.message.body, "text") == NULL)
		return tg_call_bad(c, "there is no text in the message to edit");
	if (text.units == 0)
		return tg_call_bad(c, "text must be non-empty");
	if (text.units > TG_TEXT_MAX)
		return tg_call_bad(c, "message is too long");
	return finish(c, &e, "text", &text, err);
}

int tg_edit_message_caption(struct tg_call *c, struct err *err)
{
	cleanup_formatted struct tg_formatted caption = TG_FORMATTED_INIT;
	cleanup_edit struct edit e = {0};

	if (tg_read_text(c, "caption", &caption, err) < 0 || open_edit(c, &e, err) < 0)
		return -1;
	if (json_at(e.message.body, "text"))
		return tg_call_bad(c, "there is no caption in the message to edit");
	if (caption.units > TG_CAPTION_MAX)
		return tg_call_bad(c, "message caption is too long");
	return finish(c, &e, "caption", &caption, err);
}

int tg_edit_message_reply_markup(struct tg_call *c, struct err *err)
{
	cleanup_edit struct edit e = {0};

	if (open_edit(c, &e, err) < 0)
		return -1;
	return finish(c, &e, NULL, NULL, err);
}

/* An event that names a message by its id only. */
static int tell(struct tg_call *c, const char *type, const cJSON *chat, const struct tg_message *m,
                cJSON *reaction, struct err *err)
{
	cJSON *event = json_object(), *message = json_object();

	json_add_int(message, "message_id", json_int(m->body, "message_id", 0));
	json_add(event, "message", message);
	if (reaction)
		json_add(event, "reaction", reaction);
	return tg_events_add(c->tg, type, json_int(chat, "id", 0), true, event, err);
}

int tg_delete_message(struct tg_call *c, struct err *err)
{
	cleanup_json cJSON *chat = NULL;
	cleanup_message struct tg_message m = {0};

	if (*tg_param(&c->params, "chat_id") == '\0')
		return tg_call_bad(c, "chat identifier is not specified");
	if (*tg_param(&c->params, "message_id") == '\0')
		return tg_call_bad(c, "message identifier is not specified");
	if (tg_find_chat(c, &chat, err) < 0 || tg_find_message(c, chat, "message to delete", &m, err) < 0)
		return -1;
	if (json_int(m.body, "date", 0) < clock_now_ms() / 1000 - DELETE_MAX_S)
		return tg_call_bad(c, "message can't be deleted for everyone");
	if (tg_store_delete_message(c->tg, json_int(chat, "id", 0), json_int(m.body, "message_id", 0), err) <
	            0 ||
	    tell(c, "delete", chat, &m, NULL, err) < 0)
		return -1;
	c->result = cJSON_CreateTrue();
	return 0;
}

int tg_set_message_reaction(struct tg_call *c, struct err *err)
{
	cleanup_json cJSON *chat = NULL;
	cleanup_message struct tg_message m = {0};
	const char *text = tg_param(&c->params, "reaction");
	cleanup_json cJSON *reaction = *text ? cJSON_Parse(text) : json_array();

	if (!cJSON_IsArray(reaction))
		return tg_call_bad(c, "can't parse reaction types JSON object");
	if (tg_find_chat(c, &chat, err) < 0 || tg_find_message(c, chat, "message to react", &m, err) < 0)
		return -1;
	c->result = cJSON_CreateTrue();
	return tell(c, "reaction", chat, &m, TAKE(reaction), err);
}
