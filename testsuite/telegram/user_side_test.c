#include "testsuite/telegram/harness.h"

static void shapes_of_message_and_update(void **state)
{
	(void)state;
	cJSON_Delete(
	        person("/user/message",
	               "{\"user\":1002,\"name\":\"Boris\",\"language\":\"ru\",\"text\":\"/start now\"}"));
	cleanup_json cJSON *got = ok("getUpdates", "{}");
	const cJSON *m = json_at(got, "result.0.message");
	assert_in_range(json_int(got, "result.0.update_id", 0), 100000000, 900000000);
	assert_int_equal(json_int(m, "from.id", 0), BORIS);
	assert_string_equal(json_text(m, "from.first_name"), "Boris");
	assert_string_equal(json_text(m, "from.language_code"), "ru");
	assert_false(json_bool(m, "from.is_bot", true));
	assert_string_equal(json_text(m, "chat.type"), "private");
	assert_string_equal(json_text(m, "entities.0.type"), "bot_command");
	assert_int_equal(json_int(m, "entities.0.length", 0), 6);
	cleanup_json cJSON *group =
	        person("/user/message", "{\"user\":1002,\"chat\":-1000000000077,\"text\":\"in a group\"}");
	assert_int_equal(json_int(group, "chat", 0), -1000000000077);
	cleanup_json cJSON *chat = ok("getChat", "{\"chat_id\":\"-1000000000077\"}");
	assert_string_equal(json_text(chat, "result.type"), "supergroup");
	cleanup_json cJSON *reply =
	        ok("sendMessage", "{\"chat_id\":1002,\"text\":\"a <i>b</i>\",\"parse_mode\":\"HTML\","
	                          "\"message_thread_id\":5,\"reply_parameters\":{\"message_id\":1}}");
	assert_string_equal(json_text(reply, "result.text"), "a b");
	assert_int_equal(json_int(reply, "result.message_thread_id", 0), 5);
	assert_string_equal(json_text(reply, "result.reply_to_message.text"), "/start now");
	refused("/user/message", "{\"user\":1002,\"chat\":1001,\"text\":\"as another\"}");
	refused("/user/message", "{\"user\":0,\"text\":\"x\"}");
	refused("/user/message", "{\"user\":1002}");
	refused("/user/message", "{\"user\":1002,\"text\":\"x\",\"edit\":12345}");
}

static void blocked_bot_gets_403(void **state)
{
	(void)state;
	said("hi");
	cJSON_Delete(person("/user/block", "{\"user\":1001,\"blocked\":true}"));
	expect("sendMessage", "{\"chat_id\":1001,\"text\":\"x\"}", 403,
	       "Forbidden: bot was blocked by the user");
	expect("sendChatAction", "{\"chat_id\":1001,\"action\":\"typing\"}", 403,
	       "Forbidden: bot was blocked by the user");
	cleanup_json cJSON *got = ok("getUpdates", "{\"offset\":-1}");
	assert_string_equal(json_text(got, "result.0.my_chat_member.new_chat_member.status"), "kicked");
	said("back again");
	done("sendMessage", "{\"chat_id\":1001,\"text\":\"x\"}");
	refused("/user/block", "{\"user\":1001}");
}

static void events_tell_what_happened(void **state)
{
	struct err err;

	(void)state;
	said("hi");
	cJSON_Delete(person("/user/message", "{\"user\":1002,\"text\":\"other chat\"}"));
	int64_t id = sent("{\"chat_id\":1001,\"text\":\"<b>x</b>\",\"parse_mode\":\"HTML\"}");
	cleanup_free char *edit =
	        mem_printf("{\"chat_id\":1001,\"message_id\":%lld,\"text\":\"y\"}", (long long)id);
	done("editMessageText", edit);
	done("sendChatAction", "{\"chat_id\":1001,\"action\":\"typing\"}");
	cleanup_free char *react =
	        mem_printf("{\"chat_id\":1001,\"message_id\":%lld,\"reaction\":[{\"type\":\"emoji\","
	                   "\"emoji\":\"\xf0\x9f\x91\x8d\"}]}",
	                   (long long)id);
	done("setMessageReaction", react);
	cleanup_free char *one = mem_printf("{\"chat_id\":1001,\"message_id\":%lld}", (long long)id);
	done("deleteMessage", one);
	cleanup_json cJSON *all = user_api_events(server.api, 0, 0, 0, &err);
	cleanup_json cJSON *some = user_api_events(server.api, ANNA, 0, 0, &err);
	assert_int_equal(cJSON_GetArraySize(json_at(all, "events")), 7);
	static const char *const types[] = {"message", "message", "edit", "action", "reaction", "delete"};
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		assert_string_equal(json_text(cJSON_GetArrayItem(json_at(some, "events"), (int)i), "type"),
		                    types[i]);
	assert_string_equal(json_text(some, "events.0.from"), "user");
	assert_string_equal(json_text(some, "events.1.message.text"), "x");
	assert_string_equal(json_text(some, "events.1.message.html"), "<b>x</b>");
	int64_t last = json_int(all, "last", 0);
	cleanup_json cJSON *none = user_api_events(server.api, 0, -1, 0, &err);
	assert_int_equal(json_int(none, "last", 0), last);
	assert_int_equal(cJSON_GetArraySize(json_at(none, "events")), 0);
	int64_t before = clock_mono_ms();
	cleanup_json cJSON *waited = user_api_events(server.api, BORIS, last, 1, &err);
	assert_int_equal(cJSON_GetArraySize(json_at(waited, "events")), 0);
	assert_in_range(clock_mono_ms() - before, 900, 5000);
}

