/* What a compose file may not ask for, because it would be shared with other sessions or with the machine. One table of rules. */
#include "compose/lint.h"
#include "compose/project.h"
#include "compose/project_private.h"
#include "core/mem.h"
#include "core/str.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Where is looked, and where what is found goes. */
struct place {
	const char *dir; /* of the compose file, resolved; NULL: none */
	const struct rule *rule;
	const cJSON *item; /* the service, network … */
	const cJSON *allow;
	cJSON *findings;
};

struct rule {
	enum lint_rule id;
	const char *section; /* "services" */
	const char *key;     /* of a member of it */
	/** Calls hit() for each part of ${value} that is refused. */
	void (*look)(const cJSON *value, const struct place *p);
	const char *why, *advice;
};

static enum lint_action action_of(const struct place *p)
{
	if (p->rule->id == LINT_PROJECT_BIND)
		return LINT_TOLD;
	return lint_allowed(p->allow, p->rule->id) ? LINT_ALLOWED : LINT_REFUSED;
}

static void hit(const struct place *p, const char *value)
{
	const struct rule *r = p->rule;
	lint_add(p->findings, &(struct lint_finding){.rule = r->id,
	                                             .action = action_of(p),
	                                             .section = r->section,
	                                             .name = p->item->string,
	                                             .key = r->key,
	                                             .value = value,
	                                             .reason = r->why,
	                                             .advice = r->advice});
}

/* -- paths -- */

/* realpath() of ${path}, or of what of it is there with the rest behind it. The caller frees it. */
static char *resolve(const char *path)
{
	char *real = realpath(path, NULL);
	if (real)
		return real;
	cleanup_free char *parent = mem_strdup(path);
	char *slash = strrchr(parent, '/');
	if (!slash || slash == parent)
		return mem_strdup(path);
	*slash = '\0';
	cleanup_free char *up = resolve(parent);
	return mem_printf("%s/%s", up, slash + 1);
}

/* Whether host path ${path} lies outside of the compose file's directory, through links too. A path with .. behind what is
 * not there counts as outside. */
static bool is_outside(const char *path, const struct place *p)
{
	cleanup_free char *real = resolve(path);
	size_t n = p->dir ? strlen(p->dir) : 0;
	return !(n > 1 && !strncmp(real, p->dir, n) && (real[n] == '/' || !real[n]) && !strstr(real, "/../"));
}

/* The host path that a volume of a service binds; the caller frees it. NULL: it binds none. A path is one, whatever its type says. */
static char *bind_source(const cJSON *volume)
{
	if (cJSON_IsString(volume)) {
		const char *text = volume->valuestring, *colon = strchr(text, ':');
		return colon && strchr("/.~", text[0]) ? mem_strndup(text, (size_t)(colon - text)) : NULL;
	}
	const char *source = json_text(volume, "source");
	bool binds = !strcmp(json_text_or(volume, "type", ""), "bind");
	return source && source[0] && (binds || strchr("/.~", source[0])) ? mem_strdup(source) : NULL;
}

/* -- what is refused -- */

static bool is_true(const cJSON *value)
{
	return cJSON_IsTrue(value) || (cJSON_IsString(value) && !strcasecmp(value->valuestring, "true"));
}

static void when_true(const cJSON *value, const struct place *p)
{
	if (is_true(value))
		hit(p, NULL);
}

/* Anything but nothing: null, false, an empty text. */
static void always(const cJSON *value, const struct place *p)
{
	if (!cJSON_IsNull(value) && !cJSON_IsFalse(value) &&
	    !(cJSON_IsString(value) && !value->valuestring[0]))
		hit(p, cJSON_IsString(value) ? value->valuestring : NULL);
}

/* Anything but an empty list. */
static void requests(const cJSON *value, const struct place *p)
{
	if (!cJSON_IsArray(value) || value->child)
		always(value, p);
}

#define RESERVED "resources.reservations.devices"

