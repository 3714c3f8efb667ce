/* crypto.c - digests over OpenSSL's EVP; the one file of base that includes it.
 *
 * A failure of EVP here means a broken library, not bad input: it ends the process. */
#include "pailfs/base/crypto.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(int ok, const char *what)
{
	if (ok != 1) {
		fprintf(stderr, "pailfs: OpenSSL cannot do %s\n", what);
		abort();
	}
}

void crypto_sha256(const void *data, size_t n, uint8_t digest[SHA256_SIZE])
{
	require(EVP_Digest(data, n, digest, NULL, EVP_sha256(), NULL), "SHA-256");
}

void crypto_hmac_sha256(const void *key, size_t key_n, const void *data, size_t n,
                        uint8_t digest[SHA256_SIZE])
{
	unsigned length = SHA256_SIZE;

	require(HMAC(EVP_sha256(), key, (int)key_n, data, n, digest, &length) != NULL, "HMAC-SHA-256");
}

void crypto_hex(const uint8_t *bytes, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*out++ = digits[bytes[i] >> 4];
		*out++ = digits[bytes[i] & 15];
	}
	*out = '\0';
}

void crypto_random(void *out, size_t n)
{
	require(RAND_bytes(out, (int)n), "random bytes");
}

uint64_t crypto_hash64(const void *data, size_t n)
{
	const uint8_t *p = data;
	uint64_t h = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	/* FNV alone leaves the low bits weak; this is the finaliser of MurmurHash3. */
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdull;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ull;
	return h ^ h >> 33;
}
