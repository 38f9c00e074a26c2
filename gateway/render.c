#include "gateway/render.h"
#include "core/clock.h"
#include "core/mem.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *units(enum lang lang, char buf[64])
{
	return lang == LANG_RU ? clock_russian(buf, 64) : buf;
}

static const char *span(int64_t ms, enum lang lang, char buf[64])
{
	return units(lang, clock_duration(ms > 0 ? ms : 0, buf, 64));
}

/* "2026-01-31 12:00 UTC" */
static const char *moment(int64_t ms, char buf[64])
{
	time_t s = (time_t)(ms / 1000);
	struct tm tm;
	gmtime_r(&s, &tm);
	strftime(buf, 64, "%Y-%m-%d %H:%M UTC", &tm);
	return buf;
}

void tell_help(const cJSON *result, enum lang lang, struct str *out)
{
	(void)result;
	str_add(out, T("**What you can ask**\n", "**Что можно спросить**\n"));
	for (const struct command *c = commands; c->name; c++)
		str_addf(out, "\n- `%s` — %s", c->usage, T(c->description, c->description_ru));
	str_add(out, T("\n\nExample: `create project web-service shop`",
	               "\n\nПример: `создай проект web-service shop`"));
}

static void tell_endpoints(const cJSON *session, struct str *out)
{
	const cJSON *e;
	cJSON_ArrayForEach(e, json_at(session, "endpoints"))
	        str_addf(out, "\n- %s %s: `%s`", json_text_or(e, "service", "?"), json_text_or(e, "name", ""),
	                 json_text_or(e, "url", "?"));
}

static void tell_session_line(const cJSON *s, const char *bullet, enum lang lang, struct str *out)
{
	char buf[64];
	str_addf(out, "%s**%s** %s", bullet, json_text_or(s, "name", "?"), json_text_or(s, "state", "?"));
	if (json_bool(s, "pinned", false))
		str_add(out, T(", pinned", ", закреплена"));
	else if (json_int(s, "expires_at", 0) > clock_now_ms())
		str_addf(out, T(", %s left", ", осталось %s"),
		         units(lang, clock_left(json_int(s, "expires_at", 0) - clock_now_ms(), buf, 64)));
	if (json_text(s, "owner"))
		str_addf(out, " (%s)", json_text(s, "owner"));
}

static void tell_usage(const cJSON *system, const char *key, const char *title, struct str *out)
{
	const cJSON *u = json_at(system, key);
	const double gib = 1024.0 * 1024 * 1024;
	if (u)
		str_addf(out, "\n- %s: %lld %% (%.1f / %.1f GiB)", title,
		         (long long)json_int(u, "percent", 0), (double)json_int(u, "used_bytes", 0) / gib,
		         (double)json_int(u, "total_bytes", 0) / gib);
}

void tell_status(const cJSON *result, enum lang lang, struct str *out)
{
	char buf[64];
	const cJSON *problem, *run = json_at(result, "last_test_run"),
	                      *sessions = json_at(result, "sessions"), *s;
	bool worker = json_bool(result, "worker.running", false);
	str_add(out, T("**Status**\n", "**Состояние**\n"));
	str_addf(out,
	         T("\n- Gateway: running for %s, connections: %lld",
	           "\n- Шлюз: работает %s, соединений: %lld"),
	         span((json_int(result, "gateway.uptime", 0) + 1) * 1000, lang, buf),
	         (long long)json_int(result, "gateway.connections", 0));
	str_addf(out, "\n- %s",
	         worker ? T("Worker: running", "Исполнитель: работает")
	                : T("Worker: **not running** — start it with `make up`",
	                    "Исполнитель: **не работает** — запустите `make up`"));
	str_addf(out, T("\n- Jobs: %lld running, %lld waiting", "\n- Задания: выполняется %lld, ждёт %lld"),
	         (long long)json_int(result, "jobs.running", 0),
	         (long long)json_int(result, "jobs.queued", 0));
	str_addf(out, T("\n- Projects: %d", "\n- Проекты: %d"),
	         cJSON_GetArraySize(json_at(result, "projects")));
	if (run)
		str_addf(out,
		         T("\n- Last test run: %lld of %lld passed",
		           "\n- Последний прогон тестов: успешно %lld из %lld"),
		         (long long)json_int(run, "passed", 0), (long long)json_int(run, "total", 0));
	tell_usage(json_at(result, "system"), "memory_usage", T("Memory", "Память"), out);
	tell_usage(json_at(result, "system"), "disk_usage", T("Disk", "Диск"), out);
	str_addf(out, T("\n- Sessions: %d", "\n- Сессии: %d"), cJSON_GetArraySize(sessions));
	cJSON_ArrayForEach(s, sessions) tell_session_line(s, "\n  - ", lang, out);
	cJSON_ArrayForEach(problem, json_at(result, "problems"))
	        str_addf(out, T("\n- Problem: %s", "\n- Неполадка: %s"), problem->valuestring);
}

