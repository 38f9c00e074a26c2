#include "cli/complete.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/plane.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/str.h"
#include "sessions/session.h"
#include "testsuite/builtin.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOBS_SHOWN 20

static struct {
	const struct config *cfg;
	const char *word; /* so far */
} asked;

bool complete_wanted(void)
{
	return asked.word != NULL;
}

void complete_offer(const char *word, const char *about)
{
	if (!strncmp(word, asked.word, strlen(asked.word)))
		printf("%s\t%s\n", word, about ? about : "");
}

void complete_files(void)
{
	printf(":files\t\n");
}

/* -- what a word of the usage stands for; ${words} are those before it -- */

/* The state, when there is one already: completion makes nothing. */
static struct state *open_state(void)
{
	struct state *st = NULL;
	struct err ignored = {0};
	cleanup_free char *dir = state_dir(asked.cfg), *db = mem_printf("%s/codefoundry.db", dir);
	return path_exists(db) && state_open(&st, asked.cfg, &ignored) == 0 ? st : NULL;
}

static void offer_sessions(const char *suffix)
{
	struct err ignored = {0};
	cleanup_state struct state *st = open_state();
	cleanup_json cJSON *list = st ? session_names(st, &ignored) : NULL;
	const cJSON *s;
	cJSON_ArrayForEach(s, list)
	{
		cleanup_free char *word = mem_printf("%s%s", json_text_or(s, "name", ""), suffix);
		complete_offer(word, json_text(s, "state"));
	}
}

static void offer_names(const char *const *words)
{
	(void)words;
	offer_sessions("");
}

static void offer_places(const char *const *words)
{
	(void)words;
	offer_sessions(":");
	complete_files();
}

static void offer_services(const char *const *words)
{
	struct err ignored = {0};
	cleanup_state struct state *st = open_state();
	cleanup_json cJSON *list = st ? session_names(st, &ignored) : NULL;
	const cJSON *s, *service;
	cJSON_ArrayForEach(s, list)
	{
		if (words[0] && strcmp(json_text_or(s, "name", ""), words[0]) != 0)
			continue;
		cJSON_ArrayForEach(service, json_at(s, "services"))
		        complete_offer(service->valuestring, NULL);
	}
}

static void offer_jobs(const char *const *words)
{
	(void)words;
	struct err ignored = {0};
	cleanup_state struct state *st = open_state();
	cleanup_json cJSON *list = st ? jobs_list(st, NULL, -1, JOBS_SHOWN, &ignored) : NULL;
	const cJSON *job;
	cJSON_ArrayForEach(job, list)
	{
		cleanup_free char *id = mem_printf("%lld", (long long)json_int(job, "id", 0)),
		                  *about = mem_printf("%s, %s", json_text_or(job, "kind", ""),
		                                      json_text_or(job, "state", ""));
		complete_offer(id, about);
	}
}

static void offer_scenarios(const char *const *words)
{
	(void)words;
	const struct builtin *b;
	for (size_t i = 0; (b = builtin_at(i)); i++)
		complete_offer(b->name, NULL);
}

static void offer_parts(const char *const *words)
{
	(void)words;
	cleanup_json cJSON *parts = plane_health_urls(asked.cfg, true);
	const cJSON *part;
	cJSON_ArrayForEach(part, parts) complete_offer(json_text_or(part, "part", ""), NULL);
}

static void offer_files(const char *const *words)
{
	(void)words;
	complete_files();
}

static const struct {
	const char *placeholder; /* as the usage has it */
	void (*offer)(const char *const *words);
} kinds[] = {{"NAME", offer_names},  {"SERVICE", offer_services},   {"S", offer_services},
             {"NUMBER", offer_jobs}, {"SCENARIO", offer_scenarios}, {"PART", offer_parts},
             {"FILE", offer_files},  {"FILE…", offer_files},        {"COMMAND", offer_files}};

