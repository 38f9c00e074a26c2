#include "gateway/responder.h"
#include "core/mem.h"
#include "gateway/projects.h"
#include "gateway/reading.h"
#include "gateway/templates.h"
#include <stdlib.h>
#include <string.h>

const char *responder_welcome(enum lang lang)
{
	return T("Welcome to CodeFoundry. Tell me what you need, for example `create project web-service "
	         "shop`, "
	         "`start session demo`, `run the tests on demo`, `show status`. `help` lists everything.",
	         "Добро пожаловать в CodeFoundry. Скажите, что нужно, например `создай проект web-service "
	         "shop`, "
	         "`запусти сессию demo`, `прогони тесты на demo`, `покажи статус`. `помощь` покажет всё.");
}

static cJSON *choices(const char *const *texts)
{
	cJSON *list = json_array();
	for (; *texts; texts++)
		cJSON_AddItemToArray(list, cJSON_CreateString(*texts));
	return list;
}

static cJSON *type_choices(void)
{
	cJSON *list = json_array();
	for (const struct project_template *t = project_templates; t->type; t++)
		cJSON_AddItemToArray(list, cJSON_CreateString(t->type));
	return list;
}

static void ask_project(struct response *out, const char *bad)
{
	enum lang lang = out->lang;
	const char *type = json_text(out->params, "archetype"), *name = json_text(out->params, "name");
	if (strcmp(out->missing, "archetype") == 0) {
		cleanup_free char *which = name ? mem_printf(T("the project %s", "проект %s"), name)
		                                : mem_strdup(T("the project", "проект"));
		out->options = type_choices();
		out->text = mem_printf(
		        T("Which type shall %s have? telegram-bot, web-service, ai-agent or fullstack.",
		          "Какого типа будет %s? telegram-bot, web-service, ai-agent или fullstack."),
		        which);
		return;
	}
	cleanup_free char *one = mem_printf("my-%s", type ? type : "project");
	out->options = choices((const char *const[]){one, "demo", NULL});
	if (bad)
		out->text = mem_printf(
		        T("`%.60s` cannot name a project. Which name shall it have? 1 to 50 of a-z, 0-9 and "
		          "-.",
		          "`%.60s` не подходит как имя. Как назвать проект? От 1 до 50 знаков a-z, 0-9 и -."),
		        bad);
	else
		out->text = mem_strdup(T("Which name shall the project have? 1 to 50 of a-z, 0-9 and -.",
		                         "Как назвать проект? От 1 до 50 знаков a-z, 0-9 и -."));
}

static void ask(struct response *out, const char *missing, const char *bad)
{
	enum lang lang = out->lang;
	out->type = RESPONSE_QUESTION;
	out->missing = missing;
	if (strcmp(out->command->name, "create_project") == 0) {
		ask_project(out, bad);
		return;
	}
	out->options = json_array();
	out->text = mem_strdup(strcmp(missing, "job") == 0
	                               ? T("Which job? Tell me its number; `list jobs` shows them.",
	                                   "Какое задание? Назовите номер; `список заданий` покажет их.")
	                               : T("Which session? `list sessions` shows them.",
	                                   "Какая сессия? `список сессий` покажет их."));
}

/* A command when all it needs is there, else the question for what is missing. A project's name that cannot be one is
 * asked for again with the reason: in a chat that is a slip, not an error. */
static void conclude(struct response *out)
{
	struct err ignored;
	cleanup_free char *bad = NULL;
	out->understood = true;
	out->type = RESPONSE_COMMAND;
	const char *name = json_text(out->params, "name");
	if (name && strcmp(out->command->name, "create_project") == 0 && project_name_check(name, &ignored)) {
		bad = mem_strdup(name);
		cJSON_DeleteItemFromObject(out->params, "name");
	}
	const char *missing = command_missing(out->command, out->params);
	if (bad && json_at(out->params, "archetype"))
		missing = "name";
	if (missing && strcmp(out->command->name, "create_project") == 0 &&
	    !json_at(out->params, "archetype"))
		missing = "archetype"; /* the type first: it suggests names */
	if (missing)
		ask(out, missing, bad);
}

static void say(struct response *out, bool understood, const char *text)
{
	out->type = RESPONSE_TEXT;
	out->understood = understood;
	out->text = mem_strdup(text);
}

