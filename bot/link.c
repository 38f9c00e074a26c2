#include "bot/link.h"
#include "bot/link_frames.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/mutant.h"
#include "core/ws.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FRAME (4u << 20)
#define AT_ONCE                                                                                              \
	30 /* requests under way: our gateway refuses the 33rd of one connection, and all users share this one */

static void link_free(struct link *l);

static int64_t or_default(int64_t value, int64_t otherwise)
{
	return value > 0 ? value : otherwise;
}

struct request *link_find(struct link *l, const char *id)
{
	struct request *r = l->requests;
	while (r && strcmp(r->id, id))
		r = r->next;
	return r;
}

void link_forget(struct link *l, struct request *r)
{
	for (struct request **at = &l->requests; *at; at = &(*at)->next) {
		if (*at == r) {
			*at = r->next;
			free(r->frame);
			free(r->title);
			free(r);
			return;
		}
	}
}

static void send_request(struct link *l, struct request *r)
{
	if (ws_send(l->ws, r->frame, strlen(r->frame)))
		return; /* closing: the close event follows */
	r->sent = true;
	r->deadline = clock_mono_ms() + l->opt.silence_ms;
}

void link_send(struct link *l)
{
	int under_way = 0;
	if (!l->connected || clock_mono_ms() < l->hold_until)
		return;
	for (struct request *r = l->requests; r; r = r->next)
		under_way += r->sent;
	for (struct request *r = l->requests; r && under_way < AT_ONCE; r = r->next) {
		if (r->sent)
			continue;
		send_request(l, r);
		under_way++;
	}
}

static void ping(void *arg)
{
	struct link *l = arg;
	char frame[128];
	if (!l->connected)
		return;
	l->ping_at = clock_mono_ms();
	id_uuid(l->ping_id);
	int n = snprintf(frame, sizeof(frame), "{\"type\":\"ping\",\"heartbeat\":true,\"sessionId\":\"%s\"}",
	                 l->ping_id);
	ws_send(l->ws, frame, (size_t)n);
}

static void opened(void *arg, struct ws *ws)
{
	struct link *l = arg;
	(void)ws;
	if (l->closing)
		return;
	l->connected = true;
	l->own_id[0] = '\0';
	l->since = clock_mono_ms();
	l->retry_ms = l->opt.first_retry_ms;
	log_info("connected to the gateway");
	for (struct request *r = l->requests; r && MUTANT("link_forgets_what_waited"); r = r->next)
		r->sent = true;
	link_send(l);
	ping(l);
	loop_timer_set(l->pinger, l->opt.ping_ms, l->opt.ping_ms);
}

static void closed(void *arg, struct ws *ws, int code, const char *reason)
{
	struct link *l = arg;
	(void)ws;
	if (l->closing) {
		link_free(l);
		return;
	}
	int64_t now = clock_mono_ms();
	if (l->connected) {
		l->since = now;
		log_warn("the gateway's connection ended (%d%s%s)", code, reason && *reason ? ": " : "",
		         reason ? reason : "");
	} else {
		log_debug("the gateway cannot be reached: %s", reason ? reason : "");
	}
	for (struct request *r = l->requests; r; r = r->next) {
		if (r->sent)
			r->deadline = now + l->opt.give_up_ms;
		r->sent = false;
	}
	l->ws = NULL;
	l->connected = false;
	l->rtt_ms = -1;
	loop_timer_clear(l->pinger);
	if (!MUTANT("link_never_comes_back"))
		loop_timer_set(l->retry, l->retry_ms + random() % (l->retry_ms / 5 + 1), 0);
	l->retry_ms += l->retry_ms / 2;
	if (l->retry_ms > l->opt.longest_retry_ms)
		l->retry_ms = l->opt.longest_retry_ms;
}

static void message(void *arg, struct ws *ws, const char *text, size_t len)
{
	(void)ws;
	struct link *l = arg;
	if (!l->closing)
		link_frame(l, text, len);
}

static void connect_now(void *arg)
{
	static const struct ws_events events = {.open = opened, .message = message, .close = closed};
	static const struct ws_options options = {.max_message = MAX_FRAME};
	struct link *l = arg;
	l->ws = ws_connect(l->loop, l->url, l->token, &options, &events, l);
}

/* Told apart: never reached the gateway, or reached it and heard nothing. */
static void give_up_late(void *arg)
{
	struct link *l = arg;
	int64_t now = clock_mono_ms();
	for (struct request *r = l->requests, *next; r; r = next) {
		next = r->next;
		if (!r->sent && l->connected)
			r->deadline =
			        now + l->opt.give_up_ms; /* it waits for its turn, not for the gateway */
		else if (now >= r->deadline)
			link_give_up(l, r);
		else if (!r->sent)
			progress_report(l->progress, r->id, 0, texts_raw(r->lang, T_WAITING_GATEWAY));
	}
	link_send(l);
	if (!l->requests)
		loop_timer_clear(l->deadlines);
}

static int load(struct link *l, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	int row;
	if (db_query(l->db, &q, err,
	             "SELECT id, frame, round, chat, topic, user, lang, title FROM requests WHERE state = "
	             "'open'"
	             " ORDER BY (SELECT max(p.id) FROM progress p WHERE p.source = 'request' AND p.ref = "
	             "requests.id)",
	             ""))
		return -1;
	while ((row = query_next(&q, err)) > 0) {
		struct request *r = link_find(l, query_text(&q, 0));
		if (r && r->round == query_int(&q, 2))
			continue;
		if (r)
			link_forget(l, r); /* asked anew */
		r = mem_alloc(sizeof(*r));
		snprintf(r->id, sizeof(r->id), "%s", query_text(&q, 0));
		r->frame = mem_strdup(query_text(&q, 1));
		r->round = query_int(&q, 2);
		r->chat = query_int(&q, 3);
		r->topic = query_int(&q, 4);
		r->user = query_int(&q, 5);
		texts_lang(query_text(&q, 6), &r->lang);
		r->title = mem_strdup(query_text(&q, 7));
		r->deadline = clock_mono_ms() + l->opt.give_up_ms;
		struct request **last = &l->requests;
		while (*last)
			last = &(*last)->next;
		*last = r;
	}
	return row;
}

