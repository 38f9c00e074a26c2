#include "bot/auth.h"
#include "bot/bot.h"
#include "bot/callbacks.h"
#include "bot/settings.h"
#include "bot/test_db.h"
#include <string.h>

static struct config *config_with(const char *users, const char *admins, const char *viewers)
{
	static const struct setting *const tables[] = {bot_settings, NULL};
	struct config *cfg = NULL;
	unsetenv("AUTHORIZED_USER_IDS");
	assert_ok(config_load(&cfg, tables, NULL, false, err));
	if (users)
		assert_ok(config_set(cfg, "AUTHORIZED_USER_IDS", users, err));
	if (admins)
		assert_ok(config_set(cfg, "ADMIN_USER_IDS", admins, err));
	if (viewers)
		assert_ok(config_set(cfg, "VIEWER_USER_IDS", viewers, err));
	return cfg;
}

static void roles_follow_the_settings(void **state)
{
	static const struct {
		const char *users, *admins, *viewers;
		int64_t user;
		enum role role;
	} cases[] = {
	        {NULL, NULL, NULL, 1, ROLE_NONE},      {"", NULL, NULL, 1, ROLE_NONE},
	        {"1,2", NULL, NULL, 1, ROLE_OPERATOR}, {"1,2", NULL, NULL, 3, ROLE_NONE},
	        {"12", NULL, NULL, 1, ROLE_NONE},      {"*", NULL, NULL, 3, ROLE_OPERATOR},
	        {"1", "1", NULL, 1, ROLE_ADMIN},       {NULL, "1", NULL, 1, ROLE_ADMIN},
	        {"1", NULL, "1", 1, ROLE_VIEWER},      {"*", NULL, "4", 4, ROLE_VIEWER},
	        {"1", "*", NULL, 1, ROLE_OPERATOR},    {"1", "*", "*", 2, ROLE_NONE},
	        {"*", NULL, NULL, 0, ROLE_NONE},       {"*", NULL, NULL, -5, ROLE_NONE},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct config *cfg = config_with(cases[i].users, cases[i].admins, cases[i].viewers);
		if (auth_role(cfg, cases[i].user) != cases[i].role)
			fail_msg("case %zu: %s", i, auth_role_name(auth_role(cfg, cases[i].user)));
		config_free(cfg);
	}
}

static void malformed_ids_are_refused(void **state)
{
	static const char *const bad[] = {"1,x", "1 2", "-1", "1.5", "**", "99999999999999999999"};
	(void)state;
	struct config *cfg = config_with(NULL, NULL, NULL);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = {0};
		if (config_set(cfg, "AUTHORIZED_USER_IDS", bad[i], &err) == 0)
			fail_msg("%s was taken", bad[i]);
	}
	config_free(cfg);
}

static bool told(struct test_db *t, int64_t user, int64_t now)
{
	bool tell = false;
	assert_ok(auth_stranger(t->db, user, now, &tell, err));
	return tell;
}

static void strangers_are_told_once_an_hour(void **state)
{
	(void)state;
	struct test_db t;
	test_db_open(&t);
	int64_t now = 1000000000;
	assert_true(told(&t, 5, now));
	assert_false(told(&t, 5, now + 1));
	assert_true(told(&t, 6, now + 1));
	assert_false(told(&t, 5, now + AUTH_TOLD_MS - 1));
	assert_true(told(&t, 5, now + AUTH_TOLD_MS));
	assert_true(told(&t, 5, now - AUTH_TOLD_MS)); /* the clock was set back */
	assert_int_equal(test_db_int(&t, "SELECT seen FROM unauthorized WHERE user = 5"), 5);
	test_db_close(&t);
}

static void strangers_are_bounded(void **state)
{
	(void)state;
	struct test_db t;
	test_db_open(&t);
	assert_ok(db_begin(t.db, err));
	for (int64_t i = 1; i <= AUTH_STRANGERS + 50; i++)
		assert_true(told(&t, i, 1000 + i));
	assert_ok(db_commit(t.db, err));
	assert_int_equal(test_db_int(&t, "SELECT count(*) FROM unauthorized"), AUTH_STRANGERS);
	assert_int_equal(test_db_int(&t, "SELECT min(user) FROM unauthorized"), 51);
	test_db_close(&t);
}

/* -- buttons -- */

static enum err_code use(struct test_db *t, const char *token, int64_t user, int64_t now, struct callback *cb)
{
	struct err err = {0};
	return callbacks_use(t->db, token, user, now, cb, &err) ? err.code : ERR_NONE;
}

static void buttons_are_single_use_and_bound(void **state)
{
	(void)state;
	struct test_db t;
	struct callback cb = {0};
	char batch[CALLBACK_BATCH_LEN + 1], yes[CALLBACK_TOKEN_LEN + 1], no[CALLBACK_TOKEN_LEN + 1];
	test_db_open(&t);
	callbacks_batch(batch);
	assert_ok(callbacks_add(t.db, batch, 9, 5, "stop", "demo", 2000, yes, err));
	assert_ok(callbacks_add(t.db, batch, 9, 5, "keep", "demo", 2000, no, err));
	assert_true(strlen(yes) <= 64);
	assert_int_equal(use(&t, "nonsense", 5, 1000, &cb), ERR_NOT_FOUND);
	assert_int_equal(use(&t, "", 5, 1000, &cb), ERR_NOT_FOUND);
	assert_int_equal(use(&t, yes, 6, 1000, &cb), ERR_DENIED);
	assert_int_equal(use(&t, yes, 5, 2000, &cb), ERR_TIMEOUT);
	assert_int_equal(use(&t, yes, 5, 1000, &cb), ERR_NONE); /* the refusals used nothing up */
	assert_string_equal(cb.action, "stop");
	assert_string_equal(cb.payload, "demo");
	assert_int_equal(cb.chat, 9);
	assert_int_equal(use(&t, yes, 5, 1000, &cb), ERR_STATE);
	assert_int_equal(use(&t, no, 5, 1000, &cb), ERR_STATE); /* the other button of the message */
	test_db_close(&t);
}

