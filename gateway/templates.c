#include "gateway/templates.h"
#include "core/embed.h"
#include "core/mem.h"
#include "gateway/words.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

EMBED(tpl_gitignore, "gateway/templates/common/gitignore");
EMBED(tpl_dockerignore, "gateway/templates/common/dockerignore");
EMBED(tpl_dockerfile, "gateway/templates/common/Dockerfile");
EMBED(tpl_bot_app, "gateway/templates/telegram-bot/app.py");
EMBED(tpl_bot_test, "gateway/templates/telegram-bot/test_app.py");
EMBED(tpl_bot_env, "gateway/templates/telegram-bot/env.example");
EMBED(tpl_bot_readme, "gateway/templates/telegram-bot/README.md");
EMBED(tpl_bot_compose, "gateway/templates/telegram-bot/docker-compose.yml");
EMBED(tpl_web_app, "gateway/templates/web-service/app.py");
EMBED(tpl_web_test, "gateway/templates/web-service/test_app.py");
EMBED(tpl_web_env, "gateway/templates/web-service/env.example");
EMBED(tpl_web_readme, "gateway/templates/web-service/README.md");
EMBED(tpl_web_compose, "gateway/templates/web-service/docker-compose.yml");
EMBED(tpl_agent_app, "gateway/templates/ai-agent/app.py");
EMBED(tpl_agent_agent, "gateway/templates/ai-agent/agent.py");
EMBED(tpl_agent_test, "gateway/templates/ai-agent/test_app.py");
EMBED(tpl_agent_env, "gateway/templates/ai-agent/env.example");
EMBED(tpl_agent_readme, "gateway/templates/ai-agent/README.md");
EMBED(tpl_agent_compose, "gateway/templates/ai-agent/docker-compose.yml");
EMBED(tpl_full_app, "gateway/templates/fullstack/app.py");
EMBED(tpl_full_store, "gateway/templates/fullstack/store.py");
EMBED(tpl_full_page, "gateway/templates/fullstack/index.html");
EMBED(tpl_full_test, "gateway/templates/fullstack/test_app.py");
EMBED(tpl_full_env, "gateway/templates/fullstack/env.example");
EMBED(tpl_full_readme, "gateway/templates/fullstack/README.md");
EMBED(tpl_full_compose, "gateway/templates/fullstack/docker-compose.yml");

#define FILE_OF(path, name)                                                                                  \
	{                                                                                                    \
		path, name, name##_end                                                                       \
	}
#define COMMON_FILES                                                                                         \
	FILE_OF(".gitignore", tpl_gitignore), FILE_OF(".dockerignore", tpl_dockerignore),                    \
	        FILE_OF("Dockerfile", tpl_dockerfile)

const struct project_template project_templates[] = {
        {"telegram-bot",
         "Telegram bot",
         "телеграм-бот",
         "8081",
         "bot|telegrambot|telegram|tg-bot|бот|телеграм-бот|телеграмбот",
         {FILE_OF("app.py", tpl_bot_app), FILE_OF("test_app.py", tpl_bot_test),
          FILE_OF(".env.example", tpl_bot_env), FILE_OF("README.md", tpl_bot_readme),
          FILE_OF("docker-compose.yml", tpl_bot_compose), COMMON_FILES}},
        {"web-service",
         "JSON web service",
         "веб-сервис",
         "8080",
         "webservice|web|api|rest-api|service|сервис|веб-сервис|вебсервис|апи",
         {FILE_OF("app.py", tpl_web_app), FILE_OF("test_app.py", tpl_web_test),
          FILE_OF(".env.example", tpl_web_env), FILE_OF("README.md", tpl_web_readme),
          FILE_OF("docker-compose.yml", tpl_web_compose), COMMON_FILES}},
        {"ai-agent",
         "AI agent with tools",
         "ИИ-агент",
         "8082",
         "agent|aiagent|ai|агент|ии-агент",
         {FILE_OF("app.py", tpl_agent_app), FILE_OF("agent.py", tpl_agent_agent),
          FILE_OF("test_app.py", tpl_agent_test), FILE_OF(".env.example", tpl_agent_env),
          FILE_OF("README.md", tpl_agent_readme), FILE_OF("docker-compose.yml", tpl_agent_compose),
          COMMON_FILES}},
        {"fullstack",
         "page, API and database",
         "сайт с базой данных",
         "8083",
         "full-stack|webapp|web-app|website|site|сайт|фуллстек|фулстек|веб-приложение",
         {FILE_OF("app.py", tpl_full_app), FILE_OF("store.py", tpl_full_store),
          FILE_OF("static/index.html", tpl_full_page), FILE_OF("test_app.py", tpl_full_test),
          FILE_OF(".env.example", tpl_full_env), FILE_OF("README.md", tpl_full_readme),
          FILE_OF("docker-compose.yml", tpl_full_compose), COMMON_FILES}},
        {.type = NULL},
};

