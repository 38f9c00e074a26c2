#include "bot/html.h"
#include "bot/outbox_impl.h"
#include "bot/store.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/str.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GIVE_UP_MS (24 * 3600 * INT64_C(1000)) /* as long as Telegram keeps updates for us */
#define LOOSE_TRIES 3                          /* a callback's answer is worth nothing later */
#define EDIT_TRIES 5                           /* some servers know no edits: then the text is sent */
#define LONGEST_WAIT_MS 30000

/* What a refusal asks for, by Telegram's words. A way of rewriting is tried once per message. */
enum remedy {
	REMEDY_DROP,
	REMEDY_DONE,
	REMEDY_PLAIN,
	REMEDY_SEND,
	REMEDY_FILE,
	REMEDY_NO_TOPIC,
	REMEDY_NO_BUTTONS
};

static const struct {
	const char *words;
	enum remedy remedy;
} remedies[] = {
        {"message is not modified", REMEDY_DONE},      {"query is too old", REMEDY_DONE},
        {"can't parse entities", REMEDY_PLAIN},        {"message to edit not found", REMEDY_SEND},
        {"message can't be edited", REMEDY_SEND},      {"MESSAGE_ID_INVALID", REMEDY_SEND},
        {"message is too long", REMEDY_FILE},          {"MESSAGE_TOO_LONG", REMEDY_FILE},
        {"message thread not found", REMEDY_NO_TOPIC}, {"BUTTON_DATA_INVALID", REMEDY_NO_BUTTONS},
        {"reply markup", REMEDY_NO_BUTTONS},
};

static const char *const methods[] = {
        [OUTBOX_SEND] = "sendMessage",
        [OUTBOX_EDIT] = "editMessageText",
        [OUTBOX_DOCUMENT] = "sendDocument",
        [OUTBOX_ANSWER] = "answerCallbackQuery",
};

static void over(struct outbox *o, struct item *item, bool sent, int64_t message_id, const char *error)
{
	char chat[24];
	snprintf(chat, sizeof(chat), "%" PRId64, item->chat_id);
	if (!sent && item->id)
		log_with(LOG_WARN, LOG_FIELDS({"chat", chat}), "message dropped: %s", error);
	outbox_end(o, item, sent, message_id, error);
	o->ev.counted(o->arg, sent ? "sent" : "dropped");
	outbox_landed(o, item, true, 0);
}

static cJSON *body_of(const struct item *item)
{
	struct err ignored = {0};
	cJSON *body = json_parse(item->body, strlen(item->body), &ignored);
	return body ? body : json_object();
}

static void set_body(struct item *item, const cJSON *body)
{
	free(item->body);
	item->body = json_print(body);
}

static void to_plain(cJSON *body)
{
	static const char *const keys[] = {"text", "caption"};
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const char *html = json_text(body, keys[i]);
		cleanup_str struct str plain = STR_INIT;
		if (!html)
			continue;
		html_plain(html, &plain);
		cJSON_DeleteItemFromObject(body, keys[i]);
		json_add_text(body, keys[i], str_text(&plain));
	}
	cJSON_DeleteItemFromObject(body, "parse_mode");
}

static void to_file(struct item *item, cJSON *body)
{
	cleanup_str struct str plain = STR_INIT;
	html_plain(json_text_or(body, "text", ""), &plain);
	item->document = str_take(&plain);
	item->kind = OUTBOX_DOCUMENT;
	cJSON_DeleteItemFromObject(body, "text");
	cJSON_DeleteItemFromObject(body, "parse_mode");
	json_add_text(body, "file_name", "message.txt");
}

static void apply(struct item *item, enum remedy remedy)
{
	cleanup_json cJSON *body = body_of(item);
	if (remedy == REMEDY_PLAIN) {
		to_plain(body);
	} else if (remedy == REMEDY_SEND) {
		item->kind = OUTBOX_SEND;
	} else if (remedy == REMEDY_FILE) {
		to_file(item, body);
	} else if (remedy == REMEDY_NO_TOPIC) {
		cJSON_DeleteItemFromObject(body, "message_thread_id");
	} else {
		cJSON_DeleteItemFromObject(body, "reply_markup");
	}
	set_body(item, body);
}

static enum remedy find_remedy(const char *description)
{
	for (size_t i = 0; i < ARRAY_LEN(remedies); i++)
		if (strcasestr(description, remedies[i].words))
			return remedies[i].remedy;
	return REMEDY_DROP;
}

static void migrate(struct outbox *o, struct item *item, int64_t to)
{
	struct err err = {0};
	int64_t old = item->chat_id;
	if (item->tried & 1u << 31 || store_migrate_chat(o->db, old, to, &err)) {
		over(o, item, false, 0, err.code ? err.msg : "the chat migrates in circles");
		return;
	}
	log_info("group %" PRId64 " is supergroup %" PRId64 " now", old, to);
	item->tried |= 1u << 31;
	outbox_relocate(o, item, to);
}

