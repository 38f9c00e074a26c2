#include "bot/commands.h"
#include "core/mutant.h"

static int help_one(struct call *c, const char *name, struct err *err)
{
	const struct command *command = commands_find(name[0] == '/' ? name + 1 : name);
	if (!command) {
		const char *nearest = commands_nearest(name);
		return call_text(c, nearest ? T_UNKNOWN_NEAREST : T_UNKNOWN_COMMAND,
		                 TEXT_ARGS({"command", name}, {"nearest", nearest}), err);
	}
	if (MUTANT("help_explains_another"))
		command = bot_commands[0];
	return call_text(c, T_HELP_ONE,
	                 TEXT_ARGS({"command", command->name}, {"about", command->about[c->lang]},
	                           {"usage", command->usage}, {"example", command->example},
	                           {"role", auth_role_name(command->role)}),
	                 err);
}

static int run(struct call *c, const char *args, struct err *err)
{
	char name[40];
	cleanup_str struct str html = STR_INIT;
	if (*call_word(&args, name, sizeof(name)))
		return help_one(c, name, err);
	texts_add(&html, c->lang, T_HELP_HEAD, TEXT_NONE);
	for (const struct command *const *k = bot_commands; *k; k++) {
		if (MUTANT("help_lacks_a_command") && *k == &cmd_lang)
			continue;
		str_addf(&html, "/%s – ", (*k)->name);
		str_add_html(&html, (*k)->about[c->lang]);
		str_addc(&html, '\n');
	}
	texts_add(&html, c->lang, T_HELP_FOOT, TEXT_NONE);
	return call_say(c, str_text(&html), NULL, err);
}

const struct command cmd_help = {
        .name = "help",
        .role = ROLE_VIEWER,
        .about = {"All commands, or how to use one", "Все команды или объяснение одной"},
        .usage = "/help [command]",
        .example = "/help new",
        .run = run,
};
