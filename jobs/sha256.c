#include "jobs/sha256.h"
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

/* What libcrypto refuses here it refuses only without memory. */
static void need(int ok)
{
	if (!ok)
		abort();
}

static void to_hex(const unsigned char *digest, char hex[SHA256_HEX + 1])
{
	for (size_t i = 0; i < SHA256_HEX / 2; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

void sha256_hex(const void *data, size_t len, char hex[SHA256_HEX + 1])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	need(EVP_Digest(data, len, digest, NULL, EVP_sha256(), NULL));
	to_hex(digest, hex);
}

struct sha256 *sha256_begin(void)
{
	EVP_MD_CTX *sum = EVP_MD_CTX_new();
	need(sum && EVP_DigestInit_ex(sum, EVP_sha256(), NULL));
	return (struct sha256 *)sum;
}

void sha256_add(struct sha256 *sum, const void *data, size_t len)
{
	need(EVP_DigestUpdate((EVP_MD_CTX *)sum, data, len));
}

void sha256_end(struct sha256 *sum, char hex[SHA256_HEX + 1])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	if (sum && hex) {
		need(EVP_DigestFinal_ex((EVP_MD_CTX *)sum, digest, NULL));
		to_hex(digest, hex);
	}
	EVP_MD_CTX_free((EVP_MD_CTX *)sum);
}
