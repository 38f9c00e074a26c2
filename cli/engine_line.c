#include "cli/engine_line.h"
#include "compose/docker.h"
#include "compose/provider.h"
#include "core/file.h"
#include "core/mem.h"
#include "sessions/engine.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ASK_MS 40
#define CACHE_MAX 8192

static const char doctor[] = "`codefoundry doctor` says why";

/* The first ${program} in PATH and when it was changed, or its absence. */
static void add_program(struct str *key, const char *program)
{
	const char *path = getenv("PATH");
	cleanup_free char *dirs = mem_strdup(path ? path : "");
	char *rest = dirs, *dir;
	struct stat at;
	while ((dir = strsep(&rest, ":"))) {
		cleanup_free char *file = mem_printf("%s/%s", *dir ? dir : ".", program);
		if (access(file, X_OK) || stat(file, &at) || !S_ISREG(at.st_mode))
			continue;
		str_addf(key, "%s %lld %lld\n", file, (long long)at.st_mtime, (long long)at.st_size);
		return;
	}
	str_addf(key, "no %s\n", program);
}

/* "docker-compose 1.29.2"; NULL: none can be used. The caller frees it. */
static char *ask_tool(struct state *st)
{
	struct err err = {0};
	struct provider found;
	if (provider_find(config_text(st->cfg, "COMPOSE_PROVIDER"), &found, &err))
		return NULL;
	return mem_printf("%s %s", found.name, found.version);
}

static char *tool(struct state *st)
{
	static const char *const programs[] = {"docker", "docker-compose", "podman-compose"};
	const char *docker_config = getenv("DOCKER_CONFIG");
	struct err err = {0};
	cleanup_str struct str key = STR_INIT_MAX(CACHE_MAX);
	cleanup_free char *dir = state_path(st, "cache"), *path = state_path(st, "cache/tool.json"),
	                  *text = NULL;
	size_t len = 0;
	str_addf(&key, "%s %s\n", config_text(st->cfg, "COMPOSE_PROVIDER"),
	         docker_config ? docker_config : "");
	for (size_t i = 0; i < ARRAY_LEN(programs); i++)
		add_program(&key, programs[i]);
	cleanup_json cJSON *kept =
	        file_read(path, CACHE_MAX, &text, &len, &err) ? NULL : json_parse(text, len, &err);
	if (!strcmp(json_text_or(kept, "key", ""), str_text(&key)) && json_text(kept, "tool"))
		return mem_strdup(json_text(kept, "tool"));
	char *found = ask_tool(st);
	if (!found)
		return NULL;
	cleanup_json cJSON *fresh = json_object();
	json_add_text(fresh, "key", str_text(&key));
	json_add_text(fresh, "tool", found);
	cleanup_free char *print = json_print(fresh);
	if (dir_make(dir, 0700, &err) || file_write(path, print, strlen(print), 0600, &err))
		err_clear(&err); /* then it is asked again */
	return found;
}

cJSON *engine_line(struct state *st)
{
	struct err err = {0};
	const struct engine *engine = engine_chosen(st->cfg, &err);
	const char *name = engine ? engine->name : config_text(st->cfg, "ENGINE");
	cJSON *line = json_object();
	json_add_text(line, "name", name);
	if (strcmp(name, "compose") != 0)
		return line;
	cleanup_json cJSON *version = NULL;
	if (docker_call("GET", "/version", NULL, ASK_MS, &version, &err)) {
		cleanup_free char *why = mem_printf("Docker does not answer; %s", doctor);
		json_add_text(line, "why", why);
		return line;
	}
	cleanup_free char *with = tool(st), *none = mem_printf("no compose tool; %s", doctor);
	json_add_text(line, "docker", json_text_or(version, "Version", "?"));
	json_add_text(line, with ? "tool" : "why", with ? with : none);
	return line;
}

void engine_line_text(const cJSON *line, struct str *out)
{
	const char *docker = json_text(line, "docker"), *with = json_text(line, "tool"),
	           *why = json_text(line, "why");
	str_add(out, json_text_or(line, "name", "?"));
	if (docker || why)
		str_addf(out, " (%s%s%s%s)", docker ? "Docker " : "", docker ? docker : "",
		         docker ? ", " : "",
		         with  ? with
		         : why ? why
		               : "");
}
