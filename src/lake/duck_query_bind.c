/* duck_query_bind.c - a statement's parameters and their values. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/owned.h"
#include "lake/duck.h"
#include "lake/duck_private.h"
#include "lake/duck_query_private.h"

/* Before anything is bound: then it would be the value's. */
static int find_type(struct query *query, int index, struct error *err)
{
	duckdb_type id = duckdb_param_type(query->statement, (idx_t)index + 1);
	OWNED_BUFFER struct buffer name = {0};
	duckdb_logical_type type;

	if (id == DUCKDB_TYPE_INVALID || id == DUCKDB_TYPE_VARCHAR)
		return 0;
	buffer_init(&name, 1 << 16);
	type = duckdb_param_logical_type(query->statement, (idx_t)index + 1);
	duck_type_name(type, &name);
	duckdb_destroy_logical_type(&type);
	query->parameters[index].type = strdup(buffer_string(&name));
	return query->parameters[index].type ? 0 : error_no_memory(err);
}

int query_find_parameters(struct query *query, struct error *err)
{
	idx_t count = duckdb_nparams(query->statement);

	if (count > QUERY_PARAMETERS_MAX)
		return error_set(err, ERROR_INVALID, 0, "the statement has more than %d parameters",
		                 QUERY_PARAMETERS_MAX);
	query->parameters = calloc((size_t)count + 1, sizeof *query->parameters);
	if (!query->parameters)
		return error_no_memory(err);
	for (; query->parameter_count < (int)count; query->parameter_count++) {
		const char *name = duckdb_parameter_name(query->statement, (idx_t)query->parameter_count + 1);

		query->parameters[query->parameter_count].name = strdup(name ? name : "");
		duckdb_free((void *)(uintptr_t)name);
		if (!query->parameters[query->parameter_count].name)
			return error_no_memory(err);
		if (find_type(query, query->parameter_count, err))
			return -1;
	}
	return 0;
}

void query_drop_values(struct query *query)
{
	for (int i = 0; i < query->parameter_count; i++) {
		free(query->parameters[i].text);
		query->parameters[i].text = NULL;
		if (query->parameters[i].value)
			duckdb_destroy_value(&query->parameters[i].value);
	}
}

void query_release_parameters(struct query *query)
{
	query_drop_values(query);
	for (int i = 0; i < query->parameter_count; i++) {
		free(query->parameters[i].name);
		free(query->parameters[i].type);
	}
	free(query->parameters);
}

int query_parameter_count(const struct query *query)
{
	return query->parameter_count;
}

const char *query_parameter_name(const struct query *query, int index)
{
	return query->parameters[index].name;
}

/* "$a, $b": those without a value, or all. */
static void list_parameters(const struct query *query, bool without_value, char *text, size_t size)
{
	size_t at = 0;

	*text = 0;
	for (int i = 0; i < query->parameter_count; i++) {
		const char *name = query->parameters[i].name;

		if (without_value && query->parameters[i].value)
			continue;
		if (at + strlen(name) + 8 > size) {
			snprintf(text + at, size - at, "...");
			return;
		}
		at += (size_t)snprintf(text + at, size - at, "%s$%s", at ? ", " : "", name);
	}
}

static struct query_parameter *find(const struct query *query, const char *name)
{
	for (int i = 0; i < query->parameter_count; i++)
		if (!strcasecmp(query->parameters[i].name, name))
			return &query->parameters[i];
	return NULL;
}

/* DuckDB's own cast of a bound text; the statement is of our own. */
static duckdb_value cast(struct query *query, const char *name, const struct query_value *value, bool to_date,
                         struct error *err)
{
	const char *type = to_date ? "DATE" : "TIMESTAMP";
	duckdb_prepared_statement statement = NULL;
	duckdb_result result = {0};
	duckdb_data_chunk chunk = NULL;
	duckdb_value made = NULL;

	if (duckdb_prepare(query->connection->handle,
	                   to_date ? "SELECT CAST(CAST($1 AS VARCHAR) AS DATE)"
	                           : "SELECT CAST(CAST($1 AS VARCHAR) AS TIMESTAMP)",
	                   &statement) == DuckDBError ||
	    duckdb_bind_varchar_length(statement, 1, value->text, value->size) == DuckDBError) {
		error_set(err, ERROR_FATAL, 0, "a value cannot be cast to %s", type);
	} else if (duckdb_execute_prepared(statement, &result) == DuckDBError ||
	           !(chunk = duckdb_fetch_chunk(result))) {
		error_set(err, ERROR_INVALID, 0, "the parameter $%.64s is no %s: %.*s", name, type,
		          (int)(value->size < 64 ? value->size : 64), value->text);
	} else {
		const void *data = duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, 0));

		made = to_date ? duckdb_create_date(*(const duckdb_date *)data)
		               : duckdb_create_timestamp(*(const duckdb_timestamp *)data);
	}
	if (chunk)
		duckdb_destroy_data_chunk(&chunk);
	duckdb_destroy_result(&result);
	duckdb_destroy_prepare(&statement);
	return made;
}

