/* Files and directories: bounded reads, atomic private writes, removal that never follows links. */
#ifndef CORE_FILE_H
#define CORE_FILE_H

#include "core/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FILE_DEPTH_MAX 128 /* directories within directories that tree_* go down */

/** Read a whole file of at most ${max} bytes. Returns 0 and transfers ${*text} (NUL-terminated; ${*len} may be
 * NULL), or -1 (ERR_NOT_FOUND, ERR_LIMIT, …). */
int file_read(const char *path, size_t max, char **text, size_t *len, struct err *err);
/** The same where somebody else may have put anything: a FIFO, on which opening would block, a link, a device or a directory is ERR_INVALID. */
int file_read_regular(const char *path, size_t max, char **text, size_t *len, struct err *err);

/** Replace ${path} by ${len} bytes with ${mode}: temporary file in the same directory, fsync, rename, fsync of the
 * directory. A failure leaves the old file. */
int file_write(const char *path, const void *data, size_t len, mode_t mode, struct err *err);

/** Read a file under /proc or similar into ${buf}, NUL-terminated, cut at ${size} - 1. Returns bytes read or -1 (errno). */
ssize_t file_peek(const char *path, char *buf, size_t size);

/** mkdir -p with ${mode} for what is made. 0 also when it was there. */
int dir_make(const char *path, mode_t mode, struct err *err);

/** rm -r without following links; a missing tree is fine. Removes what it can before it fails: ERR_LIMIT when nested deeper than
 * FILE_DEPTH_MAX, ERR_INVALID for /, "", . and .. */
int tree_remove(const char *path, struct err *err);

/** Number of files and directories below ${path}, itself included; 0 when it is missing, -1 on error. */
long tree_count(const char *path);

/** Bytes of the disk that they take; 0 when it is missing, -1 on error. */
int64_t tree_bytes(const char *path);

bool path_exists(const char *path);

/**
 * Take the advisory lock (flock) of ${path}, made 0600 if missing. Returns 0 and the open ${*fd} (close it to
 * release; inherited by no child), 1 when another process (or descriptor) holds it, or -1 with ${err}. Never blocks.
 */
int lock_take(const char *path, int *fd, struct err *err);

#endif
