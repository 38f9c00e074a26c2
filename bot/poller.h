/* Long polling: getUpdates again and again, and what to do when it does not go well. Nothing is acknowledged (the offset
 * moved) before ${take} has made it durable. A server that answers at once is asked at most once per idle floor. */
#ifndef BOT_POLLER_H
#define BOT_POLLER_H

#include "bot/api.h"
#include <stdbool.h>

enum poller_state {
	POLLER_STARTING, /* not answered yet */
	POLLER_RUNNING,
	POLLER_TROUBLE,   /* retrying with growing pauses */
	POLLER_CONFLICT,  /* another poller was seen: retrying a few times */
	POLLER_STOOD_DOWN /* gave up: conflict or token; needs a person */
};

struct poller_events {
	/** The offset for the next poll; 0: none. */
	int (*offset)(void *arg, int64_t *offset, struct err *err);
	/** Make ${updates} durable and handle them; ${*fresh} tells how many were new. On -1 they are asked for again. */
	int (*take)(void *arg, const cJSON *updates, size_t *fresh, struct err *err);
	/** Whether so much is to be said that nothing more should be heard now; asked again soon. May be NULL. */
	bool (*busy)(void *arg);
	/** The state changed; ${reason} says why (never NULL). */
	void (*changed)(void *arg, enum poller_state state, const char *reason);
	/** The token was refused: nothing works until a person gives another one. */
	void (*refused)(void *arg, const char *description);
};

struct poller_options {           /* zero: the default in brackets */
	int64_t hold_s;           /* how long the server may hold a poll [30] */
	int64_t idle_floor_ms;    /* least time from one fruitless poll to the next [1000] */
	int64_t first_retry_ms;   /* [50] */
	int64_t longest_retry_ms; /* [15000] */
	int conflicts;            /* 409 in a row before standing down [6] */
	int64_t conflict_ms;      /* pause after the first 409; doubles [1000] */
	bool no_hold;             /* hold_s is 0 on purpose */
};

struct poller;

struct poller *poller_start(struct loop *loop, struct api *api, const struct poller_options *options,
                            const struct poller_events *events, void *arg);
/** No callback follows. An answer that is under way is dropped; Telegram gives it again. */
void poller_stop(struct poller *p);

enum poller_state poller_state(const struct poller *p);
/** Why it is not running; "" when it is. Borrowed until the next change. */
const char *poller_reason(const struct poller *p);
/** Milliseconds since the last good answer, since the start before the first. */
int64_t poller_silence_ms(const struct poller *p);
const char *poller_state_name(enum poller_state state);

#endif
