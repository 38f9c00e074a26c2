#include "gateway/commands.h"
#include "core/mem.h"
#include "core/text.h"
#include "gateway/projects.h"
#include "gateway/queries.h"
#include "gateway/render.h"
#include "gateway/templates.h"
#include "sessions/session.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 200
#define TEXTS_MAX 50

#define NAME_OF_SESSION                                                                                      \
	{                                                                                                    \
		"name", PARAM_SESSION, true, 0, 0                                                            \
	}

const struct command commands[] = {
        {"create_project",
         "Make a working project of a type",
         "Создать работающий проект",
         "create project <type> <name> [--port=N]",
         "create project web-service shop",
         ROLE_OPERATOR,
         {{"name", PARAM_PROJECT, true, 0, 0},
          {"archetype", PARAM_TYPE, true, 0, 0},
          {"framework", PARAM_TEXT, false, 0, 0},
          {"options", PARAM_OBJECT, false, 0, 0}},
         "project.create",
         NULL,
         tell_project_created},
        {"project_list",
         "List the projects",
         "Показать проекты",
         "list projects",
         "list projects",
         ROLE_VIEWER,
         {{0}},
         NULL,
         query_project_list,
         tell_project_list},
        {"status",
         "Show gateway, worker, sessions, tests and disk",
         "Показать состояние системы",
         "status",
         "status",
         ROLE_VIEWER,
         {{0}},
         NULL,
         query_status,
         tell_status},
        {"help",
         "List what can be asked",
         "Показать, что можно спросить",
         "help",
         "help",
         ROLE_VIEWER,
         {{0}},
         NULL,
         query_help,
         tell_help},
        {"session_start",
         "Start an isolated test environment",
         "Запустить изолированное окружение",
         "start session [name]",
         "start session demo",
         ROLE_OPERATOR,
         {{"name", PARAM_SESSION, false, 0, 0}, {"services", PARAM_TEXTS, false, 0, 0}},
         "session.start",
         NULL,
         tell_session_started},
        {"session_stop",
         "Stop and remove a session",
         "Остановить и удалить сессию",
         "stop session <name>",
         "stop session demo",
         ROLE_OPERATOR,
         {NAME_OF_SESSION, {"keep", PARAM_BOOL, false, 0, 0}},
         "session.stop",
         NULL,
         tell_session_stopped},
        {"session_restart",
         "Restart a session or one of its services",
         "Перезапустить сессию или её службу",
         "restart session <name> [service]",
         "restart session demo gateway",
         ROLE_OPERATOR,
         {NAME_OF_SESSION, {"service", PARAM_TEXT, false, 0, 0}},
         "session.restart",
         NULL,
         tell_session_started},
        {"session_extend",
         "Let a session live longer",
         "Продлить сессию",
         "extend session <name> by <N> hours|minutes",
         "extend session demo by 2 hours",
         ROLE_OPERATOR,
         {NAME_OF_SESSION, {"minutes", PARAM_INT, true, 1, 60 * 24 * 30}},
         "session.extend",
         NULL,
         tell_session_extended},
        {"session_list",
         "List the sessions",
         "Показать сессии",
         "list sessions",
         "list sessions",
         ROLE_VIEWER,
         {{"all", PARAM_BOOL, false, 0, 0}},
         NULL,
         query_session_list,
         tell_session_list},
        {"session_show",
         "Show one session",
         "Показать одну сессию",
         "show session <name>",
         "show session demo",
         ROLE_VIEWER,
         {NAME_OF_SESSION},
         NULL,
         query_session_show,
         tell_session_show},
        {"session_logs",
         "Show the last log lines of a session",
         "Показать последние строки логов сессии",
         "logs of <session> [service]",
         "logs of demo gateway",
         ROLE_VIEWER,
         {NAME_OF_SESSION, {"service", PARAM_TEXT, false, 0, 0}, {"lines", PARAM_INT, false, 1, 500}},
         NULL,
         query_session_logs,
         tell_session_logs},
        {"test_run",
         "Run the regression scenarios",
         "Выполнить регрессионные тесты",
         "run tests [scenario] [on <session>]",
         "run the tests on demo",
         ROLE_OPERATOR,
         {{"session", PARAM_SESSION, false, 0, 0}, {"scenarios", PARAM_TEXTS, false, 0, 0}},
         "test.run",
         NULL,
         tell_test_run},
        {"job_list",
         "List the newest jobs",
         "Показать последние задания",
         "list jobs",
         "list jobs",
         ROLE_VIEWER,
         {{"limit", PARAM_INT, false, 1, 100}},
         NULL,
         query_job_list,
         tell_job_list},
        {"job_show",
         "Show one job",
         "Показать одно задание",
         "show job <number>",
         "show job 12",
         ROLE_VIEWER,
         {{"job", PARAM_INT, true, 1, INT64_C(1) << 52}},
         NULL,
         query_job_show,
         tell_job_show},
        {"job_cancel",
         "Cancel a job",
         "Отменить задание",
         "cancel job <number>",
         "cancel job 12",
         ROLE_OPERATOR,
         {{"job", PARAM_INT, true, 1, INT64_C(1) << 52}},
         NULL,
         query_job_cancel,
         tell_job_cancelled},
        {.name = NULL},
};

