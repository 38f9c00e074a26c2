#include "testsuite/builtin.h"
#include "core/embed.h"
#include "core/mem.h"
#include "core/str.h"
#include "core/text.h"
#include <string.h>

EMBED(scenario_start, "testsuite/scenarios/start.yml");
EMBED(scenario_new, "testsuite/scenarios/new.yml");
EMBED(scenario_status, "testsuite/scenarios/status.yml");
EMBED(scenario_help, "testsuite/scenarios/help.yml");
EMBED(scenario_webhook, "testsuite/scenarios/webhook.yml");
EMBED(scenario_reconnect, "testsuite/scenarios/reconnect.yml");
EMBED(scenario_auth, "testsuite/scenarios/auth.yml");
EMBED(scenario_session, "testsuite/scenarios/session.yml");
EMBED(scenario_error, "testsuite/scenarios/error.yml");

/* The end of an embedded file is an address, so the length is known only when the program runs. */
#define BUILTIN(scenario)                                                                                    \
	{                                                                                                    \
		{#scenario, "scenarios/" #scenario ".yml", scenario_##scenario, 0},                          \
		        scenario_##scenario##_end                                                            \
	}

static const struct {
	struct builtin b;
	const char *end;
} table[] = {
        BUILTIN(start),     BUILTIN(new),  BUILTIN(status),  BUILTIN(help),  BUILTIN(webhook),
        BUILTIN(reconnect), BUILTIN(auth), BUILTIN(session), BUILTIN(error),
};

const struct builtin *builtin_at(size_t i)
{
	static struct builtin all[ARRAY_LEN(table)];
	if (i >= ARRAY_LEN(table))
		return NULL;
	all[i] = table[i].b;
	all[i].len = (size_t)(table[i].end - table[i].b.text);
	return &all[i];
}

static int unknown(const char *name, struct err *err)
{
	const char *words[ARRAY_LEN(table) + 1] = {NULL};
	cleanup_str struct str list = STR_INIT;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		words[i] = table[i].b.name;
		str_addf(&list, "%s%s", i ? ", " : "", words[i]);
	}
	const char *near = text_nearest(name, words);
	if (near)
		return err_set(err, ERR_NOT_FOUND, "no scenario '%.64s': did you mean %s? There are %s", name,
		               near, str_text(&list));
	return err_set(err, ERR_NOT_FOUND, "no scenario '%.64s': there are %s", name, str_text(&list));
}

int builtin_load(const char *name, struct scenario **sc, struct err *err)
{
	const struct builtin *b;
	for (size_t i = 0; (b = builtin_at(i)); i++)
		if (strcmp(b->name, name) == 0)
			return scenario_parse(sc, b->text, b->len, b->file, false, err);
	return unknown(name, err);
}
