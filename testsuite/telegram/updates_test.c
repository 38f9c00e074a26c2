#include "testsuite/telegram/harness.h"

static void offsets_confirm_and_negative_ones_forget(void **state)
{
	char body[96];

	(void)state;
	int64_t first = said("1");
	for (int i = 2; i <= 5; i++)
		said("n");
	assert_int_equal(updates("{}"), 5);
	assert_int_equal(updates("{\"offset\":1}"), 5); /* out of range: confirms nothing */
	snprintf(body, sizeof(body), "{\"offset\":%lld,\"limit\":2}", (long long)first);
	assert_int_equal(updates(body), 2);
	snprintf(body, sizeof(body), "{\"offset\":%lld}", (long long)first + 2);
	assert_int_equal(updates(body), 3);
	snprintf(body, sizeof(body), "{\"offset\":%lld}", (long long)first + 3);
	assert_int_equal(updates(body), 2);
	assert_int_equal(updates("{\"offset\":-1}"), 1);
	snprintf(body, sizeof(body), "{\"offset\":%lld}", (long long)first + 5);
	assert_int_equal(updates(body), 0);
}

static void same_offset_is_slowed_down(void **state)
{
	(void)state;
	assert_int_equal(updates("{\"offset\":7}"), 0);
	int64_t before = clock_mono_ms();
	assert_int_equal(updates("{\"offset\":7}"), 0);
	assert_in_range(clock_mono_ms() - before, 2900, 4500);
	said("a");
	said("b");
	assert_int_equal(updates("{\"offset\":8}"), 2);
	assert_int_equal(updates("{\"offset\":8}"), 1); /* and one at a time */
}

struct poll {
	pthread_t thread;
	const char *body;
	cJSON *json;
	long status;
	int64_t took_ms;
};

static void *poll_thread(void *arg)
{
	struct poll *p = arg;
	int64_t before = clock_mono_ms();

	p->status = call("getUpdates", p->body, &p->json);
	p->took_ms = clock_mono_ms() - before;
	return NULL;
}

static void poll_start(struct poll *p, const char *body)
{
	*p = (struct poll){.body = body};
	assert_int_equal(pthread_create(&p->thread, NULL, poll_thread, p), 0);
}

static cJSON *poll_end(struct poll *p)
{
	pthread_join(p->thread, NULL);
	return p->json;
}

/* Until the server has so many getUpdates calls in its books: they wait there. */
static void await_polls(int64_t n)
{
	struct err err;

	for (int64_t seen = 0; seen < n;) {
		cleanup_json cJSON *state = user_api_get(server.api, "/user/state", &err);
		seen = json_int(state, "calls.getUpdates", 0);
	}
}

static void long_poll_waits_and_wakes(void **state)
{
	struct poll p;

	(void)state;
	poll_start(&p, "{\"timeout\":30}");
	await_polls(1);
	said("wake up");
	cleanup_json cJSON *json = poll_end(&p);
	assert_int_equal(p.status, 200);
	assert_in_range(p.took_ms, 0, 5000);
	assert_string_equal(json_text(json, "result.0.message.text"), "wake up");
	int64_t before = clock_mono_ms();
	assert_int_equal(updates("{\"timeout\":1,\"offset\":-1}"), 1);
	char body[64];
	snprintf(body, sizeof(body), "{\"timeout\":1,\"offset\":%lld}",
	         (long long)json_int(json, "result.0.update_id", 0) + 1);
	assert_int_equal(updates(body), 0);
	assert_in_range(clock_mono_ms() - before, 900, 4500);
}

static void second_poller_ends_the_older(void **state)
{
	struct poll older, newer;

	(void)state;
	poll_start(&older, "{\"timeout\":30}");
	await_polls(1);
	poll_start(&newer, "{\"timeout\":30}");
	cleanup_json cJSON *conflict = poll_end(&older);
	assert_int_equal(older.status, 409);
	assert_string_equal(json_text(conflict, "description"),
	                    "Conflict: terminated by other getUpdates request; make sure that only one bot "
	                    "instance is running");
	await_polls(2);
	said("for the newer");
	cleanup_json cJSON *json = poll_end(&newer);
	assert_int_equal(newer.status, 200);
	assert_string_equal(json_text(json, "result.0.message.text"), "for the newer");
}

