/* What the files of the compose engine share: which objects are a session's, and waiting for them. An object is a
 * session's when it carries this installation's label and the session's; names prove nothing. */
#ifndef SESSIONS_COMPOSE_PRIVATE_H
#define SESSIONS_COMPOSE_PRIVATE_H

#include "compose/docker.h"
#include "compose/project.h"
#include "sessions/engine.h"

#define LABEL_PROJECT "com.docker.compose.project" /* of all generations of the tool */
#define COMPOSE_CACHE "cache"                      /* in the state directory */
#define COMPOSE_BASE "compose.yml"
#define COMPOSE_OVERRIDE "override.yml"

/*
 * What plan keeps in row->spec besides "services":
 *  "provider": name of the tool, "podman": whether the engine is, "project": name of the compose project, "files": [absolute paths],
 *  "isolation": [findings of lint.h], "stack": whether it is our own, so that it can be talked to and tested,
 *  "checks": {"service": {"role"?, "healthcheck": bool, "oneshot": bool, "replicas": n, "needs": [services to be started first],
 *   "after": [those of them that must be healthy by then]}}
 * and in row->plan, for prepare only: {"project": {…project.h…}, "image"?: reference}.
 */

int compose_plan(struct job *job, struct session_row *row, struct lease_wants *wants, struct err *err);
int compose_prepare(struct job *job, const struct session_row *row, struct err *err);
int compose_launch(struct job *job, const struct session_row *row, struct err *err);

/** 0 when its files are there, else -1 with ERR_NOT_FOUND. */
int compose_resumable(const struct session_row *row, struct err *err);

/** Run the compose tool of ${row} on its frozen files with ${args}; ${job} may be NULL. */
int compose_tool(struct state *st, const struct session_row *row, const char *const *args, int64_t timeout_ms,
                 struct job *job, struct err *err);

/** Leave of ${images}, which docker_list() gave, those that were built for sessions, of whatever installation, with the labels of other
 * objects: they are found by labels of their own (built.h). */
void compose_leave_built(cJSON *images);

/** The objects of ${kind} that belong to session ${uuid} (NULL: to any of this installation's) as docker_list() gives
 * them. NULL with ${err}. */
cJSON *compose_objects(struct state *st, const char *uuid, enum docker_kind kind, struct err *err);

/** ${label} of ${object}, as docker_list() gives it; NULL when it has none. */
const char *compose_label(const cJSON *object, const char *label);

/** The containers of ${service} (several where it has replicas), as docker_list() gives them, one at least. NULL with ERR_NOT_FOUND. */
cJSON *compose_containers(struct state *st, const struct session_row *row, const char *service,
                          struct err *err);

/** The first of them. NULL with ERR_NOT_FOUND. */
cJSON *compose_container(struct state *st, const struct session_row *row, const char *service,
                         struct err *err);

/** Whether nobody else uses the names of ${row}'s project: 0, or -1 with ERR_EXISTS naming a container of another compose project of
 * that name, or a network, volume or image that is called like one of its. The compose tool would take them for its own. */
int compose_alone(struct state *st, const struct session_row *row, struct err *err);

/** As engine->lent. */
cJSON *compose_lent(struct state *st, const struct session_row *row, struct err *err);

/** Remove whatever still carries the labels of ${row}, by id. 0 when nothing is left. */
int compose_sweep(struct state *st, const struct session_row *row, struct err *err);

/** Wait until every one of ${services} (array of names) is healthy, at most SESSION_START_TIMEOUT; ${job} may be NULL.
 * -1: as engine->wait. */
int compose_await(struct state *st, const struct session_row *row, const cJSON *services, struct job *job,
                  struct err *err);

/** Append to ${out}, for each container of ${row} that ended badly or is unhealthy, a line that says so and its last log lines. */
void compose_blame(struct state *st, const struct session_row *row, struct str *out);

/** Ask service ${role} of our own stack for its health, through its leased port: 1 healthy, 0 not yet, -1 the role has no
 * port to ask. Blocks for a second at most. */
int compose_ask_role(struct state *st, const struct session_row *row, const char *role);

/* compose_podman.c: sessions by podman-compose. */

/** Whether ${row}'s tool is podman-compose. */
bool compose_by_podman(const struct session_row *row);

/** Whether ${tool} can be used with the engine that answers, and, when ${project} is not NULL, for it; other tools than podman-compose
 * always. -1: ERR_ENGINE, ERR_INVALID. */
int compose_podman_usable(const struct provider *tool, const cJSON *project, struct err *err);

/** Write the variables of each service, those of ${base} and of ${environment} over them, below row->dir (0600): in the tool's arguments
 * everybody would see them. */
int compose_podman_variables(const struct session_row *row, const cJSON *base, const cJSON *environment,
                             struct err *err);

/** Make the networks and volumes of ${row}'s frozen file that are not there. */
int compose_podman_objects(struct state *st, const struct session_row *row, struct err *err);

/** Start those of ${services} (names) that have containers; the names of the others are added to ${missing}. */
int compose_podman_start(struct state *st, const struct session_row *row, const cJSON *services,
                         cJSON *missing, struct err *err);

/* compose_follow.c; engine.h says what each does */
cJSON *compose_logs(struct state *st, const struct session_row *row, const char *service,
                    const struct logs_window *w, struct err *err);
int compose_follow(struct state *st, const struct session_row *row, const cJSON *services,
                   const struct logs_window *w, logs_fn *fn, void *arg, struct err *err);
/* compose_attach.c */
int compose_exec(struct state *st, const struct session_row *row, const char *service,
                 const char *const *argv, bool tty, int *status, struct err *err);
int compose_read(struct state *st, const struct session_row *row, const char *path, size_t max, char **text,
                 struct err *err);
/* compose_found.c */
cJSON *compose_found(struct state *st, struct err *err);
/* compose_adopt.c */
/** What session ${uuid} is called by the label of ${object}, one of its; the caller frees it. */
char *compose_name(const cJSON *object, const char *uuid);
cJSON *compose_adopt(struct state *st, const char *uuid, struct err *err);
/* compose_memory.c */
int64_t compose_memory(struct state *st, const struct session_row *row);
/* compose_copy.c */
int compose_is_dir(struct state *st, const struct session_row *row, const char *service, const char *path,
                   struct err *err);
int compose_copy_out(struct state *st, const struct session_row *row, const char *service, const char *path,
                     int fd, int stop_fd, struct err *err);
int compose_copy_in(struct state *st, const struct session_row *row, const char *service, const char *path,
                    int fd, int stop_fd, struct err *err);
int compose_owner(struct state *st, const struct session_row *row, const char *service, int64_t *uid,
                  int64_t *gid, struct err *err);
/* compose_stats.c */
cJSON *compose_stats(struct state *st, const struct session_row *row);
int compose_disk(struct state *st, const struct session_row *row, int64_t *bytes, struct err *err);

int64_t compose_used_at(struct state *st, const struct session_row *row);

#endif
