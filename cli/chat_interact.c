/* The interactive chat: one loop with a long poll of events and a small line editor. The terminal is in raw mode, so
 * that a message that arrives while one is typing does not tear the line. */
#include "cli/chat.h"
#include "core/http_client.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/str.h"
#include "core/text.h"
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define LINE_MAX_BYTES 16384
#define RETRY_MS 1500
#define HELLO "Type a message or a /command; :1 presses a button; Ctrl-D ends."

struct interact {
	struct chat *chat;
	struct loop *loop;
	struct http_client *http;
	struct loop_timer *retry;
	struct str line;
	int escape; /* bytes seen of an escape sequence, which is swallowed */
	bool lost;  /* told that the connection is gone */
};

static void poll_events(void *arg);

static void take_events(struct interact *in, const cJSON *page)
{
	const cJSON *event;

	cJSON_ArrayForEach(event, json_at(page, "events"))
	{
		chat_view_event(in->chat->view, event);
	}
	in->chat->after = json_int(page, "last", in->chat->after);
}

static void polled(void *arg, const struct http_response *res, const struct err *err)
{
	struct interact *in = arg;
	struct err ignored;
	cleanup_json cJSON *page =
	        res && res->status == 200 ? json_parse(res->body, res->len, &ignored) : NULL;

	(void)err;
	if (page == NULL) {
		if (!in->lost)
			chat_view_note(in->chat->view, "The connection is lost; trying again…");
		in->lost = true;
		loop_timer_set(in->retry, RETRY_MS, 0);
		return;
	}
	if (in->lost)
		chat_view_note(in->chat->view, "Connected again.");
	in->lost = false;
	take_events(in, page);
	poll_events(in);
}

static void poll_events(void *arg)
{
	struct interact *in = arg;
	cleanup_free char *url = mem_printf("%s/user/events?wait=25&chat=%lld&after=%lld", in->chat->base,
	                                    (long long)in->chat->user, (long long)in->chat->after);
	cleanup_free char *authorization = mem_printf("Authorization: Bearer %s", in->chat->key);
	const char *headers[] = {authorization, NULL};

	http_start(in->http, &(struct http_request){.url = url, .headers = headers, .total_ms = 40000},
	           polled, in);
}

static void enter(struct interact *in)
{
	cleanup_free char *line = str_take(&in->line);
	struct err err;

	chat_view_typed(in->chat->view, "");
	if (*line && chat_say(in->chat, line, &err) < 0)
		chat_view_note(in->chat->view, err.msg);
}

/* Cut the last character, or with ${whole} everything. */
static void erase(struct interact *in, bool whole)
{
	size_t n = whole ? 0 : in->line.len;

	while (n > 0 && (str_text(&in->line)[--n] & 0xc0) == 0x80)
		;
	str_cut(&in->line, n);
}

/* One byte; true when the chat is over. */
static bool key(struct interact *in, char c)
{
	if (in->escape > 0) {
		/* ESC [ … letter, or ESC letter */
		in->escape = in->escape == 1 && (c == '[' || c == 'O') ? 2
		             : c >= '@' && c <= '~'                    ? 0
		                                                       : in->escape;
		return false;
	}
	if (c == 4 && in->line.len == 0)
		return true;
	if (c == 27)
		in->escape = 1;
	else if (c == '\r' || c == '\n')
		enter(in);
	else if (c == 127 || c == 8)
		erase(in, false);
	else if (c == 21)
		erase(in, true);
	else if ((unsigned char)c >= 0x20)
		str_addc(&in->line, c);
	return false;
}

static void readable(void *arg)
{
	struct interact *in = arg;
	char bytes[512];
	ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));
	bool over = n <= 0;

	for (ssize_t i = 0; i < n && !over; i++)
		over = key(in, bytes[i]);
	if (over) {
		loop_stop(in->loop);
		return;
	}
	if (text_is_utf8(str_text(&in->line), in->line.len)) /* else the rest of a character is on its way */
		chat_view_typed(in->chat->view, str_text(&in->line));
}

static int run(struct interact *in, struct err *err)
{
	if (loop_open(&in->loop, err) < 0)
		return -1;
	if (http_client_open(&in->http, in->loop, err) < 0) {
		loop_close(in->loop);
		return -1;
	}
	struct loop_watch *input = loop_watch_new(in->loop, STDIN_FILENO, readable, in);
	in->retry = loop_timer_new(in->loop, poll_events, in);
	chat_view_show_on(in->chat->view, STDOUT_FILENO, CHAT_INTERACTIVE);
	chat_view_note(in->chat->view, HELLO);
	poll_events(in);
	loop_run(in->loop);
	loop_watch_free(input);
	loop_timer_free(in->retry);
	http_client_close(in->http);
	loop_close(in->loop);
	return 0;
}

int chat_interact(struct chat *c, struct err *err)
{
	struct interact in = {.chat = c, .line = STR_INIT_MAX(LINE_MAX_BYTES)};
	struct termios before, raw;

	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return err_set(err, ERR_IO, "the terminal cannot be read");
	raw = before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO); /* ISIG stays: Ctrl-C ends the loop */
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	int rc = run(&in, err);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
	if (write(STDOUT_FILENO, "\n", 1) < 0)
		rc = rc < 0 ? rc : 0;
	str_free(&in.line);
	return rc;
}
