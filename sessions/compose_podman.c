/* A session by podman-compose: it is given what it can do (compose/podman_compose.h), and what it cannot is done here through the engine's
 * API: networks with the leased addresses, volumes with their options, and starting again what is there. */
#include "compose/override.h"
#include "compose/podman_compose.h"
#include "core/file.h"
#include "core/mem.h"
#include "sessions/compose_private.h"
#include "sessions/lease.h"
#include <stdio.h>
#include <string.h>

#define BASE_MAX (4u << 20)
#define START_MS 60000

bool compose_by_podman(const struct session_row *row)
{
	return !strcmp(json_text_or(row->spec, "provider", ""), PROVIDER_PODMAN);
}

int compose_podman_usable(const struct provider *tool, const cJSON *project, struct err *err)
{
	if (strcmp(tool->name, PROVIDER_PODMAN) != 0)
		return 0;
	if (!project && !docker_is_podman())
		return err_set(err, ERR_ENGINE,
		               "podman-compose works with Podman only, and Docker answers: install "
		               "docker-compose, or "
		               "set DOCKER_HOST to Podman's socket (unix:///run/podman/podman.sock)");
	return project ? podman_compose_check(json_at(project, "base"), err) : 0;
}

/* -- files -- */

int compose_podman_variables(const struct session_row *row, const cJSON *base, const cJSON *environment,
                             struct err *err)
{
	const cJSON *name;
	cJSON_ArrayForEach(name, json_at(row->spec, "services"))
	{
		const cJSON *given = cJSON_GetObjectItemCaseSensitive(environment, name->valuestring);
		cleanup_json cJSON *more = given ? cJSON_Duplicate(given, true) : json_object();
		cleanup_free char *path = mem_printf("%s/%s.env", row->dir, name->valuestring);
		cleanup_str struct str text = STR_INIT;
		cJSON_DeleteItemFromObjectCaseSensitive(more, "SESSION_NAME");
		json_add_text(more, "SESSION_NAME", row->name);
		if (podman_compose_variables(base, name->valuestring, more, &text, err) ||
		    file_write(path, str_text(&text), text.len, 0600, err))
			return -1;
	}
	return 0;
}

/* -- networks and volumes -- */

static cJSON *labels_of(const struct state *st, const struct session_row *row, const cJSON *own)
{
	char expires[32];
	cJSON *labels = cJSON_IsObject(own) ? cJSON_Duplicate(own, true) : json_object();
	snprintf(expires, sizeof(expires), "%lld", (long long)row->expires_at / 1000);
	const char *const all[][2] = {{LABEL_INSTALL, st->install},
	                              {LABEL_SESSION, row->uuid},
	                              {LABEL_NAME, row->name},
	                              {LABEL_EXPIRES, expires},
	                              {"com.docker.compose.project", json_text_or(row->spec, "project", "")}};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		cJSON_DeleteItemFromObjectCaseSensitive(labels, all[i][0]);
		json_add_text(labels, all[i][0], all[i][1]);
	}
	return labels;
}

static cJSON *network_of(const cJSON *base, const char *subnet)
{
	cJSON *body = json_object(), *ipam = json_object(), *configs = json_array(), *config = json_object();
	const cJSON *options = cJSON_GetObjectItemCaseSensitive(base, "driver_opts");
	json_add_bool(body, "CheckDuplicate", true);
	json_add_bool(body, "Internal", json_bool(base, "internal", false));
	json_add_text(body, "Driver", "bridge");
	if (cJSON_IsObject(options))
		json_add(body, "Options", cJSON_Duplicate(options, true));
	json_add_text(config, "Subnet", subnet);
	cJSON_AddItemToArray(configs, config);
	json_add(ipam, "Config", configs);
	json_add(body, "IPAM", ipam);
	return body;
}

static cJSON *volume_of(const cJSON *base)
{
	cJSON *body = json_object();
	const cJSON *options = cJSON_GetObjectItemCaseSensitive(base, "driver_opts");
	if (cJSON_IsObject(options))
		json_add(body, "DriverOpts", cJSON_Duplicate(options, true));
	return body;
}

static bool is_there(const cJSON *list, const char *name)
{
	const cJSON *one;
	cJSON_ArrayForEach(one, list)
	{
		if (!strcmp(json_text_or(one, "name", ""), name))
			return true;
	}
	return false;
}

/* Those of ${kind} in the frozen file that are not there yet. */
static int make_kind(struct state *st, const struct session_row *row, enum docker_kind kind,
                     const cJSON *base, const cJSON *subnets, struct err *err)
{
	bool networks = kind == DOCKER_NETWORK;
	cleanup_json cJSON *there = compose_objects(st, row->uuid, kind, err);
	const cJSON *one;
	if (!there)
		return -1;
	cJSON_ArrayForEach(one, json_at(base, networks ? "networks" : "volumes"))
	{
		cleanup_free char *name =
		        mem_printf("%s_%s", json_text_or(row->spec, "project", ""), one->string);
		const char *subnet = json_text_or(subnets, one->string, "");
		if (is_there(there, name) || cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(one, "external")))
			continue;
		cleanup_json cJSON *body = networks ? network_of(one, subnet) : volume_of(one);
		json_add_text(body, "Name", name);
		json_add(body, "Labels", labels_of(st, row, cJSON_GetObjectItemCaseSensitive(one, "labels")));
		if (docker_call("POST", networks ? "/networks/create" : "/volumes/create", body, 0, NULL,
		                err))
			return err_wrap(err, "make %s %s", docker_kind_name(kind), name);
	}
	return 0;
}

int compose_podman_objects(struct state *st, const struct session_row *row, struct err *err)
{
	cleanup_free char *path = mem_printf("%s/" COMPOSE_BASE, row->dir), *text = NULL;
	size_t len = 0;
	if (file_read(path, BASE_MAX, &text, &len, err))
		return -1;
	cleanup_json cJSON *base = json_parse(text, len, err), *subnets = NULL;
	if (!base || !(subnets = lease_subnets(st, row->uuid, err)))
		return -1;
	return make_kind(st, row, DOCKER_NETWORK, base, subnets, err) ||
	                       make_kind(st, row, DOCKER_VOLUME, base, NULL, err)
	               ? -1
	               : 0;
}

/* -- starting what is there -- */

int compose_podman_start(struct state *st, const struct session_row *row, const cJSON *services,
                         cJSON *missing, struct err *err)
{
	const cJSON *name, *c;
	cJSON_ArrayForEach(name, services)
	{
		cleanup_json cJSON *list = compose_containers(st, row, name->valuestring, err);
		if (!list && err->code != ERR_NOT_FOUND)
			return -1;
		if (!list)
			cJSON_AddItemToArray(missing, cJSON_CreateString(name->valuestring));
		cJSON_ArrayForEach(c, list)
		{
			cleanup_free char *path =
			        mem_printf("/containers/%s/start", json_text_or(c, "id", ""));
			if (docker_call("POST", path, NULL, START_MS, NULL, err))
				return err_wrap(err, "start service %s", name->valuestring);
		}
	}
	err_clear(err);
	return 0;
}
