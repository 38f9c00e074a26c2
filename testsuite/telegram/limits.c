/* Buckets that refill: `left` messages at `at`, one more every `every_ms`, up to `burst`. */
#include "testsuite/telegram/limits.h"
#include "core/mem.h"
#include <stdlib.h>

#define CHATS_MAX 1024 /* the least recently used one is forgotten */

struct rule {
	int64_t every_ms, burst;
};
static const struct rule overall = {33, 30}, private_chat = {1000, 5}, group = {3000, 20};

struct bucket {
	int64_t chat, at_ms;
	int64_t credit_ms; /* time saved up, at most burst * every_ms */
};

struct tg_limits {
	struct bucket all;
	struct bucket chats[CHATS_MAX];
	size_t n;
};

struct tg_limits *tg_limits_new(void)
{
	struct tg_limits *l = mem_alloc(sizeof(*l));

	l->all.at_ms = INT64_MIN / 2;
	return l;
}

void tg_limits_free(struct tg_limits *l)
{
	free(l);
}

static struct bucket *bucket_of(struct tg_limits *l, int64_t chat)
{
	struct bucket *oldest = &l->chats[0];

	for (size_t i = 0; i < l->n; i++) {
		if (l->chats[i].chat == chat)
			return &l->chats[i];
		if (l->chats[i].at_ms < oldest->at_ms)
			oldest = &l->chats[i];
	}
	struct bucket *b = l->n < CHATS_MAX ? &l->chats[l->n++] : oldest;
	*b = (struct bucket){.chat = chat, .at_ms = INT64_MIN / 2};
	return b;
}

/* Bring ${b} to now; how many milliseconds are missing for one message. */
static int64_t missing_ms(struct bucket *b, const struct rule *r, int64_t now_ms)
{
	int64_t full = r->burst * r->every_ms;
	int64_t passed = now_ms > b->at_ms ? now_ms - b->at_ms : 0;

	b->credit_ms = passed > full - b->credit_ms ? full : b->credit_ms + passed;
	b->at_ms = now_ms;
	return b->credit_ms >= r->every_ms ? 0 : r->every_ms - b->credit_ms;
}

int tg_limits_take(struct tg_limits *l, int64_t chat, int64_t now_ms)
{
	const struct rule *rule = chat < 0 ? &group : &private_chat;
	struct bucket *b = bucket_of(l, chat);
	int64_t here = missing_ms(b, rule, now_ms), everywhere = missing_ms(&l->all, &overall, now_ms);
	int64_t wait = here > everywhere ? here : everywhere;

	if (wait > 0)
		return (int)((wait + 999) / 1000);
	b->credit_ms -= rule->every_ms;
	l->all.credit_ms -= overall.every_ms;
	return 0;
}
