/* Trees of files as tar streams (POSIX.1-2001 pax). Written here, which is little; read with libarchive, because what stands in an
 * archive from outside is not to be believed. Odd rule: nobody's owner is read or restored, and no set-user-id bit is, nor a device:
 * who unpacks is the owner. */
#ifndef CORE_TAR_H
#define CORE_TAR_H

#include "core/err.h"
#include <stdbool.h>
#include <stdint.h>

#define TAR_BLOCK 512    /* bytes: of a header, and what content is filled up to */
#define TAR_NAME_MAX 100 /* a header has room for names shorter than that */

struct tar_entry {
	const char *path, *link; /* a directory's path ends in a slash; link NULL: none */
	char type;               /* '0' a file, '2' a link, '5' a directory, 'x' an extended header */
	unsigned mode;
	int64_t uid, gid, size, mtime_s;
};

/** The header of ${e} alone (ustar). What has no room in it is cut, numbers become 0: an extended header before it must say it. */
void tar_header(const struct tar_entry *e, char block[TAR_BLOCK]);

struct tar_options {
	int64_t uid, gid; /* who owns what is written, in the archive */
	int stop_fd;      /* readable: give up with ERR_CANCELLED; <= 0: none. Borrowed */
	void (*moved)(void *arg,
	              int64_t bytes); /* so many bytes of content more were read or written; may be NULL */
	void *arg;
	long entries; /* out: how many were written or made */
	long skipped; /* out: how many were left out, because they are no file, directory or link */
};

/**
 * Write ${name} in the directory ${dirfd}, with all below it, to ${out} as a whole tar stream in which it is called ${as} ("." for what is in
 * it only). Links are written as links. ERR_STATE for a file that became shorter meanwhile, ERR_LIMIT for a tree deeper than FILE_DEPTH_MAX.
 */
int tar_pack(int dirfd, const char *name, const char *as, int out, struct tar_options *o, struct err *err);

/**
 * Unpack the tar stream ${in} below the directory ${dirfd}, whatever is in it never outside. Names in it are kept (${as} NULL), or their first part is
 * replaced by ${as}, or ("") left out. What was there is replaced; failure leaves what was unpacked so far. The caller must not depend
 * on the working directory meanwhile (a thread's own is changed). Reads ${in} to its end. ERR_INVALID: it is no archive, or an empty one.
 */
int tar_unpack(int in, int dirfd, const char *as, struct tar_options *o, struct err *err);

/** The same, but each thing stands under its name only when the whole stream was read: first into a directory of its own in ${dirfd}, which is gone
 * afterwards, then moved. Directories are merged; ERR_EXISTS for a directory in place of something else, or the other way round. */
int tar_receive(int in, int dirfd, const char *as, struct tar_options *o, struct err *err);

#endif
