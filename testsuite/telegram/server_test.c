#include "testsuite/telegram/harness.h"

static void addresses_and_bodies(void **state)
{
	static const char *const paths[] = {"/bot" TOKEN "/getme", "/bot" TOKEN "/GETME",
	                                    "/bot" TOKEN "/getMe?x=1"};
	static const struct {
		const char *path;
		long status;
		const char *description;
	} wrong[] = {{"/bot" TOKEN "/noSuchMethod", 404, "Not Found"},
	             {"/bot" TOKEN "/", 404, "Not Found"},
	             {"/bot" TOKEN, 404, "Not Found"},
	             {"/bot1:x/getMe", 401, "Unauthorized"},
	             {"/bot/getMe", 404, "Not Found"},
	             {"/botx/getMe", 404, "Not Found"},
	             {"/nothing", 404, "Not Found"},
	             {"/file/bot" TOKEN "/documents/file_1", 404, "Not Found"},
	             {"/file/bot" TOKEN "/../telegram.db", 404, "Not Found"},
	             {"/file/bot1:x/y", 401, "Unauthorized"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		cleanup_json cJSON *json = NULL;
		cleanup_free char *url = url_of(paths[i]);
		assert_int_equal(fetch(&(struct http_request){.url = url}, &json, NULL), 200);
		assert_int_equal(json_int(json, "result.id", 0), 4242);
		assert_true(json_bool(json, "result.is_bot", false));
		assert_string_equal(json_text(json, "result.username"), "x_bot");
	}
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		cleanup_json cJSON *json = NULL;
		cleanup_free char *url = url_of(wrong[i].path);
		assert_int_equal(fetch(&(struct http_request){.url = url}, &json, NULL), wrong[i].status);
		assert_string_equal(json_text(json, "description"), wrong[i].description);
	}
	said("hi");
	cleanup_free char *get = url_of("/bot" TOKEN "/sendMessage?chat_id=1001&text=by%20query");
	assert_int_equal(fetch(&(struct http_request){.url = get}, NULL, NULL), 200);
	cleanup_free char *url = url_of("/bot" TOKEN "/sendMessage");
	const char *form = "chat_id=1001&text=by+form%21";
	struct http_request post = {.url = url,
	                            .content_type = "application/x-www-form-urlencoded",
	                            .body = form,
	                            .body_len = strlen(form)};
	cleanup_json cJSON *json = NULL;
	assert_int_equal(fetch(&post, &json, NULL), 200);
	assert_string_equal(json_text(json, "result.text"), "by form!");
	struct http_part parts[] = {{.name = "chat_id", .data = "1001", .len = 4},
	                            {.name = "text", .data = "by parts", .len = 8}};
	assert_int_equal(fetch(&(struct http_request){.url = url, .parts = parts, .n_parts = 2}, NULL, NULL),
	                 200);
}

static void malformed_and_huge_bodies(void **state)
{
	cleanup_str struct str huge = STR_INIT;

	(void)state;
	expect("sendMessage", "[1]", 400, "Bad Request: JSON object expected");
	expect("sendMessage", "{\"chat_id\":", 400, NULL);
	expect("sendMessage", "{} trailing", 400, NULL);
	expect("getMe", "", 200, NULL);
	said("hi");
	expect("sendMessage", "{\"chat_id\":1001,\"text\":\"x\",\"parse_mode\":null}", 400,
	       "Bad Request: unsupported parse_mode");
	str_add(&huge, "{\"chat_id\":1001,\"text\":\"");
	for (int i = 0; i < 40000; i++)
		str_addc(&huge, 'x');
	cleanup_free char *long_text = mem_printf("%s\"}", str_text(&huge));
	expect("sendMessage", long_text, 400, "Bad Request: text is too long");
	for (int i = 0; i < 2000000; i++)
		str_addc(&huge, 'x');
	str_add(&huge, "\"}");
	expect("sendMessage", str_text(&huge), 413, "Request Entity Too Large: too much parameters");
	done("getMe", "{}");
}

