#include "core/config.h"
#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* after the standard headers */
#include <cmocka.h>

static const struct setting first[] = {
        {.key = "T_TEXT", .type = SETTING_TEXT, .group = "Texts", .help = "Some text"},
        {.key = "T_NAME", .type = SETTING_TEXT, .def = "anna", .group = "Texts", .help = "A name"},
        {.key = "T_PORT",
         .type = SETTING_INT,
         .def = "80",
         .min = 1,
         .max = 65535,
         .group = "Numbers",
         .help = "A port"},
        {.key = "T_SIGNED",
         .type = SETTING_INT,
         .min = INT64_MIN,
         .max = INT64_MAX,
         .group = "Numbers",
         .help = "Any"},
        {.key = "T_BOOL", .type = SETTING_BOOL, .def = "off", .group = "Numbers", .help = "A switch"},
        {.key = NULL},
};
static const struct setting second[] = {
        {.key = "T_LEVEL",
         .type = SETTING_CHOICE,
         .def = "info",
         .allowed = "error|warn|info",
         .help = "A level"},
        {.key = "T_IDS", .type = SETTING_IDS, .help = "Some ids"},
        {.key = "T_URL", .type = SETTING_URL, .allowed = "http|https", .help = "An address"},
        {.key = "T_RANGE", .type = SETTING_RANGE, .def = "20-30", .min = 10, .max = 99, .help = "A range"},
        {.key = "T_TOKEN", .type = SETTING_TEXT, .secret = true, .help = "A token"},
        {.key = "T_SECRET_URL", .type = SETTING_URL, .allowed = "http", .secret = true, .help = "An address"},
        {.key = NULL},
};
static const struct setting *const tables[] = {first, second, NULL};

static char dir[64], file[96];
static struct err err;

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/config_test.XXXXXX");
	snprintf(file, sizeof(file), "%s/.env.test", mkdtemp(dir));
	err_clear(&err);
	for (size_t t = 0; tables[t]; t++)
		for (const struct setting *s = tables[t]; s->key; s++)
			unsetenv(s->key);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return tree_remove(dir, &err);
}

/* Load with the file holding ${text} (NULL: none); NULL when it was refused. */
static struct config *load(const char *text)
{
	struct config *cfg = NULL;
	struct err ignored;
	if (text && file_write(file, text, strlen(text), 0600, &ignored))
		fail_msg("%s", ignored.msg);
	int rc = config_load(&cfg, tables, text ? file : NULL, true, &err);
	assert_int_equal(rc, cfg ? 0 : -1);
	if (rc)
		assert_int_equal(err.code, ERR_CONFIG);
	return cfg;
}

static void assert_says(const char *part)
{
	if (!strstr(err.msg, part))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, part);
}

#define MUST_NUMBER "a whole number from 1 to 65535"
#define MUST_RANGE "LOW-HIGH, both from 10 to 99"
#define MUST_IDS "comma-separated Telegram user ids"
#define MUST_URL "a URL such as http://127.0.0.1:8081"
#define MUST_LEVEL "error, warn, info"
#define MUST_YES "true or false"

