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
	assert_ok(tree_remove(dir, err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(dotenv_reads_back),
	        cmocka_unit_test(damaged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