static void webhook_excludes_polling(void **state)
{
	struct poll p;

	(void)state;
	poll_start(&p, "{\"timeout\":30}");
	await_polls(1);
	done("setWebhook", "{\"url\":\"https://example.org/x\"}");
	cleanup_json cJSON *ended = poll_end(&p);
	assert_int_equal(p.status, 409);
	assert_string_equal(json_text(ended, "description"), "Conflict: terminated by setWebhook request");
	expect("getUpdates", "{}", 409,
	       "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete "
	       "the webhook first");
	cleanup_json cJSON *info = ok("getWebhookInfo", "{}");
	assert_string_equal(json_text(info, "result.url"), "https://example.org/x");
	cleanup_json cJSON *gone_json = ok("deleteWebhook", "{\"drop_pending_updates\":true}");
	assert_string_equal(json_text(gone_json, "description"), "Webhook was deleted");
	done("getUpdates", "{}");
}

static void many_pollers_and_senders_at_once(void **state)
{
	struct poll p[8];
	int conflicts = 0, fine = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		poll_start(&p[i], "{\"timeout\":20}");
	await_polls(ARRAY_LEN(p));
	said("to one of them");
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		cJSON_Delete(poll_end(&p[i]));
		conflicts += p[i].status == 409;
		fine += p[i].status == 200;
	}
	assert_int_equal(fine, 1);
	assert_int_equal(conflicts, ARRAY_LEN(p) - 1);
}

static void allowed_updates_persist(void **state)
{
	(void)state;
	done("getUpdates", "{\"allowed_updates\":[\"callback_query\"]}");
	assert_int_equal(said("not wanted"), 0);
	assert_int_equal(stop(SIGTERM), 0);
	start(false);
	assert_int_equal(said("still not"), 0);
	done("getUpdates", "{\"allowed_updates\":[]}");
	assert_true(said("wanted") > 0);
	assert_int_equal(updates("{}"), 1);
}

static void restart_keeps_updates_chats_and_messages(void **state)
{
	(void)state;
	int64_t first = said("before the crash");
	int64_t message = sent("{\"chat_id\":1001,\"text\":\"progress\"}");
	stop(SIGKILL);
	start(false);
	cleanup_json cJSON *got = ok("getUpdates", "{}");
	assert_int_equal(json_int(got, "result.0.update_id", 0), first);
	cleanup_free char *edit =
	        mem_printf("{\"chat_id\":1001,\"message_id\":%lld,\"text\":\"done\"}", (long long)message);
	done("editMessageText", edit);
	assert_int_equal(said("after"), first + 1);
	assert_true(sent("{\"chat_id\":1001,\"text\":\"x\"}") > message);
}

static void injected_updates_come_as_they_are(void **state)
{
	(void)state;
	cJSON_Delete(person("/user/update", "{\"update\":{\"strange_kind\":{\"a\":[1]}}}"));
	cJSON_Delete(person("/user/update", "{\"update\":{\"channel_post\":{\"message_id\":1,\"chat\":{"
	                                    "\"id\":-1005,\"type\":\"channel\"}}}}"));
	cJSON_Delete(person("/user/update", "{\"update\":\"not even an object\"}"));
	cleanup_json cJSON *got = ok("getUpdates", "{}");
	assert_int_equal(cJSON_GetArraySize(json_at(got, "result")), 3);
	assert_int_equal(json_int(got, "result.0.strange_kind.a.0", 0), 1);
	assert_int_equal(json_int(got, "result.1.update_id", 0), json_int(got, "result.0.update_id", 0) + 1);
	assert_true(cJSON_IsString(json_at(got, "result.2")));
	done("sendMessage", "{\"chat_id\":-1005,\"text\":\"known now\"}");
	refused("/user/update", "{}");
}

static void repeated_and_restarted_ids(void **state)
{
	char body[128];

	(void)state;
	int64_t id = said("once");
	snprintf(body, sizeof(body), "{\"offset\":%lld}", (long long)id + 1);
	assert_int_equal(updates(body), 0);
	cleanup_free char *again =
	        mem_printf("{\"update\":{\"update_id\":%lld,\"message\":{}}}", (long long)id);
	cJSON_Delete(person("/user/update", again));
	assert_int_equal(said("next"), id + 1);
	snprintf(body, sizeof(body), "{\"offset\":%lld,\"timeout\":1}", (long long)id + 1);
	cleanup_json cJSON *got = ok("getUpdates", body);
	assert_int_equal(json_int(got, "result.0.update_id", 0), id); /* repeated although confirmed */
	snprintf(body, sizeof(body), "{\"offset\":%lld}", (long long)id + 2);
	assert_int_equal(updates(body), 0);
	cJSON_Delete(person("/user/update", "{\"update\":{\"update_id\":50,\"message\":{}}}"));
	assert_int_equal(said("after the restart of ids"), 51);
	assert_int_equal(updates("{\"offset\":100000}"), 2); /* out of range now */
	assert_int_equal(updates("{\"offset\":51}"), 1);
}

