#include "bot/test_bot.h"
#include "core/id.h"
#include "core/ws.h"

/* A gateway that the test speaks for. */
struct gateway {
	struct ws_server *server;
	struct ws *ws; /* the bot's connection; NULL: none */
	char url[48];
	int port;
	size_t opened, n;
	cJSON *frames[64]; /* without pings */
	bool mute_pings;
	size_t want;
};

static int on_accept(void *arg, const char *path, const char *query, const char *authorization,
                     const char *origin, const char *peer)
{
	(void)arg, (void)path, (void)query, (void)authorization, (void)origin, (void)peer;
	return 0;
}

static void tell(struct gateway *g, const char *text)
{
	assert_non_null(g->ws);
	assert_int_equal(ws_send(g->ws, text, strlen(text)), 0);
}

static void on_open(void *arg, struct ws *ws)
{
	struct gateway *g = arg;
	g->ws = ws;
	g->opened++;
	tell(g, "{\"type\":\"complete\",\"sessionId\":\"11111111-1111-4111-8111-111111111111\",\"content\":"
	        "\"Welcome\"}");
}

static void on_message(void *arg, struct ws *ws, const char *text, size_t len)
{
	struct gateway *g = arg;
	struct err err = {0};
	(void)ws;
	cJSON *frame = json_parse(text, len, &err);
	assert_non_null(frame);
	if (strcmp(json_text(frame, "type"), "ping") == 0) {
		/* The reference gateway answers pings under its connection's id. */
		if (!g->mute_pings)
			tell(g, "{\"type\":\"complete\",\"sessionId\":\"11111111-1111-4111-8111-"
			        "111111111111\",\"content\":\"Pong!\"}");
		cJSON_Delete(frame);
		return;
	}
	assert_true(g->n < ARRAY_LEN(g->frames));
	g->frames[g->n++] = frame;
}

static void on_close(void *arg, struct ws *ws, int code, const char *reason)
{
	struct gateway *g = arg;
	(void)code, (void)reason;
	if (g->ws == ws)
		g->ws = NULL;
}

static void gateway_start(struct gateway *g, struct loop *loop)
{
	static const struct ws_events ws = {on_accept, on_open, on_message, on_close};
	assert_ok(ws_server_open(&g->server, loop, "127.0.0.1", g->port, NULL, &ws, g, err));
	g->port = ws_server_port(g->server);
	snprintf(g->url, sizeof(g->url), "ws://127.0.0.1:%d", g->port);
}

static void stopped(void *arg)
{
	((struct gateway *)arg)->server = NULL;
}

struct bench {
	struct test_bot t;
	struct gateway g;
};

static const struct link_options quick = {
        .give_up_ms = 300, .silence_ms = 400, .ping_ms = 50, .first_retry_ms = 2, .longest_retry_ms = 20};

/* The address must be known before the loop is: the first listener only finds a free port. */
static void bench_open(struct bench *b, bool up)
{
	struct loop *loop = NULL;
	struct http_server *probe = NULL;
	struct http_server_options any = {0};
	memset(b, 0, sizeof(*b));
	assert_ok(loop_open(&loop, err));
	assert_ok(http_server_open(&probe, loop, &any, fake_handle, NULL, err));
	b->g.port = http_server_port(probe);
	http_server_close(probe);
	loop_close(loop);
	snprintf(b->g.url, sizeof(b->g.url), "ws://127.0.0.1:%d", b->g.port);
	test_bot_open(&b->t, b->g.url, &quick);
	if (up)
		gateway_start(&b->g, b->t.bot.loop);
}

static bool server_gone(void *arg)
{
	return ((struct gateway *)arg)->server == NULL;
}

static void gateway_stop(struct bench *b)
{
	ws_server_close(b->g.server, 0, stopped, &b->g);
	fake_run(&b->t.fake, server_gone, &b->g);
}

