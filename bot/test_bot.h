/* For unit tests: a whole bot but for its poller, with a fake Telegram and a gateway that the test chooses. */
#ifndef BOT_TEST_BOT_H
#define BOT_TEST_BOT_H

#include "bot/bot.h"
#include "bot/health.h"
#include "bot/notices.h"
#include "bot/router.h"
#include "bot/store.h"
#include "bot/test_server.h"
#include "gateway/gateway.h"
#include "sessions/session.h"

struct test_bot {
	struct bot bot;
	struct fake fake;
	char dir[64];
	struct config *cfg;
	size_t want;
	char refused[64];
};

static inline void test_bot_refused(void *arg, const char *description)
{
	struct test_bot *t = arg;
	snprintf(t->refused, sizeof(t->refused), "%s", description);
}

static inline void test_bot_counted(void *arg, const char *outcome)
{
	(void)arg;
	(void)outcome;
}

/* Tests take updates up again themselves. */
static inline void test_bot_no_retry(void *arg)
{
	(void)arg;
}

/* The parts that a process has; closed and opened again they are what a restart is. */
static inline void test_bot_start(struct test_bot *t, const char *gateway, const struct link_options *options)
{
	static const struct outbox_events events = {test_bot_refused, test_bot_counted};
	struct bot *b = &t->bot;
	bool changed;
	assert_ok(state_open(&b->st, t->cfg, err));
	assert_ok(store_open(&b->db, b->st->dir, err));
	assert_ok(store_identify(b->db, 77, &changed, err));
	assert_ok(api_open(&b->api, b->loop, t->fake.url, FAKE_TOKEN, err));
	assert_ok(outbox_open(&b->outbox, b->loop, b->db, b->api, false, &events, t, err));
	b->progress = progress_new(b->loop, b->db, b->st, b->outbox, false);
	b->link = link_open(b->loop, b->db, b->outbox, b->progress, gateway, NULL, options);
	progress_sync(b->progress);
	assert_ok(notices_open(&b->notices, b, err));
}

static inline void test_bot_stop(struct test_bot *t)
{
	struct bot *b = &t->bot;
	notices_close(b->notices);
	link_close(b->link);
	progress_free(b->progress);
	outbox_close(b->outbox);
	api_close(b->api);
	db_close(b->db);
	state_close(b->st);
}

