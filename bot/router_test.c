#include "bot/callbacks.h"
#include "bot/test_bot.h"
#include "core/clock.h"
#include "core/text.h"

#define NO_GATEWAY "ws://127.0.0.1:1"

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("“%s” is not in “%s”", part, text);
}

static void commands_are_answered(void **state)
{
	static const struct {
		int64_t user;
		const char *text, *part;
	} cases[] = {
	        {5, "/start", "Welcome to <b>CodeFoundry</b>, Ann &lt;b&gt;!"},
	        {5, "/START@test_bot deep-link", "Welcome"},
	        {5, "/help", "/session – "},
	        {5, "/help new", "/new &lt;type&gt; &lt;name&gt;"},
	        {5, "/help sesion", "Did you mean /session?"},
	        {5, "/statsu", "Did you mean /status?"},
	        {5, "/qwertyuiop", "There is no command /qwertyuiop."},
	        {5, "/status", "Gateway: ❌ not connected"},
	        {5, "/whoami", "operator"},
	        {7, "/whoami", "admin"},
	        {8, "/whoami", "viewer"},
	        {5, "/sessions", "No sessions."},
	        {5, "/jobs", "No jobs."},
	        {5, "/tests", "No test runs yet."},
	        {5, "/cancel", "Nothing of yours"},
	        {5, "/cancel 99", "❌"},
	        {5, "/cancel x", "Usage:"},
	        {5, "/session", "/session start"},
	        {5, "/session strat x", "/session start"},
	        {5, "/session stop", "Usage:"},
	        {5, "/session stop ../x", "❌"},
	        {5, "/session stop nosuch", "❌"},
	        {5, "/session start ../../etc", "❌"},
	        {5, "/session start a b/../c", "⏳"},
	        {5, "/session extend x 99y", "is not a time"},
	        {5, "/session pin x", "/session pin needs the role admin"},
	        {5, "/session unpin x", "needs the role admin"},
	        {7, "/session pin nosuch", "❌"},
	        {5, "/session exec x ls", "/session exec needs the role admin"},
	        {7, "/session exec nosuch ls", "❌"},
	        {5, "/new", "Types: telegram-bot"},
	        {5, "/new web-servce shop", "There is no project type"},
	        {5, "/new web-service Shop!", "cannot name a project"},
	        {5, "/new web-service shop --;rm", "is not an option"},
	        {5, "/audit", "needs the role admin"},
	        {8, "/new web-service shop", "needs the role operator"},
	        {8, "/session start x", "needs the role operator"},
	        {8, "hello", "needs the role operator"},
	        {7, "/audit", "Audit log"},
	        {5, "/lang xx", "may be en, ru or auto"},
	        {5, "/logs nosuch", "there is no service"},
	        {5, "/logs", "No log lines of bot."},
	};
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_has(test_bot_ask(&t, (int64_t)i + 1, cases[i].user, cases[i].text), cases[i].part);
	assert_int_equal(test_bot_int(&t, "SELECT count(*) FROM updates WHERE state <> 'done' OR raw <> ''"),
	                 0);
	test_bot_close(&t);
}

