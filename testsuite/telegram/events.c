/* See events.h. */
#include "testsuite/telegram/events.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/str.h"
#include <stdlib.h>
#include <string.h>

#define WAIT_MAX_S 50
#define EVENTS_PER_ANSWER 100
#define ANSWER_MAX (4u << 20)

struct waiter {
	struct tg *tg;
	struct http_exchange *x;
	int64_t chat, after;
	struct loop_timer *deadline;
	struct waiter *next, **link;
};

struct tg_events {
	struct waiter *waiters;
	int64_t last; /* id of the newest one */
	bool fresh;
};

int tg_events_open(struct tg *tg, struct err *err)
{
	tg->events = mem_alloc(sizeof(*tg->events));
	return db_get_int(tg->db, &tg->events->last, err,
	                  "SELECT seq FROM sqlite_sequence WHERE name = 'events'", "");
}

static void waiter_free(struct waiter *w)
{
	loop_timer_free(w->deadline);
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	free(w);
}

void tg_events_close(struct tg *tg)
{
	if (tg->events == NULL)
		return;
	while (tg->events->waiters)
		waiter_free(tg->events->waiters);
	free(tg->events);
	tg->events = NULL;
}

int tg_events_add(struct tg *tg, const char *type, int64_t chat, bool from_bot, cJSON *event, struct err *err)
{
	cleanup_json cJSON *e = json_object();
	int64_t now = clock_now_ms(), id = tg->events->last + 1;

	json_add_int(e, "id", id);
	json_add_int(e, "at", now);
	json_add_text(e, "type", type);
	json_add_int(e, "chat", chat);
	json_add_text(e, "from", from_bot ? "bot" : "user");
	while (event && event->child) {
		cJSON *member = cJSON_DetachItemViaPointer(event, event->child);
		cJSON_AddItemToObject(e, member->string, member);
	}
	cJSON_Delete(event);
	cleanup_free char *body = json_print(e);
	if (db_run(tg->db, err, "INSERT INTO events (id, at, chat, body) VALUES (?, ?, ?, ?)", "iiit", id,
	           now, chat, body) < 0)
		return -1;
	tg->events->last = id;
	tg->events->fresh = true;
	metrics_add(tg->metrics, TG_M_EVENTS, NULL, 1);
	return 0;
}

int tg_events_add_message(struct tg *tg, const char *type, int64_t chat, const struct tg_message *m,
                          struct err *err)
{
	cJSON *event = json_object(), *message = cJSON_Duplicate(m->body, true);

	if (m->raw)
		json_add_text(message, "html", m->raw);
	json_add(event, "message", message);
	return tg_events_add(tg, type, chat, m->from_bot, event, err);
}

/* {"ok":true,"last":N,"events":[…]}: returns the number of events, or -1. */
static int collect(struct tg *tg, int64_t chat, int64_t after, struct str *out, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	cleanup_str struct str events = STR_INIT;
	int64_t last = after;
	int n = 0, row;

	if (db_query(tg->db, &q, err,
	             chat ? "SELECT id, body FROM events WHERE id > ? AND chat = ? ORDER BY id LIMIT ?"
	                  : "SELECT id, body FROM events WHERE id > ? AND 0 = ? ORDER BY id LIMIT ?",
	             "iii", after, chat, (int64_t)EVENTS_PER_ANSWER) < 0)
		return -1;
	while ((row = query_next(&q, err)) > 0 && events.len < ANSWER_MAX) {
		str_add(&events, n++ ? "," : "");
		str_add(&events, query_text(&q, 1));
		last = query_int(&q, 0);
	}
	if (row < 0)
		return -1;
	if (row == 0 && n < EVENTS_PER_ANSWER)
		last = tg->events->last; /* the rest is of other chats; or the database is a new one */
	str_addf(out, "{\"ok\":true,\"last\":%lld,\"events\":[%s]}", (long long)last, str_text(&events));
	return n;
}

/* Answer when there is something, or in any case. True when answered. */
static bool answer(struct tg *tg, struct http_exchange *x, int64_t chat, int64_t after, bool in_any_case)
{
	cleanup_str struct str body = STR_INIT;
	struct err err;
	int n = collect(tg, chat, after, &body, &err);

	if (n < 0) {
		log_error("events: %s", err.msg);
		http_answer_text(x, 500, "application/json", "{\"ok\":false,\"error\":\"database\"}");
		return true;
	}
	if (n == 0 && !in_any_case)
		return false;
	http_answer(x, 200, "application/json", str_text(&body), body.len);
	return true;
}

void tg_events_wake(struct tg *tg)
{
	if (!tg->events->fresh)
		return;
	tg->events->fresh = false;
	for (struct waiter *w = tg->events->waiters, *next; w; w = next) {
		next = w->next;
		if (answer(tg, w->x, w->chat, w->after, false))
			waiter_free(w);
	}
}

static void give_up(void *arg)
{
	struct waiter *w = arg;

	answer(w->tg, w->x, w->chat, w->after, true);
	waiter_free(w);
}

static int64_t number(struct http_exchange *x, const char *name, int64_t otherwise)
{
	const char *text = http_param(x, name);

	return text && *text ? strtoll(text, NULL, 10) : otherwise;
}

void tg_events_read(struct tg *tg, struct http_exchange *x)
{
	int64_t after = number(x, "after", 0), chat = number(x, "chat", 0), wait = number(x, "wait", 0);

	if (after < 0)
		after = tg->events->last;
	wait = wait < 0 ? 0 : wait > WAIT_MAX_S ? WAIT_MAX_S : wait;
	if (answer(tg, x, chat, after, wait == 0 || after > tg->events->last))
		return;
	struct waiter *w = mem_alloc(sizeof(*w));
	*w = (struct waiter){tg,
	                     x,
	                     chat,
	                     after,
	                     loop_timer_new(tg->loop, give_up, w),
	                     tg->events->waiters,
	                     &tg->events->waiters};
	if (w->next)
		w->next->link = &w->next;
	tg->events->waiters = w;
	loop_timer_set(w->deadline, wait * 1000, 0);
	http_on_gone(x, give_up, w);
}
