#include "bot/commands.h"
#include "bot/logs.h"
#include "compose/stack.h"
#include "core/mem.h"
#include "core/text.h"
#include "jobs/supervisor.h"
#include <string.h>

/* Names of files below the log directory come from the stack's table, never from the person. */
static const char *service_of(const char *word)
{
	for (const struct stack_service *s = stack_services; s->name; s++)
		if (strcmp(s->name, word) == 0 || strcmp(s->command, word) == 0)
			return s->name;
	return NULL;
}

static char *service_names(void)
{
	struct str out = STR_INIT;
	for (const struct stack_service *s = stack_services; s->name; s++)
		str_addf(&out, "%s%s", out.len ? ", " : "", s->name);
	return str_take(&out);
}

static int run(struct call *c, const char *args, struct err *err)
{
	char word[64], count[16];
	call_word(&args, word, sizeof(word));
	call_word(&args, count, sizeof(count));
	const char *service = *word ? service_of(word) : "telegram-bot";
	if (!service) {
		cleanup_free char *names = service_names();
		return err_set(err, ERR_NOT_FOUND, "there is no service “%s”: %s", word, names);
	}
	cleanup_json cJSON *lines = supervisor_log_tail(c->bot->st->dir, service, logs_count(count));
	return logs_say(c, service, lines, err);
}

const struct command cmd_logs = {
        .name = "logs",
        .role = ROLE_OPERATOR,
        .about = {"Last log lines of a service", "Последние строки журнала службы"},
        .usage = "/logs [service] [lines]",
        .example = "/logs gateway 50",
        .run = run,
};
