/* One request to the engine: what compose/docker*.c share. Private to them. Odd rule: the engine's status and message are
 * kept apart until the caller has said what a status means for it. */
#ifndef COMPOSE_DOCKER_HTTP_H
#define COMPOSE_DOCKER_HTTP_H

#include "core/http_client.h"
#include "core/json.h"

#define DOCKER_TIMEOUT_MS 30000

/** Send ${req} to ${path} ("/info") of the engine; url and socket are filled in here, total_ms 0 is DOCKER_TIMEOUT_MS. An engine that has
 * grown past DOCKER_API is asked in the oldest version it knows. Returns 0 with ${reply} to free whatever the status; -1:
 * ERR_ENGINE with advice, ERR_CANCELLED from go_on. Nothing of a body that on_data took is sent twice. */
int docker_request(struct http_request *req, const char *path, struct http_reply *reply, struct err *err);

/** Start ${req} to ${path} on ${client} as http_start() does, whose ${done} and ${arg} these are; nothing about the version is agreed on here,
 * so ask something with docker_request() before. NULL with ${err} when there is no engine to ask. */
struct http_call *docker_start(struct http_client *client, struct http_request *req, const char *path,
                               http_done *done, void *arg, struct err *err);

/** Note that ${server} (a reply's) has answered, so that docker_name() and docker_is_podman() know. */
void docker_heard(const char *server);

/** Turn what HTTP says of the engine at socket ${path} into what a person can do about it. Returns -1. */
int docker_explain(const char *path, struct err *err);

/** The version of the API that is spoken with it: "v1.41". */
const char *docker_api(void);

/** What a status that is no success means, with the engine's own message: 404 ERR_NOT_FOUND, 409 ERR_BUSY, else ERR_FAILED. Returns -1. */
int docker_refusal(const struct http_reply *reply, struct err *err);

/** The body as JSON; NULL with ERR_ENGINE. */
cJSON *docker_json(const struct http_reply *reply, struct err *err);

/** Whether ${id} is an id or a name as the engine makes them, so that it is one part of a path. 0, or -1 ERR_INVALID. */
int docker_check_id(const char *id, struct err *err);

#endif
