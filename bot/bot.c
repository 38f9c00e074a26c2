#include "bot/bot.h"
#include "bot/app.h"
#include "bot/auth.h"
#include "bot/commands.h"
#include "bot/health.h"
#include "bot/journal.h"
#include "bot/notices.h"
#include "bot/router.h"
#include "bot/settings.h"
#include "bot/store.h"
#include "core/bell.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/mutant.h"
#include "core/proc.h"
#include "jobs/state_watch.h"
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRAIN_MS 300 /* what is on the wire to Telegram may still be recorded */
#define BACKLOG 300
#define KEPT_HEAP (2 << 20)
#define RETRY_MS 2000
#define PRUNE_MS (3600 * 1000)
#define MENU_TRIES 3
#define IDENTITY_MS 20000 /* the built-in server of the stack is up within a second */

struct main { /* what handlers need not know */
	struct bot bot;
	struct health *health;
	struct bell *bell;
	struct loop_watch *bell_watch;
	struct loop_timer *greet, *prune, *end;
	int64_t greet_ms;
	int refusals, menu_tries;
	struct err failure; /* why the loop ended, when it failed */
	bool troubled;
};

/* -- ends -- */

static void stop_loop(void *arg)
{
	loop_stop(((struct main *)arg)->bot.loop);
}

static void on_signal(void *arg)
{
	struct main *m = arg;
	poller_stop(m->bot.poller);
	m->bot.poller = NULL;
	link_close(m->bot.link);
	m->bot.link = NULL;
	loop_timer_set(m->end, DRAIN_MS, 0);
}

static void fail(struct main *m, const char *why)
{
	err_set(&m->failure, ERR_CONFIG,
	        "Telegram refuses TELEGRAM_BOT_TOKEN (%s): it was revoked or mistyped. Get the token from "
	        "@BotFather "
	        "(/mybots) and check TELEGRAM_API_URL",
	        why);
	loop_stop(m->bot.loop);
}

static void on_refused(void *arg, const char *description)
{
	fail(arg, description);
}

/* -- polling -- */

static int poll_offset(void *arg, int64_t *offset, struct err *err)
{
	struct main *m = arg;
	return journal_offset(m->bot.db, clock_now_ms(), offset, err);
}

static int poll_take(void *arg, const cJSON *updates, size_t *fresh, struct err *err)
{
	struct main *m = arg;
	return router_take(&m->bot, updates, fresh, err);
}

/* A backlog of updates stays with Telegram rather than in our memory. */
static bool poll_busy(void *arg)
{
	struct main *m = arg;
	return outbox_backlog(m->bot.outbox) > BACKLOG;
}

static void poll_changed(void *arg, enum poller_state state, const char *reason)
{
	struct main *m = arg;
	if (state == POLLER_RUNNING && m->troubled)
		log_info("polling again");
	else if (state == POLLER_TROUBLE)
		log_warn("polling is in trouble: %s", reason);
	m->troubled = state != POLLER_RUNNING;
}

static void start_polling(struct main *m)
{
	static const struct poller_events events = {.offset = poll_offset,
	                                            .take = poll_take,
	                                            .busy = poll_busy,
	                                            .changed = poll_changed,
	                                            .refused = on_refused};
	m->bot.poller = poller_start(m->bot.loop, m->bot.api, NULL, &events, m);
	/* The first poll may be held for half a minute: that it is answered cannot be waited for. */
	proc_ready();
	log_info("polling as @%s", m->bot.username);
}

/* -- greeting: who are we, and what can we do -- */

static void menu_set(void *arg, const struct api_result *res);

static void set_menu(struct main *m)
{
	for (int i = 0; i < LANG_COUNT; i++) {
		cleanup_free char *params = commands_menu((enum lang)i, i != LANG_EN);
		api_call(m->bot.api, "setMyCommands", params, strlen(params), 0, menu_set, m);
	}
}

