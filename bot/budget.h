/* How often Telegram lets a bot speak: about 30 messages a second overall, 1 a second in a chat, 20 a minute in a group
 * (core.telegram.org/bots/faq, "My bot is hitting limits"). Edits count like messages. Times are monotonic ms. */
#ifndef BOT_BUDGET_H
#define BOT_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_OVERALL 30
#define BUDGET_GROUP 20

struct budget {
	bool on;
	double tokens; /* of BUDGET_OVERALL a second */
	int64_t at;
};

struct budget_chat {
	int64_t next_at;
	int64_t sent[BUDGET_GROUP]; /* ring of when, for groups */
	unsigned i;
};

void budget_init(struct budget *b, bool on, int64_t now_ms);

/** Milliseconds until chat ${c} may speak, 0: now. What is not ${final} leaves a quarter of a group's minute free, so
 * that the last state of a progress message need not wait. */
int64_t budget_wait_chat(const struct budget *b, const struct budget_chat *c, bool group, bool final,
                         int64_t now_ms);

/** The same for all chats together. */
int64_t budget_wait(struct budget *b, int64_t now_ms);

/** Count one message. */
void budget_take(struct budget *b, struct budget_chat *c, int64_t now_ms);

#endif
