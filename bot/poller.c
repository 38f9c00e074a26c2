#include "bot/poller.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One refusal of the token may be a stumble of the server; two in a row are the answer. */
#define REFUSALS 2
#define BUSY_MS 5

struct poller {
	struct loop *loop;
	struct api *api;
	struct poller_options opt;
	struct poller_events ev;
	void *arg;
	struct loop_timer *timer;
	enum poller_state state;
	char reason[sizeof(((struct err *)0)->msg)];
	int64_t started_at, asked_at, last_at, retry_ms;
	int64_t hold_s; /* of the poll under way */
	int conflicts, refusals;
};

static void poll_now(void *arg);

static const char *const state_names[] = {
        [POLLER_STARTING] = "starting", [POLLER_RUNNING] = "running",       [POLLER_TROUBLE] = "trouble",
        [POLLER_CONFLICT] = "conflict", [POLLER_STOOD_DOWN] = "stood down",
};

const char *poller_state_name(enum poller_state state)
{
	return state_names[state];
}

static int64_t or_default(int64_t value, int64_t otherwise)
{
	return value > 0 ? value : otherwise;
}

static void become(struct poller *p, enum poller_state state, const char *reason)
{
	bool same = p->state == state;
	snprintf(p->reason, sizeof(p->reason), "%s", reason);
	p->state = state;
	if (!same)
		p->ev.changed(p->arg, state, p->reason);
}

/* Grow by half with a jitter of a fifth, so that many bots do not come back together. */
static void retry_later(struct poller *p)
{
	int64_t wait = p->retry_ms + random() % (p->retry_ms / 5 + 1);
	p->retry_ms += p->retry_ms / 2;
	if (p->retry_ms > p->opt.longest_retry_ms)
		p->retry_ms = p->opt.longest_retry_ms;
	loop_timer_set(p->timer, wait, 0);
}

static void took(struct poller *p, const cJSON *updates)
{
	struct err err = {0};
	size_t fresh = 0;
	if (!cJSON_IsArray(updates)) {
		become(p, POLLER_TROUBLE, "getUpdates did not return a list");
		retry_later(p);
		return;
	}
	if (updates->child && p->ev.take(p->arg, updates, &fresh, &err)) {
		log_error("updates cannot be kept, asking for them again: %s", err.msg);
		become(p, POLLER_TROUBLE, err.msg);
		retry_later(p);
		return;
	}
	p->last_at = clock_mono_ms();
	p->retry_ms = p->opt.first_retry_ms;
	p->conflicts = p->refusals = 0;
	become(p, POLLER_RUNNING, "");
	int64_t early = p->opt.idle_floor_ms - (p->last_at - p->asked_at);
	loop_timer_set(p->timer, fresh || early < 0 || p->hold_s < p->opt.hold_s ? 0 : early, 0);
}

static void webhook_removed(void *arg, const struct api_result *res)
{
	(void)arg;
	if (res->status != API_OK)
		log_warn("deleteWebhook: %s", res->description);
}

/* Another instance polls with this token. Each try of ours ends one of its polls, so we must not go on for ever. */
static void conflict(struct poller *p, const char *description)
{
	if (strstr(description, "webhook")) {
		log_warn("a webhook is set for this bot; removing it, because this bot polls");
		api_call(p->api, "deleteWebhook", "{}", 2, 0, webhook_removed, NULL);
	}
	if (++p->conflicts > p->opt.conflicts) {
		become(p, POLLER_STOOD_DOWN,
		       "another program polls with this bot's token (409 Conflict): stop it, or give this "
		       "one a token of "
		       "its own, then restart this bot");
		log_error("standing down: %s", p->reason);
		return;
	}
	become(p, POLLER_CONFLICT, description);
	log_warn("poll refused (%d of %d): %s", p->conflicts, p->opt.conflicts, description);
	int64_t wait = p->opt.conflict_ms << (p->conflicts - 1);
	loop_timer_set(p->timer, wait < 30000 ? wait : 30000, 0);
}

