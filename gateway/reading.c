#include "gateway/reading.h"
#include "core/mem.h"
#include "gateway/templates.h"
#include "sessions/session.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
                       [OBJECT_TEST] = {"status", NULL},
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

/* -- the whole sentence -- */

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

const struct command *reading_begin(struct reading *r, const char *text)
{
	*r = (struct reading){.params = json_object()};
	words_split(&r->words, text);
	analyse(r);
	const struct intent *intent = &intents[r->object == OBJECT_HELP ? VERB_NONE : r->verb][r->object];
	if (!intent->command)
		return NULL;
	const char *other = intent->fill ? intent->fill(r) : NULL;
	return command_find(other ? other : intent->command);
}

void reading_answer(struct reading *r, const char *text, const struct command *command, const char *missing,
                    const cJSON *params)
{
	*r = (struct reading){.params = cJSON_Duplicate(params, 1), .verb_at = -1, .object_at = -1};
	words_split(&r->words, text);
	bool project = strcmp(command->name, "create_project") == 0;
	for (size_t i = 0; i < r->words.n && project; i++)
		r->words.used[i] = words_verb(r->words.at[i]) == VERB_CREATE ||
		                   words_object(r->words.at[i]) == OBJECT_PROJECT;
	if (project)
		fill_project(r);
	else if (strcmp(missing, "job") == 0)
		fill_job(r);
	else
		fill_session(r);
}

void reading_end(struct reading *r)
{
	cJSON_Delete(r->params);
	words_free(&r->words);
}
