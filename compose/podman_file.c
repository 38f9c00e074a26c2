/* What podman-compose says of a file, made into what the other tools would say: it merges files and fills variables in, and leaves the rest. */
#include "compose/podman_compose.h"
#include "core/dotenv.h"
#include "core/file.h"
#include "core/mem.h"
#include <stdlib.h>
#include <string.h>

#define MERGED " ** merged:\n"
#define ENV_FILE_MAX (1u << 20)

/* -- small changes -- */

static cJSON *member(const cJSON *object, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(object, key);
}

static void put(cJSON *object, const char *key, cJSON *value)
{
	cJSON_DeleteItemFromObjectCaseSensitive(object, key);
	json_add(object, key, value);
}

/* A scalar as YAML's writer meant it; NULL for none. The caller frees it. */
static char *text_of(const cJSON *value)
{
	if (cJSON_IsString(value))
		return mem_strdup(value->valuestring);
	return cJSON_IsNumber(value) || cJSON_IsBool(value) ? json_print(value) : NULL;
}

static cJSON *new_text(const char *text)
{
	return cJSON_CreateString(text);
}

static char *absolute(const char *path, const char *dir)
{
	const char *home = getenv("HOME");
	if (path[0] == '~' && (path[1] == '/' || !path[1]) && home)
		return mem_printf("%s%s", home, path + 1);
	return path[0] == '/' ? mem_strdup(path) : mem_printf("%s/%s", dir, path);
}

static void make_absolute(cJSON *object, const char *key, const char *dir)
{
	const char *path = json_text(object, key);
	cleanup_free char *full = path ? absolute(path, dir) : NULL;
	if (full)
		put(object, key, new_text(full));
}

/* {"A":1} or ["A=1"] to {"A":"1"}; a name alone is taken from our environment where ${passed}. */
static cJSON *as_map(const cJSON *value, bool passed)
{
	cJSON *map = json_object();
	const cJSON *item;
	cJSON_ArrayForEach(item, value)
	{
		cleanup_free char *pair = cJSON_IsObject(value) ? NULL : text_of(item),
		                  *key = cJSON_IsObject(value) ? mem_strdup(item->string)
		                         : pair                ? mem_strndup(pair, strcspn(pair, "="))
		                                               : NULL,
		                  *text = cJSON_IsObject(value) ? text_of(item) : NULL;
		const char *equals = pair ? strchr(pair, '=') : NULL,
		           *own = key && passed ? getenv(key) : NULL;
		const char *said = text ? text : equals ? equals + 1 : own;
		if (key && *key && (said || !passed))
			put(map, key, new_text(said ? said : ""));
	}
	return map;
}

/* {"a":1} to ["a<mark>1"]; a text alone to a list of it; what is in a list to texts. */
static cJSON *as_list(const cJSON *value, const char *mark)
{
	cJSON *list = json_array();
	const cJSON *item;
	cleanup_free char *alone = text_of(value);
	if (alone)
		cJSON_AddItemToArray(list, new_text(alone));
	cJSON_ArrayForEach(item, value)
	{
		cleanup_free char *text = text_of(item),
		                  *pair = cJSON_IsObject(value)
		                                  ? mem_printf("%s%s%s", item->string, mark, text ? text : "")
		                                  : NULL;
		if (pair || text)
			cJSON_AddItemToArray(list, new_text(pair ? pair : text));
	}
	return list;
}

/* -- one service -- */

static int add_variables_of(cJSON *environment, const char *path, struct err *err)
{
	cleanup_free char *text = NULL;
	struct dotenv_line line = {0};
	if (file_read(path, ENV_FILE_MAX, &text, NULL, err))
		return err_wrap(err, "env_file"), err->code = ERR_INVALID, -1;
	for (const char *p = text; dotenv_next(&p, &line); dotenv_clear(&line))
		if (line.key)
			put(environment, line.key, new_text(line.value));
	return 0;
}

/* The later file wins, and what stands in the service itself over all. */
static int take_environment(cJSON *service, const char *dir, struct err *err)
{
	cleanup_json cJSON *all = json_object(), *files = as_list(member(service, "env_file"), ""),
	                   *own = as_map(member(service, "environment"), true);
	const cJSON *item;
	cJSON_ArrayForEach(item, files)
	{
		cleanup_free char *path = absolute(item->valuestring, dir);
		if (add_variables_of(all, path, err))
			return -1;
	}
	cJSON_ArrayForEach(item, own) put(all, item->string, new_text(item->valuestring));
	cJSON_DeleteItemFromObjectCaseSensitive(service, "env_file");
	put(service, "environment", TAKE(all));
	return 0;
}

static void take_volumes(cJSON *service, const char *dir)
{
	cJSON *item, *next;
	cJSON *volumes = member(service, "volumes");
	for (item = volumes ? volumes->child : NULL; item; item = next) {
		next = item->next;
		if (cJSON_IsObject(item) && !strcmp(json_text_or(item, "type", ""), "bind"))
			make_absolute(item, "source", dir);
		const char *text = cJSON_IsString(item) ? item->valuestring : "", *colon = strchr(text, ':');
		if (!colon || !strchr(".~", *text))
			continue;
		cleanup_free char *source = mem_strndup(text, (size_t)(colon - text)),
		                  *full = absolute(source, dir), *whole = mem_printf("%s%s", full, colon);
		cJSON_ReplaceItemViaPointer(volumes, item, new_text(whole));
	}
}

