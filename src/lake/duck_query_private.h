/* duck_query_private.h - what the duck_query*.c share. Nobody else includes it. */
#ifndef TARN_LAKE_DUCK_QUERY_PRIVATE_H
#define TARN_LAKE_DUCK_QUERY_PRIVATE_H

#include "base/buffer.h"
#include "lake/duck_text.h"
#include "lake/query.h"

struct query_parameter {
	char *name; /* owned */
	char *type; /* that the statement needs in its place; NULL: any, or unknown; owned */
	duckdb_value value; /* NULL: it has none yet; owned */
	char *text; /* of a text; owned */
};

struct query_plan { /* of a column */
	bool is_direct; /* duck_text_cell writes it */
	char *casts[DUCK_FORM_COUNT]; /* the type that it is cast to; NULL: it goes as it is; owned */
};

struct query {
	struct duck_connection *connection;
	char *sql; /* as given; owned */
	duckdb_prepared_statement statement; /* of the text as given */
	duckdb_statement_type type;
	struct query_parameter *parameters;
	int parameter_count;
	bool explain;
	bool described; /* columns and plans are known */
	bool told; /* by the statement, so that they are the same whatever the values are */
	struct query_column *columns;
	struct query_plan *plans;
	int column_count;
	bool json;

	int64_t began_ms;

	/* From query_start on. */
	bool started, has_result;
	duckdb_result result; /* of `statement`, or of one around it that casts */
	struct duck_text *texts; /* of the result's columns */
	duckdb_data_chunk chunk;
	idx_t row, row_count; /* in the chunk */
	const void **data; /* of the chunk's columns */
	uint64_t **validity;
	struct query_cell *cells;
	char *space; /* DUCK_TEXT_BYTES a column */
	struct buffer *fixed; /* a column's JSON that had to be changed */
};

/* duck_query.c: DuckDB's sentence, with the candidates that it offers. Returns -1. */
int query_fail(int type, const char *message, struct error *err);
int query_fail_result(duckdb_result *result, struct error *err);
/* Runs a statement of the query's parameters, streaming. -1: `result` is destroyed. */
int query_execute(struct query *query, duckdb_prepared_statement statement, duckdb_result *result, struct error *err);
/* Columns and plans, of the statement where it tells, or of a first execution. */
int query_describe(struct query *query, struct error *err);

/* duck_query_reason.c: before it runs. */
void query_begin(struct query *query);

/* duck_query_bind.c */
int query_find_parameters(struct query *query, struct error *err);
void query_release_parameters(struct query *query);
void query_drop_values(struct query *query);
/* Each has a value, and they are bound to the statement by name. */
int query_bind_all(struct query *query, duckdb_prepared_statement statement, struct error *err);
/* A statement failed on a conversion: where a parameter's text is what cannot be converted, *err says so. */
void query_blame_parameter(struct query *query, struct error *err);

/* duck_query_number.c: of a JSON number, for a place of that type (NULL: any): a whole one is BIGINT or HUGEINT; any
 * other is DOUBLE where that has the same digits and the type is no exact one, else DECIMAL. Of more digits than these
 * have it is the text, which DuckDB casts. */
duckdb_value query_make_number(const char *text, const char *type);

/* duck_query_around.c: prepares HEAD (the statement) AS q(c0, c1...) TAIL; without columns, HEAD (the statement) TAIL.
 * NULL: the statement cannot stand there. */
duckdb_prepared_statement query_prepare_around(struct query *query, const char *head, bool columns, const char *tail,
                                               struct error *err);

#endif
