#include "bot/commands.h"
#include "bot/html.h"
#include "core/mem.h"
#include "jobs/test_state.h"
#include <string.h>

/* Bot API: BotCommand. */
static void commands_fit_the_menu(void **state)
{
	(void)state;
	for (const struct command *const *c = bot_commands; *c; c++) {
		size_t n = strlen((*c)->name);
		assert_true(n >= 1 && n <= 32);
		assert_int_equal(strspn((*c)->name, "abcdefghijklmnopqrstuvwxyz0123456789_"), n);
		for (int lang = 0; lang < LANG_COUNT; lang++)
			assert_in_range(html_units((*c)->about[lang]), 3, 256);
		assert_true((*c)->usage[0] == '/' && (*c)->example[0] == '/');
		assert_true((*c)->role > ROLE_NONE && (*c)->run);
		assert_ptr_equal(commands_find((*c)->name), *c);
	}
	assert_null(commands_find("deploy"));
	assert_string_equal(commands_nearest("sesion"), "session");
	assert_null(commands_nearest("xyzzyxyzzy"));
	cleanup_free char *menu = commands_menu(LANG_RU, true);
	assert_non_null(strstr(menu, "\"language_code\":\"ru\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(commands_fit_the_menu)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