static void say_unknown(struct response *out, const struct words *w)
{
	enum lang lang = out->lang;
	const char *nearest = NULL;
	for (size_t i = 0; i < w->n && !nearest; i++)
		nearest = words_nearest(w->at[i]);
	cleanup_free char *hint =
	        nearest ? mem_printf(T("Did you mean `%s`? ", "Возможно, имелось в виду `%s`? "), nearest)
	                : mem_strdup("");
	cleanup_free char *text = mem_printf(T("I did not understand that. %sI can:\n\n"
	                                       "- `create project web-service shop` — make a project "
	                                       "(telegram-bot, web-service, ai-agent, fullstack)\n"
	                                       "- `start session demo` — start an isolated environment; "
	                                       "`list sessions`, `stop session demo`\n"
	                                       "- `run the tests on demo` — run the regression scenarios\n"
	                                       "- `show status`, `list jobs`, `help`",
	                                       "Я не понял. %sЯ умею:\n\n"
	                                       "- `создай проект web-service shop` — создать проект "
	                                       "(telegram-bot, web-service, ai-agent, fullstack)\n"
	                                       "- `запусти сессию demo` — запустить изолированное окружение; "
	                                       "`список сессий`, `останови сессию demo`\n"
	                                       "- `прогони тесты на demo` — выполнить регрессионные тесты\n"
	                                       "- `покажи статус`, `список заданий`, `помощь`"),
	                                     hint);
	say(out, false, text);
}

static void respond(struct response *out, struct reading *r, const struct command *command)
{
	enum lang lang = out->lang;
	if (r->object == OBJECT_GREETING) {
		say(out, true, responder_welcome(lang));
	} else if (r->object == OBJECT_THANKS) {
		say(out, true, T("You are welcome. What next?", "Пожалуйста. Что дальше?"));
	} else if (!command) {
		say_unknown(out, &r->words);
	} else {
		out->command = command;
		out->params = TAKE(r->params);
		conclude(out);
	}
}

void responder_read(const char *text, enum lang lang, struct response *out)
{
	struct reading r;
	const struct command *command = reading_begin(&r, text);
	*out = (struct response){.lang = r.words.cyrillic ? LANG_RU : lang};
	respond(out, &r, command);
	reading_end(&r);
}

/* A number chooses from the options. */
static const char *chosen(const struct response *question, const char *text)
{
	size_t digits = strspn(text, "0123456789");
	if (digits != 1 || text[digits + strspn(text + digits, ". \n")])
		return NULL;
	return cJSON_GetStringValue(cJSON_GetArrayItem(question->options, text[0] - '1'));
}

static void complete(struct response *out, const struct response *question, const char *text)
{
	struct reading r;
	const char *choice = strcmp(question->missing, "job") == 0 ? NULL : chosen(question, text);
	reading_answer(&r, choice ? choice : text, question->command, question->missing, question->params);
	out->command = question->command;
	out->params = TAKE(r.params);
	reading_end(&r);
	conclude(out);
}

/* A single word that can be a name is the name that was asked for, even "test"; only cries for help stay what they are. */
static bool plain_name(const struct words *w, const struct response *question)
{
	struct err ignored;
	enum object o = w->n == 1 ? words_object(w->at[0]) : OBJECT_NONE;
	return w->n == 1 && strcmp(question->missing, "name") == 0 && o != OBJECT_HELP &&
	       o != OBJECT_STATUS && project_name_check(w->at[0], &ignored) == 0;
}

void responder_answer(const char *text, const struct response *question, struct response *out)
{
	struct words w;
	words_split(&w, text);
	enum lang lang = w.cyrillic ? LANG_RU : question->lang;
	bool no = w.n > 0 && w.n <= 2 && words_no(w.at[0]), name = plain_name(&w, question);
	words_free(&w);
	if (no) {
		*out = (struct response){.lang = lang};
		say(out, true, T("Forgotten. What else?", "Забыто. Что ещё?"));
		return;
	}
	if (!name) {
		responder_read(text, lang, out);
		if (out->understood && (out->command != question->command || out->type == RESPONSE_COMMAND))
			return;
		response_free(out);
	}
	*out = (struct response){.lang = lang};
	complete(out, question, text);
}

void response_free(struct response *r)
{
	cJSON_Delete(r->params);
	cJSON_Delete(r->options);
	free(r->text);
	*r = (struct response){0};
}
