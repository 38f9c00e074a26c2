/* The Docker Engine API over its Unix socket (https://docs.docker.com/engine/api/v1.41/): listing, logs, events, exec and
 * removal, 10–100 times faster than through a client program. `up` and `down` stay with the compose tool (provider.h).
 * Odd rule: what is removed here is always named by id, and ids come from a listing by our own labels. */
#ifndef COMPOSE_DOCKER_H
#define COMPOSE_DOCKER_H

#include "core/err.h"
#include "core/json.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The oldest API version that has all we use (Docker 20.10). */
#define DOCKER_API "v1.41"

/** Path of the engine's socket: from DOCKER_HOST=unix://…, else /var/run/docker.sock, else, on a machine without Docker, that of Podman's service
 * (/run/podman/podman.sock for root, $XDG_RUNTIME_DIR/podman/podman.sock for others). NULL with ERR_ENGINE for a DOCKER_HOST of another kind
 * (tcp, ssh). Borrowed until DOCKER_HOST changes. */
const char *docker_socket(struct err *err);

/** Whether this machine is meant to have an engine: DOCKER_HOST is set, a socket is there, or dockerd is installed. It need not answer. */
bool docker_expected(void);

/** Whether it was Podman, behind the same API, that answered this thread's last question; false before the first. */
bool docker_is_podman(void);

/** "Docker" or "Podman": who answered last, else who is expected at the socket. */
const char *docker_name(void);

/** The program that does in a terminal what the API can: "docker", or "podman" where only that is installed (which wants CONTAINER_HOST). */
const char *docker_client(void);

/** Ask the engine for a sign of life, in at most ${ms}; ${version} (may be NULL) is "20.10.24", "4.3.1". ERR_ENGINE as docker_info(). */
int docker_ping(int64_t ms, char version[32], struct err *err);

/** Ask the engine who it is, in at most 3 s when it is silent: {"engine":"Docker|Podman","version","api" (spoken with it),"os","arch","driver",
 * "cgroup","root"} (os and arch as images name them: "linux", "amd64"; cgroup: "1", "2"). NULL with ERR_ENGINE that says what to do (start it, be in group docker,
 * ENGINE=process). */
cJSON *docker_info(struct err *err);

/** From now on no question waits longer than ${ms} for its answer, and after one that got none the next ones of this thread fail at
 * once, without being asked: for who shows what is there and has others waiting (a chat, a table of all sessions), so that an engine
 * that hangs costs him ${ms} once. 0: as each call says, and ask again. For the whole process; follow it by docker_patience(0). */
void docker_patience(int64_t ms);

/** GET ${path} ("/containers/json?all=1"; the version is put before it). NULL: ERR_NOT_FOUND for 404, ERR_ENGINE when the engine
 * does not answer, else ERR_FAILED with the engine's own message. */
cJSON *docker_get(const char *path, struct err *err);

/** GET /containers/${id}/json, the same whichever engine it is (podman.h). NULL as docker_get(). */
cJSON *docker_inspect(const char *id, struct err *err);

/** ${method} ${path} with ${body} (may be NULL). Returns 0 for 2xx and 304 and transfers ${*reply} (may be NULL pointer; NULL for no
 * JSON), or -1 as docker_get(); 409 is ERR_BUSY. Waits ${timeout_ms} at most (0: 30 s). */
int docker_call(const char *method, const char *path, const cJSON *body, int64_t timeout_ms, cJSON **reply,
                struct err *err);

enum docker_kind { DOCKER_CONTAINER, DOCKER_NETWORK, DOCKER_VOLUME, DOCKER_IMAGE, DOCKER_KINDS };
/** "container", "network", "volume", "image". */
const char *docker_kind_name(enum docker_kind kind);

/** All objects of ${kind}, stopped containers too, that carry every label of ${labels} ("key" or "key=value", NULL-terminated): an array of
 * {"id","name","labels":{…}} and for containers {"state":"running|exited|created|…","status":"Up 3 seconds (healthy)","image",
 * "created":unix s,"ports":[{"ip","host","container","protocol"}]}, for images "tags" (["name:version"…]; their name is the first). NULL with ${err}. */
cJSON *docker_list(enum docker_kind kind, const char *const labels[], struct err *err);

