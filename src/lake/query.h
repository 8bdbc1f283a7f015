/*
 * query.h - one SQL statement of a person or a program, its rows as text, Arrow or Parquet.
 *
 * Invariants:
 *  1. Exactly one statement runs, or none.
 *  2. Rows are streamed: what is held is what DuckDB holds for the statement, and one chunk.
 *  3. Texts are DuckDB's own casts. Where a cell's text must be JSON it is, also for NaN and Infinity (null).
 *
 * Life cycle: query_open -> (query_start -> query_next...) | query_arrow | query_copy_parquet -> query_close.
 * One thread, except query_interrupt. The connection is borrowed and lives longer.
 */
#ifndef TARN_LAKE_QUERY_H
#define TARN_LAKE_QUERY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct duck_connection;
struct duck_stream;
struct query;

enum query_type {
	QUERY_TEXT,
	QUERY_NUMBER, /* its text is a JSON number, or nan, inf, -inf */
	QUERY_BOOLEAN,
	QUERY_NESTED, /* list, struct, map, array, union, JSON */
};

struct query_column {
	char *name; /* as DuckDB gives it; two may be equal */
	enum query_type type;
};

struct query_cell {
	const char *text; /* NULL: NULL; not terminated; borrowed until the next query_next */
	size_t size;
};

/* Parses and binds; nothing runs. INVALID: not exactly one statement, or DuckDB refuses it. */
struct query *query_open(struct duck_connection *connection, const char *sql, struct error *err);
void query_close(struct query *query);

/* None for a statement without a result, which is known after query_start. */
int query_column_count(const struct query *query);
const struct query_column *query_columns(const struct query *query);
/* EXPLAIN: its second column is a picture of many lines. */
bool query_is_explain(const struct query *query);

/* json: the cells of nested columns are JSON, instead of DuckDB's text for people. */
int query_start(struct query *query, bool json, struct error *err);
/* 1: *ret_cells has a cell for each column; 0: the end; -1: error. */
int query_next(struct query *query, const struct query_cell **ret_cells, struct error *err);

/* Runs it as a stream of arrays, which the caller closes. */
struct duck_stream *query_arrow(struct query *query, struct error *err);
/* Runs it into a Parquet file (zstd), replacing what is there. */
int query_copy_parquet(struct query *query, const char *path, struct error *err);

/* Any thread: what runs on the connection ends with an error soon. */
void query_interrupt(struct duck_connection *connection);

#endif