static const struct {
	const char *key, *value, *must_be; /* NULL: it is good */
} values[] = {
        {"T_TEXT", "x", NULL},
        {"T_TEXT", "  spaces kept  ", NULL},
        {"T_PORT", "1", NULL},
        {"T_PORT", "65535", NULL},
        {"T_PORT", "0", MUST_NUMBER},
        {"T_PORT", "65536", MUST_NUMBER},
        {"T_PORT", "-1", MUST_NUMBER},
        {"T_PORT", "80x", MUST_NUMBER},
        {"T_PORT", "0x50", MUST_NUMBER},
        {"T_PORT", "8.0", MUST_NUMBER},
        {"T_PORT", "eighty", MUST_NUMBER},
        {"T_PORT", "99999999999999999999", MUST_NUMBER},
        {"T_SIGNED", "-9223372036854775808", NULL},
        {"T_SIGNED", "9223372036854775807", NULL},
        {"T_SIGNED", "9223372036854775808", "a whole number"},
        {"T_BOOL", "true", NULL},
        {"T_BOOL", "NO", NULL},
        {"T_BOOL", "2", MUST_YES},
        {"T_BOOL", "yes please", MUST_YES},
        {"T_LEVEL", "warn", NULL},
        {"T_LEVEL", "debug", MUST_LEVEL},
        {"T_LEVEL", "war", MUST_LEVEL},
        {"T_LEVEL", "error|warn", MUST_LEVEL},
        {"T_LEVEL", "warn ", MUST_LEVEL},
        {"T_IDS", "*", NULL},
        {"T_IDS", "1", NULL},
        {"T_IDS", "12345,67890", NULL},
        {"T_IDS", " 1 , 2 ", NULL},
        {"T_IDS", "9223372036854775807", NULL},
        {"T_IDS", "12,,3", MUST_IDS},
        {"T_IDS", "abc", MUST_IDS},
        {"T_IDS", "-5", MUST_IDS},
        {"T_IDS", "+5", MUST_IDS},
        {"T_IDS", "0", MUST_IDS},
        {"T_IDS", "1;2", MUST_IDS},
        {"T_IDS", "1 2", MUST_IDS},
        {"T_IDS", "1,2,", MUST_IDS},
        {"T_IDS", "1,2, ", MUST_IDS},
        {"T_IDS", ",1", MUST_IDS},
        {"T_IDS", ",", MUST_IDS},
        {"T_IDS", "1,*", MUST_IDS},
        {"T_IDS", "@name", MUST_IDS},
        {"T_IDS", "1.5", MUST_IDS},
        {"T_IDS", "9223372036854775808", MUST_IDS},
        {"T_IDS", "1,99999999999999999999999", MUST_IDS},
        {"T_URL", "http://localhost", NULL},
        {"T_URL", "https://h:1/p?q#f", NULL},
        {"T_URL", "ftp://h", MUST_URL},
        {"T_URL", "http:/h", MUST_URL},
        {"T_URL", "http://", MUST_URL},
        {"T_URL", "http:///p", MUST_URL},
        {"T_URL", "http://:80", MUST_URL},
        {"T_URL", "://h", MUST_URL},
        {"T_URL", "h:80", MUST_URL},
        {"T_URL", "http://h /", MUST_URL},
        {"T_URL", "http://h\n", MUST_URL},
        {"T_URL", "httphttp://h", MUST_URL},
        {"T_RANGE", "10-99", NULL},
        {"T_RANGE", "50-50", NULL},
        {"T_RANGE", "9-50", MUST_RANGE},
        {"T_RANGE", "50-100", MUST_RANGE},
        {"T_RANGE", "60-50", MUST_RANGE},
        {"T_RANGE", "50", MUST_RANGE},
        {"T_RANGE", "50-", MUST_RANGE},
        {"T_RANGE", "-50", MUST_RANGE},
        {"T_RANGE", "20-30-40", MUST_RANGE},
        {"T_RANGE", "20-99999999999999999999", MUST_RANGE},
        {"T_RANGE", "99999999999999999999-99", MUST_RANGE},
        {"T_RANGE", "a-b", MUST_RANGE},
};

static void every_type_good_and_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		setenv(values[i].key, values[i].value, 1);
		struct config *cfg = load(NULL);
		unsetenv(values[i].key);
		if (!values[i].must_be != !!cfg)
			fail_msg("%s=%s: %s", values[i].key, values[i].value, cfg ? "accepted" : err.msg);
		if (cfg) {
			assert_string_equal(config_text(cfg, values[i].key), values[i].value);
			assert_true(config_is_set(cfg, values[i].key));
		} else {
			assert_says(values[i].key);
			assert_says("(environment): must be ");
			assert_says(values[i].must_be);
			assert_null(strchr(err.msg, '\n'));
		}
		config_free(cfg);
	}
}

