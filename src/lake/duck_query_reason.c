/*
 * duck_query_reason.c - why a query ended.
 *
 * When a value cannot be converted on one of DuckDB's threads, the others are interrupted; and where the thread that
 * asks for rows learns of that first, DuckDB 1.5.5 says "Interrupted!" and has lost the reason (some in a hundred
 * times, with two threads). Whoever asked would be told that somebody stopped the query. So, where nobody did, it runs
 * once more, without its rows, for the reason's sake.
 */
#include "base/clock.h"
#include "lake/duck.h"
#include "lake/duck_private.h"
#include "lake/duck_query_private.h"

/* A query that ran longer than this is not run again. */
#define AGAIN_MS 2000

void query_begin(struct query *query)
{
	atomic_store(&query->connection->interrupted, false);
	query->began_ms = clock_monotonic_ms();
}

void query_interrupt(struct duck_connection *connection)
{
	atomic_store(&connection->interrupted, true);
	duckdb_interrupt(connection->handle);
}

void query_stop(const struct query *query)
{
	query_interrupt(query->connection);
}

bool duck_reason_is_lost(const struct duck_connection *connection, int64_t began_ms, const struct error *err)
{
	return err->code == DUCKDB_ERROR_INTERRUPT && !atomic_load(&connection->interrupted) &&
	       clock_monotonic_ms() - began_ms < AGAIN_MS;
}

void duck_run_for_reason(duckdb_prepared_statement statement, struct error *err)
{
	duckdb_result result = {0};
	duckdb_data_chunk chunk;

	if (duckdb_execute_prepared_streaming(statement, &result) != DuckDBError)
		while ((chunk = duckdb_fetch_chunk(result)))
			duckdb_destroy_data_chunk(&chunk);
	if (duckdb_result_error(&result))
		query_fail_result(&result, err);
	duckdb_destroy_result(&result);
}

void query_find_reason(struct query *query, struct error *err)
{
	const struct duck_connection *connection = query->connection;

	if (err->code != DUCKDB_ERROR_INTERRUPT || query->type != DUCKDB_STATEMENT_TYPE_SELECT ||
	    atomic_load(&connection->interrupted))
		return;
	for (int i = 0; i < REASON_TRIES && duck_reason_is_lost(connection, query->began_ms, err); i++)
		if (!query_bind_all(query, query->statement, err))
			duck_run_for_reason(query->statement, err);
	if (err->code == DUCKDB_ERROR_INTERRUPT && !atomic_load(&connection->interrupted))
		error_set(err, ERROR_INVALID, 0, "the query failed on a value, and DuckDB does not say on which");
}
