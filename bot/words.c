#include "bot/words.h"
#include "core/log.h"
#include "core/mem.h"
#include <string.h>

/* English errors say it themselves. ERR_FAILED and ERR_CANCELLED say nothing that the message around them does not. */
static const char *const russian[ERR_CODE_COUNT] = {
        [ERR_CONFIG] = "Неверная настройка.",
        [ERR_ENGINE] = "Движок сессий (Docker, Podman) не отвечает.",
        [ERR_QUOTA] = "Нет места: исчерпана квота, память или диск. Остановите одну из сессий.",
        [ERR_NOT_FOUND] = "Такого нет.",
        [ERR_EXISTS] = "Имя занято: выберите другое или сначала остановите ту сессию.",
        [ERR_INVALID] = "Так не годится.",
        [ERR_STATE] = "В нынешнем состоянии это невозможно.",
        [ERR_DENIED] = "Это не разрешено.",
        [ERR_BUSY] = "Занято другим делом: попробуйте ещё раз.",
        [ERR_TIMEOUT] = "Не успело за отведённое время.",
        [ERR_LIMIT] = "Превышен допустимый размер.",
        [ERR_NET] = "Сбой сети.",
        [ERR_IO] = "Ошибка чтения или записи.",
        [ERR_DB] = "Ошибка базы данных.",
};

struct word {
	const char *english, *russian;
};

static const struct word stages[] = {
        {"prepare", "подготовка"},
        {"room", "освобождается место"},
        {"start", "запуск служб"},
        {"wait", "ожидание готовности служб"},
        {"stop", "остановка служб"},
        {"undo", "начатое убирается"},
        {"exec", "команда выполняется"},
        {"publish", "проект кладётся на место"},
        {"done", "готово"},
        {NULL, NULL},
};

static const struct word states[] = {
        {"creating", "создаётся"},
        {"starting", "запускается"},
        {"running", "работает"},
        {"ready", "работает"},
        {"stopping", "останавливается"},
        {"stopped", "остановлена"},
        {"failed", "не запустилась"},
        {"removed", "удалена"},
        {"done", "завершилась"},
        {"unknown", "неизвестно"},
        {NULL, NULL},
};

static const char *find(enum lang lang, const struct word *words, const char *english)
{
	for (; lang == LANG_RU && english && words->english; words++)
		if (!strcmp(words->english, english))
			return words->russian;
	return NULL;
}

char *words_error(enum lang lang, enum err_code code, const char *text)
{
	const char *head = lang == LANG_RU ? russian[code] : NULL;
	cleanup_free char *clean = log_redact(text);
	return head ? mem_printf("%s\n%s", head, clean) : TAKE(clean);
}

const char *words_stage(enum lang lang, const char *stage, const char *text)
{
	return find(lang, stages, stage) ?: text;
}

const char *words_state(enum lang lang, const char *state)
{
	return find(lang, states, state) ?: state;
}
