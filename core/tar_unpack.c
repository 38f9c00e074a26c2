#include "core/file.h"
#include "core/mem.h"
#include "core/tar.h"
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLAGS                                                                                                \
	(ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_SECURE_SYMLINKS |                     \
	 ARCHIVE_EXTRACT_SECURE_NODOTDOT | ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS)

struct unpacker {
	int in;
	const char *as;
	struct tar_options *o;
	struct archive *from, *to;
	bool stopped;
	char buf[1 << 16];
};

/* -- the stream -- */

/* For libarchive: the next bytes, until somebody says stop. */
static la_ssize_t give(struct archive *a, void *arg, const void **data)
{
	struct unpacker *u = arg;
	struct pollfd p[] = {{.fd = u->in, .events = POLLIN},
	                     {.fd = u->o->stop_fd > 0 ? u->o->stop_fd : -1, .events = POLLIN}};
	ssize_t n;
	*data = u->buf;
	do {
		n = poll(p, ARRAY_LEN(p), -1);
		u->stopped = n > 0 && p[1].revents;
		if (u->stopped) {
			archive_set_error(a, EINTR, "interrupted");
			return -1;
		}
		n = n < 0 ? -1 : read(u->in, u->buf, sizeof(u->buf));
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n < 0)
		archive_set_error(a, errno, "%s", strerror(errno));
	return n;
}

/* What ${a} says went wrong with ${path}. */
static int failed(const struct unpacker *u, struct archive *a, const char *path, struct err *err)
{
	const char *text = archive_error_string(a);
	int cause = archive_errno(a);
	if (u->stopped)
		return err_set(err, ERR_CANCELLED, "interrupted");
	if (a == u->to && cause > 0 && cause < 200)
		return err_sys(err, cause, "%s", path);
	return err_set(err, ERR_INVALID, "%s: %s", path, text ? text : "not an archive that can be read");
}

/* -- names -- */

/* ${path} with its first part replaced; NULL: there is nothing of it left. The caller frees it. */
static char *rename_top(const char *path, const char *as)
{
	const char *rest = path + strspn(path, "/");
	if (!as)
		return mem_strdup(path);
	rest += strcspn(rest, "/");
	rest += strspn(rest, "/");
	if (!*as)
		return *rest ? mem_strdup(rest) : NULL;
	return *rest ? mem_printf("%s/%s", as, rest) : mem_strdup(as);
}

/* Returns 1 when it is to be left out. */
static int set_names(struct unpacker *u, struct archive_entry *entry, struct err *err)
{
	const char *path = archive_entry_pathname(entry), *target = archive_entry_hardlink(entry);
	if (!path || !*path)
		return err_set(err, ERR_INVALID, "the archive has an entry without a name");
	cleanup_free char *name = rename_top(path, u->as), *link = target ? rename_top(target, u->as) : NULL;
	if (!name)
		return 1;
	archive_entry_set_pathname(entry, name);
	if (link)
		archive_entry_set_hardlink(entry, link);
	return 0;
}

static bool is_wanted(struct archive_entry *entry)
{
	unsigned type = archive_entry_filetype(entry);
	return archive_entry_hardlink(entry) || type == AE_IFREG || type == AE_IFDIR || type == AE_IFLNK;
}

/* -- entries -- */

static int copy_content(struct unpacker *u, const char *path, struct err *err)
{
	const void *block;
	size_t size;
	la_int64_t offset;
	int rc;
	while ((rc = archive_read_data_block(u->from, &block, &size, &offset)) == ARCHIVE_OK) {
		if (archive_write_data_block(u->to, block, size, offset) < ARCHIVE_OK)
			return failed(u, u->to, path, err);
		if (u->o->moved)
			u->o->moved(u->o->arg, (int64_t)size);
	}
	return rc == ARCHIVE_EOF ? 0 : failed(u, u->from, path, err);
}

static int take_entry(struct unpacker *u, struct archive_entry *entry, struct err *err)
{
	int named = set_names(u, entry, err);
	if (named)
		return named < 0 ? -1 : 0;
	if (!is_wanted(entry)) {
		u->o->skipped++;
		return 0;
	}
	cleanup_free char *path = mem_strdup(archive_entry_pathname(entry));
	archive_entry_set_perm(entry, archive_entry_perm(entry) & 0777);
	u->o->entries++;
	if (archive_write_header(u->to, entry) < ARCHIVE_WARN)
		return failed(u, u->to, path, err);
	if (archive_entry_size(entry) > 0 && copy_content(u, path, err))
		return -1;
	return archive_write_finish_entry(u->to) < ARCHIVE_WARN ? failed(u, u->to, path, err) : 0;
}