static void typed_access(void **state)
{
	(void)state;
	struct config *cfg = load("T_PORT=8080\nT_BOOL=Yes\nT_IDS= 7 ,8\nT_RANGE=11-12\nT_SIGNED=-3\n");
	int64_t low, high;
	bool any = true;
	assert_int_equal(config_int(cfg, "T_PORT"), 8080);
	assert_int_equal(config_int(cfg, "T_SIGNED"), -3);
	assert_true(config_bool(cfg, "T_BOOL"));
	config_range(cfg, "T_RANGE", &low, &high);
	assert_true(low == 11 && high == 12);
	assert_true(config_has_id(cfg, "T_IDS", 7, &any) && config_has_id(cfg, "T_IDS", 8, NULL));
	assert_false(any || config_has_id(cfg, "T_IDS", 78, &any) || config_has_id(cfg, "T_IDS", 0, NULL));
	int64_t ids[2] = {0};
	assert_int_equal(config_ids(cfg, "T_IDS", ids, 2), 2);
	assert_true(ids[0] == 7 && ids[1] == 8);
	assert_int_equal(config_ids(cfg, "T_IDS", ids, 1), 1);
	assert_int_equal(config_set(cfg, "T_IDS", "*", &err), 0);
	assert_int_equal(config_ids(cfg, "T_IDS", ids, 2), 0);
	assert_string_equal(config_file(cfg), file);
	config_free(cfg);
	setenv("T_IDS", " \t", 1); /* nothing given */
	cfg = load(NULL);
	unsetenv("T_IDS");
	assert_false(config_is_set(cfg, "T_IDS"));
	assert_null(config_text(cfg, "T_TEXT"));
	assert_null(config_file(cfg));
	assert_int_equal(config_int(cfg, "T_PORT"), 80);
	assert_int_equal(config_int(cfg, "T_SIGNED"), 0);
	assert_false(config_bool(cfg, "T_BOOL") || config_is_set(cfg, "T_PORT"));
	assert_false(config_has_id(cfg, "T_IDS", 1, &any) || any);
	config_range(cfg, "T_RANGE", &low, &high);
	assert_true(low == 20 && high == 30);
	assert_int_equal(config_set(cfg, "T_IDS", "*", &err), 0);
	assert_true(config_has_id(cfg, "T_IDS", 1, &any) && any);
	config_free(cfg);
	config_free(NULL);
}

static void all_bad_settings_at_once(void **state)
{
	(void)state;
	setenv("T_LEVEL", "loud", 1);
	setenv("T_SECRET_URL", "hunter2:not-a-url", 1);
	assert_null(
	        load("T_PORT=eighty\nT_IDS=12,,3\nnonsense\nT_TEXT=\"open\nT_BOOL=maybe\nT_RANGE=20-30\n"));
	static const char *const lines[] = {
	        "T_PORT=eighty (.env.test:1): must be a whole number from 1 to 65535\n",
	        ("T_IDS=12,,3 (.env.test:2): must be comma-separated Telegram user ids such as 12345,67890, "
	         "or * for everybody\n"),
	        ".env.test:3: not a line of the form KEY=value\n",
	        ".env.test:4: a quote is not closed\n",
	        "T_BOOL=maybe (.env.test:5): must be true or false\n",
	        "T_LEVEL=loud (environment): must be error, warn, info\n",
	        "T_SECRET_URL=*** (environment): must be a URL such as http://127.0.0.1:8081",
	};
	cleanup_str struct str want = STR_INIT;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		str_add(&want, lines[i]);
	assert_string_equal(err.msg, str_text(&want));
}

static void too_many_bad_settings_are_at_least_named(void **state)
{
	(void)state;
	static char keys[60][24];
	static struct setting many[61];
	static const struct setting *const list[] = {many, NULL};
	cleanup_free char *huge = mem_alloc(100001);
	memset(huge, 'y', 100000);
	for (int i = 0; i < 60; i++) {
		snprintf(keys[i], sizeof(keys[i]), "T_MANY_%02d", i);
		many[i] = (struct setting){.key = keys[i], .type = SETTING_BOOL};
		setenv(keys[i], huge, 1);
	}
	struct config *cfg = NULL;
	assert_int_equal(config_load(&cfg, list, NULL, false, &err), -1);
	assert_says("T_MANY_00=yyyyyyyy");
	assert_says("yyy... (environment): must be true or false\n");
	assert_says("\nalso wrong: T_MANY_");
	assert_says(", and more");
	for (int i = 0; i < 45; i++)
		assert_says(keys[i]);
	for (int i = 0; i < 60; i++)
		unsetenv(keys[i]);
}

static void bad_values_are_shown_harmlessly(void **state)
{
	(void)state;
	setenv("T_PORT", "80\r\033[31m\n\x7f", 1);
	assert_null(load(NULL));
	assert_says("T_PORT=80??[31m?? (environment)");
	setenv("T_PORT", "\xff\xfe", 1);
	assert_null(load(NULL));
	assert_says("T_PORT=?? (environment)");
}

