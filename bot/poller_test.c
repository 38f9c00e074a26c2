#include "bot/poller.h"
#include "bot/test_server.h"

struct bench {
	struct loop *loop;
	struct api *api;
	struct poller *poller;
	struct fake fake;
	int64_t offset;
	size_t taken, want_polls;
	bool known;    /* what comes was seen before */
	int fail_take; /* so many takes fail */
	enum poller_state seen[64];
	size_t n_seen;
	char refused[128];
};

static int on_offset(void *arg, int64_t *offset, struct err *err)
{
	(void)err;
	*offset = ((struct bench *)arg)->offset;
	return 0;
}

static int on_take(void *arg, const cJSON *updates, size_t *fresh, struct err *err)
{
	struct bench *b = arg;
	if (b->fail_take-- > 0)
		return err_set(err, ERR_IO, "disk full");
	const cJSON *u;
	cJSON_ArrayForEach(u, updates)
	{
		b->taken++;
		*fresh += !b->known;
		b->offset = json_int(u, "update_id", 0) + 1;
	}
	return 0;
}

static void on_changed(void *arg, enum poller_state state, const char *reason)
{
	struct bench *b = arg;
	assert_non_null(reason);
	if (b->n_seen < ARRAY_LEN(b->seen))
		b->seen[b->n_seen++] = state;
}

static void on_refused(void *arg, const char *description)
{
	struct bench *b = arg;
	snprintf(b->refused, sizeof(b->refused), "%s", description);
}

static const struct poller_options quick = {.hold_s = 1,
                                            .idle_floor_ms = 40,
                                            .first_retry_ms = 2,
                                            .longest_retry_ms = 10,
                                            .conflicts = 3,
                                            .conflict_ms = 2};

static void bench_open(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	assert_ok(loop_open(&b->loop, err));
	fake_open(&b->fake, b->loop);
	assert_ok(api_open(&b->api, b->loop, b->fake.url, FAKE_TOKEN, err));
}

static void bench_start(struct bench *b, const struct poller_options *options)
{
	static const struct poller_events events = {
	        .offset = on_offset, .take = on_take, .changed = on_changed, .refused = on_refused};
	b->poller = poller_start(b->loop, b->api, options, &events, b);
}

static void bench_close(struct bench *b)
{
	poller_stop(b->poller);
	api_close(b->api);
	fake_close(&b->fake);
	loop_close(b->loop);
}

static bool polls_reached(void *arg)
{
	struct bench *b = arg;
	return fake_count(&b->fake, "getUpdates") >= b->want_polls;
}

static bool stood_down(void *arg)
{
	return poller_state(((struct bench *)arg)->poller) == POLLER_STOOD_DOWN;
}

static bool saw(const struct bench *b, enum poller_state state)
{
	for (size_t i = 0; i < b->n_seen; i++)
		if (b->seen[i] == state)
			return true;
	return false;
}

static void updates_are_taken_then_acknowledged(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b);
	fake_on(&b.fake, "getUpdates", 200,
	        "{\"ok\":true,\"result\":[{\"update_id\":41},{\"update_id\":42}]}");
	bench_start(&b, &quick);
	b.want_polls = 2;
	fake_run(&b.fake, polls_reached, &b);
	assert_int_equal(b.taken, 2);
	const cJSON *first = b.fake.calls[0].body, *second = b.fake.calls[1].body;
	assert_null(json_at(first, "offset"));
	assert_int_equal(json_int(second, "offset", 0), 43);
	assert_int_equal(json_int(second, "timeout", 0), 1);
	assert_true(b.fake.calls[1].at - b.fake.calls[0].at < 40); /* no floor after updates */
	assert_int_equal(poller_state(b.poller), POLLER_RUNNING);
	bench_close(&b);
}

static bool running(void *arg)
{
	return poller_state(((struct bench *)arg)->poller) == POLLER_RUNNING;
}

