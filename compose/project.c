/* From compose files to a frozen project: what the tool is asked, and when it need not be asked again. */
#include "compose/project.h"
#include "compose/project_cache.h"
#include "compose/project_private.h"
#include "core/dotenv.h"
#include "core/embed.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/str.h"
#include "core/yaml.h"
#include "jobs/sha256.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

EMBED(compose_builtin, "compose/docker-compose.test.yml");

#define FORMAT "1" /* of what is kept: another one makes everything kept a miss */
#define FILES_MAX 16
#define FILE_MAX (1u << 20)
#define RESOLVE_MS 60000
#define IMAGE_VARIABLE "CODEFOUNDRY_IMAGE"

/* One resolve. */
struct load {
	const struct provider *provider;
	const char *const *files;        /* as asked for; may be empty */
	const char *read[FILES_MAX + 1]; /* the files that the tool reads */
	const char *env_file, *cache_dir, *image;
	char *builtin;   /* path of the built-in file, written out */
	char *dotenv;    /* content of .env beside the first file or of ${env_file}; NULL: none */
	struct str text; /* all of the files' and of dotenv */
	struct job *job;
};

static void load_free(struct load *l)
{
	free(l->builtin);
	free(l->dotenv);
	str_free(&l->text);
}

/* -- what it is made of -- */

/* The tool reads files only; it is written anew when it is another program's. */
static int write_builtin(struct load *l, struct err *err)
{
	cleanup_free char *there = NULL;
	struct err ignored = {0};
	l->builtin = mem_printf("%s/docker-compose.test.yml", l->cache_dir);
	l->read[0] = l->builtin;
	if (!file_read(l->builtin, FILE_MAX, &there, NULL, &ignored) && !strcmp(there, compose_builtin))
		return 0;
	return file_write(l->builtin, compose_builtin, strlen(compose_builtin), 0600, err);
}

static int add_file(struct load *l, const char *path, struct err *err)
{
	cleanup_free char *text = NULL;
	size_t len = 0;
	if (file_read(path, FILE_MAX, &text, &len, err))
		return err_wrap(err, "compose file");
	if (memchr(text, '\0', len))
		return err_set(err, ERR_INVALID, "%s has a NUL byte: it is no compose file", path);
	str_addf(&l->text, "%s\n%s\n", path, text);
	return 0;
}

/* Values for $X come from --env-file where there is one, else from .env beside the first file. */
static int read_dotenv(struct load *l, struct err *err)
{
	int dir = (int)(strrchr(l->read[0], '/') - l->read[0]);
	cleanup_free char *path =
	        l->env_file ? mem_strdup(l->env_file) : mem_printf("%.*s/.env", dir, l->read[0]);
	struct err none = {0};
	if (file_read(path, FILE_MAX, &l->dotenv, NULL, &none)) {
		if (!l->env_file && none.code == ERR_NOT_FOUND)
			return 0;
		*err = none;
		return err_wrap(err, "environment file");
	}
	str_addf(&l->text, "%s\n%s\n", path, l->dotenv);
	return 0;
}

static int gather(struct load *l, struct err *err)
{
	size_t n = 0;
	for (const char *const *f = l->files; f && *f; f++) {
		if (**f != '/')
			return err_set(err, ERR_INVALID, "compose file %s: its path must be absolute", *f);
		if (n == FILES_MAX)
			return err_set(err, ERR_LIMIT, "more than %d compose files", FILES_MAX);
		l->read[n++] = *f;
	}
	if (!n && write_builtin(l, err))
		return -1;
	for (const char *const *f = l->read; *f; f++)
		if (add_file(l, *f, err))
			return -1;
	if (read_dotenv(l, err))
		return -1;
	if (l->text.overflow)
		return err_set(err, ERR_LIMIT, "%s: more than %zu bytes of compose files",
		               project_label(l->files), l->text.max);
	return 0;
}