/* The menu is a side feature: some servers have none. */
static void menu_set(void *arg, const struct api_result *res)
{
	struct main *m = arg;
	if (res->status == API_OK)
		return;
	log_debug("setMyCommands: %s", res->description);
	if (res->status != API_REFUSED && m->menu_tries++ < MENU_TRIES)
		set_menu(m);
}

static void on_counted(void *arg, const char *outcome)
{
	struct main *m = arg;
	char label[40];
	snprintf(label, sizeof(label), "outcome=\"%s\"", outcome);
	metrics_add(m->bot.metrics, M_MESSAGES, label, 1);
}

/* Who we are is known: everything that speaks for this bot may start. */
static int open_parts(struct main *m, struct err *err)
{
	static const struct outbox_events events = {.refused = on_refused, .counted = on_counted};
	struct bot *bot = &m->bot;
	cleanup_free char *gateway = settings_gateway_url(bot->cfg);
	if (outbox_open(&bot->outbox, bot->loop, bot->db, bot->api, bot->limits, &events, m, err))
		return -1;
	bot->progress = progress_new(bot->loop, bot->db, bot->st, bot->outbox, bot->limits);
	bot->link = link_open(bot->loop, bot->db, bot->outbox, bot->progress, gateway,
	                      config_text(bot->cfg, "GATEWAY_TOKEN"), NULL);
	progress_sync(bot->progress);
	return notices_open(&bot->notices, bot, err);
}

static void greeted(void *arg, const struct api_result *res)
{
	struct main *m = arg;
	if (res->status == API_TOKEN || (res->status == API_REFUSED && res->code == 404)) {
		fail(m, res->description);
		return;
	}
	if (res->status != API_OK) {
		int64_t wait = res->status == API_FLOOD ? res->retry_after_ms : m->greet_ms;
		log_debug("getMe: %s", res->description);
		if (m->greet_ms > 2000)
			log_warn("Telegram (%s) does not answer: %s", m->bot.api_url, res->description);
		m->greet_ms = m->greet_ms < 10000 ? m->greet_ms * 3 / 2 : 10000;
		loop_timer_set(m->greet, wait, 0);
		return;
	}
	const char *username = json_text(res->result, "username");
	snprintf(m->bot.username, sizeof(m->bot.username), "%s", username ? username : "");
	if (router_recover(&m->bot, &m->failure)) {
		loop_stop(m->bot.loop);
		return;
	}
	start_polling(m);
	set_menu(m);
}

static void greet(void *arg)
{
	struct main *m = arg;
	api_call(m->bot.api, "getMe", "{}", 2, 0, greeted, m);
}

/* -- upkeep -- */

static void on_bell(void *arg)
{
	struct main *m = arg;
	bell_drain(m->bell);
	progress_look(m->bot.progress);
	notices_look(m->bot.notices);
}

static void retry(void *arg)
{
	struct main *m = arg;
	struct err err = {0};
	if (router_recover(&m->bot, &err))
		log_error("the journal cannot be read: %s", err.msg);
}

void bot_retry_soon(struct bot *bot)
{
	if (!loop_timer_active(bot->retry))
		loop_timer_set(bot->retry, RETRY_MS, 0);
}

static void prune(void *arg)
{
	struct main *m = arg;
	struct err err = {0};
	if (store_prune(m->bot.db, clock_now_ms(), &err))
		log_warn("old rows of bot.db are not removed: %s", err.msg);
	outbox_tidy(m->bot.outbox);
}

/* -- opening and closing -- */

static int check_token(const struct config *cfg, struct err *err)
{
	const char *token = config_text(cfg, "TELEGRAM_BOT_TOKEN");
	if (!token)
		return err_set(err, ERR_CONFIG,
		               "TELEGRAM_BOT_TOKEN is not set (or is a placeholder)%s: get a token from "
		               "@BotFather, or use "
		               "`codefoundry up`, which brings a Telegram server of its own",
		               config_text(cfg, "TELEGRAM_API_URL") ? ", but TELEGRAM_API_URL is" : "");
	if (!api_token_id(token))
		return err_set(
		        err, ERR_CONFIG,
		        "TELEGRAM_BOT_TOKEN has not the shape of a token (123456789:AA…, 35 characters after "
		        "the colon): copy it from @BotFather again");
	return 0;
}

