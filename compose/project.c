/* From compose files to a frozen project: what the tool is asked, and when it need not be asked again. */
#include "compose/project.h"
#include "compose/lint.h"
#include "compose/podman_compose.h"
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

#define FORMAT "5" /* of what is kept: another one makes everything kept a miss */
#define FILES_MAX 16
#define FILE_MAX (1u << 20)
#define RESOLVE_MS 60000
#define IMAGE_VARIABLE "CODEFOUNDRY_IMAGE"

/* One resolve. */
struct load {
	const struct project_ask *ask;
	const char *read[FILES_MAX + 1]; /* the files that the tool reads */
	char *texts[FILES_MAX + 1];      /* what is in them */
	char *unnamed[FILES_MAX + 1];    /* files that it reads in their place, ours */
	char *builtin;                   /* path of the built-in file, written out */
	char *dotenv;                    /* content of the environment file; NULL: none */
	cJSON *profiles;                 /* chosen */
	struct str text;                 /* all of the files' and of dotenv */
};

static void load_free(struct load *l)
{
	for (size_t i = 0; i < FILES_MAX; i++) {
		free(l->texts[i]);
		if (l->unnamed[i])
			unlink(l->unnamed[i]);
		free(l->unnamed[i]);
	}
	free(l->builtin);
	free(l->dotenv);
	cJSON_Delete(l->profiles);
	str_free(&l->text);
}

/* 1.29, not one of those who came after it under its name. */
static bool is_v1(const struct load *l)
{
	return !l->ask->provider->json && !strcmp(l->ask->provider->name, PROVIDER_V1);
}

/* -- what it is made of -- */

/* The tool reads files only; it is written anew when it is another program's. */
static int write_builtin(struct load *l, struct err *err)
{
	cleanup_free char *there = NULL;
	struct err ignored = {0};
	l->builtin = mem_printf("%s/docker-compose.test.yml", l->ask->cache_dir);
	l->read[0] = l->builtin;
	if (!file_read(l->builtin, FILE_MAX, &there, NULL, &ignored) && !strcmp(there, compose_builtin))
		return 0;
	return file_write(l->builtin, compose_builtin, strlen(compose_builtin), 0600, err);
}

static int add_file(struct load *l, size_t i, struct err *err)
{
	const char *path = l->read[i];
	size_t len = 0;
	if (file_read(path, FILE_MAX, &l->texts[i], &len, err))
		return err_wrap(err, "compose file");
	if (memchr(l->texts[i], '\0', len))
		return err_set(err, ERR_INVALID, "%s has a NUL byte: it is no compose file", path);
	str_addf(&l->text, "%s\n%s\n", path, l->texts[i]);
	return 0;
}

/* Values for $X come from --env-file where there is one, else from .env beside the first file. */
static int read_dotenv(struct load *l, struct err *err)
{
	int dir = (int)(strrchr(l->read[0], '/') - l->read[0]);
	cleanup_free char *path =
	        l->ask->env_file ? mem_strdup(l->ask->env_file) : mem_printf("%.*s/.env", dir, l->read[0]);
	struct err none = {0};
	if (file_read(path, FILE_MAX, &l->dotenv, NULL, &none)) {
		if (!l->ask->env_file && none.code == ERR_NOT_FOUND)
			return 0;
		*err = none;
		return err_wrap(err, "environment file");
	}
	str_addf(&l->text, "%s\n%s\n", path, l->dotenv);
	return 0;
}

/* -- profiles -- */

static int add_profile(cJSON *list, const char *name, struct err *err)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	if (strcmp(name, "*") != 0 && (!isalnum((unsigned char)name[0]) || name[strspn(name, letters)]))
		return err_set(err, ERR_INVALID,
		               "'%.80s' is no name of a profile: letters, digits, ., _ and -, or * for all",
		               name);
	if (!json_has_text(list, name))
		cJSON_AddItemToArray(list, cJSON_CreateString(name));
	return 0;
}

