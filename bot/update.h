/* One update of Telegram, reduced to what this bot acts on. Everything else is UPDATE_IGNORED, whatever it looks like. */
#ifndef BOT_UPDATE_H
#define BOT_UPDATE_H

#include "core/json.h"
#include <stdbool.h>
#include <stdint.h>

#define UPDATE_COMMAND_MAX 32 /* Bot API: BotCommand.command, "1-32 characters" */

enum update_kind {
	UPDATE_IGNORED, /* not for us, or of a kind we have no use for */
	UPDATE_COMMAND,
	UPDATE_TEXT,  /* free text, in a private chat or addressed to us */
	UPDATE_OTHER, /* a sticker, a photo, …: sent to us in a private chat */
	UPDATE_PRESS, /* a button */
};

struct update {
	enum update_kind kind;
	int64_t id, chat, topic, user, message_id;
	bool group;
	const char *name, *language; /* of the user; language may be NULL */
	const char *text; /* TEXT: without our mention in front; COMMAND: what follows the command */
	char command[UPDATE_COMMAND_MAX + 1]; /* COMMAND: lower case, no slash */
	const char *callback_id, *data;       /* PRESS; data may be NULL */
};

/** Read ${json} (borrowed for ${*u}'s life). ${username} (no @) and ${bot_id} are this bot's. */
void update_read(const cJSON *json, const char *username, int64_t bot_id, struct update *u);

#endif
