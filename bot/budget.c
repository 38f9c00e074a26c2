#include "bot/budget.h"
#include <stddef.h>

#define CHAT_MS 1000
#define GROUP_MS 60000
#define GROUP_RESERVE (BUDGET_GROUP / 4)

void budget_init(struct budget *b, bool on, int64_t now_ms)
{
	*b = (struct budget){.on = on, .tokens = BUDGET_OVERALL, .at = now_ms};
}

int64_t budget_wait_chat(const struct budget *b, const struct budget_chat *c, bool group, bool final,
                         int64_t now_ms)
{
	int64_t wait = c->next_at - now_ms;
	if (!b->on)
		return 0;
	if (group) {
		/* The message that must be a minute old before the next one may go. */
		int64_t oldest = c->sent[(c->i + (final ? 0 : GROUP_RESERVE)) % BUDGET_GROUP];
		if (oldest && oldest + GROUP_MS - now_ms > wait)
			wait = oldest + GROUP_MS - now_ms;
	}
	return wait > 0 ? wait : 0;
}

int64_t budget_wait(struct budget *b, int64_t now_ms)
{
	if (!b->on)
		return 0;
	b->tokens += (double)(now_ms - b->at) * BUDGET_OVERALL / 1000;
	b->at = now_ms;
	if (b->tokens > BUDGET_OVERALL)
		b->tokens = BUDGET_OVERALL;
	return b->tokens >= 1 ? 0 : (int64_t)((1 - b->tokens) * 1000 / BUDGET_OVERALL) + 1;
}

void budget_take(struct budget *b, struct budget_chat *c, int64_t now_ms)
{
	b->tokens -= 1;
	c->next_at = now_ms + CHAT_MS;
	c->sent[c->i] = now_ms;
	c->i = (c->i + 1) % BUDGET_GROUP;
}