static void odd_updates_get_a_sensible_answer_or_none(void **state)
{
#define FROM "\"from\":{\"id\":5,\"first_name\":\"A\"}"
	static const struct {
		const char *json;
		size_t calls;
	} cases[] = {
	        {"{\"update_id\":1,\"message\":{\"message_id\":1," FROM
	         ",\"chat\":{\"id\":5},\"sticker\":{}}}",
	         1},
	        {"{\"update_id\":2,\"edited_message\":{\"message_id\":1," FROM
	         ",\"chat\":{\"id\":5},\"text\":\"/start\"}}",
	         0},
	        {"{\"update_id\":3,\"channel_post\":{\"message_id\":1,\"chat\":{\"id\":-5},\"text\":\"/"
	         "start\"}}",
	         0},
	        {"{\"update_id\":4,\"new_kind_of_thing\":{\"a\":[1,2,{}]}}", 0},
	        {"{\"update_id\":5,\"message\":7}", 0},
	        {"{\"update_id\":6,\"message\":{\"message_id\":1," FROM
	         ",\"chat\":{\"id\":-5},\"text\":\"/start@other_bot\"}}",
	         0},
	        {"{\"update_id\":7,\"message\":{\"message_id\":1," FROM
	         ",\"chat\":{\"id\":-5},\"text\":\"talk\"}}",
	         0},
	        {"{\"update_id\":8,\"message\":{\"message_id\":1," FROM
	         ",\"chat\":{\"id\":-5},\"is_topic_message\":true,"
	         "\"message_thread_id\":44,\"text\":\"/whoami\"}}",
	         1},
	        {"{\"update_id\":9,\"callback_query\":{\"id\":\"q\"," FROM ",\"data\":\"nonsense\"}}", 1},
	        {"{\"update_id\":10,\"callback_query\":{\"id\":\"q\"," FROM "}}", 1},
	        {"{\"update_id\":11,\"message\":{\"message_id\":1," FROM
	         ",\"chat\":{\"id\":5},\"text\":\"\\u0000/x\"}}",
	         0},
	};
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t before = t.fake.n;
		test_bot_update(&t, cases[i].json);
		test_bot_drain(&t);
		if (t.fake.n - before != cases[i].calls)
			fail_msg("case %zu: %zu calls", i, t.fake.n - before);
	}
	assert_int_equal(
	        json_int(t.fake.calls[fake_nth(&t.fake, "sendMessage", 1)].body, "message_thread_id", 0), 44);
	test_bot_close(&t);
}

static void a_long_word_is_cut_between_characters(void **state)
{
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	const char *said =
	        test_bot_ask(&t, 1, 5, "/help жжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжж");
	assert_has(said, "/ж");
	assert_true(text_is_utf8(said, strlen(said)));
	test_bot_close(&t);
}

static void strangers_are_refused_and_nothing_runs(void **state)
{
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	const char *said = test_bot_ask(&t, 1, 99, "/session start x");
	assert_has(said, "Unauthorized");
	assert_has(said, "<code>99</code>");
	assert_string_equal(test_bot_ask(&t, 2, 99, "/start"), ""); /* once an hour */
	assert_string_equal(test_bot_ask(&t, 3, 99, "hello"), "");
	assert_has(test_bot_ask(&t, 4, 98, "/nosuch"), "Unauthorized");
	assert_int_equal(test_bot_state_int(&t, "SELECT count(*) FROM jobs"), 0);
	assert_int_equal(
	        test_bot_state_int(&t,
	                           "SELECT count(*) FROM audit WHERE outcome = 'denied' AND actor = 'tg:99'"),
	        1);
	assert_int_equal(test_bot_int(&t, "SELECT count(*) FROM requests"), 0);
	test_bot_close(&t);
}

static void languages_are_chosen(void **state)
{
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	test_bot_text(&t, 1, 5, "ru", "/start");
	test_bot_drain(&t);
	assert_has(fake_text(&t.fake, "sendMessage", 0), "Добро пожаловать");
	assert_has(test_bot_ask(&t, 2, 5, "/lang ru"), "по-русски");
	assert_has(test_bot_ask(&t, 3, 5, "/start"), "Добро пожаловать"); /* the chat's choice wins */
	assert_has(test_bot_ask(&t, 4, 5, "/lang auto"), "English");
	assert_has(test_bot_ask(&t, 5, 5, "/start"), "Welcome");
	test_bot_ask(&t, 6, 5, "/lang");
	test_bot_press(&t, 7, 5, test_bot_button(&t, 1));
	test_bot_drain(&t);
	assert_has(fake_text(&t.fake, "editMessageText", 0), "по-русски");
	test_bot_close(&t);
}

