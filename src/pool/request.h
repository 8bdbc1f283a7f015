/*
 * request.h - what a worker is asked, and how it refuses: the one list of refusals, from the worker to HTTP's status.
 *
 * A request travels as JSON (request_write, request_read); a worker trusts its server, but for the statement.
 */
#ifndef TARN_POOL_REQUEST_H
#define TARN_POOL_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "spec/spec.h"

enum request_op {
	REQUEST_QUERY, /* `sql`, guarded, its rows in `format` */
	REQUEST_DESCRIBE, /* JSON for a language model: tables that may be read, their columns... (describe.h) */
	REQUEST_OVERVIEW, /* JSON for the console: tables, snapshots, quarantine, pipelines; those that may be read */
};

/* REFUSAL(id, name, HTTP status, what the caller's client is told as the problem's title) */
#define REFUSALS(REFUSAL)                                                                                              \
	REFUSAL(SYNTAX, "syntax", 400, "The statement is not one SELECT that can be parsed")                           \
	REFUSAL(FORBIDDEN, "forbidden", 403, "The statement is not allowed")                                           \
	REFUSAL(NOT_FOUND, "not_found", 404, "There is no such row, snapshot or catalog")                              \
	REFUSAL(PARAMETERS, "parameters", 422, "The parameters do not fit the statement")                              \
	REFUSAL(INVALID, "invalid", 422, "The statement does not fit the tables, or fails on a value")                 \
	REFUSAL(ROWS, "rows", 422, "The answer has more rows than are allowed")                                        \
	REFUSAL(MEMORY, "memory", 422, "The query needs more memory than is allowed")                                  \
	REFUSAL(TIME, "time", 408, "The query takes longer than is allowed")                                           \
	REFUSAL(CANCELLED, "cancelled", 499, "The client went away")                                                   \
	REFUSAL(LATER, "later", 503, "The lake cannot be reached just now")                                            \
	REFUSAL(LOST, "lost", 503, "The worker ended before it had answered")                                          \
	REFUSAL(INTERNAL, "internal", 500, "The query failed for a reason of the server's")

enum refusal {
	REFUSAL_NONE,
#define REFUSAL_ID(id, ...) REFUSAL_##id,
	REFUSALS(REFUSAL_ID)
#undef REFUSAL_ID
	        REFUSAL_COUNT
};

const char *refusal_name(enum refusal refusal);
int refusal_status(enum refusal refusal);
const char *refusal_title(enum refusal refusal);
enum refusal refusal_find(const char *name); /* REFUSAL_INTERNAL: not known */

/* A parameter's value is JSON (a text, a number, true, false, null). */
struct request_parameter {
	char *name; /* NULL: by its place, from 1 */
	char *json;
	int type; /* enum parameter_type; -1: of the JSON */
};

struct request {
	enum request_op op;
	char *sql;
	struct request_parameter *parameters;
	int parameter_count;
	enum answer_format format;
	bool object; /* JSON: the one row, NOT_FOUND where there is none */
	struct spec_property *null_as; /* column or *, JSON; for NULL, NaN and Infinity */
	int null_as_count;
	int64_t snapshot; /* -1: the newest */
	/* What the server knows of the lake for next to nothing (lake/version.h), and a worker would ask 20 ms for. */
	int64_t inlined_schema; /* version_inlined; -1: not told */
	int64_t *
	        hot_changed; /* of each of the pool's hot tables, the snapshot that changed it last, as of `snapshot` */
	int hot_changed_count; /* 0: not told */
	char **tables; /* patterns (SCHEMA.TABLE with *) that may be read */
	int table_count; /* -1: all but Tarn's own schemas */
	int64_t max_rows, max_ms, memory_bytes; /* 0: the worker's own */
	int64_t first_rows; /* JSON and NDJSON: these alone, and the END says whether there are more; 0: all */
	/* Pages (query/page.h): the SELECT's rows in the order of `page_key`, behind the cursor's values, page_rows of
	 * them; FRAME_END has "next", the last row's key as a JSON list, where there are more. Without a key: the
	 * first page_rows, in the SELECT's own order. */
	char **page_key;
	int page_key_count;
	int64_t page_rows;
	char *page_after; /* a JSON list of the key's values, texts and nulls; NULL: from the beginning */
};

/* Everything in it is owned (but a request may also be filled with borrowed texts and only written). */
void request_release(struct request *request);
void request_write(const struct request *request, struct buffer *out);
int request_read(const char *json, size_t size, struct request *ret_request, struct error *err);

#endif
