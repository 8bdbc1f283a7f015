#include "base/hash.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct hash {
	EVP_MD_CTX *context;
};

struct hash *hash_new(struct error *err)
{
	struct hash *hash = calloc(1, sizeof *hash);

	if (hash)
		hash->context = EVP_MD_CTX_new();
	if (hash && hash->context && EVP_DigestInit_ex(hash->context, EVP_sha256(), NULL) == 1)
		return hash;
	hash_free(hash);
	error_no_memory(err);
	return NULL;
}

void hash_add(struct hash *hash, const void *bytes, size_t size)
{
	EVP_DigestUpdate(hash->context, bytes, size);
}

static void digits_of(const unsigned char *digest, unsigned size, char ret_hex[HASH_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned i = 0; i < size && i < HASH_HEX_SIZE / 2; i++) {
		ret_hex[2 * i] = digits[digest[i] >> 4];
		ret_hex[2 * i + 1] = digits[digest[i] & 15];
	}
	ret_hex[HASH_HEX_SIZE - 1] = 0;
}

void hash_hex(struct hash *hash, char ret_hex[HASH_HEX_SIZE])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned size = 0;

	EVP_DigestFinal_ex(hash->context, digest, &size);
	digits_of(digest, size, ret_hex);
}

bool hash_whole(const void *bytes, size_t size, char ret_hex[HASH_HEX_SIZE])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;

	if (EVP_Digest(bytes, size, digest, &length, EVP_sha256(), NULL) != 1)
		return false;
	digits_of(digest, length, ret_hex);
	return true;
}

void hash_free(struct hash *hash)
{
	if (!hash)
		return;
	EVP_MD_CTX_free(hash->context);
	free(hash);
}
