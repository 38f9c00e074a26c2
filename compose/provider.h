/* The compose tool: docker compose v2, docker-compose v1, podman-compose, whichever is found first in that order. Used for
 * `config`, `up`, `down` and what a person does in a terminal; everything else asks the engine itself (docker.h). */
#ifndef COMPOSE_PROVIDER_H
#define COMPOSE_PROVIDER_H

#include "core/config.h"
#include "core/err.h"
#include "core/json.h"
#include "jobs/job.h"
#include <stdbool.h>

/* Their names, as COMPOSE_PROVIDER takes them; the first is the plugin behind `docker compose`. */
#define PROVIDER_V2 "docker-compose-v2"
#define PROVIDER_V1 "docker-compose" /* may be a standalone v2 as well: provider.json tells */
#define PROVIDER_PODMAN "podman-compose"

#define PROVIDER_PROJECT_MAX 30 /* bytes of COMPOSE_PROJECT_NAME */

/* COMPOSE_PROVIDER (which of them; default: the first that works), COMPOSE_PROJECT_NAME, COMPOSE_FILE, DOCKER_HOST. */
extern const struct setting provider_settings[];

/** COMPOSE_PROJECT_NAME, borrowed from ${cfg}. NULL with ERR_CONFIG when no compose project can be called so. */
const char *provider_project_name(const struct config *cfg, struct err *err);

/** Put DOCKER_HOST into this process's environment when it stands in the settings file or Podman was found without it, and DOCKER_CONTEXT=default: the tools, the docker program
 * and docker.h are to talk to the same engine, whatever `docker context use` said. */
void provider_export(const struct config *cfg);

/** The same, and keep what the tools say of themselves below ${state_dir} (0600), so that they are not asked in every process. */
void provider_open(const struct config *cfg, const char *state_dir);

struct provider {
	const char *name;           /* PROVIDER_V2, PROVIDER_V1, PROVIDER_PODMAN; static */
	const char *const *command; /* argv to begin with: {"docker", "compose", NULL} */
	bool json;                  /* version 2 or newer: `config --format json` */
	char version[32];
};

/** Find the one called ${wanted} (NULL or "auto": the first usable). ERR_ENGINE says of each why not, and how to install one; ERR_CONFIG
 * when there is none of that name. Blocks: asks each for its version (once in a process, unless PATH or DOCKER_CONFIG changes). */
int provider_find(const char *wanted, struct provider *out, struct err *err);

/** All of them, for `doctor`: [{"name","version"?,"usable":bool,"chosen":bool,"why"?}]. */
cJSON *provider_probe(const char *wanted);

struct provider_call {
	const char *project;      /* -p; NULL: none */
	const char *const *files; /* -f each, NULL-terminated */
	const char *env_file;     /* --env-file; NULL: none */
	const char *directory;    /* --project-directory; NULL: that of the first file */
	const char *const *args;  /* "up", "-d", … */
	const char *const *env;   /* "K=V" for this call; NULL: none */
	int64_t timeout_ms;       /* 0: 10 min */
	struct job *job;          /* cancels it, gets its lines as log (NULL: nobody) */
	size_t max_output;        /* of stdout; 0: 1 MiB. More is ERR_LIMIT */
	int keep_fd; /* what the tool is to hold open as long as it runs, also without us; <= 0: none */
};

/** Run the tool to its end, without input, with the environment of this process less the COMPOSE_… variables that would make it another
 * call (COMPOSE_FILE, COMPOSE_PROJECT_NAME, …). Returns 0 when it exited with 0 and transfers ${*out} (its stdout; may be NULL pointer). -1: ERR_FAILED with its last
 * words, ERR_TIMEOUT, ERR_CANCELLED (its group got TERM, then KILL). Secrets that config knows are redacted in messages. */
int provider_run(const struct provider *p, const struct provider_call *call, char **out, struct err *err);

#endif
