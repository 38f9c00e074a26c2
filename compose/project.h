/* A compose project made ready for sessions: resolved by the compose tool, checked, and stripped of everything that two
 * copies would fight over (host ports, container names, names of networks and volumes, top-level name). Kept by content, so that the tool
 * is asked once for a file that does not change. */
#ifndef COMPOSE_PROJECT_H
#define COMPOSE_PROJECT_H

#include "compose/provider.h"

/* Every service, network and volume of a project: what a session must give it. */
struct project; /* opaque: the JSON below */

/*
 * A project is one JSON object:
 * {"provider":"docker-compose","json"?:bool (the provider's: docker-compose may be a standalone v2, which merges files otherwise than
 *  1.29, see override.c),"files":[absolute paths; empty: the built-in stack],
 *  "findings":[{"file",…lint.h…}: what of the files reaches out of a session, and what became of it],
 *  "base":{…the frozen compose file, valid for the provider; write it with json_print: docker-compose 1.x takes no tabs…},
 *  "services":[{"name","role"?:"gateway"…(label com.codefoundry.role: a service of our own stack),"image"?,"build":bool,"healthcheck":bool,
 *               "oneshot":bool (restart absent or "no", and no healthcheck),"replicas":n,"memory"?:bytes,"cpus"?:number,
 *               "ports":[{"target":18789,"protocol":"tcp|udp"}]}],
 *  "networks":["net"…],"volumes":["state"…] (its own: external ones stand in the base only),
 *  "fixed":{"net":"10.5.0.0/24"…} (those of the networks that keep their addresses)}
 */

/* What is to be loaded. */
struct project_ask {
	const struct provider *provider;
	const char *const *files; /* absolute, NULL-terminated; NULL or empty: the built-in stack */
	const char *env_file;     /* NULL: .env beside the first file, if there is one */
	const char *image;        /* stands for CODEFOUNDRY_IMAGE in the built-in stack */
	const cJSON *profiles;    /* names; NULL or empty: those of COMPOSE_PROFILES of this process, else of the environment file */
	const cJSON *allow;       /* ids of lint.h that may stay as they are; NULL: none */
	const char *cache_dir;
	struct job *job; /* cancels it; may be NULL */
};

/**
 * Resolve ask->files with ask->provider, and freeze. The result is looked up in ask->cache_dir (made if missing, 0700) by the digest of the
 * tool's name and version, the files' content, the environment file's, the variables they name, profiles and what is allowed; files that bring
 * in others (extends, include, env_file) are resolved anew each time, and so is what is refused. Services whose profiles were not chosen are left out.
 * Errors: ERR_INVALID with file, service and reason for what is no compose file; those of the tool with its words. What cannot be
 * isolated is no error here: project_verdict(). The caller deletes the result. Blocks.
 */
cJSON *project_load(const struct project_ask *ask, struct err *err);

/** The same from what the tool printed: ${resolved} is transferred. For project_load() and tests. */
cJSON *project_freeze(cJSON *resolved, const char *provider, const char *const *files, const cJSON *allow,
                      struct err *err);

/** 0 when nothing of ${project} is refused, else ERR_INVALID that tells of all of it, with file, place, reason and advice. */
int project_verdict(const cJSON *project, struct err *err);

#endif