static int add_profiles(cJSON *list, const char *comma_list, struct err *err)
{
	cleanup_free char *copy = mem_strdup(comma_list);
	char *rest = copy, *name;
	while ((name = strsep(&rest, ", ")))
		if (*name && add_profile(list, name, err))
			return err_wrap(err, "COMPOSE_PROFILES");
	return 0;
}

/* What COMPOSE_PROFILES is in the environment file; the caller frees it. */
static char *profiles_of(const char *dotenv)
{
	struct dotenv_line line = {0};
	char *found = NULL;
	for (const char *p = dotenv; p && dotenv_next(&p, &line);) {
		if (line.key && !strcmp(line.key, "COMPOSE_PROFILES")) {
			free(found);
			found = mem_strdup(line.value);
		}
		dotenv_clear(&line);
	}
	return found;
}

/* As the tools do it: what is asked for, else the environment's, else the file's. */
static int choose_profiles(struct load *l, struct err *err)
{
	const cJSON *one;
	const char *set = getenv("COMPOSE_PROFILES");
	cleanup_free char *written = profiles_of(l->dotenv);
	l->profiles = json_array();
	cJSON_ArrayForEach(one, l->ask->profiles)
	{
		if (add_profile(l->profiles, cJSON_IsString(one) ? one->valuestring : "", err))
			return -1;
	}
	if (l->profiles->child || !(set || written))
		return 0;
	return add_profiles(l->profiles, set ? set : written, err);
}

static int gather(struct load *l, struct err *err)
{
	size_t n = 0;
	for (const char *const *f = l->ask->files; f && *f; f++) {
		if (**f != '/')
			return err_set(err, ERR_INVALID, "compose file %s: its path must be absolute", *f);
		if (n == FILES_MAX)
			return err_set(err, ERR_LIMIT, "more than %d compose files", FILES_MAX);
		l->read[n++] = *f;
	}
	if (!n && write_builtin(l, err))
		return -1;
	for (size_t i = 0; l->read[i]; i++)
		if (add_file(l, i, err))
			return -1;
	if (read_dotenv(l, err) || choose_profiles(l, err))
		return -1;
	if (l->text.overflow)
		return err_set(err, ERR_LIMIT, "%s: more than %zu bytes of compose files",
		               project_label(l->ask->files), l->text.max);
	return 0;
}

