#include "lake/duck_vector.h"

#include <duckdb.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/owned.h"
#include "lake/duck_private.h"

#define DAY_SECONDS 86400.0

static double number_of_int8(const void *value)
{
	return *(const int8_t *)value;
}

static double number_of_int16(const void *value)
{
	return *(const int16_t *)value;
}

static double number_of_int32(const void *value)
{
	return *(const int32_t *)value;
}

static double number_of_int64(const void *value)
{
	return (double)*(const int64_t *)value;
}

static double number_of_hugeint(const void *value)
{
	return duckdb_hugeint_to_double(*(const duckdb_hugeint *)value);
}

static double number_of_uint8(const void *value)
{
	return *(const uint8_t *)value;
}

static double number_of_uint16(const void *value)
{
	return *(const uint16_t *)value;
}

static double number_of_uint32(const void *value)
{
	return *(const uint32_t *)value;
}

static double number_of_uint64(const void *value)
{
	return (double)*(const uint64_t *)value;
}

static double number_of_uhugeint(const void *value)
{
	return duckdb_uhugeint_to_double(*(const duckdb_uhugeint *)value);
}

static double number_of_float(const void *value)
{
	return *(const float *)value;
}

static double number_of_double(const void *value)
{
	return *(const double *)value;
}

static double number_of_boolean(const void *value)
{
	return *(const bool *)value;
}

/* DuckDB's infinity and -infinity of times: the greatest number and its negative. */
static double number_of_date(const void *value)
{
	int32_t days = *(const int32_t *)value;

	if (days == INT32_MAX || days == -INT32_MAX)
		return days > 0 ? INFINITY : -INFINITY;
	return days * DAY_SECONDS;
}

static double seconds(int64_t ticks, double ticks_a_second)
{
	if (ticks == INT64_MAX || ticks == -INT64_MAX)
		return ticks > 0 ? INFINITY : -INFINITY;
	return (double)ticks / ticks_a_second;
}

static double number_of_seconds(const void *value)
{
	return seconds(*(const int64_t *)value, 1);
}

static double number_of_milliseconds(const void *value)
{
	return seconds(*(const int64_t *)value, 1e3);
}

static double number_of_microseconds(const void *value)
{
	return seconds(*(const int64_t *)value, 1e6);
}

static double number_of_nanoseconds(const void *value)
{
	return seconds(*(const int64_t *)value, 1e9);
}

static const struct type {
	const char *name;
	duckdb_type id;
	enum duck_class class;
	size_t size;
	double (*number)(const void *value);
} types[] = {
        {"TINYINT", DUCKDB_TYPE_TINYINT, DUCK_WHOLE, 1, number_of_int8},
        {"SMALLINT", DUCKDB_TYPE_SMALLINT, DUCK_WHOLE, 2, number_of_int16},
        {"INTEGER", DUCKDB_TYPE_INTEGER, DUCK_WHOLE, 4, number_of_int32},
        {"BIGINT", DUCKDB_TYPE_BIGINT, DUCK_WHOLE, 8, number_of_int64},
        {"HUGEINT", DUCKDB_TYPE_HUGEINT, DUCK_WHOLE, 16, number_of_hugeint},
        {"UTINYINT", DUCKDB_TYPE_UTINYINT, DUCK_WHOLE, 1, number_of_uint8},
        {"USMALLINT", DUCKDB_TYPE_USMALLINT, DUCK_WHOLE, 2, number_of_uint16},
        {"UINTEGER", DUCKDB_TYPE_UINTEGER, DUCK_WHOLE, 4, number_of_uint32},
        {"UBIGINT", DUCKDB_TYPE_UBIGINT, DUCK_WHOLE, 8, number_of_uint64},
        {"UHUGEINT", DUCKDB_TYPE_UHUGEINT, DUCK_WHOLE, 16, number_of_uhugeint},
        {"FLOAT", DUCKDB_TYPE_FLOAT, DUCK_REAL, 4, number_of_float},
        {"DOUBLE", DUCKDB_TYPE_DOUBLE, DUCK_REAL, 8, number_of_double},
        {"DECIMAL", DUCKDB_TYPE_DECIMAL, DUCK_REAL, 0, NULL}, /* as the type that it is kept in */
        {"BOOLEAN", DUCKDB_TYPE_BOOLEAN, DUCK_TRUTH, 1, number_of_boolean},
        {"DATE", DUCKDB_TYPE_DATE, DUCK_TIME, 4, number_of_date},
        {"TIMESTAMP", DUCKDB_TYPE_TIMESTAMP, DUCK_TIME, 8, number_of_microseconds},
        {"TIMESTAMP_S", DUCKDB_TYPE_TIMESTAMP_S, DUCK_TIME, 8, number_of_seconds},
        {"TIMESTAMP_MS", DUCKDB_TYPE_TIMESTAMP_MS, DUCK_TIME, 8, number_of_milliseconds},
        {"TIMESTAMP_NS", DUCKDB_TYPE_TIMESTAMP_NS, DUCK_TIME, 8, number_of_nanoseconds},
        {"TIMESTAMP WITH TIME ZONE", DUCKDB_TYPE_TIMESTAMP_TZ, DUCK_TIME, 8, number_of_microseconds},
        {"\"NULL\"", DUCKDB_TYPE_SQLNULL, DUCK_NOTHING, 0, NULL},
        {"UNKNOWN", DUCKDB_TYPE_INVALID, DUCK_LATER, 0, NULL},
        {"VARCHAR", DUCKDB_TYPE_VARCHAR, DUCK_TEXT, 0, NULL},
        {"STRUCT", DUCKDB_TYPE_STRUCT, DUCK_STRUCT, 0, NULL},
};

