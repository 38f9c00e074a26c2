#include "bot/commands.h"
#include "bot/logs.h"
#include "core/mem.h"
#include "jobs/supervisor.h"
#include <string.h>

/* File names come from here, never from the person: a part is called differently in the control plane and in a session. */
static const struct {
	const char *word, *files[2];
} services[] = {
        {"bot", {"bot", "telegram-bot"}}, {"telegram-bot", {"bot", "telegram-bot"}},
        {"gateway", {"gateway", NULL}},   {"worker", {"worker", "test-runner"}},
        {"telegram", {"telegram", NULL}},
};

/* Directories of the supervisor that may run us: of the control plane, or of the session whose state this is. */
static const char *const dirs[] = {"up", ".."};

static cJSON *tail(const struct state *st, size_t service, int n)
{
	cJSON *lines = NULL;
	for (size_t d = 0; d < ARRAY_LEN(dirs); d++) {
		cleanup_free char *dir = state_path(st, "%s", dirs[d]);
		for (size_t f = 0; f < ARRAY_LEN(services[0].files) && services[service].files[f]; f++) {
			cJSON_Delete(lines);
			lines = supervisor_log_tail(dir, services[service].files[f], n);
			if (lines && lines->child)
				return lines;
		}
	}
	return lines;
}

static int run(struct call *c, const char *args, struct err *err)
{
	char word[64], count[16];
	size_t i = 0;
	call_word(&args, word, sizeof(word));
	call_word(&args, count, sizeof(count));
	while (*word && i < ARRAY_LEN(services) && strcmp(services[i].word, word) != 0)
		i++;
	if (i == ARRAY_LEN(services))
		return err_set(err, ERR_NOT_FOUND,
		               "there is no service “%s”: bot, gateway, worker or telegram", word);
	cleanup_json cJSON *lines = tail(c->bot->st, i, logs_count(count));
	return logs_say(c, services[i].word, lines, err);
}

const struct command cmd_logs = {
        .name = "logs",
        .role = ROLE_OPERATOR,
        .about = {"Last log lines of a service", "Последние строки журнала службы"},
        .usage = "/logs [service] [lines]",
        .example = "/logs gateway 50",
        .run = run,
};