static int check_text(const char *name, const struct query_value *value, struct error *err)
{
	duckdb_error_data bad;

	if (value->size > QUERY_PARAMETER_BYTES_MAX)
		return error_set(err, ERROR_INVALID, 0, "the value of the parameter $%.64s is larger than %zu bytes",
		                 name, QUERY_PARAMETER_BYTES_MAX);
	/* DuckDB would throw through C. */
	bad = duckdb_valid_utf8_check(value->text, value->size);
	if (!bad)
		return 0;
	duckdb_destroy_error_data(&bad);
	return error_set(err, ERROR_INVALID, 0, "the value of the parameter $%.64s is not UTF-8", name);
}

/* parameter: with the text, where the value has one. */
static duckdb_value make(struct query *query, const struct query_parameter *parameter, const struct query_value *value,
                         struct error *err)
{
	const char *name = parameter->name;
	duckdb_value made = NULL;

	switch (value->kind) {
	case QUERY_VALUE_NULL: made = duckdb_create_null_value(); break;
	case QUERY_VALUE_BOOLEAN: made = duckdb_create_bool(value->boolean); break;
	case QUERY_VALUE_INTEGER: made = duckdb_create_int64(value->integer); break;
	case QUERY_VALUE_DOUBLE: made = duckdb_create_double(value->real); break;
	case QUERY_VALUE_TEXT: made = duckdb_create_varchar_length(value->text, value->size); break;
	case QUERY_VALUE_NUMBER: made = query_make_number(parameter->text, parameter->type); break;
	case QUERY_VALUE_DATE: return cast(query, name, value, true, err);
	case QUERY_VALUE_TIMESTAMP: return cast(query, name, value, false, err);
	}
	if (!made)
		error_no_memory(err);
	return made;
}

int query_bind(struct query *query, const char *name, const struct query_value *value, struct error *err)
{
	struct query_parameter *parameter = find(query, name);
	char all[256];

	if (!parameter) {
		list_parameters(query, false, all, sizeof all);
		return error_set(err, ERROR_INVALID, 0, "the statement has no parameter $%.64s; it has %s", name,
		                 *all ? all : "none");
	}
	if (parameter->value)
		return error_set(err, ERROR_INVALID, 0, "the parameter $%.64s is given twice", name);
	if (value->kind >= QUERY_VALUE_TEXT && check_text(name, value, err))
		return -1;
	if (value->kind == QUERY_VALUE_TEXT || value->kind == QUERY_VALUE_NUMBER) {
		parameter->text = strndup(value->text, value->size);
		if (!parameter->text)
			return error_no_memory(err);
	}
	parameter->value = make(query, parameter, value, err);
	return parameter->value ? 0 : -1;
}

int query_bind_place(struct query *query, int place, const struct query_value *value, struct error *err)
{
	char name[16], all[256];

	snprintf(name, sizeof name, "%d", place);
	if (!find(query, name) && query->parameter_count && !find(query, "1")) {
		list_parameters(query, false, all, sizeof all);
		return error_set(err, ERROR_INVALID, 0, "the statement's parameters have names: %s", all);
	}
	return query_bind(query, name, value, err);
}

int query_check_bound(const struct query *query, struct error *err)
{
	char missing[256];

	list_parameters(query, true, missing, sizeof missing);
	return *missing ? error_set(err, ERROR_INVALID, 0, "no value is given for %s", missing) : 0;
}

int query_bind_all(struct query *query, duckdb_prepared_statement statement, struct error *err)
{
	idx_t index;

	if (query_check_bound(query, err))
		return -1;
	for (int i = 0; i < query->parameter_count; i++)
		if (duckdb_bind_parameter_index(statement, &index, query->parameters[i].name) == DuckDBError ||
		    duckdb_bind_value(statement, index, query->parameters[i].value) == DuckDBError)
			return error_set(err, ERROR_INVALID, 0, "the parameter $%.64s cannot be bound",
			                 query->parameters[i].name);
	return 0;
}

static bool can_cast(struct query *query, const struct query_parameter *parameter)
{
	OWNED_BUFFER struct buffer sql = {0};
	duckdb_prepared_statement statement = NULL;
	duckdb_result result = {0};
	bool can;

	/* The type is DuckDB's word; the text is bound. */
	buffer_init(&sql, 1 << 17);
	buffer_printf(&sql, "SELECT CAST(CAST($1 AS VARCHAR) AS %s)", parameter->type);
	can = buffer_ok(&sql) &&
	      duckdb_prepare(query->connection->handle, buffer_string(&sql), &statement) != DuckDBError &&
	      duckdb_bind_varchar(statement, 1, parameter->text) != DuckDBError &&
	      duckdb_execute_prepared(statement, &result) != DuckDBError;
	duckdb_destroy_result(&result);
	duckdb_destroy_prepare(&statement);
	return can;
}

void query_blame_parameter(struct query *query, struct error *err)
{
	for (int i = 0; i < query->parameter_count; i++) {
		const struct query_parameter *parameter = &query->parameters[i];

		if (!parameter->text || !parameter->type || can_cast(query, parameter))
			continue;
		error_set(err, ERROR_INVALID, 0, "the parameter $%.64s is no %.64s: %.64s", parameter->name,
		          parameter->type, parameter->text);
		return;
	}
}
