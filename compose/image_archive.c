#include "compose/image_archive.h"
#include "core/mem.h"
#include "core/tar.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define END_BLOCKS 2

int archive_put(struct archive *a, const void *data, size_t len, struct err *err)
{
	if (a->sum)
		sha256_add(a->sum, data, len);
	a->bytes += (int64_t)len;
	for (const char *p = data; a->fd >= 0 && len > 0;) {
		ssize_t n = write(a->fd, p, len);
		if (n < 0 && errno != EINTR)
			return err_sys(err, errno, "write the image's archive");
		p += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int archive_pad(struct archive *a, struct err *err)
{
	static const char zeroes[TAR_BLOCK];
	size_t over = (size_t)(a->bytes % TAR_BLOCK);
	return over ? archive_put(a, zeroes, TAR_BLOCK - over, err) : 0;
}

static int put_header(struct archive *a, const struct image_entry *e, struct err *err)
{
	bool dir = e->type == IMAGE_DIR;
	cleanup_free char *path = mem_printf("%s%s", e->path, dir ? "/" : "");
	const char *link = e->type == IMAGE_LINK ? e->text : "";
	if (strlen(path) >= TAR_NAME_MAX || strlen(link) >= TAR_NAME_MAX || e->size >= INT64_C(1) << 33)
		return err_set(err, ERR_LIMIT, "image: %s: name or size is too long for tar", e->path);
	const struct tar_entry entry = {.path = path,
	                                .link = link,
	                                .type = (char)e->type,
	                                .mode = e->mode,
	                                .uid = e->owner,
	                                .gid = e->owner,
	                                .size = e->size};
	char block[TAR_BLOCK];
	tar_header(&entry, block);
	return archive_put(a, block, sizeof(block), err);
}

int archive_header(struct archive *a, const char *path, int64_t size, struct err *err)
{
	struct image_entry e = {.path = (char *)path, .type = IMAGE_FILE, .mode = 0644, .size = size};
	return put_header(a, &e, err);
}

static int put_file(struct archive *a, const struct image_entry *e, struct err *err)
{
	char buf[1 << 16];
	int64_t left = e->size;
	cleanup_close int fd = open(e->source, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : 1;
	while (n > 0 && (n = read(fd, buf, sizeof(buf))) > 0) {
		left -= n;
		if (left < 0)
			break;
		if (archive_put(a, buf, (size_t)n, err))
			return -1;
	}
	if (n < 0)
		return err_sys(err, errno, "image: %s", e->source);
	if (left)
		return err_set(err, ERR_STATE, "image: %s changed while it was read: try again", e->source);
	return 0;
}

int archive_add(struct archive *a, const struct image_entry *e, struct err *err)
{
	if (put_header(a, e, err))
		return -1;
	if (e->type == IMAGE_FILE &&
	    (e->source ? put_file(a, e, err) : archive_put(a, e->text, (size_t)e->size, err)))
		return -1;
	return archive_pad(a, err);
}

int archive_end(struct archive *a, struct err *err)
{
	static const char zeroes[END_BLOCKS * TAR_BLOCK];
	return archive_put(a, zeroes, sizeof(zeroes), err);
}

int64_t archive_size(const struct image_files *files)
{
	int64_t bytes = END_BLOCKS * TAR_BLOCK;
	for (size_t i = 0; i < files->n; i++)
		bytes += TAR_BLOCK + (files->list[i].size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
	return bytes;
}
