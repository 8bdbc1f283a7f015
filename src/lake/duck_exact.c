/*
 * duck_exact.c - exact sums as functions of DuckDB.
 *
 * What the C API does (1.5.5): input vectors are flat and hold NULLs; states is an array of pointers, one a row,
 * several of which may be the same; states are moved as bytes, to disk, too; a combined state is still destroyed on its
 * own; a scalar gets its NULLs, too; an aggregate that is registered already is refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/exact.h"
#include "lake/duck_private.h"
#include "lake/exact_sql.h"

static bool is_valid(const uint64_t *validity, idx_t row)
{
	return !validity || validity[row / 64] >> (row % 64) & 1;
}

static void set_null(duckdb_vector vector, idx_t row)
{
	duckdb_vector_ensure_validity_writable(vector);
	duckdb_validity_set_row_invalid(duckdb_vector_get_validity(vector), row);
}

static void set_sum(duckdb_vector vector, idx_t row, const struct exact *sum)
{
	uint8_t bytes[EXACT_BYTES_MAX];
	size_t size = exact_encode(sum, bytes);

	duckdb_unsafe_vector_assign_string_element_len(vector, row, (const char *)bytes, size);
}

static int decode(duckdb_string_t *blob, struct exact *ret_sum, struct error *err)
{
	return exact_decode((const uint8_t *)duckdb_string_t_data(blob), duckdb_string_t_length(*blob), ret_sum, err);
}

static struct exact *sum_of(duckdb_aggregate_state state)
{
	return (struct exact *)state;
}

static idx_t state_size(duckdb_function_info info)
{
	return sizeof(struct exact);
}

static void state_init(duckdb_function_info info, duckdb_aggregate_state state)
{
	*sum_of(state) = (struct exact){0};
}

static void state_destroy(duckdb_aggregate_state *states, idx_t count)
{
	for (idx_t i = 0; i < count; i++)
		exact_release(sum_of(states[i]));
}

/* Groups of millions lie about in memory: what a row needs is fetched while earlier rows are added. */
static void fetch_ahead(const duckdb_aggregate_state *states, idx_t row, idx_t size)
{
	const idx_t ahead = 16;
	const char *state;

	if (row + ahead < size) {
		state = (const char *)states[row + ahead];
		__builtin_prefetch(state, 1);
		__builtin_prefetch(state + sizeof(struct exact) - 1, 1);
	}
}

static void fail_aggregate(duckdb_function_info info, const char *name, struct error *err)
{
	error_wrap(err, "%s", name);
	duckdb_aggregate_function_set_error(info, err->message);
}

static void sum_update(duckdb_function_info info, duckdb_data_chunk input, duckdb_aggregate_state *states)
{
	duckdb_vector vector = duckdb_data_chunk_get_vector(input, 0);
	const double *values = duckdb_vector_get_data(vector);
	const uint64_t *validity = duckdb_vector_get_validity(vector);
	idx_t size = duckdb_data_chunk_get_size(input);
	struct error err = {0};

	for (idx_t i = 0; i < size; i++) {
		fetch_ahead(states, i, size);
		if (is_valid(validity, i) && exact_add(sum_of(states[i]), values[i], &err)) {
			fail_aggregate(info, "tarn_exact_sum", &err);
			return;
		}
	}
}

static int merge_blob(struct exact *sum, duckdb_string_t *blob, struct error *err)
{
	OWNED_EXACT struct exact other = {0};

	return decode(blob, &other, err) || exact_merge(sum, &other, err) ? -1 : 0;
}

static void merge_update(duckdb_function_info info, duckdb_data_chunk input, duckdb_aggregate_state *states)
{
	duckdb_vector vector = duckdb_data_chunk_get_vector(input, 0);
	duckdb_string_t *blobs = duckdb_vector_get_data(vector);
	const uint64_t *validity = duckdb_vector_get_validity(vector);
	idx_t size = duckdb_data_chunk_get_size(input);
	struct error err = {0};

	for (idx_t i = 0; i < size; i++) {
		fetch_ahead(states, i, size);
		if (is_valid(validity, i) && merge_blob(sum_of(states[i]), &blobs[i], &err)) {
			fail_aggregate(info, "tarn_exact_merge", &err);
			return;
		}
	}
}

