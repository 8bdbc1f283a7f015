/*
 * write.h - the rows of a query as bytes in each form, to wherever they are to go.
 *
 * CSV: RFC 4180 with a header line, LF; NULL is empty, an empty text is "". JSON: RFC 8259, one list of objects (or one
 * object, or an envelope); NDJSON: an object a line. NaN and Infinity are null, or what null_as says. Arrow: an IPC
 * stream. Parquet: a file, which DuckDB writes to a pipe. docs/types.md says what becomes of each type.
 *
 * Invariants:
 *  1. What is held is one chunk of rows and at most a block of bytes (of Parquet a row group): put is called as they
 *     come, on the caller's thread.
 *  2. A stream that ends in an error has no end: no closing bracket, no Arrow EOS, no Parquet footer.
 *
 * Errors: -1 with *err of the query, or with what `put` left in it.
 */
#ifndef TARN_QUERY_WRITE_H
#define TARN_QUERY_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "lake/query.h"
#include "spec/spec.h"

/* Parquet is written through a pipe on the first free descriptor from here on: a DuckDB without access to files needs
 * /dev/fd/250 in its allowed_paths, and writes one answer at a time. */
#define WRITE_PARQUET_FD 250

struct write_sink {
	void *context;
	int (*put)(void *context, const void *bytes, size_t size, struct error *err); /* 0, or -1 with *err */
};

struct write_options {
	enum answer_format format;
	int64_t max_rows; /* 0: any; one more is an error: too_many */
	int64_t first_rows; /* of JSON and NDJSON; 0: all; those behind are not written, which is no error: more */
	const struct spec_property
	        *null_as; /* column or *, JSON that stands for NULL, NaN and Infinity; of JSON and NDJSON */
	int null_as_count;
	bool object; /* JSON: the first row alone, as an object; none: no bytes, *ret_rows 0 */
	/* JSON: {"rows": [...]tail} instead of [...]; tail is asked for when all rows are written. NULL: no envelope.
	 */
	void (*tail)(void *context, struct buffer *out);
	void *tail_context;
};

struct write_result {
	int64_t rows;
	bool too_many;
	bool more; /* than first_rows */
};

/* "text/csv; charset=utf-8; header=present", ... */
const char *write_content_type(enum answer_format format);
/* The query is open (and bound), not started. */
int write_rows(struct query *query, const struct write_options *options, const struct write_sink *sink,
               struct write_result *ret_result, struct error *err);

/* A field of RFC 4180, quoted where it must be. */
void write_csv_field(struct buffer *out, const struct query_cell *cell);
/* A JSON value of a cell. */
void write_json_value(struct buffer *out, const struct query_cell *cell, enum query_type type);

#endif