/* "healthy|gone|stopped": one of them. */
static void offer_choices(const char *placeholder)
{
	cleanup_free char *copy = mem_strdup(placeholder);
	for (char *rest = copy, *one; (one = strsep(&rest, "|"));)
		complete_offer(one, NULL);
}

static void offer_kind(const char *placeholder, const char *const *words)
{
	if (strchr(placeholder, '|'))
		offer_choices(placeholder);
	else if (!strncmp(placeholder, "NAME:", 5))
		offer_places(words);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!strcmp(kinds[i].placeholder, placeholder))
			kinds[i].offer(words);
}

/* -- the usage: "codefoundry session logs NAME [SERVICE]… [-n LINES] [-f]   e.g. …" -- */

struct usage {
	char *copy, *rest;
};

/* Its next word without brackets and dots; NULL: there is none. */
static char *next_word(struct usage *u)
{
	char *word = u->rest ? strsep(&u->rest, " ") : NULL, *to = word;
	for (const char *p = word; p && *p;) {
		if (!strncmp(p, "…", strlen("…")))
			p += strlen("…");
		else if (*p == '[' || *p == ']')
			p++;
		else
			*to++ = *p++;
	}
	if (to)
		*to = '\0';
	return word;
}

static const struct arg *find_option(const struct args *a, const char *word)
{
	size_t dashes = strspn(word, "-");
	for (const struct arg *o = a->table; dashes && o->name; o++)
		if (!strcmp(o->name, word + dashes))
			return o;
	return NULL;
}

/* "NAME", or "bash|zsh|fish"; the command itself and what is between two ways to call it are none. */
static bool is_placeholder(const char *word)
{
	return isupper((unsigned char)*word) || (strchr(word, '|') && word[1]);
}

/* What the value of ${option} (NULL: the ${index}th word that is no option) is called; "" when it is not said. To free. */
static char *placeholder(const struct args *a, const char *option, int index)
{
	struct usage u = {.copy = mem_strdup(a->usage)};
	char *end = strstr(u.copy, "   "), *found = NULL, *last = NULL, *word;
	if (end)
		*end = '\0';
	for (u.rest = u.copy; !found && (word = next_word(&u));) {
		const struct arg *o = find_option(a, word);
		char *value = o && o->type != ARG_FLAG ? next_word(&u) : NULL;
		if (o && option && !strcmp(o->name, option))
			found = value;
		else if (!o && !option && is_placeholder(word) && index-- == 0)
			found = word;
		last = !o && is_placeholder(word) ? word : last;
	}
	if (!found && !option) /* "SERVICE…": as many as one likes */
		found = last;
	char *result = mem_strdup(found ? found : "");
	free(u.copy);
	return result;
}

static void offer_options(const struct args *a)
{
	for (const struct arg *o = a->table; o->name; o++) {
		cleanup_free char *word = mem_printf("%s%s", o->name[1] ? "--" : "-", o->name);
		complete_offer(word, NULL);
	}
	complete_offer("--help", NULL);
}

/* In place of parsing: argv[0] is the command's name, the last one is completed. */
static void complete_args(const struct args *a, int argc, char **argv)
{
	const char *words[ARGS_POSITIONAL_MAX + 1] = {0};
	const struct arg *pending = NULL;
	int n = 0;
	for (int i = 1; i + 1 < argc; i++) {
		const struct arg *o = find_option(a, argv[i]);
		bool value = pending != NULL;
		pending = !value && o && o->type != ARG_FLAG ? o : NULL;
		if (!value && !o && *argv[i] != '-' && n < ARGS_POSITIONAL_MAX)
			words[n++] = argv[i];
	}
	if (!pending && (*asked.word == '-' || n >= a->most)) {
		offer_options(a);
		return;
	}
	cleanup_free char *kind = placeholder(a, pending ? pending->name : NULL, n);
	offer_kind(kind, words);
}

void complete_begin(const struct config *cfg, const char *word)
{
	asked.cfg = cfg;
	asked.word = word;
	args_instead(complete_args);
}
