#include "bot/commands.h"

static int run(struct call *c, const char *args, struct err *err)
{
	(void)args; /* deep links bring one */
	return call_text(c, T_WELCOME, TEXT_ARGS({"name", c->u->name}), err);
}

const struct command cmd_start = {
        .name = "start",
        .role = ROLE_VIEWER,
        .about = {"Welcome and first steps", "Приветствие и первые шаги"},
        .usage = "/start",
        .example = "/start",
        .run = run,
};
