/*
 * duck_vector.h - numbers and texts in DuckDB's vectors: those of a result's chunks (duck_scan.h) and those of a
 * function's arguments (duck_function.h). The same value gives the same number in both. Private to lake/ and score/.
 *
 * Life cycle: a vector is borrowed for as long as the chunk or the call that it belongs to.
 */
#ifndef TARN_LAKE_DUCK_VECTOR_H
#define TARN_LAKE_DUCK_VECTOR_H

#include <stdbool.h>
#include <stddef.h>

enum duck_class {
	DUCK_WHOLE, /* whole numbers */
	DUCK_REAL, /* FLOAT, DOUBLE, DECIMAL */
	DUCK_TRUTH, /* BOOLEAN */
	DUCK_TIME, /* DATE, and TIMESTAMP in its forms */
	DUCK_NOTHING, /* the type of a bare NULL */
	DUCK_LATER, /* of a statement's parameter: known when it runs */
	DUCK_TEXT,
	DUCK_STRUCT,
	DUCK_OTHER,
};

/* A value of the class is a number, or will turn out to be. */
static inline bool duck_class_is_number(enum duck_class class)
{
	return class <= DUCK_LATER;
}

/* Of a type in DuckDB's words, as DESCRIBE has it: "DECIMAL(18,3)". */
enum duck_class duck_class_named(const char *type);

struct duck_vector;

bool duck_vector_is_null(const struct duck_vector *vector, size_t row);
/*
 * The first `count` values: of times the seconds since 1970 (of those without a zone as if in UTC), of booleans 0
 * and 1. NULL is NaN, an infinite time infinite; of a vector that holds no numbers all are NaN.
 */
void duck_vector_numbers(const struct duck_vector *vector, size_t count, double *ret_numbers);
/* Of a vector of texts; NULL: NULL. Not terminated. */
const char *duck_vector_text(const struct duck_vector *vector, size_t row, size_t *ret_size);
/* The field of a vector of structs, by its place. */
const struct duck_vector *duck_vector_field(const struct duck_vector *vector, size_t field);

#endif
