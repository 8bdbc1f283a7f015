/* duck_rows.c - small results as text, and statements that are prepared once to be asked often. */
#include <duckdb.h>
#include <stdlib.h>
#include <string.h>

#include "base/owned.h"
#include "lake/duck.h"
#include "lake/duck_private.h"

/* Copies column `column` of one chunk into the cells, from row `base` on. */
static int take_column(struct duck_rows *rows, duckdb_data_chunk chunk, int column, int64_t base)
{
	duckdb_vector vector = duckdb_data_chunk_get_vector(chunk, (idx_t)column);
	duckdb_string_t *texts = duckdb_vector_get_data(vector);
	uint64_t *validity = duckdb_vector_get_validity(vector);
	idx_t size = duckdb_data_chunk_get_size(chunk);

	for (idx_t i = 0; i < size; i++) {
		char **cell = &rows->cells[(base + (int64_t)i) * rows->column_count + column];

		*cell = NULL;
		if (validity && !duckdb_validity_row_is_valid(validity, i))
			continue;
		*cell = strndup(duckdb_string_t_data(&texts[i]), duckdb_string_t_length(texts[i]));
		if (!*cell)
			return -1;
	}
	return 0;
}

static int take_rows(duckdb_result *result, struct duck_rows *rows, struct error *err)
{
	duckdb_data_chunk chunk;

	rows->column_count = (int)duckdb_column_count(result);
	while ((chunk = duckdb_fetch_chunk(*result))) {
		int64_t size = (int64_t)duckdb_data_chunk_get_size(chunk), base = rows->row_count;
		char **cells = realloc(rows->cells, (size_t)((base + size) * rows->column_count) * sizeof *cells);

		if (!cells) {
			duckdb_destroy_data_chunk(&chunk);
			return error_no_memory(err);
		}
		rows->cells = cells;
		memset(cells + base * rows->column_count, 0, (size_t)(size * rows->column_count) * sizeof *cells);
		rows->row_count += size;
		for (int column = 0; column < rows->column_count; column++) {
			if (take_column(rows, chunk, column, base)) {
				duckdb_destroy_data_chunk(&chunk);
				return error_no_memory(err);
			}
		}
		duckdb_destroy_data_chunk(&chunk);
	}
	return 0;
}

/* Of a statement that ran or failed: its rows, or its error. Destroys the result. */
static int take_answer(duckdb_state state, duckdb_result *result, struct duck_rows *ret_rows, struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	int failed;

	if (state == DuckDBError)
		failed = duck_fail((int)duckdb_result_error_type(result), duckdb_result_error(result), err);
	else
		failed = take_rows(result, &rows, err);
	duckdb_destroy_result(result);
	if (failed)
		return -1;
	*ret_rows = rows;
	rows = (struct duck_rows){0};
	return 0;
}

int duck_query(struct duck_connection *connection, const char *sql, struct duck_rows *ret_rows, struct error *err)
{
	OWNED_BUFFER struct buffer all = {0};
	duckdb_result result;
	duckdb_state state;

	buffer_init(&all, BUFFER_DEFAULT_MAXIMUM);
	buffer_printf(&all, "SELECT CAST(COLUMNS(*) AS VARCHAR) FROM (%s) AS q", sql);
	if (!buffer_ok(&all))
		return error_no_memory(err);
	duck_turn_begin(connection);
	state = duckdb_query(connection->handle, buffer_string(&all), &result);
	duck_turn_end(connection);
	return take_answer(state, &result, ret_rows, err);
}

static void forget_answer(struct duck_connection *connection)
{
	duckdb_destroy_prepare(&connection->answer);
	free(TAKE(connection->asked));
}

void duck_forget(struct duck_connection *connection)
{
	forget_answer(connection);
	duckdb_destroy_prepare(&connection->parse);
}

static int prepare_answer(struct duck_connection *connection, const char *sql, struct error *err)
{
	if (connection->asked && !strcmp(connection->asked, sql))
		return 0;
	forget_answer(connection);
	if (duckdb_prepare(connection->handle, sql, &connection->answer) == DuckDBError)
		return duck_fail_in_words(duckdb_prepare_error(connection->answer), err);
	connection->asked = strdup(sql);
	return connection->asked ? 0 : error_no_memory(err);
}

static int ask(struct duck_connection *connection, const char *sql, const char *parameter, struct duck_rows *ret_rows,
               struct error *err)
{
	duckdb_result result = {0};
	duckdb_state state;

	if (prepare_answer(connection, sql, err))
		return -1;
	if (duckdb_bind_varchar(connection->answer, 1, parameter) == DuckDBError)
		return duck_fail_in_words(duckdb_prepare_error(connection->answer), err);
	state = duckdb_execute_prepared(connection->answer, &result);
	return take_answer(state, &result, ret_rows, err);
}

int duck_ask(struct duck_connection *connection, const char *sql, const char *parameter, struct duck_rows *ret_rows,
             struct error *err)
{
	int failed;

	duck_turn_begin(connection);
	failed = ask(connection, sql, parameter, ret_rows, err);
	duck_turn_end(connection);
	return failed;
}

void duck_rows_release(struct duck_rows *rows)
{
	for (int64_t i = 0; i < rows->row_count * rows->column_count; i++)
		free(rows->cells[i]);
	free(rows->cells);
	*rows = (struct duck_rows){0};
}

const char *duck_cell(const struct duck_rows *rows, int64_t row, int column)
{
	return rows->cells[row * rows->column_count + column];
}

int64_t duck_cell_int(const struct duck_rows *rows, int64_t row, int column)
{
	const char *text = duck_cell(rows, row, column);

	return text ? strtoll(text, NULL, 10) : 0;
}

/* Prepared once: binding it anew costs more than the parsing, and asks the default catalog for the function. */
int duck_parse(struct duck_connection *connection, const char *sql, struct buffer *out, struct error *err)
{
	static const char statement[] = "SELECT CAST(json_serialize_sql(CAST($1 AS VARCHAR)) AS VARCHAR)";
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	duckdb_result result = {0};
	duckdb_state state;

	if (!connection->parse && duckdb_prepare(connection->handle, statement, &connection->parse) == DuckDBError) {
		duck_fail_in_words(duckdb_prepare_error(connection->parse), err);
		duckdb_destroy_prepare(&connection->parse);
		return -1;
	}
	if (duckdb_bind_varchar(connection->parse, 1, sql) == DuckDBError)
		return error_set(err, ERROR_INVALID, 0, "the statement is not UTF-8");
	state = duckdb_execute_prepared(connection->parse, &result);
	if (take_answer(state, &result, &rows, err))
		return -1;
	if (rows.row_count != 1 || !duck_cell(&rows, 0, 0))
		return error_set(err, ERROR_FATAL, 0, "DuckDB's parser gave no answer");
	buffer_text(out, duck_cell(&rows, 0, 0));
	return buffer_ok(out) ? 0 : error_no_memory(err);
}
