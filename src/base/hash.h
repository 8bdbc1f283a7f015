/*
 * hash.h - SHA-256 (FIPS 180-4) of bytes that come in parts; by libcrypto, which hash.c alone sees.
 *
 * Life cycle: hash_new -> hash_add... -> hash_hex -> hash_free. One thread.
 */
#ifndef TARN_BASE_HASH_H
#define TARN_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define HASH_HEX_SIZE 65

struct hash;

struct hash *hash_new(struct error *err);
void hash_add(struct hash *hash, const void *bytes, size_t size);
/* Once, after the last part: 64 lower-case digits. */
void hash_hex(struct hash *hash, char ret_hex[HASH_HEX_SIZE]);
void hash_free(struct hash *hash);
/* All at once. False: out of memory. */
bool hash_whole(const void *bytes, size_t size, char ret_hex[HASH_HEX_SIZE]);

#endif
