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
 *  "base":{…the frozen compose file, valid for the provider; write it with json_print: docker-compose 1.x takes no tabs…},
 *  "services":[{"name","role"?:"gateway"…(label com.codefoundry.role: a service of our own stack),"image"?,"build":bool,"healthcheck":bool,
 *               "oneshot":bool (restart absent or "no", and no healthcheck),"replicas":n,"memory"?:bytes,"cpus"?:number,
 *               "ports":[{"target":18789,"protocol":"tcp|udp"}]}],
 *  "networks":["net"…],"volumes":["state"…]}
 */

/**
 * Resolve ${files} (absolute, NULL-terminated; none: the built-in stack of compose/docker-compose.test.yml, in which ${image} stands
 * for CODEFOUNDRY_IMAGE) with ${provider}, and freeze. The result is looked up in ${cache_dir} (made if missing, 0700)
 * by the digest of the tool's name and version, the files' content, ${env_file}'s (may be NULL) and the variables they name; files that bring
 * in others (extends, include, env_file) are resolved anew each time. Services with profiles are left out but for those of
 * COMPOSE_PROFILES in .env beside the first file (or in ${env_file}). Errors: ERR_INVALID with file, service and reason for what
 * is no compose file or cannot be isolated; those of the tool with its words. The caller deletes the result. Blocks.
 */
cJSON *project_load(const struct provider *provider, const char *const *files, const char *env_file,
                    const char *image, const char *cache_dir, struct job *job, struct err *err);

/** The same from what the tool printed: ${resolved} is transferred. For project_load() and tests. What is refused stands in one table in
 * project_rules.c. */
cJSON *project_freeze(cJSON *resolved, const char *provider, const char *const *files, struct err *err);

#endif
