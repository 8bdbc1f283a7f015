#include "lake/duck_function.h"

#include <duckdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "lake/duck.h"
#include "lake/duck_private.h"

struct duck_bind {
	duckdb_bind_info info;
};

struct duck_call {
	duckdb_data_chunk input;
	duckdb_vector output;
};

/* What DuckDB keeps of one place in a statement. */
struct bound {
	const struct duck_function *function; /* as long as the database */
	void *state;
};

static void drop_function(void *pointer)
{
	struct duck_function *function = pointer;

	if (function->release_context)
		function->release_context(function->context);
	free(function);
}

static void drop_bound(void *pointer)
{
	struct bound *bound = pointer;

	if (!bound)
		return;
	bound->function->release_state(bound->state);
	free(bound);
}

/* NULL (out of memory) is told when it is called. */
static void *copy_bound(void *pointer)
{
	const struct bound *bound = pointer;
	struct bound *copy = bound ? malloc(sizeof *copy) : NULL;

	if (copy)
		*copy = (struct bound){bound->function, bound->function->retain_state(bound->state)};
	return copy;
}

static void on_bind(duckdb_bind_info info)
{
	const struct duck_function *function = duckdb_scalar_function_bind_get_extra_info(info);
	struct bound *bound = calloc(1, sizeof *bound);
	struct duck_bind bind = {info};
	struct error err = {0};

	if (!bound)
		error_no_memory(&err);
	if (bound && !function->bind(function->context, &bind, &bound->state, &err)) {
		bound->function = function;
		duckdb_scalar_function_set_bind_data(info, bound, drop_bound);
		duckdb_scalar_function_set_bind_data_copy(info, copy_bound);
		return;
	}
	free(bound);
	duckdb_scalar_function_bind_set_error(info, err.message);
}

static void on_call(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	const struct bound *bound = duckdb_scalar_function_get_bind_data(info);
	struct duck_call call = {input, output};
	struct error err = {0};

	if (!bound)
		error_no_memory(&err);
	if (!bound || bound->function->call(bound->state, &call, &err))
		duckdb_scalar_function_set_error(info, err.message);
}

/* ---- register */

/* A type in SQL's words as DuckDB's own; NULL with *err. */
static duckdb_logical_type type_named(struct duck_connection *connection, const char *name, struct error *err)
{
	duckdb_prepared_statement statement = NULL;
	duckdb_logical_type type = NULL;
	char sql[512];

	if (!strcmp(name, "ANY"))
		return duckdb_create_logical_type(DUCKDB_TYPE_ANY);
	snprintf(sql, sizeof sql, "SELECT CAST(NULL AS %s)", name);
	if (duckdb_prepare(connection->handle, sql, &statement) == DuckDBError)
		duck_fail_in_words(duckdb_prepare_error(statement), err);
	else
		type = duckdb_prepared_statement_column_logical_type(statement, 0);
	duckdb_destroy_prepare(&statement);
	return type;
}

static int set_types(struct duck_connection *connection, duckdb_scalar_function scalar,
                     const struct duck_function *function, struct error *err)
{
	duckdb_logical_type type = type_named(connection, function->result, err);

	if (!type)
		return -1;
	duckdb_scalar_function_set_return_type(scalar, type);
	duckdb_destroy_logical_type(&type);
	for (int i = 0; i < DUCK_ARGUMENTS_MAX && function->arguments[i]; i++) {
		type = type_named(connection, function->arguments[i], err);
		if (!type)
			return -1;
		duckdb_scalar_function_add_parameter(scalar, type);
		duckdb_destroy_logical_type(&type);
	}
	return 0;
}

int duck_function_register(struct duck_connection *connection, const struct duck_function *function, struct error *err)
{
	struct duck_function *copy = malloc(sizeof *copy);
	duckdb_scalar_function scalar;
	int failed;

	if (!copy)
		return error_no_memory(err);
	*copy = *function;
	copy->release_context = NULL;
	scalar = duckdb_create_scalar_function();
	duckdb_scalar_function_set_name(scalar, function->name);
	duckdb_scalar_function_set_extra_info(scalar, copy, drop_function);
	duckdb_scalar_function_set_bind(scalar, on_bind);
	duckdb_scalar_function_set_function(scalar, on_call);
	failed = set_types(connection, scalar, function, err);
	if (!failed && duckdb_register_scalar_function(connection->handle, scalar) == DuckDBError)
		failed = error_set(err, ERROR_FATAL, 0, "DuckDB does not register the function %s", function->name);
	/* DuckDB and `scalar` share the copy: only now is it known who releases the context. */
	if (!failed)
		copy->release_context = function->release_context;
	duckdb_destroy_scalar_function(&scalar);
	return failed;
}

/* ---- in bind */

