/* See chat_view.h. The screen is blocks, one per message, and the input line below them; only the last block can be
 * drawn again, so an edit of an older message becomes a new block. */
#include "cli/chat_view.h"
#include "core/mem.h"
#include "core/str.h"
#include "core/text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PROMPT "> "

struct chat_view {
	int fd; /* -1: shows nothing */
	enum chat_style style;
	int64_t last_id; /* message of the last block, 0: none */
	int last_rows;   /* on the screen */
	int typed_rows;  /* rows of the input line above the one with the cursor */
	char *typed;
	cJSON *keyboard; /* last message with buttons */
};

struct chat_view *chat_view_new(void)
{
	struct chat_view *v = mem_alloc(sizeof(*v));

	v->fd = -1;
	return v;
}

static void draw_typed(struct chat_view *v);

void chat_view_show_on(struct chat_view *v, int fd, enum chat_style style)
{
	v->fd = fd;
	v->style = style;
	v->last_id = 0;
	draw_typed(v);
}

void chat_view_free(struct chat_view *v)
{
	if (v == NULL)
		return;
	free(v->typed);
	cJSON_Delete(v->keyboard);
	free(v);
}

static void put(struct chat_view *v, const char *text)
{
	size_t n = strlen(text);

	while (n > 0 && v->fd >= 0) {
		ssize_t k = write(v->fd, text, n);
		if (k <= 0)
			return;
		text += k;
		n -= (size_t)k;
	}
}

