#include "lake/query.h"

#include <duckdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/log.h"
#include "base/owned.h"
#include "lake/duck.h"
#include "lake/duck_private.h"

struct query {
	struct duck_connection *connection;
	char *sql; /* as given; owned */
	char *from; /* what may stand in FROM query(...); NULL: the statement may not; owned */
	bool explain;
	struct query_column *columns;
	bool *json_text; /* of a column: the text is JSON already */
	bool *arrow_text; /* of a column: Arrow gets it as text */
	int column_count;
	bool json;

	/* From query_start on. */
	bool started, has_result;
	duckdb_result result;
	duckdb_data_chunk chunk; /* of a streamed result */
	idx_t row, row_count; /* in the chunk, or in the whole result where `from` is NULL */
	struct query_cell *cells;
	char **owned_cells; /* of one row, where `from` is NULL: DuckDB's */
	struct buffer fixed; /* space for JSON that has to be changed */
};

/* Where nothing is like it, DuckDB offers a table of its own. */
static void drop_strange_candidate(char *message)
{
	static const char *const own[] = {"pg_", "sqlite_", "duckdb_", "pragma_", "information_schema"};
	char *offer = strstr(message, " Did you mean \"");

	for (size_t i = 0; offer && i < COUNT_OF(own); i++)
		if (!strncmp(offer + strlen(" Did you mean \""), own[i], strlen(own[i])))
			*offer = 0;
}

/* DuckDB's sentence, with the candidates that it offers on further lines but without its picture of the statement. */
static int fail(int type, const char *message, struct error *err)
{
	size_t size;

	duck_fail(type, message, err);
	if (!message || !err)
		return -1;
	size = strlen(err->message);
	for (const char *line = strchr(message, '\n'); line; line = strchr(line, '\n')) {
		size_t length = strcspn(++line, "\n");

		if (!strncmp(line, "LINE ", 5))
			break;
		if (!length || size + length + 3 > sizeof err->message)
			continue;
		err->message[size++] = ' ';
		memcpy(err->message + size, line, length);
		size += length;
		err->message[size] = 0;
	}
	drop_strange_candidate(err->message);
	log_mask(err->message);
	return -1;
}

static int fail_result(duckdb_result *result, struct error *err)
{
	return fail((int)duckdb_result_error_type(result), duckdb_result_error(result), err);
}

/* The alias of a type's name, "JSON", is all that tells JSON from text. */
static bool is_json(duckdb_logical_type type)
{
	char *alias = duckdb_logical_type_get_alias(type);
	bool json = alias && !strcmp(alias, "JSON");

	duckdb_free(alias);
	return json;
}

static enum query_type type_of(duckdb_type type)
{
	switch (type) {
	case DUCKDB_TYPE_TINYINT:
	case DUCKDB_TYPE_SMALLINT:
	case DUCKDB_TYPE_INTEGER:
	case DUCKDB_TYPE_BIGINT:
	case DUCKDB_TYPE_UTINYINT:
	case DUCKDB_TYPE_USMALLINT:
	case DUCKDB_TYPE_UINTEGER:
	case DUCKDB_TYPE_UBIGINT:
	case DUCKDB_TYPE_HUGEINT:
	case DUCKDB_TYPE_UHUGEINT:
	case DUCKDB_TYPE_FLOAT:
	case DUCKDB_TYPE_DOUBLE:
	case DUCKDB_TYPE_DECIMAL: return QUERY_NUMBER;
	case DUCKDB_TYPE_BOOLEAN: return QUERY_BOOLEAN;
	case DUCKDB_TYPE_LIST:
	case DUCKDB_TYPE_ARRAY:
	case DUCKDB_TYPE_STRUCT:
	case DUCKDB_TYPE_MAP:
	case DUCKDB_TYPE_UNION: return QUERY_NESTED;
	default: return QUERY_TEXT;
	}
}

/* ENUM would be a dictionary, which the writer does not write; of the others Arrow would get less than there is. */
static bool is_text_in_arrow(duckdb_type type)
{
	return type == DUCKDB_TYPE_ENUM || type == DUCKDB_TYPE_BIT || type == DUCKDB_TYPE_TIME_TZ ||
	       type == DUCKDB_TYPE_BIGNUM || type == DUCKDB_TYPE_VARIANT;
}

