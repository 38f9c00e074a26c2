/* The parts, each in the foreground, as `up` and sessions start them. */
#include "bot/bot.h"
#include "cli/cli.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/str.h"
#include "gateway/gateway.h"
#include "testsuite/telegram/server.h"
#include <stdio.h>

static int no_arguments(int argc, char **argv, struct err *err)
{
	return argc > 1
	               ? err_set(err, ERR_USAGE,
	                         "codefoundry %s takes no arguments (settings come from --env FILE)", argv[0])
	               : 0;
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

int cli_example(const struct config *cfg, int argc, char **argv, struct err *err)
{
	(void)cfg;
	if (no_arguments(argc, argv, err))
		return -1;
	cleanup_str struct str out = STR_INIT;
	config_example(cli_settings, &out);
	fputs(str_text(&out), stdout);
	return 0;
}