static void refused(struct outbox *o, struct item *item, const struct api_result *res)
{
	enum remedy remedy = find_remedy(res->description);
	if (res->migrate_to && item->chat) {
		migrate(o, item, res->migrate_to);
		return;
	}
	if (remedy == REMEDY_DONE) {
		over(o, item, true, item->message_id, NULL);
		return;
	}
	/* What is not durable is not worth a second try: a newer one or the final one follows. */
	if (remedy == REMEDY_DROP || !item->id || item->tried & 1u << remedy) {
		over(o, item, false, 0, res->description);
		return;
	}
	log_warn("rewriting a message that was refused: %s", res->description);
	item->tried |= 1u << remedy;
	apply(item, remedy);
	outbox_landed(o, item, false, 0);
}

static int64_t backoff(int failures)
{
	int64_t wait = INT64_C(250) << (failures < 8 ? failures : 8);
	if (wait > LONGEST_WAIT_MS)
		wait = LONGEST_WAIT_MS;
	return wait + random() % (wait / 5);
}

static void try_again(struct outbox *o, struct item *item, const struct api_result *res)
{
	bool loose = !item->chat;
	item->failures++;
	o->ev.counted(o->arg, "error");
	if (!item->id || (loose && item->failures >= LOOSE_TRIES) ||
	    clock_now_ms() - item->created_at > GIVE_UP_MS) {
		over(o, item, false, 0, res->description);
		return;
	}
	if (item->kind == OUTBOX_EDIT && res->status == API_SERVER && item->failures >= EDIT_TRIES)
		apply(item, REMEDY_SEND);
	int64_t wait = backoff(item->failures);
	if (res->status == API_NETWORK)
		outbox_hold(o, wait);
	log_debug("message not sent, trying again in %" PRId64 " ms: %s", wait, res->description);
	outbox_landed(o, item, false, res->status == API_NETWORK ? 0 : wait);
}

static void answered(void *arg, const struct api_result *res)
{
	struct item *item = arg;
	struct outbox *o = item->outbox;
	switch (res->status) {
	case API_OK:
		over(o, item, true, json_int(res->result, "message_id", item->message_id), NULL);
		break;
	case API_FLOOD:
		o->ev.counted(o->arg, "flood");
		if (item->id && item->chat) {
			outbox_landed(o, item, false, res->retry_after_ms);
			break;
		}
		if (item->chat) /* the newest state comes again by itself, but not before this */
			item->chat->hold_until = clock_mono_ms() + res->retry_after_ms;
		over(o, item, false, 0, res->description);
		break;
	case API_REFUSED:
		refused(o, item, res);
		break;
	case API_TOKEN:
		outbox_hold(o, 60000);
		outbox_landed(o, item, false, 60000);
		o->ev.refused(o->arg, res->description);
		break;
	case API_CONFLICT:
	case API_SERVER:
	case API_NETWORK:
		try_again(o, item, res);
		break;
	}
}

/* The message that progress row ${id} is about; what was just sent is recorded first. */
static int64_t message_of(struct outbox *o, int64_t id)
{
	struct err err = {0};
	int64_t message_id = 0;
	outbox_flush(o);
	if (db_get_int(o->db, &message_id, &err, "SELECT message_id FROM progress WHERE id = ?", "i", id))
		log_error("progress message %" PRId64 " cannot be looked up: %s", id, err.msg);
	return message_id;
}

static void send_document(struct outbox *o, struct item *item)
{
	cleanup_json cJSON *body = body_of(item);
	cleanup_free char *name = mem_strdup(json_text_or(body, "file_name", "message.txt"));
	cJSON_DeleteItemFromObject(body, "file_name");
	if (json_text(body, "caption") && !*json_text(body, "caption"))
		cJSON_DeleteItemFromObject(body, "caption");
	json_add_int(body, "chat_id", item->chat_id);
	const char *data = item->document ? item->document : "";
	api_upload(o->api, methods[OUTBOX_DOCUMENT], body, "document", name, data, strlen(data), answered,
	           item);
}

void outbox_send(struct outbox *o, struct item *item)
{
	cleanup_str struct str body = STR_INIT;
	if (item->until && clock_now_ms() >= item->until) {
		over(o, item, false, 0, "it comes too late");
		return;
	}
	if (item->kind == OUTBOX_EDIT && !item->message_id && item->progress) {
		item->message_id = message_of(o, item->progress);
		if (!item->message_id && item->id)
			item->kind =
			        OUTBOX_SEND; /* the first message never arrived: the last state still shall */
	}
	if (item->kind == OUTBOX_DOCUMENT) {
		send_document(o, item);
		return;
	}
	str_addc(&body, '{');
	if (item->kind != OUTBOX_ANSWER)
		str_addf(&body, "\"chat_id\":%" PRId64 ",", item->chat_id);
	if (item->kind == OUTBOX_EDIT)
		str_addf(&body, "\"message_id\":%" PRId64 ",", item->message_id);
	str_add(&body, item->body + 1);
	api_call(o->api, methods[item->kind], str_text(&body), body.len, 0, answered, item);
}
