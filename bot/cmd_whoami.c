#include "bot/commands.h"
#include <inttypes.h>
#include <stdio.h>

static int run(struct call *c, const char *args, struct err *err)
{
	char id[24], chat[24];
	(void)args;
	snprintf(id, sizeof(id), "%" PRId64, c->u->user);
	snprintf(chat, sizeof(chat), "%" PRId64, c->u->chat);
	return call_text(c, T_WHOAMI,
	                 TEXT_ARGS({"id", id}, {"role", auth_role_name(c->role)}, {"chat", chat},
	                           {"language", texts_own_name(c->lang)}),
	                 err);
}

const struct command cmd_whoami = {
        .name = "whoami",
        .role = ROLE_VIEWER,
        .about = {"Your id, role and language", "Ваш id, роль и язык"},
        .usage = "/whoami",
        .example = "/whoami",
        .run = run,
};
