#include "gateway/questions.h"
#include "core/mem.h"
#include <stdlib.h>
#include <string.h>

struct question {
	char *key; /* NULL: free */
	struct response asked;
	int64_t at_ms;
};

struct questions {
	struct question at[QUESTIONS_MAX];
};

struct questions *questions_new(void)
{
	return mem_alloc(sizeof(struct questions));
}

static void forget(struct question *q)
{
	free(q->key);
	response_free(&q->asked);
	*q = (struct question){0};
}

void questions_free(struct questions *questions)
{
	for (size_t i = 0; questions && i < QUESTIONS_MAX; i++)
		forget(&questions->at[i]);
	free(questions);
}

static struct question *find(struct questions *questions, const char *key)
{
	for (size_t i = 0; i < QUESTIONS_MAX; i++)
		if (questions->at[i].key && strcmp(questions->at[i].key, key) == 0)
			return &questions->at[i];
	return NULL;
}

void questions_put(struct questions *questions, const char *key, struct response *question, int64_t now_ms)
{
	struct question *slot = find(questions, key);
	for (size_t i = 0; !slot && i < QUESTIONS_MAX; i++)
		if (!questions->at[i].key)
			slot = &questions->at[i];
	if (!slot) {
		slot = &questions->at[0];
		for (size_t i = 1; i < QUESTIONS_MAX; i++)
			if (questions->at[i].at_ms < slot->at_ms)
				slot = &questions->at[i];
	}
	forget(slot);
	*slot = (struct question){.key = mem_strdup(key), .asked = *question, .at_ms = now_ms};
	*question = (struct response){0};
}

bool questions_take(struct questions *questions, const char *key, struct response *out, int64_t now_ms)
{
	struct question *q = find(questions, key);
	if (!q)
		return false;
	bool fresh = now_ms - q->at_ms <= QUESTION_MS;
	if (fresh) {
		*out = q->asked;
		q->asked = (struct response){0};
	}
	forget(q);
	return fresh;
}