static int open_all(struct main *m, const struct config *cfg, struct err *err)
{
	struct bot *bot = &m->bot;
	const char *token = config_text(cfg, "TELEGRAM_BOT_TOKEN");
	bot->cfg = cfg;
	bot->api_url = settings_api_url(cfg);
	bot->limits = settings_limits(cfg);
	bot->id = api_token_id(token);
	bot->metrics = metrics_new(health_metrics);
	if (state_open(&bot->st, cfg, err) || loop_open(&bot->loop, err) ||
	    store_open(&bot->db, bot->st->dir, err) || bell_open(&m->bell, bot->st->dir, err) ||
	    health_open(&m->health, bot, err) || api_open(&bot->api, bot->loop, bot->api_url, token, err) ||
	    store_prune(bot->db, clock_now_ms(), err))
		return -1;
	if (MUTANT("session_forgotten_on_restart") && db_run(bot->st->db, err, "DELETE FROM sessions", ""))
		return -1;
	m->greet = loop_timer_new(bot->loop, greet, m);
	m->prune = loop_timer_new(bot->loop, prune, m);
	m->end = loop_timer_new(bot->loop, stop_loop, m);
	bot->retry = loop_timer_new(bot->loop, retry, m);
	return 0;
}

static void close_all(struct main *m)
{
	struct bot *bot = &m->bot;
	poller_stop(bot->poller);
	notices_close(bot->notices);
	link_close(bot->link);
	progress_free(bot->progress);
	outbox_close(bot->outbox);
	api_close(bot->api);
	health_close(m->health);
	loop_watch_free(m->bell_watch);
	bell_close(m->bell);
	loop_timer_free(m->greet);
	loop_timer_free(m->prune);
	loop_timer_free(m->end);
	loop_timer_free(bot->retry);
	if (bot->loop)
		loop_close(bot->loop);
	metrics_free(bot->metrics);
	db_close(bot->db);
	state_close(bot->st);
}

static int run(struct main *m, struct err *err)
{
	struct bot *bot = &m->bot;
	bool changed = false;
	/* The token alone tells whose messages wait: some servers give getMe another id. */
	if (store_identify(bot->db, bot->id, &changed, err) || open_parts(m, err))
		return -1;
	if (changed)
		log_warn("the token belongs to another bot than before: updates and messages of that one are "
		         "forgotten");
	auth_explain(bot->cfg);
	m->bell_watch = loop_watch_new(bot->loop, bell_fd(m->bell), on_bell, m);
	m->greet_ms = 50;
	loop_timer_set(m->greet, 0, 0);
	loop_timer_set(m->prune, PRUNE_MS, PRUNE_MS);
	loop_on_signal(bot->loop, on_signal, m);
	struct state_watch *watch = state_watch_new(bot->st, bot->loop);
	loop_run(bot->loop);
	if (state_watch_end(watch, err))
		return -1;
	if (m->failure.code)
		*err = m->failure;
	return m->failure.code ? -1 : 0;
}

int bot_main(const struct config *given, struct err *err)
{
	struct main m = {0};
	struct config *cfg = config_copy(given);
	cleanup_free char *dir = state_dir(cfg);
	/* A batch of messages comes and goes: giving its memory back each time costs more than all our own work on it. */
	mallopt(M_TRIM_THRESHOLD, KEPT_HEAP);
	int rc = dir_make(dir, 0700, err) || settings_identify(cfg, dir, IDENTITY_MS, err) ||
	         check_token(cfg, err);
	if (!rc) {
		rc = open_all(&m, cfg, err) || run(&m, err);
		close_all(&m);
	}
	config_free(cfg);
	return rc ? -1 : 0;
}
