#include "bot/texts.h"
#include "core/clock.h"
#include "core/mem.h"
#include <ctype.h>
#include <string.h>

static const char *const codes[LANG_COUNT] = {[LANG_EN] = "en", [LANG_RU] = "ru"};
static const char *const own_names[LANG_COUNT] = {[LANG_EN] = "English", [LANG_RU] = "Русский"};

/* clang-format off */
static const char *const texts[TEXT_COUNT][LANG_COUNT] = {
	[T_WELCOME] = {
		"👋 Welcome to <b>CodeFoundry</b>, {name}!\n"
		"I create throw-away environments, test bots and services in them, and clean up afterwards.\n\n"
		"/new web-service shop – create a project\n"
		"/session start demo – start an environment\n"
		"/test all demo – run the regression suite in it\n"
		"/help – all commands",
		"👋 Добро пожаловать в <b>CodeFoundry</b>, {name}!\n"
		"Я создаю одноразовые окружения, тестирую в них ботов и сервисы и убираю за собой.\n\n"
		"/new web-service shop – создать проект\n"
		"/session start demo – запустить окружение\n"
		"/test all demo – прогнать в нём регрессионные тесты\n"
		"/help – все команды"},
	[T_HELP_HEAD] = {"<b>Commands</b>\n", "<b>Команды</b>\n"},
	[T_HELP_FOOT] = {
		"\n/help &lt;command&gt; explains one of them. Any other text goes to the gateway as chat.",
		"\n/help &lt;команда&gt; объяснит любую из них. Любой другой текст уходит шлюзу как разговор."},
	[T_HELP_ONE] = {
		"<b>/{command}</b> – {about}\nUsage: <code>{usage}</code>\nExample: <code>{example}</code>\nFor: {role}",
		"<b>/{command}</b> – {about}\nВид: <code>{usage}</code>\nПример: <code>{example}</code>\nДля роли: {role}"},
	[T_USAGE] = {
		"Usage: <code>{usage}</code>\nExample: <code>{example}</code>",
		"Вид: <code>{usage}</code>\nПример: <code>{example}</code>"},
	[T_UNKNOWN_COMMAND] = {
		"❓ There is no command /{command}. /help lists all of them.",
		"❓ Команды /{command} нет. Все команды: /help"},
	[T_UNKNOWN_NEAREST] = {
		"❓ There is no command /{command}. Did you mean /{nearest}? /help lists all of them.",
		"❓ Команды /{command} нет. Может быть, /{nearest}? Все команды: /help"},
	[T_UNAUTHORIZED] = {
		"⛔ Unauthorized. Your id is <code>{id}</code>: send it to the person who runs this bot to be let in.",
		"⛔ Нет доступа (Unauthorized). Ваш id <code>{id}</code>: отправьте его владельцу бота, чтобы получить доступ."},
	[T_ROLE_NEEDED] = {
		"⛔ /{command} needs the role {needed}; yours is {role}.",
		"⛔ Для /{command} нужна роль {needed}, а у вас {role}."},
	[T_NOT_OWNER] = {
		"⛔ Session <b>{session}</b> belongs to somebody else; only its owner or an admin may do that.",
		"⛔ Сессия <b>{session}</b> чужая: это может только её владелец или администратор."},
	[T_NOT_JOB_OWNER] = {
		"⛔ Job {job} belongs to somebody else; only its owner or an admin may cancel it.",
		"⛔ Задание {job} чужое: отменить его может только владелец или администратор."},
	[T_TEXT_ONLY] = {
		"I understand text and commands. /help lists them.",
		"Я понимаю текст и команды. Список: /help"},
	[T_ERROR] = {"❌ {error}", "❌ {error}"},
	[T_GAVE_UP] = {
		"❌ Your message could not be handled and was set aside for the person who runs this bot.",
		"❌ Ваше сообщение не удалось обработать, оно отложено для владельца бота."},
	[T_WHOAMI] = {
		"Your id: <code>{id}</code>\nRole: {role}\nThis chat: <code>{chat}</code>\nLanguage: {language}",
		"Ваш id: <code>{id}</code>\nРоль: {role}\nЭтот чат: <code>{chat}</code>\nЯзык: {language}"},
	[T_LANG_SET] = {"I speak English in this chat now.", "Теперь в этом чате я говорю по-русски."},
	[T_LANG_CHOOSE] = {
		"Language: <b>{language}</b>. Change it: <code>/lang en</code>, <code>/lang ru</code>, <code>/lang auto</code>",
		"Язык: <b>{language}</b>. Изменить: <code>/lang en</code>, <code>/lang ru</code>, <code>/lang auto</code>"},
	[T_STATUS] = {
		"<b>Status</b>\nGateway: {=gateway}\nWorker: {=worker}\nEngine: {engine}\nSessions: {sessions} ({running} running)\n"
		"Disk: {disk} free\nLast test run: {=test}\nTelegram: {=telegram}",
		"<b>Состояние</b>\nШлюз: {=gateway}\nИсполнитель: {=worker}\nДвижок: {engine}\nСессии: {sessions} (работает {running})\n"
		"Диск: свободно {disk}\nПоследний прогон тестов: {=test}\nTelegram: {=telegram}"},
	[T_STATUS_UP] = {"✅ connected ({detail})", "✅ на связи ({detail})"},
	[T_STATUS_DOWN] = {"❌ not connected ({detail})", "❌ нет связи ({detail})"},
	[T_STATUS_RUNNING] = {"✅ running", "✅ работает"},
	[T_STATUS_STOPPED] = {"❌ not running: jobs wait", "❌ не работает: задания ждут"},
	[T_STATUS_NO_TEST] = {"none yet", "ещё не было"},
	[T_STATUS_TEST] = {
		"{passed} of {total} passed ({rate}), {ago} ago",
		"прошло {passed} из {total} ({rate}), {ago} назад"},
	[T_SESSIONS_NONE] = {
		"No sessions. <code>/session start demo</code> starts one.",
		"Сессий нет. <code>/session start demo</code> запустит первую."},
	[T_SESSIONS_HEAD] = {"<b>Sessions</b>\n", "<b>Сессии</b>\n"},
	[T_SESSION_SHOW] = {
		"<b>{session}</b> – {state}\nOwner: {owner}\nEngine: {engine}\nAge: {age}\nExpires in: {expires}\n{=detail}",
		"<b>{session}</b> – {state}\nВладелец: {owner}\nДвижок: {engine}\nВозраст: {age}\nИстекает через: {expires}\n{=detail}"},
	[T_SESSION_SUBCOMMANDS] = {
		"What about the session?{=list}",
		"Что сделать с сессией?{=list}"},
	[T_SESSION_NO_SUBCOMMAND] = {
		"❓ There is no <code>/session {word}</code>. What there is:{=list}",
		"❓ Команды <code>/session {word}</code> нет. Есть:{=list}"},
	[T_SESSION_STARTING] = {"Starting session {session}", "Запуск сессии {session}"},
	[T_SESSION_STARTING_NEW] = {"Starting a session", "Запуск сессии"},
	[T_SESSION_RESTARTING] = {"Restarting session {session}", "Перезапуск сессии {session}"},
	[T_SESSION_EXTENDING] = {"Extending session {session}", "Продление сессии {session}"},
	[T_SESSION_EXECUTING] = {"{session}: {command}", "{session}: {command}"},
	[T_SESSION_PINNING] = {"Pinning session {session}", "Закрепление сессии {session}"},
	[T_SESSION_UNPINNING] = {"Unpinning session {session}", "Открепление сессии {session}"},
	[T_SESSION_PIN] = {"📌 never, it is pinned", "📌 бессрочно, закреплена"},
	[T_SESSION_STOPPING] = {"Stopping session {session}", "Остановка сессии {session}"},
	[T_SESSION_STOP_ASK] = {
		"Stop session <b>{session}</b>? Its services, files and data are removed.",
		"Остановить сессию <b>{session}</b>? Её службы, файлы и данные будут удалены."},
	[T_SESSION_BAD_TIME] = {
		"❌ “{time}” is not a time to extend by. Write <code>90m</code>, <code>2h</code> or <code>1d</code> (at most 30d).",
		"❌ «{time}» – не время продления. Напишите <code>90m</code>, <code>2h</code> или <code>1d</code> (не больше 30d)."},
	[T_LOGS_NONE] = {"No log lines of {what}.", "Записей журнала нет: {what}."},
	[T_LOGS_HEAD] = {"<b>Logs of {what}</b>\n<pre>{lines}</pre>", "<b>Журнал: {what}</b>\n<pre>{lines}</pre>"},
	[T_TEST_RUNNING] = {"Testing {what}", "Тестирование: {what}"},
	[T_TESTS_NONE] = {
		"No test runs yet. <code>/test all</code> starts one.",
		"Прогонов тестов ещё не было. Запустить: <code>/test all</code>"},
	[T_TESTS_HEAD] = {"<b>Test runs</b>\nTrend: {trend}\n", "<b>Прогоны тестов</b>\nТенденция: {trend}\n"},
	[T_AGO] = {"{time} ago", "{time} назад"},
	[T_JOBS_NONE] = {"No jobs.", "Заданий нет."},
	[T_JOBS_HEAD] = {"<b>Jobs</b>\n", "<b>Задания</b>\n"},
	[T_CANCEL_NONE] = {"Nothing of yours is under way.", "У вас ничего не выполняется."},
	[T_CANCEL_ASKED] = {"Job {job} ({kind}) is being cancelled.", "Задание {job} ({kind}) отменяется."},
	[T_CANCEL_OVER] = {"Job {job} is over already.", "Задание {job} уже завершено."},
	[T_AUDIT_NONE] = {"The audit log is empty.", "Журнал аудита пуст."},
	[T_AUDIT_HEAD] = {"<b>Audit log</b>\n", "<b>Журнал аудита</b>\n"},
	[T_NEW_TYPES] = {
		"Usage: <code>{usage}</code>\nTypes: {types}\nExample: <code>{example}</code>",
		"Вид: <code>{usage}</code>\nТипы: {types}\nПример: <code>{example}</code>"},
	[T_NEW_BAD_TYPE] = {
		"❌ There is no project type “{type}”. Types: {types}",
		"❌ Нет типа проекта «{type}». Типы: {types}"},
	[T_NEW_BAD_NAME] = {
		"❌ “{project}” cannot name a project: use 1 to 50 of a-z, 0-9 and -.",
		"❌ «{project}» не годится как имя проекта: от 1 до 50 знаков a-z, 0-9 и -."},
	[T_NEW_TITLE] = {"Creating {type} {project}", "Создание {type} {project}"},
	[T_CHAT_TITLE] = {"Working on it", "Выполняется"},
	[T_WAITING_GATEWAY] = {"the gateway is not connected, waiting for it", "шлюз не на связи, жду его"},
	[T_QUEUED] = {"queued", "в очереди"},
	[T_GATEWAY_DOWN] = {
		"❌ The gateway could not be reached for {time}. /status shows its state.",
		"❌ Шлюз недоступен уже {time}. Состояние: /status"},
	[T_GATEWAY_SILENT] = {
		"❌ The gateway did not answer within {time}.",
		"❌ Шлюз не ответил за {time}."},
	[T_GATEWAY_ERROR] = {"❌ {error}", "❌ {error}"},
	[T_QUESTION_FOOT] = {"Press a button or write your answer.", "Нажмите кнопку или напишите ответ."},
	[T_DONE] = {"✅ {=what}", "✅ {=what}"},
	[T_JOB_FAILED] = {"❌ {=title}: failed\n{error}", "❌ {=title}: не удалось\n{error}"},
	[T_JOB_CANCELLED] = {"🚫 {=title}: cancelled", "🚫 {=title}: отменено"},
	[T_JOB_GONE] = {"❌ {=title}: the job is not known any more", "❌ {=title}: задание больше не известно"},
	[T_SESSION_STARTED] = {
		"✅ Session <b>{session}</b> is running (ready in {time}).\n{=endpoints}Expires in {expires}.",
		"✅ Сессия <b>{session}</b> работает (готова за {time}).\n{=endpoints}Истекает через {expires}."},
	[T_SESSION_STOPPED] = {
		"✅ Session <b>{session}</b> is removed. Left behind: {left}.",
		"✅ Сессия <b>{session}</b> удалена. Осталось: {left}."},
	[T_SESSION_RESIDUE] = {
		"⚠️ Session <b>{session}</b> is stopped, but something is left: {left}. Removing it is tried again.",
		"⚠️ Сессия <b>{session}</b> остановлена, но осталось: {left}. Удаление будет повторено."},
	[T_SESSION_KEPT] = {
		"✅ Session <b>{session}</b> is stopped and kept. <code>/session start {session}</code> resumes it.",
		"✅ Сессия <b>{session}</b> остановлена и сохранена. Продолжить: <code>/session start {session}</code>"},
	[T_SESSION_EXTENDED] = {
		"✅ Session <b>{session}</b> expires in {expires} now.",
		"✅ Сессия <b>{session}</b> теперь истекает через {expires}."},
	[T_SESSION_PINNED] = {
		"📌 Session <b>{session}</b> is pinned: it lives until it is stopped or <code>/session unpin {session}</code>.",
		"📌 Сессия <b>{session}</b> закреплена: она живёт, пока её не остановят или не открепят: <code>/session unpin {session}</code>"},
	[T_SESSION_EXECUTED] = {
		"{mark} <b>{=title}</b>\n{service}, exit code {code}, {time}\n{=output}",
		"{mark} <b>{=title}</b>\n{service}, код завершения {code}, {time}\n{=output}"},
	[T_SESSION_EXEC_CUT] = {"\n… (the rest is left out)", "\n… (остальное опущено)"},
	[T_SESSION_ENDS_IDLE] = {
		"⏳ Session <b>{session}</b> expires in {time} (idle: nobody uses it). <code>/session show {name}</code>",
		"⏳ Сессия <b>{session}</b> истекает через {time} (ею не пользуются). <code>/session show {name}</code>"},
	[T_SESSION_ENDS_AGE] = {
		"⏳ Session <b>{session}</b> expires in {time} (age: it is as old as it may get). An admin can keep it: "
		"<code>/session pin {name}</code>",
		"⏳ Сессия <b>{session}</b> истекает через {time} (достигнут предельный возраст). Администратор может её сохранить: "
		"<code>/session pin {name}</code>"},
	[T_SESSION_OVER_IDLE] = {
		"⌛ Session <b>{session}</b> is removed: it was not used. Left behind: {left}.",
		"⌛ Сессия <b>{session}</b> удалена: ею не пользовались. Осталось: {left}."},
	[T_SESSION_OVER_AGE] = {
		"⌛ Session <b>{session}</b> is removed: it was as old as it may get. Left behind: {left}.",
		"⌛ Сессия <b>{session}</b> удалена: достигнут предельный возраст. Осталось: {left}."},
	[T_TEST_DONE] = {
		"{mark} <b>Test report</b> ({what})\nTotal: {total}\nPassed: {passed}\nFailed: {failed}\n{=more}Pass Rate: {rate}\n"
		"Duration: {time}\n{=failures}",
		"{mark} <b>Отчёт о тестах</b> ({what})\nTotal (всего): {total}\nPassed (прошло): {passed}\nFailed (не прошло): {failed}\n"
		"{=more}Pass Rate: {rate}\nDuration (время): {time}\n{=failures}"},
	[T_TEST_FAILED_LINE] = {"❌ <b>{scenario}</b>: {reason}\n", "❌ <b>{scenario}</b>: {reason}\n"},
	[T_BUTTON_CANCEL] = {"Cancel", "Отменить"},
	[T_BUTTON_STOP] = {"Stop it", "Остановить"},
	[T_BUTTON_EXTEND] = {"Extend 1 h", "Продлить на 1 ч"},
	[T_BUTTON_KEEP] = {"Leave it running", "Оставить"},
	[T_BUTTON_RETRY] = {"Retry", "Повторить"},
	[T_BUTTON_USED] = {"This button was used before.", "Эта кнопка уже использована."},
	[T_BUTTON_EXPIRED] = {"This button has expired. Send the command again.", "Кнопка устарела. Отправьте команду ещё раз."},
	[T_BUTTON_NOT_YOURS] = {"This button is for somebody else.", "Эта кнопка не для вас."},
	[T_BUTTON_UNKNOWN] = {"This button means nothing any more.", "Эта кнопка больше ничего не значит."},
	[T_KEPT_RUNNING] = {"Session <b>{session}</b> goes on running.", "Сессия <b>{session}</b> работает дальше."},
	[T_ELAPSED] = {"⏱ {time}", "⏱ {time}"},
};
/* clang-format on */

