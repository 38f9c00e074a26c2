#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka needs those above */
#include "compose/provider_memory.h"
#include "core/file.h"
#include "core/mem.h"
#include <cmocka.h>
#include <string.h>
#include <unistd.h>

static const char *const tool[] = {"cf-tool", NULL}, *const plugin[] = {"cf-tool", "cf-plugin", NULL};

static void put(const char *dir, const char *name, const char *text)
{
	cleanup_free char *path = mem_printf("%s/%s", dir, name);
	struct err err = {0};
	assert_int_equal(file_write(path, text, strlen(text), 0755, &err), 0);
}

static int setup(void **data)
{
	char *dir = mem_strdup("/tmp/codefoundry-test.XXXXXX");
	assert_non_null(mkdtemp(dir));
	setenv("PATH", dir, 1);
	setenv("DOCKER_CONFIG", dir, 1);
	provider_remember(dir);
	put(dir, "cf-tool", "one");
	*data = dir;
	return 0;
}

static int teardown(void **data)
{
	struct err err = {0};
	int rc = tree_remove(*data, &err);
	free(*data);
	return rc;
}

static void files_make_the_fingerprint(void **data)
{
	const char *dir = *data;
	struct err err = {0};
	cleanup_free char *one = provider_fingerprint(tool), *same = provider_fingerprint(tool);
	assert_string_equal(one, same);
	put(dir, "cf-tool", "another one");
	cleanup_free char *changed = provider_fingerprint(tool);
	assert_string_not_equal(one, changed);
	cleanup_free char *without = provider_fingerprint(plugin),
	                  *plugins = mem_printf("%s/cli-plugins", dir);
	assert_int_equal(dir_make(plugins, 0700, &err), 0);
	put(plugins, "docker-cf-plugin", "x");
	cleanup_free char *with = provider_fingerprint(plugin);
	assert_string_not_equal(without, with);
}

static void what_was_said_is_recalled(void **data)
{
	const char *dir = *data;
	cleanup_free char *key = provider_fingerprint(tool), *path = mem_printf("%s/providers.json", dir);
	assert_null(provider_recall(key));
	cleanup_json cJSON *answer = json_object();
	json_add_text(answer, "version", "1.2.3");
	provider_memorize(key, answer);
	cleanup_json cJSON *known = provider_recall(key);
	assert_string_equal(json_text(known, "version"), "1.2.3");
	assert_null(provider_recall("another"));
	put(dir, "providers.json", "{\"half");
	assert_null(provider_recall(key));
	provider_memorize(key, answer);
	cleanup_json cJSON *again = provider_recall(key);
	assert_non_null(again);
}

static void it_does_not_grow_for_ever(void **data)
{
	(void)data;
	cleanup_json cJSON *answer = json_object();
	for (int i = 0; i < 40; i++) {
		cleanup_free char *key = mem_printf("tool %d", i);
		provider_memorize(key, answer);
	}
	assert_null(provider_recall("tool 0"));
	cleanup_json cJSON *last = provider_recall("tool 39");
	assert_non_null(last);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(files_make_the_fingerprint, setup, teardown),
	        cmocka_unit_test_setup_teardown(what_was_said_is_recalled, setup, teardown),
	        cmocka_unit_test_setup_teardown(it_does_not_grow_for_ever, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