static bool polled_twice(void *arg)
{
	return fake_count(&((struct bench *)arg)->fake, "getUpdates") == 2;
}

static int64_t asked_to_hold(struct bench *b, size_t k)
{
	return json_int(b->fake.calls[fake_nth(&b->fake, "getUpdates", k)].body, "timeout", -1);
}

/* With nothing to tell, the server answers a held poll after half a minute only: the first one tells whether polling works. */
static void only_the_first_poll_is_not_held(void **state)
{
	(void)state;
	static const struct poller_options patient = {.hold_s = 30, .idle_floor_ms = 60000};
	struct bench b;
	bench_open(&b);
	fake_on(&b.fake, "getUpdates", 200, "{\"ok\":true,\"result\":[]}");
	fake_on(&b.fake, "getUpdates", FAKE_HOLD, NULL);
	bench_start(&b, &patient);
	fake_run(&b.fake, running, &b);
	fake_run(&b.fake, polled_twice, &b);
	assert_int_equal(asked_to_hold(&b, 0), 0);
	assert_int_equal(asked_to_hold(&b, 1), 30);
	bench_close(&b);
}

/* Every fault that passes: the bot is polling again afterwards. */
static void faults_pass(void **state)
{
	static const struct {
		int status;
		const char *body;
	} faults[] = {
	        {500, "{\"ok\":false,\"error_code\":500,\"description\":\"Internal\"}"},
	        {502, "<html>Bad Gateway</html>"},
	        {200, "<html>Welcome to the hotel's network</html>"},
	        {200, "{\"ok\":true,\"result\":{}}"},
	        {200, "{\"ok\":true}"},
	        {200, "{\"result\":[]}"},
	        {200, "{\"ok\":true,\"result\":[{\"upd"},
	        {200, ""},
	        {500, "{\"error\":\"unknown method\"}"},
	        {400, "{\"ok\":false,\"error_code\":400,\"description\":\"Bad Request: something\"}"},
	        {401,
	         "{\"ok\":false,\"error_code\":401,\"description\":\"Unauthorized\"}"}, /* once is a stumble */
	        {409, "{\"ok\":false,\"error_code\":409,\"description\":\"Conflict: terminated by other "
	              "getUpdates request\"}"},
	        {FAKE_DROP, NULL},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		struct bench b;
		bench_open(&b);
		fake_on(&b.fake, "getUpdates", 200, "{\"ok\":true,\"result\":[{\"update_id\":1}]}");
		fake_on(&b.fake, "getUpdates", faults[i].status, faults[i].body);
		fake_on(&b.fake, "getUpdates", 200, "{\"ok\":true,\"result\":[{\"update_id\":2}]}");
		bench_start(&b, &quick);
		b.want_polls = 4;
		fake_run(&b.fake, polls_reached, &b);
		if (b.taken != 2 || poller_state(b.poller) != POLLER_RUNNING)
			fail_msg("fault %zu: %zu taken, %s", i, b.taken,
			         poller_state_name(poller_state(b.poller)));
		assert_string_equal(poller_reason(b.poller), "");
		bench_close(&b);
	}
}

static void flood_is_obeyed(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b);
	fake_on(&b.fake, "getUpdates", 429,
	        "{\"ok\":false,\"error_code\":429,\"description\":\"Too Many Requests: retry after 1\","
	        "\"parameters\":{\"retry_after\":1}}");
	bench_start(&b, &quick);
	b.want_polls = 2;
	fake_run(&b.fake, polls_reached, &b);
	assert_true(b.fake.calls[1].at - b.fake.calls[0].at >= 990);
	bench_close(&b);
}