static const struct {
	const char *method, *body, *description;
} refusals[] = {
        {"sendMessage", "{\"chat_id\":1001}", "message text is empty"},
        {"sendMessage", "{\"chat_id\":1001,\"text\":\"\"}", "message text is empty"},
        {"sendMessage", "{\"chat_id\":1001,\"text\":\" \\n \"}", "text must be non-empty"},
        {"sendMessage", "{\"chat_id\":1001,\"text\":\"<b></b>\",\"parse_mode\":\"HTML\"}",
         "text must be non-empty"},
        {"sendMessage", "{\"text\":\"x\"}", "chat_id is empty"},
        {"sendMessage", "{\"text\":\"x\",\"chat_id\":999}", "chat not found"},
        {"sendMessage", "{\"text\":\"x\",\"chat_id\":\"@nobody\"}", "chat not found"},
        {"sendMessage", "{\"chat_id\":1001,\"text\":\"<b>x\",\"parse_mode\":\"HTML\"}",
         "can't parse entities: Can't find end tag corresponding to start tag \"b\""},
        {"sendMessage", "{\"chat_id\":1001,\"text\":\"x\",\"parse_mode\":\"Text\"}",
         "unsupported parse_mode"},
        {"sendMessage", "{\"chat_id\":1001,\"text\":\"x\",\"reply_to_message_id\":99999}",
         "message to be replied not found"},
        {"sendMessage", "{\"chat_id\":1001,\"text\":\"x\",\"reply_markup\":\"{\"}",
         "can't parse reply keyboard markup JSON object"},
        {"sendMessage", "{\"chat_id\":1001,\"text\":\"x\",\"reply_markup\":[]}",
         "object expected as reply markup"},
        {"sendMessage", "{\"chat_id\":1001,\"text\":\"x\",\"reply_markup\":{\"inline_keyboard\":[7]}}",
         "field \"inline_keyboard\" of the InlineKeyboardMarkup must be an Array of Arrays"},
        {"sendMessage",
         "{\"chat_id\":1001,\"text\":\"x\",\"reply_markup\":{\"inline_keyboard\":[[{\"text\":\"b\"}]]"
         "}}",
         "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"},
        {"sendMessage",
         "{\"chat_id\":1001,\"text\":\"x\",\"reply_markup\":{\"inline_keyboard\":[[{\"callback_"
         "data\":\"b\"}]]}}",
         "can't parse inline keyboard button: Can't find field \"text\""},
        {"sendMessage",
         "{\"chat_id\":1001,\"text\":\"x\",\"reply_markup\":{\"inline_keyboard\":[[{\"text\":\"b\","
         "\"callback_data\":"
         "\"12345678901234567890123456789012345678901234567890123456789012345\"}]]}}",
         "BUTTON_DATA_INVALID"},
        {"sendMessage",
         "{\"chat_id\":1001,\"text\":\"x\",\"reply_markup\":{\"inline_keyboard\":[[{\"text\":\"b\","
         "\"callback_data\":\"\"}]]}}",
         "BUTTON_DATA_INVALID"},
        {"sendMessage",
         "{\"chat_id\":1001,\"text\":\"x\",\"reply_markup\":{\"inline_keyboard\":[[{\"text\":\"b\","
         "\"url\":\"http://localhost/\"}]]}}",
         "inline keyboard button URL 'http://localhost/' is invalid: Wrong HTTP URL"},
        {"editMessageText", "{\"text\":\"x\"}", "inline message identifier is not specified"},
        {"editMessageText", "{\"chat_id\":1001,\"message_id\":99999,\"text\":\"x\"}",
         "message to edit not found"},
        {"deleteMessage", "{\"chat_id\":1001}", "message identifier is not specified"},
        {"deleteMessage", "{\"chat_id\":1001,\"message_id\":99999}", "message to delete not found"},
        {"setMessageReaction", "{\"chat_id\":1001,\"message_id\":99999}", "message to react not found"},
        {"answerCallbackQuery", "{\"callback_query_id\":\"1\"}",
         "query is too old and response timeout expired or query ID is invalid"},
        {"sendChatAction", "{\"chat_id\":1001,\"action\":\"dance\"}", "wrong parameter action in request"},
        {"sendDocument", "{\"chat_id\":1001}", "there is no document in the request"},
        {"getFile", "{}", "file_id not specified"},
        {"getFile", "{\"file_id\":\"x\"}", "wrong file_id or the file is temporarily unavailable"},
        {"setWebhook", "{\"url\":\"http://x.org\"}",
         "bad webhook: An HTTPS URL must be provided for webhook"},
        {"setMyCommands", "{\"commands\":7}", "expected an Array of BotCommand"},
        {"setMyCommands", "{\"commands\":[{\"command\":\"Up\",\"description\":\"d\"}]}",
         "BOT_COMMAND_INVALID"},
        {"setMyCommands", "{\"commands\":[{\"command\":\"up\",\"description\":\"\"}]}",
         "command description must be non-empty"},
        {"setMyCommands", "{\"commands\":[{\"command\":\"up\"}]}",
         "can't parse BotCommand: Can't find field \"description\""},
        {"setMyCommands", "{\"commands\":[],\"language_code\":\"eng\"}", "invalid language code specified"},
        {"setMyCommands", "{\"commands\":[],\"scope\":{\"type\":\"x\"}}",
         "can't parse BotCommandScope: Unsupported type specified"},
};

