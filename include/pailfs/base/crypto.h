/* crypto.h - digests and random bytes, over OpenSSL's EVP. Any thread may call these. */
#ifndef PAILFS_BASE_CRYPTO_H
#define PAILFS_BASE_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE 32

void crypto_sha256(const void *data, size_t n, uint8_t digest[SHA256_SIZE]);
/* RFC 2104 over SHA-256. */
void crypto_hmac_sha256(const void *key, size_t key_n, const void *data, size_t n,
                        uint8_t digest[SHA256_SIZE]);
/* Writes 2 * n lower case digits and a NUL. */
void crypto_hex(const uint8_t *bytes, size_t n, char *out);
/* Random bytes that a stranger cannot guess. Ends the process if there are none. */
void crypto_random(void *out, size_t n);
/* A fast 64-bit hash (FNV-1a with a final mix), the same in every run and on every machine:
 * for inode numbers and tables, not against an adversary. */
uint64_t crypto_hash64(const void *data, size_t n);

#endif
