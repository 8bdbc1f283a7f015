#include <duckdb.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/owned.h"
#include "lake/duck.h"
#include "lake/duck_private.h"
#include "lake/duck_query_private.h"

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
int query_fail(int type, const char *message, struct error *err)
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

int query_fail_result(duckdb_result *result, struct error *err)
{
	return query_fail((int)duckdb_result_error_type(result), duckdb_result_error(result), err);
}

/* ---- columns */

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

static int describe_column(struct query *query, int index, const char *name, duckdb_logical_type type,
                           struct error *err)
{
	OWNED_BUFFER struct buffer type_name = {0};
	struct query_column *column = &query->columns[index];
	struct query_plan *plan = &query->plans[index];

	buffer_init(&type_name, 1 << 20);
	duck_type_name(type, &type_name);
	plan->is_direct = duck_text_can(type);
	column->type = is_json(type) ? QUERY_JSON : type_of(duckdb_get_type_id(type));
	column->name = strdup(name ? name : "");
	column->type_name = strdup(buffer_string(&type_name));
	if (!column->name || !column->type_name || !buffer_ok(&type_name))
		return error_no_memory(err);
	for (int form = 0; form < DUCK_FORM_COUNT; form++) {
		OWNED_BUFFER struct buffer cast = {0};

		buffer_init(&cast, 1 << 20);
		if (!duck_form_type_name(type, (enum duck_form)form, &cast))
			continue;
		plan->casts[form] = buffer_ok(&cast) ? strdup(buffer_string(&cast)) : NULL;
		if (!plan->casts[form])
			return error_no_memory(err);
	}
	return 0;
}

static int new_columns(struct query *query, idx_t count, struct error *err)
{
	query->columns = calloc(count + 1, sizeof *query->columns);
	query->plans = calloc(count + 1, sizeof *query->plans);
	return query->columns && query->plans ? 0 : error_no_memory(err);
}

/* Names and types as the statement gives them. Of values that are not known yet, these may be unknown, too. */
static int describe_statement(struct query *query, struct error *err)
{
	idx_t count = duckdb_prepared_statement_column_count(query->statement);
	bool unknown = query->parameter_count && !count;
	int failed;

	for (idx_t i = 0; query->parameter_count && i < count; i++)
		unknown |= duckdb_prepared_statement_column_type(query->statement, i) == DUCKDB_TYPE_INVALID;
	if (unknown)
		return 0;
	failed = new_columns(query, count, err);
	for (idx_t i = 0; !failed && i < count; i++) {
		const char *name = duckdb_prepared_statement_column_name(query->statement, i);
		duckdb_logical_type type = duckdb_prepared_statement_column_logical_type(query->statement, i);

		query->column_count++;
		failed = describe_column(query, (int)i, name, type, err);
		duckdb_free((void *)(uintptr_t)name);
		duckdb_destroy_logical_type(&type);
	}
	query->described = query->told = !failed;
	return failed;
}

static int describe_result(struct query *query, struct error *err)
{
	idx_t count = duckdb_column_count(&query->result);
	int failed = new_columns(query, count, err);

	for (idx_t i = 0; !failed && i < count; i++) {
		duckdb_logical_type type = duckdb_column_logical_type(&query->result, i);

		query->column_count++;
		failed = describe_column(query, (int)i, duckdb_column_name(&query->result, i), type, err);
		duckdb_destroy_logical_type(&type);
	}
	query->described = !failed;
	return failed;
}

/* ---- opening */

