#include "gateway/server.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/ws.h"
#include "gateway/client.h"
#include "gateway/dispatch.h"
#include "gateway/request.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BURST_S 3 /* a client may save up so many seconds' worth of messages */

struct connection {
	struct client client; /* first: a client is turned back into its connection */
	struct connection *next, **at;
	struct ws *ws;
	struct rate rate;
	bool closing;
};

struct server {
	struct hub *hub;
	struct access access;
	struct ws_server *ws;
	struct connection *connections;
	int64_t kind_job; /* the job whose kind was looked up last */
	char *kind;
};

static void refused(struct server *s, int status, const char *peer)
{
	cleanup_free char *label = mem_printf("status=\"%d\"", status);
	metrics_add(s->hub->metrics, METRIC_REFUSED, label, 1);
	log_with(LOG_WARN, LOG_FIELDS({"peer", peer}), "connection refused: %s",
	         status == 403 ? "its page's origin is not ours; GATEWAY_ORIGINS lists those allowed"
	                       : "no valid token");
}

static int on_accept(void *arg, const char *path, const char *query, const char *authorization,
                     const char *origin, const char *peer)
{
	struct server *s = arg;
	enum role role;
	(void)path;
	int status =
	        s->hub->draining ? 503 : access_check(&s->access, query, authorization, origin, peer, &role);
	if (status == 0)
		return (int)role;
	refused(s, status, peer);
	return status;
}

static void send_text(struct client *client, const char *text, size_t len)
{
	struct connection *c = (struct connection *)client;
	if (!c->closing && ws_send(c->ws, text, len))
		c->closing = true; /* ws closes a client that does not read; its close event follows */
}

static void on_open(void *arg, struct ws *ws)
{
	struct server *s = arg;
	struct connection *c = mem_alloc(sizeof(*c));
	c->ws = ws;
	c->client.hub = s->hub;
	c->client.role = (enum role)ws_grant(ws);
	c->client.send = send_text;
	snprintf(c->client.peer, sizeof(c->client.peer), "%s", ws_peer(ws));
	id_uuid(c->client.id);
	c->client.sid = cJSON_CreateString(c->client.id);
	c->next = s->connections;
	c->at = &s->connections;
	if (c->next)
		c->next->at = &c->next;
	s->connections = c;
	s->hub->connections++;
	ws_set_data(ws, c);
	metrics_set(s->hub->metrics, METRIC_CONNECTIONS, NULL, (double)s->hub->connections);
	metrics_add(s->hub->metrics, METRIC_CONNECTIONS_TOTAL, NULL, 1);
	log_with(LOG_DEBUG, LOG_FIELDS({"peer", c->client.peer}, {"role", role_name(c->client.role)}),
	         "connected");
	dispatch_welcome(&c->client);
}

/* Too fast: an error under the message's own id, and the end when it goes on. */
static void limit(struct connection *c, enum rate_verdict verdict, const char *text, size_t len)
{
	struct fault fault;
	fault_set(&fault, FAULT_RATE_LIMITED,
	          "Too many messages: at most %d a second; send this one again later.", c->client.hub->rate);
	dispatch_refuse(&c->client, text, len, &fault);
	if (verdict != RATE_CLOSE || c->closing)
		return;
	log_with(LOG_WARN, LOG_FIELDS({"peer", c->client.peer}),
	         "closed: it goes on sending more than %d messages a second", c->client.hub->rate);
	c->closing = true;
	ws_close(c->ws, 1008, "too many messages");
}

static void on_message(void *arg, struct ws *ws, const char *text, size_t len)
{
	struct server *s = arg;
	struct connection *c = ws_data(ws);
	if (!c || c->closing)
		return;
	enum rate_verdict verdict =
	        rate_take(&c->rate, s->hub->rate, s->hub->rate * BURST_S, clock_mono_ms());
	if (verdict == RATE_OK)
		dispatch_text(&c->client, text, len);
	else
		limit(c, verdict, text, len);
}

static void connection_free(struct connection *c)
{
	struct hub *hub = c->client.hub;
	requests_drop(&c->client);
	if (c->client.topics)
		feed_unfollow(hub->feed);
	*c->at = c->next;
	if (c->next)
		c->next->at = c->at;
	hub->connections--;
	metrics_set(hub->metrics, METRIC_CONNECTIONS, NULL, (double)hub->connections);
	cJSON_Delete(c->client.sid);
	cJSON_Delete(c->client.topics_sid);
	free(c);
}

static void on_close(void *arg, struct ws *ws, int code, const char *reason)
{
	struct connection *c = ws_data(ws);
	(void)arg;
	if (!c)
		return;
	log_with(LOG_DEBUG, LOG_FIELDS({"peer", c->client.peer}), "disconnected: %d %s", code,
	         reason ? reason : "");
	ws_set_data(ws, NULL);
	connection_free(c);
}

static const struct ws_events events = {
        .accept = on_accept, .open = on_open, .message = on_message, .close = on_close};

/* -- events of jobs -- */

static const char *kind_of(struct server *s, int64_t job)
{
	struct err err;
	if (s->kind && s->kind_job == job)
		return s->kind;
	free(TAKE(s->kind));
	if (db_get_text(s->hub->st->db, &s->kind, &err, "SELECT kind FROM jobs WHERE id = ?", "i", job))
		s->kind = NULL;
	s->kind_job = job;
	return s->kind ? s->kind : "";
}

static void on_event(void *arg, const struct job_event *event)
{
	struct server *s = arg;
	for (struct connection *c = s->connections, *next; c; c = next) {
		next = c->next;
		if (c->client.requests)
			requests_event(&c->client, event);
		if (c->client.topics)
			dispatch_event(&c->client, event, kind_of(s, event->job));
	}
}

static void on_tick(void *arg)
{
	struct server *s = arg;
	for (struct connection *c = s->connections, *next; c; c = next) {
		next = c->next;
		requests_tick(&c->client);
	}
}

const struct feed_events server_feed_events = {.event = on_event, .tick = on_tick};

struct server *server_new(struct hub *hub, const struct access *access)
{
	struct server *s = mem_alloc(sizeof(*s));
	s->hub = hub;
	s->access = *access;
	return s;
}

int server_listen(struct server *s, int port, struct err *err)
{
	struct ws_options options = {0};
	return ws_server_open(&s->ws, s->hub->loop, s->access.host, port, &options, &events, s, err);
}

int server_port(const struct server *s)
{
	return ws_server_port(s->ws);
}

void server_drain(struct server *s, int64_t drain_ms, loop_fn *done, void *arg)
{
	ws_server_close(TAKE(s->ws), drain_ms, done, arg);
}

void server_free(struct server *s)
{
	if (!s)
		return;
	while (s->connections)
		connection_free(s->connections);
	free(s->kind);
	free(s);
}
