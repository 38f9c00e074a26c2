/* sendMessage, sendDocument, sendPhoto. */
#include "core/clock.h"
#include "core/mem.h"
#include "testsuite/telegram/events.h"
#include "testsuite/telegram/files.h"
#include "testsuite/telegram/methods.h"
#include <string.h>

/* What a message is made of besides its text. */
struct draft {
	cJSON *chat, *markup, *reply; /* owned */
};
#define cleanup_draft __attribute__((cleanup(draft_free)))

static void draft_free(struct draft *d)
{
	cJSON_Delete(d->chat);
	cJSON_Delete(d->markup);
	cJSON_Delete(d->reply);
}

/* reply_parameters.message_id or the older reply_to_message_id: the message, without what it replied to itself. */
static int read_reply(struct tg_call *c, struct draft *d, struct err *err)
{
	cleanup_json cJSON *parameters = cJSON_Parse(tg_param(&c->params, "reply_parameters"));
	cleanup_message struct tg_message m = {0};
	int64_t id = json_int(parameters, "message_id",
	                      tg_param_int(&c->params, "reply_to_message_id", 0, 0, INT32_MAX));
	bool optional = json_bool(parameters, "allow_sending_without_reply",
	                          tg_param_bool(&c->params, "allow_sending_without_reply"));

	if (id == 0)
		return 0;
	int found = tg_store_message(c->tg, json_int(d->chat, "id", 0), id, &m, err);
	if (found < 0)
		return -1;
	if (found == 0)
		return optional ? 0 : tg_call_bad(c, "message to be replied not found");
	d->reply = TAKE(m.body);
	cJSON_DeleteItemFromObject(d->reply, "reply_to_message");
	return 0;
}

static int prepare(struct tg_call *c, struct draft *d, struct err *err)
{
	if (tg_read_markup(c, &d->markup, err) < 0 || tg_find_chat(c, &d->chat, err) < 0)
		return -1;
	return read_reply(c, d, err);
}

/* Message id, sender, chat, date, thread and reply. */
static cJSON *message_new(struct tg_call *c, const struct draft *d)
{
	cJSON *m = json_object();
	int64_t thread = tg_param_int(&c->params, "message_thread_id", 0, 0, INT32_MAX);

	json_add_int(m, "message_id", c->tg->next_message_id++);
	if (thread > 0)
		json_add_int(m, "message_thread_id", thread);
	json_add(m, "from", tg_bot_user(c->tg));
	json_add(m, "chat", cJSON_Duplicate(d->chat, true));
	json_add_int(m, "date", clock_now_ms() / 1000);
	if (thread > 0)
		json_add_bool(m, "is_topic_message", true);
	if (d->reply)
		json_add(m, "reply_to_message", cJSON_Duplicate(d->reply, true));
	return m;
}

/* Keep the message, tell the user's side, and make it the result. Transfers ${body}. */
static int deliver(struct tg_call *c, struct draft *d, cJSON *body, const char *raw, struct err *err)
{
	cleanup_message struct tg_message m = {.body = body, .raw = mem_strdup(raw), .from_bot = true};
	int64_t chat = json_int(d->chat, "id", 0);

	if (tg_param_bool(&c->params, "protect_content"))
		json_add_bool(body, "has_protected_content", true);
	if (d->markup)
		json_add(body, "reply_markup", TAKE(d->markup));
	if (tg_store_save_message(c->tg, chat, json_int(body, "message_id", 0), &m, err) < 0 ||
	    tg_events_add_message(c->tg, "message", chat, &m, err) < 0)
		return -1;
	c->result = TAKE(m.body);
	return 0;
}

