#include "gateway/responder.h"
#include "core/mem.h"
#include "gateway/projects.h"
#include "gateway/templates.h"
#include "gateway/words.h"
#include "sessions/session.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define T(en, ru) (lang == LANG_RU ? (ru) : (en))

/* A sentence under interpretation; positions are -1 when there is no such word. */
struct reading {
	struct words words;
	int verb_at, object_at;
	enum verb verb;
	enum object object;
	cJSON *params;
};

/* Takes its parameters out of the sentence; may name another command than its cell's. */
typedef const char *fill_fn(struct reading *r);

static fill_fn fill_project, fill_session, fill_session_or_list, fill_extend, fill_logs, fill_test, fill_job,
        fill_job_or_list;

static const struct intent {
	const char *command;
	fill_fn *fill;
} intents[VERB_COUNT][OBJECT_COUNT] = {
        [VERB_NONE] = {[OBJECT_PROJECT] = {"project_list", NULL},
                       [OBJECT_SESSION] = {"session_show", fill_session_or_list},
                       [OBJECT_TEST] = {"test_run", fill_test},
                       [OBJECT_JOB] = {"job_show", fill_job_or_list},
                       [OBJECT_LOG] = {"session_logs", fill_logs},
                       [OBJECT_STATUS] = {"status", NULL},
                       [OBJECT_HELP] = {"help", NULL}},
        [VERB_SHOW] = {[OBJECT_PROJECT] = {"project_list", NULL},
                       [OBJECT_SESSION] = {"session_show", fill_session_or_list},
                       [OBJECT_JOB] = {"job_show", fill_job_or_list},
                       [OBJECT_LOG] = {"session_logs", fill_logs},
                       [OBJECT_STATUS] = {"status", NULL},
                       [OBJECT_HELP] = {"help", NULL}},
        [VERB_CREATE] = {[OBJECT_PROJECT] = {"create_project", fill_project},
                         [OBJECT_SESSION] = {"session_start", fill_session}},
        [VERB_START] = {[OBJECT_SESSION] = {"session_start", fill_session},
                        [OBJECT_TEST] = {"test_run", fill_test},
                        [OBJECT_STATUS] = {"status", NULL}},
        [VERB_STOP] =
                {[OBJECT_SESSION] = {"session_stop", fill_session}, [OBJECT_JOB] = {"job_cancel", fill_job}},
        [VERB_RESTART] = {[OBJECT_SESSION] = {"session_restart", fill_session}},
        [VERB_EXTEND] = {[OBJECT_NONE] = {"session_extend", fill_extend},
                         [OBJECT_SESSION] = {"session_extend", fill_extend}},
        [VERB_CANCEL] = {[OBJECT_NONE] = {"job_cancel", fill_job}, [OBJECT_JOB] = {"job_cancel", fill_job}},
};

/* -- words that are still free -- */

static const char *use(struct reading *r, size_t i)
{
	r->words.used[i] = true;
	return r->words.at[i];
}

/* The first free word from ${from} on that could be a value, WORDS_MAX when there is none. */
static size_t next_value(const struct reading *r, size_t from)
{
	for (size_t i = from; i < r->words.n; i++) {
		const char *word = r->words.at[i];
		if (!r->words.used[i] && !words_filler(word) && !words_preposition(word) &&
		    !words_naming(word))
			return i;
	}
	return WORDS_MAX;
}

static void set_text(struct reading *r, const char *key, const char *value)
{
	if (value && !json_at(r->params, key))
		json_add_text(r->params, key, value);
}

/* "called X", "с именем X" */
static void take_naming(struct reading *r, const char *key)
{
	for (size_t i = 0; i + 1 < r->words.n; i++)
		if (words_naming(r->words.at[i]) && !r->words.used[i + 1] && !json_at(r->params, key)) {
			r->words.used[i] = true;
			set_text(r, key, use(r, i + 1));
		}
}

/* -- projects -- */

/* "--port=9000", "port 9000", "порт 9000" */
static void take_options(struct reading *r)
{
	cJSON *options = json_object();
	for (size_t i = 0; i < r->words.n; i++) {
		char *word = r->words.at[i], *equals = strchr(word, '=');
		if (strncmp(word, "--", 2) == 0 && equals && equals > word + 2) {
			cleanup_free char *key = mem_strndup(word + 2, (size_t)(equals - word - 2));
			json_add_text(options, key, equals + 1);
			r->words.used[i] = true;
		} else if (words_in("port|порт*", word) && i + 1 < r->words.n &&
		           isdigit((unsigned char)r->words.at[i + 1][0])) {
			r->words.used[i] = true;
			json_add_text(options, "port", use(r, i + 1));
		}
	}
	if (options->child)
		json_add(r->params, "options", options);
	else
		cJSON_Delete(options);
}

