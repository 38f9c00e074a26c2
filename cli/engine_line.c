#include "cli/engine_line.h"
#include "compose/docker.h"
#include "compose/provider.h"
#include "core/mem.h"
#include "sessions/engine.h"
#include <string.h>

#define ASK_MS                                                                                               \
	500 /* a loaded engine takes longer than 40 ms at times; one that is not there refuses at once */

static const char doctor[] = "`codefoundry doctor` says why";

/* "docker-compose 1.29.2"; NULL: none can be used. The caller frees it. */
static char *tool(struct state *st)
{
	struct err err = {0};
	struct provider found;
	provider_open(st->cfg, st->dir);
	if (provider_find(config_text(st->cfg, "COMPOSE_PROVIDER"), &found, &err))
		return NULL;
	return mem_printf("%s %s", found.name, found.version);
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
	provider_export(st->cfg);
	char version[32];
	if (docker_ping(ASK_MS, version, &err)) {
		cleanup_free char *why = mem_printf("%s does not answer; %s", docker_name(), doctor);
		json_add_text(line, "why", why);
		return line;
	}
	cleanup_free char *with = tool(st), *none = mem_printf("no compose tool; %s", doctor);
	json_add_text(line, docker_is_podman() ? "podman" : "docker", version);
	json_add_text(line, with ? "tool" : "why", with ? with : none);
	return line;
}

void engine_line_text(const cJSON *line, struct str *out)
{
	const char *docker = json_text(line, "docker"), *podman = json_text(line, "podman"),
	           *with = json_text(line, "tool"), *why = json_text(line, "why");
	str_add(out, json_text_or(line, "name", "?"));
	if (docker || podman)
		str_addf(out, " (%s %s, %s)", docker ? "Docker" : "Podman", docker ? docker : podman,
		         with  ? with
		         : why ? why
		               : "");
	else if (why)
		str_addf(out, " (%s)", why);
}
