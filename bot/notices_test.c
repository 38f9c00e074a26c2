/* What the worker noticed is told in the right chat, once, as long as it is true. */
#include "bot/notices.h"
#include "bot/test_bot.h"
#include "jobs/notice.h"
#include "sessions/warn.h"

#define NO_GATEWAY "ws://127.0.0.1:1"
#define UUID "00000000-0000-4000-8000-00000000000"
#define MINUTE INT64_C(60000)

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("“%s” is not in “%s”", part, text);
}

/* A session with uuid UUID<i> that ends in ten minutes, and the warning of it. */
static int64_t add(struct test_bot *t, int i, const char *owner, const char *ends, const char *chat)
{
	int64_t at = clock_now_ms() + 10 * MINUTE;
	cleanup_free char *uuid = mem_printf(UUID "%d", i), *name = mem_printf("s%d", i);
	cleanup_json cJSON *payload = json_object();
	json_add_text(payload, "name", name);
	json_add_text(payload, "uuid", uuid);
	json_add_text(payload, "ends", ends);
	json_add_int(payload, "expires_at", at);
	json_add(payload, "chat", chat ? cJSON_Parse(chat) : NULL);
	struct notice n = {.kind = (char *)NOTICE_EXPIRES,
	                   .session = name,
	                   .owner = (char *)owner,
	                   .until = at,
	                   .payload = payload};
	assert_ok(
	        db_run(t->bot.st->db, err,
	               "INSERT INTO sessions (uuid, name, owner, engine, state, dir, created_at, expires_at)"
	               " VALUES (?, ?, ?, 'process', 'stopped', ?, ?, ?)",
	               "ttttii", uuid, name, owner, t->dir, clock_now_ms(), at));
	assert_ok(notice_add(t->bot.st, &n, err));
	return at;
}

static void look(struct test_bot *t)
{
	notices_look(t->bot.notices);
	test_bot_drain(t);
}

static const cJSON *said(const struct test_bot *t, size_t k)
{
	return t->fake.calls[fake_nth(&t->fake, "sendMessage", k)].body;
}

static void assert_said(struct test_bot *t, size_t n)
{
	look(t);
	assert_int_equal(fake_count(&t->fake, "sendMessage"), n);
}

static void the_owner_is_told_where_he_asked(void **state)
{
	static const struct {
		const char *owner, *ends, *chat;
		int64_t to, topic;
		const char *part;
		int buttons;
	} cases[] = {
	        {"tg:5", "idle", NULL, 5, 0, "Session <b>s0</b> expires in 10 min (idle", 2},
	        {"tg:5", "idle", "{\"chat\":-44,\"topic\":7}", -44, 7, "<b>s1</b> expires in 10 min", 2},
	        {"tg:5", "age", NULL, 5, 0, "(age: it is as old as it may get). An admin can keep it", 1},
	        /* his right was taken, he only looks, he is no chat: the admin */
	        {"tg:99", "idle", "{\"chat\":-44,\"topic\":7}", 7, 0, "<b>s3 (tg:99)</b>", 2},
	        {"tg:8", "idle", NULL, 7, 0, "<b>s4 (tg:8)</b>", 2},
	        {"cli:root", "idle", NULL, 7, 0, "<b>s5 (cli:root)</b>", 2},
	        {"tg:x", "idle", NULL, 7, 0, "<b>s6 (tg:x)</b>", 2},
	};
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		add(&t, (int)i, cases[i].owner, cases[i].ends, cases[i].chat);
		assert_said(&t, i + 1);
		const cJSON *m = said(&t, i);
		assert_int_equal(json_int(m, "chat_id", 0), cases[i].to);
		assert_int_equal(json_int(m, "message_thread_id", 0), cases[i].topic);
		assert_has(json_text_or(m, "text", ""), cases[i].part);
		assert_int_equal(cJSON_GetArraySize(json_at(m, "reply_markup.inline_keyboard.0")),
		                 cases[i].buttons);
	}
	test_bot_close(&t);
}

