#include "core/id.h"
#include "core/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
/* after the standard headers */
#include <cmocka.h>

static void uuids_have_their_shape(void **state)
{
	(void)state;
	char a[ID_UUID_LEN + 1], b[ID_UUID_LEN + 1];
	for (int i = 0; i < 100; i++) {
		id_uuid(a);
		id_uuid(b);
		assert_true(id_is_uuid(a) && strcmp(a, b));
		assert_int_equal(strlen(a), ID_UUID_LEN);
		assert_int_equal(strspn(a, "0123456789abcdef-"), ID_UUID_LEN);
		assert_int_equal(a[14], '4');
		assert_non_null(strchr("89ab", a[19]));
	}
	static const struct {
		const char *text;
		bool is;
	} cases[] = {
	        {NULL, false},
	        {"", false},
	        {"123e4567-e89b-12d3-a456-426614174000", true},
	        {"123E4567-E89B-12D3-A456-426614174000", true},
	        {"123e4567-e89b-12d3-a456-42661417400", false},
	        {"123e4567-e89b-12d3-a456-4266141740000", false},
	        {"123e4567-e89b-12d3-a456-42661417400g", false},
	        {"123e4567e-89b-12d3-a456-426614174000", false},
	        {"123e4567-e89b-12d3-a456-426614174000\n", false},
	        {"{23e4567-e89b-12d3-a456-42661417400}", false},
	        {"../e4567-e89b-12d3-a456-426614174000", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(id_is_uuid(cases[i].text), cases[i].is);
}

static void named_uuids_are_stable(void **state)
{
	(void)state;
	char a[ID_UUID_LEN + 1], b[ID_UUID_LEN + 1];
	/* computed with another implementation of RFC 4122 (Python's uuid5): these must never change */
	static const struct {
		const char *name, *uuid;
	} fixed[] = {{"tg:1:100", "93d061c9-5492-5f3c-b4b4-42af8705fe88"},
	             {"", "62ebdb39-2908-5ea4-a578-60ca96b81f03"},
	             {"юникод", "4c1c86a3-f3df-53b9-b3ab-897aeececfdd"}};
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
		id_uuid_of(fixed[i].name, a);
		assert_string_equal(a, fixed[i].uuid);
		assert_true(id_is_uuid(a) && a[14] == '5');
	}
	id_uuid_of("tg:1:101", a);
	id_uuid_of("tg:1:100", b);
	assert_string_not_equal(a, b);
}

static void random_hex(void **state)
{
	(void)state;
	char a[65], b[65];
	memset(a, '!', sizeof(a));
	id_random_hex(a, 0);
	assert_string_equal(a, "");
	id_random_hex(a, 1);
	assert_int_equal(strlen(a), 2);
	assert_int_equal(a[3], '!');
	id_random_hex(a, 32);
	id_random_hex(b, 32);
	assert_int_equal(strlen(a), 64);
	assert_int_equal(strspn(a, "0123456789abcdef"), 64);
	assert_string_not_equal(a, b);
}

static void compares_secrets(void **state)
{
	(void)state;
	static const struct {
		const char *secret, *given;
		bool equal;
	} cases[] = {
	        {"secret", "secret", true},
	        {"secret", "secreT", false},
	        {"secret", "xecret", false},
	        {"secret", "secre", false},
	        {"secret", "secrets", false},
	        {"secret", "secretsecret", false},
	        {"aa", "a", false},
	        {"a", "aa", false},
	        {"secret", "", false},
	        {"", "", false},
	        {"", "x", false},
	        {NULL, "x", false},
	        {"x", NULL, false},
	        {NULL, NULL, false},
	        {"ü\xff", "ü\xff", true},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(id_secret_equal(cases[i].secret, cases[i].given), cases[i].equal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(uuids_have_their_shape),
	        cmocka_unit_test(named_uuids_are_stable),
	        cmocka_unit_test(random_hex),
	        cmocka_unit_test(compares_secrets),
	};
	return cmocka_run_group_tests_name("core/id", tests, NULL, NULL);
}
