#include "lake/extension.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/owned.h"
#include "lake/duck.h"

static const struct {
	const char *name, *path, *hash;
} known[] = {
#define EXTENSION(name, path, hash) {name, path, hash},
#include "lake_extensions.def" /* made by CMakeLists.txt of what `make setup` fetched */
#undef EXTENSION
};

const char *lake_extension_folder(void)
{
	const char *folder = getenv("TARN_EXTENSIONS");

	return folder && *folder ? folder : TARN_EXTENSION_FOLDER;
}

static void release_hash(struct hash **hash)
{
	hash_free(*hash);
}

static int hash_file(const char *path, char ret_hex[HASH_HEX_SIZE], struct error *err)
{
	size_t size = (size_t)1 << 20;
	OWNED_FREE char *block = malloc(size);
	OWNED_BY(release_hash) struct hash *hash = hash_new(err);
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : 0;

	if (!block || !hash)
		return error_no_memory(err);
	while (fd >= 0 && (got = read(fd, block, size)) > 0)
		hash_add(hash, block, (size_t)got);
	if (got < 0)
		return error_set(err, ERROR_FATAL, errno, "%s: %s", path, strerror(errno));
	hash_hex(hash, ret_hex);
	return 0;
}

static int check_known(const char *name, struct error *err)
{
	char hex[HASH_HEX_SIZE];

	for (size_t i = 0; i < COUNT_OF(known); i++) {
		OWNED_FREE char *path = NULL;

		if (strcmp(known[i].name, name) != 0)
			continue;
		if (asprintf(&path, "%s/%s", lake_extension_folder(), known[i].path) < 0) {
			path = NULL;
			return error_no_memory(err);
		}
		if (hash_file(path, hex, err))
			return -1;
		return strcmp(hex, known[i].hash) == 0
		               ? 0
		               : error_set(err, ERROR_FATAL, 0,
		                           "%s is another file than the one that this was built with", path);
	}
	return error_set(err, ERROR_FATAL, 0, "this was built without it");
}

int lake_load_extension(struct duck_connection *connection, const char *name, struct error *err)
{
	if (check_known(name, err) == 0 && duck_execf(connection, err, "LOAD %s", name) == 0)
		return 0;
	error_wrap(err, "DuckDB extension %s (in %s; `make setup` fetches it, TARN_EXTENSIONS names another folder)",
	           name, lake_extension_folder());
	err->kind = ERROR_FATAL;
	return -1;
}

int lake_extensions_end(struct duck_connection *connection, struct error *err)
{
	return duck_exec(connection, "SET allow_unsigned_extensions = false", NULL, err);
}