static void reserved_devices(const cJSON *value, const struct place *p)
{
	const cJSON *devices = json_at(value, RESERVED);
	if (cJSON_IsArray(devices) && devices->child)
		hit(p, RESERVED);
}

/* What it is called outside stands beside it, or in it in older files. */
static void external(const cJSON *value, const struct place *p)
{
	if (!cJSON_IsNull(value) && !cJSON_IsFalse(value))
		hit(p, json_text_or(p->item, "name", json_text(value, "name")));
}

/* Every one of a list; of a mapping the part that is the host's. */
static void each(const cJSON *value, const struct place *p)
{
	const cJSON *item;
	cJSON_ArrayForEach(item, value)
	{
		const char *text =
		        cJSON_IsString(item) ? item->valuestring : json_text_or(item, "source", "?");
		cleanup_free char *source =
		        mem_strndup(text, *text == '/' ? strcspn(text, ":") : strlen(text));
		hit(p, source);
	}
}

static const char *text_of(const cJSON *value)
{
	return cJSON_IsString(value) ? value->valuestring : "";
}

static void host_network(const cJSON *value, const struct place *p)
{
	if (!strcmp(text_of(value), "host"))
		hit(p, "host");
}

/* Only none and service:… stay within the session; host is a rule of its own. */
static void shared_network(const cJSON *value, const struct place *p)
{
	const char *text = text_of(value);
	if (*text && strcmp(text, "none") != 0 && strcmp(text, "host") != 0 &&
	    strncmp(text, "service:", 8) != 0)
		hit(p, text);
}

static void foreign_namespace(const cJSON *value, const struct place *p)
{
	const char *text = text_of(value);
	if (!strcmp(text, "host") || !strncmp(text, "container:", 10))
		hit(p, text);
}

static void strong_capability(const cJSON *value, const struct place *p)
{
	/* each of these reaches the machine or its kernel; what Docker gives by itself is not among them */
	static const char *const strong[] = {
	        "ALL",
	        "SYS_ADMIN",
	        "NET_ADMIN",
	        "SYS_MODULE",
	        "SYS_RAWIO",
	        "SYS_BOOT",
	        "SYS_PTRACE",
	        "SYS_TIME",
	        "DAC_READ_SEARCH",
	        "BPF",
	        "PERFMON",
	        "SYSLOG",
	        "MAC_ADMIN",
	        "MAC_OVERRIDE",
	        "LINUX_IMMUTABLE",
	        "CHECKPOINT_RESTORE",
	        "SYS_RESOURCE",
	};
	const cJSON *item;
	cJSON_ArrayForEach(item, value)
	{
		const char *name = cJSON_IsString(item) ? item->valuestring : "ALL";
		if (!strncasecmp(name, "CAP_", 4))
			name += 4;
		for (size_t i = 0; i < ARRAY_LEN(strong); i++)
			if (!strcasecmp(name, strong[i]))
				hit(p, name);
	}
}

static void unconfined(const cJSON *value, const struct place *p)
{
	const cJSON *item;
	cJSON_ArrayForEach(item, value)
	{
		const char *text = text_of(item);
		if (strstr(text, "unconfined") || !strcasecmp(text, "label:disable") ||
		    !strcasecmp(text, "label=disable"))
			hit(p, text);
	}
}

static bool is_engine_socket(const char *source)
{
	static const char *const sockets[] = {"docker.sock", "podman.sock", "containerd.sock", "crio.sock"};
	cleanup_free char *real = resolve(source);
	for (size_t i = 0; i < ARRAY_LEN(sockets); i++)
		if (strstr(source, sockets[i]) || strstr(real, sockets[i]))
			return true;
	return false;
}

/* Whether an engine's socket lies below ${source}. */
static bool holds_engine_socket(const char *source)
{
	static const char *const sockets[] = {"/run/docker.sock", "/var/run/docker.sock",
	                                      "/run/podman/podman.sock", "/run/containerd/containerd.sock"};
	cleanup_free char *real = resolve(source);
	size_t n = strlen(real);
	n -= n && real[n - 1] == '/'; /* the root itself */
	for (size_t i = 0; i < ARRAY_LEN(sockets); i++)
		if (!strncmp(sockets[i], real, n) && sockets[i][n] == '/')
			return true;
	return false;
}