/* -- its key -- */

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* Whether ${text} has the ${n} bytes ${word} as a word of its own. */
static bool has_word(const char *text, const char *word, size_t n)
{
	cleanup_free char *copy = mem_strndup(word, n);
	for (const char *p = text; (p = strstr(p, copy)); p += n)
		if ((p == text || !is_word(p[-1])) && !is_word(p[n]))
			return true;
	return false;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Add each variable of ours that the files have as a word: $X, ${X:-…}, and X alone in `environment`, which passes it on. HOME
 * stands for ~ as well. In order, which the environment has none of. */
static void add_variables(const char *text, struct str *out)
{
	size_t n = 0, count = 0;
	while (environ[count])
		count++;
	cleanup_free const char **named = mem_alloc((count + 1) * sizeof(*named));
	for (char **e = environ; *e && n < count; e++) {
		size_t len = strcspn(*e, "=");
		if (len && (has_word(text, *e, len) || !strncmp(*e, "HOME=", 5)))
			named[n++] = *e;
	}
	qsort(named, n, sizeof(*named), by_text);
	for (size_t i = 0; i < n; i++)
		str_addf(out, "%s\n", named[i]);
}

static void key_of(const struct load *l, char key[SHA256_HEX + 1])
{
	cleanup_str struct str all = STR_INIT_MAX(l->text.max * 2);
	str_addf(&all, FORMAT "\n%s\n%s\n%d\n%s\n", l->provider->name, l->provider->version,
	         l->provider->json, l->image ? l->image : "");
	str_add(&all, str_text(&l->text));
	add_variables(str_text(&l->text), &all);
	sha256_hex(str_text(&all), all.len, key);
}

/* Whether the files name others, whose content the key would not know. */
static bool stands_alone(const struct load *l)
{
	static const char *const words[] = {"extends", "include", "env_file"};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (has_word(str_text(&l->text), words[i], strlen(words[i])))
			return false;
	return true;
}

/* -- asking the tool -- */

/* Whether the comma list COMPOSE_PROFILES of ${dotenv} has ${profile}; * stands for all. */
static bool in_profiles(const char *dotenv, const char *profile)
{
	struct dotenv_line line = {0};
	bool chosen = false;
	for (const char *p = dotenv; p && dotenv_next(&p, &line);) {
		if (line.key && !strcmp(line.key, "COMPOSE_PROFILES")) {
			cleanup_free char *list = mem_printf(",%s,", line.value);
			cleanup_free char *one = mem_printf(",%s,", profile);
			chosen = strstr(list, one) || !strcmp(line.value, "*");
		}
		dotenv_clear(&line);
	}
	return chosen;
}

static bool is_chosen(const cJSON *service, const char *dotenv)
{
	const cJSON *profiles = json_at(service, "profiles"), *p;
	bool chosen = !cJSON_IsArray(profiles) || !profiles->child;
	cJSON_ArrayForEach(p, profiles) chosen |= cJSON_IsString(p) && in_profiles(dotenv, p->valuestring);
	return chosen;
}

/* Version 1 prints services of all profiles; version 2 those that are chosen. */
static int drop_unchosen(cJSON *resolved, const struct load *l, struct err *err)
{
	cJSON *services = cJSON_GetObjectItemCaseSensitive(resolved, "services"), *next;
	for (cJSON *s = services ? services->child : NULL; s; s = next) {
		next = s->next;
		if (!is_chosen(s, l->dotenv))
			cJSON_Delete(cJSON_DetachItemViaPointer(services, s));
	}
	const cJSON *s, *on;
	cJSON_ArrayForEach(s, services) cJSON_ArrayForEach(on, json_at(s, "depends_on"))
	{
		const char *name = cJSON_IsString(on) ? on->valuestring : on->string;
		if (name && !cJSON_GetObjectItemCaseSensitive(services, name))
			return err_set(err, ERR_INVALID,
			               "%s: service %.80s: depends_on %.80s, whose profile is not chosen; "
			               "choose it by COMPOSE_PROFILES in .env beside the file",
			               project_label(l->files), s->string, name);
	}
	return 0;
}

static cJSON *resolve(const struct load *l, struct err *err)
{
	cleanup_free char *out = NULL, *image = mem_printf(IMAGE_VARIABLE "=%s", l->image ? l->image : "");
	struct provider_call call = {
	        /* not that of the directory, which may have no letter that a project's name can have */
	        .project = "codefoundry",
	        .files = l->read,
	        .env_file = l->env_file,
	        .args = l->provider->json ? (const char *const[]){"config", "--format", "json", NULL}
	                                  : (const char *const[]){"config", NULL},
	        .env = (const char *const[]){l->image ? image : NULL, NULL},
	        .timeout_ms = RESOLVE_MS,
	        .job = l->job,
	};
	if (provider_run(l->provider, &call, &out, err)) {
		/* the files were read and the tool is there: what it does not like is the file */
		if (err->code == ERR_FAILED)
			err->code = ERR_INVALID;
		err_wrap(err, "%s", project_label(l->files));
		return NULL;
	}
	if (l->provider->json)
		return json_parse(out, strlen(out), err);
	cleanup_json cJSON *resolved = yaml_parse_pyyaml(out, strlen(out), project_label(l->files), err);
	return !resolved || drop_unchosen(resolved, l, err) ? NULL : TAKE(resolved);
}

/* -- loading -- */

/* What was kept may lie on links that point elsewhere by now. */
static cJSON *recall(const struct load *l, const char *key, struct err *err)
{
	cleanup_json cJSON *project = project_cache_get(l->cache_dir, key);
	if (!cJSON_IsObject(json_at(project, "base")) || !cJSON_IsArray(json_at(project, "services")))
		return NULL;
	if (project_check(json_at(project, "base"), l->files, err))
		return NULL;
	return TAKE(project);
}

cJSON *project_load(const struct provider *provider, const char *const *files, const char *env_file,
                    const char *image, const char *cache_dir, struct job *job, struct err *err)
{
	__attribute__((cleanup(load_free))) struct load l = {.provider = provider,
	                                                     .files = files,
	                                                     .env_file = env_file,
	                                                     .cache_dir = cache_dir,
	                                                     .image = image,
	                                                     .text = STR_INIT,
	                                                     .job = job};
	char key[SHA256_HEX + 1];
	if (dir_make(cache_dir, 0700, err) || gather(&l, err))
		return NULL;
	bool keep = stands_alone(&l);
	struct err ignored = {0};
	key_of(&l, key);
	cJSON *project = keep ? recall(&l, key, &ignored) : NULL;
	if (project)
		return project;
	cJSON *resolved = resolve(&l, err);
	project = resolved ? project_freeze(resolved, provider->name, files, err) : NULL;
	if (project)
		json_add_bool(project, "json", provider->json);
	if (project && keep)
		project_cache_put(cache_dir, key, project);
	return project;
}
