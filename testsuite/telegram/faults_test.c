#include "core/mem.h"
#include "testsuite/telegram/faults.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int order(struct tg_faults *f, const char *text)
{
	cleanup_json cJSON *json = cJSON_Parse(text);
	struct err err;

	return tg_faults_order(f, json, &err);
}

static void taken_in_turn_as_often_as_ordered(void **state)
{
	struct tg_faults *f = tg_faults_new();
	struct tg_fault fault;

	(void)state;
	assert_int_equal(order(f, "{\"method\":\"sendMessage\",\"times\":2,\"error_code\":500}"), 0);
	assert_int_equal(order(f, "{\"method\":\"*\",\"retry_after\":7}"), 0);
	assert_true(tg_faults_take(f, "sendmessage", &fault));
	assert_int_equal(fault.error_code, 500);
	assert_string_equal(fault.description, "Internal Server Error");
	assert_true(tg_faults_take(f, "getMe", &fault));
	assert_int_equal(fault.error_code, 429);
	assert_string_equal(fault.description, "Too Many Requests: retry after 7");
	assert_false(tg_faults_take(f, "getMe", &fault));
	assert_true(tg_faults_take(f, "sendMessage", &fault));
	assert_false(tg_faults_take(f, "sendMessage", &fault));
	tg_faults_free(f);
}

static void zero_times_removes(void **state)
{
	struct tg_faults *f = tg_faults_new();
	struct tg_fault fault;

	(void)state;
	assert_int_equal(order(f, "{\"method\":\"getMe\",\"times\":9,\"drop\":true}"), 0);
	assert_int_equal(order(f, "{\"method\":\"getUpdates\",\"times\":9,\"drop\":true}"), 0);
	assert_int_equal(order(f, "{\"method\":\"GETME\",\"times\":0}"), 0);
	assert_false(tg_faults_take(f, "getMe", &fault));
	assert_true(tg_faults_take(f, "getUpdates", &fault));
	assert_int_equal(order(f, "{\"method\":\"*\",\"times\":0}"), 0);
	assert_false(tg_faults_take(f, "getUpdates", &fault));
	tg_faults_free(f);
}

static void malformed_orders_are_refused(void **state)
{
	static const char *const bad[] = {"{}",
	                                  "7",
	                                  "{\"method\":\"\"}",
	                                  "{\"method\":\"x\",\"times\":-1}",
	                                  "{\"method\":\"x\",\"times\":\"2\"}",
	                                  "{\"method\":\"x\",\"error_code\":200}",
	                                  "{\"method\":\"x\",\"delay_ms\":1e12}"};
	struct tg_faults *f = tg_faults_new();
	struct tg_fault fault;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(order(f, bad[i]), -1);
	for (int i = 0; i < 256; i++)
		assert_int_equal(order(f, "{\"method\":\"x\",\"drop\":true}"), 0);
	assert_int_equal(order(f, "{\"method\":\"x\",\"drop\":true}"), -1);
	assert_true(tg_faults_take(f, "x", &fault));
	tg_faults_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(taken_in_turn_as_often_as_ordered),
	        cmocka_unit_test(zero_times_removes),
	        cmocka_unit_test(malformed_orders_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
