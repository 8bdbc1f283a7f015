#include "lake/extension.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/hash.h"
#include "base/owned.h"
#include "lake/duck.h"

/* "v1.5.5/linux_amd64/ducklake.duckdb_extension", below the folder. */
static const struct known {
	const char *path, *hash;
} known[] = {
#include "extension_hashes.inc"
        {NULL, NULL},
};

const char *lake_extension_folder(void)
{
	const char *folder = getenv("TARN_EXTENSIONS");

	return folder && *folder ? folder : TARN_EXTENSION_FOLDER;
}

/* Of this DuckDB's version: it loads no others. */
static const struct known *find(const char *name)
{
	const char *version = duck_version();
	size_t size = strlen(version);

	for (const struct known *one = known; one->path; one++) {
		const char *file = strrchr(one->path, '/');

		if (file && !strncmp(file + 1, name, strlen(name)) &&
		    !strcmp(file + 1 + strlen(name), ".duckdb_extension") && !strncmp(one->path, version, size) &&
		    one->path[size] == '/')
			return one;
	}
	return NULL;
}

static int hash_file(const char *path, char ret_hex[HASH_HEX_SIZE])
{
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct error ignored;
	struct stat stat_;
	struct hash *hash;
	void *bytes;

	if (fd < 0 || fstat(fd, &stat_) || stat_.st_size <= 0)
		return -1;
	bytes = mmap(NULL, (size_t)stat_.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (bytes == MAP_FAILED)
		return -1;
	hash = hash_new(&ignored);
	if (hash) {
		hash_add(hash, bytes, (size_t)stat_.st_size);
		hash_hex(hash, ret_hex);
	}
	hash_free(hash);
	munmap(bytes, (size_t)stat_.st_size);
	return hash ? 0 : -1;
}

bool extension_is_known(const char *name)
{
	const struct known *one = find(name);
	OWNED_FREE char *path = NULL;
	char hex[HASH_HEX_SIZE];

	if (!one)
		return false;
	if (asprintf(&path, "%s/%s", lake_extension_folder(), one->path) < 0) {
		path = NULL;
		return false;
	}
	return !hash_file(path, hex) && !strcmp(hex, one->hash);
}

static int fail(const char *name, struct error *err)
{
	error_wrap(err, "DuckDB extension %s (in %s; `make setup` fetches it, TARN_EXTENSIONS names another folder)",
	           name, lake_extension_folder());
	err->kind = ERROR_FATAL;
	return -1;
}

int extension_load_known(struct duck_connection *connection, const char *name, struct error *err)
{
	const struct known *one = find(name);
	OWNED_BUFFER struct buffer path = {0}, sql = {0};

	buffer_init(&path, 65536);
	buffer_init(&sql, 65536);
	buffer_printf(&path, "%s/%s", lake_extension_folder(), one ? one->path : name);
	buffer_text(&sql, "LOAD ");
	buffer_sql_text(&sql, buffer_string(&path));
	if (!buffer_ok(&path) || !buffer_ok(&sql))
		return error_no_memory(err);
	return duck_exec(connection, buffer_string(&sql), NULL, err) ? fail(name, err) : 0;
}

int lake_load_extension(struct duck_connection *connection, const char *name, struct error *err)
{
	return duck_execf(connection, err, "LOAD %s", name) ? fail(name, err) : 0;
}
