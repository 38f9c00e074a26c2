/* Trees of files into and out of containers, as tar streams of any size (docker_read_file() in docker.h is for one small file). */
#ifndef COMPOSE_DOCKER_ARCHIVE_H
#define COMPOSE_DOCKER_ARCHIVE_H

#include "core/err.h"
#include <stdbool.h>
#include <stdint.h>

/** Write ${path} in ${container} (running or not), with all below it, as a tar stream to ${fd}, in which it has its own last name ("." for
 * "…/."). Ends with ERR_CANCELLED when ${stop_fd} (<= 0: none) is readable; what nobody reads any more is no error. ERR_NOT_FOUND. */
int docker_archive_get(const char *container, const char *path, int fd, int stop_fd, struct err *err);

/** Unpack the tar stream ${fd} below the directory ${path} in ${container}, owners as it says. Reads it as it sends it. A directory does not replace what
 * is none, nor the other way round. ERR_FAILED with the engine's message. */
int docker_archive_put(const char *container, const char *path, int fd, int stop_fd, struct err *err);

/** Whether ${path} in ${container} is a directory, or a link to one: 1, 0, or -1 with ${err}. */
int docker_is_dir(const char *container, const char *path, struct err *err);

/** Who runs the programs of ${container}, by number: root unless it says otherwise; a name is looked up in its own /etc/passwd. */
int docker_user(const char *container, int64_t *uid, int64_t *gid, struct err *err);

#endif
