/*
 * duck_text.h - values of DuckDB's vectors as DuckDB's own casts to VARCHAR write them, without asking it. Private to
 * lake/duck*.c.
 *
 * Invariant: a text is byte for byte DuckDB's (test_lake_text.c asks it for each type, its extremes and random values),
 * but for the doubles 2^81, 2^91 and 2^807, which DuckDB 1.5.5 writes as other numbers. Types for which that would be a
 * guess (FLOAT, times with a zone, intervals, nested ones...) are not offered.
 */
#ifndef TARN_LAKE_DUCK_TEXT_H
#define TARN_LAKE_DUCK_TEXT_H

#include <duckdb.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "lake/query.h"

#define DUCK_TEXT_BYTES 64 /* of one value that is no text */

struct duck_text { /* how a column's values become texts */
	duckdb_type type; /* of an ENUM or DECIMAL that of what lies in the vector */
	bool is_decimal, is_enum;
	int scale;
	bool is_bare; /* DECIMAL(3,3): .123 */
	char **words; /* of an ENUM; DuckDB's; owned */
	idx_t word_count;
};

/* false: DuckDB must cast the type itself. */
bool duck_text_can(duckdb_logical_type type);
/* Life cycle: duck_text_init -> duck_text_cell... -> duck_text_release. */
int duck_text_init(struct duck_text *text, duckdb_logical_type type, struct error *err);
void duck_text_release(struct duck_text *text);
/* The value in row `row` of a vector's data; it is not NULL. space: DUCK_TEXT_BYTES, in which the text may lie. */
void duck_text_cell(const struct duck_text *text, const void *data, idx_t row, char *space,
                    struct query_cell *ret_cell);

/* The name of a type as DESCRIBE writes it: DECIMAL(18,3), STRUCT(a INTEGER, "b c" VARCHAR[]). */
void duck_type_name(duckdb_logical_type type, struct buffer *out);
/* Of the types that Arrow would get as less than they are (ENUM as a dictionary, BIT, TIMETZ...) each becomes VARCHAR,
 * wherever in the type it stands. false: nothing had to. */
bool duck_arrow_type_name(duckdb_logical_type type, struct buffer *out);

/* duck_number.cpp */
int duck_shortest_double(double value, char *to, int size);

#endif