/* Names and types as the statement gives them, before it is put into another one. */
static int describe(struct query *query, duckdb_prepared_statement statement, struct error *err)
{
	int count = (int)duckdb_prepared_statement_column_count(statement);

	query->columns = calloc((size_t)count + 1, sizeof *query->columns);
	query->json_text = calloc((size_t)count + 1, sizeof *query->json_text);
	query->arrow_text = calloc((size_t)count + 1, sizeof *query->arrow_text);
	query->cells = calloc((size_t)count + 1, sizeof *query->cells);
	query->owned_cells = calloc((size_t)count + 1, sizeof *query->owned_cells);
	if (!query->columns || !query->json_text || !query->arrow_text || !query->cells || !query->owned_cells)
		return error_no_memory(err);
	for (query->column_count = 0; query->column_count < count; query->column_count++) {
		struct query_column *column = &query->columns[query->column_count];
		const char *name = duckdb_prepared_statement_column_name(statement, (idx_t)query->column_count);
		duckdb_logical_type type =
		        duckdb_prepared_statement_column_logical_type(statement, (idx_t)query->column_count);

		column->name = strdup(name ? name : "");
		column->type = type_of(duckdb_get_type_id(type));
		query->json_text[query->column_count] = is_json(type);
		query->arrow_text[query->column_count] = is_text_in_arrow(duckdb_get_type_id(type));
		if (query->json_text[query->column_count])
			column->type = QUERY_NESTED;
		duckdb_free((void *)(uintptr_t)name);
		duckdb_destroy_logical_type(&type);
		if (!column->name)
			return error_no_memory(err);
	}
	return 0;
}

/* What stands before the first word: white space and comments. */
static size_t skip_blank(const char *sql)
{
	size_t at = 0;

	for (;;) {
		const char *end;

		at += strspn(sql + at, " \t\r\n\f\v");
		if (!strncmp(sql + at, "--", 2)) {
			at += strcspn(sql + at, "\n");
		} else if (!strncmp(sql + at, "/*", 2) && (end = strstr(sql + at + 2, "*/"))) {
			at = (size_t)(end + 2 - sql);
		} else {
			return at;
		}
	}
}

/* FROM query('the statement'): DuckDB parses it again there, so that neither its last ; nor a comment nor two columns
 * of one name matter. */
static void append_from(const struct query *query, struct buffer *sql)
{
	buffer_text(sql, " FROM query(");
	buffer_sql_text(sql, query->from);
	buffer_text(sql, ") AS q(");
	for (int i = 0; i < query->column_count; i++)
		buffer_printf(sql, "%sc%d", i ? ", " : "", i);
	buffer_char(sql, ')');
}

static void append_select(const struct query *query, bool json, struct buffer *sql)
{
	buffer_text(sql, "SELECT ");
	for (int i = 0; i < query->column_count; i++) {
		bool as_json = json && query->columns[i].type == QUERY_NESTED && !query->json_text[i];

		buffer_printf(sql, "%sCAST(%s(c%d) AS VARCHAR)", i ? ", " : "", as_json ? "to_json" : "", i);
	}
	append_from(query, sql);
}

static bool can_prepare(struct query *query, const char *sql)
{
	duckdb_prepared_statement statement = NULL;
	bool can = duckdb_prepare(query->connection->handle, sql, &statement) == DuckDBSuccess;

	duckdb_destroy_prepare(&statement);
	return can;
}

/* Finds out whether the statement may stand in FROM: a SELECT in all its forms, DESCRIBE, SHOW and SUMMARIZE may; CALL
 * may as FROM; PRAGMA and EXPLAIN may not. */
static int find_from(struct query *query, duckdb_statement_type type, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	size_t at = skip_blank(query->sql);

	buffer_init(&sql, BUFFER_DEFAULT_MAXIMUM);
	if (type == DUCKDB_STATEMENT_TYPE_EXPLAIN)
		query->explain = true;
	if (type == DUCKDB_STATEMENT_TYPE_SELECT)
		query->from = strdup(query->sql);
	else if (type == DUCKDB_STATEMENT_TYPE_CALL && !strncasecmp(query->sql + at, "CALL", 4))
		query->from = asprintf(&query->from, "FROM%s", query->sql + at + 4) < 0 ? NULL : query->from;
	else
		return 0;
	if (!query->from)
		return error_no_memory(err);
	append_select(query, false, &sql);
	if (!buffer_ok(&sql))
		return error_no_memory(err);
	if (!can_prepare(query, buffer_string(&sql))) {
		free(query->from);
		query->from = NULL;
	}
	return 0;
}

static int bind(struct query *query, duckdb_extracted_statements statements, idx_t count, struct error *err)
{
	duckdb_prepared_statement statement = NULL;
	int failed;

	if (!count && duckdb_extract_statements_error(statements))
		return fail(DUCKDB_ERROR_PARSER, duckdb_extract_statements_error(statements), err);
	if (!count)
		return error_set(err, ERROR_INVALID, 0, "there is no statement");
	if (count != 1)
		return error_set(err, ERROR_INVALID, 0,
		                 "one statement would be right, these are %d (a PIVOT without IN (...) counts as two)",
		                 (int)count);
	if (duckdb_prepare_extracted_statement(query->connection->handle, statements, 0, &statement) == DuckDBError)
		failed = fail(DUCKDB_ERROR_BINDER, duckdb_prepare_error(statement), err);
	else if (duckdb_nparams(statement))
		failed = error_set(err, ERROR_INVALID, 0, "the statement has parameters: write their values into it");
	else
		failed = describe(query, statement, err) ||
		         find_from(query, duckdb_prepared_statement_type(statement), err);
	duckdb_destroy_prepare(&statement);
	return failed ? -1 : 0;
}

