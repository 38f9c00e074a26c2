/* Rules of the source tree that a compiler does not check: floors, forbidden calls, documents that keep up with the
 * program. Runs from the source root. */
#include "cli/cli.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/str.h"
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const floors[] = {
        "core",   "jobs",    "compose", "sessions", "testsuite", "testsuite/telegram",
        "deploy", "gateway", "bot",     "cli"};
/* testsuite and its Telegram server are one floor */
static const int heights[] = {0, 1, 2, 3, 4, 4, 5, 6, 7, 8};

static int height_of(const char *path, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(floors); i++)
		if (strlen(floors[i]) == n && !strncmp(floors[i], path, n))
			return heights[i];
	return -1;
}

/* Call ${check} with path and text of every C file of every floor. Returns the number of files. */
static int each_source(int (*check)(const char *dir, const char *path, const char *text), int *bad)
{
	int files = 0;
	for (size_t i = 0; i < ARRAY_LEN(floors); i++) {
		DIR *dir = opendir(floors[i]);
		struct dirent *e;
		while (dir && (e = readdir(dir))) {
			size_t n = strlen(e->d_name);
			if (n < 3 || e->d_name[n - 2] != '.' || !strchr("ch", e->d_name[n - 1]))
				continue;
			cleanup_free char *path = mem_printf("%s/%s", floors[i], e->d_name), *text = NULL;
			struct err err;
			if (file_read(path, 1 << 20, &text, NULL, &err))
				fail_msg("%s", err.msg);
			*bad += check(floors[i], path, text);
			files++;
		}
		if (dir)
			closedir(dir);
	}
	return files;
}

static int check_includes(const char *dir, const char *path, const char *text)
{
	int bad = 0, own = height_of(dir, strlen(dir));
	for (const char *p = text; (p = strstr(p, "#include \"")); p++) {
		const char *name = p + strlen("#include \""), *end = strchr(name, '"');
		const char *slash = end ? memrchr(name, '/', (size_t)(end - name)) : NULL;
		int height = slash ? height_of(name, (size_t)(slash - name)) : -1;
		if (height >= 0 && height <= own)
			continue;
		print_error("%s includes %.*s\n", path, (int)(end ? end - name : 20), name);
		bad++;
	}
	return bad;
}

static void files_include_only_lower_floors(void **state)
{
	(void)state;
	int bad = 0;
	assert_true(each_source(check_includes, &bad) > 60);
	assert_int_equal(bad, 0);
}

static int check_calls(const char *dir, const char *path, const char *text)
{
	static const char *const forbidden[] = {"system(", "popen(",  "strcpy(", "strcat(", "sprintf(",
	                                        "gets(",   "mktemp(", "sleep(",  "usleep("};
	int bad = 0;
	(void)dir;
	for (size_t i = 0; i < ARRAY_LEN(forbidden); i++) {
		for (const char *p = text; (p = strstr(p, forbidden[i])); p++) {
			char before = p == text ? ' ' : p[-1];
			if (before == '_' || (before >= 'a' && before <= 'z'))
				continue;
			print_error("%s calls %s…)\n", path, forbidden[i]);
			bad++;
		}
	}
	return bad;
}

static void nothing_calls_a_shell_or_unbounded_copies_or_sleeps(void **state)
{
	(void)state;
	int bad = 0;
	each_source(check_calls, &bad);
	assert_int_equal(bad, 0);
}

static void example_file_is_what_settings_prints(void **state)
{
	(void)state;
	struct err err;
	cleanup_free char *text = NULL;
	cleanup_str struct str expected = STR_INIT;
	config_example(cli_settings, &expected);
	assert_int_equal(file_read(".env.test.example", 1 << 20, &text, NULL, &err), 0);
	assert_string_equal(text, str_text(&expected));
}

static void readme_names_every_setting(void **state)
{
	(void)state;
	struct err err;
	cleanup_free char *text = NULL;
	int missing = 0;
	assert_int_equal(file_read("README.md", 1 << 20, &text, NULL, &err), 0);
	for (const struct setting *const *t = cli_settings; *t; t++) {
		for (const struct setting *s = *t; s->key; s++) {
			cleanup_free char *cell = mem_printf("`%s`", s->key);
			if (strstr(text, cell))
				continue;
			print_error("README.md does not mention %s\n", s->key);
			missing++;
		}
	}
	assert_int_equal(missing, 0);
}

static void no_setting_stands_in_two_tables(void **state)
{
	(void)state;
	int twice = 0;
	for (const struct setting *const *t = cli_settings; *t; t++)
		for (const struct setting *s = *t; s->key; s++)
			for (const struct setting *const *u = cli_settings; *u; u++)
				for (const struct setting *o = *u; o->key; o++)
					if (o != s && !strcmp(o->key, s->key)) {
						print_error("%s stands twice\n", s->key);
						twice++;
					}
	assert_int_equal(twice, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(files_include_only_lower_floors),
	        cmocka_unit_test(nothing_calls_a_shell_or_unbounded_copies_or_sleeps),
	        cmocka_unit_test(example_file_is_what_settings_prints),
	        cmocka_unit_test(readme_names_every_setting),
	        cmocka_unit_test(no_setting_stands_in_two_tables),
	};
	return cmocka_run_group_tests_name("repository", tests, NULL, NULL);
}
