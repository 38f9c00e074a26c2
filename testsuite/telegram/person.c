/* See person.h. */
#include "testsuite/telegram/person.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/mem.h"
#include "testsuite/telegram/entities.h"
#include "testsuite/telegram/events.h"
#include "testsuite/telegram/markup.h"
#include "testsuite/telegram/store.h"
#include "testsuite/telegram/updates.h"
#include <stdlib.h>
#include <string.h>

#define ID_MAX (1LL << 52) /* Bot API: ids have at most 52 significant bits */
#define SUPERGROUP (-1000000000000LL)

/* Who speaks where. */
struct place {
	int64_t user_id, chat_id;
	cJSON *user, *chat; /* owned */
};
#define cleanup_place __attribute__((cleanup(place_free)))

static void place_free(struct place *p)
{
	cJSON_Delete(p->user);
	cJSON_Delete(p->chat);
}

static cJSON *private_chat(const cJSON *user)
{
	cJSON *chat = json_object();

	json_add_int(chat, "id", json_int(user, "id", 0));
	json_add_text(chat, "first_name", json_text(user, "first_name"));
	json_add_text(chat, "type", "private");
	return chat;
}

static cJSON *group_chat(int64_t id)
{
	cJSON *chat = json_object();
	cleanup_free char *title =
	        mem_printf("Group %lld", (long long)(id <= SUPERGROUP ? SUPERGROUP - id : -id));

	json_add_int(chat, "id", id);
	json_add_text(chat, "title", title);
	json_add_text(chat, "type", id <= SUPERGROUP ? "supergroup" : "group");
	if (id > SUPERGROUP)
		json_add_bool(chat, "all_members_are_administrators", true);
	return chat;
}

static int read_user(struct tg *tg, const cJSON *body, struct place *p, struct err *err)
{
	const char *name = json_text(body, "name"), *language = json_text(body, "language");

	p->user_id = json_int(body, "user", 0);
	if (p->user_id <= 0 || p->user_id >= ID_MAX)
		return err_set(err, ERR_INVALID, "\"user\" must be a positive user id");
	if ((name && strlen(name) > 256) || (language && strlen(language) > 16))
		return err_set(err, ERR_INVALID, "\"name\" or \"language\" is too long");
	if (tg_store_save_user(tg, p->user_id, name, language, err) < 0 ||
	    tg_store_user(tg, p->user_id, &p->user, err) < 0)
		return -1;
	return 0;
}

static int read_place(struct tg *tg, const cJSON *body, struct place *p, struct err *err)
{
	if (read_user(tg, body, p, err) < 0)
		return -1;
	p->chat_id = json_int(body, "chat", p->user_id);
	if (p->chat_id == 0 || p->chat_id <= -ID_MAX || (p->chat_id > 0 && p->chat_id != p->user_id))
		return err_set(err, ERR_INVALID, "\"chat\" must be the user's own id or a negative group id");
	if (p->chat_id > 0) {
		p->chat = private_chat(p->user);
	} else {
		int found = tg_store_chat(tg, p->chat_id, &p->chat, err);
		if (found < 0)
			return -1;
		if (found > 0)
			return 0;
		p->chat = group_chat(p->chat_id);
	}
	return tg_store_save_chat(tg, p->chat_id, p->chat, err);
}

static cJSON *member(cJSON *user, const char *status)
{
	cJSON *m = json_object();

	json_add(m, "user", user);
	json_add_text(m, "status", status);
	if (strcmp(status, "kicked") == 0)
		json_add_int(m, "until_date", 0);
	return m;
}

static int set_blocked(struct tg *tg, struct place *p, bool blocked, int64_t *update, struct err *err)
{
	*update = 0;
	if (tg_store_blocked(tg, p->user_id) == blocked)
		return 0;
	if (tg_store_block(tg, p->user_id, blocked, err) < 0)
		return -1;
	cJSON *change = json_object();
	json_add(change, "chat", private_chat(p->user));
	json_add(change, "from", cJSON_Duplicate(p->user, true));
	json_add_int(change, "date", clock_now_ms() / 1000);
	json_add(change, "old_chat_member", member(tg_bot_user(tg), blocked ? "member" : "kicked"));
	json_add(change, "new_chat_member", member(tg_bot_user(tg), blocked ? "kicked" : "member"));
	return tg_updates_push(tg, "my_chat_member", change, update, err);
}