static int check_port(const char *value)
{
	char *end;
	long port = strtol(value, &end, 10);
	return isdigit((unsigned char)*value) && !*end && port >= 1024 && port <= 65535 ? 0 : -1;
}

static int check_python(const char *value)
{
	return strncmp(value, "3.", 2) == 0 && strlen(value) <= 4 && value[2] &&
	                       strspn(value + 2, "0123456789") == strlen(value + 2)
	               ? 0
	               : -1;
}

/* The default of `port` is the template's. */
static const struct template_option options[] = {
        {"port", NULL, "port it listens on", check_port, "a number from 1024 to 65535"},
        {"python", "3.12", "Python of its image", check_python, "a version such as 3.12"},
};

const struct project_template *template_find(const char *type)
{
	char word[64];
	if (!type || strlen(type) >= sizeof(word))
		return NULL;
	size_t n = 0;
	for (; type[n]; n++)
		word[n] = type[n] == '_' || type[n] == ' ' ? '-' : (char)tolower((unsigned char)type[n]);
	word[n] = '\0';
	for (const struct project_template *t = project_templates; n && t->type; t++)
		if (strcmp(t->type, word) == 0 || words_in(t->aliases, word))
			return t;
	return NULL;
}

const char *template_types(void)
{
	return "telegram-bot, web-service, ai-agent, fullstack";
}

static const struct template_option *option_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (strcmp(options[i].name, name) == 0)
			return &options[i];
	return NULL;
}

cJSON *template_options(const struct project_template *t, const cJSON *given, struct err *err)
{
	cleanup_json cJSON *values = json_object();
	const cJSON *item;
	cJSON_ArrayForEach(item, given)
	{
		const struct template_option *option = option_find(item->string);
		cleanup_free char *printed =
		        cJSON_IsString(item) ? mem_strdup(item->valuestring) : json_print(item);
		if (!option) {
			err_set(err, ERR_INVALID, "There is no option `%.40s`: use --port=N or --python=3.N.",
			        item->string);
			return NULL;
		}
		if (option->check(printed) || json_at(values, option->name)) {
			err_set(err, ERR_INVALID,
			        "The option %s=%.40s does not work: it must be %s, given once.", option->name,
			        printed, option->allowed);
			return NULL;
		}
		json_add_text(values, option->name, printed);
	}
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (!json_at(values, options[i].name))
			json_add_text(values, options[i].name, options[i].def ? options[i].def : t->port);
	return TAKE(values);
}

void template_render(const struct template_file *file, const cJSON *values, struct str *out)
{
	const char *p = file->text, *open;
	while ((open = strstr(p, "{{"))) {
		const char *close = strstr(open, "}}");
		char key[32] = "";
		if (close && (size_t)(close - open - 2) < sizeof(key))
			memcpy(key, open + 2, (size_t)(close - open - 2));
		const char *value = *key ? json_text(values, key) : NULL;
		str_addn(out, p, (size_t)(open - p));
		str_add(out, value ? value : "{{");
		p = value ? close + 2 : open + 2;
	}
	str_add(out, p);
}
