/* `codefoundry chat [--json] [--wait SECONDS] [--user ID] [TEXT…]`: talk to the bot through the built-in Telegram server.
 * With TEXT (":1" presses the first button of the last message that has any): send it, print the replies until the
 * answer is final, end. Without, on a terminal: an interactive chat; otherwise each line of standard input as TEXT.
 * The person and the key stand in STATE_DIR/telegram.json, written by `up`. */
#include "cli/chat.h"
#include "cli/cli.h"
#include "cli/complete.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/str.h"
#include "jobs/state.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_S 120
#define QUIET_MS 2000  /* no news for so long after an answer: that was it */
#define TYPING_MS 6000 /* a typing bot is given this long */
#define HISTORY 500
#define USAGE                                                                                                \
	"usage: codefoundry chat [--json] [--wait SECONDS] [--user ID] [TEXT…]   e.g. codefoundry chat "   \
	"/status"

/* What one exchange has brought so far. */
struct answer {
	cJSON *messages;            /* of the bot, newest state each */
	int64_t news_ms, typing_ms; /* monotonic */
};

static int nothing_runs(const struct chat *c, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND,
	               "no built-in Telegram server answers at %s: run `make up` first (with "
	               "TELEGRAM_BOT_TOKEN set the bot "
	               "is in Telegram itself)",
	               c->base);
}

static int of_another(const struct chat *c, struct err *err)
{
	return err_set(
	        err, ERR_DENIED,
	        "the Telegram server at %s is of another installation, it refused our key: run `make up` "
	        "first, which says what to change (TELEGRAM_PORT)",
	        c->base);
}

static int catch_up(struct chat *c, struct err *err)
{
	cleanup_json cJSON *now = user_api_events(c->api, c->user, -1, 0, err);

	if (now == NULL)
		return err->code == ERR_NET      ? nothing_runs(c, err)
		       : err->code == ERR_DENIED ? of_another(c, err)
		                                 : -1;
	c->after = json_int(now, "last", 0);
	return 0;
}

/* The view, still silent, learns from recent events which buttons there are. */
static int learn_buttons(struct chat *c, struct err *err)
{
	int64_t at = c->after > HISTORY ? c->after - HISTORY : 0;

	while (at < c->after) {
		cleanup_json cJSON *page = user_api_events(c->api, c->user, at, 0, err);
		const cJSON *event;
		if (page == NULL)
			return -1;
		cJSON_ArrayForEach(event, json_at(page, "events"))
		{
			chat_view_event(c->view, event);
		}
		at = json_int(page, "last", c->after) > at ? json_int(page, "last", c->after) : c->after;
	}
	return 0;
}

static int press(struct chat *c, int n, struct err *err)
{
	cleanup_json cJSON *body = json_object();
	int64_t message = 0;
	const char *data = NULL;

	if (!chat_view_button(c->view, n, &message, &data))
		return err_set(err, ERR_INVALID, "there is no button :%d", n);
	json_add_int(body, "user", c->user);
	json_add_int(body, "message_id", message);
	json_add_text(body, "data", data);
	cleanup_json cJSON *done = user_api_post(c->api, "/user/press", body, err);
	return done ? 0 : -1;
}

int chat_say(struct chat *c, const char *line, struct err *err)
{
	cleanup_json cJSON *body = json_object();
	char *end;

	if (line[0] == ':') {
		long n = strtol(line + 1, &end, 10);
		if (end != line + 1 && *end == '\0')
			return press(c, n < 1 || n > 1000 ? 0 : (int)n, err);
	}
	json_add_int(body, "user", c->user);
	json_add_text(body, "text", line);
	cleanup_json cJSON *done = user_api_post(c->api, "/user/message", body, err);
	if (done == NULL)
		return err->code == ERR_NET ? nothing_runs(c, err) : -1;
	return 0;
}

