#include "lake/duck_scan.h"

#include <duckdb.h>
#include <stdlib.h>

#include "base/clock.h"
#include "lake/duck_private.h"

struct duck_scan {
	const struct duck_connection *connection;
	duckdb_prepared_statement statement;
	int64_t began_ms;
	duckdb_result result;
	duckdb_data_chunk chunk; /* NULL: none */
};

static int scan_failed(struct duck_scan *scan, struct error *err)
{
	duck_fail((int)duckdb_result_error_type(&scan->result), duckdb_result_error(&scan->result), err);
	for (int i = 0; i < REASON_TRIES && duck_reason_is_lost(scan->connection, scan->began_ms, err); i++)
		duck_run_for_reason(scan->statement, err);
	return -1;
}

struct duck_scan *duck_scan_open(struct duck_connection *connection, const char *sql, struct error *err)
{
	struct duck_scan *scan = calloc(1, sizeof *scan);
	int failed = 0;

	if (!scan) {
		error_no_memory(err);
		return NULL;
	}
	scan->connection = connection;
	scan->began_ms = clock_monotonic_ms();
	atomic_store(&connection->interrupted, false);
	if (duckdb_prepare(connection->handle, sql, &scan->statement) == DuckDBError)
		failed = duck_fail_in_words(duckdb_prepare_error(scan->statement), err);
	else if (duckdb_execute_prepared_streaming(scan->statement, &scan->result) == DuckDBError)
		failed = scan_failed(scan, err);
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
	duckdb_destroy_prepare(&scan->statement);
	free(scan);
}

int duck_scan_next(struct duck_scan *scan, size_t *ret_rows, struct error *err)
{
	if (scan->chunk)
		duckdb_destroy_data_chunk(&scan->chunk);
	scan->chunk = duckdb_fetch_chunk(scan->result);
	if (scan->chunk) {
		*ret_rows = duckdb_data_chunk_get_size(scan->chunk);
		return 1;
	}
	return duckdb_result_error(&scan->result) ? scan_failed(scan, err) : 0;
}

const struct duck_vector *duck_scan_column(const struct duck_scan *scan, int column)
{
	return (const struct duck_vector *)duckdb_data_chunk_get_vector(scan->chunk, (idx_t)column);
}
