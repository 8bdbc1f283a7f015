/*
 * query.h - one SQL statement of a person or a program, its rows as text, Arrow or Parquet.
 *
 * Invariants:
 *  1. Exactly one statement runs, or none.
 *  2. Rows are streamed: what is held is what DuckDB holds for the statement, and one chunk.
 *  3. Texts are DuckDB's own casts. Where a cell's text must be JSON it is, but for QUERY_JSON; NaN and Infinity are
 *     null in either.
 *  4. A parameter's value is bound, never written into SQL; nothing runs while one has no value.
 *
 * Life cycle: query_open -> query_bind... -> (query_start -> query_next...) | query_arrow | query_copy_parquet ->
 * (query_reset -> query_bind...) query_close. One thread, except query_interrupt. The connection is borrowed and lives
 * longer.
 */
#ifndef TARN_LAKE_QUERY_H
#define TARN_LAKE_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct duck_connection;
struct duck_stream;
struct query;

enum query_type {
	QUERY_TEXT,
	QUERY_NUMBER, /* its text is a JSON number, or nan, inf, -inf */
	QUERY_BOOLEAN,
	QUERY_NESTED, /* list, struct, map, array, union */
	QUERY_JSON, /* the text that somebody stored: DuckDB's cast and Arrow's arrow.json take what is none, too */
};

struct query_column {
	char *name; /* as DuckDB gives it; two may be equal */
	enum query_type type;
	char *type_name; /* as DuckDB writes it: DECIMAL(18,3) */
};

struct query_cell {
	const char *text; /* NULL: NULL; not terminated; borrowed until the next query_next */
	size_t size;
};

enum query_value_kind {
	QUERY_VALUE_NULL,
	QUERY_VALUE_BOOLEAN,
	QUERY_VALUE_INTEGER,
	QUERY_VALUE_DOUBLE,
	/* DuckDB casts it to what the statement needs in its place, as it does a literal in quotes. */
	QUERY_VALUE_TEXT,
	/* A finite number's text, as in JSON: a value that has all of its digits. */
	QUERY_VALUE_NUMBER,
	/* A text, which DuckDB casts to the type when it is bound. */
	QUERY_VALUE_DATE,
	QUERY_VALUE_TIMESTAMP,
};

struct query_value {
	enum query_value_kind kind;
	bool boolean;
	int64_t integer;
	double real;
	const char *text; /* UTF-8, not terminated; copied */
	size_t size;
};

#define QUERY_PARAMETERS_MAX 1000
#define QUERY_PARAMETER_BYTES_MAX ((size_t)16 << 20)

/* Parses and binds; nothing runs. INVALID: not exactly one statement, or DuckDB refuses it. */
struct query *query_open(struct duck_connection *connection, const char *sql, struct error *err);
void query_close(struct query *query);
const char *query_text(const struct query *query); /* as given */
/* As query_open left it, for other values: without values and rows. */
void query_reset(struct query *query);

/* The statement's parameters, each once: "limit" of $limit, "1" of $1 or of the first ?. */
int query_parameter_count(const struct query *query);
const char *query_parameter_name(const struct query *query, int index);
/* INVALID where there is no such parameter, it has its value already, or the value cannot be one. place: from 1. */
int query_bind(struct query *query, const char *name, const struct query_value *value, struct error *err);
int query_bind_place(struct query *query, int place, const struct query_value *value, struct error *err);
/* Has each a value? Starting it looks, too. */
int query_check_bound(const struct query *query, struct error *err);

/* None for a statement without a result, which is known after query_start. What columns a statement with parameters
 * has may be known after query_start (or query_arrow) only: none before. */
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
/* Runs it into a Parquet file (zstd), replacing what is there. /dev/fd/N may be a pipe. max_rows: at most one row more
 * is written; 0: all are. */
int query_copy_parquet(struct query *query, const char *path, int64_t max_rows, int64_t *ret_rows, struct error *err);

/* Of a stream's error, once it is closed: where DuckDB says "Interrupted!" and nobody did, *err becomes the reason.
 * query_next and the others have done so. */
void query_find_reason(struct query *query, struct error *err);

/* Any thread: what runs on the connection ends with an error soon. */
void query_interrupt(struct duck_connection *connection);
/* The same of the query's connection. */
void query_stop(const struct query *query);

#endif