/* The process dies after the job was enqueued and before the answer was committed: afterwards one job and the answer. */
static void an_effect_happens_once(void **state)
{
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	test_bot_ask(&t, 1, 5, "/session start demo");
	assert_int_equal(test_bot_state_int(
	                         &t, "SELECT count(*) FROM jobs WHERE origin = 'tg:77:1' AND owner = 'tg:5'"),
	                 1);
	char *raw = "{\"update_id\":1,\"message\":{\"message_id\":1,\"from\":{\"id\":5,\"first_name\":\"A\"},"
	            "\"chat\":{\"id\":5,\"type\":\"private\"},\"text\":\"/session start demo\"}}";
	assert_ok(db_run(t.bot.db, err, "UPDATE updates SET state = 'new', raw = ?", "t", raw));
	assert_ok(db_run(t.bot.db, err, "DELETE FROM outbox", ""));
	assert_ok(db_run(t.bot.db, err, "DELETE FROM progress", ""));
	test_bot_stop(&t);
	size_t before = t.fake.n;
	test_bot_start(&t, NO_GATEWAY, NULL);
	assert_ok(router_recover(&t.bot, err));
	test_bot_drain(&t);
	assert_int_equal(test_bot_state_int(&t, "SELECT count(*) FROM jobs"), 1);
	assert_int_equal(test_bot_state_int(&t, "SELECT count(*) FROM audit"), 1);
	assert_int_equal(t.fake.n - before, 1);
	assert_has(fake_text(&t.fake, "sendMessage", 1), "Starting session demo");
	assert_int_equal(test_bot_int(&t, "SELECT count(*) FROM updates WHERE state = 'done'"), 1);
	test_bot_close(&t);
}

static void add_session(struct test_bot *t, const char *name, const char *owner)
{
	assert_ok(
	        db_run(t->bot.st->db, err,
	               "INSERT INTO sessions (uuid, name, owner, engine, state, dir, created_at, expires_at)"
	               " VALUES (?, ?, ?, 'process', 'stopped', ?, ?, ?)",
	               "tttt"
	               "ii",
	               name, name, owner, t->dir, clock_now_ms(), clock_now_ms() + 3600000));
}

/* As after a kill between the commit of the effect and that of the answer, to update ${id} of user 5. */
static void killed_before_the_answer(struct test_bot *t, int64_t id, const char *text)
{
	cleanup_free char *raw =
	        mem_printf("{\"update_id\":%" PRId64
	                   ",\"message\":{\"message_id\":1,\"from\":{\"id\":5,\"first_name\":\"A\"},"
	                   "\"chat\":{\"id\":5,\"type\":\"private\"},\"text\":\"%s\"}}",
	                   id, text);
	assert_ok(db_run(t->bot.db, err, "UPDATE updates SET state = 'new', raw = ? WHERE update_id = ?",
	                 "ti", raw, id));
	assert_ok(db_run(t->bot.db, err, "DELETE FROM outbox", ""));
	assert_ok(db_run(t->bot.db, err, "DELETE FROM progress", ""));
	test_bot_stop(t);
	test_bot_start(t, NO_GATEWAY, NULL);
}

static const char *recovered(struct test_bot *t)
{
	size_t before = fake_count(&t->fake, "sendMessage");
	assert_ok(router_recover(&t->bot, err));
	test_bot_drain(t);
	assert_int_equal(fake_count(&t->fake, "sendMessage"), before + 1);
	return fake_text(&t->fake, "sendMessage", before);
}

/* Enqueued, killed, and the job has removed the session before the restart: the answer is the job, not "no session". */
static void a_stop_is_answered_after_its_effect(void **state)
{
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	add_session(&t, "demo", "tg:5");
	test_bot_ask(&t, 1, 5, "/session stop demo now");
	assert_ok(db_run(t.bot.st->db, err, "DELETE FROM sessions", ""));
	killed_before_the_answer(&t, 1, "/session stop demo now");
	assert_has(recovered(&t), "Stopping session demo");
	assert_int_equal(test_bot_state_int(&t, "SELECT count(*) FROM jobs"), 1);
	test_bot_close(&t);
}

