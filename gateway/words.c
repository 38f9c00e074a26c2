#include "gateway/words.h"
#include "core/mem.h"
#include "core/text.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *const verbs[VERB_COUNT] = {
        [VERB_CREATE] = "create|make|new|generate|scaffold|add|созда*|сдела*|нов*|сгенерир*|добав*",
        [VERB_START] =
                "start|run|launch|open|begin|execute|запус*|прогон*|выполн*|подним*|старт*|откро*|провер*",
        [VERB_STOP] =
                "stop|remove|delete|kill|destroy|close|останов*|удал*|заверш*|закро*|убей|убери|выключ*",
        [VERB_RESTART] = "restart|reboot|перезапус*|рестарт*",
        [VERB_SHOW] = "show|list|describe|display|get|view|покаж*|список|перечисл*|опиши|какие|выведи|which",
        [VERB_EXTEND] = "extend|prolong|продл*",
        [VERB_CANCEL] = "cancel|abort|отмен*|прерви",
};

static const char *const objects[OBJECT_COUNT] = {
        [OBJECT_PROJECT] = "project|projects|проект*",
        [OBJECT_SESSION] = "session|sessions|environment|environments|сесси*|окружени*|стенд*",
        [OBJECT_TEST] = "test|tests|testing|scenario|scenarios|regression|тест*|сценари*|регресси*",
        [OBJECT_JOB] = "job|jobs|task|tasks|задани*|задач*",
        [OBJECT_LOG] = "log|logs|лог|логи|логов|лога|журнал*",
        [OBJECT_STATUS] = "status|state|health|статус*|состояни*|дела",
        [OBJECT_HELP] = "help|commands|capabilities|помощь|помоги*|справк*|команды|умеешь|можешь",
        [OBJECT_GREETING] = "hello|hi|hey|greetings|привет*|здравствуй*|добрый|доброе",
        [OBJECT_THANKS] = "thanks|thank|спасибо|благодарю",
};

static const char fillers[] = "a|an|the|me|my|please|pls|some|now|it|is|are|all|every|everything|just|can|"
                              "could|you|i|want|would|like|need|"
                              "current|what|how|do|there|type|мне|пожалуйста|мой|мою|мои|все|всё|всех|сейчас|"
                              "хочу|нужен|нужна|нужно|для|тип|"
                              "типа|это|и|and|как|что|ты|мне-ка|call|let|lets";
static const char prepositions[] = "on|in|against|for|at|of|by|to|with|from|на|в|во|для|от|с|из|по|у";
static const char naming[] = "named|called|name|имя|имени|именем|названием|название|назови|зовут";
static const char no_words[] = "cancel|no|stop|never|nevermind|abort|forget|отмена|отмени|нет|стоп|хватит|не";

static const struct {
	const char *words;
	int minutes;
} units[] = {
        {"m|min|mins|minute|minutes|мин*", 1},
        {"h|hour|hours|час*|ч", 60},
        {"d|day|days|день|дня|дней|сут*", 24 * 60},
};

bool words_in(const char *list, const char *word)
{
	size_t len = strlen(word);
	for (const char *p = list; p && *p; p += strcspn(p, "|"), p += *p == '|') {
		size_t n = strcspn(p, "|");
		bool prefix = n && p[n - 1] == '*';
		if (prefix)
			n--;
		if ((prefix ? len >= n : len == n) && strncmp(p, word, n) == 0)
			return true;
	}
	return false;
}

enum verb words_verb(const char *word)
{
	for (enum verb v = VERB_NONE + 1; v < VERB_COUNT; v++)
		if (words_in(verbs[v], word))
			return v;
	return VERB_NONE;
}

enum object words_object(const char *word)
{
	for (enum object o = OBJECT_NONE + 1; o < OBJECT_COUNT; o++)
		if (words_in(objects[o], word))
			return o;
	return OBJECT_NONE;
}

bool words_filler(const char *word)
{
	return words_in(fillers, word);
}

bool words_preposition(const char *word)
{
	return words_in(prepositions, word);
}

bool words_naming(const char *word)
{
	return words_in(naming, word);
}

bool words_no(const char *word)
{
	return words_in(no_words, word);
}

int words_unit_minutes(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (words_in(units[i].words, word))
			return units[i].minutes;
	return 0;
}

const char *words_nearest(const char *word)
{
	static const char *const known[] = {"create", "start",  "stop",    "restart", "show",     "list",
	                                    "extend", "cancel", "project", "session", "sessions", "tests",
	                                    "jobs",   "logs",   "status",  "help",    NULL};
	return strlen(word) >= 4 ? text_nearest(word, known) : NULL;
}

/* Lower case in place: ASCII, and А–Я, Ё of UTF-8, whose small letters take as many bytes. */
static void lower(unsigned char *p)
{
	for (; *p; p++) {
		if (*p < 0x80) {
			*p = (unsigned char)tolower(*p);
		} else if (*p == 0xd0 && p[1] >= 0x90 && p[1] <= 0x9f) {
			p[1] = (unsigned char)(p[1] + 0x20);
		} else if (*p == 0xd0 && p[1] >= 0xa0 && p[1] <= 0xaf) {
			*p = 0xd1;
			p[1] = (unsigned char)(p[1] - 0x20);
		} else if (*p == 0xd0 && p[1] == 0x81) {
			*p = 0xd1;
			p[1] = 0x91;
		}
	}
}

/* Bytes of the separator at ${p}, 0 when a word goes on there. */
static size_t separator(const char *p)
{
	static const char *const wide[] = {"«", "»", "“", "”", "„", "—", "–", "…", "\u00a0"};
	if (isspace((unsigned char)*p) || strchr(",;:!?\"'()[]{}`", *p))
		return 1;
	for (size_t i = 0; i < ARRAY_LEN(wide); i++)
		if (strncmp(p, wide[i], strlen(wide[i])) == 0)
			return strlen(wide[i]);
	return 0;
}

/* Keep one word: without the slash of a chat command and the full stop of a sentence. */
static void keep(struct words *w, char *word)
{
	size_t n;
	if (*word == '/' && w->n == 0)
		word++;
	n = strlen(word);
	while (n && (word[n - 1] == '.' || word[n - 1] == '/'))
		word[--n] = '\0';
	if (n && w->n < WORDS_MAX)
		w->at[w->n++] = word;
}

void words_split(struct words *w, const char *text)
{
	*w = (struct words){.text = mem_strdup(text)};
	lower((unsigned char *)w->text);
	for (char *p = w->text; *p;) {
		size_t gap = separator(p);
		if (gap) {
			p += gap;
			continue;
		}
		char *word = p;
		while (*p && !separator(p)) {
			w->cyrillic |= (unsigned char)*p == 0xd0 || (unsigned char)*p == 0xd1;
			p++;
		}
		gap = *p ? separator(p) : 0;
		*p = '\0';
		p += gap;
		keep(w, word);
	}
}

void words_free(struct words *w)
{
	free(w->text);
	*w = (struct words){0};
}
