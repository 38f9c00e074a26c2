#include "core/file.h"
#include "core/mem.h"
#include "core/str.h"
#include "core/tar.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define USTAR_SIZE_MAX (INT64_C(1) << 33) /* eleven octal digits */
#define USTAR_ID_MAX (INT64_C(1) << 21)   /* seven */

struct packer {
	int out;
	struct tar_options *o;
	char buf[1 << 16];
};

static int put(struct packer *p, const void *data, size_t len, struct err *err)
{
	struct pollfd stop = {.fd = p->o->stop_fd > 0 ? p->o->stop_fd : -1, .events = POLLIN};
	if (poll(&stop, 1, 0) > 0)
		return err_set(err, ERR_CANCELLED, "interrupted");
	for (const char *at = data; len > 0;) {
		ssize_t n = write(p->out, at, len);
		if (n < 0 && errno != EINTR)
			return err_sys(err, errno, "write the archive");
		at += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int pad(struct packer *p, int64_t size, struct err *err)
{
	static const char zeros[TAR_BLOCK];
	size_t over = (size_t)(size % TAR_BLOCK);
	return over ? put(p, zeros, TAR_BLOCK - over, err) : 0;
}

static int put_block(struct packer *p, const struct tar_entry *e, struct err *err)
{
	char block[TAR_BLOCK];
	tar_header(e, block);
	return put(p, block, sizeof(block), err);
}

/* "LENGTH key=value\n", LENGTH counting itself too. */
static void add_record(struct str *records, const char *key, const char *value)
{
	size_t rest = strlen(key) + strlen(value) + 3, len = rest + 1;
	for (size_t digits = 1, power = 10; digits < 8; digits++, power *= 10) {
		len = rest + digits;
		if (len < power)
			break;
	}
	str_addf(records, "%zu %s=%s\n", len, key, value);
}

/* What the header has no room for stands in a header before it. */
static int put_extended(struct packer *p, const struct tar_entry *e, struct err *err)
{
	cleanup_str struct str records = STR_INIT;
	char number[32];
	if (strlen(e->path) >= TAR_NAME_MAX)
		add_record(&records, "path", e->path);
	if (e->link && strlen(e->link) >= TAR_NAME_MAX)
		add_record(&records, "linkpath", e->link);
	const struct {
		const char *key;
		int64_t value, max;
	} numbers[] = {{"size", e->size, USTAR_SIZE_MAX},
	               {"uid", e->uid, USTAR_ID_MAX},
	               {"gid", e->gid, USTAR_ID_MAX}};
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		snprintf(number, sizeof(number), "%lld", (long long)numbers[i].value);
		if (numbers[i].value >= numbers[i].max)
			add_record(&records, numbers[i].key, number);
	}
	const struct tar_entry x = {.path = "pax", .type = 'x', .mode = 0600, .size = (int64_t)records.len};
	if (!records.len)
		return 0;
	return put_block(p, &x, err) || put(p, records.p, records.len, err) ? -1 : pad(p, x.size, err);
}

static int put_header(struct packer *p, const struct tar_entry *e, struct err *err)
{
	p->o->entries++;
	return put_extended(p, e, err) ? -1 : put_block(p, e, err);
}

static int put_file(struct packer *p, int dirfd, const char *name, struct tar_entry *e, struct err *err)
{
	struct stat st;
	/* a FIFO in its place must not make us wait */
	cleanup_close int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st))
		return err_sys(err, errno, "%s", e->path);
	e->size = st.st_size;
	if (put_header(p, e, err))
		return -1;
	for (int64_t left = e->size; left > 0;) {
		size_t want = left < (int64_t)sizeof(p->buf) ? (size_t)left : sizeof(p->buf);
		ssize_t n = read(fd, p->buf, want);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "%s", e->path);
		if (n == 0)
			return err_set(err, ERR_STATE, "%s became shorter while it was read: try again",
			               e->path);
		if (put(p, p->buf, (size_t)n, err))
			return -1;
		if (p->o->moved)
			p->o->moved(p->o->arg, n);
		left -= n;
	}
	return pad(p, e->size, err);
}

static int put_link(struct packer *p, int dirfd, const char *name, struct tar_entry *e, struct err *err)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);
	if (n < 0)
		return err_sys(err, errno, "%s", e->path);
	target[n] = '\0';
	e->link = target;
	return put_header(p, e, err);
}

static int put_tree(struct packer *p, int dirfd, const char *name, const char *as, int depth,
                    struct err *err);

static int put_dir(struct packer *p, int dirfd, const char *name, const struct tar_entry *e, const char *as,
                   int depth, struct err *err)
{
	cleanup_close int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	cleanup_close int own = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	DIR *dir = own < 0 ? NULL : fdopendir(own);
	struct dirent *d;
	int rc = 0;
	if (!dir)
		return err_sys(err, errno, "%s", e->path);
	own = -1;
	if (put_header(p, e, err))
		rc = -1;
	while (rc == 0 && (errno = 0, d = readdir(dir))) {
		cleanup_free char *below = mem_printf("%s/%s", as, d->d_name);
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			rc = put_tree(p, fd, d->d_name, below, depth + 1, err);
	}
	if (rc == 0 && errno)
		rc = err_sys(err, errno, "%s", e->path);
	closedir(dir);
	return rc;
}

/* What was removed while the tree was read is left out, unless it is all there was to be. */
static int put_tree(struct packer *p, int dirfd, const char *name, const char *as, int depth, struct err *err)
{
	struct stat st;
	if (depth > FILE_DEPTH_MAX)
		return err_set(err, ERR_LIMIT, "%s: nested deeper than %d directories", as, FILE_DEPTH_MAX);
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT && depth ? 0 : err_sys(err, errno, "%s", as);
	cleanup_free char *slashed = mem_printf("%s/", as);
	struct tar_entry e = {.path = S_ISDIR(st.st_mode) ? slashed : as,
	                      .uid = p->o->uid,
	                      .gid = p->o->gid,
	                      .mode = st.st_mode,
	                      .mtime_s = st.st_mtim.tv_sec};
	if (S_ISREG(st.st_mode)) {
		e.type = '0';
		return put_file(p, dirfd, name, &e, err);
	}
	if (S_ISLNK(st.st_mode)) {
		e.type = '2';
		return put_link(p, dirfd, name, &e, err);
	}
	if (S_ISDIR(st.st_mode)) {
		e.type = '5';
		return put_dir(p, dirfd, name, &e, as, depth, err);
	}
	p->o->skipped++;
	return 0;
}

int tar_pack(int dirfd, const char *name, const char *as, int out, struct tar_options *o, struct err *err)
{
	static const char end[2 * TAR_BLOCK];
	struct packer *p = mem_alloc(sizeof(*p));
	cleanup_free struct packer *freed = p;
	p->out = out;
	p->o = o;
	o->entries = o->skipped = 0;
	if (put_tree(p, dirfd, name, as, 0, err))
		return -1;
	if (!o->entries)
		return err_set(err, ERR_INVALID, "%s is no file, directory or link", name);
	return put(p, end, sizeof(end), err);
}
