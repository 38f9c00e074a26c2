#include "bot/update.h"
#include "core/mem.h"
#include "jobs/test_state.h"
#include <string.h>

#define FROM "\"from\":{\"id\":5,\"first_name\":\"Ann\",\"language_code\":\"ru\"}"
#define PRIVATE "\"chat\":{\"id\":5,\"type\":\"private\"}"
#define GROUP "\"chat\":{\"id\":-9,\"type\":\"supergroup\"}"
#define MSG(rest) "{\"update_id\":1,\"message\":{\"message_id\":3," rest "}}"

static const struct {
	const char *json;
	enum update_kind kind;
	const char *command, *text;
} cases[] = {
        {MSG(FROM "," PRIVATE ",\"text\":\"/start\""), UPDATE_COMMAND, "start", ""},
        {MSG(FROM "," PRIVATE ",\"text\":\"/New  web-service\\nshop \""), UPDATE_COMMAND, "new",
         "web-service\nshop "},
        {MSG(FROM "," PRIVATE ",\"text\":\"/start@Test_bot now\""), UPDATE_COMMAND, "start", "now"},
        {MSG(FROM "," GROUP ",\"text\":\"/start@other_bot\""), UPDATE_IGNORED, NULL, NULL},
        {MSG(FROM "," PRIVATE ",\"text\":\"/start@test_bot2\""), UPDATE_IGNORED, NULL, NULL},
        {MSG(FROM "," GROUP ",\"text\":\"/start\""), UPDATE_COMMAND, "start", ""},
        {MSG(FROM "," PRIVATE ",\"text\":\"hello\""), UPDATE_TEXT, NULL, "hello"},
        {MSG(FROM "," GROUP ",\"text\":\"hello\""), UPDATE_IGNORED, NULL, NULL},
        {MSG(FROM "," GROUP ",\"text\":\"@test_bot hello\""), UPDATE_TEXT, NULL, "hello"},
        {MSG(FROM "," GROUP ",\"text\":\"@other hello\""), UPDATE_IGNORED, NULL, NULL},
        {MSG(FROM "," GROUP ",\"text\":\"yes\",\"reply_to_message\":{\"from\":{\"id\":77}}"), UPDATE_TEXT,
         NULL, "yes"},
        {MSG(FROM "," GROUP ",\"text\":\"yes\",\"reply_to_message\":{\"from\":{\"id\":78}}"), UPDATE_IGNORED,
         NULL, NULL},
        {MSG(FROM "," PRIVATE ",\"text\":\"/\""), UPDATE_TEXT, NULL, "/"},
        {MSG(FROM "," PRIVATE ",\"text\":\"// x\""), UPDATE_TEXT, NULL, "// x"},
        {MSG(FROM "," PRIVATE ",\"text\":\"/usr/bin\""), UPDATE_COMMAND, "usr", "/bin"},
        {MSG(FROM "," PRIVATE ",\"text\":\"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""),
         UPDATE_COMMAND, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ""},
        {MSG(FROM "," PRIVATE ",\"text\":\"   \""), UPDATE_IGNORED, NULL, NULL},
        {MSG(FROM "," PRIVATE ",\"sticker\":{}"), UPDATE_OTHER, NULL, NULL},
        {MSG(FROM "," PRIVATE ",\"photo\":[],\"caption\":\"/start\""), UPDATE_OTHER, NULL, NULL},
        {MSG(FROM "," GROUP ",\"sticker\":{}"), UPDATE_IGNORED, NULL, NULL},
        {MSG(FROM "," GROUP ",\"new_chat_members\":[]"), UPDATE_IGNORED, NULL, NULL},
        {MSG(PRIVATE ",\"text\":\"/start\""), UPDATE_IGNORED, NULL, NULL},
        {MSG("\"from\":{\"id\":6,\"is_bot\":true}," PRIVATE ",\"text\":\"/start\""), UPDATE_IGNORED, NULL,
         NULL},
        {MSG(FROM ",\"text\":\"/start\""), UPDATE_IGNORED, NULL, NULL},
        {MSG("\"from\":5,\"chat\":\"x\",\"text\":7"), UPDATE_IGNORED, NULL, NULL},
        {"{\"update_id\":1,\"edited_message\":{\"message_id\":3," FROM "," PRIVATE ",\"text\":\"/start\"}}",
         UPDATE_IGNORED, NULL, NULL},
        {"{\"update_id\":1,\"channel_post\":{\"message_id\":3," GROUP ",\"text\":\"/start\"}}",
         UPDATE_IGNORED, NULL, NULL},
        {"{\"update_id\":1,\"my_chat_member\":{}}", UPDATE_IGNORED, NULL, NULL},
        {"{\"update_id\":1,\"something_new\":[1]}", UPDATE_IGNORED, NULL, NULL},
        {"{\"update_id\":1,\"message\":null}", UPDATE_IGNORED, NULL, NULL},
        {"{\"update_id\":1}", UPDATE_IGNORED, NULL, NULL},
        {"[]", UPDATE_IGNORED, NULL, NULL},
        {"7", UPDATE_IGNORED, NULL, NULL},
        {"{\"update_id\":1,\"callback_query\":{\"id\":\"q\"," FROM
         ",\"data\":\"d\",\"message\":{\"message_id\":3," PRIVATE "}}}",
         UPDATE_PRESS, NULL, NULL},
        {"{\"update_id\":1,\"callback_query\":{\"id\":\"q\"," FROM ",\"inline_message_id\":\"i\"}}",
         UPDATE_PRESS, NULL, NULL},
        {"{\"update_id\":1,\"callback_query\":{" FROM "}}", UPDATE_IGNORED, NULL, NULL},
};

static void every_kind_is_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		struct update u;
		cleanup_json cJSON *json = json_parse(cases[i].json, strlen(cases[i].json), &err);
		if (!json)
			fail_msg("case %zu: %s", i, err.msg);
		update_read(json, "test_bot", 77, &u);
		if (u.kind != cases[i].kind)
			fail_msg("case %zu: %s is kind %d", i, cases[i].json, u.kind);
		if (cases[i].command)
			assert_string_equal(u.command, cases[i].command);
		if (cases[i].text)
			assert_string_equal(u.text, cases[i].text);
	}
}

static void who_and_where_are_read(void **state)
{
	(void)state;
	struct err err = {0};
	struct update u;
	static const char text[] =
	        MSG(FROM "," GROUP ",\"text\":\"/x\",\"is_topic_message\":true,\"message_thread_id\":44");
	cleanup_json cJSON *json = json_parse(text, strlen(text), &err);
	update_read(json, "test_bot", 77, &u);
	assert_int_equal(u.user, 5);
	assert_int_equal(u.chat, -9);
	assert_int_equal(u.topic, 44);
	assert_true(u.group);
	assert_string_equal(u.name, "Ann");
	assert_string_equal(u.language, "ru");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_kind_is_read),
	        cmocka_unit_test(who_and_where_are_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
