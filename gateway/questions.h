/* Questions that wait for an answer, by the correlation id under which they were asked. Bounded: the oldest is
 * forgotten, and each after ten minutes, so that a late chat is not taken for an answer. */
#ifndef GATEWAY_QUESTIONS_H
#define GATEWAY_QUESTIONS_H

#include "gateway/responder.h"
#include <stdint.h>

#define QUESTIONS_MAX 256
#define QUESTION_MS (10 * 60 * 1000)

struct questions;

struct questions *questions_new(void);
void questions_free(struct questions *questions);

/** Remember ${question} (content transferred, ${question} is emptied) under ${key} at ${now_ms}; replaces an older one. */
void questions_put(struct questions *questions, const char *key, struct response *question, int64_t now_ms);

/** Take the question of ${key}: its content is transferred to ${out}. False when there is none, or it is too old. */
bool questions_take(struct questions *questions, const char *key, struct response *out, int64_t now_ms);

#endif
