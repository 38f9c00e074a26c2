/* Which compose tools there are and which of them is taken. How one is run stands in provider_run.c. */
#include "compose/provider.h"
#include "compose/docker.h"
#include "compose/podman_compose.h"
#include "compose/provider_memory.h"
#include "compose/provider_private.h"
#include "core/config.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/str.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBE_MS 10000
#define PROBE_BYTES 8192
#define DOCKER_INSTALL "install docker.io and docker-compose (Debian: make docker)"

const struct setting provider_settings[] = {
        {.key = "COMPOSE_PROVIDER",
         .type = SETTING_CHOICE,
         .def = "auto",
         .allowed = "auto|docker-compose-v2|docker-compose|podman-compose",
         .group = "Containers",
         .help = "The compose tool; auto: the first of `docker compose` (docker-compose-v2), docker-compose "
                 "and podman-compose that works"},
        {.key = "COMPOSE_PROJECT_NAME",
         .type = SETTING_TEXT,
         .def = "codefoundry",
         .group = "Containers",
         .help = "Prefix of the names of all containers, networks and volumes: <prefix>-<session>-<service>"},
        {.key = "COMPOSE_FILE",
         .type = SETTING_TEXT,
         .group = "Containers",
         .help = "The compose file sessions are made from (unset: the built-in stack)"},
        {.key = "COMPOSE_ALLOW",
         .type = SETTING_TEXT,
         .group = "Containers",
         .help = "What compose files may reach outside their session, as ids of `codefoundry compose lint`, "
                 "comma "
                 "separated (host-bind,external-network); unset: nothing"},
        {.key = "DOCKER_HOST",
         .type = SETTING_TEXT,
         .group = "Containers",
         .help = "Where Docker or Podman listens, unix:///path (unset: unix:///var/run/docker.sock; on a "
                 "machine "
                 "without Docker Podman's, unix:///run/podman/podman.sock or below $XDG_RUNTIME_DIR)"},
        {.key = NULL},
};

struct tool {
	const char *name;
	const char *command[3];
	const char *version_args[3];
	const char *marker; /* the version is the first number behind this text; NULL: behind nothing */
	unsigned major, minor, patch; /* the oldest that will do */
	bool (*known)(
	        const unsigned version
	                [3]); /* whether it is one of those that will do; NULL: all from the oldest on */
	const char *advice;
};

static const struct tool tools[] = {
        {.name = PROVIDER_V2,
         .command = {"docker", "compose"},
         .version_args = {"version", "--short"},
         .major = 2,
         .advice = "install Docker's compose plugin (docker-compose-plugin, in Debian 13 docker-compose)"},
        {.name = PROVIDER_V1,
         .command = {"docker-compose"},
         .version_args = {"version", "--short"},
         .major = 1,
         .minor = 27,
         .advice = DOCKER_INSTALL},
        {.name = PROVIDER_PODMAN,
         .command = {"podman-compose"},
         .version_args = {"--version"},
         .marker = "podman-compose",
         .known = podman_compose_known,
         .major = 1,
         .advice = "install docker-compose, which works with Podman's socket too, or Debian 12's "
                   "podman-compose"},
};

struct finding {
	char *fingerprint; /* of the files it was asked of; NULL: not asked yet */
	bool found, usable;
	char version[32];
	bool json;
	char why[512];
};

static struct finding findings[ARRAY_LEN(tools)];

/* -- asking -- */

/* Write the first version number in ${text} ("v2.26.1-4" is 2.26.1-4). */
static bool read_version(const char *text, const char *marker, char version[32], unsigned v[3])
{
	if (marker && !(text = strstr(text, marker)))
		return false;
	text += strcspn(text, "0123456789\n");
	v[0] = v[1] = v[2] = 0;
	if (sscanf(text, "%u.%u.%u", &v[0], &v[1], &v[2]) < 2)
		return false;
	size_t n = 0;
	while (n < 31 && (isalnum((unsigned char)text[n]) || (text[n] && strchr(".-+~", text[n]))))
		n++;
	memcpy(version, text, n);
	version[n] = '\0';
	return true;
}

static bool older(const struct tool *tool, const unsigned v[3])
{
	const unsigned need[] = {tool->major, tool->minor, tool->patch};
	for (int i = 0; i < 3; i++)
		if (v[i] != need[i])
			return v[i] < need[i];
	return false;
}

static void judge(const struct tool *tool, const struct proc_result *r, struct finding *f)
{
	unsigned v[3];
	if (r->timed_out)
		snprintf(f->why, sizeof(f->why), "it did not tell its version within %d s", PROBE_MS / 1000);
	else if (r->status != 0 || !read_version(r->out, tool->marker, f->version, v))
		snprintf(f->why, sizeof(f->why), "%s; %s",
		         tool->command[1] ? "`docker` is there, its `compose` plugin is not"
		                          : "it does not tell its version",
		         tool->advice);
	else if (tool->known && !tool->known(v))
		snprintf(f->why, sizeof(f->why), "it is not known what version %s does; %s", f->version,
		         tool->advice);
	else if (older(tool, v))
		snprintf(f->why, sizeof(f->why), "version %s is too old, %u.%u or newer is needed; %s",
		         f->version, tool->major, tool->minor, tool->advice);
	else
		f->usable = true;
	f->found = f->version[0] != '\0';
	f->json = f->usable && v[0] >= 2;
}