static void keep(struct answer *a, const cJSON *message)
{
	cJSON *copy = cJSON_Duplicate(message, true), *known;
	int64_t id = json_int(message, "message_id", 0);

	for (known = a->messages->child; known; known = known->next) {
		if (json_int(known, "message_id", 0) != id)
			continue;
		cJSON_ReplaceItemViaPointer(a->messages, known, copy);
		return;
	}
	cJSON_AddItemToArray(a->messages, copy);
}

/* On a terminal everything as it comes; elsewhere what is unfinished is held back until it is final. */
static void take(struct chat *c, struct answer *a, const cJSON *event)
{
	const char *type = json_text(event, "type"), *from = json_text(event, "from");
	const cJSON *message = json_at(event, "message");
	bool bot = from && strcmp(from, "bot") == 0;
	bool text = type && (strcmp(type, "message") == 0 || strcmp(type, "edit") == 0);

	if (!bot || type == NULL)
		return;
	if (strcmp(type, "action") == 0)
		a->typing_ms = clock_mono_ms() + TYPING_MS;
	if (text || strcmp(type, "answer") == 0)
		a->news_ms = clock_mono_ms();
	if (text) {
		a->typing_ms = 0;
		keep(a, message);
	}
	if (!c->json && (!text || isatty(STDOUT_FILENO) || !chat_view_unfinished(message)))
		chat_view_event(c->view, event);
}

static bool unfinished(const struct answer *a)
{
	const cJSON *message;

	cJSON_ArrayForEach(message, a->messages)
	{
		if (chat_view_unfinished(message))
			return true;
	}
	return false;
}

/* Read events until the answer is final or ${deadline_ms}. */
static int follow(struct chat *c, struct answer *a, int64_t deadline_ms, struct err *err)
{
	for (;;) {
		int64_t now = clock_mono_ms();
		bool pending = a->news_ms == 0 || unfinished(a) || a->typing_ms > now;
		int64_t until =
		        pending || a->news_ms + QUIET_MS > deadline_ms ? deadline_ms : a->news_ms + QUIET_MS;
		if (until <= now)
			return 0;
		int64_t left_s = (until - now + 999) / 1000;
		cleanup_json cJSON *page =
		        user_api_events(c->api, c->user, c->after, left_s > 5 ? 5 : (int)left_s, err);
		const cJSON *event;
		if (page == NULL)
			return -1;
		cJSON_ArrayForEach(event, json_at(page, "events"))
		{
			take(c, a, event);
		}
		c->after = json_int(page, "last", c->after);
	}
}

/* What was held back and never became final. */
static void print_unfinished(struct chat *c, const struct answer *a)
{
	const cJSON *message;

	cJSON_ArrayForEach(message, a->messages)
	{
		cleanup_json cJSON *event = json_object();
		if (c->json || isatty(STDOUT_FILENO) || !chat_view_unfinished(message))
			continue;
		json_add_text(event, "type", "edit");
		json_add_text(event, "from", "bot");
		json_add(event, "message", cJSON_Duplicate(message, true));
		chat_view_event(c->view, event);
	}
}

/* Say ${line} and print what comes back. */
static int exchange(struct chat *c, const char *line, struct err *err)
{
	struct answer a = {.messages = json_array()};
	int64_t deadline = clock_mono_ms() + c->wait_ms;
	int rc = chat_say(c, line, err);

	if (rc == 0)
		rc = follow(c, &a, deadline, err);
	print_unfinished(c, &a);
	if (rc == 0 && a.news_ms == 0)
		rc = err_set(
		        err, ERR_TIMEOUT,
		        "the bot did not answer within %lld s: `codefoundry status` shows whether it runs",
		        (long long)c->wait_ms / 1000);
	else if (rc == 0 && unfinished(&a))
		rc = err_set(err, ERR_TIMEOUT, "no final answer within %lld s; give --wait more",
		             (long long)c->wait_ms / 1000);
	if (c->json) {
		cleanup_free char *text = json_print_pretty(a.messages);
		puts(text);
	}
	cJSON_Delete(a.messages);
	return rc;
}

