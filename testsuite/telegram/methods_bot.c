/* The bot itself and its chats: getMe, getChat, actions, callback answers, commands, files. */
#include "core/clock.h"
#include "core/mem.h"
#include "core/text.h"
#include "testsuite/telegram/events.h"
#include "testsuite/telegram/files.h"
#include "testsuite/telegram/methods.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CALLBACK_MS 15000 /* people see answers fail after 10 to 20 s; Telegram publishes no figure */
#define CALLBACK_TEXT_MAX 200
#define COMMANDS_MAX 100

int tg_get_me(struct tg_call *c, struct err *err)
{
	(void)err;
	c->result = tg_bot_user(c->tg);
	json_add_bool(c->result, "can_join_groups", true);
	json_add_bool(c->result, "can_read_all_group_messages", true);
	json_add_bool(c->result, "supports_inline_queries", false);
	json_add_bool(c->result, "can_connect_to_business", false);
	json_add_bool(c->result, "has_main_web_app", false);
	return 0;
}

int tg_log_out(struct tg_call *c, struct err *err)
{
	(void)err;
	c->result = cJSON_CreateTrue();
	return 0;
}

int tg_get_chat(struct tg_call *c, struct err *err)
{
	if (tg_find_chat(c, &c->result, err) < 0)
		return -1;
	json_add_int(c->result, "accent_color_id", 0);
	json_add_int(c->result, "max_reaction_count", 11);
	return 0;
}

int tg_send_chat_action(struct tg_call *c, struct err *err)
{
	static const char *const actions[] = {"typing",
	                                      "upload_photo",
	                                      "record_video",
	                                      "upload_video",
	                                      "record_voice",
	                                      "upload_voice",
	                                      "record_audio",
	                                      "upload_audio",
	                                      "upload_document",
	                                      "choose_sticker",
	                                      "find_location",
	                                      "pick_up_location",
	                                      "record_video_note",
	                                      "upload_video_note",
	                                      "cancel"};
	const char *action = tg_param(&c->params, "action");
	cleanup_json cJSON *chat = NULL;
	bool known = false;

	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		known = known || strcasecmp(actions[i], action) == 0;
	if (!known)
		return tg_call_bad(c, "wrong parameter action in request");
	if (tg_find_chat(c, &chat, err) < 0 || tg_may_write(c, chat) < 0)
		return -1;
	cJSON *event = json_object();
	json_add_text(event, "action", action);
	c->result = cJSON_CreateTrue();
	return tg_events_add(c->tg, "action", json_int(chat, "id", 0), true, event, err);
}

int tg_answer_callback_query(struct tg_call *c, struct err *err)
{
	const char *id = tg_param(&c->params, "callback_query_id"), *text = tg_param(&c->params, "text");
	const char *url = tg_param(&c->params, "url");
	cleanup_query struct query q = QUERY_INIT;

	if (db_query(c->tg->db, &q, err, "SELECT chat, message FROM callbacks WHERE id = ? AND at >= ?", "ti",
	             id, clock_now_ms() - CALLBACK_MS) < 0)
		return -1;
	int row = query_next(&q, err);
	if (row < 0)
		return -1;
	if (row == 0)
		return tg_call_bad(c, "query is too old and response timeout expired or query ID is invalid");
	if (text_utf16_len(text, strlen(text)) > CALLBACK_TEXT_MAX)
		return tg_call_bad(c, "MESSAGE_TOO_LONG");
	int64_t chat = query_int(&q, 0);
	cJSON *event = json_object(), *message = json_object();
	json_add_text(event, "callback_id", id);
	json_add_text(event, "text", text);
	json_add_bool(event, "show_alert", tg_param_bool(&c->params, "show_alert"));
	if (*url)
		json_add_text(event, "url", url);
	json_add_int(message, "message_id", query_int(&q, 1));
	json_add(event, "message", message);
	query_end(&q);
	c->result = cJSON_CreateTrue();
	if (db_run(c->tg->db, err, "DELETE FROM callbacks WHERE id = ?", "t", id) < 0) {
		cJSON_Delete(event);
		return -1;
	}
	return tg_events_add(c->tg, "answer", chat, true, event, err);
}

/* BotCommandScope as a key: "default", "chat:7", "chat_member:7:8". Transfers. */
static int scope_key(struct tg_call *c, char **key)
{
	static const char *const plain[] = {"default", "all_private_chats", "all_group_chats",
	                                    "all_chat_administrators"};
	static const char *const of_chat[] = {"chat", "chat_administrators", "chat_member"};
	const char *text = tg_param(&c->params, "scope");
	cleanup_json cJSON *scope = *text ? cJSON_Parse(text) : NULL;
	const char *type = json_text(scope, "type");
	const cJSON *chat = json_at(scope, "chat_id");

	if (*text && scope == NULL)
		return tg_call_bad(c, "can't parse BotCommandScope JSON object");
	if (*text && !cJSON_IsObject(scope))
		return tg_call_bad(c, "can't parse BotCommandScope: BotCommandScope must be an Object");
	if (*text && type == NULL)
		return tg_call_bad(c, "can't parse BotCommandScope: Can't find field \"type\"");
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		if (strcmp(type ? type : "default", plain[i]) == 0) {
			*key = mem_strdup(plain[i]);
			return 0;
		}
	for (size_t i = 0; i < ARRAY_LEN(of_chat); i++) {
		if (strcmp(type, of_chat[i]) != 0)
			continue;
		if (chat == NULL)
			return tg_call_bad(c, "can't parse BotCommandScope: Can't find field \"chat_id\"");
		cleanup_free char *id =
		        cJSON_IsString(chat) ? mem_strdup(chat->valuestring) : json_print(chat);
		*key = i < 2 ? mem_printf("%s:%.64s", type, id)
		             : mem_printf("%s:%.64s:%lld", type, id,
		                          (long long)json_int(scope, "user_id", 0));
		return 0;
	}
	return tg_call_bad(c, "can't parse BotCommandScope: Unsupported type specified");
}

