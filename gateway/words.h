/* A sentence as lower-case words, and what the words mean to the responder: one lexicon of English words and Russian
 * stems. Knows nothing of commands. */
#ifndef GATEWAY_WORDS_H
#define GATEWAY_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#define WORDS_MAX 48

enum verb {
	VERB_NONE,
	VERB_CREATE,
	VERB_START,
	VERB_STOP,
	VERB_RESTART,
	VERB_SHOW,
	VERB_EXTEND,
	VERB_CANCEL,
	VERB_COUNT
};

enum object {
	OBJECT_NONE,
	OBJECT_PROJECT,
	OBJECT_SESSION,
	OBJECT_TEST,
	OBJECT_JOB,
	OBJECT_LOG,
	OBJECT_STATUS,
	OBJECT_HELP,
	OBJECT_GREETING,
	OBJECT_THANKS,
	OBJECT_COUNT
};

struct words {
	char *text; /* owned: the words, NUL-separated */
	char *at[WORDS_MAX];
	bool used[WORDS_MAX]; /* has been given a meaning */
	size_t n;
	bool cyrillic;
};

/** Split ${text} (valid UTF-8): letters become lower case, punctuation around words goes, a leading slash too. Words past
 * WORDS_MAX are dropped. */
void words_split(struct words *w, const char *text);
void words_free(struct words *w);

/* Meaning of one word. */
enum verb words_verb(const char *word);
enum object words_object(const char *word);
bool words_filler(const char *word);      /* carries nothing: "the", "please", "мне" */
bool words_preposition(const char *word); /* "on", "of", "на" … */
bool words_naming(const char *word);      /* the next word is a name: "called", "именем" … */
bool words_no(const char *word);          /* takes a question back: "cancel", "отмена" … */
int words_unit_minutes(const char *word); /* "hours" → 60; 0 when it is no unit */

/** Whether ${word} is one of the "|"-separated ${list}; an entry that ends in * matches by its beginning. */
bool words_in(const char *list, const char *word);

/** The English word of the lexicon that ${word} may be a typo of, NULL when none is near. */
const char *words_nearest(const char *word);

#endif