static void conflict_stands_down(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b);
	for (int i = 0; i < 10; i++)
		fake_on(&b.fake, "getUpdates", 409,
		        "{\"ok\":false,\"error_code\":409,\"description\":\"Conflict: terminated by other "
		        "getUpdates request\"}");
	bench_start(&b, &quick);
	fake_run(&b.fake, stood_down, &b);
	assert_int_equal(fake_count(&b.fake, "getUpdates"), 4);
	assert_non_null(strstr(poller_reason(b.poller), "another program polls"));
	assert_true(saw(&b, POLLER_CONFLICT));
	assert_int_equal(b.refused[0], 0);
	bench_close(&b);
}

static void webhook_is_removed(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b);
	fake_on(&b.fake, "getUpdates", 409,
	        "{\"ok\":false,\"error_code\":409,\"description\":\"Conflict: can't use getUpdates method "
	        "while webhook is "
	        "active; use deleteWebhook to delete the webhook first\"}");
	bench_start(&b, &quick);
	b.want_polls = 2;
	fake_run(&b.fake, polls_reached, &b);
	assert_int_equal(fake_count(&b.fake, "deleteWebhook"), 1);
	bench_close(&b);
}

static void revoked_token_stops(void **state)
{
	static const struct {
		int status;
		const char *body;
	} answers[] = {{401, "{\"ok\":false,\"error_code\":401,\"description\":\"Unauthorized\"}"},
	               {404, "{\"ok\":false,\"error_code\":404,\"description\":\"Not Found\"}"}};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct bench b;
		bench_open(&b);
		fake_on(&b.fake, "getUpdates", answers[i].status, answers[i].body);
		fake_on(&b.fake, "getUpdates", answers[i].status, answers[i].body);
		bench_start(&b, &quick);
		fake_run(&b.fake, stood_down, &b);
		assert_true(b.refused[0] != 0);
		assert_int_equal(fake_count(&b.fake, "getUpdates"), 2);
		bench_close(&b);
	}
}

/* A server that answers at once with nothing, or with what we have seen: at most one poll per floor. */
static void hasty_server_makes_no_busy_loop(void **state)
{
	static const char *const answers[] = {"{\"ok\":true,\"result\":[]}",
	                                      "{\"ok\":true,\"result\":[{\"update_id\":7}]}"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct bench b;
		bench_open(&b);
		b.known = true;
		for (int k = 0; k < 5; k++)
			fake_on(&b.fake, "getUpdates", 200, answers[i]);
		bench_start(&b, &quick);
		b.want_polls = 5;
		int64_t began = clock_mono_ms();
		fake_run(&b.fake, polls_reached, &b);
		assert_true(clock_mono_ms() - began >= 3 * 35); /* the first, unheld one has none */
		bench_close(&b);
	}
}

/* What cannot be kept is not acknowledged. */
static void failed_journal_asks_again(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b);
	b.fail_take = 2;
	for (int k = 0; k < 3; k++)
		fake_on(&b.fake, "getUpdates", 200, "{\"ok\":true,\"result\":[{\"update_id\":9}]}");
	bench_start(&b, &quick);
	b.want_polls = 4;
	fake_run(&b.fake, polls_reached, &b);
	assert_int_equal(b.taken, 1);
	assert_null(json_at(b.fake.calls[2].body, "offset"));
	assert_int_equal(json_int(b.fake.calls[3].body, "offset", 0), 10);
	bench_close(&b);
}

static void nothing_follows_a_stop(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b);
	bench_start(&b, &quick);
	b.want_polls = 1;
	fake_run(&b.fake, polls_reached, &b);
	bench_close(&b); /* with a poll held */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(updates_are_taken_then_acknowledged),
	        cmocka_unit_test(only_the_first_poll_is_not_held),
	        cmocka_unit_test(faults_pass),
	        cmocka_unit_test(flood_is_obeyed),
	        cmocka_unit_test(conflict_stands_down),
	        cmocka_unit_test(webhook_is_removed),
	        cmocka_unit_test(revoked_token_stops),
	        cmocka_unit_test(hasty_server_makes_no_busy_loop),
	        cmocka_unit_test(failed_journal_asks_again),
	        cmocka_unit_test(nothing_follows_a_stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