static void placeholders_count_as_unset(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		bool placeholder;
	} cases[] = {
	        {"your_bot_token_here", true},
	        {"YOUR_BOT_TOKEN_HERE", true},
	        {"your-token-here", true},
	        {"changeme", true},
	        {"ChangeMe", true},
	        {"change_me", true},
	        {"change-me", true},
	        {"<token>", true},
	        {"<>", false},
	        {"", false},
	        {"your_token", false},
	        {"your_here", false},
	        {"yours_truly_was_there", false},
	        {"a<b>", false},
	        {"changeme2", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (int key = 0; key < 2; key++) {
			const char *name = key ? "T_NAME" : "T_TOKEN", *other = key ? "anna" : NULL;
			cleanup_free char *text = mem_printf("%s=%s\n", name, cases[i].value);
			struct config *cfg = load(text);
			assert_int_equal(config_was_placeholder(cfg, name), cases[i].placeholder);
			bool unset = cases[i].placeholder || !cases[i].value[0];
			assert_int_equal(config_is_set(cfg, name), !unset);
			if (!unset)
				assert_string_equal(config_text(cfg, name), cases[i].value);
			else if (other)
				assert_string_equal(config_text(cfg, name), other); /* the default */
			else
				assert_null(config_text(cfg, name));
			config_free(cfg);
		}
	}
	struct config *cfg = load("T_PORT=<port>\nT_IDS=your_ids_here\nT_RANGE=changeme\n"); /* of any type */
	assert_int_equal(config_int(cfg, "T_PORT"), 80);
	assert_true(config_was_placeholder(cfg, "T_PORT") && config_was_placeholder(cfg, "T_IDS"));
	assert_false(config_has_id(cfg, "T_IDS", 1, NULL) || config_was_placeholder(cfg, "T_TEXT"));
	config_free(cfg);
}

