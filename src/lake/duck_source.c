/*
 * duck_source.c - the table function by which DuckDB pulls Arrow arrays.
 *
 * Order per call (found clean under valgrind, with released payloads overwritten): move the array out of the queue,
 * duckdb_data_chunk_from_arrow on an idle connection, reference *every* vector (column 0's owns the array's release),
 * set the size, destroy the chunk. The array is released when the vectors are next overwritten.
 */
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/owned.h"
#include "batch/arrow_abi.h"
#include "lake/duck.h"
#include "lake/duck_private.h"

struct duck_source {
	struct duck_connection *idle;
	struct batch_schema *schema; /* a reference of our own: its address is how a change is seen */
	struct duck_pull pull; /* next NULL: empty */
	duckdb_arrow_converted_schema converted;
	duckdb_logical_type *types;
	int type_count;
};

static void forget_schema(struct duck_source *source)
{
	for (int i = 0; i < source->type_count; i++)
		duckdb_destroy_logical_type(&source->types[i]);
	free(source->types);
	source->types = NULL;
	source->type_count = 0;
	if (source->converted)
		duckdb_destroy_arrow_converted_schema(&source->converted);
	source->converted = NULL;
	batch_schema_release(source->schema);
	source->schema = NULL;
}

static void bind(duckdb_bind_info info)
{
	struct duck_source *source = duckdb_bind_get_extra_info(info);

	for (int i = 0; i < source->type_count; i++)
		duckdb_bind_add_result_column(info, source->schema->arrow->children[i]->name, source->types[i]);
}

static void init(duckdb_init_info info)
{
	/* As many threads as DuckDB has: each takes the next array from the one queue. */
	duckdb_init_set_max_threads(info, 64);
}

static void fill(duckdb_function_info info, duckdb_data_chunk output)
{
	struct duck_source *source = duckdb_function_get_extra_info(info);
	struct ArrowArray array = {0};
	duckdb_data_chunk chunk = NULL;
	duckdb_error_data failure;
	idx_t size;

	duckdb_data_chunk_set_size(output, 0);
	if (!source->pull.next || source->pull.next(source->pull.context, &array) == 0)
		return;
	failure = duckdb_data_chunk_from_arrow(source->idle->handle, &array, source->converted, &chunk);
	/* It takes the array before it can still fail: what is left is ours to release. */
	if (array.release)
		array.release(&array);
	if (failure) {
		duckdb_function_set_error(info, duckdb_error_data_message(failure));
		duckdb_destroy_error_data(&failure);
		return;
	}
	if (fault_hit(FAULT_INSERT_CHUNK))
		duckdb_function_set_error(info, "IO Error: fault injected at insert.chunk: connection lost");
	size = duckdb_data_chunk_get_size(chunk);
	for (idx_t i = 0; i < duckdb_data_chunk_get_column_count(chunk); i++)
		duckdb_vector_reference_vector(duckdb_data_chunk_get_vector(output, i),
		                               duckdb_data_chunk_get_vector(chunk, i));
	duckdb_data_chunk_set_size(output, size);
	duckdb_destroy_data_chunk(&chunk);
}

struct duck_source *duck_source_new(struct duck_connection *idle, const char *name, struct error *err)
{
	struct duck_source *source = calloc(1, sizeof *source);
	duckdb_table_function function;
	duckdb_state state;

	if (!source) {
		error_no_memory(err);
		return NULL;
	}
	source->idle = idle;
	function = duckdb_create_table_function();
	duckdb_table_function_set_name(function, name);
	duckdb_table_function_set_extra_info(function, source, NULL);
	duckdb_table_function_set_bind(function, bind);
	duckdb_table_function_set_init(function, init);
	duckdb_table_function_set_function(function, fill);
	state = duckdb_register_table_function(idle->handle, function);
	duckdb_destroy_table_function(&function);
	if (state == DuckDBError) {
		error_set(err, ERROR_FATAL, 0, "DuckDB does not register the table function %s", name);
		free(source);
		return NULL;
	}
	return source;
}

void duck_source_free(struct duck_source *source)
{
	if (!source)
		return;
	forget_schema(source);
	free(source);
}

/* DuckDB tells the types of an Arrow schema only by a chunk: convert an array of no rows. */
static int learn_types(struct duck_source *source, struct error *err)
{
	struct ArrowArray empty = {0};
	duckdb_data_chunk chunk = NULL;
	duckdb_error_data failure;
	idx_t count;

	if (batch_schema_empty_array(source->schema, &empty, err))
		return -1;
	failure = duckdb_data_chunk_from_arrow(source->idle->handle, &empty, source->converted, &chunk);
	if (empty.release)
		empty.release(&empty);
	if (failure)
		return duck_fail_data(failure, err);
	count = duckdb_data_chunk_get_column_count(chunk);
	source->types = calloc(count + 1, sizeof *source->types);
	if (!source->types) {
		duckdb_destroy_data_chunk(&chunk);
		return error_no_memory(err);
	}
	for (idx_t i = 0; i < count; i++)
		source->types[i] = duckdb_vector_get_column_type(duckdb_data_chunk_get_vector(chunk, i));
	source->type_count = (int)count;
	duckdb_destroy_data_chunk(&chunk);
	return 0;
}

int duck_source_set(struct duck_source *source, struct batch_schema *schema, const struct duck_pull *pull,
                    struct error *err)
{
	duckdb_error_data failure;

	source->pull = pull ? *pull : (struct duck_pull){0};
	if (source->schema == schema && source->converted)
		return 0;
	forget_schema(source);
	source->schema = batch_schema_retain(schema);
	failure = duckdb_schema_from_arrow(source->idle->handle, schema->arrow, &source->converted);
	if (failure) {
		source->converted = NULL;
		duck_fail_data(failure, err);
	} else if (!learn_types(source, err)) {
		return 0;
	}
	forget_schema(source);
	if (err && err->kind != ERROR_FATAL)
		err->kind = ERROR_INVALID;
	return -1;
}
