/* The server in a child process, driven over HTTP as a bot and a person would. */
#include "core/clock.h"
#include "core/file.h"
#include "core/http_client.h"
#include "core/log.h"
#include "core/mem.h"
#include "testsuite/telegram/server.h"
#include "testsuite/telegram/user_api.h"
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define TOKEN "4242:abcdefghijklmnopqrstuvwxyz012345678"
#define KEY "00112233445566778899aabbccddeeff"
#define ANNA 1001
#define BORIS 1002

static struct server {
	char dir[64];
	pid_t pid;
	int port;
	struct user_api *api;
} server;

static void child(int out, bool flood)
{
	cleanup_json cJSON *credentials =
	        cJSON_Parse("{\"token\":\"" TOKEN "\",\"username\":\"x_bot\",\"key\":\"" KEY
	                    "\",\"users\":[{\"id\":1001,\"name\":\"Anna\",\"role\":\"admin\"}]}");
	struct telegram_options options = {.dir = server.dir, .flood_limits = flood};
	struct loop *loop;
	struct tg *tg;
	struct err err;

	log_open("test", LOG_ERROR);
	if (loop_open(&loop, &err) < 0 || telegram_open(&tg, loop, &options, credentials, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		_exit(1);
	}
	int port = telegram_port(tg);
	if (write(out, &port, sizeof(port)) != sizeof(port))
		_exit(1);
	loop_run(loop);
	telegram_close(tg);
	loop_close(loop);
	_exit(0);
}

static void start(bool flood)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	server.pid = fork();
	if (server.pid == 0)
		child(fds[1], flood);
	close(fds[1]);
	assert_int_equal(read(fds[0], &server.port, sizeof(server.port)), sizeof(server.port));
	close(fds[0]);
	cleanup_free char *base = mem_printf("http://127.0.0.1:%d/", server.port);
	server.api = user_api_new(base, KEY);
}

static int stop(int signal)
{
	int status = -1;

	kill(server.pid, signal);
	while (waitpid(server.pid, &status, 0) < 0 && errno == EINTR)
		;
	user_api_free(server.api);
	return status;
}

static int fresh(void **state)
{
	(void)state;
	strcpy(server.dir, "/tmp/telegram-test-XXXXXX");
	assert_non_null(mkdtemp(server.dir));
	start(false);
	return 0;
}

static int fresh_with_limits(void **state)
{
	(void)state;
	strcpy(server.dir, "/tmp/telegram-test-XXXXXX");
	assert_non_null(mkdtemp(server.dir));
	start(true);
	return 0;
}

static int gone(void **state)
{
	struct err err;

	(void)state;
	int status = stop(SIGTERM);
	tree_remove(server.dir, &err);
	return status == 0 ? 0 : -1;
}

/* One request: the status (0: no answer) and the JSON of the answer. */
static long fetch(const struct http_request *request, cJSON **json, struct http_reply *keep)
{
	struct http_reply reply = {0};
	struct err err;

	if (json)
		*json = NULL;
	if (http_fetch(request, &reply, &err) < 0)
		return 0;
	if (json)
		*json = cJSON_Parse(reply.body);
	long status = reply.status;
	if (keep)
		*keep = reply;
	else
		http_reply_free(&reply);
	return status;
}

static char *url_of(const char *path)
{
	return mem_printf("http://127.0.0.1:%d%s", server.port, path);
}

/* A Bot API call with a JSON body. */
static long call(const char *method, const char *body, cJSON **json)
{
	cleanup_free char *path = mem_printf("/bot%s/%s", TOKEN, method), *url = url_of(path);
	struct http_request request = {.method = "POST",
	                               .url = url,
	                               .content_type = "application/json",
	                               .body = body,
	                               .body_len = strlen(body),
	                               .total_ms = 60000};

	return fetch(&request, json, NULL);
}

static void expect(const char *method, const char *body, long status, const char *description)
{
	cleanup_json cJSON *json = NULL;
	long got = call(method, body, &json);
	const char *text = json_text(json, "description");

	if (got != status || (description && (text == NULL || strcmp(text, description) != 0)))
		print_message("%s %.200s\n", method, body);
	assert_int_equal(got, status);
	if (description) {
		assert_non_null(text);
		assert_string_equal(text, description);
		assert_int_equal(json_int(json, "error_code", 0), status);
		assert_false(json_bool(json, "ok", true));
	}
}