static void environment_beats_file(void **state)
{
	(void)state;
	static const struct {
		const char *file, *env, *value;
		bool given, placeholder;
	} cases[] = {
	        {"T_NAME=file", "env", "env", true, false},
	        {"T_NAME=file", NULL, "file", true, false},
	        {"T_NAME=file", "", "anna", false, false}, /* empty takes it back */
	        {"T_NAME=file", "changeme", "anna", false, true},
	        {"T_NAME=changeme", "env", "env", true, false},
	        {"T_NAME=a\nT_NAME=b", NULL, "b", true, false}, /* the last line counts */
	        {"T_NAME=a\nT_NAME=", NULL, "anna", false, false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (cases[i].env)
			setenv("T_NAME", cases[i].env, 1);
		struct config *cfg = load(cases[i].file);
		unsetenv("T_NAME");
		assert_string_equal(config_text(cfg, "T_NAME"), cases[i].value);
		assert_int_equal(config_is_set(cfg, "T_NAME"), cases[i].given);
		assert_int_equal(config_was_placeholder(cfg, "T_NAME"), cases[i].placeholder);
		config_free(cfg);
	}
}

static void files_that_are_none(void **state)
{
	(void)state;
	struct config *cfg = NULL;
	cleanup_free char *missing = mem_printf("%s/none", dir), *huge = mem_alloc(300000);
	assert_int_equal(config_load(&cfg, tables, missing, false, &err), 0);
	assert_int_equal(err.code, ERR_NONE);
	assert_null(config_file(cfg));
	config_free(TAKE(cfg));
	assert_int_equal(config_load(&cfg, tables, missing, true, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_says(missing);
	assert_int_equal(config_load(&cfg, tables, dir, false, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_says(dir);
	assert_int_equal(file_write(file, "T_PORT=1\0T_PORT=2\n", 18, 0600, &err), 0);
	assert_int_equal(config_load(&cfg, tables, file, false, &err), -1);
	assert_says("NUL bytes");
	memset(huge, '\n', 299999);
	assert_int_equal(file_write(file, huge, 299999, 0600, &err), 0);
	assert_int_equal(config_load(&cfg, tables, file, false, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_says("larger than");
	assert_null(cfg);
	cfg = load("");
	config_free(cfg);
}

/* What loading ${text} says on stderr. */
static char *stderr_of(const char *text)
{
	char path[96];
	snprintf(path, sizeof(path), "%s/stderr", dir);
	int kept = dup(2), fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	dup2(fd, 2);
	log_open("test", LOG_INFO);
	struct config *cfg = load(text);
	dup2(kept, 2);
	close(kept);
	close(fd);
	config_free(cfg);
	char *said = NULL;
	assert_int_equal(file_read(path, 100000, &said, NULL, &err), 0);
	return said;
}

static void unknown_keys_are_warned_about(void **state)
{
	(void)state;
	cleanup_free char *near = stderr_of("T_PROT=80\n"), *far = stderr_of("SOMETHING_ELSE=hunter2\n"),
	                  *none = stderr_of("T_PORT=80\n");
	assert_non_null(strstr(near, ".env.test:1: unknown setting T_PROT, did you mean T_PORT"));
	assert_non_null(strstr(far, "unknown setting SOMETHING_ELSE\""));
	assert_null(strstr(far, "hunter2"));
	assert_string_equal(none, "");
}

static void secrets_reach_the_redaction(void **state)
{
	(void)state;
	config_free(load("T_TOKEN=correct-horse\nT_NAME=battery-staple\n"));
	cleanup_free char *clean = log_redact("it is correct-horse battery-staple");
	assert_string_equal(clean, "it is *** battery-staple");
	config_free(load("T_TOKEN=<my-own-token>\n"));
	cleanup_free char *word = log_redact("<my-own-token>");
	assert_string_equal(word, "<my-own-token>");
}

static void set_checks_too(void **state)
{
	(void)state;
	struct config *cfg = load("T_PORT=8080\n");
	assert_int_equal(config_set(cfg, "T_PORT", "0", &err), -1);
	assert_string_equal(err.msg, "T_PORT=0 (set): must be a whole number from 1 to 65535");
	assert_int_equal(config_int(cfg, "T_PORT"), 8080);
	assert_int_equal(config_set(cfg, "T_PORT", "81", &err), 0);
	assert_int_equal(config_int(cfg, "T_PORT"), 81);
	assert_int_equal(config_set(cfg, "T_PORT", NULL, &err), 0);
	assert_int_equal(config_int(cfg, "T_PORT"), 80);
	assert_int_equal(config_set(cfg, "T_SECRET_URL", "hunter2", &err), -1);
	assert_null(strstr(err.msg, "hunter2"));
	config_free(cfg);
}

static void a_copy_is_independent(void **state)
{
	(void)state;
	struct config *cfg = load("T_PORT=8080\n"), *copy = config_copy(cfg);
	assert_int_equal(config_set(copy, "T_PORT", "81", &err), 0);
	assert_int_equal(config_int(cfg, "T_PORT"), 8080);
	assert_string_equal(config_file(copy), config_file(cfg));
	config_free(cfg);
	assert_int_equal(config_int(copy, "T_PORT"), 81);
	assert_true(config_is_set(copy, "T_PORT") && !config_is_set(copy, "T_TEXT"));
	config_free(copy);
}

static void the_example_is_a_settings_file(void **state)
{
	(void)state;
	cleanup_str struct str example = STR_INIT;
	config_example(tables, &example);
	const char *text = str_text(&example);
	assert_non_null(strstr(text, "# --- Texts ---\n# Some text; text\n#T_TEXT=\n"));
	assert_non_null(strstr(
	        text, "\n\n# --- Numbers ---\n# A port; a whole number from 1 to 65535\n#T_PORT=80\n"));
	for (size_t t = 0; tables[t]; t++)
		for (const struct setting *s = tables[t]; s->key; s++)
			assert_non_null(strstr(text, s->key));
	config_free(load(text)); /* as it is, and with every line in force */
	cleanup_free char *active = mem_strdup(text);
	for (char *p = active; (p = strstr(p, "\n#T_"));)
		*++p = ' ';
	struct config *cfg = load(active);
	assert_non_null(cfg);
	assert_true(config_is_set(cfg, "T_PORT") && !config_is_set(cfg, "T_TEXT"));
	config_free(cfg);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(every_type_good_and_bad),
	        TEST(typed_access),
	        TEST(all_bad_settings_at_once),
	        TEST(too_many_bad_settings_are_at_least_named),
	        TEST(bad_values_are_shown_harmlessly),
	        TEST(placeholders_count_as_unset),
	        TEST(environment_beats_file),
	        TEST(files_that_are_none),
	        TEST(unknown_keys_are_warned_about),
	        TEST(secrets_reach_the_redaction),
	        TEST(set_checks_too),
	        TEST(a_copy_is_independent),
	        TEST(the_example_is_a_settings_file),
	};
	return cmocka_run_group_tests_name("core/config", tests, NULL, NULL);
}