static void errors_read_as_the_real_ones(void **state)
{

	(void)state;
	said("hi");
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		cleanup_free char *whole = mem_printf("Bad Request: %s", refusals[i].description);
		expect(refusals[i].method, refusals[i].body, 400, whole);
	}
}

static char *text_of(const char *piece, int times, const char *mode)
{
	cleanup_str struct str text = STR_INIT;

	for (int i = 0; i < times; i++)
		str_add(&text, piece);
	return mem_printf("{\"chat_id\":1001,\"parse_mode\":\"%s\",\"text\":\"<b>%s</b>\"}", mode,
	                  str_text(&text));
}

static void length_counts_utf16_after_parsing(void **state)
{
	static const struct {
		const char *piece;
		int times;
		bool fits;
	} cases[] = {{"x", 4096, true},
	             {"x", 4097, false},
	             {"\xd1\x8f", 4096, true},
	             {"\xd1\x8f", 4097, false},
	             {"\xf0\x9f\x98\x80", 2048, true},
	             {"\xf0\x9f\x98\x80", 2049, false}};

	(void)state;
	said("hi");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *body = text_of(cases[i].piece, cases[i].times, "HTML");
		expect("sendMessage", body, cases[i].fits ? 200 : 400,
		       cases[i].fits ? NULL : "Bad Request: message is too long");
	}
	cleanup_free char *plain = text_of("x", 4096 - 7, "");
	expect("sendMessage", plain, 200, NULL);
	cleanup_free char *over = text_of("x", 4096 - 6, "");
	expect("sendMessage", over, 400, "Bad Request: message is too long");
}

static void edits_and_buttons(void **state)
{
	(void)state;
	said("hi");
	int64_t id = sent(
	        "{\"chat_id\":1001,\"text\":\"one\",\"reply_markup\":{\"inline_keyboard\":[[{\"text\":\"B\","
	        "\"callback_data\":\"go\"}]]}}");
	cleanup_free char *same =
	        mem_printf("{\"chat_id\":1001,\"message_id\":%lld,\"text\":\"one\",\"reply_markup\":"
	                   "{\"inline_keyboard\":[[{\"text\":\"B\",\"callback_data\":\"go\"}]]}}",
	                   (long long)id);
	expect("editMessageText", same, 400,
	       "Bad Request: message is not modified: specified new message content and reply markup are "
	       "exactly the same "
	       "as a current content and reply markup of the message");
	cleanup_free char *press =
	        mem_printf("{\"user\":1001,\"message_id\":%lld,\"data\":\"go\"}", (long long)id);
	cleanup_free char *wrong =
	        mem_printf("{\"user\":1001,\"message_id\":%lld,\"data\":\"gone\"}", (long long)id);
	refused("/user/press", wrong);
	cleanup_json cJSON *pressed = person("/user/press", press);
	cleanup_json cJSON *got = ok("getUpdates", "{\"offset\":-1}");
	assert_string_equal(json_text(got, "result.0.callback_query.data"), "go");
	assert_string_equal(json_text(got, "result.0.callback_query.id"), json_text(pressed, "callback_id"));
	assert_string_equal(json_text(got, "result.0.callback_query.message.text"), "one");
	cleanup_free char *answer = mem_printf("{\"callback_query_id\":\"%s\",\"text\":\"fine\"}",
	                                       json_text(pressed, "callback_id"));
	done("answerCallbackQuery", answer);
	expect("answerCallbackQuery", answer, 400,
	       "Bad Request: query is too old and response timeout expired or query ID is invalid");
	cleanup_free char *edit =
	        mem_printf("{\"chat_id\":1001,\"message_id\":%lld,\"text\":\"two\"}", (long long)id);
	cleanup_json cJSON *edited = ok("editMessageText", edit);
	assert_string_equal(json_text(edited, "result.text"), "two");
	assert_null(json_at(edited, "result.reply_markup"));
	assert_non_null(json_at(edited, "result.edit_date"));
	refused("/user/press", press);
	cleanup_free char *users =
	        mem_printf("{\"chat_id\":1001,\"message_id\":%lld,\"text\":\"x\"}", (long long)id - 1);
	expect("editMessageText", users, 400, "Bad Request: message can't be edited");
	cleanup_free char *one = mem_printf("{\"chat_id\":1001,\"message_id\":%lld}", (long long)id);
	done("deleteMessage", one);
	expect("editMessageText", edit, 400, "Bad Request: message to edit not found");
}