struct query *query_open(struct duck_connection *connection, const char *sql, struct error *err)
{
	struct query *query = calloc(1, sizeof *query);
	duckdb_extracted_statements statements = NULL;
	idx_t count;
	int failed;

	if (!query || !(query->sql = strdup(sql))) {
		free(query);
		error_no_memory(err);
		return NULL;
	}
	buffer_init(&query->fixed, BUFFER_DEFAULT_MAXIMUM);
	query->connection = connection;
	count = duckdb_extract_statements(connection->handle, sql, &statements);
	failed = bind(query, statements, count, err);
	duckdb_destroy_extracted(&statements);
	if (failed) {
		query_close(query);
		return NULL;
	}
	return query;
}

static void free_row(struct query *query)
{
	for (int i = 0; query->owned_cells && i < query->column_count; i++) {
		duckdb_free(query->owned_cells[i]);
		query->owned_cells[i] = NULL;
	}
}

void query_close(struct query *query)
{
	if (!query)
		return;
	free_row(query);
	if (query->chunk)
		duckdb_destroy_data_chunk(&query->chunk);
	if (query->started)
		duckdb_destroy_result(&query->result);
	for (int i = 0; i < query->column_count; i++)
		free(query->columns[i].name);
	buffer_release(&query->fixed);
	free(query->columns);
	free(query->json_text);
	free(query->arrow_text);
	free(query->cells);
	free(query->owned_cells);
	free(query->from);
	free(query->sql);
	free(query);
}

int query_column_count(const struct query *query)
{
	return query->started && !query->has_result ? 0 : query->column_count;
}

const struct query_column *query_columns(const struct query *query)
{
	return query->columns;
}

bool query_is_explain(const struct query *query)
{
	return query->explain;
}

/* Streams the statement inside another one that casts. */
static int start_select(struct query *query, struct error *err)
{
	duckdb_prepared_statement statement = NULL;
	OWNED_BUFFER struct buffer sql = {0};
	int failed = 0;

	buffer_init(&sql, BUFFER_DEFAULT_MAXIMUM);
	append_select(query, query->json, &sql);
	if (!buffer_ok(&sql))
		return error_no_memory(err);
	if (duckdb_prepare(query->connection->handle, buffer_string(&sql), &statement) == DuckDBError) {
		failed = fail(DUCKDB_ERROR_BINDER, duckdb_prepare_error(statement), err);
	} else {
		query->started = true;
		if (duckdb_execute_prepared_streaming(statement, &query->result) == DuckDBError)
			failed = fail_result(&query->result, err);
	}
	duckdb_destroy_prepare(&statement);
	query->has_result = !failed;
	return failed;
}

int query_start(struct query *query, bool json, struct error *err)
{
	query->json = json;
	if (query->from)
		return start_select(query, err);
	query->started = true;
	if (duckdb_query(query->connection->handle, query->sql, &query->result) == DuckDBError)
		return fail_result(&query->result, err);
	query->has_result = duckdb_result_return_type(query->result) == DUCKDB_RESULT_TYPE_QUERY_RESULT;
	query->row_count = query->has_result ? duckdb_row_count(&query->result) : 0;
	return 0;
}

/* A row of a result that lies in memory whole: PRAGMA, EXPLAIN. */
static int next_plain(struct query *query, struct error *err)
{
	if (query->row == query->row_count)
		return 0;
	free_row(query);
	for (int i = 0; i < query->column_count; i++) {
		char *text = duckdb_value_varchar(&query->result, (idx_t)i, query->row);

		if (!text && !duckdb_value_is_null(&query->result, (idx_t)i, query->row))
			return error_set(err, ERROR_INVALID, 0,
			                 "the column %s of this statement cannot be shown: ask a table or a "
			                 "table function with FROM",
			                 query->columns[i].name);
		query->owned_cells[i] = text;
		query->cells[i] = (struct query_cell){text, text ? strlen(text) : 0};
	}
	query->row++;
	return 1;
}

