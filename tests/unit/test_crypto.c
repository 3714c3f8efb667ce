/* Digests and encodings, held to the vectors of those who defined them. */
#include <check.h>
#include <string.h>
#include "pailfs/base/crypto.h"
#include "unit.h"

static const char *hex(const uint8_t *bytes, size_t n)
{
	static char out[2 * SHA256_SIZE + 1];

	crypto_hex(bytes, n, out);
	return out;
}

/* FIPS 180-2, appendix B. */
static const struct {
	const char *text, *digest;
} hashes[] = {
	{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

START_TEST(sha256)
{
	uint8_t digest[SHA256_SIZE];

	crypto_sha256(hashes[_i].text, strlen(hashes[_i].text), digest);
	ck_assert_str_eq(hex(digest, sizeof(digest)), hashes[_i].digest);
}
END_TEST

/* RFC 4231: a key of 20 bytes, a short one, and one longer than the block. */
START_TEST(hmac_sha256)
{
	static const char hi[] = "Hi There", what[] = "what do ya want for nothing?",
			  large[] = "Test Using Larger Than Block-Size Key - Hash Key First";
	uint8_t key[131], digest[SHA256_SIZE];

	memset(key, 0x0b, 20);
	crypto_hmac_sha256(key, 20, hi, strlen(hi), digest);
	ck_assert_str_eq(hex(digest, sizeof(digest)),
	                 "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	crypto_hmac_sha256("Jefe", 4, what, strlen(what), digest);
	ck_assert_str_eq(hex(digest, sizeof(digest)),
	                 "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof(key));
	crypto_hmac_sha256(key, sizeof(key), large, strlen(large), digest);
	ck_assert_str_eq(hex(digest, sizeof(digest)),
	                 "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}
END_TEST

/* Inode numbers are made of it: another number would be another inode after an update. */
START_TEST(hash64_is_the_same_for_ever)
{
	ck_assert_uint_eq(crypto_hash64("", 0), 0xefd01f60ba992926ull);
	ck_assert_uint_eq(crypto_hash64("dir/file.bin", 12), 0xe43160c47fdb8c27ull);
	ck_assert_uint_ne(crypto_hash64("dir/file.bim", 12), 0xe43160c47fdb8c27ull);
}
END_TEST

START_TEST(random_is_not_the_same_twice)
{
	uint8_t a[16] = {0}, b[16] = {0}, zero[16] = {0};

	crypto_random(a, sizeof(a));
	crypto_random(b, sizeof(b));
	ck_assert_int_ne(memcmp(a, b, sizeof(a)), 0);
	ck_assert_int_ne(memcmp(a, zero, sizeof(a)), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("crypto");
	TCase *tc = tcase_create("crypto");

	tcase_add_loop_test(tc, sha256, 0, sizeof(hashes) / sizeof(*hashes));
	tcase_add_test(tc, hmac_sha256);
	tcase_add_test(tc, hash64_is_the_same_for_ever);
	tcase_add_test(tc, random_is_not_the_same_twice);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
