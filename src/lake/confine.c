/* confine.c - a lake whose DuckDB is asked by strangers. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/owned.h"
#include "lake/lake_private.h"

/* Where SQLite has its SHARED locks in a file (its file format, section "lock-byte page"). */
#define SHARED_FIRST 0x40000002
#define SHARED_SIZE 510

int lake_hold_files(const struct spec_catalog *catalog, int *ret_fd, struct error *err)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = SHARED_FIRST, .l_len = SHARED_SIZE};
	OWNED_FD int fd = -1;

	*ret_fd = -1;
	if (catalog->backend.type != BACKEND_SQLITE)
		return 0;
	fd = open(catalog->backend.path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0; /* lake_open says it better */
	/* Of this descriptor: what DuckDB's SQLite closes takes the process's other locks with it, and not this one. */
	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock))
		return error_set(err, ERROR_TRANSIENT, errno, "the catalog %s cannot be held open: %s", catalog->name,
		                 strerror(errno));
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* The order matters: what is open by then stays open, and a locked configuration cannot be locked further. */
int lake_confine(struct lake_session *session, int threads, struct error *err)
{
	const struct spec_catalog *catalog = session->lake->catalog;
	struct duck_connection *connection = session->connection;
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, 65536);
	buffer_text(&sql, "SET allowed_directories = [");
	if (catalog->data_path)
		buffer_sql_text(&sql, catalog->data_path);
	buffer_text(&sql, "]");
	if (!buffer_ok(&sql))
		return error_no_memory(err);
	if (duck_execf(connection, err, "SET threads = %d", threads) ||
	    duck_exec(connection, "SET allow_community_extensions = false", NULL, err) ||
	    duck_exec(connection, buffer_string(&sql), NULL, err) ||
	    /* A Parquet answer's pipe (query/write.h). */
	    duck_exec(connection, "SET allowed_paths = ['/dev/fd/250']", NULL, err) ||
	    duck_exec(connection, "SET enable_external_access = false", NULL, err) ||
	    duck_exec(connection, "SET lock_configuration = true", NULL, err))
		return error_wrap(err, "DuckDB cannot be locked");
	return 0;
}

int lake_attach_memory(struct lake_session *session, const char *name, struct error *err)
{
	return duck_execf(session->connection, err, "ATTACH ':memory:' AS %s", name);
}