static void refused(struct poller *p, const char *description)
{
	if (++p->refusals < REFUSALS) {
		loop_timer_set(p->timer, p->opt.idle_floor_ms, 0);
		return;
	}
	become(p, POLLER_STOOD_DOWN, "Telegram refuses the token: it was revoked, or is not a token");
	p->ev.refused(p->arg, description);
}

static void trouble(struct poller *p, const struct api_result *res)
{
	char reason[400];
	snprintf(reason, sizeof(reason), "getUpdates: %s%.300s", res->code >= 500 ? "server error: " : "",
	         res->description);
	become(p, POLLER_TROUBLE, reason);
	log_debug("%s", reason);
	retry_later(p);
}

static void polled(void *arg, const struct api_result *res)
{
	struct poller *p = arg;
	switch (res->status) {
	case API_OK:
		took(p, res->result);
		break;
	case API_CONFLICT:
		conflict(p, res->description);
		break;
	case API_TOKEN:
		refused(p, res->description);
		break;
	case API_FLOOD:
		become(p, POLLER_TROUBLE, res->description);
		loop_timer_set(p->timer, res->retry_after_ms, 0);
		break;
	case API_REFUSED:
		if (res->code == 404) { /* Telegram's answer to what has not even the shape of a token */
			refused(p, res->description);
			break;
		}
		__attribute__((fallthrough));
	case API_SERVER:
	case API_NETWORK:
		trouble(p, res);
		break;
	}
}

static void poll_now(void *arg)
{
	struct poller *p = arg;
	struct err err = {0};
	int64_t offset = 0;
	if (p->ev.busy && p->ev.busy(p->arg)) {
		loop_timer_set(p->timer, BUSY_MS, 0);
		return;
	}
	char body[192], from[48] = "";
	if (p->ev.offset(p->arg, &offset, &err)) {
		log_error("the polling offset cannot be read: %s", err.msg);
		become(p, POLLER_TROUBLE, err.msg);
		retry_later(p);
		return;
	}
	/* the answer tells that polling works, so it must not wait for somebody to write */
	p->hold_s = p->state == POLLER_RUNNING ? p->opt.hold_s : 0;
	if (offset)
		snprintf(from, sizeof(from), "\"offset\":%" PRId64 ",", offset);
	int n = snprintf(body, sizeof(body),
	                 "{%s\"timeout\":%" PRId64
	                 ",\"limit\":100,\"allowed_updates\":[\"message\",\"edited_message\","
	                 "\"callback_query\"]}",
	                 from, p->hold_s);
	p->asked_at = clock_mono_ms();
	api_call(p->api, "getUpdates", body, (size_t)n, p->hold_s * 1000, polled, p);
}

struct poller *poller_start(struct loop *loop, struct api *api, const struct poller_options *options,
                            const struct poller_events *events, void *arg)
{
	struct poller *p = mem_alloc(sizeof(*p));
	p->loop = loop;
	p->api = api;
	p->ev = *events;
	p->arg = arg;
	if (options)
		p->opt = *options;
	p->opt.hold_s = p->opt.no_hold ? 0 : or_default(p->opt.hold_s, 30);
	p->opt.idle_floor_ms = or_default(p->opt.idle_floor_ms, 1000);
	p->opt.first_retry_ms = or_default(p->opt.first_retry_ms, 50);
	p->opt.longest_retry_ms = or_default(p->opt.longest_retry_ms, 15000);
	p->opt.conflicts = (int)or_default(p->opt.conflicts, 6);
	p->opt.conflict_ms = or_default(p->opt.conflict_ms, 1000);
	p->retry_ms = p->opt.first_retry_ms;
	p->started_at = clock_mono_ms();
	p->timer = loop_timer_new(loop, poll_now, p);
	loop_timer_set(p->timer, 0, 0);
	return p;
}

void poller_stop(struct poller *p)
{
	if (!p)
		return;
	api_cancel(p->api, p);
	loop_timer_free(p->timer);
	free(p);
}

enum poller_state poller_state(const struct poller *p)
{
	return p->state;
}

const char *poller_reason(const struct poller *p)
{
	return p->reason;
}

int64_t poller_silence_ms(const struct poller *p)
{
	int64_t since = p->last_at ? p->last_at : p->started_at;
	return clock_mono_ms() - since;
}
