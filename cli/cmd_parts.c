/* The parts, each in the foreground, as `up` and sessions start them. */
#include "bot/bot.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/term.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/str.h"
#include "gateway/gateway.h"
#include "testsuite/telegram/server.h"
#include <stdio.h>

static int no_arguments(int argc, char **argv, struct err *err)
{
	static const struct arg table[] = {{0}};
	cleanup_free char *usage =
	        mem_printf("codefoundry %s   (takes no arguments; settings come from --env FILE)", argv[0]);
	struct args a = {usage, table};
	return args_parse(&a, argc, argv, err);
}

int cli_gateway(const struct config *cfg, int argc, char **argv, struct err *err)
{
	return no_arguments(argc, argv, err) ? -1 : gateway_main(cfg, err);
}

int cli_bot(const struct config *cfg, int argc, char **argv, struct err *err)
{
	return no_arguments(argc, argv, err) ? -1 : bot_main(cfg, err);
}

int cli_telegram(const struct config *cfg, int argc, char **argv, struct err *err)
{
	return no_arguments(argc, argv, err) ? -1 : telegram_main(cfg, err);
}

int cli_worker(const struct config *cfg, int argc, char **argv, struct err *err)
{
	cleanup_state struct state *st = NULL;
	if (no_arguments(argc, argv, err) || state_open(&st, cfg, err))
		return -1;
	return worker_main(st, cli_kinds, cli_tasks, err);
}

/* Defaults only: what is set may be secret. */
static cJSON *describe_settings(void)
{
	cJSON *list = json_array();
	for (const struct setting *const *t = cli_settings; *t; t++) {
		for (const struct setting *s = *t; s->key; s++) {
			cJSON *one = json_object();
			json_add_text(one, "key", s->key);
			json_add_text(one, "default", s->def);
			json_add_text(one, "allowed", s->allowed);
			json_add_bool(one, "secret", s->secret);
			json_add_text(one, "group", s->group);
			json_add_text(one, "help", s->help);
			cJSON_AddItemToArray(list, one);
		}
	}
	return list;
}

int cli_example(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool json = false;
	const struct arg table[] = {{"json", ARG_FLAG, &json}, {0}};
	struct args a = {"codefoundry settings [--json]   e.g. codefoundry settings > .env.test", table};
	cleanup_str struct str out = STR_INIT;
	(void)cfg;
	if (args_parse(&a, argc, argv, err))
		return -1;
	if (json) {
		cleanup_json cJSON *list = describe_settings();
		term_json(list);
		return 0;
	}
	config_example(cli_settings, &out);
	fputs(str_text(&out), stdout);
	return 0;
}