static void bench_close(struct bench *b)
{
	test_bot_stop(&b->t);
	if (b->g.server)
		gateway_stop(b);
	fake_run(&b->t.fake, test_bot_later, NULL);
	for (size_t i = 0; i < b->g.n; i++)
		cJSON_Delete(b->g.frames[i]);
	fake_close(&b->t.fake);
	loop_timer_free(b->t.bot.retry);
	loop_close(b->t.bot.loop);
	metrics_free(b->t.bot.metrics);
	config_free(b->t.cfg);
	assert_ok(tree_remove(b->t.dir, err));
}

static bool frames_reached(void *arg)
{
	struct bench *b = arg;
	return b->g.n >= b->g.want;
}

static bool connected(void *arg)
{
	struct bench *b = arg;
	return link_connected(b->t.bot.link) && link_rtt_ms(b->t.bot.link) >= 0;
}

static bool no_request(void *arg)
{
	struct bench *b = arg;
	return test_bot_int(&b->t, "SELECT count(*) FROM requests WHERE state = 'open'") == 0 &&
	       test_bot_quiet_now(&b->t);
}

static const char *wait_frame(struct bench *b, size_t n)
{
	b->g.want = n;
	fake_run(&b->t.fake, frames_reached, b);
	return json_text(b->g.frames[n - 1], "sessionId");
}

static const char *last_said(struct bench *b)
{
	const struct fake *f = &b->t.fake;
	for (size_t i = f->n; i-- > 0;)
		if (json_text(f->calls[i].body, "text") && strcmp(f->calls[i].method, "answerCallbackQuery"))
			return json_text(f->calls[i].body, "text");
	return "";
}

static void answer(struct bench *b, const char *id, const char *rest)
{
	cleanup_free char *frame = mem_printf("{\"sessionId\":\"%s\",%s}", id, rest);
	tell(&b->g, frame);
}

static void a_project_is_created(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b, true);
	test_bot_text(&b.t, 1, 5, "en", "/new web-service shop --port=80 --framework=flask");
	const char *id = wait_frame(&b, 1);
	char want[37];
	id_uuid_of("77:1", want);
	assert_string_equal(id, want);
	struct err err = {0};
	const char *content = json_text(b.g.frames[0], "content");
	cleanup_json cJSON *request = json_parse(content, strlen(content), &err);
	assert_string_equal(json_text(request, "command"), "create_project");
	assert_string_equal(json_text(request, "id"), id);
	assert_string_equal(json_text(request, "params.name"), "shop");
	assert_string_equal(json_text(request, "params.archetype"), "web-service");
	assert_string_equal(json_text(request, "params.framework"), "flask");
	assert_string_equal(json_text(request, "params.options.port"), "80");
	assert_string_equal(json_text(b.g.frames[0], "userId"), "tg:5");
	answer(&b, id,
	       "\"type\":\"progress\",\"stage\":\"files\",\"progress\":40,\"data\":{\"message\":"
	       "\"writing\"}");
	answer(&b, "other", "\"type\":\"complete\",\"content\":\"not ours\"");
	answer(&b, id, "\"type\":\"complete\",\"content\":\"**Done** <x>\",\"data\":{}");
	fake_run(&b.t.fake, no_request, &b);
	assert_string_equal(last_said(&b), "<b>Done</b> &lt;x&gt;");
	assert_int_equal(fake_count(&b.t.fake, "sendMessage"), 1); /* all in one message */
	bench_close(&b);
}

static void talk_is_quiet_until_there_is_an_answer(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b, true);
	test_bot_text(&b.t, 1, 5, "en", "hello");
	const char *id = wait_frame(&b, 1);
	assert_string_equal(json_text(b.g.frames[0], "content"), "hello");
	assert_int_equal(b.t.fake.n, 0);
	answer(&b, id, "\"type\":\"complete\",\"content\":\"Hi\"");
	fake_run(&b.t.fake, no_request, &b);
	assert_int_equal(b.t.fake.n, 1);
	assert_string_equal(last_said(&b), "Hi");
	bench_close(&b);
}

