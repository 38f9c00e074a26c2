/* `codefoundry telegram`: settings, and the process around the server. */
#include "compose/stack.h"
#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/proc.h"
#include "jobs/state.h"
#include "testsuite/telegram/server.h"

const struct setting telegram_settings[] = {
        {.key = "TELEGRAM_PORT",
         .type = SETTING_INT,
         .def = "18791",
         .min = 0,
         .max = 65535,
         .group = "Built-in Telegram server",
         .help = "Port of the built-in Telegram server and its chat page"},
        {.key = "TELEGRAM_HOST",
         .type = SETTING_TEXT,
         .def = "127.0.0.1",
         .group = "Built-in Telegram server",
         .help = "Address it listens on; on loopback it answers to local names only"},
        {.key = "TELEGRAM_CREDENTIALS",
         .type = SETTING_TEXT,
         .secret = true,
         .group = "Built-in Telegram server",
         .help = "Token, key and users as JSON, written to STATE_DIR/telegram.json when there is none "
                 "(default: it makes them up)"},
        {.key = NULL},
};

static int serve(struct loop *loop, const struct config *cfg, const char *dir, struct err *err)
{
	cleanup_json cJSON *credentials = NULL;
	const char *host = config_text(cfg, "TELEGRAM_HOST"),
	           *given = config_text(cfg, "TELEGRAM_CREDENTIALS");
	struct telegram_options options = {.dir = dir,
	                                   .host = host,
	                                   .port = (int)config_int(cfg, "TELEGRAM_PORT"),
	                                   .flood_limits = config_is_set(cfg, "TELEGRAM_RATE_LIMIT") &&
	                                                   config_bool(cfg, "TELEGRAM_RATE_LIMIT")};
	struct tg *tg = NULL;

	if (given && stack_credentials_give(dir, given, err) < 0)
		return -1;
	if (stack_credentials(dir, false, &credentials, err) < 0 ||
	    telegram_open(&tg, loop, &options, credentials, err) < 0)
		return -1;
	log_info("listening on %s port %d", host ? host : "127.0.0.1", telegram_port(tg));
	proc_ready();
	loop_run(loop);
	telegram_close(tg);
	return 0;
}

int telegram_main(const struct config *cfg, struct err *err)
{
	cleanup_free char *dir = state_dir(cfg);
	struct loop *loop = NULL;

	if (dir_make(dir, 0700, err) < 0 || loop_open(&loop, err) < 0)
		return err_wrap(err, "start the built-in Telegram server");
	int rc = serve(loop, cfg, dir, err);
	loop_close(loop);
	return rc < 0 ? err_wrap(err, "start the built-in Telegram server") : 0;
}
