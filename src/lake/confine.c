/* confine.c - a lake whose DuckDB is asked by strangers. */
#include "base/owned.h"
#include "lake/lake_private.h"

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
