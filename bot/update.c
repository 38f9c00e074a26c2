#include "bot/update.h"
#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool command_char(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static const char *skip_space(const char *s)
{
	while (is_space(*s))
		s++;
	return s;
}

/* "@name" at ${s} (which stands behind the @) is ours: returns the place after it, else NULL. */
static const char *our_name(const char *s, const char *username)
{
	size_t n = strlen(username);
	return n && strncasecmp(s, username, n) == 0 && !command_char(s[n]) ? s + n : NULL;
}

/* "/new@bot args". A name that is too long is kept cut: it is unknown either way. */
static void read_command(struct update *u, const char *text, const char *username)
{
	size_t n = 0;
	const char *p = text + 1;
	for (; command_char(*p); p++)
		if (n < UPDATE_COMMAND_MAX)
			u->command[n++] = (char)tolower((unsigned char)*p);
	u->command[n] = '\0';
	if (*p == '@') {
		const char *after = our_name(p + 1, username);
		if (!after)
			return; /* another bot's */
		p = after;
	}
	/* "//", "/ " and "/." are no commands: in a group not meant for us, in private chat just text. */
	if (n == 0) {
		u->kind = u->group ? UPDATE_IGNORED : UPDATE_TEXT;
		u->text = text;
		return;
	}
	u->kind = UPDATE_COMMAND;
	u->text = skip_space(p);
}

static void read_text(struct update *u, const cJSON *message, const char *text, const char *username,
                      int64_t bot_id)
{
	const char *s = skip_space(text);
	if (*s == '/') {
		read_command(u, s, username);
		return;
	}
	const char *after = *s == '@' ? our_name(s + 1, username) : NULL;
	bool reply = json_int(message, "reply_to_message.from.id", 0) == bot_id;
	if (after)
		s = skip_space(after);
	if (*s && (after || reply || !u->group)) {
		u->kind = UPDATE_TEXT;
		u->text = s;
	}
}

static void read_user(struct update *u, const cJSON *from)
{
	const char *name = json_text(from, "first_name");
	u->user = json_int(from, "id", 0);
	u->name = name ? name : "";
	u->language = json_text(from, "language_code");
}

static void read_chat(struct update *u, const cJSON *message)
{
	const char *type = json_text(message, "chat.type");
	u->chat = json_int(message, "chat.id", 0);
	u->message_id = json_int(message, "message_id", 0);
	u->group = u->chat < 0 || (type && strcmp(type, "private") != 0);
	if (json_bool(message, "is_topic_message", false))
		u->topic = json_int(message, "message_thread_id", 0);
}

/* Messages that tell of a change of the chat itself ask for no answer. */
static bool is_content(const cJSON *message)
{
	static const char *const kinds[] = {"sticker",  "photo",     "video",      "voice",    "audio",
	                                    "document", "animation", "contact",    "location", "venue",
	                                    "poll",     "dice",      "video_note", "game"};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (json_at(message, kinds[i]))
			return true;
	return false;
}

static void read_message(struct update *u, const cJSON *message, const char *username, int64_t bot_id)
{
	const char *text = json_text(message, "text");
	read_user(u, json_at(message, "from"));
	read_chat(u, message);
	if (!u->chat || !u->user || json_bool(message, "from.is_bot", false))
		return;
	if (text)
		read_text(u, message, text, username, bot_id);
	else if (!u->group && is_content(message))
		u->kind = UPDATE_OTHER;
}

static void read_press(struct update *u, const cJSON *query)
{
	read_user(u, json_at(query, "from"));
	read_chat(u, json_at(query, "message"));
	u->callback_id = json_text(query, "id");
	u->data = json_text(query, "data");
	if (u->callback_id && u->user)
		u->kind = UPDATE_PRESS;
}

void update_read(const cJSON *json, const char *username, int64_t bot_id, struct update *u)
{
	*u = (struct update){.id = json_int(json, "update_id", -1), .name = ""};
	const cJSON *message = json_at(json, "message"), *query = json_at(json, "callback_query");
	if (cJSON_IsObject(message))
		read_message(u, message, username, bot_id);
	else if (cJSON_IsObject(query))
		read_press(u, query);
}