void tell_project_created(const cJSON *result, enum lang lang, struct str *out)
{
	const char *path = json_text_or(result, "project_path", "?");
	const cJSON *file;
	str_addf(out, T("Project **%s** (%s) is ready in `%s`.\n", "Проект **%s** (%s) готов: `%s`.\n"),
	         json_text_or(result, "project_name", "?"), json_text_or(result, "archetype", "?"), path);
	cJSON_ArrayForEach(file, json_at(result, "files_created"))
	        str_addf(out, "\n- `%s`", cJSON_IsString(file) ? file->valuestring : "?");
	if (json_text(result, "framework"))
		str_addf(out,
		         T("\n\nThe template uses Python's standard library; `%s` was noted, not installed.",
		           "\n\nШаблон использует стандартную библиотеку Python; `%s` записан, но не "
		           "установлен."),
		         json_text(result, "framework"));
	str_addf(out,
	         T("\n\nTry it: `cd %s && python3 -m unittest && python3 app.py`",
	           "\n\nПроверьте: `cd %s && python3 -m unittest && python3 app.py`"),
	         path);
}

void tell_project_list(const cJSON *result, enum lang lang, struct str *out)
{
	const cJSON *p, *list = json_at(result, "projects");
	if (cJSON_GetArraySize(list) == 0) {
		str_add(out, T("There are no projects yet. Make one: `create project web-service shop`",
		               "Проектов пока нет. Создайте: `создай проект web-service shop`"));
		return;
	}
	str_add(out, T("**Projects**\n", "**Проекты**\n"));
	cJSON_ArrayForEach(p, list) str_addf(out, "\n- **%s** %s `%s`", json_text_or(p, "name", "?"),
	                                     json_text_or(p, "archetype", "?"), json_text_or(p, "path", "?"));
}

void tell_session_started(const cJSON *result, enum lang lang, struct str *out)
{
	char buf[64];
	int64_t ready = json_int(result, "ready_ms", -1), expires = json_int(result, "expires_at", 0);
	str_addf(out, T("Session **%s** is running", "Сессия **%s** работает"),
	         json_text_or(result, "name", "?"));
	if (ready >= 0)
		str_addf(out, T(", ready after %s", ", готова через %s"), span(ready, lang, buf));
	str_add(out, ".\n");
	tell_endpoints(result, out);
	if (expires)
		str_addf(out, T("\n\nIt is removed at %s.", "\n\nБудет удалена: %s."), moment(expires, buf));
}

void tell_session_stopped(const cJSON *result, enum lang lang, struct str *out)
{
	const cJSON *receipt = json_at(result, "receipt");
	const char *name = json_text_or(result, "name", "?");
	if (!receipt) {
		str_addf(out, T("Session **%s** is stopped.", "Сессия **%s** остановлена."), name);
		return;
	}
	str_addf(out, T("Session **%s** is removed. ", "Сессия **%s** удалена. "), name);
	if (json_bool(receipt, "ok", false)) {
		str_add(out, T("Nothing is left behind:", "Ничего не осталось:"));
	} else {
		str_add(out, T("**Something is left**, removal is tried again:",
		               "**Осталось**, удаление повторится:"));
	}
	const char *comma = " ";
	const cJSON *one;
	cJSON_ArrayForEach(one, receipt)
	{
		if (!cJSON_IsNumber(one))
			continue;
		str_addf(out, "%s%lld %s", comma, (long long)json_int(receipt, one->string, 0), one->string);
		comma = ", ";
	}
	str_addc(out, '.');
}

void tell_session_extended(const cJSON *result, enum lang lang, struct str *out)
{
	char buf[64];
	str_addf(out, T("Session **%s** now lives until %s.", "Сессия **%s** теперь живёт до %s."),
	         json_text_or(result, "name", "?"), moment(json_int(result, "expires_at", 0), buf));
}