static int check_language(struct tg_call *c)
{
	const char *code = tg_param(&c->params, "language_code");

	if (*code &&
	    (strlen(code) != 2 || !islower((unsigned char)code[0]) || !islower((unsigned char)code[1])))
		return tg_call_bad(c, "invalid language code specified");
	return 0;
}

static size_t characters(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

/* One BotCommand into ${out}. */
static int read_command(struct tg_call *c, const cJSON *item, cJSON *out)
{
	const char *name = json_text(item, "command"), *description = json_text(item, "description");

	if (!cJSON_IsObject(item))
		return tg_call_bad(c, "can't parse BotCommand: expected an Object");
	if (name == NULL || description == NULL)
		return tg_call_bad(c, "can't parse BotCommand: Can't find field \"%s\"",
		                   name ? "description" : "command");
	name += *name == '/';
	if (*name == '\0')
		return tg_call_bad(c, "command must be non-empty");
	if (characters(name) > 32)
		return tg_call_bad(c, "command length must not exceed 32");
	if (*description == '\0')
		return tg_call_bad(c, "command description must be non-empty");
	if (characters(description) > 256)
		return tg_call_bad(c, "command description length must not exceed 256");
	for (const char *p = name; *p; p++)
		if (!islower((unsigned char)*p) && !isdigit((unsigned char)*p) && *p != '_')
			return tg_call_bad(c, "BOT_COMMAND_INVALID");
	cJSON *command = json_object();
	json_add_text(command, "command", name);
	json_add_text(command, "description", description);
	cJSON_AddItemToArray(out, command);
	return 0;
}

static int read_commands(struct tg_call *c, cJSON *out)
{
	const char *text = tg_param(&c->params, "commands");
	cleanup_json cJSON *given = *text ? cJSON_Parse(text) : json_array();
	const cJSON *item;

	if (given == NULL)
		return tg_call_bad(c, "can't parse commands JSON object");
	if (!cJSON_IsArray(given))
		return tg_call_bad(c, "expected an Array of BotCommand");
	cJSON_ArrayForEach(item, given)
	{
		if (read_command(c, item, out) < 0)
			return -1;
	}
	if (cJSON_GetArraySize(out) > COMMANDS_MAX)
		return tg_call_bad(c, "BOT_COMMANDS_TOO_MUCH");
	return 0;
}

int tg_set_my_commands(struct tg_call *c, struct err *err)
{
	cleanup_json cJSON *commands = json_array();
	cleanup_free char *scope = NULL;

	if (read_commands(c, commands) < 0 || scope_key(c, &scope) < 0 || check_language(c) < 0)
		return -1;
	cleanup_free char *body = json_print(commands);
	c->result = cJSON_CreateTrue();
	return db_run(c->tg->db, err, "INSERT OR REPLACE INTO commands VALUES (?, ?, ?)", "ttt", scope,
	              tg_param(&c->params, "language_code"), body);
}

int tg_get_my_commands(struct tg_call *c, struct err *err)
{
	cleanup_free char *scope = NULL, *body = NULL;

	if (scope_key(c, &scope) < 0 || check_language(c) < 0 ||
	    db_get_text(c->tg->db, &body, err, "SELECT body FROM commands WHERE scope = ? AND language = ?",
	                "tt", scope, tg_param(&c->params, "language_code")) < 0)
		return -1;
	c->result = body ? cJSON_Parse(body) : json_array();
	return 0;
}

int tg_delete_my_commands(struct tg_call *c, struct err *err)
{
	cleanup_free char *scope = NULL;

	if (scope_key(c, &scope) < 0 || check_language(c) < 0)
		return -1;
	c->result = cJSON_CreateTrue();
	return db_run(c->tg->db, err, "DELETE FROM commands WHERE scope = ? AND language = ?", "tt", scope,
	              tg_param(&c->params, "language_code"));
}

int tg_get_file(struct tg_call *c, struct err *err)
{
	const char *id = tg_param(&c->params, "file_id");
	cleanup_json cJSON *document = NULL;
	cleanup_free char *path = NULL;

	if (*id == '\0')
		return tg_call_bad(c, "file_id not specified");
	int found = tg_files_find(c->tg, id, &document, &path, err);
	if (found < 0)
		return -1;
	if (found == 0)
		return tg_call_bad(c, "wrong file_id or the file is temporarily unavailable");
	if (json_int(document, "file_size", 0) > TG_DOWNLOAD_MAX)
		return tg_call_bad(c, "file is too big");
	c->result = json_object();
	json_add_text(c->result, "file_id", id);
	json_add_text(c->result, "file_unique_id", json_text(document, "file_unique_id"));
	json_add_int(c->result, "file_size", json_int(document, "file_size", 0));
	json_add_text(c->result, "file_path", path);
	return 0;
}