static void take_build(cJSON *service, const char *dir)
{
	cJSON *build = member(service, "build");
	if (cJSON_IsString(build))
		make_absolute(service, "build", dir);
	else if (cJSON_IsObject(build))
		make_absolute(build, "context", dir);
}

static int take_service(cJSON *service, const char *dir, struct err *err)
{
	static const struct {
		const char *key, *mark;
	} lists[] = {{"tmpfs", ""},    {"extra_hosts", ":"}, {"sysctls", "="},
	             {"expose", ""},   {"dns", ""},          {"cap_add", ""},
	             {"cap_drop", ""}, {"devices", ""},      {"security_opt", ""}};
	static const char *const texts[] = {"user",        "restart",     "hostname",
	                                    "working_dir", "stop_signal", "mem_limit"};
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (member(service, lists[i].key))
			put(service, lists[i].key, as_list(member(service, lists[i].key), lists[i].mark));
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		cleanup_free char *text = text_of(member(service, texts[i]));
		if (text) /* `no` is false to YAML 1.1 */
			put(service, texts[i],
			    new_text(cJSON_IsFalse(member(service, texts[i])) ? "no" : text));
	}
	if (member(service, "labels"))
		put(service, "labels", as_map(member(service, "labels"), false));
	take_volumes(service, dir);
	take_build(service, dir);
	return take_environment(service, dir, err);
}

/* -- the file -- */

static void double_dollars(cJSON *tree)
{
	for (cJSON *item = tree ? tree->child : NULL; item; item = item->next) {
		if (!cJSON_IsString(item)) {
			double_dollars(item);
			continue;
		}
		cleanup_str struct str text = STR_INIT;
		for (const char *p = item->valuestring; *p; p++)
			str_addn(&text, *p == '$' ? "$$" : p, *p == '$' ? 2 : 1);
		if (strchr(item->valuestring, '$'))
			cJSON_SetValuestring(item, str_text(&text));
	}
}

cJSON *podman_compose_resolved(const char *printed, const char *dir, struct err *err)
{
	const char *from = strstr(printed, MERGED);
	cleanup_json cJSON *file = from ? cJSON_ParseWithOpts(from + strlen(MERGED), NULL, false) : NULL;
	cJSON *item;
	if (!cJSON_IsObject(file)) {
		err_set(err, ERR_INVALID, "podman-compose did not print the file");
		return NULL;
	}
	cJSON_DeleteItemFromObjectCaseSensitive(file, "_dirname");
	cJSON_ArrayForEach(item, member(file, "services"))
	{
		if (cJSON_IsObject(item) && take_service(item, dir, err)) {
			err_wrap(err, "service %.80s", item->string);
			return NULL;
		}
	}
	cJSON_ArrayForEach(item, member(file, "secrets")) make_absolute(item, "file", dir);
	double_dollars(file);
	return TAKE(file);
}

/* -- asking it -- */

struct texts {
	const char **list; /* NULL-terminated */
	size_t n;
};

static void texts_free(struct texts *t)
{
	for (size_t i = 0; i < t->n; i++)
		free((char *)t->list[i]);
	free(t->list);
}

static void texts_add(struct texts *t, char *text)
{
	t->list = mem_resize(t->list, t->n + 2, sizeof(*t->list));
	t->list[t->n++] = text;
	t->list[t->n] = NULL;
}

static void add_variables(struct texts *env, const char *dotenv)
{
	struct dotenv_line line = {0};
	for (const char *p = dotenv; p && dotenv_next(&p, &line); dotenv_clear(&line))
		if (line.key)
			texts_add(env, mem_printf("%s=%s", line.key, line.value));
}

/* It prints what it merged when it is given several files: an empty one more. In a dry run `ps` asks nobody. */
cJSON *podman_compose_resolve(const struct provider *tool, const struct provider_call *call,
                              const char *dotenv, const char *dir, struct err *err)
{
	static const char *const args[] = {"--dry-run", "ps", "-q", NULL};
	__attribute__((cleanup(texts_free))) struct texts files = {0}, env = {0};
	cleanup_free char *out = NULL,
	                  *beside = mem_strndup(call->files[0],
	                                        (size_t)(strrchr(call->files[0], '/') - call->files[0]));
	struct provider_call ask = *call;
	for (const char *const *f = call->files; *f; f++)
		texts_add(&files, mem_strdup(*f));
	texts_add(&files, mem_printf("%s/empty.json", dir));
	for (const char *const *e = call->env; e && *e; e++)
		texts_add(&env, mem_strdup(*e));
	add_variables(&env, dotenv);
	ask.files = files.list;
	ask.env = env.list;
	ask.args = args;
	if (file_write(files.list[files.n - 1], "{}", 2, 0600, err) || provider_run(tool, &ask, &out, err))
		return NULL;
	return podman_compose_resolved(out, beside, err);
}
