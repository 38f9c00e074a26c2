/* The parts of the process engine (engine.h says what each does): waiting in process_wait.c, what a person does with a
 * session that runs in process_attach.c, the rest in engine_process.c. */
#ifndef SESSIONS_PROCESS_H
#define SESSIONS_PROCESS_H

#include "sessions/engine.h"

#define PROCESS_STATUS_MS                                                                                    \
	500 /* a supervisor that does not say within it how its services are is not asked longer */

int process_wait(struct job *job, const struct session_row *row, struct err *err);

int process_await(struct state *st, const struct session_row *row, int64_t since_ms, int fd,
                  int64_t timeout_ms, struct err *err);

cJSON *process_logs(struct state *st, const struct session_row *row, const char *service,
                    const struct logs_window *w, struct err *err);
int process_follow(struct state *st, const struct session_row *row, const cJSON *services,
                   const struct logs_window *w, logs_fn *fn, void *arg, struct err *err);
int process_exec(struct state *st, const struct session_row *row, const char *service,
                 const char *const *argv, bool tty, int *status, struct err *err);
int process_read(struct state *st, const struct session_row *row, const char *path, size_t max, char **text,
                 struct err *err);
/* process_copy.c */
int process_is_dir(struct state *st, const struct session_row *row, const char *service, const char *path,
                   struct err *err);
int process_copy_out(struct state *st, const struct session_row *row, const char *service, const char *path,
                     int fd, int stop_fd, struct err *err);
int process_copy_in(struct state *st, const struct session_row *row, const char *service, const char *path,
                    int fd, int stop_fd, struct err *err);
int process_owner(struct state *st, const struct session_row *row, const char *service, int64_t *uid,
                  int64_t *gid, struct err *err);

/** Open ${path} below ${dir} without following a link anywhere in it; "" or "/" is ${dir}. -1 with ${err}: ERR_INVALID for a link or "..". */
int process_open_below(const char *dir, const char *path, struct err *err);

#endif
