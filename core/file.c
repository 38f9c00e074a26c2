#include "core/file.h"
#include "core/id.h"
#include "core/mem.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_all(int fd, const char *path, size_t max, char **text, size_t *len, struct err *err)
{
	cleanup_free char *buf = mem_alloc(4096);
	size_t used = 0, cap = 4096;
	for (;;) {
		if (used + 1 == cap)
			buf = mem_resize(buf, cap *= 2, 1);
		ssize_t n = read(fd, buf + used, cap - used - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "read %s", path);
		if (n == 0)
			break;
		used += (size_t)n;
		if (used > max)
			return err_set(err, ERR_LIMIT, "%s is larger than %zu bytes", path, max);
	}
	buf[used] = '\0';
	*text = TAKE(buf);
	if (len)
		*len = used;
	return 0;
}

int file_read(const char *path, size_t max, char **text, size_t *len, struct err *err)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "open %s", path);
	return read_all(fd, path, max, text, len, err);
}

int file_read_regular(const char *path, size_t max, char **text, size_t *len, struct err *err)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat s = {0};
	if (fd < 0 && errno != ELOOP)
		return err_sys(err, errno, "open %s", path);
	if (fd < 0 || (fstat(fd, &s) == 0 && !S_ISREG(s.st_mode)))
		return err_set(err, ERR_INVALID, "%s is not a regular file", path);
	return read_all(fd, path, max, text, len, err);
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Make a rename durable. File systems without directory fsync are left alone. */
static void sync_parent(const char *path)
{
	cleanup_free char *dir = mem_strdup(path);
	char *slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = '\0';
	cleanup_close int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		fsync(fd);
}

int file_write(const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
	char suffix[17];
	id_random_hex(suffix, 8);
	cleanup_free char *tmp = mem_printf("%s.%s.tmp", path, suffix);
	cleanup_close int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return err_sys(err, errno, "create %s", tmp);
	if (fchmod(fd, mode) || write_all(fd, data, len) || fsync(fd) || rename(tmp, path)) {
		int e = errno;
		unlink(tmp);
		return err_sys(err, e, "write %s", path);
	}
	sync_parent(path);
	return 0;
}

ssize_t file_peek(const char *path, char *buf, size_t size)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	size_t used = 0;
	while (used + 1 < size) {
		ssize_t n = read(fd, buf + used, size - 1 - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		used += (size_t)n;
	}
	buf[used] = '\0';
	return (ssize_t)used;
}

int dir_make(const char *path, mode_t mode, struct err *err)
{
	cleanup_free char *p = mem_strdup(path);
	for (char *slash = p; *slash;) {
		slash += strspn(slash, "/");
		slash += strcspn(slash, "/");
		char kept = *slash;
		*slash = '\0';
		if (mkdir(p, mode) && errno != EEXIST)
			return err_sys(err, errno, "make directory %s", p);
		*slash = kept;
	}
	struct stat st;
	if (stat(path, &st))
		return err_sys(err, errno, "make directory %s", path);
	return S_ISDIR(st.st_mode) ? 0 : err_sys(err, ENOTDIR, "make directory %s", path);
}

struct tally {
	long count;
	int64_t bytes;
};

static void add_up(struct tally *t, const struct stat *st)
{
	t->count++;
	t->bytes += (int64_t)st->st_blocks * 512; /* POSIX leaves the unit open, Linux does not */
}

/* Walk what is below ${dirfd}; counts, and removes when asked to, as much as it can. Never follows a link. Returns 0 or
 * the first errno. */
static int walk(int dirfd, bool remove, int depth, struct tally *tally)
{
	if (depth > FILE_DEPTH_MAX)
		return ENAMETOOLONG;
	cleanup_close int own = fcntl(dirfd, F_DUPFD_CLOEXEC, 3);
	DIR *dir = own < 0 ? NULL : fdopendir(own);
	if (!dir)
		return errno;
	own = -1;
	if (remove)
		fchmod(dirfd, 0700); /* a read-only directory does not let go of its files, except for root */
	int failed = 0;
	struct dirent *e;
	while ((e = readdir(dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		struct stat st = {0};
		fstatat(dirfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW);
		add_up(tally, &st);
		cleanup_close int sub =
		        openat(dirfd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		int problem = sub >= 0 ? walk(sub, remove, depth + 1, tally) : 0;
		if (!problem && remove && unlinkat(dirfd, e->d_name, sub >= 0 ? AT_REMOVEDIR : 0) &&
		    errno != ENOENT)
			problem = errno;
		failed = failed ? failed : problem;
	}
	closedir(dir);
	return failed;
}

int tree_remove(const char *path, struct err *err)
{
	cleanup_free char *p = mem_strdup(path);
	size_t len = strlen(p);
	while (len && p[len - 1] == '/') /* "link/" would be what the link points to */
		p[--len] = '\0';
	const char *last = strrchr(p, '/') ? strrchr(p, '/') + 1 : p;
	if (!last[0] || !strcmp(last, ".") || !strcmp(last, ".."))
		return err_set(err, ERR_INVALID, "remove %s: name a directory by its own name",
		               path[0] ? path : "\"\"");
	cleanup_close int fd = open(p, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct tally tally = {0};
	if (fd < 0 && errno == ENOENT)
		return 0;
	int problem = fd >= 0 ? walk(fd, true, 0, &tally) : 0;
	if (problem == ENAMETOOLONG)
		return err_set(err, ERR_LIMIT,
		               "remove %s: nested deeper than %d directories: remove it by hand", path,
		               FILE_DEPTH_MAX);
	if (problem)
		return err_sys(err, problem, "remove what is in %s", path);
	if ((fd >= 0 ? rmdir(p) : unlink(p)) && errno != ENOENT)
		return err_sys(err, errno, "remove %s", path);
	return 0;
}

/* Returns 0, also when it is missing, or -1. */
static int measure(const char *path, struct tally *tally)
{
	struct stat st;
	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -1;
	add_up(tally, &st);
	cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 && walk(fd, false, 0, tally) ? -1 : 0;
}

long tree_count(const char *path)
{
	struct tally tally = {0};
	return measure(path, &tally) ? -1 : tally.count;
}

int64_t tree_bytes(const char *path)
{
	struct tally tally = {0};
	return measure(path, &tally) ? -1 : tally.bytes;
}

bool path_exists(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

int lock_take(const char *path, int *out, struct err *err)
{
	for (;;) {
		cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return err_sys(err, errno, "open lock %s", path);
		if (flock(fd, LOCK_EX | LOCK_NB))
			return errno == EWOULDBLOCK ? 1 : err_sys(err, errno, "lock %s", path);
		/* whoever held it may have removed the file: then ours is the lock of nothing */
		struct stat ours, there;
		if (fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_ino == there.st_ino &&
		    ours.st_dev == there.st_dev) {
			*out = TAKE_FD(fd);
			return 0;
		}
	}
}