/* "The newest job" was cancelled, then the process was killed: the restart must not cancel the one before it. */
static void a_cancel_happens_once(void **state)
{
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	test_bot_ask(&t, 1, 5, "/session start one");
	test_bot_ask(&t, 2, 5, "/session start two");
	assert_has(test_bot_ask(&t, 3, 5, "/cancel"), "is being cancelled");
	killed_before_the_answer(&t, 3, "/cancel");
	assert_has(recovered(&t), "Job 2 ");
	assert_int_equal(test_bot_state_int(&t, "SELECT count(*) FROM jobs WHERE state = 'queued'"), 1);
	assert_int_equal(test_bot_state_int(&t, "SELECT count(*) FROM audit WHERE action = 'job.cancel'"), 1);
	assert_has(test_bot_ask(&t, 4, 5, "/cancel"), "is being cancelled");
	assert_int_equal(test_bot_state_int(&t, "SELECT count(*) FROM jobs WHERE state = 'queued'"), 0);
	test_bot_close(&t);
}

/* Said right after the start, before the start has made its row. */
static void a_session_that_is_about_to_start_is_known(void **state)
{
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	test_bot_ask(&t, 1, 5, "/session start demo");
	assert_has(test_bot_ask(&t, 2, 6, "/session stop demo now"), "belongs to somebody else");
	assert_has(test_bot_ask(&t, 3, 5, "/session stop demo now"), "Stopping session demo");
	assert_int_equal(test_bot_state_int(&t, "SELECT count(*) FROM jobs"), 2);
	test_bot_close(&t);
}

static void a_repeated_update_is_ignored(void **state)
{
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	for (int i = 0; i < 3; i++)
		test_bot_text(&t, 1, 5, "en", "/start");
	test_bot_drain(&t);
	assert_int_equal(t.fake.n, 1);
	test_bot_close(&t);
}

/* One that failed three times, or ended the process three times, is set aside; what stands behind it is answered. */
static void poison_is_set_aside(void **state)
{
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	assert_ok(db_run(t.bot.st->db, err, "ALTER TABLE jobs RENAME TO away", ""));
	assert_string_equal(test_bot_ask(&t, 1, 5, "/session start demo"), "");
	assert_has(test_bot_ask(&t, 2, 6, "/whoami"), "Your id"); /* another chat does not wait */
	assert_string_equal(test_bot_ask(&t, 3, 5, "/whoami"), "");
	assert_int_equal(test_bot_int(&t, "SELECT attempts FROM updates WHERE state = 'new'"), 1);
	for (int i = 2; i <= 3; i++) {
		assert_ok(router_recover(&t.bot, err));
		assert_int_equal(test_bot_int(&t, "SELECT attempts FROM updates WHERE state = 'new'"), i);
	}
	assert_ok(router_recover(&t.bot, err));
	test_bot_drain(&t);
	assert_int_equal(
	        test_bot_int(&t,
	                     "SELECT count(*) FROM updates WHERE state = 'poison' AND raw LIKE '%demo%' AND"
	                     " error LIKE '%jobs%'"),
	        1);
	assert_has(fake_text(&t.fake, "sendMessage", 1), "set aside");
	assert_has(fake_text(&t.fake, "sendMessage", 2), "Your id");
	assert_ok(router_recover(&t.bot, err)); /* it stays aside */
	test_bot_drain(&t);
	assert_int_equal(fake_count(&t.fake, "sendMessage"), 3);
	test_bot_close(&t);
}