static void ask(const struct tool *tool, struct finding *f)
{
	const char *argv[8] = {NULL};
	size_t n = 0;
	for (const char *const *p = tool->command; *p; p++)
		argv[n++] = *p;
	for (const char *const *p = tool->version_args; *p; p++)
		argv[n++] = *p;
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = argv;
	spec.env = provider_environment;
	struct proc_result r = {0};
	struct err err = {0};
	if (proc_run(&spec, NULL, PROBE_MS, PROBE_BYTES, &r, &err))
		snprintf(f->why, sizeof(f->why), "%.300s; %s",
		         err.code == ERR_NOT_FOUND ? "not installed" : err.msg, tool->advice);
	else
		judge(tool, &r, f);
	proc_result_free(&r);
}

static bool recall(struct finding *f)
{
	cleanup_json cJSON *known = provider_recall(f->fingerprint);
	if (!known)
		return false;
	f->found = json_bool(known, "found", false);
	f->usable = json_bool(known, "usable", false);
	f->json = json_bool(known, "json", false);
	snprintf(f->version, sizeof(f->version), "%s", json_text_or(known, "version", ""));
	snprintf(f->why, sizeof(f->why), "%s", json_text_or(known, "why", ""));
	return true;
}

/* What is not found may be found the next time without any of its files having changed: only a tool that works is kept in mind. */
static void memorize(const struct finding *f)
{
	cleanup_json cJSON *known = json_object();
	json_add_bool(known, "found", f->found);
	json_add_bool(known, "usable", f->usable);
	json_add_bool(known, "json", f->json);
	json_add_text(known, "version", f->version);
	json_add_text(known, "why", f->why);
	if (f->found)
		provider_memorize(f->fingerprint, known);
}

static const struct finding *look(size_t i)
{
	struct finding *f = &findings[i];
	char *now = provider_fingerprint(tools[i].command);
	if (f->fingerprint && !strcmp(f->fingerprint, now)) {
		free(now);
		return f;
	}
	free(f->fingerprint);
	*f = (struct finding){.fingerprint = now};
	if (recall(f))
		return f;
	ask(&tools[i], f);
	memorize(f);
	return f;
}

/* -- choosing -- */

static bool is_wanted(const char *wanted, size_t i)
{
	return !wanted || !strcmp(wanted, "auto") || !strcmp(wanted, tools[i].name);
}

/* Index of the first usable one that is wanted, or -1. */
static int choose(const char *wanted)
{
	for (size_t i = 0; i < ARRAY_LEN(tools); i++)
		if (is_wanted(wanted, i) && look(i)->usable)
			return (int)i;
	return -1;
}

int provider_find(const char *wanted, struct provider *out, struct err *err)
{
	int i = choose(wanted);
	if (i >= 0) {
		*out = (struct provider){
		        .name = tools[i].name, .command = tools[i].command, .json = findings[i].json};
		snprintf(out->version, sizeof(out->version), "%s", findings[i].version);
		return 0;
	}
	cleanup_str struct str why = STR_INIT_MAX(1800);
	for (size_t k = 0; k < ARRAY_LEN(tools); k++)
		if (is_wanted(wanted, k))
			str_addf(&why, "\n%s%s%s: %s", tools[k].name, findings[k].found ? " " : "",
			         findings[k].version, findings[k].why);
	if (!why.len)
		return err_set(err, ERR_CONFIG, "COMPOSE_PROVIDER '%.64s' is none of %s", wanted,
		               provider_settings[0].allowed);
	return err_set(err, ERR_ENGINE, "no compose tool can be used:%s", str_text(&why));
}

cJSON *provider_probe(const char *wanted)
{
	int chosen = choose(wanted);
	cJSON *all = json_array();
	for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
		cJSON *one = json_object();
		look(i);
		json_add_text(one, "name", tools[i].name);
		if (findings[i].found)
			json_add_text(one, "version", findings[i].version);
		json_add_bool(one, "usable", findings[i].usable);
		json_add_bool(one, "chosen", (int)i == chosen);
		if (!findings[i].usable)
			json_add_text(one, "why", findings[i].why);
		cJSON_AddItemToArray(all, one);
	}
	return all;
}

/* -- settings -- */

const char *provider_project_name(const struct config *cfg, struct err *err)
{
	const char *name = config_text(cfg, "COMPOSE_PROJECT_NAME"),
	           *allowed = "abcdefghijklmnopqrstuvwxyz0123456789_-";
	if (strchr("_-", name[0]) || name[strspn(name, allowed)] || strlen(name) > PROVIDER_PROJECT_MAX) {
		err_set(err, ERR_CONFIG,
		        "COMPOSE_PROJECT_NAME=%.80s: it must be at most %d of a-z, 0-9, _ and -, the first a "
		        "letter "
		        "or digit",
		        name, PROVIDER_PROJECT_MAX);
		return NULL;
	}
	return name;
}

void provider_export(const struct config *cfg)
{
	if (config_is_set(cfg, "DOCKER_HOST"))
		setenv("DOCKER_HOST", config_text(cfg, "DOCKER_HOST"), 1);
	const char *socket = docker_socket(&(struct err){0});
	cleanup_free char *host = socket ? mem_printf("unix://%s", socket) : NULL;
	/* no program but this one looks for Podman */
	if (host && !strcmp(docker_name(), "Podman"))
		setenv("DOCKER_HOST", host, 1);
	/* a person's `docker context use` would take the docker program to another engine than we ask */
	setenv("DOCKER_CONTEXT", "default", 1);
}

void provider_open(const struct config *cfg, const char *state_dir)
{
	cleanup_free char *dir = mem_printf("%s/cache", state_dir);
	provider_export(cfg);
	provider_remember(dir);
}
