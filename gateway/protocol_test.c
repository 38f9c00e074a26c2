#include "core/mem.h"
#include "core/str.h"
#include "gateway/protocol.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define UUID "0b5f6a52-6c0e-4c9f-9b7e-0f5a3a9f7d10"
#define CP                                                                                                   \
	"\\\"version\\\":\\\"1.0\\\",\\\"id\\\":\\\"" UUID                                                   \
	"\\\",\\\"command\\\":\\\"status\\\",\\\"params\\\":{}"

static void frames_that_are_understood(void **unused)
{
	(void)unused;
	static const struct {
		const char *text;
		enum frame_type type;
		const char *content, *user, *command, *version;
		unsigned topics;
		bool heartbeat;
	} cases[] = {
	        {"{\"type\":\"chat\",\"content\":\"hi\",\"sessionId\":\"s\",\"userId\":\"u\"}", FRAME_CHAT,
	         "hi", "u", 0, 0, 0, 0},
	        {"{\"type\":\"chat\",\"content\":\"hi\",\"userId\":123456789012}", FRAME_CHAT, "hi",
	         "123456789012", 0, 0, 0, 0},
	        {"{\"type\":\"chat\",\"content\":\"hi\",\"userId\":{\"a\":1},\"context\":7}", FRAME_CHAT,
	         "hi", "", 0, 0, 0, 0},
	        {"{\"type\":\"chat\",\"content\":\"{\\\"a\\\":1}\"}", FRAME_CHAT, "{\"a\":1}", "", 0, 0, 0,
	         0},
	        {"{\"type\":\"chat\",\"content\":\"{broken\"}", FRAME_CHAT, "{broken", "", 0, 0, 0, 0},
	        {"{\"type\":\"chat\",\"content\":\" {" CP "}\"}", FRAME_CHAT, NULL, "", "status", "1.0", 0,
	         0},
	        {"{\"type\":\"message\",\"message\":\"hi\"}", FRAME_CHAT, "hi", "", 0, 0, 0, 0},
	        {"{\"type\":\"message\",\"message\":\"\",\"context\":{\"action\":\"deploy\"}}", FRAME_CHAT,
	         "", "", 0, 0, 0, 0},
	        {"{\"type\":\"command\",\"content\":\"{" CP "}\"}", FRAME_COMMAND, NULL, "", "status", "1.0",
	         0, 0},
	        {"{\"type\":\"command\",\"version\":\"1.1\",\"id\":\"" UUID
	         "\",\"command\":\"help\",\"intent_confidence\":0.5,"
	         "\"context\":{\"user_id\":42}}",
	         FRAME_COMMAND, NULL, "42", "help", "1.1", 0, 0},
	        {"{\"type\":\"command\",\"version\":1.0,\"id\":\"7\",\"command\":\"help\",\"params\":null}",
	         FRAME_COMMAND, NULL, "", "help", "1.0", 0, 0},
	        {"{\"type\":\"command\",\"content\":{\"version\":1.1,\"id\":\"7\",\"command\":\"help\"}}",
	         FRAME_COMMAND, NULL, "", "help", "1.1", 0, 0},
	        {"{\"type\":\"status\",\"sessionId\":7}", FRAME_STATUS, NULL, "", 0, 0, 0, 0},
	        {"{\"type\":\"ping\"}  \n", FRAME_PING, NULL, "", 0, 0, 0, 0},
	        {"{\"type\":\"ping\",\"heartbeat\":true}", FRAME_PING, NULL, "", 0, 0, 0, true},
	        {"{\"type\":\"ping\",\"heartbeat\":\"yes\"}", FRAME_PING, NULL, "", 0, 0, 0, false},
	        {"{\"type\":\"subscribe\",\"topics\":[\"jobs\",\"tests\"]}", FRAME_SUBSCRIBE, NULL, "", 0, 0,
	         TOPIC_JOBS | TOPIC_TESTS, 0},
	        {"{\"type\":\"unsubscribe\"}", FRAME_UNSUBSCRIBE, NULL, "", 0, 0, TOPIC_ALL, 0},
	        {"{\"type\":\"subscribe\",\"topics\":[]}", FRAME_SUBSCRIBE, NULL, "", 0, 0, 0, 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct frame f;
		struct fault fault = {0};
		if (frame_parse(cases[i].text, strlen(cases[i].text), &f, &fault))
			fail_msg("case %zu refused: %s", i, fault.text);
		assert_int_equal(f.type, cases[i].type);
		assert_string_equal(f.user, cases[i].user);
		assert_int_equal(f.topics, cases[i].topics);
		assert_int_equal(f.heartbeat, cases[i].heartbeat);
		assert_int_equal(f.is_command, cases[i].command != NULL);
		if (cases[i].content)
			assert_string_equal(f.text, cases[i].content);
		if (cases[i].command) {
			assert_string_equal(f.cp.command, cases[i].command);
			assert_string_equal(f.cp.version, cases[i].version);
			assert_true(strcmp(f.cp.id, UUID) == 0 || strcmp(f.cp.id, "7") == 0);
		}
		frame_free(&f);
	}
}

static void frames_that_are_refused(void **unused)
{
	(void)unused;
	static const struct {
		const char *text, *says;
		bool sid;
	} cases[] = {
	        {"", "not JSON", false},
	        {"hello", "not JSON", false},
	        {"{\"type\":\"ping\"", "not JSON", false},
	        {"{\"type\":\"ping\"} {}", "not JSON", false},
	        {"[]", "not an object", false},
	        {"\"ping\"", "not an object", false},
	        {"null", "not an object", false},
	        {"{}", "`type` is missing", false},
	        {"{\"type\":7,\"sessionId\":\"s\"}", "`type` is missing", true},
	        {"{\"type\":\"dance\",\"sessionId\":\"s\"}", "no frame type `dance`", true},
	        {"{\"type\":\"chat\",\"sessionId\":\"s\"}", "`content` is missing", true},
	        {"{\"type\":\"chat\",\"content\":7,\"sessionId\":5}", "`content` is missing", true},
	        {"{\"type\":\"chat\",\"content\":\"  \"}", "empty", false},
	        {"{\"type\":\"message\",\"content\":\"hi\"}", "`message` is missing", false},
	        {"{\"type\":\"command\"}", "`version` is missing", false},
	        {"{\"type\":\"command\",\"content\":\"status\"}", "must hold a JSON object", false},
	        {"{\"type\":\"command\",\"content\":\"[1]\"}", "must hold a JSON object", false},
	        {"{\"type\":\"command\",\"content\":7}", "must hold a JSON object", false},
	        {"{\"type\":\"command\",\"version\":\"2.0\",\"id\":\"7\",\"command\":\"help\"}", "`version`",
	         false},
	        {"{\"type\":\"command\",\"version\":\"1.0\",\"command\":\"help\"}", "`id` is missing", false},
	        {"{\"type\":\"command\",\"version\":\"1.0\",\"id\":\"\",\"command\":\"help\"}",
	         "`id` is missing", false},
	        {"{\"type\":\"command\",\"version\":\"1.0\",\"id\":7,\"command\":\"help\"}",
	         "`id` is missing", false},
	        {"{\"type\":\"command\",\"version\":\"1.0\",\"id\":\"7\"}", "`command` is missing", false},
	        {"{\"type\":\"command\",\"version\":\"1.0\",\"id\":\"7\",\"command\":{}}",
	         "`command` is missing", false},
	        {"{\"type\":\"command\",\"version\":\"1.0\",\"id\":\"7\",\"command\":\"help\",\"params\":[]}",
	         "`params`", false},
	        {"{\"type\":\"command\",\"version\":\"1.1\",\"id\":\"7\",\"command\":\"help\",\"intent_"
	         "confidence\":2}",
	         "confidence", false},
	        {"{\"type\":\"subscribe\",\"topics\":\"jobs\"}", "must be a list", false},
	        {"{\"type\":\"subscribe\",\"topics\":[\"bots\"]}", "no topic `bots`", false},
	        {"{\"type\":\"subscribe\",\"topics\":[1]}", "no topic", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct frame f;
		struct fault fault = {0};
		assert_int_equal(frame_parse(cases[i].text, strlen(cases[i].text), &f, &fault), -1);
		assert_int_equal(fault.code, FAULT_INVALID_PARAMS);
		if (!strstr(fault.text, cases[i].says))
			fail_msg("case %zu says: %s", i, fault.text);
		assert_int_equal(f.session_id != NULL, cases[i].sid);
		frame_free(&f);
	}
}

static void hostile_frames(void **unused)
{
	(void)unused;
	struct frame f;
	struct fault fault;
	cleanup_str struct str deep = STR_INIT, wide = STR_INIT;
	str_add(&deep, "{\"type\":\"ping\",\"x\":");
	for (int i = 0; i < 20000; i++)
		str_addc(&deep, '[');
	assert_int_equal(frame_parse(deep.p, deep.len, &f, &fault), -1);
	assert_non_null(strstr(fault.text, "not JSON"));
	frame_free(&f);

	str_add(&wide, "{\"type\":\"chat\",\"sessionId\":\"");
	for (int i = 0; i < 5000; i++)
		str_addc(&wide, 's');
	str_add(&wide, "\",\"userId\":\"");
	for (int i = 0; i < 5000; i++)
		str_addc(&wide, 'u');
	str_add(&wide, "\",\"content\":\"");
	for (int i = 0; i < 50000; i++)
		str_add(&wide, "\\n{");
	str_add(&wide, "\"}");
	assert_int_equal(frame_parse(wide.p, wide.len, &f, &fault), 0);
	assert_null(f.session_id); /* an id of 5,000 bytes is not repeated in every frame */
	assert_string_equal(f.user, "");
	frame_free(&f);
}

static void check_text(const cJSON *j, const char *path, const char *expected)
{
	assert_non_null(json_text(j, path));
	assert_string_equal(json_text(j, path), expected);
}

static void answers_hold_flat_and_data_fields(void **unused)
{
	(void)unused;
	cJSON *sid = cJSON_CreateString("s1"), *options = json_array();
	cJSON_AddItemToArray(options, cJSON_CreateString("a"));
	cJSON *j = frame_progress(sid, "files", 40, "app.py", 7, "line");
	check_text(j, "type", "progress");
	check_text(j, "sessionId", "s1");
	check_text(j, "stage", "files");
	check_text(j, "data.stage", "files");
	assert_int_equal(json_int(j, "progress", -1), 40);
	assert_int_equal(json_int(j, "data.progress", -1), 40);
	check_text(j, "message", "app.py");
	check_text(j, "data.message", "app.py");
	check_text(j, "data.logs.0", "line");
	assert_int_equal(json_int(j, "data.job", -1), 7);
	cJSON_Delete(j);

	j = frame_question(sid, "Which?", options);
	check_text(j, "question", "Which?");
	check_text(j, "data.question", "Which?");
	check_text(j, "options.0", "a");
	check_text(j, "data.options.0", "a");
	cJSON_Delete(j);

	struct fault fault;
	fault_set(&fault, FAULT_PROJECT_EXISTS, "taken");
	j = frame_error(sid, &fault, NULL);
	check_text(j, "content", "taken");
	check_text(j, "error", "taken");
	check_text(j, "data.code", "PROJECT_EXISTS");
	check_text(j, "data.message", "taken");
	assert_true(cJSON_IsObject(json_at(j, "data.details")));
	cJSON_Delete(j);

	j = frame_complete(sid, "text", NULL);
	assert_null(json_at(j, "data"));
	check_text(j, "content", "text");
	cJSON_Delete(j);
	j = frame_event(sid, TOPIC_TESTS, json_object());
	check_text(j, "topic", "tests");
	cJSON_Delete(j);
	j = frame_pong(sid);
	check_text(j, "type", "pong");
	cJSON_Delete(j);
	cJSON_Delete(sid);
	cJSON_Delete(options);
}

static void command_responses(void **unused)
{
	(void)unused;
	struct fault fault;
	cJSON *result = json_object();
	json_add_int(result, "n", 1);
	cJSON *j = cp_response("1.1", UUID, result, "done", NULL);
	check_text(j, "version", "1.1");
	check_text(j, "id", UUID);
	check_text(j, "status", "success");
	check_text(j, "message", "done");
	assert_int_equal(json_int(j, "result.n", 0), 1);
	assert_non_null(json_text(j, "timestamp"));
	assert_null(json_at(j, "error"));
	cJSON_Delete(j);
	fault_set(&fault, FAULT_TIMEOUT, "too late");
	fault.reason = "timeout";
	j = cp_response("1.0", UUID, NULL, fault.text, &fault);
	check_text(j, "status", "error");
	check_text(j, "error.code", "TIMEOUT");
	check_text(j, "error.message", "too late");
	check_text(j, "error.details.reason", "timeout");
	check_text(j, "code", "TIMEOUT");
	assert_null(json_at(j, "result"));
	cJSON_Delete(j);
}

static void every_error_has_a_code(void **unused)
{
	(void)unused;
	for (int code = ERR_FAILED; code < ERR_CODE_COUNT; code++) {
		struct err err = {.code = (enum err_code)code, .msg = "x"};
		struct fault fault;
		assert_int_equal(fault_of(&fault, &err, false), -1);
		assert_int_not_equal(fault.code, FAULT_NONE);
		assert_string_not_equal(fault_name(fault.code), "");
	}
	struct err err = {.code = ERR_EXISTS};
	struct fault fault;
	fault_of(&fault, &err, true);
	assert_int_equal(fault.code, FAULT_PROJECT_EXISTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(frames_that_are_understood),
	        cmocka_unit_test(frames_that_are_refused),
	        cmocka_unit_test(hostile_frames),
	        cmocka_unit_test(answers_hold_flat_and_data_fields),
	        cmocka_unit_test(command_responses),
	        cmocka_unit_test(every_error_has_a_code),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