static void an_error_is_told(void **state)
{
	static const char *const frames[] = {
	        "\"type\":\"error\",\"content\":\"name taken\"",
	        "\"type\":\"error\",\"error\":\"name taken\"",
	        "\"type\":\"error\",\"data\":{\"code\":\"X\",\"message\":\"name taken\"}",
	};
	(void)state;
	struct bench b;
	bench_open(&b, true);
	for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
		test_bot_text(&b.t, (int64_t)i + 1, 5, "en", "hello");
		const char *id = wait_frame(&b, i + 1);
		/* The last one comes under the connection's own id, as from the reference gateway. */
		answer(&b, i == 2 ? "11111111-1111-4111-8111-111111111111" : id, frames[i]);
		fake_run(&b.t.fake, no_request, &b);
		assert_string_equal(last_said(&b), "❌ name taken");
	}
	bench_close(&b);
}

static void a_question_is_answered_by_text_or_button(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b, true);
	test_bot_text(&b.t, 1, 5, "en", "make a bot");
	cleanup_free char *id = mem_strdup(wait_frame(&b, 1));
	answer(&b, id, "\"type\":\"question\",\"question\":\"Which?\",\"options\":[\"Red\",\"Blue\"]");
	fake_run(&b.t.fake, no_request, &b);
	assert_non_null(strstr(last_said(&b), "Which?"));
	test_bot_text(&b.t, 2, 6, "en", "green"); /* somebody else's text is no answer */
	assert_string_not_equal(wait_frame(&b, 2), id);
	test_bot_text(&b.t, 3, 5, "en", "green");
	assert_string_equal(wait_frame(&b, 3), id);
	answer(&b, id,
	       "\"type\":\"question\",\"data\":{\"question\":\"Sure?\",\"options\":[\"Yes\",\"No\"]}");
	answer(&b, json_text(b.g.frames[1], "sessionId"), "\"type\":\"complete\",\"content\":\"ok\"");
	fake_run(&b.t.fake, no_request, &b);
	test_bot_press(&b.t, 4, 5, test_bot_button(&b.t, 1));
	assert_string_equal(wait_frame(&b, 4), id);
	assert_string_equal(json_text(b.g.frames[3], "content"), "No");
	answer(&b, id, "\"type\":\"complete\",\"content\":\"Bye\"");
	fake_run(&b.t.fake, no_request, &b);
	assert_string_equal(last_said(&b), "Bye");
	bench_close(&b);
}

static void a_lost_connection_asks_again_with_the_same_id(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b, true);
	test_bot_text(&b.t, 1, 5, "en", "/new web-service shop");
	cleanup_free char *id = mem_strdup(wait_frame(&b, 1));
	gateway_stop(&b);
	gateway_start(&b.g, b.t.bot.loop);
	assert_string_equal(wait_frame(&b, 2), id);
	assert_int_equal(b.g.opened, 2);
	/* and after a restart of the bot */
	test_bot_stop(&b.t);
	test_bot_start(&b.t, b.g.url, &quick);
	assert_string_equal(wait_frame(&b, 3), id);
	answer(&b, id, "\"type\":\"complete\",\"content\":\"made\"");
	fake_run(&b.t.fake, no_request, &b);
	assert_string_equal(last_said(&b), "made");
	assert_int_equal(fake_count(&b.t.fake, "sendMessage"), 1);
	fake_run(&b.t.fake, connected, &b);
	bench_close(&b);
}

static void a_gateway_that_is_down_is_waited_for_then_told(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b, false);
	test_bot_text(&b.t, 1, 5, "en", "/new web-service shop");
	fake_run(&b.t.fake, no_request, &b);
	assert_non_null(strstr(last_said(&b), "could not be reached"));
	gateway_start(&b.g, b.t.bot.loop);
	test_bot_press(&b.t, 2, 5, test_bot_button(&b.t, 0));
	char want[37];
	id_uuid_of("77:1", want);
	assert_string_equal(wait_frame(&b, 1), want); /* Retry is the same request */
	answer(&b, want, "\"type\":\"complete\",\"content\":\"made\"");
	fake_run(&b.t.fake, no_request, &b);
	assert_string_equal(last_said(&b), "made");
	bench_close(&b);
}