static inline void test_bot_open(struct test_bot *t, const char *gateway, const struct link_options *options)
{
	static const struct setting *const tables[] = {state_settings,   worker_settings, session_settings,
	                                               gateway_settings, bot_settings,    NULL};
	memset(t, 0, sizeof(*t));
	snprintf(t->dir, sizeof(t->dir), "/tmp/codefoundry-bot.XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	setenv("ENGINE", "process", 1); /* also where there is Docker */
	assert_ok(config_load(&t->cfg, tables, NULL, false, err));
	assert_ok(config_set(t->cfg, "STATE_DIR", t->dir, err));
	assert_ok(config_set(t->cfg, "AUTHORIZED_USER_IDS", "5,6,7,8", err));
	assert_ok(config_set(t->cfg, "ADMIN_USER_IDS", "7", err));
	assert_ok(config_set(t->cfg, "VIEWER_USER_IDS", "8", err));
	struct bot *b = &t->bot;
	b->cfg = t->cfg;
	b->id = 77;
	b->api_url = "test";
	b->metrics = metrics_new(health_metrics);
	snprintf(b->username, sizeof(b->username), "test_bot");
	assert_ok(loop_open(&b->loop, err));
	fake_open(&t->fake, b->loop);
	b->retry = loop_timer_new(b->loop, test_bot_no_retry, t);
	test_bot_start(t, gateway, options);
}

static inline bool test_bot_quiet_now(void *arg)
{
	struct test_bot *t = arg;
	struct err err = {0};
	int64_t n = -1;
	db_get_int(t->bot.db, &n, &err, "SELECT count(*) FROM outbox WHERE state = 'new'", "");
	return n == 0 && outbox_pending(t->bot.outbox) == 0;
}

/* Until everything said was taken by Telegram. */
static inline void test_bot_drain(struct test_bot *t)
{
	fake_run(&t->fake, test_bot_quiet_now, t);
}

static inline bool test_bot_later(void *arg)
{
	(void)arg;
	static int turns;
	return ++turns % 20 == 0;
}

static inline void test_bot_close(struct test_bot *t)
{
	test_bot_stop(t);
	fake_run(&t->fake, test_bot_later, NULL); /* the link ends within the loop */
	fake_close(&t->fake);
	loop_timer_free(t->bot.retry);
	loop_close(t->bot.loop);
	metrics_free(t->bot.metrics);
	config_free(t->cfg);
	assert_ok(tree_remove(t->dir, err));
}

/* -- updates -- */

static inline void test_bot_update(struct test_bot *t, const char *json)
{
	struct err err = {0};
	size_t fresh = 0;
	cleanup_free char *list = mem_printf("[%s]", json);
	cleanup_json cJSON *updates = json_parse(list, strlen(list), &err);
	if (!updates)
		fail_msg("%s: %s", json, err.msg);
	assert_ok(router_take(&t->bot, updates, &fresh, err));
}

static inline void test_bot_text(struct test_bot *t, int64_t id, int64_t user, const char *language,
                                 const char *text)
{
	cleanup_json cJSON *u = json_object();
	cJSON *m = json_object(), *from = json_object(), *chat = json_object();
	json_add_int(u, "update_id", id);
	json_add_int(m, "message_id", id + 1000);
	json_add_int(from, "id", user);
	json_add_text(from, "first_name", "Ann <b>");
	json_add_text(from, "language_code", language);
	json_add_int(chat, "id", user);
	json_add_text(chat, "type", "private");
	json_add(m, "from", from);
	json_add(m, "chat", chat);
	json_add_text(m, "text", text);
	json_add(u, "message", m);
	cleanup_free char *json = json_print(u);
	test_bot_update(t, json);
}

/* Press the button of ${data} as ${user}. */
static inline void test_bot_press(struct test_bot *t, int64_t id, int64_t user, const char *data)
{
	cleanup_free char *json = mem_printf(
	        "{\"update_id\":%" PRId64 ",\"callback_query\":{\"id\":\"q%" PRId64
	        "\",\"from\":{\"id\":%" PRId64
	        ",\"first_name\":\"Ann\"},\"message\":{\"message_id\":101,\"chat\":{\"id\":%" PRId64
	        ",\"type\":\"private\"}},\"data\":\"%s\"}}",
	        id, id, user, user, data);
	test_bot_update(t, json);
}

/* The text that answers ${text}; borrowed from the call. */
static inline const char *test_bot_ask(struct test_bot *t, int64_t id, int64_t user, const char *text)
{
	size_t before = t->fake.n;
	test_bot_text(t, id, user, "en", text);
	test_bot_drain(t);
	for (size_t i = t->fake.n; i-- > before;) {
		const char *said = json_text(t->fake.calls[i].body, "text");
		if (said)
			return said;
	}
	return "";
}

/* callback_data of button ${k} of the last message that had buttons; "" when there is none. */
static inline const char *test_bot_button(const struct test_bot *t, int k)
{
	for (size_t i = t->fake.n; i-- > 0;) {
		const cJSON *row, *button,
		        *rows = json_at(t->fake.calls[i].body, "reply_markup.inline_keyboard");
		cJSON_ArrayForEach(row, rows) cJSON_ArrayForEach(button, row) if (k-- == 0) return json_text(
		        button, "callback_data");
		if (rows)
			return "";
	}
	return "";
}

static inline int64_t test_bot_int(struct test_bot *t, const char *sql)
{
	int64_t value = -1;
	assert_ok(db_get_int(t->bot.db, &value, err, sql, ""));
	return value;
}

static inline int64_t test_bot_state_int(struct test_bot *t, const char *sql)
{
	int64_t value = -1;
	assert_ok(db_get_int(t->bot.st->db, &value, err, sql, ""));
	return value;
}

#endif
