/*
 * type.h - how a column's type may change: DuckDB's type names, taken apart, and the narrowest type that holds what two
 * of them hold.
 *
 * A widening is safe: every value stays the same value. Whole numbers become wider ones of at most 64 bits (HUGEINT
 * holds both BIGINT and UBIGINT, but Parquet has no such type: DuckDB's writer rounds its values to DOUBLE, without a
 * word), and DOUBLE where 32 bits were enough; FLOAT becomes DOUBLE; decimals get more digits; DATE becomes TIMESTAMP
 * and its resolution finer, up to microseconds (nanoseconds reach from 1677 to 2262 only). Structs get the fields of
 * both, by name; lists, arrays, maps and structs widen inside. Nothing becomes text, and DATE no time with a zone,
 * which would depend on who looks.
 */
#ifndef TARN_LAKE_TYPE_H
#define TARN_LAKE_TYPE_H

#include <stdbool.h>

#include "base/buffer.h"

/* Appends the type that a column of type `old` must have to take values of type `new` as well; `old` itself where it
 * does already. False where there is none; out then holds nothing of use. Types as DuckDB prints them; one that cannot
 * be taken apart merges with itself alone. */
bool type_merge(const char *old, const char *new, struct buffer *out);

#endif
