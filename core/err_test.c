#include "core/err.h"
#include "core/mem.h"
#include "core/text.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* after the standard headers */
#include <cmocka.h>

static struct err err;

static void sets_and_wraps(void **state)
{
	(void)state;
	assert_int_equal(err_set(&err, ERR_QUOTA, "%d of %s", 3, "them"), -1);
	assert_int_equal(err.code, ERR_QUOTA);
	assert_string_equal(err.msg, "3 of them");
	assert_int_equal(err_wrap(&err, "start %s", "demo"), -1);
	assert_int_equal(err_wrap(&err, "job %d", 7), -1);
	assert_int_equal(err.code, ERR_QUOTA);
	assert_string_equal(err.msg, "job 7: start demo: 3 of them");
	/* its own message may be an argument */
	err_set(&err, ERR_STATE, "(%s)", err.msg);
	assert_string_equal(err.msg, "(job 7: start demo: 3 of them)");
	err_wrap(&err, "%s", err.msg);
	assert_string_equal(err.msg, "(job 7: start demo: 3 of them): (job 7: start demo: 3 of them)");
	err_set(&err, ERR_FAILED, "two\nlines\r\n\n");
	assert_string_equal(err.msg, "two\nlines");
	err_clear(&err);
	assert_int_equal(err.code, ERR_NONE);
	assert_string_equal(err.msg, "");
}

static void errno_gives_the_code(void **state)
{
	(void)state;
	static const struct {
		int errnum;
		enum err_code code;
	} cases[] = {{ENOENT, ERR_NOT_FOUND}, {ENOTDIR, ERR_NOT_FOUND},
	             {EEXIST, ERR_EXISTS},    {EADDRINUSE, ERR_EXISTS},
	             {EACCES, ERR_DENIED},    {EPERM, ERR_DENIED},
	             {EROFS, ERR_DENIED},     {ETIMEDOUT, ERR_TIMEOUT},
	             {ENOSPC, ERR_IO},        {EIO, ERR_IO},
	             {123456, ERR_IO}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *want = mem_printf("open x: %s", strerror(cases[i].errnum));
		assert_int_equal(err_sys(&err, cases[i].errnum, "open %s", "x"), -1);
		assert_int_equal(err.code, cases[i].code);
		assert_string_equal(err.msg, want);
	}
}

static void messages_are_bounded_utf8(void **state)
{
	(void)state;
	size_t size = 5000;
	cleanup_free char *text = mem_alloc(size + 1);
	for (size_t shift = 0; shift < 4; shift++) { /* the bound falls everywhere in a character */
		memset(text, 'a', size);
		for (size_t i = shift; i + 4 <= size; i += 4)
			memcpy(text + i, "🎉", 4);
		err_set(&err, ERR_FAILED, "%s", text);
		assert_true(strlen(err.msg) > sizeof(err.msg) - 5 && text_is_utf8(err.msg, strlen(err.msg)));
		assert_null(strchr(err.msg, '?'));
		err_wrap(&err, "context");
		assert_memory_equal(err.msg, "context: ", 9);
		assert_true(text_is_utf8(err.msg, strlen(err.msg)) && !strchr(err.msg, '?'));
		err_wrap(&err, "%s", text); /* no room for more: what was there stays */
		assert_memory_equal(err.msg, "context: ", 9);
		err_sys(&err, ENOENT, "open %s", text);
		static const char why[] = ": No such file or directory";
		assert_string_equal(err.msg + strlen(err.msg) - sizeof(why) + 1, why);
		assert_true(text_is_utf8(err.msg, strlen(err.msg)) && !strchr(err.msg, '?'));
	}
	err_set(&err, ERR_FAILED, "file \xff\xc3.");
	assert_string_equal(err.msg, "file ??.");
}

static void names_and_exit_codes(void **state)
{
	(void)state;
	for (int i = 0; i < ERR_CODE_COUNT; i++) {
		assert_non_null(err_name((enum err_code)i));
		assert_int_equal(err_code_of(err_name((enum err_code)i)), i);
		int code = err_exit_code((enum err_code)i);
		assert_true((code == 0) == (i == ERR_NONE));
	}
	assert_string_equal(err_name((enum err_code)99), "failed");
	assert_string_equal(err_name((enum err_code) - 1), "failed");
	assert_int_equal(err_exit_code((enum err_code)99), 1);
	assert_int_equal(err_code_of("no such"), ERR_FAILED);
	assert_int_equal(err_code_of(NULL), ERR_FAILED);
	static const struct {
		enum err_code code;
		int exit_code;
	} fixed[] = {{ERR_FAILED, 1}, {ERR_USAGE, 2}, {ERR_CONFIG, 3},
	             {ERR_ENGINE, 4}, {ERR_QUOTA, 5}, {ERR_CANCELLED, 130}};
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		assert_int_equal(err_exit_code(fixed[i].code), fixed[i].exit_code);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(sets_and_wraps),
	        cmocka_unit_test(errno_gives_the_code),
	        cmocka_unit_test(messages_are_bounded_utf8),
	        cmocka_unit_test(names_and_exit_codes),
	};
	return cmocka_run_group_tests_name("core/err", tests, NULL, NULL);
}
