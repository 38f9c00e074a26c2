#include "core/mem.h"
#include "sessions/plan.h"
#include "sessions/test_sessions.h"
#include <string.h>

static const struct setting keys[] = {
        {.key = "A", .type = SETTING_TEXT},
        {.key = "B", .type = SETTING_TEXT},
        {.key = NULL},
};

/* Whatever a directory may be called, the services read it back as it was. */
static void dotenv_reads_back(void **data)
{
	(void)data;
	static const char *const values[] = {
	        "plain",
	        "with space",
	        " edges ",
	        "a#b",
	        "a # b",
	        "say \"hi\"",
	        "it's",
	        "back\\slash",
	        "ends with \\",
	        "\\n is not a newline",
	        "two\nlines",
	        "$HOME `id` $(id)",
	        "\"",
	        "\\\"",
	        "=",
	        "x=y",
	        "\xd0\xb4",
	        "\t",
	};
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		char path[] = "/tmp/codefoundry-test.XXXXXX";
		int fd = mkstemp(path);
		assert_true(fd >= 0);
		cleanup_json cJSON *env = json_object();
		json_add_text(env, "A", values[i]);
		json_add_text(env, "B", "after");
		cleanup_str struct str text = STR_INIT;
		plan_dotenv(env, &text);
		assert_ok(file_write(path, str_text(&text), text.len, 0600, err));
		struct config *cfg = NULL;
		static const struct setting *const tables[] = {keys, NULL};
		assert_ok(config_load(&cfg, tables, path, true, err));
		assert_string_equal(config_text(cfg, "A"), values[i]);
		assert_string_equal(config_text(cfg, "B"), "after");
		config_free(cfg);
		mem_cleanup_close(&fd);
		remove(path);
	}
}

static void damaged(void **data)
{
	(void)data;
	static const char *const texts[] = {"", "{}", "[", "{\"uuid\":\"x\",\"marker\":\"y\"}",
	                                    "{\"uuid\":1,\"marker\":2,\"services\":[]}"};
	char dir[] = "/tmp/codefoundry-test.XXXXXX";
	assert_non_null(mkdtemp(dir));
	struct err err = {0};
	assert_null(plan_read(dir, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	cleanup_free char *path = mem_printf("%s/plan.json", dir);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_ok(file_write(path, texts[i], strlen(texts[i]), 0600, err));
		assert_null(plan_read(dir, &err));
		assert_int_equal(err.code, ERR_INVALID);
	}
	/* one of another engine */
	static const char unmarked[] = "{\"uuid\":\"x\",\"services\":[]}";
	assert_ok(file_write(path, unmarked, strlen(unmarked), 0600, err));
	cleanup_json cJSON *plan = plan_read(dir, &err);
	assert_non_null(plan);
	assert_null(plan_read_marked(dir, &err));
	assert_int_equal(err.code, ERR_INVALID);
	assert_ok(tree_remove(dir, err));
}

/* In a container the services listen on all addresses; everybody still finds them on loopback. */
static void services_listen_where_they_are_told(void **data)
{
	static const char *const hosts[] = {"TELEGRAM_HOST", "GATEWAY_HOST", "BOT_HOST"};
	(void)data;
	struct test_state t;
	test_sessions_open(&t);
	for (int round = 0; round < 2; round++) {
		struct session_row row = {.name = "demo", .dir = t.dir};
		id_uuid(row.uuid);
		if (round)
			test_sessions_set(&t, "SESSION_BIND_HOST", "0.0.0.0");
		assert_ok(plan_make_dir(&row, err));
		assert_ok(plan_write(t.st, &row, err));
		struct err err = {0};
		cleanup_json cJSON *plan = plan_read(t.dir, &err);
		const cJSON *env = json_at(plan, "env");
		for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
			assert_string_equal(json_text(env, hosts[i]), round ? "0.0.0.0" : "127.0.0.1");
		assert_non_null(json_text(env, "GATEWAY_TOKEN")); /* without it the gateway would refuse */
		assert_int_equal(strncmp(json_text(env, "GATEWAY_URL"), "ws://127.0.0.1:", 15), 0);
	}
	test_state_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(dotenv_reads_back),
	        cmocka_unit_test(damaged),
	        cmocka_unit_test(services_listen_where_they_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