int tg_person_block(struct tg *tg, const cJSON *body, cJSON *answer, struct err *err)
{
	cleanup_place struct place p = {0};
	int64_t update = 0;

	if (!cJSON_IsBool(json_at(body, "blocked")))
		return err_set(err, ERR_INVALID, "\"blocked\" must be true or false");
	if (read_user(tg, body, &p, err) < 0 ||
	    set_blocked(tg, &p, json_bool(body, "blocked", false), &update, err) < 0)
		return -1;
	json_add_int(answer, "update_id", update);
	return 0;
}

/* The message that ${key} of the body names; ${own}: it must be this user's. */
static int read_message(struct tg *tg, const cJSON *body, const char *key, const struct place *p, bool own,
                        struct tg_message *m, struct err *err)
{
	int64_t id = json_int(body, key, 0);
	int found = tg_store_message(tg, p->chat_id, id, m, err);

	if (found < 0)
		return -1;
	if (found == 0)
		return err_set(err, ERR_INVALID, "there is no message %lld in chat %lld", (long long)id,
		               (long long)p->chat_id);
	if (own && (m->from_bot || json_int(m->body, "from.id", 0) != p->user_id))
		return err_set(err, ERR_INVALID, "message %lld is not this user's", (long long)id);
	return 0;
}

static int read_text(const cJSON *body, struct tg_formatted *text, struct err *err)
{
	const char *given = json_text(body, "text");

	if (given == NULL || strlen(given) > TG_RAW_TEXT_MAX)
		return err_set(err, ERR_INVALID, "\"text\" must be a text of at most %d characters",
		               TG_TEXT_MAX);
	if (tg_entities_parse("", given, text, err) < 0)
		return -1;
	if (text->units == 0 || text->units > TG_TEXT_MAX)
		return err_set(err, ERR_INVALID, "\"text\" must have 1 to %d characters", TG_TEXT_MAX);
	return 0;
}

static int add_reply(struct tg *tg, const cJSON *body, const struct place *p, cJSON *message, struct err *err)
{
	cleanup_message struct tg_message replied = {0};

	if (json_at(body, "reply_to") == NULL)
		return 0;
	if (read_message(tg, body, "reply_to", p, false, &replied, err) < 0)
		return -1;
	cJSON_DeleteItemFromObject(replied.body, "reply_to_message");
	json_add(message, "reply_to_message", TAKE(replied.body));
	return 0;
}

/* A new message, or the one that is edited with its text taken out. */
static int begin_message(struct tg *tg, const cJSON *body, struct place *p, struct tg_message *m,
                         struct err *err)
{
	int64_t now_s = clock_now_ms() / 1000;

	if (json_at(body, "edit")) {
		if (read_message(tg, body, "edit", p, true, m, err) < 0)
			return -1;
		cJSON_DeleteItemFromObject(m->body, "text");
		cJSON_DeleteItemFromObject(m->body, "entities");
		cJSON_DeleteItemFromObject(m->body, "edit_date");
		json_add_int(m->body, "edit_date", now_s);
		return 0;
	}
	m->body = json_object();
	json_add_int(m->body, "message_id", tg->next_message_id++);
	json_add(m->body, "from", cJSON_Duplicate(p->user, true));
	json_add(m->body, "chat", cJSON_Duplicate(p->chat, true));
	json_add_int(m->body, "date", now_s);
	return add_reply(tg, body, p, m->body, err);
}

