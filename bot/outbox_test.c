#include "bot/outbox.h"
#include "bot/test_db.h"
#include "bot/test_server.h"
#include <signal.h>
#include <sys/wait.h>

struct bench {
	struct test_db t;
	struct loop *loop;
	struct api *api;
	struct outbox *o;
	struct fake fake;
	char refused[64];
	size_t want;
	unsigned keys;
};

static void on_refused(void *arg, const char *description)
{
	struct bench *b = arg;
	snprintf(b->refused, sizeof(b->refused), "%s", description);
}

static void on_counted(void *arg, const char *outcome)
{
	(void)arg;
	(void)outcome;
}

static const struct outbox_events events = {on_refused, on_counted};

static void bench_open(struct bench *b, bool limits)
{
	memset(b, 0, sizeof(*b));
	test_db_open(&b->t);
	assert_ok(loop_open(&b->loop, err));
	fake_open(&b->fake, b->loop);
	assert_ok(api_open(&b->api, b->loop, b->fake.url, FAKE_TOKEN, err));
	assert_ok(outbox_open(&b->o, b->loop, b->t.db, b->api, limits, &events, b, err));
}

static void bench_close(struct bench *b)
{
	outbox_close(b->o);
	api_close(b->api);
	fake_close(&b->fake);
	loop_close(b->loop);
	test_db_close(&b->t);
}

/* Add within a transaction of its own. */
static void add(struct bench *b, struct outbox_message m)
{
	char key[24];
	snprintf(key, sizeof(key), "k%u", b->keys++);
	if (!m.key)
		m.key = key;
	assert_ok(db_begin(b->t.db, err));
	assert_ok(outbox_add(b->o, &m, err));
	assert_ok(db_commit(b->t.db, err));
	outbox_commit(b->o);
}

static void say(struct bench *b, int64_t chat, const char *html)
{
	add(b, (struct outbox_message){.kind = OUTBOX_SEND, .chat = chat, .html = html});
}

static bool all_sent(void *arg)
{
	struct bench *b = arg;
	int64_t n = -1;
	struct err err = {0};
	db_get_int(b->t.db, &n, &err, "SELECT count(*) FROM outbox WHERE state = 'new'", "");
	return outbox_pending(b->o) == 0 && n == 0;
}

static bool calls_reached(void *arg)
{
	struct bench *b = arg;
	return b->fake.n >= b->want;
}

static void drain(struct bench *b)
{
	fake_run(&b->fake, all_sent, b);
}

#define OK(id) "{\"ok\":true,\"result\":{\"message_id\":" #id "}}"
#define REFUSED(code, words) "{\"ok\":false,\"error_code\":" #code ",\"description\":\"" words "\"}"

static void order_is_kept_within_a_chat(void **state)
{
	(void)state;
	struct bench b;
	char text[24];
	bench_open(&b, false);
	fake_on(&b.fake, "sendMessage", 502, "<html>");
	for (int i = 0; i < 30; i++) {
		snprintf(text, sizeof(text), "%d", i);
		say(&b, 1 + i % 3, text);
	}
	drain(&b);
	int next[4] = {0, 0, 1, 2};
	for (size_t i = 1; i < b.fake.n; i++) {
		int64_t chat = json_int(b.fake.calls[i].body, "chat_id", 0);
		snprintf(text, sizeof(text), "%d", next[chat]);
		const char *got = json_text(b.fake.calls[i].body, "text");
		if (strcmp(got, text) == 0)
			next[chat] += 3;
		else
			assert_int_equal(atoi(got), next[chat] - 3); /* the one that is tried again */
	}
	assert_int_equal(next[1], 30);
	assert_int_equal(
	        test_db_int(&b.t, "SELECT count(*) FROM outbox WHERE state = 'sent' AND message_id > 0"), 30);
	assert_int_equal(test_db_int(&b.t, "SELECT sum(length(body)) FROM outbox"), 0);
	bench_close(&b);
}