static void a_silent_gateway_is_told(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b, true);
	test_bot_text(&b.t, 1, 5, "ru", "привет");
	wait_frame(&b, 1);
	fake_run(&b.t.fake, no_request, &b);
	assert_non_null(strstr(last_said(&b), "Шлюз не ответил"));
	bench_close(&b);
}

/* Many people's requests wait for their turn on the one connection, in order, and nobody is told that it was too much. */
static void a_crowd_waits_for_its_turn(void **state)
{
	(void)state;
	struct bench b;
	char name[24], want[37];
	bench_open(&b, true);
	fake_run(&b.t.fake, connected, &b);
	for (int i = 1; i <= 40; i++) {
		snprintf(name, sizeof(name), "hello %d", i);
		test_bot_text(&b.t, i, 5, "en", name);
	}
	wait_frame(&b, 30);
	answer(&b, json_text(b.g.frames[0], "sessionId"),
	       "\"type\":\"error\",\"content\":\"Too many\",\"data\":{\"code\":\"RATE_LIMITED\"}");
	for (size_t i = 1; i < 30; i++)
		answer(&b, json_text(b.g.frames[i], "sessionId"), "\"type\":\"complete\",\"content\":\"Hi\"");
	wait_frame(&b, 41); /* after the hold: the first again, then the ten that waited */
	for (size_t i = 0; i < 41; i++) {
		size_t nth = i < 30 ? i + 1 : i == 30 ? 1 : i;
		cleanup_free char *update = mem_printf("77:%zu", nth);
		id_uuid_of(update, want);
		assert_string_equal(json_text(b.g.frames[i], "sessionId"), want);
		if (i >= 30)
			answer(&b, want, "\"type\":\"complete\",\"content\":\"Hi\"");
	}
	fake_run(&b.t.fake, no_request, &b);
	for (size_t i = 0; i < b.t.fake.n; i++)
		assert_string_equal(json_text(b.t.fake.calls[i].body, "text"), "Hi");
	assert_int_equal(b.t.fake.n, 40);
	bench_close(&b);
}

static void nonsense_changes_nothing(void **state)
{
	static const char *const frames[] = {"not json",
	                                     "[]",
	                                     "7",
	                                     "{}",
	                                     "{\"type\":7}",
	                                     "{\"type\":\"complete\"}",
	                                     "{\"type\":\"new_kind\",\"sessionId\":\"x\"}",
	                                     "{\"type\":\"pong\",\"sessionId\":{}}"};
	(void)state;
	struct bench b;
	bench_open(&b, true);
	fake_run(&b.t.fake, connected, &b);
	for (size_t i = 0; i < ARRAY_LEN(frames); i++)
		tell(&b.g, frames[i]);
	test_bot_text(&b.t, 1, 5, "en", "hello");
	const char *id = wait_frame(&b, 1);
	answer(&b, id, "\"type\":\"new_kind\"");
	answer(&b, id, "\"type\":\"progress\",\"progress\":\"many\",\"message\":7");
	answer(&b, id, "\"type\":\"complete\",\"content\":{\"a\":1}");
	fake_run(&b.t.fake, no_request, &b);
	assert_string_equal(last_said(&b), "—");
	bench_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_project_is_created),
	        cmocka_unit_test(talk_is_quiet_until_there_is_an_answer),
	        cmocka_unit_test(an_error_is_told),
	        cmocka_unit_test(a_question_is_answered_by_text_or_button),
	        cmocka_unit_test(a_lost_connection_asks_again_with_the_same_id),
	        cmocka_unit_test(a_gateway_that_is_down_is_waited_for_then_told),
	        cmocka_unit_test(a_silent_gateway_is_told),
	        cmocka_unit_test(a_crowd_waits_for_its_turn),
	        cmocka_unit_test(nonsense_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
