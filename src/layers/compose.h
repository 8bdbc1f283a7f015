/*
 * compose.h - a shape as SQL again: over any source with the same columns, all CASTs checked, conditions counted.
 *
 *     rows     the last stage's outputs of every row of the source, and COLUMN_FAILED, COLUMN_FILTERED, COLUMN_ROW
 *     groups   "tarn k0"..., "tarn g0"...: the aggregates of the rows that neither failed nor were filtered
 *     result   the model's columns of each group, and the same three
 *
 * Nothing is left out by these: what is kept, counted or quarantined is said in a WHERE around them, which DuckDB
 * pushes down to where the model's own WHERE would stand.
 */
#ifndef TARN_LAYERS_COMPOSE_H
#define TARN_LAYERS_COMPOSE_H

#include "layers/shape.h"

/* " WHERE ..." of rows that are neither failed nor filtered; of those that failed. */
#define WHERE_KEPT " WHERE \"" COLUMN_FAILED "\" IS NULL AND \"" COLUMN_FILTERED "\" IS NULL"
#define WHERE_FAILED " WHERE \"" COLUMN_FAILED "\" IS NOT NULL"
/* "SELECT COLUMNS_KEPT FROM (rows) WHERE_KEPT": the model's own columns. */
#define COLUMNS_KEPT "* EXCLUDE (\"" COLUMN_FAILED "\", \"" COLUMN_FILTERED "\", \"" COLUMN_ROW "\")"

/*
 * source: SQL behind FROM with the source's columns; not used where the shape has another FROM. columns: their names.
 * Appends a SELECT.
 */
void compose_rows(const struct shape *shape, const char *source, char *const *columns, int column_count,
                  struct buffer *out);
/* What that stage reads: SQL behind FROM. */
void compose_input(const struct shape *shape, int stage, const char *source, char *const *columns, int column_count,
                   struct buffer *out);
/* `SELECT groups` over rows. */
void compose_groups(const struct shape *shape, const char *rows, struct buffer *out);
/* groups: a SELECT with the columns of compose_groups. */
void compose_result(const struct shape *shape, const char *groups, struct buffer *out);

/* The condition of that number, as it is written. NULL: there is none. */
const char *compose_condition(const struct shape *shape, int number);
/* How many conditions the rows have; those of the result count on from there. */
int compose_condition_count(const struct shape *shape);

#endif