static void the_same_key_is_said_once(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b, false);
	for (int i = 0; i < 2; i++)
		add(&b, (struct outbox_message){.kind = OUTBOX_SEND, .key = "u1:0", .chat = 1, .html = "x"});
	drain(&b);
	add(&b, (struct outbox_message){.kind = OUTBOX_SEND, .key = "u1:0", .chat = 1, .html = "x"});
	drain(&b);
	assert_int_equal(b.fake.n, 1);
	bench_close(&b);
}

static void what_was_rolled_back_is_not_sent(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b, false);
	assert_ok(db_begin(b.t.db, err));
	struct outbox_message first = {.kind = OUTBOX_SEND, .key = "a", .chat = 1, .html = "kept"};
	struct outbox_message second = {.kind = OUTBOX_SEND, .key = "b", .chat = 1, .html = "gone"};
	assert_ok(outbox_add(b.o, &first, err));
	size_t mark = outbox_mark(b.o);
	assert_ok(store_savepoint(b.t.db, err));
	assert_ok(outbox_add(b.o, &second, err));
	store_rollback_to(b.t.db);
	outbox_discard(b.o, mark);
	assert_ok(db_commit(b.t.db, err));
	outbox_commit(b.o);
	drain(&b);
	assert_int_equal(b.fake.n, 1);
	assert_string_equal(fake_text(&b.fake, "sendMessage", 0), "kept");
	bench_close(&b);
}

static void flood_delays_its_chat_only(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b, false);
	fake_on(&b.fake, "sendMessage", 429,
	        "{\"ok\":false,\"error_code\":429,\"description\":\"Too Many Requests: retry after 1\","
	        "\"parameters\":{\"retry_after\":1}}");
	say(&b, 1, "one");
	b.want = 1;
	fake_run(&b.fake, calls_reached, &b);
	say(&b, 1, "two");
	say(&b, 2, "other");
	drain(&b);
	assert_int_equal(b.fake.n, 4);
	assert_string_equal(json_text(b.fake.calls[1].body, "text"), "other");
	assert_string_equal(json_text(b.fake.calls[2].body, "text"), "one");
	assert_string_equal(json_text(b.fake.calls[3].body, "text"), "two");
	assert_true(b.fake.calls[2].at - b.fake.calls[0].at >= 990);
	bench_close(&b);
}

static void faults_are_outlived(void **state)
{
	static const struct {
		int status;
		const char *body;
	} faults[] = {{500, REFUSED(500, "Internal Server Error")},
	              {502, "<html>Bad Gateway</html>"},
	              {200, "<html>portal</html>"},
	              {FAKE_DROP, NULL},
	              {409, REFUSED(409, "Conflict")}};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		struct bench b;
		bench_open(&b, false);
		fake_on(&b.fake, "sendMessage", faults[i].status, faults[i].body);
		say(&b, 1, "x");
		drain(&b);
		assert_int_equal(fake_count(&b.fake, "sendMessage"), 2);
		assert_int_equal(test_db_int(&b.t, "SELECT count(*) FROM outbox WHERE state = 'sent'"), 1);
		bench_close(&b);
	}
}

