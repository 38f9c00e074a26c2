/* What Podman says otherwise than Docker behind the same API (podman-system-service(1); seen on 4.3.1), put into Docker's words, so that everything
 * else knows one engine only. Who answers is told by docker_is_podman(). */
#ifndef COMPOSE_PODMAN_H
#define COMPOSE_PODMAN_H

#include "core/err.h"
#include "core/json.h"

/** What a refusal with a status of 500 means, by the ${cause} it names: ERR_BUSY, ERR_STATE's like, else ERR_FAILED. */
enum err_code podman_cause(const char *cause);

/** Change the answer of GET /containers/{id}/json (may be NULL): State.Status is one of Docker's words, and "restarting" for the moment between a
 * container's end and its restart, which Podman has no word for; State.Health stands where older versions say Healthcheck; images of
 * this machine have no "localhost/" before their names. ${now_ms}: since the epoch. */
void podman_container(cJSON *container, int64_t now_ms);

/** Change an event: "destroy", "die", "exec_create" for "remove", "died", "exec". */
void podman_event(cJSON *event);

/** The name of an image without what Podman puts before those that come from no registry. Borrowed from ${name}. */
const char *podman_image(const char *name);

/** The detach keys ${keys} (bytes) as Podman tells them, which is as they were given to it: "ctrl-],a,b". The caller frees it. */
char *podman_keys(const char *keys);

#endif