static long upload(const char *method, const char *field, const char *name, const void *data, size_t len,
                   const char *caption, cJSON **json)
{
	cleanup_free char *path = mem_printf("/bot%s/%s", TOKEN, method), *url = url_of(path);
	struct http_part parts[] = {{.name = "chat_id", .data = "1001", .len = 4},
	                            {.name = "caption", .data = caption, .len = strlen(caption)},
	                            {.name = field, .filename = name, .data = data, .len = len}};

	return fetch(&(struct http_request){.url = url, .parts = parts, .n_parts = 3}, json, NULL);
}

static void documents_are_kept_and_given_back(void **state)
{
	static const char data[] = "line\0two";
	static const unsigned char png[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x20\x08\x02";
	struct http_reply reply = {0};
	char caption[1026];

	(void)state;
	said("hi");
	cleanup_json cJSON *json = NULL, *photo = NULL, *bad = NULL, *empty = NULL, *longer = NULL;
	assert_int_equal(
	        upload("sendDocument", "document", "../../etc/a.log", data, sizeof(data), "<b>c</b>", &json),
	        200);
	assert_string_equal(json_text(json, "result.document.file_name"), "a.log");
	assert_string_equal(json_text(json, "result.document.mime_type"), "text/plain");
	assert_int_equal(json_int(json, "result.document.file_size", 0), sizeof(data));
	const char *id = json_text(json, "result.document.file_id");
	cleanup_free char *body = mem_printf("{\"file_id\":\"%s\"}", id);
	cleanup_json cJSON *file = ok("getFile", body);
	cleanup_free char *path = mem_printf("/file/bot" TOKEN "/%s", json_text(file, "result.file_path"));
	cleanup_free char *url = url_of(path);
	assert_int_equal(fetch(&(struct http_request){.url = url}, NULL, &reply), 200);
	assert_int_equal(reply.len, sizeof(data));
	assert_memory_equal(reply.body, data, sizeof(data));
	http_reply_free(&reply);
	cleanup_free char *user_path = mem_printf("/user/file?key=" KEY "&id=%s", id);
	assert_int_equal(fetch_with(user_path, NULL), 200);
	cleanup_free char *again = mem_printf("{\"chat_id\":1001,\"document\":\"%s\"}", id);
	done("sendDocument", again);
	assert_int_equal(upload("sendPhoto", "photo", "p.png", png, sizeof(png), "", &photo), 200);
	assert_int_equal(json_int(photo, "result.photo.0.width", 0), 16);
	assert_int_equal(json_int(photo, "result.photo.0.height", 0), 32);
	assert_int_equal(upload("sendPhoto", "photo", "p.png", "no picture", 10, "", &bad), 400);
	assert_string_equal(json_text(bad, "description"), "Bad Request: IMAGE_PROCESS_FAILED");
	assert_int_equal(upload("sendDocument", "document", "e", "", 0, "", &empty), 400);
	memset(caption, 'c', sizeof(caption));
	caption[1025] = '\0';
	assert_int_equal(upload("sendDocument", "document", "x", "x", 1, caption, &longer), 400);
	assert_string_equal(json_text(longer, "description"), "Bad Request: message caption is too long");
}

static void oversized_uploads_are_refused(void **state)
{
	size_t len = (50u << 20) + 1;
	cleanup_free char *data = mem_alloc(len);
	cleanup_json cJSON *json = NULL;

	(void)state;
	said("hi");
	assert_int_equal(upload("sendDocument", "document", "big", data, len, "", &json), 413);
	cleanup_json cJSON *fits = NULL;
	assert_int_equal(upload("sendDocument", "document", "big", data, 21u << 20, "", &fits), 200);
	cleanup_free char *body =
	        mem_printf("{\"file_id\":\"%s\"}", json_text(fits, "result.document.file_id"));
	expect("getFile", body, 400, "Bad Request: file is too big");
}

static void commands_by_scope_and_language(void **state)
{
	struct err err;

	(void)state;
	done("setMyCommands", "{\"commands\":[{\"command\":\"/help\",\"description\":\"Help\"}]}");
	done("setMyCommands", "{\"commands\":[{\"command\":\"help\",\"description\":"
	                      "\"\xd0\x9f\xd0\xbe\xd0\xbc\"}],\"language_code\":\"ru\"}");
	cleanup_json cJSON *en = ok("getMyCommands", "{}"),
	                   *ru = ok("getMyCommands", "{\"language_code\":\"ru\"}");
	cleanup_json cJSON *de = ok("getMyCommands", "{\"language_code\":\"de\"}");
	assert_string_equal(json_text(en, "result.0.command"), "help");
	assert_string_equal(json_text(ru, "result.0.description"), "\xd0\x9f\xd0\xbe\xd0\xbc");
	assert_int_equal(cJSON_GetArraySize(json_at(de, "result")), 0);
	cleanup_json cJSON *shown = user_api_get(server.api, "/user/commands?language=de", &err);
	assert_string_equal(json_text(shown, "commands.0.description"), "Help");
	done("deleteMyCommands", "{\"language_code\":\"ru\"}");
	cleanup_json cJSON *left = user_api_get(server.api, "/user/commands?language=ru", &err);
	assert_string_equal(json_text(left, "commands.0.description"), "Help");
	cleanup_str struct str many = STR_INIT;
	for (int i = 0; i <= 100; i++)
		str_addf(&many, "%s{\"command\":\"c%d\",\"description\":\"d\"}", i ? "," : "", i);
	cleanup_free char *body = mem_printf("{\"commands\":[%s]}", str_text(&many));
	expect("setMyCommands", body, 400, "Bad Request: BOT_COMMANDS_TOO_MUCH");
}

static void no_flood_limits_by_default(void **state)
{
	(void)state;
	said("hi");
	for (int i = 0; i < 100; i++)
		done("sendMessage", "{\"chat_id\":1001,\"text\":\"x\"}");
}

static void flood_limits_when_on(void **state)
{
	int64_t wait_s = 0;

	(void)state;
	said("hi");
	for (int i = 0; i < 10 && wait_s == 0; i++) {
		cleanup_json cJSON *json = NULL;
		if (call("sendMessage", "{\"chat_id\":1001,\"text\":\"x\"}", &json) == 429)
			wait_s = json_int(json, "parameters.retry_after", 0);
	}
	assert_in_range(wait_s, 1, 2);
}

static void health_and_metrics(void **state)
{
	struct http_reply reply = {0};
	cleanup_free char *health = url_of("/health"), *metrics = url_of("/metrics");
	cleanup_json cJSON *json = NULL;

	(void)state;
	done("getMe", "{}");
	assert_int_equal(fetch(&(struct http_request){.url = health}, &json, NULL), 200);
	assert_string_equal(json_text(json, "status"), "healthy");
	assert_string_equal(json_text(json, "bot"), "x_bot");
	assert_int_equal(fetch(&(struct http_request){.url = metrics}, NULL, &reply), 200);
	assert_non_null(
	        strstr(reply.body, "codefoundry_telegram_requests_total{method=\"getMe\",code=\"200\"} 1"));
	assert_null(strstr(reply.body, TOKEN));
	http_reply_free(&reply);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(addresses_and_bodies),
	        TEST(malformed_and_huge_bodies),
	        TEST(errors_read_as_the_real_ones),
	        TEST(length_counts_utf16_after_parsing),
	        TEST(edits_and_buttons),
	        TEST(documents_are_kept_and_given_back),
	        TEST(oversized_uploads_are_refused),
	        TEST(commands_by_scope_and_language),
	        TEST(no_flood_limits_by_default),
	        cmocka_unit_test_setup_teardown(flood_limits_when_on, fresh_with_limits, gone),
	        TEST(health_and_metrics),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
