#include "core/id.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <uuid/uuid.h>

/* The namespace of all name-based ids of this program; a random UUID, never to change. */
static const uuid_t name_space = {0x6f, 0x1d, 0x0c, 0x52, 0x3b, 0x6e, 0x4f, 0x0a,
                                  0x9c, 0x41, 0x7a, 0x55, 0xd2, 0x08, 0xe7, 0x13};

void id_uuid(char buf[ID_UUID_LEN + 1])
{
	uuid_t u;
	uuid_generate_random(u);
	uuid_unparse_lower(u, buf);
}

void id_uuid_of(const char *name, char buf[ID_UUID_LEN + 1])
{
	uuid_t u;
	uuid_generate_sha1(u, name_space, name, strlen(name));
	uuid_unparse_lower(u, buf);
}

bool id_is_uuid(const char *text)
{
	uuid_t u;
	return text && strlen(text) == ID_UUID_LEN && uuid_parse(text, u) == 0;
}

void id_random_hex(char *buf, size_t bytes)
{
	buf[0] = '\0';
	for (size_t i = 0; i < bytes; i++) {
		unsigned char c;
		while (getrandom(&c, 1, 0) != 1)
			if (errno != EINTR)
				abort(); /* without randomness nothing here is safe */
		snprintf(buf + 2 * i, 3, "%02x", c);
	}
}

bool id_secret_equal(const char *secret, const char *given)
{
	if (!secret || !given)
		return false;
	size_t n = strlen(secret), m = strlen(given);
	unsigned char different = n != m || n == 0;
	for (size_t i = 0; i < m; i++)
		different |= (unsigned char)(given[i] ^ secret[n ? i % n : 0]);
	return !different;
}
