/*
 * rows.h - rows of texts and whole numbers, filled in one by one, as one Arrow array.
 *
 * Invariant: the buffers stay: what an earlier array pointed to is overwritten by the rows after rows_clear.
 *
 * Life cycle: rows_new -> (rows_clear -> (rows_begin -> a cell of each column)... -> rows_array)... -> rows_free.
 */
#ifndef TARN_PRODUCE_ROWS_H
#define TARN_PRODUCE_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "batch/arrow_abi.h"

#define ROWS_COLUMNS_MAX 16

struct rows_column {
	const char *name;
	int text_max; /* bytes of one text; 0: whole numbers of 64 bits */
	bool nullable;
};

struct rows;
/* `columns` is borrowed for as long as the rows live. */
struct rows *rows_new(const struct rows_column *columns, int column_count, int rows_max, struct error *err);
void rows_free(struct rows *rows);

void rows_clear(struct rows *rows);
/* The next row, with room for a text of every column; at most rows_max after rows_clear. Errors: FATAL (memory). */
int rows_begin(struct rows *rows, struct error *err);
/* Where the row's text of that column is put, and how it ends: at p. */
char *rows_text(const struct rows *rows, int column);
void rows_text_end(struct rows *rows, int column, const char *p);
void rows_number(struct rows *rows, int column, int64_t number);
void rows_null(struct rows *rows, int column);

/* Both borrowed; the array until rows_clear. */
const struct ArrowSchema *rows_schema(const struct rows *rows);
const struct ArrowArray *rows_array(struct rows *rows);

#endif