static void engine_socket(const cJSON *value, const struct place *p)
{
	const cJSON *item;
	cJSON_ArrayForEach(item, value)
	{
		cleanup_free char *source = bind_source(item);
		if (source && (is_engine_socket(source) || holds_engine_socket(source)))
			hit(p, source);
	}
}

static void outside_bind(const cJSON *value, const struct place *p)
{
	const cJSON *item;
	cJSON_ArrayForEach(item, value)
	{
		cleanup_free char *source = bind_source(item);
		if (source && !is_engine_socket(source) && is_outside(source, p))
			hit(p, source);
	}
}

/* "/a:/b:ro,z", or {"read_only":true}. */
static bool is_read_only(const cJSON *volume)
{
	if (!cJSON_IsString(volume))
		return json_bool(volume, "read_only", false);
	const char *options = strrchr(volume->valuestring, ':') + 1;
	cleanup_free char *list = mem_printf(",%s,", options);
	return strstr(list, ",ro,");
}

/* Every session of the file has the same one. All of a service are one finding: there may be many, and they are no reason to refuse it. */
static void inside_binds(const cJSON *value, const struct place *p)
{
	cleanup_str struct str all = STR_INIT;
	size_t n = p->dir ? strlen(p->dir) : 0;
	const cJSON *item;
	cJSON_ArrayForEach(item, value)
	{
		cleanup_free char *source = bind_source(item);
		if (!source || is_outside(source, p) || is_read_only(item))
			continue;
		bool beside = !strncmp(source, p->dir, n);
		str_addf(&all, "%s%s%s", all.len ? ", " : "", beside ? "." : "", source + (beside ? n : 0));
	}
	if (all.len)
		hit(p, str_text(&all));
}

static void foreign_volumes(const cJSON *value, const struct place *p)
{
	const cJSON *item;
	cJSON_ArrayForEach(item, value) if (!strncmp(text_of(item), "container:", 10))
	        hit(p, item->valuestring);
}

static void outside_file(const cJSON *value, const struct place *p)
{
	if (cJSON_IsString(value) && is_outside(value->valuestring, p))
		hit(p, value->valuestring);
}

static void foreign_driver(const cJSON *value, const struct place *p)
{
	const char *text = text_of(value);
	if (*text && strcmp(text, "bridge") != 0 && strcmp(text, "default") != 0)
		hit(p, text);
}

/* driver_opts of the local driver are those of mount(8), done by root: `proc`, or an overlay of /etc, needs no path in `device`. What
 * several sessions could mount is refused; a tmpfs is each one's own. */
static void host_mount(const cJSON *value, const struct place *p)
{
	const char *device = json_text_or(value, "device", ""), *o = json_text_or(value, "o", ""),
	           *type = json_text_or(value, "type", "");
	bool own = !strcmp(type, "tmpfs") && device[0] != '/' && device[0] != '.' && !strstr(o, "bind");
	if (cJSON_IsObject(value) && value->child && !own)
		hit(p, device[0] ? device : type);
}

static void foreign_volume_driver(const cJSON *value, const struct place *p)
{
	const char *text = text_of(value);
	if (*text && strcmp(text, "local") != 0 && strcmp(text, "default") != 0)
		hit(p, text);
}

/* -- builds: what the builder reads, and what it may do -- */

/* Where the tools leave a path alone, it is an address: https://…, git@…, docker-image://… */
static void outside_context(const cJSON *context, const struct place *p)
{
	const char *path = text_of(context);
	if (path[0] && strchr("/.~", path[0]) && is_outside(path, p))
		hit(p, path);
}

