/* What a session's compose file may not ask for, because it would be shared with other sessions or with the machine. One table of rules. */
#include "compose/project.h"
#include "compose/project_private.h"
#include "core/mem.h"
#include "core/str.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct where {
	const char *dir; /* of the compose file, resolved; NULL: none */
	char *shown;     /* what is wrong with the value, for the message; owned */
};

struct rule {
	const char *section; /* "services" */
	const char *key;     /* of a member of it */
	/** Whether ${value} is refused; may put the part of it that is into where->shown. */
	bool (*refused)(const cJSON *value, struct where *w);
	const char *why, *advice;
};

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
static bool is_outside(const char *path, struct where *w)
{
	cleanup_free char *real = resolve(path);
	size_t n = w->dir ? strlen(w->dir) : 0;
	if (n > 1 && !strncmp(real, w->dir, n) && (real[n] == '/' || !real[n]) && !strstr(real, "/../"))
		return false;
	w->shown = mem_strdup(path);
	return true;
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

static bool always(const cJSON *value, struct where *w)
{
	(void)w;
	return !cJSON_IsNull(value) && !cJSON_IsFalse(value) && !(cJSON_IsArray(value) && !value->child) &&
	       !(cJSON_IsString(value) && !value->valuestring[0]);
}

static bool is_true(const cJSON *value, struct where *w)
{
	(void)w;
	return cJSON_IsTrue(value) || (cJSON_IsString(value) && !strcasecmp(value->valuestring, "true"));
}

/* Only none and service:… stay within the session. */
static bool foreign_network(const cJSON *value, struct where *w)
{
	const char *text = cJSON_IsString(value) ? value->valuestring : "none";
	if (!strcmp(text, "none") || !strncmp(text, "service:", 8))
		return false;
	w->shown = mem_strdup(text);
	return true;
}

static bool foreign_namespace(const cJSON *value, struct where *w)
{
	const char *text = cJSON_IsString(value) ? value->valuestring : "";
	if (strcmp(text, "host") != 0 && strncmp(text, "container:", 10) != 0)
		return false;
	w->shown = mem_strdup(text);
	return true;
}

static bool strong_capability(const cJSON *value, struct where *w)
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
			if (!strcasecmp(name, strong[i])) {
				w->shown = mem_strdup(name);
				return true;
			}
	}
	return false;
}

static bool unconfined(const cJSON *value, struct where *w)
{
	const cJSON *item;
	cJSON_ArrayForEach(item, value)
	{
		const char *text = cJSON_IsString(item) ? item->valuestring : "";
		if (strstr(text, "unconfined") || !strcasecmp(text, "label:disable") ||
		    !strcasecmp(text, "label=disable")) {
			w->shown = mem_strdup(text);
			return true;
		}
	}
	return false;
}

static bool engine_socket(const cJSON *value, struct where *w)
{
	static const char *const sockets[] = {"docker.sock", "podman.sock", "containerd.sock", "crio.sock"};
	const cJSON *item;
	cJSON_ArrayForEach(item, value)
	{
		cleanup_free char *source = bind_source(item), *real = source ? resolve(source) : NULL;
		for (size_t i = 0; real && i < ARRAY_LEN(sockets); i++)
			if (strstr(source, sockets[i]) || strstr(real, sockets[i])) {
				w->shown = TAKE(source);
				return true;
			}
	}
	return false;
}

static bool outside_bind(const cJSON *value, struct where *w)
{
	const cJSON *item;
	cJSON_ArrayForEach(item, value)
	{
		cleanup_free char *source = bind_source(item);
		if (source && is_outside(source, w))
			return true;
	}
	return false;
}

static bool foreign_volumes(const cJSON *value, struct where *w)
{
	const cJSON *item;
	cJSON_ArrayForEach(item, value)
	{
		if (cJSON_IsString(item) && !strncmp(item->valuestring, "container:", 10)) {
			w->shown = mem_strdup(item->valuestring);
			return true;
		}
	}
	return false;
}

static bool outside_file(const cJSON *value, struct where *w)
{
	return cJSON_IsString(value) && is_outside(value->valuestring, w);
}

