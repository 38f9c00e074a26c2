#include "bot/budget.h"
#include "jobs/test_state.h"

static void a_chat_hears_one_a_second(void **state)
{
	(void)state;
	struct budget b;
	struct budget_chat c = {0};
	budget_init(&b, true, 1000);
	assert_int_equal(budget_wait_chat(&b, &c, false, true, 1000), 0);
	budget_take(&b, &c, 1000);
	assert_int_equal(budget_wait_chat(&b, &c, false, true, 1000), 1000);
	assert_int_equal(budget_wait_chat(&b, &c, false, true, 1999), 1);
	assert_int_equal(budget_wait_chat(&b, &c, false, true, 2000), 0);
}

/* 20 in a minute, of which a quarter is kept for what must arrive. */
static void a_group_hears_twenty_a_minute(void **state)
{
	(void)state;
	struct budget b;
	struct budget_chat c = {0};
	int64_t now = 1000;
	budget_init(&b, true, now);
	for (int i = 0; i < 15; i++, now += 1000) {
		assert_int_equal(budget_wait_chat(&b, &c, true, false, now), 0);
		budget_take(&b, &c, now);
	}
	assert_int_equal(budget_wait_chat(&b, &c, true, false, now), 61000 - now);
	for (int i = 0; i < 5; i++, now += 1000) {
		assert_int_equal(budget_wait_chat(&b, &c, true, true, now), 0);
		budget_take(&b, &c, now);
	}
	assert_int_equal(budget_wait_chat(&b, &c, true, true, now), 61000 - now);
	assert_int_equal(budget_wait_chat(&b, &c, true, true, 61000), 0);
	assert_int_equal(budget_wait_chat(&b, &c, false, true, now), 0); /* no group: no window */
}

static void all_hear_thirty_a_second(void **state)
{
	(void)state;
	struct budget b;
	struct budget_chat c = {0};
	budget_init(&b, true, 0);
	for (int i = 0; i < 30; i++) {
		assert_int_equal(budget_wait(&b, 0), 0);
		budget_take(&b, &c, 0);
	}
	int64_t wait = budget_wait(&b, 0);
	assert_in_range(wait, 30, 40);
	assert_int_equal(budget_wait(&b, wait), 0);
	assert_int_equal(budget_wait(&b, 3600000), 0);
	assert_true(b.tokens <= 30);
}

static void off_is_off(void **state)
{
	(void)state;
	struct budget b;
	struct budget_chat c = {0};
	budget_init(&b, false, 0);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(budget_wait(&b, 0), 0);
		assert_int_equal(budget_wait_chat(&b, &c, true, false, 0), 0);
		budget_take(&b, &c, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_chat_hears_one_a_second),
	        cmocka_unit_test(a_group_hears_twenty_a_minute),
	        cmocka_unit_test(all_hear_thirty_a_second),
	        cmocka_unit_test(off_is_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
