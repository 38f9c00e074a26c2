/* See methods.h. */
#include "testsuite/telegram/methods.h"
#include "core/clock.h"
#include "core/mem.h"
#include "testsuite/telegram/limits.h"
#include "testsuite/telegram/markup.h"
#include "testsuite/telegram/updates.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct tg_method methods[] = {
        {"getMe", tg_get_me},
        {"getUpdates", tg_get_updates},
        {"setWebhook", tg_set_webhook},
        {"deleteWebhook", tg_delete_webhook},
        {"getWebhookInfo", tg_get_webhook_info},
        {"sendMessage", tg_send_message},
        {"sendDocument", tg_send_document},
        {"sendPhoto", tg_send_photo},
        {"editMessageText", tg_edit_message_text},
        {"editMessageCaption", tg_edit_message_caption},
        {"editMessageReplyMarkup", tg_edit_message_reply_markup},
        {"deleteMessage", tg_delete_message},
        {"setMessageReaction", tg_set_message_reaction},
        {"sendChatAction", tg_send_chat_action},
        {"answerCallbackQuery", tg_answer_callback_query},
        {"setMyCommands", tg_set_my_commands},
        {"getMyCommands", tg_get_my_commands},
        {"deleteMyCommands", tg_delete_my_commands},
        {"getChat", tg_get_chat},
        {"getFile", tg_get_file},
        {"logOut", tg_log_out},
        {"close", tg_log_out},
};

const struct tg_method *tg_method_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (strcasecmp(methods[i].name, name) == 0)
			return &methods[i];
	return NULL;
}

int tg_find_chat(struct tg_call *c, cJSON **chat, struct err *err)
{
	const char *text = tg_param(&c->params, "chat_id");

	if (*text == '\0')
		return tg_call_bad(c, "chat_id is empty");
	int found = tg_store_chat(c->tg, strtoll(text, NULL, 10), chat, err);
	if (found == 0)
		return tg_call_bad(c, "chat not found");
	return found < 0 ? -1 : 0;
}

int tg_may_write(struct tg_call *c, const cJSON *chat)
{
	if (tg_store_blocked(c->tg, json_int(chat, "id", 0)))
		return tg_call_fail(c, 403, "Forbidden: bot was blocked by the user");
	return 0;
}

int tg_flood(struct tg_call *c, const cJSON *chat)
{
	if (c->tg->limits == NULL)
		return 0;
	int wait_s = tg_limits_take(c->tg->limits, json_int(chat, "id", 0), clock_mono_ms());
	return wait_s > 0 ? tg_call_flood(c, wait_s) : 0;
}

int tg_read_text(struct tg_call *c, const char *name, struct tg_formatted *f, struct err *err)
{
	const char *text = tg_param(&c->params, name), *mode = tg_param(&c->params, "parse_mode");
	bool caption = strcmp(name, "caption") == 0;
	const char *entities = tg_param(&c->params, caption ? "caption_entities" : "entities");
	int rc;

	(void)err;
	if (*text == '\0' && !caption)
		return tg_call_bad(c, "message text is empty");
	if (strlen(text) > TG_RAW_TEXT_MAX)
		return tg_call_bad(c, "text is too long");
	struct err why;
	if (*mode || *entities == '\0') {
		rc = tg_entities_parse(mode, text, f, &why);
	} else {
		cleanup_json cJSON *list = cJSON_Parse(entities);
		rc = tg_entities_given(text, list, f, &why);
	}
	return rc < 0 ? tg_call_bad(c, "%s", why.msg) : 0;
}

int tg_read_markup(struct tg_call *c, cJSON **markup, struct err *err)
{
	struct err why;

	(void)err;
	if (tg_markup_parse(tg_param(&c->params, "reply_markup"), markup, &why) < 0)
		return tg_call_bad(c, "%s", why.msg);
	return 0;
}

int tg_find_message(struct tg_call *c, const cJSON *chat, const char *what, struct tg_message *m,
                    struct err *err)
{
	int64_t id = tg_param_int(&c->params, "message_id", 0, INT32_MIN, INT32_MAX);
	int found = tg_store_message(c->tg, json_int(chat, "id", 0), id, m, err);

	if (found == 0)
		return tg_call_bad(c, "%s not found", what);
	return found < 0 ? -1 : 0;
}
