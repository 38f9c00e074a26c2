/* What a view writes, on a small emulated screen of 80 columns (the width when it is no terminal). */
#include "cli/chat_view.h"
#include "core/mem.h"
#include "core/str.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define ROWS 40
#define COLUMNS 80

static char *written(int fd)
{
	off_t n = lseek(fd, 0, SEEK_END);
	char *text = mem_alloc((size_t)n + 1);

	assert_int_equal(pread(fd, text, (size_t)n, 0), n);
	return text;
}

/* Play ASCII output with cursor-up, carriage return and erase-below; the rows, trailing blanks cut, joined by "|". */
static char *screen(int fd)
{
	static char cells[ROWS][COLUMNS + 1];
	cleanup_free char *text = written(fd);
	int y = 0, x = 0;
	struct str out = STR_INIT;

	memset(cells, 0, sizeof(cells));
	for (char *p = text; *p; p++) {
		if (*p == '\033') {
			char *end;
			long n = strtol(p + 2, &end, 10);
			y -= *end == 'A' ? (int)(n ? n : 1) : 0;
			assert_true(y >= 0);
			if (*end == 'J') {
				memset(&cells[y][x], 0, (size_t)(COLUMNS - x));
				memset(cells[y + 1], 0, sizeof(cells[0]) * (size_t)(ROWS - y - 1));
			}
			p = end;
		} else if (*p == '\n') {
			y++, x = 0;
		} else if (*p == '\r') {
			x = 0;
		} else {
			if (x == COLUMNS)
				y++, x = 0;
			cells[y][x++] = *p;
		}
		assert_true(y < ROWS);
	}
	for (int i = 0; i < ROWS; i++)
		if (cells[i][0])
			str_addf(&out, "%s%s", out.len ? "|" : "", cells[i]);
	return str_take(&out);
}

static void event(struct chat_view *v, const char *type, int id, const char *text, const char *more)
{
	cleanup_free char *json = mem_printf(
	        "{\"type\":\"%s\",\"from\":\"bot\",\"message\":{\"message_id\":%d,\"text\":\"%s\"%s}}", type,
	        id, text, more);
	cleanup_json cJSON *e = cJSON_Parse(json);

	assert_non_null(e);
	chat_view_event(v, e);
}

static void shows(enum chat_style style, void (*play)(struct chat_view *v), const char *want)
{
	int fd = memfd_create("screen", 0);
	struct chat_view *v = chat_view_new();

	chat_view_show_on(v, fd, style);
	play(v);
	cleanup_free char *got = screen(fd);
	assert_string_equal(got, want);
	chat_view_free(v);
	close(fd);
}

static void edits(struct chat_view *v)
{
	event(v, "message", 1, "one\\ntwo\\nthree", "");
	event(v, "edit", 1, "short", "");
	event(v, "message", 2, "next", "");
	event(v, "edit", 1, "late", "");
}

static void wraps(struct chat_view *v)
{
	char line[201];

	memset(line, 'x', 200);
	line[200] = '\0';
	event(v, "message", 1, line, "");
	event(v, "edit", 1, "done", "");
}

static void types(struct chat_view *v)
{
	char line[121];

	memset(line, 'y', 120);
	line[120] = '\0';
	chat_view_typed(v, line);
	event(v, "message", 1, "0 %", "");
	chat_view_typed(v, "/help");
	event(v, "edit", 1, "100 %", "");
}

static void controls(struct chat_view *v)
{
	event(v, "message", 1, "a\\u001b[2Jb\\u0007c\\u009b2Jd",
	      ",\"reply_markup\":{\"inline_keyboard\":[[{\"text\":\"x\\u001b[2Jy\",\"callback_data\":\"d\"}]]"
	      "}");
}

static void edits_in_place_only_on_a_terminal(void **state)
{
	(void)state;
	shows(CHAT_PLAIN, edits, "one|two|three|short|next|late");
	shows(CHAT_TERMINAL, edits, "short|next|late");
	shows(CHAT_TERMINAL, wraps, "done");
}

static void typed_line_stays_below(void **state)
{
	(void)state;
	shows(CHAT_INTERACTIVE, types, "100 %|> /help");
}

static void foreign_control_characters_do_not_pass(void **state)
{
	(void)state;
	shows(CHAT_PLAIN, controls, "a [2Jb c 2Jd|  [:1 x [2Jy]");
}

static void buttons_are_numbered(void **state)
{
	static const char keys[] =
	        ",\"reply_markup\":{\"inline_keyboard\":[[{\"text\":\"A\",\"callback_data\":\"a\"},"
	        "{\"text\":\"U\",\"url\":\"http://x.org\"}],[{\"text\":\"B\",\"callback_data\":\"b\"}]]}";
	struct chat_view *v = chat_view_new();
	int64_t message = 0;
	const char *data = NULL;

	(void)state;
	assert_false(chat_view_button(v, 1, &message, &data));
	event(v, "message", 5, "choose", keys);
	event(v, "message", 6, "other", "");
	assert_true(chat_view_button(v, 2, &message, &data));
	assert_int_equal(message, 5);
	assert_string_equal(data, "b");
	assert_true(chat_view_button(v, 1, &message, &data));
	assert_string_equal(data, "a");
	assert_false(chat_view_button(v, 3, &message, &data));
	assert_false(chat_view_button(v, 0, &message, &data));
	event(v, "edit", 5, "chosen", "");
	assert_false(chat_view_button(v, 1, &message, &data));
	chat_view_free(v);
}

static void unfinished_has_a_cancel_button_or_a_bar(void **state)
{
	static const struct {
		const char *message;
		bool unfinished;
	} cases[] = {{"{\"text\":\"x\"}", false},
	             {"{}", false},
	             {"{\"text\":\"\xe2\x96\x88\xe2\x96\x91 50 %\"}", true},
	             {"{\"reply_markup\":{\"inline_keyboard\":[[{\"text\":\"Cancel\"}]]}}", true},
	             {"{\"reply_markup\":{\"inline_keyboard\":[[{\"text\":\"Stop\"}]]}}", false}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_json cJSON *message = cJSON_Parse(cases[i].message);
		assert_int_equal(chat_view_unfinished(message), cases[i].unfinished);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(edits_in_place_only_on_a_terminal),
	        cmocka_unit_test(typed_line_stays_below),
	        cmocka_unit_test(foreign_control_characters_do_not_pass),
	        cmocka_unit_test(buttons_are_numbered),
	        cmocka_unit_test(unfinished_has_a_cancel_button_or_a_bar),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