static void refusals_are_dealt_with(void **state)
{
	static const struct {
		const char *body, *state;
		size_t calls;
	} cases[] = {
	        {REFUSED(403, "Forbidden: bot was blocked by the user"), "dropped", 1},
	        {REFUSED(400, "Bad Request: chat not found"), "dropped", 1},
	        {REFUSED(400, "Bad Request: message is not modified: specified new"), "sent", 1},
	        {REFUSED(400, "Bad Request: can't parse entities: Unsupported start tag"), "sent", 2},
	        {REFUSED(400, "Bad Request: message thread not found"), "sent", 2},
	        {REFUSED(400, "Bad Request: BUTTON_DATA_INVALID"), "sent", 2},
	        {REFUSED(404, "Not Found"), "dropped", 1},
	        {"{\"ok\":true,\"result\":null}", "sent", 1},
	        {"{\"ok\":true}", "sent", 1},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench b;
		bench_open(&b, false);
		fake_on(&b.fake, "sendMessage", 400, cases[i].body);
		add(&b, (struct outbox_message){.kind = OUTBOX_SEND,
		                                .chat = 1,
		                                .topic = 4,
		                                .html = "<b>1 &lt; 2</b>",
		                                .buttons = "{\"inline_keyboard\":[]}"});
		drain(&b);
		cleanup_free char *got = NULL;
		assert_ok(db_get_text(b.t.db, &got, err, "SELECT state FROM outbox", ""));
		if (strcmp(got, cases[i].state) || b.fake.n != cases[i].calls)
			fail_msg("case %zu: %s after %zu calls", i, got, b.fake.n);
		if (strstr(cases[i].body, "parse entities")) {
			assert_string_equal(fake_text(&b.fake, "sendMessage", 1), "1 < 2");
			assert_null(json_at(b.fake.calls[1].body, "parse_mode"));
		} else if (strstr(cases[i].body, "thread")) {
			assert_null(json_at(b.fake.calls[1].body, "message_thread_id"));
		} else if (strstr(cases[i].body, "BUTTON")) {
			assert_null(json_at(b.fake.calls[1].body, "reply_markup"));
		}
		bench_close(&b);
	}
}

static void the_same_refusal_twice_drops(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b, false);
	for (int i = 0; i < 2; i++)
		fake_on(&b.fake, "sendMessage", 400, REFUSED(400, "Bad Request: can't parse entities: x"));
	say(&b, 1, "<b>x</b>");
	say(&b, 1, "next");
	drain(&b);
	assert_int_equal(b.fake.n, 3);
	assert_int_equal(test_db_int(&b.t, "SELECT count(*) FROM outbox WHERE state = 'dropped'"), 1);
	bench_close(&b);
}

static void a_migrated_group_is_followed(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b, false);
	fake_on(&b.fake, "sendMessage", 400,
	        "{\"ok\":false,\"error_code\":400,\"description\":\"Bad Request: group chat was upgraded to "
	        "a supergroup chat\","
	        "\"parameters\":{\"migrate_to_chat_id\":-1009}}");
	say(&b, -5, "one");
	say(&b, -5, "two");
	drain(&b);
	assert_int_equal(b.fake.n, 3);
	assert_int_equal(json_int(b.fake.calls[1].body, "chat_id", 0), -1009);
	assert_string_equal(fake_text(&b.fake, "sendMessage", 1), "one");
	assert_string_equal(fake_text(&b.fake, "sendMessage", 2), "two");
	assert_int_equal(test_db_int(&b.t, "SELECT count(*) FROM outbox WHERE chat = -1009"), 2);
	bench_close(&b);
}

static void long_text_is_cut_or_becomes_a_file(void **state)
{
	(void)state;
	struct bench b;
	cleanup_str struct str text = STR_INIT;
	bench_open(&b, false);
	for (int i = 0; i < 1000; i++)
		str_addf(&text, "line %04d\n", i);
	say(&b, 1, str_text(&text)); /* 10,000 characters */
	drain(&b);
	assert_int_equal(fake_count(&b.fake, "sendMessage"), 3);
	assert_int_equal(fake_count(&b.fake, "sendDocument"), 0);
	for (int i = 0; i < 3000; i++)
		str_addf(&text, "line %04d\n", i);
	say(&b, 1, str_text(&text)); /* 40,000 */
	drain(&b);
	assert_int_equal(fake_count(&b.fake, "sendMessage"), 4);
	assert_int_equal(fake_count(&b.fake, "sendDocument"), 1);
	say(&b, 1, "");
	drain(&b);
	assert_string_equal(fake_text(&b.fake, "sendMessage", 4), "—");
	bench_close(&b);
}

static int64_t new_progress(struct bench *b)
{
	assert_ok(db_run(b->t.db, err,
	                 "INSERT INTO progress (chat, user, lang, source, ref, title, started_at)"
	                 " VALUES (1, 1, 'en', 'job', '1', 't', 1)",
	                 ""));
	return db_last_id(b->t.db);
}

