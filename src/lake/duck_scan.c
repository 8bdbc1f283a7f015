#include "lake/duck_scan.h"

#include <duckdb.h>
#include <stdlib.h>

#include "lake/duck_private.h"

struct duck_scan {
	duckdb_result result;
	duckdb_data_chunk chunk; /* NULL: none */
};

struct duck_scan *duck_scan_open(struct duck_connection *connection, const char *sql, struct error *err)
{
	struct duck_scan *scan = calloc(1, sizeof *scan);
	duckdb_prepared_statement statement = NULL;
	int failed = 0;

	if (!scan) {
		error_no_memory(err);
		return NULL;
	}
	if (duckdb_prepare(connection->handle, sql, &statement) == DuckDBError)
		failed = duck_fail_in_words(duckdb_prepare_error(statement), err);
	else if (duckdb_execute_prepared_streaming(statement, &scan->result) == DuckDBError)
		failed = duck_fail((int)duckdb_result_error_type(&scan->result), duckdb_result_error(&scan->result),
		                   err);
	duckdb_destroy_prepare(&statement);
	if (!failed)
		return scan;
	duck_scan_close(scan);
	return NULL;
}

void duck_scan_close(struct duck_scan *scan)
{
	if (!scan)
		return;
	if (scan->chunk)
		duckdb_destroy_data_chunk(&scan->chunk);
	duckdb_destroy_result(&scan->result);
	free(scan);
}

int duck_scan_next(struct duck_scan *scan, size_t *ret_rows, struct error *err)
{
	const char *reason;

	if (scan->chunk)
		duckdb_destroy_data_chunk(&scan->chunk);
	scan->chunk = duckdb_fetch_chunk(scan->result);
	if (scan->chunk) {
		*ret_rows = duckdb_data_chunk_get_size(scan->chunk);
		return 1;
	}
	reason = duckdb_result_error(&scan->result);
	return reason ? duck_fail((int)duckdb_result_error_type(&scan->result), reason, err) : 0;
}

const struct duck_vector *duck_scan_column(const struct duck_scan *scan, int column)
{
	return (const struct duck_vector *)duckdb_data_chunk_get_vector(scan->chunk, (idx_t)column);
}