static int take_all(struct unpacker *u, struct err *err)
{
	struct archive_entry *entry;
	const void *rest;
	int rc;
	u->o->entries = u->o->skipped = 0;
	if (archive_read_open(u->from, u, NULL, give, NULL) != ARCHIVE_OK)
		return failed(u, u->from, "archive", err);
	while ((rc = archive_read_next_header(u->from, &entry)) == ARCHIVE_OK || rc == ARCHIVE_WARN)
		if (take_entry(u, entry, err))
			return -1;
	if (rc != ARCHIVE_EOF)
		return failed(u, u->from, "archive", err);
	if (archive_write_close(u->to) != ARCHIVE_OK)
		return failed(u, u->to, "archive", err);
	while (give(u->from, u, &rest) > 0) /* whoever writes it must not be cut off */
		;
	return u->o->entries || u->o->skipped || (u->as && !*u->as)
	               ? 0
	               : err_set(err, ERR_INVALID, "there is nothing in the archive");
}

/* Names are bytes in UTF-8 here, whatever the locale; paths are taken from the working directory, which is this thread's own. */
static int unpack_here(struct unpacker *u, struct err *err)
{
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0),
	         before = utf8 ? uselocale(utf8) : (locale_t)0;
	u->from = archive_read_new();
	u->to = archive_write_disk_new();
	archive_read_support_format_tar(u->from);
	archive_write_disk_set_options(u->to, FLAGS);
	int rc = take_all(u, err);
	archive_read_free(u->from);
	archive_write_free(u->to);
	if (utf8) {
		uselocale(before);
		freelocale(utf8);
	}
	return rc;
}

int tar_unpack(int in, int dirfd, const char *as, struct tar_options *o, struct err *err)
{
	struct unpacker *u = mem_alloc(sizeof(*u));
	cleanup_free struct unpacker *freed = u;
	cleanup_close int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	*u = (struct unpacker){.in = in, .as = as, .o = o};
	if (unshare(CLONE_FS) || fchdir(dirfd))
		return err_sys(err, errno, "change into the directory to unpack in");
	int rc = unpack_here(u, err);
	if (before >= 0 && fchdir(before))
		rc = rc ? rc : err_sys(err, errno, "change back into the working directory");
	return rc;
}

/* -- first aside, then in place -- */

static int move_all(int from, int to, int depth, struct err *err);

static int move_one(int from, int to, const char *name, int depth, struct err *err)
{
	struct stat ours, there;
	if (fstatat(from, name, &ours, AT_SYMLINK_NOFOLLOW))
		return err_sys(err, errno, "%s", name);
	bool is_there = fstatat(to, name, &there, AT_SYMLINK_NOFOLLOW) == 0;
	if (is_there && S_ISDIR(ours.st_mode) != S_ISDIR(there.st_mode))
		return err_set(err, ERR_EXISTS, "%s is %s here and %s there: remove it first", name,
		               S_ISDIR(there.st_mode) ? "a directory" : "no directory",
		               S_ISDIR(ours.st_mode) ? "a directory" : "none");
	if (!is_there || !S_ISDIR(ours.st_mode))
		return renameat(from, name, to, name) ? err_sys(err, errno, "%s", name) : 0;
	cleanup_close int below = openat(from, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW),
	                  above = openat(to, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (below < 0 || above < 0)
		return err_sys(err, errno, "%s", name);
	return move_all(below, above, depth + 1, err) ? err_wrap(err, "%s", name) : 0;
}

static int move_all(int from, int to, int depth, struct err *err)
{
	cleanup_close int own = fcntl(from, F_DUPFD_CLOEXEC, 3);
	DIR *dir = own < 0 ? NULL : fdopendir(own);
	struct dirent *d;
	int rc = 0;
	if (!dir)
		return err_sys(err, errno, "read what was unpacked");
	own = -1;
	if (depth > FILE_DEPTH_MAX)
		rc = err_set(err, ERR_LIMIT, "nested deeper than %d directories", FILE_DEPTH_MAX);
	while (rc == 0 && (d = readdir(dir)))
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			rc = move_one(from, to, d->d_name, depth, err);
	closedir(dir);
	return rc;
}

int tar_receive(int in, int dirfd, const char *as, struct tar_options *o, struct err *err)
{
	char aside[64];
	snprintf(aside, sizeof(aside), "/proc/self/fd/%d/.codefoundry-cp-XXXXXX", dirfd);
	if (!mkdtemp(aside))
		return err_sys(err, errno, "make a directory to unpack in");
	cleanup_close int fd = open(aside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err ignored = {0};
	int rc = fd < 0 ? err_sys(err, errno, "open the directory to unpack in")
	                : tar_unpack(in, fd, as, o, err);
	if (rc == 0)
		rc = move_all(fd, dirfd, 0, err);
	/* what failed is what is told */
	return tree_remove(aside, &ignored) && rc == 0 ? (*err = ignored, -1) : rc;
}