const struct command *command_find(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

int command_unknown(const char *name, struct fault *fault)
{
	const char *names[ARRAY_LEN(commands)];
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		names[i] = commands[i].name;
	const char *nearest = text_nearest(name, names);
	if (nearest)
		return fault_set(fault, FAULT_UNKNOWN_COMMAND,
		                 "There is no command `%.40s`. Did you mean `%s`? `help` lists them all.",
		                 name, nearest);
	return fault_set(fault, FAULT_UNKNOWN_COMMAND,
	                 "There is no command `%.40s`: `help` lists those there are.", name);
}

const char *command_missing(const struct command *c, const cJSON *params)
{
	for (const struct command_param *p = c->params; p->name; p++) {
		const cJSON *value = json_at(params, p->name);
		if (p->required && (!value || cJSON_IsNull(value)))
			return p->name;
	}
	return NULL;
}

static bool texts_ok(const cJSON *value)
{
	const cJSON *item;
	if (cJSON_IsString(value))
		return strlen(value->valuestring) <= TEXT_MAX;
	if (!cJSON_IsArray(value) || cJSON_GetArraySize(value) > TEXTS_MAX)
		return false;
	cJSON_ArrayForEach(item, value) if (!cJSON_IsString(item) ||
	                                    strlen(item->valuestring) > TEXT_MAX) return false;
	return true;
}

static bool is_whole(const cJSON *value)
{
	return cJSON_IsNumber(value) && value->valuedouble <= floor(value->valuedouble);
}

/* Why ${value} cannot be ${p}, as the end of a sentence; NULL when it can. ${buf} may be used for it. */
static const char *refuse(const struct command_param *p, const cJSON *value, char *buf, size_t size)
{
	struct err err;
	const char *text = cJSON_IsString(value) ? value->valuestring : NULL;
	switch (p->type) {
	case PARAM_TEXT:
		return text && strlen(text) <= TEXT_MAX ? NULL : "must be a text of at most 200 bytes";
	case PARAM_INT:
		snprintf(buf, size, "must be a whole number from %lld to %lld", (long long)p->min,
		         (long long)p->max);
		return is_whole(value) && value->valuedouble >= (double)p->min &&
		                       value->valuedouble <= (double)p->max
		               ? NULL
		               : buf;
	case PARAM_BOOL:
		return cJSON_IsBool(value) ? NULL : "must be true or false";
	case PARAM_TEXTS:
		return texts_ok(value) ? NULL : "must be a list of at most 50 texts";
	case PARAM_OBJECT:
		return cJSON_IsObject(value) ? NULL : "must be an object, such as {\"port\": 8080}";
	case PARAM_PROJECT:
		return text && !project_name_check(text, &err)
		               ? NULL
		               : "must be 1 to 50 of a-z, 0-9 and -, such as my-shop";
	case PARAM_SESSION:
		return text && !session_name_check(text, &err)
		               ? NULL
		               : "must be 1 to 30 of a-z, 0-9 and -, starting with a letter or digit";
	case PARAM_TYPE:
		snprintf(buf, size, "must be one of %s", template_types());
		return template_find(text) ? NULL : buf;
	}
	return "is not understood";
}

/* The value as the job wants it: types by their own name, lists as lists. */
static cJSON *normal(const struct command_param *p, const cJSON *value)
{
	if (p->type == PARAM_TYPE)
		return cJSON_CreateString(template_find(value->valuestring)->type);
	if (p->type != PARAM_TEXTS || cJSON_IsArray(value))
		return cJSON_Duplicate(value, 1);
	cJSON *list = json_array();
	cJSON_AddItemToArray(list, cJSON_Duplicate(value, 1));
	return list;
}

int command_args(const struct command *c, const cJSON *params, cJSON **out, struct fault *fault)
{
	char buf[160];
	cleanup_json cJSON *args = json_object();
	const char *missing = command_missing(c, params);
	if (missing)
		return fault_set(fault, FAULT_INVALID_PARAMS, "`%s` needs `%s`. Usage: %s. Example: %s",
		                 c->name, missing, c->usage, c->example);
	for (const struct command_param *p = c->params; p->name; p++) {
		const cJSON *value = json_at(params, p->name);
		if (!value || cJSON_IsNull(value))
			continue;
		const char *why = refuse(p, value, buf, sizeof(buf));
		cleanup_free char *shown = json_print(value);
		if (why)
			return fault_set(fault, FAULT_INVALID_PARAMS, "`%s` %.60s cannot be used: it %s.",
			                 p->name, shown, why);
		json_add(args, p->name, normal(p, value));
	}
	struct err err;
	if (c->kind == project_create_kind.name && project_args_check(args, &err))
		return fault_of(fault, &err, true);
	*out = TAKE(args);
	return 0;
}