static void faults_strike_as_ordered(void **state)
{
	struct http_reply reply = {0};

	(void)state;
	said("hi");
	order("{\"method\":\"sendMessage\",\"times\":2,\"error_code\":500}");
	expect("sendMessage", "{\"chat_id\":1001,\"text\":\"x\"}", 500, "Internal Server Error");
	expect("sendmessage", "{\"chat_id\":1001,\"text\":\"x\"}", 500, "Internal Server Error");
	done("sendMessage", "{\"chat_id\":1001,\"text\":\"x\"}");
	order("{\"method\":\"getMe\",\"retry_after\":3}");
	cleanup_json cJSON *flood = NULL;
	assert_int_equal(call("getMe", "{}", &flood), 429);
	assert_int_equal(json_int(flood, "parameters.retry_after", 0), 3);
	order("{\"method\":\"*\",\"drop\":true}");
	assert_int_equal(call("getMe", "{}", NULL), 0);
	order("{\"method\":\"getMe\",\"html\":true}");
	cleanup_free char *url = url_of("/bot" TOKEN "/getMe");
	assert_int_equal(fetch(&(struct http_request){.url = url}, NULL, &reply), 502);
	assert_non_null(strstr(reply.body, "<html>"));
	http_reply_free(&reply);
	order("{\"method\":\"getMe\",\"delay_ms\":300}");
	int64_t before = clock_mono_ms();
	done("getMe", "{}");
	assert_in_range(clock_mono_ms() - before, 290, 5000);
	order("{\"method\":\"sendMessage\",\"error_code\":400,\"description\":\"Bad Request: group chat was "
	      "upgraded to a "
	      "supergroup chat\",\"migrate_to_chat_id\":-1000000000001}");
	cleanup_json cJSON *moved = NULL;
	assert_int_equal(call("sendMessage", "{\"chat_id\":1001,\"text\":\"x\"}", &moved), 400);
	assert_int_equal(json_int(moved, "parameters.migrate_to_chat_id", 0), -1000000000001);
	refused("/user/fault", "{\"times\":1}");
}

static void fault_after_effect_has_the_effect(void **state)
{
	struct err err;

	(void)state;
	order("{\"method\":\"getUpdates\",\"error_code\":502,\"after_effect\":true}");
	int64_t before = clock_mono_ms();
	expect("getUpdates", "{\"timeout\":9}", 502, "Bad Gateway"); /* and nothing goes on waiting */
	assert_in_range(clock_mono_ms() - before, 0, 5000);
	said("hi");
	order("{\"method\":\"sendMessage\",\"drop\":true,\"after_effect\":true}");
	assert_int_equal(call("sendMessage", "{\"chat_id\":1001,\"text\":\"arrived\"}", NULL), 0);
	cleanup_json cJSON *events = user_api_events(server.api, ANNA, 1, 0, &err);
	assert_string_equal(json_text(events, "events.0.message.text"), "arrived");
	order("{\"method\":\"getUpdates\",\"error_code\":502,\"after_effect\":true}");
	expect("getUpdates", "{\"offset\":-1,\"timeout\":9}", 502, "Bad Gateway");
	order("{\"method\":\"getUpdates\",\"error_code\":502,\"times\":9}");
	order("{\"method\":\"getUpdates\",\"times\":0}");
	assert_int_equal(updates("{\"offset\":-1}"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(offsets_confirm_and_negative_ones_forget),
	        TEST(same_offset_is_slowed_down),
	        TEST(long_poll_waits_and_wakes),
	        TEST(second_poller_ends_the_older),
	        TEST(webhook_excludes_polling),
	        TEST(many_pollers_and_senders_at_once),
	        TEST(allowed_updates_persist),
	        TEST(restart_keeps_updates_chats_and_messages),
	        TEST(injected_updates_come_as_they_are),
	        TEST(repeated_and_restarted_ids),
	        TEST(faults_strike_as_ordered),
	        TEST(fault_after_effect_has_the_effect),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