static int bind(struct query *query, duckdb_extracted_statements statements, idx_t count, struct error *err)
{
	if (!count && duckdb_extract_statements_error(statements))
		return query_fail(DUCKDB_ERROR_PARSER, duckdb_extract_statements_error(statements), err);
	if (!count)
		return error_set(err, ERROR_INVALID, 0, "there is no statement");
	if (count != 1)
		return error_set(err, ERROR_INVALID, 0,
		                 "one statement would be right, these are %d (a PIVOT without IN (...) counts as two)",
		                 (int)count);
	if (duckdb_prepare_extracted_statement(query->connection->handle, statements, 0, &query->statement) ==
	    DuckDBError)
		return query_fail(DUCKDB_ERROR_BINDER, duckdb_prepare_error(query->statement), err);
	query->type = duckdb_prepared_statement_type(query->statement);
	query->explain = query->type == DUCKDB_STATEMENT_TYPE_EXPLAIN;
	return query_find_parameters(query, err) || describe_statement(query, err) ? -1 : 0;
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

static void drop_columns(struct query *query)
{
	for (int i = 0; i < query->column_count; i++) {
		free(query->columns[i].name);
		free(query->columns[i].type_name);
		for (int form = 0; form < DUCK_FORM_COUNT; form++)
			free(query->plans[i].casts[form]);
	}
	free(query->columns);
	free(query->plans);
	query->columns = NULL;
	query->plans = NULL;
	query->column_count = 0;
	query->described = false;
}

static void drop_rows(struct query *query)
{
	if (query->chunk)
		duckdb_destroy_data_chunk(&query->chunk);
	if (query->started)
		duckdb_destroy_result(&query->result);
	for (int i = 0; i < query->column_count; i++) {
		if (query->texts)
			duck_text_release(&query->texts[i]);
		if (query->fixed)
			buffer_release(&query->fixed[i]);
	}
	free(query->texts);
	free(query->data);
	free(query->validity);
	free(query->cells);
	free(query->space);
	free(query->fixed);
	query->texts = NULL;
	query->data = NULL;
	query->validity = NULL;
	query->cells = NULL;
	query->space = NULL;
	query->fixed = NULL;
	query->started = query->has_result = false;
	query->row = query->row_count = 0;
}

void query_reset(struct query *query)
{
	drop_rows(query);
	query_drop_values(query);
	duckdb_clear_bindings(query->statement);
	if (!query->told)
		drop_columns(query);
}

void query_close(struct query *query)
{
	if (!query)
		return;
	drop_rows(query);
	drop_columns(query);
	query_release_parameters(query);
	duckdb_destroy_prepare(&query->statement);
	free(query->sql);
	free(query);
}

const char *query_text(const struct query *query)
{
	return query->sql;
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

/* ---- starting */

int query_execute(struct query *query, duckdb_prepared_statement statement, duckdb_result *result, struct error *err)
{
	if (query_bind_all(query, statement, err))
		return -1;
	query_begin(query);
	if (duckdb_execute_prepared_streaming(statement, result) != DuckDBError)
		return 0;
	query_fail_result(result, err);
	if (duckdb_result_error_type(result) == DUCKDB_ERROR_CONVERSION)
		query_blame_parameter(query, err);
	duckdb_destroy_result(result);
	query_find_reason(query, err);
	return -1;
}

static int execute_plainly(struct query *query, struct error *err)
{
	if (query_execute(query, query->statement, &query->result, err))
		return -1;
	query->started = true;
	query->has_result = duckdb_result_return_type(query->result) == DUCKDB_RESULT_TYPE_QUERY_RESULT;
	return 0;
}

int query_describe(struct query *query, struct error *err)
{
	int failed;

	if (query->described)
		return 0;
	if (execute_plainly(query, err))
		return -1;
	failed = describe_result(query, err);
	duckdb_destroy_result(&query->result);
	query->started = false;
	return failed;
}

static bool is_cast(const struct query *query, int column)
{
	return !query->plans[column].is_direct;
}

static bool needs_casts(const struct query *query)
{
	for (int i = 0; i < query->column_count; i++)
		if (is_cast(query, i))
			return true;
	return false;
}

static int execute_with_casts(struct query *query, struct error *err)
{
	duckdb_prepared_statement statement;
	OWNED_BUFFER struct buffer head = {0};
	int failed;

	buffer_init(&head, BUFFER_DEFAULT_MAXIMUM);
	buffer_text(&head, "SELECT ");
	for (int i = 0; i < query->column_count; i++) {
		bool as_json = query->json && query->columns[i].type == QUERY_NESTED;

		buffer_text(&head, i ? ", " : "");
		if (is_cast(query, i))
			buffer_printf(&head, "CAST(%s(c%d) AS VARCHAR)", as_json ? "to_json" : "", i);
		else
			buffer_printf(&head, "c%d", i);
	}
	buffer_text(&head, " FROM ");
	if (!buffer_ok(&head))
		return error_no_memory(err);
	statement = query_prepare_around(query, buffer_string(&head), true, "", err);
	if (!statement)
		return query->type == DUCKDB_STATEMENT_TYPE_SELECT
		               ? -1
		               : error_set(
		                         err, ERROR_INVALID, 0,
		                         "a column of this statement cannot be shown: ask a table or a table function "
		                         "with FROM");
	failed = query_execute(query, statement, &query->result, err);
	duckdb_destroy_prepare(&statement);
	query->started = query->has_result = !failed;
	return failed;
}

static int prepare_cells(struct query *query, struct error *err)
{
	size_t count = (size_t)query->column_count + 1;
	int failed = 0;

	query->texts = calloc(count, sizeof *query->texts);
	query->data = calloc(count, sizeof *query->data);
	query->validity = calloc(count, sizeof *query->validity);
	query->cells = calloc(count, sizeof *query->cells);
	query->space = calloc(count, DUCK_TEXT_BYTES);
	query->fixed = calloc(count, sizeof *query->fixed);
	if (!query->texts || !query->data || !query->validity || !query->cells || !query->space || !query->fixed)
		return error_no_memory(err);
	for (int i = 0; !failed && i < query->column_count; i++) {
		duckdb_logical_type type = duckdb_column_logical_type(&query->result, (idx_t)i);

		buffer_init(&query->fixed[i], BUFFER_DEFAULT_MAXIMUM);
		failed = duck_text_init(&query->texts[i], type, err);
		duckdb_destroy_logical_type(&type);
	}
	return failed;
}

int query_start(struct query *query, bool json, struct error *err)
{
	query->json = json;
	if (!query->described) {
		if (execute_plainly(query, err) || describe_result(query, err))
			return -1;
		if (!needs_casts(query))
			return prepare_cells(query, err);
		duckdb_destroy_result(&query->result);
		query->started = false;
	}
	if (needs_casts(query) ? execute_with_casts(query, err) : execute_plainly(query, err))
		return -1;
	return query->has_result ? prepare_cells(query, err) : 0;
}

/* ---- rows */

/* JSON has neither NaN nor Infinity, which DuckDB writes bare: outside of strings they become null. */
static int fix_json(struct buffer *out, struct query_cell *cell, struct error *err)
{
	static const char *const wrong[] = {"-Infinity", "Infinity", "-NaN", "NaN"};
	const char *end = cell->text + cell->size;
	bool in_string = false;

	if (!memmem(cell->text, cell->size, "NaN", 3) && !memmem(cell->text, cell->size, "Infinity", 8))
		return 0;
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
	*cell = (struct query_cell){buffer_string(out), out->size};
	return buffer_ok(out) ? 0 : error_no_memory(err);
}

static int next_chunk(struct query *query, struct error *err)
{
	const char *reason;

	if (query->chunk)
		duckdb_destroy_data_chunk(&query->chunk);
	query->row = query->row_count = 0;
	query->chunk = duckdb_fetch_chunk(query->result);
	if (!query->chunk) {
		reason = duckdb_result_error(&query->result);
		if (!reason)
			return 0;
		query_fail((int)duckdb_result_error_type(&query->result), reason, err);
		query_find_reason(query, err);
		return -1;
	}
	query->row_count = duckdb_data_chunk_get_size(query->chunk);
	for (int i = 0; i < query->column_count; i++) {
		duckdb_vector vector = duckdb_data_chunk_get_vector(query->chunk, (idx_t)i);

		query->data[i] = duckdb_vector_get_data(vector);
		query->validity[i] = duckdb_vector_get_validity(vector);
	}
	return 1;
}

int query_next(struct query *query, const struct query_cell **ret_cells, struct error *err)
{
	idx_t row;

	*ret_cells = query->cells;
	if (!query->has_result)
		return 0;
	while (query->row == query->row_count) {
		int got = next_chunk(query, err);

		if (got <= 0)
			return got;
	}
	row = query->row++;
	for (int i = 0; i < query->column_count; i++) {
		const uint64_t *validity = query->validity[i];
		struct query_cell *cell = &query->cells[i];

		if (validity && !(validity[row / 64] >> (row % 64) & 1)) {
			*cell = (struct query_cell){0};
			continue;
		}
		duck_text_cell(&query->texts[i], query->data[i], row, query->space + (size_t)i * DUCK_TEXT_BYTES, cell);
		if (query->json && query->columns[i].type >= QUERY_NESTED && fix_json(&query->fixed[i], cell, err))
			return -1;
	}
	return 1;
}