/* -- its key -- */

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* Whether ${text} has the ${n} bytes ${word} as a word of its own; no bytes are in every text. */
static bool has_word(const char *text, const char *word, size_t n)
{
	cleanup_free char *copy = mem_strndup(word, n);
	if (!n)
		return true;
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
	str_addf(&all, FORMAT "\n%s\n%s\n%d\n%s\n", l->ask->provider->name, l->ask->provider->version,
	         l->ask->provider->json, l->ask->image ? l->ask->image : "");
	cleanup_free char *profiles = json_print(l->profiles),
	                  *allow = l->ask->allow ? json_print(l->ask->allow) : mem_strdup("");
	/* those that were asked for have been found in the file, those of COMPOSE_PROFILES need not be there */
	str_addf(&all, "%s%s\n%s\n%s", l->ask->profiles && l->ask->profiles->child ? "asked " : "", profiles,
	         allow, str_text(&l->text));
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

/* Put a file without its name in the place of each that has one, which 1.29 refuses. */
static int write_unnamed(struct load *l, struct err *err)
{
	for (size_t i = 0; l->read[i]; i++) {
		cleanup_free char *name = project_name_of(l->texts[i]);
		if (!name)
			continue;
		cleanup_free char *text = project_v1_unnamed(l->texts[i]);
		char *path = mem_printf("%s/unnamed-%d-%zu.yml", l->ask->cache_dir, (int)getpid(), i);
		if (file_write(path, text, strlen(text), 0600, err)) {
			free(path);
			return -1;
		}
		l->read[i] = l->unnamed[i] = path;
	}
	return 0;
}

/* 1.29 prints YAML, services of all profiles, and configs that it ignores. */
static cJSON *read_v1(const struct load *l, const char *out, struct err *err)
{
	const char *label = project_label(l->ask->files);
	cleanup_json cJSON *resolved = yaml_parse_pyyaml(out, strlen(out), label, err);
	if (!resolved || project_v1_choose(resolved, l->profiles, label, err))
		return NULL;
	project_v1_mount_configs(resolved);
	return TAKE(resolved);
}

static char *join_profiles(const struct load *l)
{
	struct str text = STR_INIT;
	const cJSON *one;
	str_add(&text, "COMPOSE_PROFILES=");
	cJSON_ArrayForEach(one, l->profiles)
	        str_addf(&text, "%s%s", one == l->profiles->child ? "" : ",", one->valuestring);
	return str_take(&text);
}

/* What the tool says of a file of ours is meant of the person's. */
static void say_original(const struct load *l, struct err *err)
{
	for (size_t i = 0; i < FILES_MAX; i++) {
		const char *ours = l->unnamed[i], *at = ours ? strstr(err->msg, ours) : NULL;
		if (!at)
			continue;
		struct err said = *err;
		size_t before = (size_t)(at - err->msg);
		err_set(err, said.code, "%.*s%s%s", (int)before, said.msg, l->ask->files[i],
		        said.msg + before + strlen(ours));
	}
}

static void explain_v1(struct err *err)
{
	struct err said = *err;
	if (strstr(said.msg, "is invalid because"))
		err_set(err, said.code,
		        "%.1600s\n(docker-compose 1.29 knows none of the newer keys; docker compose v2 does)",
		        said.msg);
}

static cJSON *not_liked(const struct load *l, struct err *err)
{
	/* the files were read and the tool is there: what it does not like is the file */
	if (err->code == ERR_FAILED)
		err->code = ERR_INVALID;
	say_original(l, err);
	if (is_v1(l))
		explain_v1(err);
	err_wrap(err, "%s", project_label(l->ask->files));
	return NULL;
}

static cJSON *resolve_by_podman(const struct load *l, const struct provider_call *call, struct err *err)
{
	const char *label = project_label(l->ask->files), *variables = l->ask->env_file ? l->dotenv : NULL;
	cleanup_json cJSON *resolved =
	        podman_compose_resolve(l->ask->provider, call, variables, l->ask->cache_dir, err);
	if (!resolved)
		return not_liked(l, err);
	return project_v1_choose(resolved, l->profiles, label, err) ? NULL : TAKE(resolved);
}

static cJSON *resolve(struct load *l, struct err *err)
{
	const struct provider *tool = l->ask->provider;
	cleanup_free char *out = NULL, *image = mem_printf(IMAGE_VARIABLE "=%s", l->ask->image ?: ""),
	                  *profiles = join_profiles(l), *first = mem_strdup(l->read[0]);
	*strrchr(first, '/') = '\0';
	if (is_v1(l) && write_unnamed(l, err))
		return NULL;
	struct provider_call call = {
	        .project = PROJECT_RESOLVED,
	        .files = l->read,
	        .env_file = l->ask->env_file,
	        .directory = l->unnamed[0] && *first ? first : NULL,
	        .args = tool->json ? (const char *const[]){"config", "--format", "json", NULL}
	                           : (const char *const[]){"config", NULL},
	        .env = (const char *const[]){profiles, l->ask->image ? image : NULL, NULL},
	        .timeout_ms = RESOLVE_MS,
	        .job = l->ask->job,
	};
	if (!strcmp(tool->name, PROVIDER_PODMAN))
		return resolve_by_podman(l, &call, err);
	if (provider_run(tool, &call, &out, err))
		return not_liked(l, err);
	return tool->json ? json_parse(out, strlen(out), err) : read_v1(l, out, err);
}

/* The tools take a profile that no service has for one of nobody, and start less than was asked for. Those of COMPOSE_PROFILES may be meant for
 * other files. */
static int check_asked(const struct load *l, const cJSON *resolved, struct err *err)
{
	const cJSON *asked, *service;
	cJSON_ArrayForEach(asked, l->ask->profiles)
	{
		const char *name = asked->valuestring;
		bool known = !strcmp(name, "*");
		cJSON_ArrayForEach(service, json_at(resolved, "services")) known |=
		        json_has_text(json_at(service, "profiles"), name);
		if (!known)
			return err_set(err, ERR_NOT_FOUND,
			               "%s: no service has profile '%s': look for `profiles:` in the file",
			               project_label(l->ask->files), name);
	}
	return 0;
}

/* -- what is told of it -- */

static void note_name(const struct load *l, cJSON *findings)
{
	for (size_t i = 0; l->texts[i]; i++) {
		cleanup_free char *name = project_name_of(l->texts[i]);
		if (name)
			project_note(&(struct frost){.findings = findings}, LINT_PROJECT_NAME, NULL, NULL,
			             name);
	}
}

/* The last of the files that has what ${finding} is about; what stands in none of them comes from one that they name. */
static const char *file_of(const struct load *l, const cJSON *finding)
{
	const char *const *files = l->ask->files;
	const char *name = json_text_or(finding, "name", ""), *key = json_text_or(finding, "key", "");
	size_t found = 0;
	for (size_t i = 0; files && files[0] && files[i]; i++)
		if (has_word(l->texts[i], name, strlen(name)) && has_word(l->texts[i], key, strlen(key)))
			found = i;
	return files && files[0] ? files[found] : project_label(files);
}

static void complete_findings(const struct load *l, cJSON *project)
{
	cJSON *findings = cJSON_GetObjectItemCaseSensitive(project, "findings"), *one;
	note_name(l, findings);
	cJSON_ArrayForEach(one, findings) json_add_text(one, "file", file_of(l, one));
}

int project_verdict(const cJSON *project, struct err *err)
{
	const cJSON *first = json_at(project, "files.0");
	return lint_verdict(json_at(project, "findings"),
	                    cJSON_IsString(first) ? first->valuestring : project_label(NULL), err);
}

/* -- loading -- */

/* What project_check() had said of ${project} when it was kept. */
static cJSON *checked_then(const cJSON *project)
{
	cJSON *list = json_array();
	const cJSON *one;
	cJSON_ArrayForEach(one, json_at(project, "findings"))
	{
		const char *rule = json_text_or(one, "rule", "");
		const char *action = json_text_or(one, "action", "");
		if ((strcmp(action, "allowed") != 0 && strcmp(action, "told") != 0) ||
		    !strcmp(rule, lint_id(LINT_FIXED_SUBNET)) || !strcmp(rule, lint_id(LINT_FIXED_ADDRESS)))
			continue;
		cJSON *copy = cJSON_Duplicate(one, true);
		project_drop(copy, "file");
		cJSON_AddItemToArray(list, copy);
	}
	return list;
}

/* What was kept may lie on links that point elsewhere by now. */
static cJSON *recall(const struct load *l, const char *key)
{
	cleanup_json cJSON *project = project_cache_get(l->ask->cache_dir, key), *now = json_array();
	if (!cJSON_IsObject(json_at(project, "base")) || !cJSON_IsArray(json_at(project, "services")))
		return NULL;
	cleanup_json cJSON *then = checked_then(project);
	project_check(json_at(project, "base"), l->ask->files, l->ask->allow, now);
	return cJSON_Compare(then, now, true) ? TAKE(project) : NULL;
}

cJSON *project_load(const struct project_ask *ask, struct err *err)
{
	__attribute__((cleanup(load_free))) struct load l = {.ask = ask, .text = STR_INIT};
	const struct provider *tool = ask->provider;
	char key[SHA256_HEX + 1];
	if (dir_make(ask->cache_dir, 0700, err) || gather(&l, err))
		return NULL;
	bool keep = stands_alone(&l);
	key_of(&l, key);
	cJSON *project = keep ? recall(&l, key) : NULL;
	if (project)
		return project;
	cJSON *resolved = resolve(&l, err);
	if (resolved && check_asked(&l, resolved, err)) {
		cJSON_Delete(resolved);
		return NULL;
	}
	project = resolved ? project_freeze(resolved, tool->name, ask->files, ask->allow, err) : NULL;
	if (!project)
		return NULL;
	json_add_bool(project, "json", tool->json);
	complete_findings(&l, project);
	if (keep && !lint_count(json_at(project, "findings"), LINT_REFUSED))
		project_cache_put(ask->cache_dir, key, project);
	return project;
}
