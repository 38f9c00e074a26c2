#include "compose/image_archive.h"
#include "core/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 512
#define END_BLOCKS 2

struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
	char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], unused[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

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
	static const char zeroes[BLOCK];
	size_t over = (size_t)(a->bytes % BLOCK);
	return over ? archive_put(a, zeroes, BLOCK - over, err) : 0;
}

/* Sum of the header's bytes, the checksum's own counted as spaces. */
static void sign(struct header *h)
{
	unsigned sum = 0;
	memset(h->checksum, ' ', sizeof(h->checksum));
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += ((const unsigned char *)h)[i];
	snprintf(h->checksum, sizeof(h->checksum), "%06o", sum & 0777777);
}

static int put_header(struct archive *a, const struct image_entry *e, struct err *err)
{
	struct header h = {.type = (char)e->type, .magic = "ustar", .version = {'0', '0'}};
	const char *slash = e->type == IMAGE_DIR ? "/" : "", *link = e->type == IMAGE_LINK ? e->text : "";
	if (strlen(e->path) + strlen(slash) >= sizeof(h.name) || strlen(link) >= sizeof(h.link) ||
	    e->size >= INT64_C(1) << 33)
		return err_set(err, ERR_LIMIT, "image: %s: name or size is too long for tar", e->path);
	snprintf(h.name, sizeof(h.name), "%s%s", e->path, slash);
	snprintf(h.link, sizeof(h.link), "%s", link);
	snprintf(h.mode, sizeof(h.mode), "%07o", e->mode & 07777u);
	snprintf(h.uid, sizeof(h.uid), "%07o", e->owner & 07777777u);
	snprintf(h.gid, sizeof(h.gid), "%07o", e->owner & 07777777u);
	snprintf(h.size, sizeof(h.size), "%011llo", (unsigned long long)e->size & 077777777777u);
	snprintf(h.mtime, sizeof(h.mtime), "%011o", 0u);
	sign(&h);
	return archive_put(a, &h, sizeof(h), err);
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
	static const char zeroes[END_BLOCKS * BLOCK];
	return archive_put(a, zeroes, sizeof(zeroes), err);
}

int64_t archive_size(const struct image_files *files)
{
	int64_t bytes = END_BLOCKS * BLOCK;
	for (size_t i = 0; i < files->n; i++)
		bytes += BLOCK + (files->list[i].size + BLOCK - 1) / BLOCK * BLOCK;
	return bytes;
}
