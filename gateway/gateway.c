#include "gateway/gateway.h"
#include "core/clock.h"
#include "core/http_server.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/proc.h"
#include "gateway/health.h"
#include "gateway/questions.h"
#include "gateway/server.h"
#include "jobs/state_watch.h"
#include <stdlib.h>
#include <string.h>

#define DRAIN_MS 3000
struct gateway {
	struct hub hub;
	struct access access;
	struct server *server;
	struct http_server *http;
	struct state_watch *watch;
};

static void on_asks_closed(void *arg)
{
	struct gateway *g = arg;
	loop_stop(g->hub.loop);
}

static void on_drained(void *arg)
{
	struct gateway *g = arg;
	asks_close(TAKE(g->hub.asks), on_asks_closed, g);
}

/* Requests under way are not answered with an error: their jobs go on, and a client that comes back with the same
 * request id gets the answer. */
static void on_signal(void *arg)
{
	struct gateway *g = arg;
	g->hub.draining = true;
	log_info("stopping: %zu connections are closed", g->hub.connections);
	server_drain(g->server, DRAIN_MS, on_drained, g);
}

static void ignore(void *arg)
{
	(void)arg;
}

static void gateway_close(struct gateway *g)
{
	http_server_close(g->http);
	server_free(g->server);
	if (g->hub.asks)
		asks_close(g->hub.asks, ignore, NULL);
	feed_close(g->hub.feed);
	questions_free(g->hub.questions);
	if (g->hub.loop)
		loop_close(g->hub.loop);
	metrics_free(g->hub.metrics);
	state_close(g->hub.st);
}

static int open_parts(struct gateway *g, const struct config *cfg, struct err *err)
{
	struct hub *hub = &g->hub;
	hub->cfg = cfg;
	hub->started_ms = clock_mono_ms();
	hub->rate = (int)config_int(cfg, "GATEWAY_RATE_LIMIT");
	hub->worker_timeout_ms = config_int(cfg, "GATEWAY_WORKER_TIMEOUT") * 1000;
	if (access_open(&g->access, cfg, err) || state_open(&hub->st, cfg, err) || loop_open(&hub->loop, err))
		return -1;
	hub->metrics = metrics_new(gateway_metrics);
	hub->questions = questions_new();
	hub->asks = asks_open(hub->loop, cfg);
	g->server = server_new(hub, &g->access);
	return feed_open(&hub->feed, hub->loop, hub->st, &server_feed_events, g->server, err);
}

static int listen_both(struct gateway *g, const struct config *cfg, struct err *err)
{
	struct http_server_options options = {.host = g->access.host,
	                                      .port = (int)config_int(cfg, "GATEWAY_HEALTH_PORT")};
	if (http_server_open(&g->http, g->hub.loop, &options, health_handle, &g->hub, err))
		return err_wrap(err, "GATEWAY_HEALTH_PORT");
	if (server_listen(g->server, (int)config_int(cfg, "GATEWAY_PORT"), err))
		return err_wrap(err, "GATEWAY_PORT");
	return 0;
}

int gateway_main(const struct config *cfg, struct err *err)
{
	struct gateway g = {0};
	enum log_level level = LOG_INFO;
	log_level_parse(config_text(cfg, "GATEWAY_LOG_LEVEL"), &level);
	log_open("gateway", level);
	int failed = open_parts(&g, cfg, err) || listen_both(&g, cfg, err);
	if (!failed) {
		loop_on_signal(g.hub.loop, on_signal, &g);
		g.watch = state_watch_new(g.hub.st, g.hub.loop);
		log_info("listening on %s, WebSocket port %d, health port %d", g.access.host,
		         server_port(g.server), http_server_port(g.http));
		proc_ready();
		loop_run(g.hub.loop);
		failed = state_watch_end(g.watch, err);
		log_info("stopped");
	}
	gateway_close(&g);
	return failed ? -1 : 0;
}