/* Edits follow the message whose id only Telegram knows; of many states the newest and the last arrive. */
static void edits_are_coalesced_and_the_last_arrives(void **state)
{
	(void)state;
	struct bench b;
	char text[24];
	bench_open(&b, false);
	int64_t p = new_progress(&b);
	fake_on(&b.fake, "sendMessage", 200, OK(555));
	add(&b, (struct outbox_message){.kind = OUTBOX_SEND, .chat = 1, .html = "open", .progress = p});
	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "state %d", i);
		outbox_edit_soon(b.o, 1, p, text, NULL);
	}
	b.want = 2;
	fake_run(&b.fake, calls_reached, &b);
	for (int i = 50; i < 99; i++) {
		snprintf(text, sizeof(text), "state %d", i);
		outbox_edit_soon(b.o, 1, p, text, NULL);
	}
	add(&b, (struct outbox_message){.kind = OUTBOX_EDIT, .chat = 1, .html = "final", .progress = p});
	drain(&b);
	assert_int_equal(fake_count(&b.fake, "sendMessage"), 1);
	size_t edits = fake_count(&b.fake, "editMessageText"); /* one more if the first was over already */
	assert_in_range(edits, 2, 3);
	assert_string_equal(fake_text(&b.fake, "editMessageText", 0), "state 49");
	assert_string_equal(fake_text(&b.fake, "editMessageText", edits - 1), "final");
	assert_int_equal(json_int(b.fake.calls[2].body, "message_id", 0), 555);
	assert_int_equal(test_db_int(&b.t, "SELECT message_id FROM progress"), 555);
	bench_close(&b);
}

/* Deleted by the user, unknown to the server, never sent: the last state is said as a message of its own. */
static void a_final_state_without_a_message_is_sent(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b, false);
	int64_t p = new_progress(&b);
	fake_on(&b.fake, "editMessageText", 400, REFUSED(400, "Bad Request: message to edit not found"));
	add(&b, (struct outbox_message){
	                .kind = OUTBOX_EDIT, .chat = 1, .html = "final", .message_id = 9, .progress = p});
	drain(&b);
	assert_string_equal(fake_text(&b.fake, "sendMessage", 0), "final");
	add(&b, (struct outbox_message){
	                .kind = OUTBOX_EDIT, .chat = 1, .html = "other", .progress = new_progress(&b)});
	drain(&b);
	assert_string_equal(fake_text(&b.fake, "sendMessage", 1), "other");
	bench_close(&b);
}

static void a_lost_edit_is_forgotten(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b, false);
	int64_t p = new_progress(&b);
	fake_on(&b.fake, "editMessageText", 500, "{\"error\":\"unknown method\"}");
	add(&b, (struct outbox_message){.kind = OUTBOX_SEND, .chat = 1, .html = "open", .progress = p});
	outbox_edit_soon(b.o, 1, p, "state", NULL);
	drain(&b);
	assert_int_equal(fake_count(&b.fake, "editMessageText"), 1);
	bench_close(&b);
}

static void a_late_answer_to_a_button_is_no_loss(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b, false);
	fake_on(&b.fake, "answerCallbackQuery", 400,
	        REFUSED(400,
	                "Bad Request: query is too old and response timeout expired or query ID is invalid"));
	for (int i = 0; i < 5; i++)
		fake_on(&b.fake, "answerCallbackQuery", 500, "<html>");
	for (int i = 0; i < 2; i++)
		add(&b, (struct outbox_message){
		                .kind = OUTBOX_ANSWER, .chat = 1, .html = "ok \"x\"\n", .callback_id = "q"});
	drain(&b);
	assert_int_equal(fake_count(&b.fake, "answerCallbackQuery"), 4);
	assert_null(json_at(b.fake.calls[0].body, "chat_id"));
	bench_close(&b);
}

static void rates_are_kept(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b, true);
	say(&b, 1, "a");
	say(&b, 1, "b");
	say(&b, 2, "c");
	drain(&b);
	assert_string_equal(json_text(b.fake.calls[1].body, "text"), "c");
	assert_true(b.fake.calls[2].at - b.fake.calls[0].at >= 990);
	bench_close(&b);
}