static void every_admin_in_his_language(void **state)
{
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	assert_ok(config_set(t.cfg, "ADMIN_USER_IDS", "7,6,9", err));
	test_bot_text(&t, 1, 6, "ru", "/whoami");  /* what his Telegram says */
	test_bot_text(&t, 2, 7, "ru", "/lang en"); /* what he chose */
	test_bot_drain(&t);
	add(&t, 0, "cli:root", "idle", NULL);
	assert_said(&t, 5);
	assert_has(json_text_or(said(&t, 2), "text", ""), "Session <b>s0 (cli:root)</b>");
	assert_has(json_text_or(said(&t, 3), "text", ""), "Сессия <b>s0 (cli:root)</b>");
	assert_int_equal(json_int(said(&t, 4), "chat_id", 0), 9);
	assert_ok(config_set(t.cfg, "ADMIN_USER_IDS", NULL, err));
	add(&t, 1, "cli:root", "idle", NULL);
	assert_said(&t, 5); /* nobody; the log says so */
	test_bot_close(&t);
}

/* A start that was asked for in a group's topic says so. */
static void a_start_says_where_it_came_from(void **state)
{
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	test_bot_text(&t, 1, 5, "en", "/session start a");
	test_bot_update(
	        &t, "{\"update_id\":2,\"message\":{\"message_id\":1,\"from\":{\"id\":5,\"first_name\":\"A\"},"
	            "\"chat\":{\"id\":-5},\"is_topic_message\":true,\"message_thread_id\":44,"
	            "\"text\":\"/session start b\"}}");
	assert_int_equal(
	        test_bot_state_int(&t, "SELECT args ->> 'chat' IS NULL FROM jobs WHERE session = 'a'"), 1);
	assert_int_equal(
	        test_bot_state_int(&t, "SELECT args ->> '$.chat.chat' FROM jobs WHERE session = 'b'"), -5);
	assert_int_equal(
	        test_bot_state_int(&t, "SELECT args ->> '$.chat.topic' FROM jobs WHERE session = 'b'"), 44);
	test_bot_close(&t);
}

static void what_is_no_longer_so_is_not_told(void **state)
{
	static const char *const changes[] = {
	        "DELETE FROM sessions",
	        "UPDATE sessions SET expires_at = expires_at + 1",
	        "UPDATE sessions SET pinned = 1",
	        "UPDATE sessions SET state = 'stopping'",
	        "UPDATE notices SET until = 1",
	        "UPDATE notices SET kind = 'of.tomorrow'",
	        "UPDATE notices SET payload = 'no JSON'",
	};
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		add(&t, (int)i, "tg:5", "idle", NULL);
		assert_ok(db_run(t.bot.st->db, err, changes[i], ""));
		assert_said(&t, 0);
	}
	assert_int_equal(test_bot_int(&t, "SELECT notice_seen FROM bot"), ARRAY_LEN(changes));
	test_bot_close(&t);
}

/* The mark and the message are one commit; the notice itself is never changed. */
static void a_killed_bot_tells_it_once(void **state)
{
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	add(&t, 0, "tg:5", "idle", NULL);
	test_bot_stop(&t);
	test_bot_start(&t, NO_GATEWAY, NULL);
	assert_said(&t, 1);
	test_bot_stop(&t);
	test_bot_start(&t, NO_GATEWAY, NULL);
	assert_said(&t, 1);
	/* with bot.db locked nothing is half done */
	add(&t, 1, "tg:5", "idle", NULL);
	assert_ok(db_run(
	        t.bot.db, err,
	        "CREATE TRIGGER no BEFORE UPDATE OF notice_seen ON bot BEGIN SELECT raise(ABORT, 'no'); END",
	        ""));
	assert_said(&t, 1);
	assert_int_equal(test_bot_int(&t, "SELECT count(*) FROM callbacks"), 2);
	assert_ok(db_run(t.bot.db, err, "DROP TRIGGER no", ""));
	assert_said(&t, 2);
	/* the database was put back to before: what it has is known by its keys, what is new is told */
	assert_ok(db_run(t.bot.st->db, err, "DELETE FROM notices WHERE id = 2", ""));
	assert_ok(db_run(t.bot.st->db, err, "UPDATE sqlite_sequence SET seq = 1 WHERE name = 'notices'", ""));
	assert_said(&t, 2);
	assert_int_equal(test_bot_int(&t, "SELECT notice_seen FROM bot"), 1);
	add(&t, 2, "tg:5", "idle", NULL);
	assert_said(&t, 3);
	test_bot_close(&t);
}