void tell_session_list(const cJSON *result, enum lang lang, struct str *out)
{
	const cJSON *s, *list = json_at(result, "sessions");
	if (cJSON_GetArraySize(list) == 0) {
		str_add(out, T("There are no sessions. Start one: `start session demo`",
		               "Сессий нет. Запустите: `запусти сессию demo`"));
		return;
	}
	str_add(out, T("**Sessions**\n", "**Сессии**\n"));
	cJSON_ArrayForEach(s, list) tell_session_line(s, "\n- ", lang, out);
}

void tell_session_show(const cJSON *result, enum lang lang, struct str *out)
{
	const cJSON *service;
	str_add(out, T("**Session**\n", "**Сессия**\n"));
	tell_session_line(result, "\n- ", lang, out);
	if (json_text(result, "reason"))
		str_addf(out, T("\n- Reason: %s", "\n- Причина: %s"), json_text(result, "reason"));
	cJSON_ArrayForEach(service, json_at(result, "services")) str_addf(
	        out, "\n- `%s` %s", json_text_or(service, "name", "?"), json_text_or(service, "state", "?"));
	tell_endpoints(result, out);
}

void tell_session_logs(const cJSON *result, enum lang lang, struct str *out)
{
	const cJSON *line, *lines = json_at(result, "lines");
	if (cJSON_GetArraySize(lines) == 0) {
		str_addf(out,
		         T("Session **%s** has written no log yet.",
		           "Сессия **%s** ещё ничего не записала в лог."),
		         json_text_or(result, "name", "?"));
		return;
	}
	str_add(out, "```\n");
	cJSON_ArrayForEach(line, lines) str_addf(out, "%s\n", cJSON_IsString(line) ? line->valuestring : "");
	str_add(out, "```");
}

static void tell_failures(const cJSON *list, struct str *out)
{
	const cJSON *r;
	cJSON_ArrayForEach(r, list)
	{
		const char *status = json_text_or(r, "status", "");
		if (strcmp(status, "passed") != 0)
			str_addf(out, "\n- %s **%s** %s", strcmp(status, "failed") == 0 ? "❌" : "⚠️",
			         json_text_or(r, "name", json_text_or(r, "scenario", "?")),
			         json_text_or(r, "message", status));
	}
}

void tell_test_run(const cJSON *result, enum lang lang, struct str *out)
{
	char buf[64];
	int64_t total = json_int(result, "total", 0), passed = json_int(result, "passed", 0);
	str_addf(out,
	         T("**Tests**\n\nTotal: %lld\nPassed: %lld\nFailed: %lld\nPass Rate: %lld%%",
	           "**Тесты**\n\nВсего: %lld\nУспешно: %lld\nС ошибкой: %lld\nДоля успешных: %lld%%"),
	         (long long)total, (long long)passed, (long long)json_int(result, "failed", total - passed),
	         (long long)json_int(result, "pass_rate", total ? passed * 100 / total : 0));
	if (json_at(result, "duration_ms"))
		str_addf(out, T("\nDuration: %s", "\nВремя: %s"),
		         span(json_int(result, "duration_ms", 0), lang, buf));
	tell_failures(json_at(result, "results"), out);
	tell_failures(json_at(result, "scenarios"), out);
}

static void tell_job_line(const cJSON *job, struct str *out)
{
	str_addf(out, "\n- **%lld** %s %s", (long long)json_int(job, "id", 0), json_text_or(job, "kind", "?"),
	         json_text_or(job, "state", "?"));
	if (json_text(job, "session"))
		str_addf(out, " `%s`", json_text(job, "session"));
	if (json_at(job, "percent") && json_int(job, "percent", 0) < 100)
		str_addf(out, " %lld%%", (long long)json_int(job, "percent", 0));
	if (json_text(job, "error"))
		str_addf(out, ": %s", json_text(job, "error"));
}

void tell_job_list(const cJSON *result, enum lang lang, struct str *out)
{
	const cJSON *job, *list = json_at(result, "jobs");
	str_add(out, cJSON_GetArraySize(list) ? T("**Jobs**\n", "**Задания**\n")
	                                      : T("There are no jobs yet.", "Заданий пока нет."));
	cJSON_ArrayForEach(job, list) tell_job_line(job, out);
}

void tell_job_show(const cJSON *result, enum lang lang, struct str *out)
{
	str_add(out, T("**Job**\n", "**Задание**\n"));
	tell_job_line(result, out);
}

void tell_job_cancelled(const cJSON *result, enum lang lang, struct str *out)
{
	str_addf(out, T("Job %lld was asked to end.", "Заданию %lld передана просьба завершиться."),
	         (long long)json_int(result, "job", 0));
}
