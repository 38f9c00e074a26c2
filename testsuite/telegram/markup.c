/* See markup.h. Texts from the public server's Client.cpp; BUTTON_DATA_INVALID and REPLY_MARKUP_TOO_LONG from Telegram. */
#include "testsuite/telegram/markup.h"
#include "core/mem.h"
#include "testsuite/telegram/entities.h"
#include <stdlib.h>
#include <string.h>

#define DATA_MAX 64 /* bytes */
#define BUTTONS_MAX 100
#define ROW_MAX 8

static int bad_button(struct err *err, const char *why)
{
	return err_set(err, ERR_INVALID, "Can't parse inline keyboard button: %s", why);
}

/* The kinds of button besides url and callback_data, passed on as they are. */
static bool other_kind(const cJSON *button)
{
	static const char *const kinds[] = {"switch_inline_query",
	                                    "switch_inline_query_current_chat",
	                                    "switch_inline_query_chosen_chat",
	                                    "login_url",
	                                    "web_app",
	                                    "copy_text",
	                                    "callback_game",
	                                    "pay"};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (json_at(button, kinds[i]))
			return true;
	return false;
}

static int check_button(const cJSON *button, struct err *err)
{
	const cJSON *text = json_at(button, "text");
	const char *data = json_text(button, "callback_data"), *url = json_text(button, "url");

	if (!cJSON_IsObject(button))
		return bad_button(err, "InlineKeyboardButton must be an Object");
	if (text == NULL)
		return bad_button(err, "Can't find field \"text\"");
	if (!cJSON_IsString(text))
		return bad_button(err, "Field \"text\" must be of type String");
	if (url) {
		cleanup_free char *link = tg_link_checked(url);
		if (link == NULL)
			return err_set(err, ERR_INVALID,
			               "inline keyboard button URL '%.256s' is invalid: Wrong HTTP URL", url);
		return 0;
	}
	if (json_at(button, "callback_data") == NULL)
		return other_kind(button)
		               ? 0
		               : bad_button(err, "Text buttons are unallowed in the inline keyboard");
	if (data == NULL)
		return bad_button(err, "Field \"callback_data\" must be of type String");
	if (*data == '\0' || strlen(data) > DATA_MAX)
		return err_set(err, ERR_INVALID, "BUTTON_DATA_INVALID");
	return 0;
}

static int check_rows(const cJSON *rows, struct err *err)
{
	const cJSON *row, *button;
	int n = 0;

	cJSON_ArrayForEach(row, rows)
	{
		int in_row = 0;
		if (!cJSON_IsArray(row))
			return err_set(err, ERR_INVALID,
			               "Field \"inline_keyboard\" of the InlineKeyboardMarkup must be an "
			               "Array of Arrays");
		cJSON_ArrayForEach(button, row)
		{
			if (check_button(button, err) < 0)
				return -1;
			if (++n > BUTTONS_MAX || ++in_row > ROW_MAX)
				return err_set(err, ERR_INVALID, "reply markup is too long");
		}
	}
	return 0;
}

int tg_markup_parse(const char *text, cJSON **inline_keyboard, struct err *err)
{
	cleanup_json cJSON *markup = NULL;
	struct err ignored;

	*inline_keyboard = NULL;
	if (*text == '\0')
		return 0;
	markup = json_parse(text, strlen(text), &ignored);
	if (markup == NULL)
		return err_set(err, ERR_INVALID, "Can't parse reply keyboard markup JSON object");
	if (!cJSON_IsObject(markup))
		return err_set(err, ERR_INVALID, "Object expected as reply markup");
	const cJSON *rows = json_at(markup, "inline_keyboard");
	if (rows == NULL)
		return 0;
	if (!cJSON_IsArray(rows))
		return err_set(err, ERR_INVALID, "Field \"inline_keyboard\" must be of type Array");
	if (check_rows(rows, err) < 0)
		return -1;
	bool any = false;
	const cJSON *row;
	cJSON_ArrayForEach(row, rows)
	{
		any = any || row->child != NULL;
	}
	if (!any)
		return 0;
	*inline_keyboard = json_object();
	json_add(*inline_keyboard, "inline_keyboard", cJSON_Duplicate(rows, true));
	return 0;
}

bool tg_markup_has(const cJSON *message, const char *data)
{
	const cJSON *row, *button;

	cJSON_ArrayForEach(row, json_at(message, "reply_markup.inline_keyboard"))
	{
		cJSON_ArrayForEach(button, row)
		{
			const char *own = json_text(button, "callback_data");
			if (own && strcmp(own, data) == 0)
				return true;
		}
	}
	return false;
}