/* While Telegram is away the end comes: nobody wants to hear of it then. */
static void too_late_is_never(void **state)
{
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	fake_on(&t.fake, "sendMessage", 500, "{\"ok\":false,\"error_code\":500,\"description\":\"no\"}");
	add(&t, 0, "tg:5", "idle", NULL);
	assert_ok(db_run(t.bot.st->db, err, "UPDATE notices SET until = ?", "i", clock_now_ms() + 300));
	assert_said(&t, 1);
	assert_int_equal(test_bot_int(&t, "SELECT count(*) FROM outbox WHERE state = 'dropped'"), 1);
	/* also when the bot was down meanwhile */
	add(&t, 1, "tg:5", "idle", NULL);
	fake_on(&t.fake, "sendMessage", FAKE_HOLD, NULL);
	notices_look(t.bot.notices);
	test_bot_stop(&t);
	struct db *db = NULL;
	assert_ok(store_open(&db, t.dir, err));
	assert_ok(db_run(db, err, "UPDATE outbox SET until = 1 WHERE state = 'new'", ""));
	db_close(db);
	size_t before = fake_count(&t.fake, "sendMessage");
	test_bot_start(&t, NO_GATEWAY, NULL);
	test_bot_drain(&t);
	assert_int_equal(fake_count(&t.fake, "sendMessage"), before);
	test_bot_close(&t);
}

static void buttons_act_on_that_session(void **state)
{
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	add(&t, 0, "tg:5", "idle", NULL);
	assert_said(&t, 1);
	cleanup_free char *extend = mem_strdup(test_bot_button(&t, 0)),
	                  *stop = mem_strdup(test_bot_button(&t, 1));
	test_bot_press(&t, 1, 7, stop);
	test_bot_drain(&t);
	assert_has(fake_text(&t.fake, "answerCallbackQuery", 0), "for somebody else");
	assert_int_equal(test_bot_state_int(&t, "SELECT count(*) FROM jobs"), 0);
	test_bot_press(&t, 2, 5, extend);
	test_bot_drain(&t);
	assert_int_equal(test_bot_state_int(
	                         &t,
	                         "SELECT count(*) FROM jobs WHERE kind = 'session.extend' AND session = 's0'"
	                         " AND args ->> 'minutes' = 60 AND args ->> 'uuid' = '" UUID "0'"),
	                 1);
	assert_has(fake_text(&t.fake, "editMessageText", 0), "Extending session s0");
	test_bot_press(&t, 3, 5, stop); /* one of them, once */
	test_bot_drain(&t);
	assert_has(fake_text(&t.fake, "answerCallbackQuery", 2), "used before");

	add(&t, 1, "tg:5", "age", NULL);
	look(&t);
	test_bot_press(&t, 4, 5, test_bot_button(&t, 0));
	test_bot_drain(&t);
	assert_int_equal(
	        test_bot_state_int(&t,
	                           "SELECT count(*) FROM jobs WHERE kind = 'session.stop' AND session = 's1'"
	                           " AND args ->> 'uuid' = '" UUID "1'"),
	        1);
	test_bot_close(&t);
}

static void a_removal_is_told_with_what_is_left(void **state)
{
	static const struct {
		const char *reason, *part;
	} cases[] = {{"idle", "<b>gone</b> is removed: it was not used. Left behind: 0 processes, 2 files."},
	             {"expired", "<b>gone</b> is removed: it was as old as it may get."}};
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_json cJSON *payload = cJSON_Parse(
		        "{\"name\":\"gone\",\"receipt\":{\"ok\":true,\"processes\":0,\"files\":2}}");
		json_add_text(payload, "reason", cases[i].reason);
		struct notice n = {.kind = (char *)NOTICE_REMOVED,
		                   .owner = (char *)"tg:5",
		                   .until = clock_now_ms() + MINUTE,
		                   .payload = payload};
		assert_ok(notice_add(t.bot.st, &n, err));
		assert_said(&t, i + 1);
		assert_has(json_text_or(said(&t, i), "text", ""), cases[i].part);
		assert_null(json_at(said(&t, i), "reply_markup"));
	}
	test_bot_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_owner_is_told_where_he_asked),
	        cmocka_unit_test(every_admin_in_his_language),
	        cmocka_unit_test(a_start_says_where_it_came_from),
	        cmocka_unit_test(what_is_no_longer_so_is_not_told),
	        cmocka_unit_test(a_killed_bot_tells_it_once),
	        cmocka_unit_test(too_late_is_never),
	        cmocka_unit_test(buttons_act_on_that_session),
	        cmocka_unit_test(a_removal_is_told_with_what_is_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
