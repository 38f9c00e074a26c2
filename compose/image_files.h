/* What goes into the image: the running program, what the loader gave it, a shell, certificates, time zones. Paths in the image do not
 * depend on where things lie on this machine beyond the directory of libc. For image.c. */
#ifndef COMPOSE_IMAGE_FILES_H
#define COMPOSE_IMAGE_FILES_H

#include "core/err.h"
#include "jobs/sha256.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum image_type { IMAGE_FILE = '0', IMAGE_LINK = '2', IMAGE_DIR = '5' }; /* as in tar */

struct image_entry {
	char *path; /* without a leading slash */
	enum image_type type;
	mode_t mode;
	unsigned owner; /* user and group */
	char *source;   /* IMAGE_FILE: read from here, or … */
	char *text;     /* … its content; IMAGE_LINK: what it points to */
	int64_t size;
};

struct image_files {
	struct image_entry *list; /* ascending by path, so that directories come before what they hold */
	size_t n;
};

/** Fill ${files}, image_files_free() it. ${complete}: with a link for each applet of busybox, which asks it for them. ERR_NOT_FOUND names
 * what is missing and its package. */
int image_files_find(struct image_files *files, bool complete, struct err *err);
void image_files_free(struct image_files *files);

/** Write the digest of where ${files} come from (paths, sizes, inodes and times, no content) to ${hex}: while it stays the same, so does
 * the image. */
int image_files_key(const struct image_files *files, char hex[SHA256_HEX + 1], struct err *err);

#endif