void link_sync(struct link *l)
{
	struct err err = {0};
	if (load(l, &err))
		log_error("requests to the gateway cannot be read: %s", err.msg);
	link_send(l);
	if (l->requests && !loop_timer_active(l->deadlines))
		loop_timer_set(l->deadlines, 1000, 1000);
}

static int write_request(struct link *l, const struct link_ask *ask, const char *frame, struct err *err)
{
	int64_t now = clock_now_ms();
	return db_run(
	        l->db, err,
	        "INSERT INTO requests (id, chat, topic, user, lang, frame, title, created_at, changed_at)"
	        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET state = 'open',"
	        " frame = excluded.frame, changed_at = excluded.changed_at, round = round + 1",
	        "tiiitttii", ask->id, ask->chat, ask->topic, ask->user, texts_code(ask->lang), frame,
	        ask->title, now, now);
}

static int follow(struct link *l, const struct link_ask *ask, struct err *err)
{
	struct progress_spec spec = {.chat = ask->chat,
	                             .topic = ask->topic,
	                             .user = ask->user,
	                             .lang = ask->lang,
	                             .source = "request",
	                             .ref = ask->id,
	                             .title = ask->title,
	                             .key = ask->key,
	                             .message_id = ask->message_id,
	                             .quiet = ask->quiet};
	return progress_open(l->progress, &spec, err);
}

int link_ask(struct link *l, const struct link_ask *ask, cJSON *frame, struct err *err)
{
	cleanup_json cJSON *owned = frame;
	cleanup_free char *user = mem_printf("tg:%" PRId64, ask->user);
	json_add_text(owned, "sessionId", ask->id);
	json_add_text(owned, "userId", user);
	cleanup_free char *text = json_print(owned);
	return write_request(l, ask, text, err) || follow(l, ask, err) ? -1 : 0;
}

int link_retry(struct link *l, const struct link_ask *ask, struct err *err)
{
	struct link_ask again = *ask;
	cleanup_free char *title = NULL;
	if (db_get_text(l->db, &title, err, "SELECT title FROM requests WHERE id = ? AND state = 'failed'",
	                "t", ask->id))
		return -1;
	if (!title)
		return err_set(err, ERR_NOT_FOUND, "that request is over");
	again.title = title;
	if (db_run(l->db, err,
	           "UPDATE requests SET state = 'open', round = round + 1, changed_at = ? WHERE id = ?", "it",
	           clock_now_ms(), ask->id))
		return -1;
	return follow(l, &again, err);
}

int link_question(struct db *db, int64_t chat, int64_t user, char **id, struct err *err)
{
	return db_get_text(db, id, err,
	                   "SELECT id FROM requests WHERE state = 'question' AND chat = ? AND user = ? AND "
	                   "changed_at > ?"
	                   " ORDER BY changed_at DESC LIMIT 1",
	                   "iii", chat, user, clock_now_ms() - LINK_QUESTION_MS);
}

struct link *link_open(struct loop *loop, struct db *db, struct outbox *outbox, struct progress *progress,
                       const char *url, const char *token, const struct link_options *options)
{
	struct link *l = mem_alloc(sizeof(*l));
	l->loop = loop;
	l->db = db;
	l->outbox = outbox;
	l->progress = progress;
	l->url = mem_strdup(url);
	l->token = token ? mem_strdup(token) : NULL;
	if (options)
		l->opt = *options;
	l->opt.give_up_ms = or_default(l->opt.give_up_ms, 60000);
	l->opt.silence_ms = or_default(l->opt.silence_ms, 120000);
	l->opt.ping_ms = or_default(l->opt.ping_ms, 10000);
	l->opt.first_retry_ms = or_default(l->opt.first_retry_ms, 50);
	l->opt.longest_retry_ms = or_default(l->opt.longest_retry_ms, 10000);
	l->retry_ms = l->opt.first_retry_ms;
	l->rtt_ms = -1;
	l->since = clock_mono_ms();
	l->retry = loop_timer_new(loop, connect_now, l);
	l->pinger = loop_timer_new(loop, ping, l);
	l->deadlines = loop_timer_new(loop, give_up_late, l);
	loop_timer_set(l->retry, 0, 0);
	link_sync(l);
	return l;
}

static void link_free(struct link *l)
{
	while (l->requests)
		link_forget(l, l->requests);
	loop_timer_free(l->retry);
	loop_timer_free(l->pinger);
	loop_timer_free(l->deadlines);
	free(l->url);
	free(l->token);
	free(l);
}

void link_close(struct link *l)
{
	if (!l)
		return;
	l->closing = true;
	loop_timer_clear(l->retry);
	loop_timer_clear(l->pinger);
	loop_timer_clear(l->deadlines);
	if (l->ws)
		ws_close(l->ws, 1000,
		         "going away"); /* freed by the close event, which follows in every case */
	else
		link_free(l);
}

bool link_connected(const struct link *l)
{
	return l->connected;
}

int64_t link_rtt_ms(const struct link *l)
{
	return l->rtt_ms;
}

int64_t link_since(const struct link *l)
{
	return l->since;
}