static bool foreign_driver(const cJSON *value, struct where *w)
{
	const char *text = cJSON_IsString(value) ? value->valuestring : "";
	if (!text[0] || !strcmp(text, "bridge") || !strcmp(text, "default"))
		return false;
	w->shown = mem_strdup(text);
	return true;
}

/* driver_opts of the local driver are those of mount(8), done by root: `proc`, or an overlay of /etc, needs no path in `device`. What
 * several sessions could mount is refused; a tmpfs is each one's own. */
static bool host_mount(const cJSON *value, struct where *w)
{
	const char *device = json_text_or(value, "device", ""), *o = json_text_or(value, "o", ""),
	           *type = json_text_or(value, "type", "");
	if (!cJSON_IsObject(value) || !value->child)
		return false;
	if (!strcmp(type, "tmpfs") && device[0] != '/' && device[0] != '.' && !strstr(o, "bind"))
		return false;
	w->shown = mem_strdup(device[0] ? device : type);
	return true;
}

static bool foreign_volume_driver(const cJSON *value, struct where *w)
{
	const char *text = cJSON_IsString(value) ? value->valuestring : "";
	if (!text[0] || !strcmp(text, "local") || !strcmp(text, "default"))
		return false;
	w->shown = mem_strdup(text);
	return true;
}

/* -- builds: what the builder reads, and what it may do -- */

/* Where the tools leave a path alone, it is an address: https://…, git@…, docker-image://… */
static bool outside_context(const cJSON *context, struct where *w)
{
	const char *path = cJSON_IsString(context) ? context->valuestring : "";
	return path[0] && strchr("/.~", path[0]) && is_outside(path, w);
}

static bool outside_build(const cJSON *value, struct where *w)
{
	const cJSON *context = cJSON_IsString(value) ? value : json_at(value, "context"), *more;
	const char *dockerfile = json_text_or(value, "dockerfile", "");
	if (outside_context(context, w))
		return true;
	cJSON_ArrayForEach(more,
	                   json_at(value, "additional_contexts")) if (outside_context(more, w)) return true;
	if (dockerfile[0] == '/')
		return is_outside(dockerfile, w);
	cleanup_free char *beside =
	        mem_printf("%s/%s", cJSON_IsString(context) ? context->valuestring : "", dockerfile);
	return dockerfile[0] && beside[0] == '/' && is_outside(beside, w);
}

/* The builder works for root, and without the limits of a session. */
static bool strong_build(const cJSON *value, struct where *w)
{
	const char *network = json_text_or(value, "network", "");
	const cJSON *item;
	if (is_true(json_at(value, "privileged"), w))
		w->shown = mem_strdup("privileged");
	else if (!strcmp(network, "host") || !strncmp(network, "container:", 10))
		w->shown = mem_printf("network %s", network);
	else if (cJSON_IsArray(item = json_at(value, "entitlements")) && item->child)
		w->shown = mem_strdup("entitlements");
	cJSON_ArrayForEach(item, json_at(value, "cache_to"))
	{
		if (!w->shown && cJSON_IsString(item) && strstr(item->valuestring, "dest="))
			w->shown = mem_printf("cache_to %s", item->valuestring);
	}
	return w->shown != NULL;
}

#define BY_NAME "leave it out: services of one session reach each other by name"
#define OWN_SPACE "leave it out"
#define NOT_ISOLATED "reaches the machine itself, not only the session"

