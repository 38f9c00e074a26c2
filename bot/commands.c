#include "bot/commands.h"
#include "bot/again.h"
#include "core/mem.h"
#include "core/text.h"
#include <string.h>

const struct command *const bot_commands[] = {
        &cmd_start, &cmd_help, &cmd_status, &cmd_new,    &cmd_sessions, &cmd_session, &cmd_logs, &cmd_test,
        &cmd_tests, &cmd_jobs, &cmd_cancel, &cmd_whoami, &cmd_lang,     &cmd_audit,   NULL,
};

static const struct button_action actions[] = {
        {"stop", ROLE_OPERATOR, cmd_session_stop_now},
        {"keep", ROLE_VIEWER, cmd_session_keep},
        {"cancel", ROLE_OPERATOR, cmd_cancel_job},
        {"again", ROLE_OPERATOR, again_job},
        {"lang", ROLE_VIEWER, cmd_lang_set},
        {"extend-this", ROLE_OPERATOR, cmd_session_extend_this},
        {"stop-this", ROLE_OPERATOR, cmd_session_stop_this},
        {"answer", ROLE_OPERATOR, chat_answer},
        {"retry", ROLE_OPERATOR, chat_retry},
};

const struct command *commands_find(const char *name)
{
	for (const struct command *const *c = bot_commands; *c; c++)
		if (strcmp((*c)->name, name) == 0)
			return *c;
	return NULL;
}

const char *commands_nearest(const char *name)
{
	const char *names[ARRAY_LEN(bot_commands)];
	size_t n = 0;
	for (const struct command *const *c = bot_commands; *c; c++)
		names[n++] = (*c)->name;
	names[n] = NULL;
	return text_nearest(name, names);
}

char *commands_menu(enum lang lang, bool with_code)
{
	cleanup_json cJSON *params = json_object();
	cJSON *list = json_array();
	for (const struct command *const *c = bot_commands; *c; c++) {
		cJSON *item = json_object();
		json_add_text(item, "command", (*c)->name);
		json_add_text(item, "description", (*c)->about[lang]);
		cJSON_AddItemToArray(list, item);
	}
	json_add(params, "commands", list);
	if (with_code)
		json_add_text(params, "language_code", texts_code(lang));
	return json_print(params);
}

const struct button_action *commands_action(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (strcmp(actions[i].name, name) == 0)
			return &actions[i];
	return NULL;
}