static void outside_build(const cJSON *value, const struct place *p)
{
	const cJSON *context = cJSON_IsString(value) ? value : json_at(value, "context"), *more;
	const char *dockerfile = json_text_or(value, "dockerfile", "");
	outside_context(context, p);
	cJSON_ArrayForEach(more, json_at(value, "additional_contexts")) outside_context(more, p);
	cleanup_free char *beside = mem_printf("%s/%s", text_of(context), dockerfile);
	const char *read = dockerfile[0] == '/' ? dockerfile : beside;
	if (dockerfile[0] && read[0] == '/' && is_outside(read, p))
		hit(p, read);
}

/* The builder works for root, and without the limits of a session. */
static void strong_build(const cJSON *value, const struct place *p)
{
	const char *network = json_text_or(value, "network", "");
	const cJSON *item;
	cleanup_free char *shared = mem_printf("network %s", network);
	if (is_true(json_at(value, "privileged")))
		hit(p, "privileged");
	if (!strcmp(network, "host") || !strncmp(network, "container:", 10))
		hit(p, shared);
	if (cJSON_IsArray(item = json_at(value, "entitlements")) && item->child)
		hit(p, "entitlements");
	cJSON_ArrayForEach(item, json_at(value, "cache_to"))
	{
		cleanup_free char *cache = mem_printf("cache_to %s", text_of(item));
		if (strstr(cache, "dest="))
			hit(p, cache);
	}
}

#define BY_NAME "leave it out: services of one session reach each other by name"
#define OWN_SPACE "leave it out"
#define NOT_ISOLATED "reaches the machine itself, not only the session"

static const struct rule rules[] = {
        {LINT_HOST_NETWORK, "services", "network_mode", host_network,
         "is the machine's own network, where sessions meet", BY_NAME},
        {LINT_SHARED_NETWORK, "services", "network_mode", shared_network,
         "is a network that others are in too", BY_NAME},
        {LINT_HOST_PID, "services", "pid", foreign_namespace, "shows processes outside the session",
         OWN_SPACE},
        {LINT_HOST_IPC, "services", "ipc", foreign_namespace,
         "shares memory with what is outside the session", OWN_SPACE},
        {LINT_HOST_UTS, "services", "uts", foreign_namespace, NOT_ISOLATED, OWN_SPACE},
        {LINT_HOST_USERNS, "services", "userns_mode", foreign_namespace, NOT_ISOLATED, OWN_SPACE},
        {LINT_HOST_CGROUP, "services", "cgroup", foreign_namespace, NOT_ISOLATED, OWN_SPACE},
        {LINT_CGROUP_PARENT, "services", "cgroup_parent", always,
         "takes the service out of the session's limits", OWN_SPACE},
        {LINT_PRIVILEGED, "services", "privileged", when_true, NOT_ISOLATED,
         "leave it out, or add the one harmless capability it needs"},
        {LINT_DEVICES, "services", "devices", each, NOT_ISOLATED, "leave the devices out for sessions"},
        {LINT_DEVICES, "services", "device_cgroup_rules", each, NOT_ISOLATED,
         "leave the devices out for sessions"},
        {LINT_DEVICES, "services", "gpus", requests, NOT_ISOLATED, "leave the devices out for sessions"},
        {LINT_DEVICES, "services", "deploy", reserved_devices, NOT_ISOLATED,
         "leave the devices out for sessions"},
        {LINT_CAPABILITY, "services", "cap_add", strong_capability, NOT_ISOLATED, "take it out of cap_add"},
        {LINT_UNCONFINED, "services", "security_opt", unconfined, "takes the machine's protection away",
         "take it out of security_opt"},
        {LINT_ENGINE_SOCKET, "services", "volumes", engine_socket, "gives the service the whole machine",
         "take this volume out"},
        {LINT_HOST_BIND, "services", "volumes", outside_bind,
         "lies outside the directory of the compose file",
         "move it into that directory, or take a named volume"},
        {LINT_PROJECT_BIND, "services", "volumes", inside_binds,
         "is written by every session of this file, and stays when they are removed",
         "bind it read-only (:ro), or take a named volume, of which each session has its own"},
        {LINT_SHARED_VOLUME, "services", "volumes_from", foreign_volumes,
         "belongs to a container outside the session", "take a named volume"},
        {LINT_BUILD_OUTSIDE, "services", "build", outside_build,
         "lies outside the directory of the compose file", "move it there"},
        {LINT_BUILD_PRIVILEGED, "services", "build", strong_build, NOT_ISOLATED, "take it out of build"},
        {LINT_EXTERNAL_LINK, "services", "external_links", each, "is a container outside the session",
         BY_NAME},
        {LINT_ENGINE_SOCKET, "services", "use_api_socket", when_true, "gives the service the whole machine",
         OWN_SPACE},
        {LINT_HOST_PROGRAM, "services", "provider", always, "runs a program on the machine",
         "describe the service by an image"},
        {LINT_EXTERNAL_NETWORK, "networks", "external", external, "would be shared by all sessions",
         "leave external out: each session gets its own"},
        {LINT_NETWORK_DRIVER, "networks", "driver", foreign_driver, NOT_ISOLATED,
         "leave the driver out, or make the network yourself and name it as an external one"},
        {LINT_EXTERNAL_VOLUME, "volumes", "external", external, "would be shared by all sessions",
         "leave external out: each session gets its own"},
        {LINT_VOLUME_DRIVER, "volumes", "driver", foreign_volume_driver,
         "may keep it where all sessions meet", "leave the driver out"},
        {LINT_HOST_MOUNT, "volumes", "driver_opts", host_mount,
         "would be mounted from the machine, or shared by all sessions",
         "leave driver_opts out, unless its type is tmpfs"},
        {LINT_EXTERNAL_SECRET, "secrets", "external", external, "is not known to a session",
         "name a file in the directory of the compose file"},
        {LINT_HOST_BIND, "secrets", "file", outside_file, "lies outside the directory of the compose file",
         "move it there"},
        {LINT_EXTERNAL_SECRET, "configs", "external", external, "is not known to a session",
         "name a file in the directory of the compose file"},
        {LINT_HOST_BIND, "configs", "file", outside_file, "lies outside the directory of the compose file",
         "move it there"},
};

