#include "core/mem.h"
#include "gateway/access.h"
#include "gateway/gateway.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void every_way_in(void **unused)
{
	(void)unused;
	static const struct {
		const char *token, *origins;
		enum role anonymous;
		const char *query, *authorization, *origin, *peer;
		int status;
		enum role role;
	} cases[] = {
	        {NULL, NULL, ROLE_NONE, NULL, NULL, NULL, "127.0.0.1", 0, ROLE_OPERATOR},
	        {NULL, NULL, ROLE_NONE, NULL, NULL, NULL, "::1", 0, ROLE_OPERATOR},
	        {NULL, NULL, ROLE_NONE, NULL, NULL, NULL, "::ffff:127.0.0.9", 0, ROLE_OPERATOR},
	        {NULL, NULL, ROLE_NONE, NULL, NULL, NULL, "192.0.2.7", 401, 0},
	        {NULL, NULL, ROLE_NONE, NULL, NULL, NULL, NULL, 401, 0},
	        {NULL, NULL, ROLE_VIEWER, NULL, NULL, NULL, "192.0.2.7", 0, ROLE_VIEWER},
	        {NULL, NULL, ROLE_NONE, "token=x", NULL, NULL, "127.0.0.1", 0, ROLE_OPERATOR},
	        {"s3cret", NULL, ROLE_NONE, NULL, NULL, NULL, "127.0.0.1", 401, 0},
	        {"s3cret", NULL, ROLE_VIEWER, NULL, NULL, NULL, "127.0.0.1", 0, ROLE_VIEWER},
	        {"s3cret", NULL, ROLE_VIEWER, NULL, "Bearer wrong", NULL, "127.0.0.1", 401, 0},
	        {"s3cret", NULL, ROLE_NONE, NULL, "Bearer s3cret", NULL, "192.0.2.7", 0, ROLE_OPERATOR},
	        {"s3cret", NULL, ROLE_NONE, NULL, "bearer  s3cret", NULL, "192.0.2.7", 0, ROLE_OPERATOR},
	        {"s3cret", NULL, ROLE_NONE, NULL, "Basic s3cret", NULL, "192.0.2.7", 401, 0},
	        {"s3cret", NULL, ROLE_NONE, "a=1&token=s3cret", NULL, NULL, "192.0.2.7", 0, ROLE_OPERATOR},
	        {"s3cret", NULL, ROLE_NONE, "token=s3cret&a=1", NULL, NULL, "192.0.2.7", 0, ROLE_OPERATOR},
	        {"a b", NULL, ROLE_NONE, "token=a%20b", NULL, NULL, "192.0.2.7", 0, ROLE_OPERATOR},
	        {"s3cret", NULL, ROLE_NONE, "xtoken=s3cret", NULL, NULL, "192.0.2.7", 401, 0},
	        {"s3cret", NULL, ROLE_NONE, "token=", NULL, NULL, "192.0.2.7", 401, 0},
	        {"s3cret", NULL, ROLE_NONE, "token=s3cre", NULL, NULL, "192.0.2.7", 401, 0},
	        {NULL, NULL, ROLE_NONE, NULL, NULL, "http://localhost:3000", "127.0.0.1", 0, ROLE_OPERATOR},
	        {NULL, NULL, ROLE_NONE, NULL, NULL, "http://127.0.0.1", "127.0.0.1", 0, ROLE_OPERATOR},
	        {NULL, NULL, ROLE_NONE, NULL, NULL, "http://[::1]:80", "127.0.0.1", 0, ROLE_OPERATOR},
	        {NULL, NULL, ROLE_NONE, NULL, NULL, "https://evil.example", "127.0.0.1", 403, 0},
	        {NULL, NULL, ROLE_NONE, NULL, NULL, "null", "127.0.0.1", 403, 0},
	        {NULL, NULL, ROLE_NONE, NULL, NULL, "https://localhost.evil.example", "127.0.0.1", 403, 0},
	        {NULL, "https://a.example, https://b.example", ROLE_NONE, NULL, NULL, "https://b.example",
	         "127.0.0.1", 0, ROLE_OPERATOR},
	        {NULL, "https://a.example", ROLE_NONE, NULL, NULL, "https://a.example.evil", "127.0.0.1", 403,
	         0},
	        {"s3cret", NULL, ROLE_NONE, "token=s3cret", NULL, "https://evil.example", "127.0.0.1", 403,
	         0},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct access a = {.host = "127.0.0.1",
		                   .token = cases[i].token,
		                   .origins = cases[i].origins,
		                   .anonymous = cases[i].anonymous};
		enum role role = ROLE_NONE;
		int status = access_check(&a, cases[i].query, cases[i].authorization, cases[i].origin,
		                          cases[i].peer, &role);
		if (status != cases[i].status || (status == 0 && role != cases[i].role))
			fail_msg("case %zu: status %d role %s", i, status, role_name(role));
	}
}

static int open_with(const char *host, const char *token, const char *anonymous, struct err *err)
{
	static const struct setting *const tables[] = {gateway_settings, NULL};
	struct config *cfg = NULL;
	struct access a;
	unsetenv("GATEWAY_TOKEN");
	unsetenv("GATEWAY_HOST");
	unsetenv("GATEWAY_ANONYMOUS");
	assert_int_equal(config_load(&cfg, tables, NULL, false, err), 0);
	assert_int_equal(config_set(cfg, "GATEWAY_HOST", host, err), 0);
	if (token)
		assert_int_equal(config_set(cfg, "GATEWAY_TOKEN", token, err), 0);
	if (anonymous)
		assert_int_equal(config_set(cfg, "GATEWAY_ANONYMOUS", anonymous, err), 0);
	int result = access_open(&a, cfg, err);
	config_free(cfg);
	return result;
}

static void open_hosts_need_a_token(void **unused)
{
	(void)unused;
	struct err err = {0};
	assert_int_equal(open_with("127.0.0.1", NULL, NULL, &err), 0);
	assert_int_equal(open_with("localhost", NULL, NULL, &err), 0);
	assert_int_equal(open_with("::1", NULL, NULL, &err), 0);
	assert_int_equal(open_with("0.0.0.0", "0123456789abcdef", NULL, &err), 0);
	assert_int_equal(open_with("0.0.0.0", NULL, "viewer", &err), 0);
	assert_int_equal(open_with("0.0.0.0", NULL, NULL, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.msg, "GATEWAY_TOKEN"));
	assert_int_equal(open_with("gateway.example", "0123456789abcdef", NULL, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
}

static void bucket_refills_and_runs_out(void **unused)
{
	(void)unused;
	struct rate rate = {0};
	int64_t now = 1000;
	for (int i = 0; i < 60; i++)
		assert_int_equal(rate_take(&rate, 20, 60, now), RATE_OK);
	for (int i = 0; i < 20; i++)
		assert_int_equal(rate_take(&rate, 20, 60, now), RATE_REFUSE);
	assert_int_equal(rate_take(&rate, 20, 60, now), RATE_CLOSE);
	now += 1000; /* twenty more, but not forgiven: the bucket is not half full */
	for (int i = 0; i < 20; i++)
		assert_int_equal(rate_take(&rate, 20, 60, now), RATE_OK);
	assert_int_equal(rate_take(&rate, 20, 60, now), RATE_CLOSE);
	now += 60000;
	assert_int_equal(rate_take(&rate, 20, 60, now), RATE_OK);
	assert_int_equal(rate.strikes, 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(rate_take(&rate, 0, 0, now), RATE_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_way_in),
	        cmocka_unit_test(open_hosts_need_a_token),
	        cmocka_unit_test(bucket_refills_and_runs_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
