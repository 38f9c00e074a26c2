#include "bot/outbox_impl.h"
#include "core/clock.h"
#include "core/mem.h"
#include <stdlib.h>

/*
 * A chat with something to say is idle (a message in flight), ready, or waiting for its time:
 *
 *   idle ──landed──▶ ready ──pump: may not yet──▶ waiting ──its time──▶ ready
 *                      └────pump: send───▶ idle (in flight)
 */

#define TIDY_MS 120000 /* a group's minute has surely passed */

static struct chat **bucket(struct outbox *o, int64_t id)
{
	uint64_t h = (uint64_t)id * UINT64_C(0x9e3779b97f4a7c15);
	return &o->chats[h >> 32 & (OUTBOX_BUCKETS - 1)];
}

static struct chat *find(struct outbox *o, int64_t id)
{
	struct chat *c = *bucket(o, id);
	while (c && c->id != id)
		c = c->hash_next;
	return c;
}

static struct chat *find_or_add(struct outbox *o, int64_t id)
{
	struct chat *c = find(o, id);
	if (c)
		return c;
	struct chat **at = bucket(o, id);
	c = mem_alloc(sizeof(*c));
	c->id = id;
	c->hash_next = *at;
	*at = c;
	o->n_chats++;
	return c;
}

static void make_ready(struct outbox *o, struct chat *c)
{
	c->place = CHAT_READY;
	c->list_next = NULL;
	*o->ready_end = c;
	o->ready_end = &c->list_next;
}

static struct chat *pop_ready(struct outbox *o)
{
	struct chat *c = o->ready;
	o->ready = c->list_next;
	if (!o->ready)
		o->ready_end = &o->ready;
	c->place = CHAT_IDLE;
	return c;
}

static void make_waiting(struct outbox *o, struct chat *c, int64_t due)
{
	c->place = CHAT_WAITING;
	c->list_next = o->waiting;
	o->waiting = c;
	if (due < o->next_due)
		o->next_due = due;
}

void outbox_enqueue(struct outbox *o, struct item *item)
{
	item->next = NULL;
	o->pending++;
	if (item->kind == OUTBOX_ANSWER) {
		*o->loose_end = item;
		o->loose_end = &item->next;
		return;
	}
	struct chat *c = item->chat = find_or_add(o, item->chat_id);
	if (c->tail)
		c->tail->next = item;
	else
		c->head = item;
	c->tail = item;
	c->n++;
	if (c->place == CHAT_IDLE && !c->in_flight)
		make_ready(o, c);
}

struct item *outbox_pending_edit(struct outbox *o, int64_t chat, int64_t progress)
{
	struct chat *c = find(o, chat);
	struct item *before = NULL;
	for (struct item *i = c ? c->head : NULL; i; before = i, i = i->next) {
		bool flying = !before && c->in_flight;
		if (i->id || i->kind != OUTBOX_EDIT || i->progress != progress || flying)
			continue;
		if (before)
			before->next = i->next;
		else
			c->head = i->next;
		if (c->tail == i)
			c->tail = before;
		c->n--;
		o->pending--;
		i->next = NULL;
		return i;
	}
	return NULL;
}

static int64_t chat_wait(struct outbox *o, struct chat *c, int64_t now)
{
	int64_t hold = c->hold_until - now;
	int64_t wait = budget_wait_chat(&o->budget, &c->budget, c->id < 0, c->head->id != 0, now);
	return hold > wait ? hold : wait;
}

/* Make ready whose time has come. */
static void wake_waiting(struct outbox *o, int64_t now)
{
	struct chat *c = o->waiting;
	if (now < o->next_due)
		return;
	o->waiting = NULL;
	o->next_due = INT64_MAX;
	for (struct chat *next; c; c = next) {
		next = c->list_next;
		int64_t wait = c->head ? chat_wait(o, c, now) : 0;
		if (wait > 0)
			make_waiting(o, c, now + wait);
		else
			make_ready(o, c);
	}
}

static void launch(struct outbox *o, struct item *item)
{
	for (size_t i = 0; i < ARRAY_LEN(o->flying); i++) {
		if (!o->flying[i]) {
			o->flying[i] = item;
			break;
		}
	}
	o->in_flight++;
	outbox_send(o, item);
}

static void launch_loose(struct outbox *o)
{
	while (o->loose && o->in_flight < OUTBOX_IN_FLIGHT) {
		struct item *item = o->loose;
		o->loose = item->next;
		if (!o->loose)
			o->loose_end = &o->loose;
		item->next = NULL;
		launch(o, item);
	}
}

