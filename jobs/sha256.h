/* SHA-256 through libcrypto, in a file of its own: its headers and core/err.h both name an ERR_STATE. */
#ifndef JOBS_SHA256_H
#define JOBS_SHA256_H

#include <stddef.h>

#define SHA256_HEX 64

/** Write the lower-case hex digest of ${len} bytes and a NUL. */
void sha256_hex(const void *data, size_t len, char hex[SHA256_HEX + 1]);

#endif