int tg_person_message(struct tg *tg, const cJSON *body, cJSON *answer, struct err *err)
{
	cleanup_formatted struct tg_formatted text = TG_FORMATTED_INIT;
	cleanup_place struct place p = {0};
	cleanup_message struct tg_message m = {0};
	bool edit = json_at(body, "edit") != NULL;
	int64_t update = 0, ignored = 0;

	if (read_text(body, &text, err) < 0 || read_place(tg, body, &p, err) < 0 ||
	    set_blocked(tg, &p, false, &ignored, err) < 0 || begin_message(tg, body, &p, &m, err) < 0)
		return -1;
	json_add_text(m.body, "text", str_text(&text.text));
	cJSON *entities = tg_entities_json(&text);
	if (entities)
		json_add(m.body, "entities", entities);
	int64_t id = json_int(m.body, "message_id", 0);
	if (tg_store_save_message(tg, p.chat_id, id, &m, err) < 0 ||
	    tg_events_add_message(tg, edit ? "edit" : "message", p.chat_id, &m, err) < 0 ||
	    tg_updates_push(tg, edit ? "edited_message" : "message", cJSON_Duplicate(m.body, true), &update,
	                    err) < 0)
		return -1;
	json_add_int(answer, "chat", p.chat_id);
	json_add_int(answer, "message_id", id);
	json_add_int(answer, "update_id", update);
	return 0;
}

static int add_callback(struct tg *tg, const char *id, int64_t chat, int64_t message, struct err *err)
{
	return db_run(tg->db, err, "INSERT OR REPLACE INTO callbacks VALUES (?, ?, ?, ?)", "tiii", id, chat,
	              message, clock_now_ms());
}

int tg_person_press(struct tg *tg, const cJSON *body, cJSON *answer, struct err *err)
{
	cleanup_place struct place p = {0};
	cleanup_message struct tg_message m = {0};
	const char *data = json_text(body, "data");
	char random[17];
	int64_t update = 0;

	if (data == NULL)
		return err_set(err, ERR_INVALID, "\"data\" must be the callback data of the button");
	if (read_place(tg, body, &p, err) < 0 || read_message(tg, body, "message_id", &p, false, &m, err) < 0)
		return -1;
	if (!m.from_bot || !tg_markup_has(m.body, data))
		return err_set(err, ERR_INVALID, "that message has no button with this data");
	id_random_hex(random, 8);
	cleanup_free char *id = mem_printf("%llu", strtoull(random, NULL, 16) >> 1);
	long long chat_instance = p.chat_id * 31 + 7;
	cleanup_free char *instance = mem_printf("%lld", chat_instance);
	cJSON *query = json_object();
	json_add_text(query, "id", id);
	json_add(query, "from", cJSON_Duplicate(p.user, true));
	json_add(query, "message", cJSON_Duplicate(m.body, true));
	json_add_text(query, "chat_instance", instance);
	json_add_text(query, "data", data);
	if (tg_updates_push(tg, "callback_query", query, &update, err) < 0 ||
	    add_callback(tg, id, p.chat_id, json_int(m.body, "message_id", 0), err) < 0)
		return -1;
	json_add_text(answer, "callback_id", id);
	json_add_int(answer, "update_id", update);
	return 0;
}

/* Make the chat and the callback query of an injected update answerable, so that the bot's reply to it works. */
static int learn(struct tg *tg, const cJSON *update, struct err *err)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, update)
	{
		const cJSON *chat = json_at(item, "chat");
		if (chat == NULL)
			chat = json_at(item, "message.chat");
		int64_t id = json_int(chat, "id", 0);
		const char *callback = json_text(item, "id");
		if (id != 0 && json_text(chat, "type") && tg_store_save_chat(tg, id, chat, err) < 0)
			return -1;
		if (callback && item->string && strcmp(item->string, "callback_query") == 0 &&
		    add_callback(tg, callback, id, json_int(item, "message.message_id", 0), err) < 0)
			return -1;
	}
	return 0;
}

int tg_person_update(struct tg *tg, const cJSON *body, cJSON *answer, struct err *err)
{
	const cJSON *update = json_at(body, "update");
	int64_t id = 0;

	if (update == NULL)
		return err_set(err, ERR_INVALID, "\"update\" is missing");
	if ((cJSON_IsObject(update) && learn(tg, update, err) < 0) ||
	    tg_updates_inject(tg, update, &id, err) < 0)
		return -1;
	json_add_int(answer, "update_id", id);
	return 0;
}
