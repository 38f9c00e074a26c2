#include "bot/health.h"
#include "core/clock.h"
#include "core/http_server.h"
#include "core/json.h"
#include "core/mem.h"
#include "core/version.h"
#include <stdlib.h>
#include <string.h>

/* A long poll lasts half a minute; twice that without an answer is a fault whatever the state says. */
#define SILENCE_MS 75000

struct health {
	struct http_server *server;
	struct bot *bot;
	int64_t started_at; /* monotonic */
};

const struct metric health_metrics[] = {
        [M_UPDATES] = {"codefoundry_bot_updates_total", METRIC_COUNTER,
                       "Updates received for the first time"},
        [M_COMMANDS] = {"codefoundry_bot_commands_total", METRIC_COUNTER, "Known commands"},
        [M_POISON] = {"codefoundry_bot_updates_set_aside_total", METRIC_COUNTER,
                      "Updates that could not be handled"},
        [M_UNAUTHORIZED] = {"codefoundry_bot_unauthorized_total", METRIC_COUNTER,
                            "Updates of users without a role"},
        [M_MESSAGES] = {"codefoundry_bot_messages_total", METRIC_COUNTER, "Messages to Telegram by outcome"},
        [M_PENDING] = {"codefoundry_bot_outbox_pending", METRIC_GAUGE,
                       "Messages that Telegram has not taken yet"},
        [M_POLLING] = {"codefoundry_bot_polling", METRIC_GAUGE, "1 while long polling works"},
        [M_LAST_POLL] = {"codefoundry_bot_last_poll_age_seconds", METRIC_GAUGE,
                         "Since the last good getUpdates"},
        [M_LAST_UPDATE] = {"codefoundry_bot_last_update_timestamp_seconds", METRIC_GAUGE,
                           "When the last update came"},
        [M_GATEWAY] = {"codefoundry_bot_gateway_connected", METRIC_GAUGE, "1 while connected to the gateway"},
        [M_GATEWAY_RTT] = {"codefoundry_bot_gateway_rtt_seconds", METRIC_GAUGE,
                           "Round trip of the last ping"},
        {NULL, METRIC_GAUGE, NULL},
};

/* NULL when the bot hears its users, else why not. Borrowed. */
static const char *reason_of(const struct bot *bot)
{
	const struct poller *p = bot->poller;
	if (!p)
		return "not connected to Telegram yet";
	if (poller_state(p) != POLLER_RUNNING && poller_state(p) != POLLER_STARTING)
		return poller_reason(p);
	if (poller_silence_ms(p) > SILENCE_MS)
		return "Telegram has not answered for more than a minute";
	return NULL;
}

static void answer_health(const struct health *h, struct http_exchange *x)
{
	const struct bot *bot = h->bot;
	const char *reason = reason_of(bot);
	cleanup_json cJSON *body = json_object();
	json_add_text(body, "status", reason ? "unhealthy" : "healthy");
	if (reason)
		json_add_text(body, "reason", reason);
	json_add_int(body, "uptime", (clock_mono_ms() - h->started_at) / 1000);
	json_add_text(body, "version", version_text);
	cleanup_free char *mark = state_mark(bot->st->dir);
	json_add_text(body, "state", mark);
	json_add_text(body, "bot", bot->username);
	json_add_text(body, "polling",
	              bot->poller ? poller_state_name(poller_state(bot->poller)) : "starting");
	json_add_bool(body, "gateway", bot->link && link_connected(bot->link));
	json_add_int(body, "pending", bot->outbox ? (int64_t)outbox_pending(bot->outbox) : 0);
	cleanup_free char *text = json_print(body);
	http_answer_text(x, reason ? 503 : 200, "application/json", text);
}

static void answer_metrics(const struct bot *bot, struct http_exchange *x)
{
	cleanup_str struct str out = STR_INIT;
	bool polling = reason_of(bot) == NULL;
	metrics_set(bot->metrics, M_POLLING, NULL, polling);
	if (bot->poller)
		metrics_set(bot->metrics, M_LAST_POLL, NULL, (double)poller_silence_ms(bot->poller) / 1000);
	metrics_set(bot->metrics, M_GATEWAY, NULL, bot->link && link_connected(bot->link));
	if (bot->link && link_rtt_ms(bot->link) >= 0)
		metrics_set(bot->metrics, M_GATEWAY_RTT, NULL, (double)link_rtt_ms(bot->link) / 1000);
	metrics_set(bot->metrics, M_PENDING, NULL, bot->outbox ? (double)outbox_pending(bot->outbox) : 0);
	metrics_render(bot->metrics, &out);
	http_answer_text(x, 200, METRICS_CONTENT_TYPE, str_text(&out));
}

static void handle(void *arg, struct http_exchange *x)
{
	struct health *h = arg;
	if (strcmp(http_method(x), "GET") != 0 && strcmp(http_method(x), "HEAD") != 0)
		http_answer_text(x, 405, "text/plain", "only GET\n");
	else if (strcmp(http_path(x), "/health") == 0)
		answer_health(h, x);
	else if (strcmp(http_path(x), "/metrics") == 0)
		answer_metrics(h->bot, x);
	else
		http_answer_text(x, 404, "text/plain", "/health or /metrics\n");
}

int health_open(struct health **out, struct bot *bot, struct err *err)
{
	struct health *h = mem_alloc(sizeof(*h));
	struct http_server_options options = {.host = config_text(bot->cfg, "BOT_HOST"),
	                                      .port = (int)config_int(bot->cfg, "BOT_PORT"),
	                                      .max_body = 1024,
	                                      .max_connections = 64};
	h->bot = bot;
	h->started_at = clock_mono_ms();
	if (http_server_open(&h->server, bot->loop, &options, handle, h, err)) {
		free(h);
		return err_wrap(err, "health port (BOT_PORT)");
	}
	*out = h;
	return 0;
}

void health_close(struct health *h)
{
	if (!h)
		return;
	http_server_close(h->server);
	free(h);
}
