/* What podman-compose must not be given, how the rest is put to it, and whether it did what it was asked. */
#include "compose/podman_compose.h"
#include "core/mem.h"
#include <stdlib.h>
#include <string.h>

#define INSTEAD "take docker-compose, which works with Podman's socket too, or leave it out"

bool podman_compose_known(const unsigned version[3])
{
	return version[0] == 1 && version[1] == 0 && version[2] >= 3 && version[2] <= 5;
}

static cJSON *member(const cJSON *object, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(object, key);
}

static void put(cJSON *object, const char *key, cJSON *value)
{
	cJSON_DeleteItemFromObjectCaseSensitive(object, key);
	json_add(object, key, value);
}

/* -- what it cannot do -- */

/* What it reads (container_to_args and what that calls), and what may be dropped: Podman's own limits of processes and of the time to stop are
 * much the same, and it asks its own server for names. */
static const char *const known_keys[] = {
        "annotations", "build",
        "cap_add",     "cap_drop",
        "command",     "container_name",
        "cpu_shares",  "cpus",
        "depends_on",  "deploy",
        "entrypoint",  "environment",
        "expose",      "extra_hosts",
        "healthcheck", "hostname",
        "image",       "init",
        "labels",      "logging",
        "mem_limit",   "mem_reservation",
        "networks",    "ports",
        "privileged",  "profiles",
        "pull_policy", "read_only",
        "restart",     "scale",
        "secrets",     "security_opt",
        "shm_size",    "stdin_open",
        "stop_signal", "sysctls",
        "tmpfs",       "tty",
        "ulimits",     "user",
        "volumes",     "working_dir",
        "dns_opt",     "stop_grace_period",
        "pids_limit",
};

static bool is_known(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(known_keys); i++)
		if (!strcmp(known_keys[i], key))
			return true;
	return !strncmp(key, "x-", 2);
}

static int refuse(const cJSON *service, const char *what, const char *why, struct err *err)
{
	return err_set(err, ERR_INVALID, "service %.80s: %.80s: podman-compose %s; %s", service->string, what,
	               why, INSTEAD);
}

static int check_service(const cJSON *service, struct err *err)
{
	const cJSON *item;
	cJSON_ArrayForEach(item, service)
	{
		if (!is_known(item->string) && !cJSON_IsNull(item))
			return refuse(service, item->string, "does not know it", err);
	}
	cJSON_ArrayForEach(item, member(service, "networks"))
	{
		if (cJSON_IsObject(item) && item->child)
			return refuse(service, item->child->string,
			              "gives services no other names or addresses in a network", err);
	}
	cJSON_ArrayForEach(item, member(service, "depends_on"))
	{
		if (!strcmp(json_text_or(item, "condition", ""), "service_completed_successfully"))
			return refuse(service, "service_completed_successfully", "does not know it", err);
	}
	return member(service, "build")
	               ? refuse(service, "build",
	                        "labels no images, so that they could not be found and removed", err)
	               : 0;
}

int podman_compose_check(const cJSON *base, struct err *err)
{
	const cJSON *service;
	if (member(base, "include"))
		return err_set(err, ERR_INVALID, "include: podman-compose does not know it; %s", INSTEAD);
	cJSON_ArrayForEach(service, member(base, "services"))
	{
		if (check_service(service, err))
			return -1;
	}
	return 0;
}

/* -- what it is given -- */

static void list_networks(cJSON *service)
{
	cJSON *names = json_array();
	const cJSON *networks = member(service, "networks"), *item;
	cJSON_ArrayForEach(item, networks) cJSON_AddItemToArray(
	        names, cJSON_CreateString(cJSON_IsObject(networks) ? item->string : item->valuestring));
	if (names->child)
		put(service, "networks", names);
	else
		cJSON_Delete(names);
}

static void add_copies(cJSON *service)
{
	cJSON *scale = cJSON_DetachItemFromObjectCaseSensitive(service, "scale");
	if (!scale)
		return;
	if (!member(service, "deploy"))
		json_add(service, "deploy", json_object());
	put(member(service, "deploy"), "replicas", scale);
}

void podman_compose_base(cJSON *base, const char *dir)
{
	cJSON *service;
	cJSON_ArrayForEach(service, member(base, "services"))
	{
		cleanup_free char *path = mem_printf("%s/%s.env", dir, service->string);
		cJSON *files = json_array();
		cJSON_AddItemToArray(files, cJSON_CreateString(path));
		cJSON_DeleteItemFromObjectCaseSensitive(service, "depends_on");
		cJSON_DeleteItemFromObjectCaseSensitive(service, "environment");
		put(service, "env_file", files);
		list_networks(service);
		add_copies(service);
	}
}

static char *single_dollars(const char *text)
{
	cleanup_str struct str out = STR_INIT;
	for (const char *p = text; *p; p++) {
		str_addc(&out, *p);
		p += p[0] == '$' && p[1] == '$';
	}
	return str_take(&out);
}

static int add_variable(const char *service, const char *key, const char *text, struct str *out,
                        struct err *err)
{
	if (strpbrk(text, "\r\n") || strpbrk(key, "=\r\n") || *key == '#')
		return err_set(err, ERR_INVALID,
		               "service %.80s: variable %.80s has several lines, which podman-compose could "
		               "only be given for "
		               "everybody to see; %s",
		               service, key, INSTEAD);
	str_addf(out, "%s=%s\n", key, text);
	return 0;
}

int podman_compose_variables(const cJSON *base, const char *service, const cJSON *more, struct str *out,
                             struct err *err)
{
	const cJSON *own = member(member(member(base, "services"), service), "environment"), *item;
	cJSON_ArrayForEach(item, own)
	{
		cleanup_free char *text = cJSON_IsString(item) ? single_dollars(item->valuestring) : NULL;
		if (text && !member(more, item->string) &&
		    add_variable(service, item->string, text, out, err))
			return -1;
	}
	cJSON_ArrayForEach(item, more)
	{
		if (cJSON_IsString(item) && add_variable(service, item->string, item->valuestring, out, err))
			return -1;
	}
	return 0;
}

/* -- how it ended -- */

/* "podman run …", "exit code: N". Where a container is there already, `run` fails and `podman start NAME` follows. */
int podman_compose_status(const char *printed)
{
	static const char code[] = "exit code: ", any[] = "podman ", start[] = "podman start ";
	int status = 0, last = 0;
	for (const char *line = printed; line && *line;
	     line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		if (!strncmp(line, code, strlen(code)))
			last = atoi(line + strlen(code));
		else if (!strncmp(line, any, strlen(any)) && strncmp(line, start, strlen(start)) && !status)
			status = last;
	}
	return status ? status : last;
}
