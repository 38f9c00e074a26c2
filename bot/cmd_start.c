#include "bot/commands.h"
#include "core/mutant.h"

static int run(struct call *c, const char *args, struct err *err)
{
	(void)args; /* deep links bring one */
	if (MUTANT("start_in_english_only"))
		c->lang = LANG_EN;
	return call_text(c, T_WELCOME, TEXT_ARGS({"name", MUTANT("start_without_name") ? "" : c->u->name}),
	                 err);
}

const struct command cmd_start = {
        .name = "start",
        .role = ROLE_VIEWER,
        .about = {"Welcome and first steps", "Приветствие и первые шаги"},
        .usage = "/start",
        .example = "/start",
        .run = run,
};
