/* What docker-compose 1.29 does not do with a compose file, done for it. */
#include "compose/project_private.h"
#include "core/mem.h"
#include "core/str.h"
#include <string.h>

/* -- the name of the project -- */

/* The line of the top-level `name:`: at the beginning of a line, in no block. NULL: there is none. */
static const char *name_line(const char *text)
{
	for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
		if (!strncmp(line, "name:", 5) && strchr(" \t", line[5]))
			return line;
	return NULL;
}

char *project_name_of(const char *text)
{
	const char *line = name_line(text);
	if (!line)
		return NULL;
	line += strlen("name:");
	line += strspn(line, " \t\"'");
	return mem_strndup(line, strcspn(line, " \t\"'\r\n"));
}

char *project_v1_unnamed(const char *text)
{
	const char *line = name_line(text);
	if (!line)
		return mem_strdup(text);
	return mem_printf("%.*s%s", (int)(line - text), text, line + strcspn(line, "\n"));
}

/* -- profiles -- */

static bool is_chosen(const cJSON *service, const cJSON *chosen)
{
	const cJSON *profiles = json_at(service, "profiles"), *p;
	bool is = !cJSON_IsArray(profiles) || !profiles->child || json_has_text(chosen, "*");
	cJSON_ArrayForEach(p, profiles) is |= cJSON_IsString(p) && json_has_text(chosen, p->valuestring);
	return is;
}

int project_v1_choose(cJSON *resolved, const cJSON *profiles, const char *label, struct err *err)
{
	cJSON *services = project_member(resolved, "services"), *next;
	for (cJSON *s = services ? services->child : NULL; s; s = next) {
		next = s->next;
		if (!is_chosen(s, profiles))
			cJSON_Delete(cJSON_DetachItemViaPointer(services, s));
	}
	const cJSON *s, *on;
	cJSON_ArrayForEach(s, services) cJSON_ArrayForEach(on, json_at(s, "depends_on"))
	{
		const char *name = cJSON_IsString(on) ? on->valuestring : on->string;
		if (name && !project_member(services, name) && json_bool(on, "required", true))
			return err_set(
			        err, ERR_INVALID,
			        "%s: service %.80s: depends_on %.80s, whose profile is not chosen; "
			        "choose it by --profile, or by COMPOSE_PROFILES in .env beside the file",
			        label, s->string, name);
	}
	return 0;
}

/* -- configs -- */

/* Whether ${config} is a file, which is bound then. */
static bool mount(cJSON *service, const cJSON *config, const cJSON *all)
{
	const char *source =
	                   cJSON_IsString(config) ? config->valuestring : json_text_or(config, "source", ""),
	           *file = json_text(project_member(all, source), "file"),
	           *target = json_text(config, "target");
	cJSON *volumes = project_member(service, "volumes");
	if (!file)
		return false;
	if (!cJSON_IsArray(volumes)) {
		project_drop(service, "volumes");
		volumes = json_array();
		json_add(service, "volumes", volumes);
	}
	cleanup_free char *bind = mem_printf("%s:%s%s:ro", file, target ? "" : "/", target ? target : source);
	cJSON_AddItemToArray(volumes, cJSON_CreateString(bind));
	return true;
}

void project_v1_mount_configs(cJSON *resolved)
{
	cJSON *all = project_member(resolved, "configs"), *service, *next;
	cJSON_ArrayForEach(service, project_member(resolved, "services"))
	{
		cJSON *configs = project_member(service, "configs");
		for (cJSON *c = configs ? configs->child : NULL; c; c = next) {
			next = c->next;
			if (mount(service, c, all))
				cJSON_Delete(cJSON_DetachItemViaPointer(configs, c));
		}
		if (configs && !configs->child)
			project_drop(service, "configs");
	}
	for (cJSON *c = all ? all->child : NULL; c; c = next) {
		next = c->next;
		if (json_text(c, "file"))
			cJSON_Delete(cJSON_DetachItemViaPointer(all, c));
	}
	if (all && !all->child)
		project_drop(resolved, "configs");
}