/* Each line of standard input in turn; the first failure ends it. */
static int read_lines(struct chat *c, struct err *err)
{
	cleanup_free char *line = NULL;
	size_t size = 0;
	int rc = 0;

	while (rc == 0 && getline(&line, &size, stdin) >= 0) {
		line[strcspn(line, "\r\n")] = '\0';
		if (*line)
			rc = exchange(c, line, err);
	}
	return rc;
}

static int read_credentials(struct chat *c, const struct config *cfg, struct err *err)
{
	cleanup_free char *dir = state_dir(cfg), *path = mem_printf("%s/telegram.json", dir), *text = NULL;
	cleanup_json cJSON *json = NULL;
	const char *host = config_text(cfg, "TELEGRAM_HOST");
	size_t len = 0;
	struct err why;

	bool any = host == NULL || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
	c->base = mem_printf("http://%s:%lld", any ? "127.0.0.1" : host,
	                     (long long)config_int(cfg, "TELEGRAM_PORT"));
	if (file_read(path, 1u << 20, &text, &len, &why) < 0)
		return err_set(err, ERR_NOT_FOUND,
		               "there is no chat yet (%s): run `make up` first; with TELEGRAM_BOT_TOKEN set "
		               "the bot is in Telegram "
		               "itself",
		               why.msg);
	json = json_parse(text, len, &why);
	if (json_text(json, "key") == NULL || json_int(json, "users.0.id", 0) == 0)
		return err_set(err, ERR_STATE, "%s is damaged: remove it and run `make up`", path);
	c->key = mem_strdup(json_text(json, "key"));
	if (c->user == 0)
		c->user = json_int(json, "users.0.id", 0);
	c->api = user_api_new(c->base, c->key);
	return 0;
}

static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                        {"wait", required_argument, NULL, 'w'},
                                        {"user", required_argument, NULL, 'u'},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};

static int offer_options(void)
{
	for (const struct option *o = options; o->name; o++) {
		cleanup_free char *word = mem_printf("--%s", o->name);
		complete_offer(word, NULL);
	}
	return 0;
}

static int read_options(struct chat *c, int argc, char **argv, struct err *err)
{
	int option;

	optind = 0;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		char *end = NULL;
		long long n = optarg ? strtoll(optarg, &end, 10) : 0;
		if (option == '?' || (optarg && (*optarg == '\0' || *end || n <= 0)))
			return err_set(err, ERR_USAGE, "%s", USAGE);
		if (option == 'h') { /* as args_parse does */
			puts(USAGE);
			exit(0);
		}
		if (option == 'j')
			c->json = true;
		else if (option == 'w')
			c->wait_ms = (n > 86400 ? 86400 : n) * 1000;
		else
			c->user = n;
	}
	return 0;
}

static int run(struct chat *c, int argc, char **argv, struct err *err)
{
	cleanup_str struct str text = STR_INIT;

	for (int i = optind; i < argc; i++)
		str_addf(&text, "%s%s", i > optind ? " " : "", argv[i]);
	if (catch_up(c, err) < 0 || learn_buttons(c, err) < 0)
		return -1;
	if (text.len == 0 && !c->json && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		return chat_interact(c, err);
	chat_view_show_on(c->view, STDOUT_FILENO, isatty(STDOUT_FILENO) ? CHAT_TERMINAL : CHAT_PLAIN);
	return text.len > 0 ? exchange(c, str_text(&text), err) : read_lines(c, err);
}

int cli_chat(const struct config *cfg, int argc, char **argv, struct err *err)
{
	if (complete_wanted()) /* what is said behind the options is no option, so it parses them itself */
		return offer_options();
	struct chat c = {.wait_ms = WAIT_S * 1000, .view = chat_view_new()};
	int rc = read_options(&c, argc, argv, err);

	if (rc == 0)
		rc = read_credentials(&c, cfg, err);
	if (rc == 0)
		rc = run(&c, argc, argv, err);
	user_api_free(c.api);
	chat_view_free(c.view);
	free(c.base);
	free(c.key);
	return rc;
}