/* JSON has neither NaN nor Infinity, which DuckDB writes bare: outside of strings they become null. */
static void fix_json(struct query *query, struct query_cell *cell)
{
	static const char *const wrong[] = {"-Infinity", "Infinity", "-NaN", "NaN"};
	const char *end = cell->text + cell->size;
	struct buffer *out = &query->fixed;
	bool in_string = false;

	if (!memmem(cell->text, cell->size, "NaN", 3) && !memmem(cell->text, cell->size, "Infinity", 8))
		return;
	buffer_clear(out);
	for (const char *c = cell->text; c < end; c++) {
		size_t length = 0;

		for (size_t i = 0; !in_string && !length && i < COUNT_OF(wrong); i++)
			if ((size_t)(end - c) >= strlen(wrong[i]) && !memcmp(c, wrong[i], strlen(wrong[i])))
				length = strlen(wrong[i]);
		if (length) {
			buffer_text(out, "null");
			c += length - 1;
			continue;
		}
		buffer_char(out, *c);
		if (in_string && *c == '\\' && c + 1 < end)
			buffer_char(out, *++c);
		else if (*c == '"')
			in_string = !in_string;
	}
}

/* The row at query->row of the chunk. A text that had to be fixed is kept in owned_cells until the next row. */
static int take_row(struct query *query, struct error *err)
{
	free_row(query);
	for (int i = 0; i < query->column_count; i++) {
		duckdb_vector vector = duckdb_data_chunk_get_vector(query->chunk, (idx_t)i);
		uint64_t *validity = duckdb_vector_get_validity(vector);
		duckdb_string_t *text = (duckdb_string_t *)duckdb_vector_get_data(vector) + query->row;
		struct query_cell *cell = &query->cells[i];

		*cell = (struct query_cell){0};
		if (validity && !duckdb_validity_row_is_valid(validity, query->row))
			continue;
		*cell = (struct query_cell){duckdb_string_t_data(text), duckdb_string_t_length(*text)};
		if (!query->json || query->columns[i].type != QUERY_NESTED)
			continue;
		buffer_clear(&query->fixed);
		fix_json(query, cell);
		if (!query->fixed.size)
			continue;
		query->owned_cells[i] = buffer_ok(&query->fixed) ? duckdb_malloc(query->fixed.size) : NULL;
		if (!query->owned_cells[i])
			return error_no_memory(err);
		memcpy(query->owned_cells[i], query->fixed.data, query->fixed.size);
		*cell = (struct query_cell){query->owned_cells[i], query->fixed.size};
	}
	query->row++;
	return 1;
}

int query_next(struct query *query, const struct query_cell **ret_cells, struct error *err)
{
	*ret_cells = query->cells;
	if (!query->has_result)
		return 0;
	if (!query->from)
		return next_plain(query, err);
	while (query->row == query->row_count) {
		const char *reason;

		if (query->chunk)
			duckdb_destroy_data_chunk(&query->chunk);
		query->chunk = duckdb_fetch_chunk(query->result);
		if (!query->chunk) {
			reason = duckdb_result_error(&query->result);
			return reason ? fail((int)duckdb_result_error_type(&query->result), reason, err) : 0;
		}
		query->row = 0;
		query->row_count = duckdb_data_chunk_get_size(query->chunk);
	}
	return take_row(query, err);
}

static void append_arrow_select(const struct query *query, struct buffer *sql)
{
	buffer_text(sql, "SELECT ");
	for (int i = 0; i < query->column_count; i++) {
		buffer_printf(sql, query->arrow_text[i] ? "%sCAST(c%d AS VARCHAR) AS " : "%sc%d AS ", i ? ", " : "", i);
		buffer_sql_name(sql, query->columns[i].name);
	}
	append_from(query, sql);
}

struct duck_stream *query_arrow(struct query *query, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	bool as_it_is = true;

	for (int i = 0; i < query->column_count; i++)
		as_it_is &= !query->arrow_text[i];
	if (as_it_is || !query->from)
		return duck_stream_open(query->connection, query->sql, err);
	buffer_init(&sql, BUFFER_DEFAULT_MAXIMUM);
	append_arrow_select(query, &sql);
	if (buffer_ok(&sql))
		return duck_stream_open(query->connection, buffer_string(&sql), err);
	error_no_memory(err);
	return NULL;
}

int query_copy_parquet(struct query *query, const char *path, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};

	if (!query->from)
		return error_set(err, ERROR_INVALID, 0, "only the rows of a SELECT can be Parquet");
	buffer_init(&sql, BUFFER_DEFAULT_MAXIMUM);
	buffer_text(&sql, "COPY (FROM query(");
	buffer_sql_text(&sql, query->from);
	buffer_text(&sql, ")) TO ");
	buffer_sql_text(&sql, path);
	buffer_text(&sql, " (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)");
	if (!buffer_ok(&sql))
		return error_no_memory(err);
	return duck_exec(query->connection, buffer_string(&sql), NULL, err);
}

void query_interrupt(struct duck_connection *connection)
{
	duckdb_interrupt(connection->handle);
}
