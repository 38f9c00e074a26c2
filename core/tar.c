#include "core/tar.h"
#include <stdio.h>
#include <string.h>

struct header {
	char name[TAR_NAME_MAX], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type,
	        link[TAR_NAME_MAX];
	char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], unused[12];
};
_Static_assert(sizeof(struct header) == TAR_BLOCK, "a header is one block");

/* ${value} in all of ${field} but its end; 0 when it has no room there. */
static void octal(char *field, size_t size, int64_t value)
{
	int digits = (int)size - 1;
	snprintf(field, size, "%0*llo", digits,
	         value < 0 || value >> (3 * digits) ? 0ull : (unsigned long long)value);
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

void tar_header(const struct tar_entry *e, char block[TAR_BLOCK])
{
	struct header h = {.type = e->type, .magic = "ustar", .version = {'0', '0'}};
	snprintf(h.name, sizeof(h.name), "%s", e->path);
	snprintf(h.link, sizeof(h.link), "%s", e->link ? e->link : "");
	octal(h.mode, sizeof(h.mode), e->mode & 07777);
	octal(h.uid, sizeof(h.uid), e->uid);
	octal(h.gid, sizeof(h.gid), e->gid);
	octal(h.size, sizeof(h.size), e->size);
	octal(h.mtime, sizeof(h.mtime), e->mtime_s);
	sign(&h);
	memcpy(block, &h, sizeof(h));
}