int duck_bind_text(const struct duck_bind *bind, int argument, char **ret_text, struct error *err)
{
	duckdb_expression expression = duckdb_scalar_function_bind_get_argument(bind->info, (idx_t)argument);
	duckdb_client_context context = NULL;
	duckdb_error_data failure = NULL;
	duckdb_value value = NULL;
	char *text = NULL;
	int failed = 0;

	*ret_text = NULL;
	if (duckdb_expression_is_foldable(expression)) {
		duckdb_scalar_function_get_client_context(bind->info, &context);
		failure = duckdb_expression_fold(context, expression, &value);
		duckdb_destroy_client_context(&context);
	}
	duckdb_destroy_expression(&expression);
	if (failure)
		failed = duck_fail_data(failure, err);
	if (!failed && value && !duckdb_is_null_value(value))
		text = duckdb_get_varchar(value);
	if (text && !(*ret_text = strdup(text)))
		failed = error_no_memory(err);
	duckdb_free(text);
	duckdb_destroy_value(&value);
	return failed;
}

static int take_fields(duckdb_logical_type type, struct duck_fields *fields)
{
	int count = (int)duckdb_struct_type_child_count(type);

	fields->fields = calloc((size_t)count + 1, sizeof *fields->fields);
	if (!fields->fields)
		return -1;
	for (fields->count = 0; fields->count < count; fields->count++) {
		struct duck_field *field = &fields->fields[fields->count];
		duckdb_logical_type child = duckdb_struct_type_child_type(type, (idx_t)fields->count);
		char *name = duckdb_struct_type_child_name(type, (idx_t)fields->count);

		field->name = strdup(name ? name : "");
		field->class = duck_class_of(child);
		duckdb_free(name);
		duckdb_destroy_logical_type(&child);
		if (!field->name)
			return -1;
	}
	return 0;
}

int duck_bind_fields(const struct duck_bind *bind, int argument, struct duck_fields *ret_fields, struct error *err)
{
	duckdb_expression expression = duckdb_scalar_function_bind_get_argument(bind->info, (idx_t)argument);
	duckdb_logical_type type = duckdb_expression_return_type(expression);
	struct duck_fields fields = {.count = -1};
	int failed = 0;

	if (duckdb_get_type_id(type) == DUCKDB_TYPE_STRUCT)
		failed = take_fields(type, &fields);
	duckdb_destroy_logical_type(&type);
	duckdb_destroy_expression(&expression);
	if (failed) {
		duck_fields_release(&fields);
		return error_no_memory(err);
	}
	*ret_fields = fields;
	return 0;
}

void duck_fields_release(struct duck_fields *fields)
{
	for (int i = 0; i < fields->count; i++)
		free(fields->fields[i].name);
	free(fields->fields);
	*fields = (struct duck_fields){0};
}

/* ---- in call */

size_t duck_call_rows(const struct duck_call *call)
{
	return duckdb_data_chunk_get_size(call->input);
}

const struct duck_vector *duck_call_argument(const struct duck_call *call, int argument)
{
	return (const struct duck_vector *)duckdb_data_chunk_get_vector(call->input, (idx_t)argument);
}

static void set_null(duckdb_vector vector, size_t row)
{
	duckdb_vector_ensure_validity_writable(vector);
	duckdb_validity_set_row_invalid(duckdb_vector_get_validity(vector), row);
}

static void set_number(duckdb_vector vector, size_t row, double number)
{
	((double *)duckdb_vector_get_data(vector))[row] = number;
}

void duck_call_null(struct duck_call *call, size_t row)
{
	set_null(call->output, row);
}

void duck_call_number(struct duck_call *call, size_t row, double number)
{
	set_number(call->output, row, number);
}

void duck_call_text(struct duck_call *call, size_t row, const char *text)
{
	duckdb_vector_assign_string_element(call->output, row, text);
}

int duck_call_reserve(struct duck_call *call, size_t elements, struct error *err)
{
	if (duckdb_list_vector_reserve(call->output, elements) == DuckDBError ||
	    duckdb_list_vector_set_size(call->output, elements) == DuckDBError)
		return error_no_memory(err);
	return 0;
}

void duck_call_list(struct duck_call *call, size_t row, size_t first, size_t count)
{
	((duckdb_list_entry *)duckdb_vector_get_data(call->output))[row] = (duckdb_list_entry){first, count};
}

static duckdb_vector field_of(const struct duck_call *call, int field)
{
	return duckdb_struct_vector_get_child(duckdb_list_vector_get_child(call->output), (idx_t)field);
}

void duck_call_field_text(struct duck_call *call, size_t element, int field, const char *text)
{
	duckdb_vector_assign_string_element(field_of(call, field), element, text);
}

void duck_call_field_number(struct duck_call *call, size_t element, int field, double number)
{
	set_number(field_of(call, field), element, number);
}

void duck_call_field_null(struct duck_call *call, size_t element, int field)
{
	set_null(field_of(call, field), element);
}