/* However long another process holds the database: nothing is given up, and the order in the chat is kept. */
static void a_locked_database_is_waited_for(void **state)
{
	static const char *const texts[] = {"/session start demo", "/whoami", "/session stop demo now"};
	(void)state;
	struct test_bot t;
	db_set_busy_ms(10);
	test_bot_open(&t, NO_GATEWAY, NULL);
	cleanup_state struct state *other = NULL;
	assert_ok(state_open(&other, t.cfg, err));
	assert_ok(db_begin(other->db, err));
	for (int i = 0; i < 3; i++)
		assert_string_equal(test_bot_ask(&t, i + 1, 5, texts[i]), "");
	for (int i = 0; i < 5; i++)
		assert_ok(router_recover(&t.bot, err));
	assert_int_equal(
	        test_bot_int(&t, "SELECT count(*) FROM updates WHERE state = 'new' AND attempts = 1"), 3);
	db_rollback(other->db);
	assert_ok(router_recover(&t.bot, err));
	test_bot_drain(&t);
	assert_has(fake_text(&t.fake, "sendMessage", 0), "Starting session demo");
	assert_has(fake_text(&t.fake, "sendMessage", 1), "Your id");
	assert_has(fake_text(&t.fake, "sendMessage", 2), "Stopping session demo");
	test_bot_close(&t);
	db_set_busy_ms(DB_BUSY_MS);
}

static void stopping_asks_first(void **state)
{
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	add_session(&t, "demo", "tg:5");
	assert_has(test_bot_ask(&t, 1, 5, "/session stop demo"), "Stop session <b>demo</b>?");
	assert_int_equal(test_bot_state_int(&t, "SELECT count(*) FROM jobs"), 0);
	cleanup_free char *yes = mem_strdup(test_bot_button(&t, 0)), *no = mem_strdup(test_bot_button(&t, 1));
	assert_true(*yes && *no);
	test_bot_press(&t, 2, 6, yes); /* somebody else */
	test_bot_drain(&t);
	assert_has(fake_text(&t.fake, "answerCallbackQuery", 0), "somebody else");
	assert_int_equal(test_bot_state_int(&t, "SELECT count(*) FROM jobs"), 0);
	test_bot_press(&t, 3, 5, yes);
	test_bot_drain(&t);
	assert_int_equal(
	        test_bot_state_int(
	                &t, "SELECT count(*) FROM jobs WHERE kind = 'session.stop' AND session = 'demo'"),
	        1);
	assert_has(fake_text(&t.fake, "editMessageText", 0), "Stopping session demo");
	test_bot_press(&t, 4, 5, yes);
	test_bot_press(&t, 5, 5, no);
	test_bot_drain(&t);
	assert_has(fake_text(&t.fake, "answerCallbackQuery", 2), "used before");
	assert_has(fake_text(&t.fake, "answerCallbackQuery", 3), "used before");
	assert_int_equal(test_bot_state_int(&t, "SELECT count(*) FROM jobs"), 1);
	test_bot_close(&t);
}

static void sessions_belong_to_their_owner(void **state)
{
	static const struct {
		int64_t user;
		const char *text, *part;
		int64_t jobs;
	} cases[] = {
	        {6, "/session stop demo now", "belongs to somebody else", 0},
	        {6, "/session restart demo", "belongs to somebody else", 0},
	        {6, "/session start demo", "belongs to somebody else", 0},
	        {6, "/session logs demo", "belongs to somebody else", 0},
	        {6, "/test all demo", "belongs to somebody else", 0},
	        {6, "/session show demo", "Owner: tg:5", 0},
	        {5, "/session restart demo", "Restarting session demo", 1},
	        {5, "/session extend demo 2h", "Extending session demo", 2},
	        {5, "/test demo", "Testing all, demo", 3},
	        {5, "/test status", "Testing status", 4},
	        {7, "/session pin demo", "Pinning session demo", 5},
	        {7, "/session unpin demo", "Unpinning session demo", 6},
	        {7, "/session stop demo now", "Stopping session demo", 7},
	        {5, "/session exec demo ls", "needs the role admin", 7},
	        {7, "/session exec demo", "Usage:", 7},
	        {7, "/session exec demo gateway --", "Usage:", 7},
	        {7, "/session exec demo 'ls", "is not closed", 7},
	        {7, "/session exec demo gateway — sh -c 'ls | head'", "sh -c 'ls | head'", 8},
	};
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	add_session(&t, "demo", "tg:5");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_has(test_bot_ask(&t, (int64_t)i + 1, cases[i].user, cases[i].text), cases[i].part);
		assert_int_equal(test_bot_state_int(&t, "SELECT count(*) FROM jobs"), cases[i].jobs);
	}
	assert_int_equal(
	        test_bot_state_int(
	                &t, "SELECT json_extract(args, '$.minutes') FROM jobs WHERE kind = 'session.extend'"),
	        120);
	assert_int_equal(test_bot_state_int(&t, "SELECT count(*) FROM audit WHERE outcome = 'denied'"), 5);
	assert_int_equal(test_bot_state_int(
	                         &t,
	                         "SELECT count(*) FROM jobs JOIN audit ON detail = args WHERE kind = "
	                         "'session.exec' AND action = kind AND args = "
	                         "'{\"name\":\"demo\",\"service\":\"gateway\",\"argv\":[\"sh\",\"-c\",\"ls | "
	                         "head\"]}'"),
	                 1);
	test_bot_close(&t);
}