static size_t width(const struct chat_view *v)
{
	struct winsize size;

	return ioctl(v->fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* Rows that plain text takes on the screen. */
static int rows_of(const struct chat_view *v, const char *text)
{
	size_t room = width(v);
	int rows = 0;

	for (;;) {
		size_t n = strcspn(text, "\n"), columns = text_columns(text, n);
		rows += columns == 0 ? 1 : (int)((columns + room - 1) / room);
		if (text[n] == '\0')
			return rows;
		text += n + 1;
	}
}

static const char *style_of(const char *type)
{
	static const struct {
		const char *type, *on;
	} styles[] = {{"bold", "\033[1m"},          {"italic", "\033[3m"},      {"underline", "\033[4m"},
	              {"strikethrough", "\033[9m"}, {"code", "\033[36m"},       {"pre", "\033[36m"},
	              {"text_link", "\033[4m"},     {"bot_command", "\033[34m"}};

	for (size_t i = 0; type && i < ARRAY_LEN(styles); i++)
		if (strcmp(styles[i].type, type) == 0)
			return styles[i].on;
	return "";
}

/* Where an entity begins or ends, switch to the styles that hold from there on. */
static void switch_style(struct str *out, const cJSON *entities, int64_t at)
{
	bool edge = false;
	const cJSON *e;

	cJSON_ArrayForEach(e, entities)
	{
		int64_t from = json_int(e, "offset", -1);
		edge = edge || from == at || from + json_int(e, "length", 0) == at;
	}
	if (!edge)
		return;
	str_add(out, "\033[0m");
	cJSON_ArrayForEach(e, entities)
	{
		int64_t from = json_int(e, "offset", -1);
		if (from <= at && at < from + json_int(e, "length", 0))
			str_add(out, style_of(json_text(e, "type")));
	}
}

/* The text with its entities as colours; control characters of foreign text must not reach the terminal. */
static void add_text(struct str *out, const char *text, const cJSON *entities, bool colour)
{
	int64_t units = 0;

	for (const char *p = text; *p; p++) {
		size_t control = *p == '\n' ? 0 : text_control(p);
		if ((*p & 0xc0) != 0x80) {
			if (colour)
				switch_style(out, entities, units);
			units += (unsigned char)*p >= 0xf0 ? 2 : 1;
		}
		str_addc(out, control ? ' ' : *p);
		p += control == 2;
	}
	if (colour)
		switch_style(out, entities, units);
}

static void add_buttons(struct str *out, const cJSON *message)
{
	const cJSON *row, *button;
	int n = 0;

	cJSON_ArrayForEach(row, json_at(message, "reply_markup.inline_keyboard"))
	{
		str_addc(out, '\n');
		cJSON_ArrayForEach(button, row)
		{
			const char *text = json_text(button, "text"), *url = json_text(button, "url");
			if (url)
				str_add(out, "  [");
			else
				str_addf(out, "  [:%d ", ++n);
			add_text(out, text ? text : "", NULL, false);
			str_add(out, url ? ": " : "");
			add_text(out, url ? url : "", NULL, false);
			str_addc(out, ']');
		}
	}
}

/* A message as a block of text without a final line break. */
static void add_message(struct str *out, const cJSON *message, bool user, bool colour)
{
	const char *text = json_text(message, "text"), *name = json_text(message, "document.file_name");
	bool caption = text == NULL;

	if (caption)
		text = json_text(message, "caption");
	if (user)
		str_add(out, colour ? "\033[32m›\033[0m " : "> ");
	if (name) {
		str_add(out, "[file ");
		add_text(out, name, NULL, false);
		str_addf(out, ", %lld bytes]%s", (long long)json_int(message, "document.file_size", 0),
		         text ? "\n" : "");
	}
	if (json_at(message, "photo"))
		str_addf(out, "[photo]%s", text ? "\n" : "");
	add_text(out, text ? text : "", json_at(message, caption ? "caption_entities" : "entities"), colour);
	add_buttons(out, message);
}

static void erase_typed(struct chat_view *v)
{
	char up[24] = "";

	if (v->style != CHAT_INTERACTIVE)
		return;
	if (v->typed_rows > 0)
		snprintf(up, sizeof(up), "\033[%dA", v->typed_rows);
	put(v, up);
	put(v, "\r\033[J");
}

static void draw_typed(struct chat_view *v)
{
	if (v->style != CHAT_INTERACTIVE)
		return;
	const char *typed = v->typed ? v->typed : "";
	v->typed_rows = (int)((strlen(PROMPT) + text_columns(typed, strlen(typed))) / width(v));
	put(v, PROMPT);
	put(v, typed);
}

void chat_view_typed(struct chat_view *v, const char *line)
{
	erase_typed(v);
	free(v->typed);
	v->typed = mem_strdup(line);
	draw_typed(v);
}

static void show(struct chat_view *v, int64_t id, const char *block, const char *plain)
{
	char up[24];

	erase_typed(v);
	if (v->style != CHAT_PLAIN && id != 0 && id == v->last_id) {
		snprintf(up, sizeof(up), "\033[%dA\r\033[J", v->last_rows);
		put(v, up);
	}
	put(v, block);
	put(v, v->style != CHAT_PLAIN ? "\033[0m\n" : "\n");
	v->last_id = id;
	v->last_rows = rows_of(v, plain);
	draw_typed(v);
}

void chat_view_note(struct chat_view *v, const char *text)
{
	cleanup_free char *block = mem_printf(v->style != CHAT_PLAIN ? "\033[2m%s" : "%s", text);

	show(v, 0, block, text);
}

static void keep_keyboard(struct chat_view *v, const cJSON *message)
{
	int64_t id = json_int(message, "message_id", 0);
	bool has = json_at(message, "reply_markup.inline_keyboard") != NULL;

	if (!has && json_int(v->keyboard, "message_id", 0) != id)
		return;
	cJSON_Delete(v->keyboard);
	v->keyboard = has ? cJSON_Duplicate(message, true) : NULL;
}

void chat_view_event(struct chat_view *v, const cJSON *event)
{
	const char *type = json_text(event, "type"), *from = json_text(event, "from");
	const cJSON *message = json_at(event, "message");
	cleanup_str struct str block = STR_INIT, plain = STR_INIT;

	if (type == NULL || from == NULL)
		return;
	if (strcmp(type, "answer") == 0 && json_text(event, "text") && *json_text(event, "text")) {
		add_text(&block, json_text(event, "text"), NULL, false);
		chat_view_note(v, str_text(&block));
	}
	if (strcmp(type, "message") != 0 && strcmp(type, "edit") != 0)
		return;
	bool user = strcmp(from, "user") == 0;
	add_message(&block, message, user, v->style != CHAT_PLAIN);
	add_message(&plain, message, user, false);
	if (!user)
		keep_keyboard(v, message);
	show(v, json_int(message, "message_id", 0), str_text(&block), str_text(&plain));
}

bool chat_view_button(const struct chat_view *v, int n, int64_t *message_id, const char **data)
{
	const cJSON *row, *button;

	cJSON_ArrayForEach(row, json_at(v->keyboard, "reply_markup.inline_keyboard"))
	{
		cJSON_ArrayForEach(button, row)
		{
			if (json_text(button, "callback_data") == NULL || --n > 0)
				continue;
			*message_id = json_int(v->keyboard, "message_id", 0);
			*data = json_text(button, "callback_data");
			return n == 0;
		}
	}
	return false;
}

bool chat_view_unfinished(const cJSON *message)
{
	static const char *const words[] = {"Cancel", "Отмен"};
	const char *text = json_text(message, "text");
	const cJSON *row, *button;

	cJSON_ArrayForEach(row, json_at(message, "reply_markup.inline_keyboard"))
	{
		cJSON_ArrayForEach(button, row)
		{
			const char *label = json_text(button, "text");
			for (size_t i = 0; label && i < ARRAY_LEN(words); i++)
				if (strstr(label, words[i]))
					return true;
		}
	}
	return text && strstr(text, "░");
}
