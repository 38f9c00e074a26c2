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

#define TREE_DEPTH_MAX 128

int file_read(const char *path, size_t max, char **text, size_t *len, struct err *err)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "open %s", path);
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
	for (char *slash = p + 1;; slash++) {
		if (*slash && *slash != '/')
			continue;
		char kept = *slash;
		*slash = '\0';
		if (mkdir(p, mode) && errno != EEXIST)
			return err_sys(err, errno, "make directory %s", p);
		*slash = kept;
		if (!kept)
			break;
	}
	struct stat st;
	if (stat(path, &st) || !S_ISDIR(st.st_mode))
		return err_sys(err, ENOTDIR, "make directory %s", path);
	return 0;
}

/* Walk what is below ${dirfd}; counts, and removes when asked to. Never follows a link. */
static int walk(int dirfd, bool remove, int depth, long *count)
{
	if (depth > TREE_DEPTH_MAX) {
		errno = ELOOP;
		return -1;
	}
	DIR *dir = fdopendir(dup(dirfd));
	if (!dir)
		return -1;
	int failed = 0;
	struct dirent *e;
	while (!failed && (e = readdir(dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		++*count;
		cleanup_close int sub =
		        openat(dirfd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		bool is_dir = sub >= 0;
		if (is_dir && walk(sub, remove, depth + 1, count))
			failed = errno;
		else if (remove && unlinkat(dirfd, e->d_name, is_dir ? AT_REMOVEDIR : 0) && errno != ENOENT)
			failed = errno;
	}
	closedir(dir);
	errno = failed;
	return failed ? -1 : 0;
}

int tree_remove(const char *path, struct err *err)
{
	cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	long count = 0;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd >= 0 && walk(fd, true, 0, &count))
		return err_sys(err, errno, "remove what is in %s", path);
	if ((fd >= 0 ? rmdir(path) : unlink(path)) && errno != ENOENT)
		return err_sys(err, errno, "remove %s", path);
	return 0;
}

long tree_count(const char *path)
{
	struct stat st;
	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -1;
	long count = 1;
	cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && walk(fd, false, 0, &count))
		return -1;
	return count;
}

bool path_exists(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

int lock_take(const char *path, int *out, struct err *err)
{
	cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, errno, "open lock %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno == EWOULDBLOCK)
			return 1;
		return err_sys(err, errno, "lock %s", path);
	}
	*out = TAKE_FD(fd);
	return 0;
}