const char *project_label(const char *const *files)
{
	return files && files[0] ? files[0] : "the built-in compose file";
}

/* Names go into the tools' arguments, names of objects and the override: none may look like an option. The tools allow one to. */
static void check_names(const cJSON *base, cJSON *findings)
{
	static const char *const sections[] = {"services", "networks", "volumes"};
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
		const cJSON *item;
		cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(base, sections[i]))
		{
			const char *name = item->string ?: "";
			if (name[0] && !strchr("-.", name[0]) && !name[strspn(name, allowed)])
				continue;
			lint_add(findings,
			         &(struct lint_finding){.rule = LINT_ODD_NAME,
			                                .action = LINT_REFUSED,
			                                .section = sections[i],
			                                .name = name,
			                                .key = "its name",
			                                .reason = "is none that can be used here",
			                                .advice = "take letters, digits, ., _ and -, the "
			                                          "first a letter or digit"});
		}
	}
}

static void check_item(const cJSON *item, const char *section, struct place *p)
{
	p->item = item;
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		p->rule = &rules[i];
		const cJSON *value = strcmp(section, p->rule->section)
		                             ? NULL
		                             : cJSON_GetObjectItemCaseSensitive(item, p->rule->key);
		if (value)
			p->rule->look(value, p);
	}
}

void project_check(const cJSON *base, const char *const *files, const cJSON *allow, cJSON *findings)
{
	static const char *const sections[] = {"services", "networks", "volumes", "secrets", "configs"};
	cleanup_free char *dir = NULL;
	if (files && files[0]) {
		cleanup_free char *file = mem_strdup(files[0]);
		*(strrchr(file, '/') ?: file) = '\0';
		dir = resolve(file);
	}
	check_names(base, findings);
	for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
		const cJSON *item;
		cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(base, sections[i])) check_item(
		        item, sections[i], &(struct place){.dir = dir, .allow = allow, .findings = findings});
	}
}