const char *texts_raw(enum lang lang, enum text_id id)
{
	return texts[id][lang];
}

static const struct text_arg *find(const struct text_arg *args, const char *name, size_t n)
{
	for (; args && args->name; args++)
		if (strlen(args->name) == n && memcmp(args->name, name, n) == 0)
			return args;
	return NULL;
}

void texts_add(struct str *out, enum lang lang, enum text_id id, const struct text_arg *args)
{
	const char *p = texts[id][lang];
	for (;;) {
		size_t plain = strcspn(p, "{");
		str_addn(out, p, plain);
		p += plain;
		if (!*p)
			return;
		bool html = p[1] == '=';
		const char *name = p + 1 + html;
		size_t n = strcspn(name, "}");
		const struct text_arg *arg = find(args, name, n);
		if (!arg)
			str_addn(out, p, (size_t)(name - p) + n + 1);
		else if (html)
			str_add(out, arg->value ? arg->value : "–");
		else
			str_add_html(out, arg->value ? arg->value : "–");
		p = name + n + 1;
	}
}

char *texts_make(enum lang lang, enum text_id id, const struct text_arg *args)
{
	struct str out = STR_INIT;
	texts_add(&out, lang, id, args);
	return str_take(&out);
}

bool texts_lang(const char *code, enum lang *lang)
{
	for (int i = 0; code && i < LANG_COUNT; i++) {
		if (strncasecmp(code, codes[i], 2) == 0 && !isalpha((unsigned char)code[2])) {
			*lang = (enum lang)i;
			return true;
		}
	}
	return false;
}

const char *texts_code(enum lang lang)
{
	return codes[lang];
}

const char *texts_own_name(enum lang lang)
{
	return own_names[lang];
}

static char *units(enum lang lang, char buf[64])
{
	return lang == LANG_RU ? clock_russian(buf, 64) : buf;
}

char *texts_took(enum lang lang, int64_t ms, char buf[64])
{
	return units(lang, clock_duration(ms, buf, 64));
}

char *texts_ago(enum lang lang, int64_t ms, char buf[64])
{
	return units(lang, clock_rough(ms, buf, 64));
}

char *texts_left(enum lang lang, int64_t ms, char buf[64])
{
	return units(lang, clock_left(ms, buf, 64));
}