static void a_pin_is_shown(void **state)
{
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	add_session(&t, "demo", "tg:5");
	assert_has(test_bot_ask(&t, 1, 5, "/sessions"), "⏳");
	assert_ok(db_run(t.bot.st->db, err, "UPDATE sessions SET pinned = 1", ""));
	assert_has(test_bot_ask(&t, 2, 5, "/sessions"), "📌");
	assert_null(strstr(test_bot_ask(&t, 3, 5, "/sessions"), "⏳"));
	assert_has(test_bot_ask(&t, 4, 5, "/session show demo"), "never, it is pinned");
	test_bot_close(&t);
}

static void jobs_are_cancelled_by_their_owner(void **state)
{
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	test_bot_ask(&t, 1, 5, "/session start demo");
	cleanup_free char *cancel = mem_strdup(test_bot_button(&t, 0));
	assert_has(test_bot_ask(&t, 2, 6, "/cancel 1"), "belongs to somebody else");
	test_bot_press(&t, 3, 5, cancel);
	test_bot_drain(&t);
	assert_has(fake_text(&t.fake, "answerCallbackQuery", 0), "is being cancelled");
	progress_look(t.bot.progress);
	test_bot_drain(&t);
	size_t edits = fake_count(&t.fake, "editMessageText");
	assert_has(fake_text(&t.fake, "editMessageText", edits - 1), "cancelled");
	assert_has(test_bot_ask(&t, 4, 5, "/cancel 1"), "is over already");
	test_bot_close(&t);
}

/* What the worker would write. */
static void fail_job(struct test_bot *t, int64_t id, const char *code)
{
	assert_ok(db_run(t->bot.st->db, err,
	                 "UPDATE jobs SET state = 'failed', error_code = ?, error = 'no room' WHERE id = ?",
	                 "ti", code, id));
	assert_ok(db_run(
	        t->bot.st->db, err,
	        "INSERT INTO job_events (job, at, type, stage, text) VALUES (?, 1, 'state', 'failed', 'x')",
	        "i", id));
	progress_look(t->bot.progress);
	test_bot_drain(t);
}

