/*
 * query_body.h - the body of POST /query, read strictly: what is not known is a mistake that is named.
 *
 *     {"sql": "SELECT ...", "format": "csv", "catalog": "main", "params": [1, "a"] or {"name": 1}, "snapshot": 7,
 * "limit": 100}
 *
 * or, with Content-Type: application/sql, the statement alone, and format, catalog, snapshot and limit behind '?'.
 *
 * Life cycle: query_body_json | query_body_sql -> borrow -> query_body_release.
 */
#ifndef TARN_SERVE_QUERY_BODY_H
#define TARN_SERVE_QUERY_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "pool/request.h"

#define QUERY_SQL_BYTES_MAX ((size_t)1 << 20)
#define QUERY_PARAMETERS_MAX 1000

struct query_body {
	char *sql;
	char *catalog; /* NULL: none was named */
	bool has_format;
	enum answer_format format;
	int64_t snapshot; /* -1: the newest */
	int64_t limit; /* 0: none */
	struct request_parameter *parameters;
	int parameter_count;
};

/* INVALID: a sentence for whoever sent it. Released by the caller in any case. */
int query_body_json(const char *text, size_t size, struct query_body *ret_body, struct error *err);
/* The statement alone. */
int query_body_sql(const char *text, size_t size, struct query_body *ret_body, struct error *err);
/* One of format, catalog, snapshot and limit, as it stands behind '?'. */
int query_body_option(struct query_body *body, const char *name, const char *value, struct error *err);
void query_body_release(struct query_body *body);

/* "csv", "json", ...; false: none of them. */
bool answer_format_find(const char *name, enum answer_format *ret_format);
/* The one that Accept likes best, of equals the first of csv, json, ndjson, arrow, parquet; false: none. */
bool answer_format_accepted(const char *accept, enum answer_format *ret_format);

#endif
