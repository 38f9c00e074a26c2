/* Flood limits (Bot API FAQ, "My bot is hitting limits"): about 30 messages/s overall, 1/s per chat with short bursts,
 * 20/min per group. Telegram publishes no burst size; ours is 5 per chat. Edits count like messages. */
#ifndef TESTSUITE_TELEGRAM_LIMITS_H
#define TESTSUITE_TELEGRAM_LIMITS_H

#include <stdint.h>

struct tg_limits;

struct tg_limits *tg_limits_new(void);
void tg_limits_free(struct tg_limits *l);

/** Count one message to ${chat} (negative: a group) at ${now_ms} (monotonic). Returns 0 when it may go, else the
 * seconds to wait; a refused message is not counted. */
int tg_limits_take(struct tg_limits *l, int64_t chat, int64_t now_ms);

#endif