static void what_failed_is_tried_again_by_a_button(void **state)
{
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	test_bot_ask(&t, 1, 5, "/session start demo gateway");
	fail_job(&t, 1, "quota");
	size_t edits = fake_count(&t.fake, "editMessageText");
	assert_has(fake_text(&t.fake, "editMessageText", edits - 1), "no room");
	cleanup_free char *again = mem_strdup(test_bot_button(&t, 0));
	assert_true(*again);
	test_bot_press(&t, 2, 6, again); /* not his */
	assert_int_equal(test_bot_state_int(&t, "SELECT count(*) FROM jobs"), 1);
	test_bot_press(&t, 3, 5, again);
	test_bot_press(&t, 4, 5, again); /* once */
	test_bot_drain(&t);
	assert_int_equal(
	        test_bot_state_int(&t, "SELECT count(*) FROM jobs a JOIN jobs b USING (kind, args, owner, "
	                               "session) WHERE a.id = 1 AND b.id = 2"),
	        1);
	assert_int_equal(test_bot_state_int(&t, "SELECT count(*) FROM jobs"), 2);
	edits = fake_count(&t.fake, "editMessageText");
	assert_has(fake_text(&t.fake, "editMessageText", edits - 1), "Starting session demo");

	add_session(&t, "demo", "tg:6"); /* meanwhile somebody else took the name */
	fail_job(&t, 2, "timeout");
	cleanup_free char *late = mem_strdup(test_bot_button(&t, 0));
	test_bot_press(&t, 5, 5, late);
	test_bot_drain(&t);
	assert_int_equal(test_bot_state_int(&t, "SELECT count(*) FROM jobs"), 2);

	test_bot_ask(&t, 6, 5, "/session start other");
	cleanup_free char *cancel = mem_strdup(test_bot_button(&t, 0));
	fail_job(&t, 3, "exists"); /* again it would be the same */
	assert_string_equal(test_bot_button(&t, 0), cancel);
	test_bot_close(&t);
}

/* A long work is followed across a restart in the same message; its end arrives. */
static void progress_survives_a_restart(void **state)
{
	(void)state;
	struct test_bot t;
	test_bot_open(&t, NO_GATEWAY, NULL);
	fake_on(&t.fake, "sendMessage", 200, "{\"ok\":true,\"result\":{\"message_id\":4711}}");
	test_bot_ask(&t, 1, 5, "/session extend demo 5");
	add_session(&t, "demo", "tg:5");
	test_bot_ask(&t, 2, 5, "/session extend demo 5");
	test_bot_stop(&t);
	test_bot_start(&t, NO_GATEWAY, NULL);
	assert_ok(db_run(t.bot.st->db, err,
	                 "UPDATE jobs SET state = 'done', result = '{\"name\":\"demo\",\"expires_at\":1}'",
	                 ""));
	assert_ok(db_run(
	        t.bot.st->db, err,
	        "INSERT INTO job_events (job, at, type, stage, text) VALUES (1, 1, 'state', 'done', 'done')",
	        ""));
	progress_look(t.bot.progress);
	test_bot_drain(&t);
	size_t edits = fake_count(&t.fake, "editMessageText");
	size_t last = fake_nth(&t.fake, "editMessageText", edits - 1);
	assert_has(json_text(t.fake.calls[last].body, "text"), "expires in");
	assert_int_equal(json_int(t.fake.calls[last].body, "message_id", 0), 101);
	assert_null(json_at(t.fake.calls[last].body, "reply_markup"));
	assert_int_equal(test_bot_int(&t, "SELECT count(*) FROM progress WHERE done_at IS NULL"), 0);
	test_bot_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(commands_are_answered),
	        cmocka_unit_test(odd_updates_get_a_sensible_answer_or_none),
	        cmocka_unit_test(a_long_word_is_cut_between_characters),
	        cmocka_unit_test(strangers_are_refused_and_nothing_runs),
	        cmocka_unit_test(languages_are_chosen),
	        cmocka_unit_test(an_effect_happens_once),
	        cmocka_unit_test(a_stop_is_answered_after_its_effect),
	        cmocka_unit_test(a_cancel_happens_once),
	        cmocka_unit_test(a_session_that_is_about_to_start_is_known),
	        cmocka_unit_test(a_repeated_update_is_ignored),
	        cmocka_unit_test(poison_is_set_aside),
	        cmocka_unit_test(a_locked_database_is_waited_for),
	        cmocka_unit_test(stopping_asks_first),
	        cmocka_unit_test(sessions_belong_to_their_owner),
	        cmocka_unit_test(a_pin_is_shown),
	        cmocka_unit_test(jobs_are_cancelled_by_their_owner),
	        cmocka_unit_test(what_failed_is_tried_again_by_a_button),
	        cmocka_unit_test(progress_survives_a_restart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
