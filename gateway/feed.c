#include "gateway/feed.h"
#include "core/bell.h"
#include "core/log.h"
#include "core/mem.h"
#include <stdlib.h>

#define BATCH 200
#define TICK_MS 1000

struct feed {
	struct state *st;
	struct bell *bell;
	struct loop_watch *watch;
	struct loop_timer *timer;
	const struct feed_events *events;
	void *arg;
	int64_t after; /* the last event that was told */
	unsigned followers;
};

/* Events are copied out of the query before they are told: whoever hears one may ask the database. */
struct batch {
	struct job_event at[BATCH];
	int n;
};

static void collect(void *arg, const struct job_event *event)
{
	struct batch *batch = arg;
	struct job_event *copy = &batch->at[batch->n++];
	*copy = *event;
	copy->type = mem_strdup(event->type);
	copy->stage = event->stage ? mem_strdup(event->stage) : NULL;
	copy->text = mem_strdup(event->text ? event->text : "");
}

static int tell_batch(struct feed *feed)
{
	struct err err = {0};
	struct batch *batch = mem_alloc(sizeof(*batch));
	if (jobs_events(feed->st, 0, feed->after, BATCH, collect, batch, &err))
		log_warn("job events cannot be read now: %s", err.msg);
	int n = batch->n;
	for (int i = 0; i < n; i++) {
		struct job_event *event = &batch->at[i];
		feed->after = event->id;
		feed->events->event(feed->arg, event);
		free((char *)event->type);
		free((char *)event->stage);
		free((char *)event->text);
	}
	free(batch);
	return n;
}

static void on_bell(void *arg)
{
	struct feed *feed = arg;
	bell_drain(feed->bell);
	while (feed->followers && tell_batch(feed) == BATCH)
		;
}

static void on_tick(void *arg)
{
	struct feed *feed = arg;
	on_bell(feed);
	feed->events->tick(feed->arg);
}

int feed_open(struct feed **out, struct loop *loop, struct state *st, const struct feed_events *events,
              void *arg, struct err *err)
{
	struct feed *feed = mem_alloc(sizeof(*feed));
	feed->st = st;
	feed->events = events;
	feed->arg = arg;
	if (bell_open(&feed->bell, st->dir, err)) {
		free(feed);
		return err_wrap(err, "follow the jobs of %s", st->dir);
	}
	feed->watch = loop_watch_new(loop, bell_fd(feed->bell), on_bell, feed);
	feed->timer = loop_timer_new(loop, on_tick, feed);
	*out = feed;
	return 0;
}

void feed_close(struct feed *feed)
{
	if (!feed)
		return;
	loop_timer_free(feed->timer);
	loop_watch_free(feed->watch);
	bell_close(feed->bell);
	free(feed);
}

void feed_follow(struct feed *feed)
{
	struct err err;
	if (feed->followers++)
		return;
	if (db_get_int(feed->st->db, &feed->after, &err, "SELECT coalesce(max(id), 0) FROM job_events", ""))
		log_warn("the newest job event cannot be read: %s", err.msg);
	loop_timer_set(feed->timer, TICK_MS, TICK_MS);
}

void feed_unfollow(struct feed *feed)
{
	if (--feed->followers == 0)
		loop_timer_clear(feed->timer);
}
