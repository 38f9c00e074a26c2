#include "testsuite/telegram/limits.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void private_chat_gets_one_a_second_after_a_burst(void **state)
{
	struct tg_limits *l = tg_limits_new();

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(tg_limits_take(l, 7, 1000), 0);
	assert_int_equal(tg_limits_take(l, 7, 1000), 1);
	assert_int_equal(tg_limits_take(l, 8, 1000), 0);
	assert_int_equal(tg_limits_take(l, 7, 1999), 1);
	assert_int_equal(tg_limits_take(l, 7, 2000), 0);
	assert_int_equal(tg_limits_take(l, 7, 2000), 1);
	tg_limits_free(l);
}

static void group_gets_twenty_a_minute(void **state)
{
	struct tg_limits *l = tg_limits_new();
	int sent = 0;

	(void)state;
	for (int64_t t = 0; t < 60000; t += 100)
		sent += tg_limits_take(l, -5, t) == 0;
	assert_in_range(sent, 20, 40);
	while (tg_limits_take(l, -5, 60000) == 0)
		;
	assert_in_range(tg_limits_take(l, -5, 60000), 1, 3);
	tg_limits_free(l);
}

static void all_chats_share_thirty_a_second(void **state)
{
	struct tg_limits *l = tg_limits_new();
	int sent = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		sent += tg_limits_take(l, 1000 + i, 5) == 0;
	assert_int_equal(sent, 30);
	tg_limits_free(l);
}

static void many_chats_are_forgotten_not_grown(void **state)
{
	struct tg_limits *l = tg_limits_new();

	(void)state;
	for (int64_t i = 0; i < 5000; i++)
		assert_int_equal(tg_limits_take(l, 1 + i, i * 100), 0);
	tg_limits_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(private_chat_gets_one_a_second_after_a_burst),
	        cmocka_unit_test(group_gets_twenty_a_minute),
	        cmocka_unit_test(all_chats_share_thirty_a_second),
	        cmocka_unit_test(many_chats_are_forgotten_not_grown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
