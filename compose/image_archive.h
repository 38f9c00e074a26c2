/* A tar archive (POSIX.1-1988 ustar) in which everything is as old as the epoch and in the order given, so that the same content
 * always gives the same bytes. tar(1) could do it too, but would need a copy of everything and root for the owners. */
#ifndef COMPOSE_IMAGE_ARCHIVE_H
#define COMPOSE_IMAGE_ARCHIVE_H

#include "compose/image_files.h"

struct archive {
	int fd;             /* -1: nothing is written */
	struct sha256 *sum; /* NULL: nothing is summed */
	int64_t bytes;      /* so far */
};

/** Append one entry. ERR_LIMIT for a name that tar has no room for, ERR_STATE when its file is not ${e->size} bytes long any more. */
int archive_add(struct archive *a, const struct image_entry *e, struct err *err);

/** Append the header of a file of ${size} bytes, whose content the caller appends (archive_put) and pads (archive_pad). */
int archive_header(struct archive *a, const char *path, int64_t size, struct err *err);
int archive_put(struct archive *a, const void *data, size_t len, struct err *err);
int archive_pad(struct archive *a, struct err *err);

/** Append the end. */
int archive_end(struct archive *a, struct err *err);

/** Bytes of the archive of ${files}, its end included. */
int64_t archive_size(const struct image_files *files);

#endif
