/* What a session needs of a resolved compose file, and the file less everything two copies would fight over. */
#include "compose/lint.h"
#include "compose/override.h"
#include "compose/project.h"
#include "compose/project_private.h"
#include "core/mem.h"
#include "core/str.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* More is no number that means anything, and would not fit an integer. */
#define BYTES_MAX 1e15
#define CPUS_MAX 1e6
#define COPIES_MAX 1e6

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
	const cJSON *check = project_member(service, "healthcheck"), *test = project_member(check, "test");
	if (!cJSON_IsObject(check) || json_bool(check, "disable", false))
		return false;
	return !(cJSON_IsArray(test) && cJSON_IsString(test->child) &&
	         !strcasecmp(test->child->valuestring, "NONE"));
}

/* Whether the engine can publish ports of it: not where it has the network of something else. */
static bool publishes(const cJSON *service)
{
	const char *mode = json_text_or(service, "network_mode", "");
	return strcmp(mode, "host") != 0 && strcmp(mode, "none") != 0 && strncmp(mode, "service:", 8) != 0 &&
	       strncmp(mode, "container:", 10) != 0;
}

static cJSON *take_ports(cJSON *service, struct err *err)
{
	cleanup_json cJSON *ports = json_array();
	const cJSON *given = publishes(service) ? project_member(service, "ports") : NULL, *entry;
	cJSON_ArrayForEach(entry, given) if (project_port_add(ports, entry, err)) return NULL;
	project_drop(service, "ports");
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
	const cJSON *role = project_member(project_member(service, "labels"), LABEL_ROLE);
	if (cJSON_IsString(role))
		json_add_text(s, "role", role->valuestring);
	if (json_text(service, "image"))
		json_add_text(s, "image", json_text(service, "image"));
	const cJSON *build = project_member(service, "build"), *restart = project_member(service, "restart");
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

/* Host ports that the file fixes: "8080:80, 443:443/udp". */
static void note_ports(const struct frost *f, const cJSON *service)
{
	cleanup_str struct str fixed = STR_INIT;
	const cJSON *entry;
	cJSON_ArrayForEach(entry, project_member(service, "ports"))
	{
		const cJSON *published = project_member(entry, "published");
		const char *text = cJSON_IsString(entry) ? strchr(entry->valuestring, ':') : NULL;
		const char *comma = fixed.len ? ", " : "";
		if (text)
			str_addf(&fixed, "%s%s", comma, entry->valuestring);
		else if (cJSON_IsString(published) && published->valuestring[0])
			str_addf(&fixed, "%s%s:%lld", comma, published->valuestring,
			         (long long)json_int(entry, "target", 0));
		else if (cJSON_IsNumber(published))
			str_addf(&fixed, "%s%.0f:%lld", comma, published->valuedouble,
			         (long long)json_int(entry, "target", 0));
	}
	if (fixed.len)
		project_note(f, LINT_HOST_PORT, "services", service->string, str_text(&fixed));
}

static void take_container_name(const struct frost *f, cJSON *service)
{
	const char *name = json_text(service, "container_name");
	if (name)
		project_note(f, LINT_CONTAINER_NAME, "services", service->string, name);
	project_drop(service, "container_name");
}

/* -- images that are built -- */

static bool is_built(const cJSON *service)
{
	const cJSON *build = project_member(service, "build");
	return cJSON_IsObject(build) || (cJSON_IsString(build) && build->valuestring[0]);
}

/* Whether two references mean one image: app and app:latest do. */
static bool same_image(const char *a, const char *b)
{
	static const char latest[] = ":latest";
	size_t n = strlen(a), m = strlen(b), l = strlen(latest);
	n -= n > l && !strcmp(a + n - l, latest) ? l : 0;
	m -= m > l && !strcmp(b + m - l, latest) ? l : 0;
	return n == m && !strncmp(a, b, n);
}

/* A service of an image that another one builds gets the same build: its name will be another one. */
static void share_build(const cJSON *services, cJSON *service)
{
	const char *image = json_text(service, "image"), *built;
	const cJSON *other;
	if (!image || is_built(service))
		return;
	cJSON_ArrayForEach(other, services)
	{
		if (!is_built(other) || !(built = json_text(other, "image")) || !same_image(image, built))
			continue;
		project_drop(service, "build");
		json_add(service, "build", cJSON_Duplicate(project_member(other, "build"), true));
		return;
	}
}

/* Names that the image of ${service} would be given; its build as an object, which the override adds labels to. */
static void take_image_names(const struct frost *f, cJSON *service)
{
	const cJSON *build = project_member(service, "build"), *tag;
	if (!is_built(service))
		return;
	if (cJSON_IsString(build)) {
		cJSON *object = json_object();
		json_add_text(object, "context", build->valuestring);
		cJSON_ReplaceItemInObjectCaseSensitive(service, "build", object);
	}
	if (json_text(service, "image"))
		project_note(f, LINT_IMAGE_NAME, "services", service->string, json_text(service, "image"));
	cJSON_ArrayForEach(tag, json_at(service, "build.tags"))
	{
		if (cJSON_IsString(tag))
			project_note(f, LINT_IMAGE_NAME, "services", service->string, tag->valuestring);
	}
	project_drop(service, "image");
	project_drop(project_member(service, "build"), "tags");
}

/* -- all of it -- */

/* What it may do without, and whose profile was not chosen: the tools forgive that only where they know of the profile. */
static void take_absent(const cJSON *services, cJSON *service)
{
	cJSON *needs = project_member(service, "depends_on"), *next;
	for (cJSON *one = cJSON_IsObject(needs) ? needs->child : NULL; one; one = next) {
		next = one->next;
		if (!json_bool(one, "required", true) && !project_member(services, one->string))
			cJSON_Delete(cJSON_DetachItemViaPointer(needs, one));
	}
	if (cJSON_IsObject(needs) && !needs->child)
		project_drop(service, "depends_on");
}

static int freeze_service(const struct frost *f, cJSON *service, cJSON *list, struct err *err)
{
	note_ports(f, service);
	take_container_name(f, service);
	take_image_names(f, service);
	cJSON *one = describe(service, err);
	if (!one)
		return err_wrap(err, "service %.80s", service->string);
	cJSON_AddItemToArray(list, one);
	project_name_volumes(f, service, json_int(one, "replicas", 1));
	project_drop(service, "profiles"); /* who is here was chosen */
	take_absent(project_member(f->base, "services"), service);
	project_join(f, service);
	return 0;
}

/* Fill f->out from f->base, which is stripped. */
static int freeze(const struct frost *f, struct err *err)
{
	cJSON *services = project_member(f->base, "services"), *list = json_array(), *service;
	json_add(f->out, "services", list);
	cJSON_ArrayForEach(service, services)
	{
		if (freeze_service(f, service, list, err))
			return -1;
	}
	project_drop(f->base, "name");
	project_take_networks(f);
	json_add(f->out, "volumes", project_take_names(f, "volumes"));
	cJSON_Delete(project_take_names(f, "secrets"));
	cJSON_Delete(project_take_names(f, "configs"));
	return 0;
}

cJSON *project_freeze(cJSON *resolved, const char *provider, const char *const *files, const cJSON *allow,
                      struct err *err)
{
	cleanup_json cJSON *base = resolved, *out = json_object(), *used = json_object();
	cJSON *services = project_member(base, "services"), *s;
	bool good = cJSON_IsObject(services) && services->child;
	cJSON_ArrayForEach(s, services) good &= cJSON_IsObject(s);
	if (!good) {
		err_set(err, ERR_INVALID, "%s has no services that could be started", project_label(files));
		return NULL;
	}
	struct frost f = {.base = base,
	                  .out = out,
	                  .findings = json_array(),
	                  .allow = allow,
	                  .used = used,
	                  .podman = !strcmp(provider, PROVIDER_PODMAN)};
	json_add(out, "findings", f.findings);
	cJSON_ArrayForEach(s, services) share_build(services, s);
	project_check(base, files, allow, f.findings);
	json_add_text(out, "provider", provider);
	cJSON *names = json_array();
	for (const char *const *one = files; one && *one; one++)
		cJSON_AddItemToArray(names, cJSON_CreateString(*one));
	json_add(out, "files", names);
	if (freeze(&f, err)) {
		err_wrap(err, "%s", project_label(files));
		return NULL;
	}
	json_add(out, "base", TAKE(base));
	return TAKE(out);
}