static void combine(duckdb_function_info info, duckdb_aggregate_state *source, duckdb_aggregate_state *target,
                    idx_t count)
{
	struct error err = {0};

	for (idx_t i = 0; i < count; i++) {
		fetch_ahead(target, i, count);
		if (exact_merge(sum_of(target[i]), sum_of(source[i]), &err)) {
			fail_aggregate(info, "an exact sum", &err);
			return;
		}
	}
}

static void finalize(duckdb_function_info info, duckdb_aggregate_state *source, duckdb_vector result, idx_t count,
                     idx_t offset)
{
	for (idx_t i = 0; i < count; i++) {
		if (sum_of(source[i])->touched)
			set_sum(result, offset + i, sum_of(source[i]));
		else
			set_null(result, offset + i);
	}
}

static int negate_blob(duckdb_string_t *blob, duckdb_vector output, idx_t row, struct error *err)
{
	OWNED_EXACT struct exact sum = {0};

	if (decode(blob, &sum, err) || exact_negate(&sum, err))
		return -1;
	set_sum(output, row, &sum);
	return 0;
}

static int value_of_blob(duckdb_string_t *blob, duckdb_vector output, idx_t row, struct error *err)
{
	OWNED_EXACT struct exact sum = {0};
	double *values = duckdb_vector_get_data(output);

	if (decode(blob, &sum, err))
		return -1;
	values[row] = exact_value(&sum);
	return 0;
}

struct scalar {
	const char *name;
	duckdb_type to;
	duckdb_scalar_function_t run;
	int arguments; /* BLOBs */
	/* What becomes of the one that is not NULL. */
	int (*each)(duckdb_string_t *blob, duckdb_vector output, idx_t row, struct error *err);
};

static void fail_scalar(duckdb_function_info info, struct error *err)
{
	const struct scalar *scalar = duckdb_scalar_function_get_extra_info(info);

	error_wrap(err, "%s", scalar->name);
	duckdb_scalar_function_set_error(info, err->message);
}

static void run_scalar(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	const struct scalar *scalar = duckdb_scalar_function_get_extra_info(info);
	duckdb_vector vector = duckdb_data_chunk_get_vector(input, 0);
	duckdb_string_t *blobs = duckdb_vector_get_data(vector);
	const uint64_t *validity = duckdb_vector_get_validity(vector);
	idx_t size = duckdb_data_chunk_get_size(input);
	struct error err = {0};

	for (idx_t i = 0; i < size; i++) {
		if (!is_valid(validity, i)) {
			set_null(output, i);
		} else if (scalar->each(&blobs[i], output, i, &err)) {
			fail_scalar(info, &err);
			return;
		}
	}
}

/* Of one of them alone, too, the sum is decoded: what is no sum is found, whichever it stands beside. */
static int plus_blobs(duckdb_string_t *a, duckdb_string_t *b, duckdb_vector output, idx_t row, struct error *err)
{
	OWNED_EXACT struct exact sum = {0};

	if ((a && merge_blob(&sum, a, err)) || (b && merge_blob(&sum, b, err)))
		return -1;
	set_sum(output, row, &sum);
	return 0;
}

static void run_plus(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	duckdb_vector vectors[2] = {duckdb_data_chunk_get_vector(input, 0), duckdb_data_chunk_get_vector(input, 1)};
	duckdb_string_t *blobs[2] = {duckdb_vector_get_data(vectors[0]), duckdb_vector_get_data(vectors[1])};
	const uint64_t *validity[2] = {duckdb_vector_get_validity(vectors[0]), duckdb_vector_get_validity(vectors[1])};
	idx_t size = duckdb_data_chunk_get_size(input);
	struct error err = {0};

	for (idx_t i = 0; i < size; i++) {
		duckdb_string_t *a = is_valid(validity[0], i) ? &blobs[0][i] : NULL,
		                *b = is_valid(validity[1], i) ? &blobs[1][i] : NULL;

		if (!a && !b) {
			set_null(output, i);
		} else if (plus_blobs(a, b, output, i, &err)) {
			fail_scalar(info, &err);
			return;
		}
	}
}

static const struct aggregate {
	const char *name;
	duckdb_type from;
	duckdb_aggregate_update_t update;
} aggregates[] = {
        {"tarn_exact_sum", DUCKDB_TYPE_DOUBLE, sum_update},
        {"tarn_exact_merge", DUCKDB_TYPE_BLOB, merge_update},
};