static const struct rule rules[] = {
        {"services", "network_mode", foreign_network, "is a network that others are in too", BY_NAME},
        {"services", "pid", foreign_namespace, "shows processes outside the session", OWN_SPACE},
        {"services", "ipc", foreign_namespace, "shares memory with what is outside the session", OWN_SPACE},
        {"services", "uts", foreign_namespace, NOT_ISOLATED, OWN_SPACE},
        {"services", "userns_mode", foreign_namespace, NOT_ISOLATED, OWN_SPACE},
        {"services", "cgroup", foreign_namespace, NOT_ISOLATED, OWN_SPACE},
        {"services", "cgroup_parent", always, "takes the service out of the session's limits", OWN_SPACE},
        {"services", "privileged", is_true, NOT_ISOLATED,
         "leave it out, or add the one harmless capability it needs"},
        {"services", "devices", always, NOT_ISOLATED, "leave the devices out for sessions"},
        {"services", "device_cgroup_rules", always, NOT_ISOLATED, "leave the devices out for sessions"},
        {"services", "cap_add", strong_capability, NOT_ISOLATED, "take it out of cap_add"},
        {"services", "security_opt", unconfined, "takes the machine's protection away",
         "take it out of security_opt"},
        {"services", "volumes", engine_socket, "gives the service the whole machine", "take this volume out"},
        {"services", "volumes", outside_bind, "lies outside the directory of the compose file",
         "move it into that directory, or take a named volume"},
        {"services", "volumes_from", foreign_volumes, "belongs to a container outside the session",
         "take a named volume"},
        {"services", "build", outside_build, "lies outside the directory of the compose file",
         "move it there"},
        {"services", "build", strong_build, NOT_ISOLATED, "take it out of build"},
        {"services", "external_links", always, "names containers outside the session", BY_NAME},
        {"services", "use_api_socket", is_true, "gives the service the whole machine", OWN_SPACE},
        {"services", "provider", always, "runs a program on the machine", "describe the service by an image"},
        {"networks", "external", always, "would be shared by all sessions",
         "leave external out: each session gets its own"},
        {"networks", "driver", foreign_driver, NOT_ISOLATED, "leave the driver out"},
        {"volumes", "external", always, "would be shared by all sessions",
         "leave external out: each session gets its own"},
        {"volumes", "driver", foreign_volume_driver, "may keep it where all sessions meet",
         "leave the driver out"},
        {"volumes", "driver_opts", host_mount, "would be mounted from the machine, or shared by all sessions",
         "leave driver_opts out, unless its type is tmpfs"},
        {"secrets", "external", always, "is not known to a session",
         "name a file in the directory of the compose file"},
        {"secrets", "file", outside_file, "lies outside the directory of the compose file", "move it there"},
        {"configs", "external", always, "is not known to a session",
         "name a file in the directory of the compose file"},
        {"configs", "file", outside_file, "lies outside the directory of the compose file", "move it there"},
};

const char *project_label(const char *const *files)
{
	return files && files[0] ? files[0] : "the built-in compose file";
}

static int refuse(const struct rule *r, const char *name, const char *shown, const char *const *files,
                  struct err *err)
{
	static const struct {
		const char *section, *one;
	} kinds[] = {{"services", "service"},
	             {"networks", "network"},
	             {"volumes", "volume"},
	             {"secrets", "secret"},
	             {"configs", "config"}};
	const char *kind = r->section;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!strcmp(kinds[i].section, r->section))
			kind = kinds[i].one;
	return err_set(err, ERR_INVALID, "%s: %s %.80s: %s%s%.200s %s; %s", project_label(files), kind, name,
	               r->key, shown ? " " : "", shown ? shown : "", r->why, r->advice);
}

static int apply(const struct rule *r, const cJSON *base, const char *dir, const char *const *files,
                 struct err *err)
{
	const cJSON *item;
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(base, r->section))
	{
		const cJSON *value = cJSON_GetObjectItemCaseSensitive(item, r->key);
		struct where w = {.dir = dir};
		bool refused = value && r->refused(value, &w);
		cleanup_free char *shown = w.shown;
		if (refused)
			return refuse(r, item->string, shown, files, err);
	}
	return 0;
}

/* Names go into the tools' arguments, names of objects and the override: none may look like an option. The tools allow one to. */
static int check_names(const cJSON *base, const char *const *files, struct err *err)
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
			return err_set(
			        err, ERR_INVALID,
			        "%s: %s: '%.80s' is no name that can be used here; take letters, digits, "
			        "., _ and -, the first a letter or digit",
			        project_label(files), sections[i], name);
		}
	}
	return 0;
}

int project_check(const cJSON *base, const char *const *files, struct err *err)
{
	cleanup_free char *dir = NULL;
	if (files && files[0]) {
		cleanup_free char *file = mem_strdup(files[0]);
		*(strrchr(file, '/') ?: file) = '\0';
		dir = resolve(file);
	}
	if (check_names(base, files, err))
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (apply(&rules[i], base, dir, files, err))
			return -1;
	return 0;
}