static void buttons_are_voided_and_bounded(void **state)
{
	(void)state;
	struct test_db t;
	struct callback cb;
	struct err err = {0};
	char long_payload[1000], token[CALLBACK_TOKEN_LEN + 1];
	test_db_open(&t);
	assert_ok(callbacks_add(t.db, "b", 9, 5, "cancel", "1", 2000, token, err));
	assert_ok(callbacks_void(t.db, NULL, err));
	assert_ok(callbacks_void(t.db, token, err));
	assert_int_equal(use(&t, token, 5, 1000, &cb), ERR_STATE);
	memset(long_payload, 'x', sizeof(long_payload) - 1);
	long_payload[sizeof(long_payload) - 1] = '\0';
	assert_int_equal(callbacks_add(t.db, "b", 9, 5, "answer", long_payload, 2000, token, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	test_db_close(&t);
}

/* -- settings that depend on each other -- */

static void rates_are_kept_except_on_this_machine(void **state)
{
	static const struct {
		const char *url, *limit;
		bool on;
	} cases[] = {{NULL, NULL, true},
	             {"https://api.telegram.org", NULL, true},
	             {"http://127.0.0.1:18791", NULL, false},
	             {"http://localhost:8081/x", NULL, false},
	             {"http://localhost", NULL, false},
	             {"http://[::1]:80", NULL, false},
	             {"http://localhost.example.org", NULL, true},
	             {"http://10.0.0.1/127.0.0.1", NULL, true},
	             {"http://127.example.org", NULL, true},
	             {"http://a", NULL, true},
	             {"http://127.0.0.1:18791", "on", true},
	             {"https://api.telegram.org", "off", false}};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct config *cfg = config_with(NULL, NULL, NULL);
		if (cases[i].url)
			assert_ok(config_set(cfg, "TELEGRAM_API_URL", cases[i].url, err));
		if (cases[i].limit)
			assert_ok(config_set(cfg, "TELEGRAM_RATE_LIMIT", cases[i].limit, err));
		if (settings_limits(cfg) != cases[i].on)
			fail_msg("case %zu", i);
		config_free(cfg);
	}
}

static const char identities[] = "{\"token\":\"4242:abcdefghijklmnopqrstuvwxyz012345678\",\"username\":\"x_"
                                 "bot\",\"key\":\"00112233445566778899\","
                                 "\"users\":[{\"id\":11,\"name\":\"A\",\"role\":\"admin\"},{\"id\":12,"
                                 "\"name\":\"B\",\"role\":\"operator\"}]}";

/* A stack's own bot reads telegram.json; settings win, and without an API URL it is not looked at. */
static void a_stacks_bot_takes_its_identities_from_the_state(void **state)
{
	static const struct {
		const char *url, *token, *users, *admins;
		const char *expect_token, *expect_users, *expect_admins;
	} cases[] = {
	        {"http://telegram:1", NULL, NULL, NULL, "4242:abcdefghijklmnopqrstuvwxyz012345678", "11,12",
	         "11"},
	        {"http://telegram:1", NULL, "12", NULL, "4242:abcdefghijklmnopqrstuvwxyz012345678", "12",
	         "11"},
	        {"http://telegram:1", NULL, NULL, "12", "4242:abcdefghijklmnopqrstuvwxyz012345678", "11,12",
	         "12"},
	        {"http://telegram:1", "7:set", NULL, NULL, "7:set", NULL, NULL},
	        {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
	};
	static const char *const keys[] = {"TELEGRAM_API_URL", "TELEGRAM_BOT_TOKEN", "AUTHORIZED_USER_IDS",
	                                   "ADMIN_USER_IDS"};
	char dir[] = "/tmp/codefoundry-bot.XXXXXX";
	(void)state;
	assert_non_null(mkdtemp(dir));
	cleanup_free char *path = mem_printf("%s/telegram.json", dir);
	assert_ok(file_write(path, identities, strlen(identities), 0600, err));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *const given[] = {cases[i].url, cases[i].token, cases[i].users, cases[i].admins};
		const char *const expected[] = {cases[i].url, cases[i].expect_token, cases[i].expect_users,
		                                cases[i].expect_admins};
		struct config *cfg = config_with(NULL, NULL, NULL);
		for (size_t k = 0; k < ARRAY_LEN(keys); k++)
			assert_ok(config_set(cfg, keys[k], given[k], err));
		assert_ok(settings_identify(cfg, dir, 0, err));
		for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
			const char *is = config_text(cfg, keys[k]);
			if ((is || expected[k]) &&
			    strcmp(is ? is : "(unset)", expected[k] ? expected[k] : "(unset)"))
				fail_msg("case %zu: %s is %s", i, keys[k], is);
		}
		config_free(cfg);
	}
	assert_ok(tree_remove(dir, err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(roles_follow_the_settings),
	        cmocka_unit_test(malformed_ids_are_refused),
	        cmocka_unit_test(strangers_are_told_once_an_hour),
	        cmocka_unit_test(strangers_are_bounded),
	        cmocka_unit_test(buttons_are_single_use_and_bound),
	        cmocka_unit_test(buttons_are_voided_and_bounded),
	        cmocka_unit_test(rates_are_kept_except_on_this_machine),
	        cmocka_unit_test(a_stacks_bot_takes_its_identities_from_the_state),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