static struct scalar scalars[] = {
        {"tarn_exact_plus", DUCKDB_TYPE_BLOB, run_plus, 2, NULL},
        {"tarn_exact_negate", DUCKDB_TYPE_BLOB, run_scalar, 1, negate_blob},
        {"tarn_exact_value", DUCKDB_TYPE_DOUBLE, run_scalar, 1, value_of_blob},
};

static void destroy_types(duckdb_logical_type types[2])
{
	duckdb_destroy_logical_type(&types[0]);
	duckdb_destroy_logical_type(&types[1]);
}

static duckdb_state register_aggregate(duckdb_connection handle, const struct aggregate *aggregate)
{
	duckdb_logical_type types[2] = {duckdb_create_logical_type(aggregate->from),
	                                duckdb_create_logical_type(DUCKDB_TYPE_BLOB)};
	duckdb_aggregate_function function = duckdb_create_aggregate_function();
	duckdb_state state;

	duckdb_aggregate_function_set_name(function, aggregate->name);
	duckdb_aggregate_function_add_parameter(function, types[0]);
	duckdb_aggregate_function_set_return_type(function, types[1]);
	duckdb_aggregate_function_set_functions(function, state_size, state_init, aggregate->update, combine, finalize);
	duckdb_aggregate_function_set_destructor(function, state_destroy);
	state = duckdb_register_aggregate_function(handle, function);
	duckdb_destroy_aggregate_function(&function);
	destroy_types(types);
	return state;
}

static duckdb_state register_scalar(duckdb_connection handle, struct scalar *scalar)
{
	duckdb_logical_type types[2] = {duckdb_create_logical_type(DUCKDB_TYPE_BLOB),
	                                duckdb_create_logical_type(scalar->to)};
	duckdb_scalar_function function = duckdb_create_scalar_function();
	duckdb_state state;

	duckdb_scalar_function_set_name(function, scalar->name);
	for (int i = 0; i < scalar->arguments; i++)
		duckdb_scalar_function_add_parameter(function, types[0]);
	/* NULL and a sum is that sum. */
	duckdb_scalar_function_set_special_handling(function);
	duckdb_scalar_function_set_return_type(function, types[1]);
	duckdb_scalar_function_set_extra_info(function, scalar, NULL);
	duckdb_scalar_function_set_function(function, scalar->run);
	state = duckdb_register_scalar_function(handle, function);
	duckdb_destroy_scalar_function(&function);
	destroy_types(types);
	return state;
}

/* A call of it can be bound. */
static bool is_known(duckdb_connection handle, const char *name, int arguments)
{
	duckdb_prepared_statement statement = NULL;
	char sql[64];
	bool known;

	snprintf(sql, sizeof sql, "SELECT %s(NULL%s)", name, arguments > 1 ? ", NULL" : "");
	known = duckdb_prepare(handle, sql, &statement) == DuckDBSuccess;
	duckdb_destroy_prepare(&statement);
	return known;
}

static int check(duckdb_connection handle, duckdb_state state, const char *name, int arguments, struct error *err)
{
	/* Another connection may have been first. */
	if (state == DuckDBSuccess || is_known(handle, name, arguments))
		return 0;
	return error_set(err, ERROR_FATAL, 0,
	                 "DuckDB does not register the function %s: register it outside of a transaction", name);
}

int exact_sql_register(struct duck_connection *connection, struct error *err)
{
	duckdb_connection handle = connection->handle;

	/* The last is there when all are. To look for one that is not takes long: DuckDB looks for names that are like
	 * it. */
	if (is_known(handle, scalars[COUNT_OF(scalars) - 1].name, scalars[COUNT_OF(scalars) - 1].arguments))
		return 0;
	for (size_t i = 0; i < COUNT_OF(aggregates); i++)
		if (check(handle, register_aggregate(handle, &aggregates[i]), aggregates[i].name, 1, err))
			return -1;
	for (size_t i = 0; i < COUNT_OF(scalars); i++)
		if (check(handle, register_scalar(handle, &scalars[i]), scalars[i].name, scalars[i].arguments, err))
			return -1;
	return 0;
}
