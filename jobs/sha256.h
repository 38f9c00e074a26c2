/* SHA-256 through libcrypto, in a file of its own: its headers and core/err.h both name an ERR_STATE. */
#ifndef JOBS_SHA256_H
#define JOBS_SHA256_H

#include <stddef.h>

#define SHA256_HEX 64

/** Write the lower-case hex digest of ${len} bytes and a NUL. */
void sha256_hex(const void *data, size_t len, char hex[SHA256_HEX + 1]);

/* The same piece by piece. */
struct sha256;
struct sha256 *sha256_begin(void);
void sha256_add(struct sha256 *sum, const void *data, size_t len);
/** Write the digest as sha256_hex() does (${hex} may be NULL) and free ${sum} (may be NULL). */
void sha256_end(struct sha256 *sum, char hex[SHA256_HEX + 1]);

#endif