/** Remove by id (also its anonymous volumes), by force where there is force; one that is gone already, or that somebody else removes
 * right now, is fine. An image may be named by one of its names, and only loses that one while it has others. ERR_BUSY: a network, volume
 * or image that is in use. */
int docker_remove(enum docker_kind kind, const char *id, struct err *err);

/** Whether a container, running or not, was made of ${image} (id or reference) or of one that is built on it: 1, 0, or -1 with ${err}. */
int docker_image_used(const char *image, struct err *err);

/** Percent-encode ${text} for use in a path or query; the caller frees it. */
char *docker_escape(const char *text);

struct docker_output {
	int exit_code; /* of the program; -1: it was not over in time */
	char *text; /* stdout and stderr as they came (each in its order), NUL-terminated, cut at the bound; free with docker_output_free */
	size_t len;
};
void docker_output_free(struct docker_output *out);

/** Run ${argv} in ${container} without a terminal or input, at most ${timeout_ms}, keeping ${max} bytes of output. Returns 0 whatever the program's
 * exit code (126, 127: it could not be run, and why is the output), or -1 with ${out} empty: ERR_NOT_FOUND, ERR_STATE for a container
 * that does not run or is paused. After ${timeout_ms} the program's process group gets KILL (the engine has no call for that: from
 * here by the pid it tells, checked to be the container's, or with the container's own kill(1) when that is not ours to kill) and 2 s to
 * be gone; exit_code is -1. What left the group, or runs on another machine than we, is left behind; so is what a program that was
 * over in time started in the background, and its output is not waited for beyond ${timeout_ms}. */
int docker_exec(const char *container, const char *const argv[], int64_t timeout_ms, size_t max,
                struct docker_output *out, struct err *err);

/** End the program that `docker exec --detach-keys` started in ${container} with the keys whose bytes are ${keys}: by these the engine tells one
 * from another, and the docker program leaves it running when it is interrupted itself. Its process group gets ${sig}, after 2 s KILL,
 * and 2 s to be gone. Nothing happens when there is none. Blocks. */
void docker_exec_end(const char *container, const char *keys, int sig);

/** The last ${n} log lines of ${container}, both streams, each as "<RFC 3339 time> text" when ${times}: an array of texts (UTF-8, cut at
 * 64 KiB, 8 MiB in all), oldest first. Of two streams each keeps its order. NULL with ${err}. */
cJSON *docker_logs(const char *container, int n, bool times, struct err *err);

/** Read the regular file ${path} in ${container} (running or not), at most ${max} bytes. ERR_NOT_FOUND, ERR_LIMIT; ERR_INVALID
 * when it is something else, a directory or a link say. Volumes are seen, a tmpfs and /proc are not. Transfers ${*text} (NUL-terminated; ${*len} may be NULL). */
int docker_read_file(const char *container, const char *path, size_t max, char **text, size_t *len,
                     struct err *err);

/** Give the images of a docker-save archive to the engine, read from disk as it is sent. Waits ${timeout_ms} at most (0: 5 min).
 * ERR_NOT_FOUND when there is no such file, ERR_FAILED with what the engine says of it. */
int docker_load(const char *archive_path, int64_t timeout_ms, struct err *err);

/** Follow the engine's events from ${since_ms} (milliseconds since the epoch; also those that are past) of objects that carry
 * ${label} (that is containers: the engine's events of networks and volumes name no labels; of the past it keeps the last 256):
 * ${fn} gets each one ({"Type","Action","Actor":{"ID","Attributes":{…}},"timeNano"}) and returns whether to go on;
 * ${go_on} is asked at least every 200 ms (may be NULL). Returns 0 when one of them said no, -1 when the stream broke
 * (ERR_ENGINE). Blocks. */
int docker_events(int64_t since_ms, const char *label, bool (*fn)(void *arg, const cJSON *event),
                  bool (*go_on)(void *arg), void *arg, struct err *err);

/** Wait until something happens to a container with ${label} (also since ${since_ms}; running a program in one is nothing), ${fd} (<= 0: none) is
 * readable, or ${timeout_ms} are over. 0 in all cases, -1 as docker_events(). */
int docker_await(int64_t since_ms, const char *label, int fd, int64_t timeout_ms, struct err *err);

#endif