static const struct type *find_type(duckdb_type id)
{
	for (size_t i = 0; i < COUNT_OF(types); i++)
		if (types[i].id == id)
			return &types[i];
	return NULL;
}

enum duck_class duck_class_of(duckdb_logical_type logical)
{
	const struct type *type = find_type(duckdb_get_type_id(logical));

	return type ? type->class : DUCK_OTHER;
}

enum duck_class duck_class_named(const char *name)
{
	size_t length = strcspn(name, "(");

	/* INTEGER[], DECIMAL(4,1)[] and STRUCT(...) are what stands before the bracket, but for the last sign. */
	if (name[0] && name[strlen(name) - 1] == ']')
		return DUCK_OTHER;
	for (size_t i = 0; i < COUNT_OF(types); i++)
		if (strlen(types[i].name) == length && !memcmp(types[i].name, name, length))
			return types[i].class;
	return DUCK_OTHER;
}

/* A vector of ours is DuckDB's by another name. */
static duckdb_vector handle(const struct duck_vector *vector)
{
	return (duckdb_vector)(uintptr_t)vector;
}

bool duck_vector_is_null(const struct duck_vector *vector, size_t row)
{
	uint64_t *validity = duckdb_vector_get_validity(handle(vector));

	return validity && !duckdb_validity_row_is_valid(validity, row);
}

/* Where the type is a decimal: the type that its digits are kept in, and what they are divided by. */
static const struct type *stored_type(duckdb_vector vector, double *ret_divisor)
{
	duckdb_logical_type logical = duckdb_vector_get_column_type(vector);
	duckdb_type id = duckdb_get_type_id(logical);

	*ret_divisor = 1;
	if (id == DUCKDB_TYPE_DECIMAL) {
		for (int i = duckdb_decimal_scale(logical); i > 0; i--)
			*ret_divisor *= 10;
		id = duckdb_decimal_internal_type(logical);
	}
	duckdb_destroy_logical_type(&logical);
	return find_type(id);
}

void duck_vector_numbers(const struct duck_vector *vector, size_t count, double *ret_numbers)
{
	uint64_t *validity = duckdb_vector_get_validity(handle(vector));
	const char *data = duckdb_vector_get_data(handle(vector));
	double divisor;
	const struct type *type = stored_type(handle(vector), &divisor);
	bool numbers = type && type->number;

	for (size_t i = 0; i < count; i++) {
		if (!numbers || (validity && !duckdb_validity_row_is_valid(validity, i)))
			ret_numbers[i] = NAN;
		else
			ret_numbers[i] = type->number(data + i * type->size) / divisor;
	}
}

const char *duck_vector_text(const struct duck_vector *vector, size_t row, size_t *ret_size)
{
	duckdb_string_t *text = (duckdb_string_t *)duckdb_vector_get_data(handle(vector)) + row;

	*ret_size = 0;
	if (duck_vector_is_null(vector, row))
		return NULL;
	*ret_size = duckdb_string_t_length(*text);
	return duckdb_string_t_data(text);
}

const struct duck_vector *duck_vector_field(const struct duck_vector *vector, size_t field)
{
	return (const struct duck_vector *)duckdb_struct_vector_get_child(handle(vector), field);
}
