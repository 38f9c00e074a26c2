/* What a session needs of a resolved compose file, and the file less everything two copies would fight over. */
#include "compose/override.h"
#include "compose/project.h"
#include "compose/project_private.h"
#include "core/mem.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* More is no number that means anything, and would not fit an integer. */
#define BYTES_MAX 1e15
#define CPUS_MAX 1e6
#define COPIES_MAX 1e6

static cJSON *member(const cJSON *obj, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(obj, key);
}

static void drop(cJSON *obj, const char *key)
{
	if (cJSON_IsObject(obj))
		cJSON_DeleteItemFromObjectCaseSensitive(obj, key);
}

/* The tools print {} as null, in places. */
static cJSON *section(cJSON *base, const char *name)
{
	cJSON *s = member(base, name);
	if (!cJSON_IsObject(s)) {
		drop(base, name);
		s = json_object();
		json_add(base, name, s);
	}
	return s;
}

/* -- one service -- */

/* Bytes of 67108864, "64M", "1.5gb"; -1: unlimited or not to be understood. */
static int64_t bytes(const cJSON *value)
{
	if (cJSON_IsNumber(value))
		return value->valuedouble > 0 && value->valuedouble < BYTES_MAX ? (int64_t)value->valuedouble
		                                                                : -1;
	if (!cJSON_IsString(value))
		return -1;
	char *unit;
	double n = strtod(value->valuestring, &unit);
	static const char units[] = "bkmgt";
	const char *u = *unit ? strchr(units, *unit | 0x20) : units;
	if (unit == value->valuestring || !u || !(n > 0))
		return -1;
	for (; u > units; u--)
		n *= 1024;
	return n < BYTES_MAX ? (int64_t)n : -1;
}

static int64_t count(const cJSON *value)
{
	return cJSON_IsNumber(value) && value->valuedouble >= 0 && value->valuedouble < COPIES_MAX
	               ? (int64_t)value->valuedouble
	               : 1;
}

static double number(const cJSON *value)
{
	return cJSON_IsNumber(value)   ? value->valuedouble
	       : cJSON_IsString(value) ? strtod(value->valuestring, NULL)
	                               : 0;
}

/* The first of two places that says something. */
static const cJSON *either(const cJSON *service, const char *a, const char *b)
{
	const cJSON *value = json_at(service, a);
	return value && !cJSON_IsNull(value) ? value : json_at(service, b);
}

static bool has_healthcheck(const cJSON *service)
{
	const cJSON *check = member(service, "healthcheck"), *test = member(check, "test");
	if (!cJSON_IsObject(check) || json_bool(check, "disable", false))
		return false;
	return !(cJSON_IsArray(test) && cJSON_IsString(test->child) &&
	         !strcasecmp(test->child->valuestring, "NONE"));
}

static cJSON *take_ports(cJSON *service, struct err *err)
{
	cleanup_json cJSON *ports = json_array();
	const cJSON *entry;
	cJSON_ArrayForEach(entry,
	                   member(service, "ports")) if (project_port_add(ports, entry, err)) return NULL;
	drop(service, "ports");
	return TAKE(ports);
}

/* What the project says of ${service}, whose ports are taken out. NULL with ${err}. */
static cJSON *describe(cJSON *service, struct err *err)
{
	cJSON *ports = take_ports(service, err);
	if (!ports)
		return NULL;
	cJSON *s = json_object();
	json_add_text(s, "name", service->string);
	const cJSON *role = member(member(service, "labels"), LABEL_ROLE);
	if (cJSON_IsString(role))
		json_add_text(s, "role", role->valuestring);
	if (json_text(service, "image"))
		json_add_text(s, "image", json_text(service, "image"));
	const cJSON *build = member(service, "build"), *restart = member(service, "restart");
	json_add_bool(s, "build", build && !cJSON_IsNull(build));
	bool health = has_healthcheck(service);
	bool stays = cJSON_IsString(restart) && strcmp(restart->valuestring, "no") != 0;
	json_add_bool(s, "healthcheck", health);
	json_add_bool(s, "oneshot", !stays && !health);
	const cJSON *copies = either(service, "scale", "deploy.replicas");
	json_add_int(s, "replicas", count(copies));
	int64_t memory = bytes(either(service, "mem_limit", "deploy.resources.limits.memory"));
	if (memory > 0)
		json_add_int(s, "memory", memory);
	double cpus = number(either(service, "cpus", "deploy.resources.limits.cpus"));
	if (cpus > 0 && cpus < CPUS_MAX)
		json_add(s, "cpus", cJSON_CreateNumber(cpus));
	json_add(s, "ports", ports);
	return s;
}