static bool was_refused(void *arg)
{
	return ((struct bench *)arg)->refused[0] != 0;
}

static void a_revoked_token_is_told_and_nothing_lost(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b, false);
	fake_on(&b.fake, "sendMessage", 401, REFUSED(401, "Unauthorized"));
	say(&b, 1, "x");
	fake_run(&b.fake, was_refused, &b);
	assert_int_equal(test_db_int(&b.t, "SELECT count(*) FROM outbox WHERE state = 'new'"), 1);
	bench_close(&b);
}

static bool first_recorded(void *arg)
{
	struct bench *b = arg;
	return test_db_int(&b->t, "SELECT count(*) FROM outbox WHERE state = 'sent'") >= 1;
}

/* The sender is killed after Telegram got the message and before it could record that: its successor repeats it, and
 * only it. */
static void send_until_killed(struct bench *b, const char *url)
{
	struct loop *loop = NULL;
	struct api *api = NULL;
	struct outbox *o = NULL;
	struct err err = {0};
	struct test_db t = b->t;
	test_db_connect(&t);
	if (loop_open(&loop, &err) || api_open(&api, loop, url, FAKE_TOKEN, &err) ||
	    outbox_open(&o, loop, t.db, api, false, &events, b, &err))
		_exit(1);
	loop_run(loop);
	_exit(2);
}

static void a_killed_sender_repeats_one_message(void **state)
{
	(void)state;
	struct bench b;
	int status;
	bench_open(&b, false);
	for (int i = 0; i < 3; i++) { /* written, but not sent by us */
		char key[24], text[24];
		snprintf(key, sizeof(key), "u%d", i);
		snprintf(text, sizeof(text), "%d", i);
		struct outbox_message m = {.kind = OUTBOX_SEND, .key = key, .chat = 1, .html = text};
		assert_ok(outbox_add(b.o, &m, err));
	}
	outbox_discard(b.o, 0);
	fake_on(&b.fake, "sendMessage", 200, OK(1));
	fake_on(&b.fake, "sendMessage", FAKE_HOLD, NULL);
	db_close(b.t.db); /* SQLite connections do not cross a fork */
	pid_t pid = fork();
	if (pid == 0)
		send_until_killed(&b, b.fake.url);
	b.want = 2;
	fake_run(&b.fake, calls_reached, &b);
	/* The first is recorded within milliseconds; look until it is. */
	test_db_connect(&b.t);
	fake_run(&b.fake, first_recorded, &b);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	struct outbox *old = b.o;
	assert_ok(outbox_open(&b.o, b.loop, b.t.db, b.api, false, &events, &b, err));
	outbox_close(old);
	drain(&b);
	static const char *const want[] = {"0", "1", "1", "2"};
	assert_int_equal(b.fake.n, 4);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(fake_text(&b.fake, "sendMessage", i), want[i]);
	bench_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(order_is_kept_within_a_chat),
	        cmocka_unit_test(the_same_key_is_said_once),
	        cmocka_unit_test(what_was_rolled_back_is_not_sent),
	        cmocka_unit_test(flood_delays_its_chat_only),
	        cmocka_unit_test(faults_are_outlived),
	        cmocka_unit_test(refusals_are_dealt_with),
	        cmocka_unit_test(the_same_refusal_twice_drops),
	        cmocka_unit_test(a_migrated_group_is_followed),
	        cmocka_unit_test(long_text_is_cut_or_becomes_a_file),
	        cmocka_unit_test(edits_are_coalesced_and_the_last_arrives),
	        cmocka_unit_test(a_final_state_without_a_message_is_sent),
	        cmocka_unit_test(a_lost_edit_is_forgotten),
	        cmocka_unit_test(a_late_answer_to_a_button_is_no_loss),
	        cmocka_unit_test(rates_are_kept),
	        cmocka_unit_test(a_revoked_token_is_told_and_nothing_lost),
	        cmocka_unit_test(a_killed_sender_repeats_one_message),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