static cJSON *ok(const char *method, const char *body)
{
	cJSON *json = NULL;
	long status = call(method, body, &json);

	if (status != 200) {
		cleanup_free char *text = json_print(json);
		print_message("%s %.200s → %ld %s\n", method, body, status, text);
	}
	assert_int_equal(status, 200);
	assert_true(json_bool(json, "ok", false));
	return json;
}

static void done(const char *method, const char *body)
{
	cJSON_Delete(ok(method, body));
}

static int64_t sent(const char *body)
{
	cleanup_json cJSON *json = ok("sendMessage", body);

	return json_int(json, "result.message_id", 0);
}

/* A user-side POST that must work. */
static cJSON *person(const char *path, const char *body)
{
	cleanup_json cJSON *json = cJSON_Parse(body);
	struct err err;

	assert_non_null(json);
	cJSON *answer = user_api_post(server.api, path, json, &err);
	if (answer == NULL)
		print_message("%s %s: %s\n", path, body, err.msg);
	assert_non_null(answer);
	return answer;
}

static int64_t said(const char *text)
{
	cleanup_free char *body = mem_printf("{\"user\":%d,\"text\":\"%s\"}", ANNA, text);
	cleanup_json cJSON *answer = person("/user/message", body);

	return json_int(answer, "update_id", 0);
}

static void refused(const char *path, const char *body)
{
	cleanup_json cJSON *json = cJSON_Parse(body);
	struct err err;

	assert_null(user_api_post(server.api, path, json, &err));
	assert_int_equal(err.code, ERR_INVALID);
}

static void order(const char *body)
{
	cJSON_Delete(person("/user/fault", body));
}

static int updates(const char *body)
{
	cleanup_json cJSON *json = ok("getUpdates", body);

	return cJSON_GetArraySize(json_at(json, "result"));
}

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

static void errors_read_as_the_real_ones(void **state)
{
	static const struct {
		const char *method, *body, *description;
	} cases[] = {
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
	        {"sendMessage",
	         "{\"chat_id\":1001,\"text\":\"x\",\"reply_markup\":{\"inline_keyboard\":[7]}}",
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
	        {"setMessageReaction", "{\"chat_id\":1001,\"message_id\":99999}",
	         "message to react not found"},
	        {"answerCallbackQuery", "{\"callback_query_id\":\"1\"}",
	         "query is too old and response timeout expired or query ID is invalid"},
	        {"sendChatAction", "{\"chat_id\":1001,\"action\":\"dance\"}",
	         "wrong parameter action in request"},
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
	        {"setMyCommands", "{\"commands\":[],\"language_code\":\"eng\"}",
	         "invalid language code specified"},
	        {"setMyCommands", "{\"commands\":[],\"scope\":{\"type\":\"x\"}}",
	         "can't parse BotCommandScope: Unsupported type specified"},
	};

	(void)state;
	said("hi");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *whole = mem_printf("Bad Request: %s", cases[i].description);
		expect(cases[i].method, cases[i].body, 400, whole);
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
	assert_int_equal(updates(body), 2);
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

static long fetch_with(const char *path, const char *const *headers)
{
	cleanup_free char *url = url_of(path);

	return fetch(&(struct http_request){.url = url, .headers = headers}, NULL, NULL);
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

static void no_flood_limits_by_default(void **state)
{
	(void)state;
	said("hi");
	for (int i = 0; i < 100; i++)
		done("sendMessage", "{\"chat_id\":1001,\"text\":\"x\"}");
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, gone)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(addresses_and_bodies),
	        TEST(malformed_and_huge_bodies),
	        TEST(errors_read_as_the_real_ones),
	        TEST(length_counts_utf16_after_parsing),
	        TEST(shapes_of_message_and_update),
	        TEST(edits_and_buttons),
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
	        TEST(blocked_bot_gets_403),
	        TEST(events_tell_what_happened),
	        TEST(events_wake_who_waits),
	        TEST(user_side_needs_the_key),
	        TEST(user_side_refuses_malformed_bodies),
	        TEST(documents_are_kept_and_given_back),
	        TEST(oversized_uploads_are_refused),
	        TEST(commands_by_scope_and_language),
	        TEST(no_flood_limits_by_default),
	        TEST(health_and_metrics),
	        cmocka_unit_test_setup_teardown(flood_limits_when_on, fresh_with_limits, gone),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