/* Send from ready chats until none is left or the overall budget is used up; returns how long that lasts. */
static int64_t launch_ready(struct outbox *o, int64_t now)
{
	while (o->ready && o->in_flight < OUTBOX_IN_FLIGHT) {
		int64_t wait = budget_wait(&o->budget, now);
		if (wait > 0)
			return wait;
		struct chat *c = pop_ready(o);
		if (!c->head)
			continue;
		wait = chat_wait(o, c, now);
		if (wait > 0) {
			make_waiting(o, c, now + wait);
			continue;
		}
		budget_take(&o->budget, &c->budget, now);
		c->in_flight = true;
		launch(o, c->head);
	}
	return 0;
}

void outbox_pump(void *arg)
{
	struct outbox *o = arg;
	int64_t now = clock_mono_ms();
	if (now < o->hold_until) {
		loop_timer_set(o->wake, o->hold_until - now, 0);
		return;
	}
	launch_loose(o);
	wake_waiting(o, now);
	int64_t wait = launch_ready(o, now);
	if (o->next_due != INT64_MAX && (wait == 0 || o->next_due - now < wait))
		wait = o->next_due > now ? o->next_due - now : 1;
	if (wait > 0)
		loop_timer_set(o->wake, wait, 0);
}

static void off_the_wire(struct outbox *o, const struct item *item)
{
	for (size_t i = 0; i < ARRAY_LEN(o->flying); i++)
		if (o->flying[i] == item)
			o->flying[i] = NULL;
	o->in_flight--;
	if (item->chat)
		item->chat->in_flight = false;
}

void outbox_landed(struct outbox *o, struct item *item, bool over, int64_t wait_ms)
{
	struct chat *c = item->chat;
	off_the_wire(o, item);
	if (over) {
		if (c) {
			c->head = item->next;
			c->n--;
			if (!c->head)
				c->tail = NULL;
		}
		o->pending--;
		outbox_item_free(item);
	} else if (c) {
		c->hold_until = clock_mono_ms() + wait_ms;
	} else {
		o->pending--;
		outbox_enqueue(o, item);
	}
	if (c && c->head && c->place == CHAT_IDLE)
		make_ready(o, c);
	outbox_pump(o);
}

void outbox_hold(struct outbox *o, int64_t ms)
{
	o->hold_until = clock_mono_ms() + ms;
}

void outbox_relocate(struct outbox *o, struct item *item, int64_t to)
{
	struct chat *from = item->chat;
	off_the_wire(o, item);
	from->head = from->tail = NULL;
	from->n = 0;
	for (struct item *next; item; item = next) {
		next = item->next;
		o->pending--;
		item->chat_id = to;
		outbox_enqueue(o, item);
	}
	outbox_pump(o);
}

size_t outbox_backlog(const struct outbox *o)
{
	size_t n = o->in_flight;
	for (const struct chat *c = o->ready; c; c = c->list_next)
		n += c->n;
	return n;
}

void outbox_tidy(struct outbox *o)
{
	int64_t now = clock_mono_ms();
	for (size_t i = 0; i < OUTBOX_BUCKETS; i++) {
		for (struct chat **at = &o->chats[i]; *at;) {
			struct chat *c = *at;
			bool quiet = !c->head && !c->in_flight && c->place == CHAT_IDLE;
			if (quiet && c->budget.next_at + TIDY_MS < now && c->hold_until < now) {
				*at = c->hash_next;
				free(c);
				o->n_chats--;
			} else {
				at = &c->hash_next;
			}
		}
	}
}

static void free_items(struct item *item)
{
	for (struct item *next; item; item = next) {
		next = item->next;
		outbox_item_free(item);
	}
}

void outbox_queue_free(struct outbox *o)
{
	for (size_t i = 0; i < ARRAY_LEN(o->flying); i++) {
		if (!o->flying[i])
			continue;
		api_cancel(o->api, o->flying[i]);
		if (!o->flying[i]->chat)
			outbox_item_free(o->flying[i]);
	}
	free_items(o->loose);
	for (size_t i = 0; i < OUTBOX_BUCKETS; i++) {
		for (struct chat *c = o->chats[i], *next; c; c = next) {
			next = c->hash_next;
			free_items(c->head);
			free(c);
		}
	}
}