struct listen {
	pthread_t thread;
	cJSON *json;
};

static void *listen_thread(void *arg)
{
	struct listen *l = arg;
	struct err err;

	l->json = user_api_events(server.api, ANNA, 1, 30, &err);
	return NULL;
}

static void events_wake_who_waits(void **state)
{
	struct listen l[4];

	(void)state;
	said("hi");
	for (size_t i = 0; i < ARRAY_LEN(l); i++)
		assert_int_equal(pthread_create(&l[i].thread, NULL, listen_thread, &l[i]), 0);
	int64_t before = clock_mono_ms();
	sent("{\"chat_id\":1001,\"text\":\"news\"}");
	for (size_t i = 0; i < ARRAY_LEN(l); i++) {
		pthread_join(l[i].thread, NULL);
		assert_string_equal(json_text(l[i].json, "events.0.message.text"), "news");
		cJSON_Delete(l[i].json);
	}
	assert_in_range(clock_mono_ms() - before, 0, 5000);
}

static void user_side_needs_the_key(void **state)
{
	static const struct {
		const char *path, *header;
		long status;
	} cases[] = {
	        {"/user/state", NULL, 401},
	        {"/user/state?key=wrong", NULL, 401},
	        {"/user/state", "Authorization: Bearer ", 401},
	        {"/user/state", "Cookie: key=" KEY, 401},
	        {"/user/state?key=" KEY, NULL, 200},
	        {"/user/state", "Authorization: Bearer " KEY, 200},
	        {"/user/state?key=" KEY, "Origin: http://evil.example", 403},
	        {"/user/state?key=" KEY, "Origin: null", 403},
	        {"/user/state?key=" KEY, "Host: evil.example", 403},
	        {"/user/state?key=" KEY, "Host: localhost:1", 200},
	        {"/user/state?key=" KEY, "Host: [::1]:1", 200},
	        {"/user/nothing?key=" KEY, NULL, 404},
	        {"/user/message?key=" KEY, NULL, 405},
	        {"/user/file?id=x&key=" KEY, NULL, 404},
	        {"/health", NULL, 200},
	        {"/metrics", NULL, 200},
	        {"/", NULL, 200},
	        {"/", "Host: evil.example", 403},
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *headers[] = {cases[i].header, NULL};
		long status = fetch_with(cases[i].path, headers);
		if (status != cases[i].status)
			print_message("%s %s\n", cases[i].path, cases[i].header ? cases[i].header : "");
		assert_int_equal(status, cases[i].status);
	}
	cleanup_free char *base = url_of("");
	struct user_api *stranger = user_api_new(base, "wrong");
	assert_null(user_api_get(stranger, "/user/state", &err));
	assert_int_equal(err.code, ERR_DENIED);
	user_api_free(stranger);
	struct user_api *nowhere = user_api_new("http://127.0.0.1:1", KEY);
	assert_null(user_api_get(nowhere, "/user/state", &err));
	assert_int_equal(err.code, ERR_NET);
	user_api_free(nowhere);
}

static void user_side_refuses_malformed_bodies(void **state)
{
	static const char *const bodies[] = {
	        "", "{", "[]", "7", "{}", "{\"user\":\"x\"}", "\xff\xfe", "{\"user\":1e99}"};
	static const char *const paths[] = {"/user/message", "/user/press", "/user/update", "/user/block",
	                                    "/user/fault"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		cleanup_free char *path = mem_printf("%s?key=" KEY, paths[i]), *url = url_of(path);
		for (size_t j = 0; j < ARRAY_LEN(bodies); j++) {
			struct http_request request = {.method = "POST",
			                               .url = url,
			                               .content_type = "application/json",
			                               .body = bodies[j],
			                               .body_len = strlen(bodies[j])};
			assert_int_equal(fetch(&request, NULL, NULL), 400);
		}
		cleanup_free char *huge = mem_alloc(2u << 20);
		memset(huge, ' ', (2u << 20) - 1);
		struct http_request request = {.method = "POST",
		                               .url = url,
		                               .content_type = "application/json",
		                               .body = huge,
		                               .body_len = 2u << 20};
		assert_int_equal(fetch(&request, NULL, NULL), 413);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(shapes_of_message_and_update), TEST(blocked_bot_gets_403),
	        TEST(events_tell_what_happened),    TEST(events_wake_who_waits),
	        TEST(user_side_needs_the_key),      TEST(user_side_refuses_malformed_bodies),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