int tg_send_message(struct tg_call *c, struct err *err)
{
	cleanup_formatted struct tg_formatted text = TG_FORMATTED_INIT;
	cleanup_draft struct draft d = {0};

	if (tg_read_text(c, "text", &text, err) < 0 || prepare(c, &d, err) < 0)
		return -1;
	if (text.units == 0)
		return tg_call_bad(c, "text must be non-empty");
	if (text.units > TG_TEXT_MAX)
		return tg_call_bad(c, "message is too long");
	if (tg_may_write(c, d.chat) < 0 || tg_flood(c, d.chat) < 0)
		return -1;
	cJSON *body = message_new(c, &d);
	json_add_text(body, "text", str_text(&text.text));
	cJSON *entities = tg_entities_json(&text);
	if (entities)
		json_add(body, "entities", entities);
	return deliver(c, &d, body, tg_param(&c->params, "text"), err);
}

/* The file of a send method: an upload, attach://NAME, or a file_id sent before. Transfers ${*file}. */
static int read_file(struct tg_call *c, const char *kind, cJSON **file, struct err *err)
{
	const char *value = tg_param(&c->params, kind), *filename = NULL;
	size_t len = 0;
	bool photo = strcmp(kind, "photo") == 0;
	int width, height;
	const char *data =
	        http_upload(c->x, strncmp(value, "attach://", 9) == 0 ? value + 9 : kind, &len, &filename);

	if (data == NULL && *value == '\0')
		return tg_call_bad(c, "there is no %s in the request", kind);
	if (data == NULL && (strncmp(value, "http://", 7) == 0 || strncmp(value, "https://", 8) == 0))
		return tg_call_bad(c, "failed to get HTTP URL content");
	if (data == NULL) {
		int found = tg_files_find(c->tg, value, file, NULL, err);
		if (found == 0)
			return tg_call_bad(c, "wrong remote file identifier specified: can't unserialize it. "
			                      "Wrong last symbol");
		return found < 0 ? -1 : 0;
	}
	if (len == 0)
		return tg_call_bad(c, "file must be non-empty");
	if (len > TG_UPLOAD_MAX)
		return tg_call_fail(c, 413, "Request Entity Too Large");
	if (photo && len > TG_PHOTO_MAX)
		return tg_call_bad(
		        c, "file of size %zu bytes is too big for a photo; the maximum size is %u bytes", len,
		        TG_PHOTO_MAX);
	if (photo && !tg_image_size(data, len, &width, &height))
		return tg_call_bad(c, "IMAGE_PROCESS_FAILED");
	return tg_files_add(c->tg, kind, filename ? filename : "", data, len, file, err);
}

static int send_file(struct tg_call *c, const char *kind, struct err *err)
{
	cleanup_formatted struct tg_formatted caption = TG_FORMATTED_INIT;
	cleanup_draft struct draft d = {0};
	cleanup_json cJSON *file = NULL;

	if (tg_read_text(c, "caption", &caption, err) < 0 || prepare(c, &d, err) < 0)
		return -1;
	if (caption.units > TG_CAPTION_MAX)
		return tg_call_bad(c, "message caption is too long");
	if (tg_may_write(c, d.chat) < 0 || tg_flood(c, d.chat) < 0 || read_file(c, kind, &file, err) < 0)
		return -1;
	cJSON *body = message_new(c, &d);
	if (strcmp(kind, "photo") == 0) {
		cJSON *sizes = json_array();
		cJSON_AddItemToArray(sizes, TAKE(file));
		json_add(body, "photo", sizes);
	} else {
		json_add(body, "document", TAKE(file));
	}
	if (caption.units > 0) {
		json_add_text(body, "caption", str_text(&caption.text));
		cJSON *entities = tg_entities_json(&caption);
		if (entities)
			json_add(body, "caption_entities", entities);
	}
	return deliver(c, &d, body, tg_param(&c->params, "caption"), err);
}

int tg_send_document(struct tg_call *c, struct err *err)
{
	return send_file(c, "document", err);
}

int tg_send_photo(struct tg_call *c, struct err *err)
{
	return send_file(c, "photo", err);
}