/* -- networks -- */

static void use(cJSON *used, const char *name)
{
	if (!member(used, name))
		json_add_bool(used, name, true);
}

/* Note the networks of ${service} in ${used}, and take its fixed addresses. */
static void join(cJSON *service, cJSON *used)
{
	static const char *const fixed[] = {"ipv4_address", "ipv6_address", "link_local_ips"};
	cJSON *networks = member(service, "networks"), *item;
	bool list = cJSON_IsArray(networks);
	if (json_text(service, "network_mode"))
		return;
	if (!networks || !networks->child)
		use(used, "default");
	cJSON_ArrayForEach(item, networks)
	{
		for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
			drop(item, fixed[i]);
		if (!list)
			use(used, item->string);
		else if (cJSON_IsString(item))
			use(used, item->valuestring);
	}
}

/* An empty object in place of null, which the override could add nothing to. */
static cJSON *named(cJSON *all, const char *name)
{
	cJSON *one = member(all, name);
	if (cJSON_IsObject(one))
		return one;
	drop(all, name);
	one = json_object();
	json_add(all, name, one);
	return one;
}

/* Keep those that are used, add `default`, which version 1 leaves to itself, and free them of names and addresses. */
static cJSON *take_networks(cJSON *base, const cJSON *used)
{
	cJSON *all = section(base, "networks"), *names = json_array(), *next;
	for (cJSON *n = all->child; n; n = next) {
		next = n->next;
		if (!member(used, n->string))
			cJSON_Delete(cJSON_DetachItemViaPointer(all, n));
	}
	const cJSON *u;
	cJSON_ArrayForEach(u, used)
	{
		static const char *const fixed[] = {"name", "ipam", "enable_ipv6", "attachable"};
		cJSON *n = named(all, u->string);
		for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
			drop(n, fixed[i]);
		drop(member(n, "driver_opts"), "com.docker.network.bridge.name");
		cJSON_AddItemToArray(names, cJSON_CreateString(u->string));
	}
	return names;
}

/* -- all of it -- */

static cJSON *take_names(cJSON *base, const char *what)
{
	cJSON *names = json_array(), *all = member(base, what), *next;
	for (cJSON *one = cJSON_IsObject(all) ? all->child : NULL; one; one = next) {
		next = one->next;
		cJSON_AddItemToArray(names, cJSON_CreateString(one->string));
	}
	const cJSON *name;
	cJSON_ArrayForEach(name, names) drop(named(all, name->valuestring), "name");
	return names;
}

/* Fill ${out} from ${base}, which is stripped. */
static int freeze(cJSON *base, cJSON *out, struct err *err)
{
	cleanup_json cJSON *used = json_object();
	cJSON *services = member(base, "services"), *list = json_array(), *service;
	json_add(out, "services", list);
	cJSON_ArrayForEach(service, services)
	{
		cJSON *one = describe(service, err);
		if (!one)
			return err_wrap(err, "service %.80s", service->string);
		cJSON_AddItemToArray(list, one);
		drop(service, "container_name");
		drop(service, "profiles"); /* who is here was chosen */
		join(service, used);
	}
	drop(base, "name");
	json_add(out, "networks", take_networks(base, used));
	json_add(out, "volumes", take_names(base, "volumes"));
	cJSON_Delete(take_names(base, "secrets"));
	cJSON_Delete(take_names(base, "configs"));
	return 0;
}

cJSON *project_freeze(cJSON *resolved, const char *provider, const char *const *files, struct err *err)
{
	cleanup_json cJSON *base = resolved, *out = json_object();
	const cJSON *services = cJSON_GetObjectItemCaseSensitive(base, "services"), *s;
	bool good = cJSON_IsObject(services) && services->child;
	cJSON_ArrayForEach(s, services) good &= cJSON_IsObject(s);
	if (!good) {
		err_set(err, ERR_INVALID, "%s has no services that could be started", project_label(files));
		return NULL;
	}
	if (project_check(base, files, err))
		return NULL;
	json_add_text(out, "provider", provider);
	cJSON *names = json_array();
	for (const char *const *f = files; f && *f; f++)
		cJSON_AddItemToArray(names, cJSON_CreateString(*f));
	json_add(out, "files", names);
	if (freeze(base, out, err)) {
		err_wrap(err, "%s", project_label(files));
		return NULL;
	}
	json_add(out, "base", TAKE(base));
	return TAKE(out);
}
