/* duck_query_forms.c - a statement's rows as Arrow arrays and as a Parquet file. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/owned.h"
#include "lake/duck.h"
#include "lake/duck_private.h"
#include "lake/duck_query_private.h"

static bool needs_casts(const struct query *query, enum duck_form form)
{
	for (int i = 0; i < query->column_count; i++)
		if (query->plans[i].casts[form])
			return true;
	return false;
}

static void append_casts(const struct query *query, enum duck_form form, struct buffer *sql)
{
	buffer_text(sql, "SELECT ");
	for (int i = 0; i < query->column_count; i++) {
		const char *type = query->plans[i].casts[form];

		buffer_text(sql, i ? ", " : "");
		buffer_printf(sql, type ? "CAST(c%d AS " : "c%d", i);
		buffer_text(sql, type ? type : "");
		buffer_text(sql, type ? ") AS " : " AS ");
		buffer_sql_name(sql, query->columns[i].name);
	}
	buffer_text(sql, " FROM ");
}

struct duck_stream *query_arrow(struct query *query, struct error *err)
{
	duckdb_prepared_statement statement = query->statement;
	OWNED_BUFFER struct buffer head = {0};
	struct duck_stream *stream = NULL;
	duckdb_result result = {0};
	bool casts;

	if (query_describe(query, err))
		return NULL;
	casts = needs_casts(query, DUCK_FORM_ARROW);
	if (casts) {
		buffer_init(&head, BUFFER_DEFAULT_MAXIMUM);
		append_casts(query, DUCK_FORM_ARROW, &head);
		if (!buffer_ok(&head)) {
			error_no_memory(err);
			return NULL;
		}
		statement = query_prepare_around(query, buffer_string(&head), true, "", err);
	}
	if (statement && !query_execute(query, statement, &result, err))
		stream = duck_stream_of(result, err);
	if (casts)
		duckdb_destroy_prepare(&statement);
	return stream;
}

/* COPY (statement) TO, COPY (FROM (statement) LIMIT) TO, or COPY (SELECT CAST(c0...) FROM (statement) q(c0...) LIMIT)
 * TO */
static duckdb_prepared_statement prepare_copy(struct query *query, const char *path, int64_t max_rows,
                                              struct error *err)
{
	OWNED_BUFFER struct buffer head = {0}, tail = {0};
	bool casts = needs_casts(query, DUCK_FORM_PARQUET), inside = casts || max_rows;

	buffer_init(&head, BUFFER_DEFAULT_MAXIMUM);
	buffer_init(&tail, 1 << 16);
	buffer_text(&head, inside ? "COPY (" : "COPY ");
	if (casts)
		append_casts(query, DUCK_FORM_PARQUET, &head);
	else
		buffer_text(&head, inside ? "FROM " : "");
	if (max_rows)
		buffer_printf(&tail, " LIMIT %" PRId64, max_rows + 1);
	buffer_text(&tail, inside ? ") TO " : " TO ");
	buffer_sql_text(&tail, path);
	buffer_text(&tail, " (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)");
	if (buffer_ok(&head) && buffer_ok(&tail))
		return query_prepare_around(query, buffer_string(&head), casts, buffer_string(&tail), err);
	error_no_memory(err);
	return NULL;
}

int query_copy_parquet(struct query *query, const char *path, int64_t max_rows, int64_t *ret_rows, struct error *err)
{
	duckdb_prepared_statement statement;
	duckdb_result result = {0};
	int failed;

	if (query->type != DUCKDB_STATEMENT_TYPE_SELECT)
		return error_set(err, ERROR_INVALID, 0, "only the rows of a SELECT can be Parquet");
	if (query_describe(query, err))
		return -1;
	statement = prepare_copy(query, path, max_rows, err);
	if (!statement)
		return -1;
	failed = query_execute(query, statement, &result, err);
	if (!failed) {
		*ret_rows = (int64_t)duckdb_rows_changed(&result);
		duckdb_destroy_result(&result);
	}
	duckdb_destroy_prepare(&statement);
	return failed;
}
