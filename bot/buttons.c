#include "bot/buttons.h"
#include "core/json.h"
#include <stdbool.h>
#include <string.h>

#define LONG_LABEL 24

char *buttons_json(const struct button *buttons, size_t n)
{
	cleanup_json cJSON *markup = json_object();
	cJSON *rows = json_array(), *row = NULL;
	bool column = n > 3;
	for (size_t i = 0; i < n; i++)
		column = column || strlen(buttons[i].label) > LONG_LABEL;
	for (size_t i = 0; i < n; i++) {
		if (!row || column)
			cJSON_AddItemToArray(rows, row = json_array());
		cJSON *button = json_object();
		json_add_text(button, "text", buttons[i].label);
		json_add_text(button, "callback_data", buttons[i].token);
		cJSON_AddItemToArray(row, button);
	}
	json_add(markup, "inline_keyboard", rows);
	return json_print(markup);
}
