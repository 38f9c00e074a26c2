/* The tail of all jobs' events, read once for everybody who follows: by the bell, and by a slow timer in case a ring was
 * lost. Nothing is read while nobody follows. */
#ifndef GATEWAY_FEED_H
#define GATEWAY_FEED_H

#include "core/loop.h"
#include "jobs/job.h"

struct feed;

struct feed_events {
	void (*event)(void *arg, const struct job_event *event);
	/* Once a second while somebody follows. */
	void (*tick)(void *arg);
};

int feed_open(struct feed **feed, struct loop *loop, struct state *st, const struct feed_events *events,
              void *arg, struct err *err);
void feed_close(struct feed *feed);

/** One more follower: every event committed after this call is told. */
void feed_follow(struct feed *feed);
void feed_unfollow(struct feed *feed);

#endif