/* One word or two ("web service") that name a type. */
static void take_type(struct reading *r)
{
	for (size_t i = 0; i < r->words.n && !json_at(r->params, "archetype"); i++) {
		char two[96] = "";
		if (r->words.used[i])
			continue;
		if (i + 1 < r->words.n && !r->words.used[i + 1])
			snprintf(two, sizeof(two), "%s-%s", r->words.at[i], r->words.at[i + 1]);
		const struct project_template *pair = template_find(two),
		                              *one = template_find(r->words.at[i]);
		if (pair)
			use(r, i + 1);
		if (pair || one) {
			use(r, i);
			set_text(r, "archetype", pair ? pair->type : one->type);
		}
	}
}

static const char *fill_project(struct reading *r)
{
	take_options(r);
	take_naming(r, "name");
	take_type(r);
	for (size_t i = 0; i + 1 < r->words.n; i++) /* "make me a new …" */
		r->words.used[i] |= words_in("new|нов*", r->words.at[i]);
	size_t i = next_value(r, 0);
	if (i < WORDS_MAX && !json_at(r->params, "name"))
		set_text(r, "name", use(r, i));
	return NULL;
}

/* -- sessions -- */

static bool names_session(const char *word)
{
	struct err ignored;
	return session_name_check(word, &ignored) == 0;
}

/* The name stands behind the word "session", else before it ("the demo session"), else anywhere. */
static const char *fill_session(struct reading *r)
{
	take_naming(r, "name");
	size_t at = r->object_at < 0 ? 0 : (size_t)r->object_at, i = next_value(r, at);
	if (i == WORDS_MAX)
		i = next_value(r, 0);
	if (i < WORDS_MAX && !json_at(r->params, "name")) {
		set_text(r, "name", use(r, i));
		i = next_value(r, i + 1);
		if (i < WORDS_MAX && r->verb == VERB_RESTART)
			set_text(r, "service", use(r, i));
	}
	return NULL;
}

/* "show session demo" is one, "show sessions", "which sessions are running" are all: only a name right behind counts. */
static const char *fill_session_or_list(struct reading *r)
{
	size_t next = (size_t)r->object_at + 1;
	while (next < r->words.n && words_naming(r->words.at[next]))
		next++;
	if (words_in("sessions|environments", r->words.at[r->object_at]) || next >= r->words.n ||
	    !names_session(r->words.at[next]) || words_filler(r->words.at[next]))
		return "session_list";
	set_text(r, "name", use(r, next));
	return NULL;
}

/* "2 hours", "90m"; an hour when nothing is said. */
static const char *fill_extend(struct reading *r)
{
	double minutes = 60;
	for (size_t i = 0; i < r->words.n; i++) {
		char *unit;
		double amount = strtod(r->words.at[i], &unit);
		bool apart = !*unit && i + 1 < r->words.n;
		int factor = words_unit_minutes(apart ? r->words.at[i + 1] : unit);
		if (!isdigit((unsigned char)r->words.at[i][0]) || !factor)
			continue;
		use(r, i);
		if (apart)
			use(r, i + 1);
		minutes = amount * factor;
	}
	if (!json_at(r->params, "minutes"))
		json_add_int(r->params, "minutes",
		             minutes < 1e9 ? (int64_t)(minutes + 0.5) : INT64_C(1000000000));
	for (size_t i = 0; i < r->words.n; i++) /* "for an hour", "на час" */
		r->words.used[i] |= words_unit_minutes(r->words.at[i]) > 0;
	return fill_session(r);
}

static const char *fill_logs(struct reading *r)
{
	for (size_t i = 0; i < r->words.n; i++)
		r->words.used[i] |= words_object(r->words.at[i]) == OBJECT_SESSION;
	size_t i = next_value(r, 0);
	if (i == WORDS_MAX)
		return NULL;
	set_text(r, "name", use(r, i));
	i = next_value(r, i + 1);
	if (i < WORDS_MAX)
		set_text(r, "service", use(r, i));
	return NULL;
}

/* -- tests -- */

/* "… on demo", "… на сессии demo" */
static void take_test_session(struct reading *r)
{
	for (size_t i = 0; i + 1 < r->words.n; i++) {
		size_t value = i + 1;
		if (!words_in("on|in|against|for|на|в|для", r->words.at[i]))
			continue;
		while (value < r->words.n && (words_object(r->words.at[value]) == OBJECT_SESSION ||
		                              words_filler(r->words.at[value])))
			use(r, value++);
		if (value < r->words.n && !r->words.used[value])
			set_text(r, "session", use(r, value));
	}
}

/* Words left over are scenarios; of two the second is the session ("test all demo"), and a single one that is no scenario
 * of ours is the session, unless it was called a scenario. */
