#include "lake/duck_file.h"

#include <duckdb.h>
#include <stdlib.h>

#include "lake/duck.h"
#include "lake/duck_private.h"

struct duck_file {
	struct duck_connection *connection;
	duckdb_file_handle handle;
};

static duckdb_file_system file_system(struct duck_connection *connection)
{
	duckdb_client_context context = NULL;
	duckdb_file_system files;

	duckdb_connection_get_client_context(connection->handle, &context);
	files = duckdb_client_context_get_file_system(context);
	duckdb_destroy_client_context(&context);
	return files;
}

static int open_handle(struct duck_file *file, const char *name, int64_t *ret_size, struct error *err)
{
	duckdb_file_system files = file_system(file->connection);
	duckdb_file_open_options options = duckdb_create_file_open_options();
	int failed = 0;

	duckdb_file_open_options_set_flag(options, DUCKDB_FILE_FLAG_READ, true);
	if (duckdb_file_system_open(files, name, options, &file->handle) == DuckDBError)
		failed = duck_fail_data(duckdb_file_system_error_data(files), err);
	duckdb_destroy_file_open_options(&options);
	duckdb_destroy_file_system(&files);
	if (failed)
		return -1;
	*ret_size = duckdb_file_handle_size(file->handle);
	return *ret_size < 0 ? duck_fail_data(duckdb_file_handle_error_data(file->handle), err) : 0;
}

struct duck_file *duck_file_open(struct duck_connection *connection, const char *name, int64_t *ret_size,
                                 struct error *err)
{
	struct duck_file *file = calloc(1, sizeof *file);

	if (!file) {
		error_no_memory(err);
		return NULL;
	}
	file->connection = connection;
	if (duck_exec(connection, "BEGIN", NULL, err)) {
		free(file);
		return NULL;
	}
	if (open_handle(file, name, ret_size, err) == 0)
		return file;
	duck_file_close(file);
	return NULL;
}

int duck_file_read(struct duck_file *file, void *to, size_t size, struct error *err)
{
	for (size_t done = 0; done < size;) {
		int64_t got = duckdb_file_handle_read(file->handle, (uint8_t *)to + done, (int64_t)(size - done));

		if (got < 0)
			return duck_fail_data(duckdb_file_handle_error_data(file->handle), err);
		if (got == 0)
			return error_set(err, ERROR_TRANSIENT, 0, "it ended %zu bytes too soon", size - done);
		done += (size_t)got;
	}
	return 0;
}

void duck_file_close(struct duck_file *file)
{
	struct error ignored;

	if (!file)
		return;
	duckdb_destroy_file_handle(&file->handle);
	duck_exec(file->connection, "ROLLBACK", NULL, &ignored);
	free(file);
}