static const char *fill_test(struct reading *r)
{
	static const char ours[] = "start|new|status|help|webhook|reconnect|auth|session|error";
	cleanup_json cJSON *scenarios = json_array();
	size_t left[WORDS_MAX], n = 0;
	bool all = false;
	take_test_session(r);
	for (size_t i = 0; i < r->words.n; i++)
		all |= words_in("all|every|everything|все|всё", r->words.at[i]);
	for (size_t i = next_value(r, 0); i < WORDS_MAX; i = next_value(r, i + 1))
		left[n++] = i;
	bool called = words_in("scenario|scenarios|сценари*", r->words.at[r->object_at]);
	bool has_session = json_at(r->params, "session") != NULL;
	for (size_t k = 0; k < n; k++) {
		const char *word = use(r, left[k]);
		bool last = k + 1 == n;
		if (!has_session && last && (all || n == 2 || (!called && !words_in(ours, word))))
			set_text(r, "session", word);
		else
			cJSON_AddItemToArray(scenarios, cJSON_CreateString(word));
	}
	if (cJSON_GetArraySize(scenarios))
		json_add(r->params, "scenarios", TAKE(scenarios));
	return NULL;
}

/* -- jobs -- */

static const char *fill_job(struct reading *r)
{
	for (size_t i = 0; i < r->words.n; i++) {
		const char *word = r->words.at[i] + (r->words.at[i][0] == '#');
		size_t digits = strspn(word, "0123456789");
		if (digits && digits <= 15 && !word[digits] && !json_at(r->params, "job"))
			json_add_int(r->params, "job", strtoll(word, NULL, 10));
	}
	return NULL;
}

static const char *fill_job_or_list(struct reading *r)
{
	fill_job(r);
	return json_at(r->params, "job") ? NULL : "job_list";
}

/* -- answers -- */

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

/* Find verb and object. The first of each counts; help, greetings and thanks only when nothing else is meant, and a type
 * of project is an object for "create". */
static void analyse(struct reading *r)
{
	enum object polite = OBJECT_NONE;
	r->verb_at = r->object_at = -1;
	for (size_t i = 0; i < r->words.n; i++) {
		enum verb v = words_verb(r->words.at[i]);
		enum object o = words_object(r->words.at[i]);
		if (v && !r->verb) {
			r->verb = v;
			r->verb_at = (int)i;
		} else if (o >= OBJECT_HELP) {
			polite = polite ? polite : o;
		} else if (o && !r->object) {
			r->object = o;
			r->object_at = (int)i;
		}
	}
	for (size_t i = 0; i < r->words.n && r->verb == VERB_CREATE && !r->object; i++)
		if (template_find(r->words.at[i]) ||
		    (i + 1 < r->words.n && words_in("web|ai|full|телеграм|веб|ии", r->words.at[i])))
			r->object = OBJECT_PROJECT;
	/* Without a verb the thing must come first: "test demo" is a wish, "this is only a test" is not. */
	for (int i = 0; i < r->object_at && !r->verb && r->object && r->object != OBJECT_STATUS; i++)
		if (!words_filler(r->words.at[i]))
			r->object = OBJECT_NONE;
	bool bare_verb = r->words.n == 1;
	if (!r->object && polite && (!r->verb || polite == OBJECT_HELP))
		r->object = polite;
	if (!r->object && bare_verb && r->verb == VERB_START)
		r->object = OBJECT_GREETING; /* "/start" */
	if (r->verb_at >= 0)
		r->words.used[r->verb_at] = true;
	if (r->object_at >= 0)
		r->words.used[r->object_at] = true;
}

static void respond(struct reading *r, struct response *out)
{
	enum lang lang = out->lang;
	const struct intent *intent = &intents[r->verb][r->object];
	if (r->object == OBJECT_GREETING) {
		say(out, true, responder_welcome(lang));
		return;
	}
	if (r->object == OBJECT_THANKS) {
		say(out, true, T("You are welcome. What next?", "Пожалуйста. Что дальше?"));
		return;
	}
	if (r->object == OBJECT_HELP)
		intent = &intents[VERB_NONE][OBJECT_HELP];
	if (!intent->command) {
		say_unknown(out, &r->words);
		return;
	}
	const char *other = intent->fill ? intent->fill(r) : NULL;
	out->command = command_find(other ? other : intent->command);
	out->params = TAKE(r->params);
	conclude(out);
}

void responder_read(const char *text, enum lang lang, struct response *out)
{
	struct reading r = {.params = json_object()};
	words_split(&r.words, text);
	*out = (struct response){.lang = r.words.cyrillic ? LANG_RU : lang};
	analyse(&r);
	respond(&r, out);
	cJSON_Delete(r.params);
	words_free(&r.words);
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
	struct reading r = {.params = cJSON_Duplicate(question->params, 1), .verb_at = -1, .object_at = -1};
	const char *choice = strcmp(question->missing, "job") == 0 ? NULL : chosen(question, text);
	words_split(&r.words, choice ? choice : text);
	bool project = strcmp(question->command->name, "create_project") == 0;
	for (size_t i = 0; i < r.words.n && project; i++)
		r.words.used[i] = words_verb(r.words.at[i]) == VERB_CREATE ||
		                  words_object(r.words.at[i]) == OBJECT_PROJECT;
	if (project)
		fill_project(&r);
	else if (strcmp(question->missing, "job") == 0)
		fill_job(&r);
	else
		fill_session(&r);
	out->command = question->command;
	out->params = r.params;
	words_free(&r.words);
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
