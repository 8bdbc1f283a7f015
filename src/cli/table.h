/*
 * table.h - rows of text cells, shown to a person as an aligned table or given to a program as JSON; and numbers in
 * words that people read.
 *
 * Invariants:
 *  1. Nothing is cut unless the output is a terminal, and then the cut cell ends in an ellipsis; numbers never are.
 *  2. Control characters of a cell never reach the output: \n, \t, \r and \xHH stand for them.
 *  3. JSON numbers are only written for cells that are JSON numbers; others become strings, NULL becomes null.
 *
 * Life cycle: table_new -> table_number... -> table_add | table_cell... -> table_print | table_print_json ->
 * table_free. Errors stick (out of memory) and table_print reports them, so a series of adds is checked once.
 */
#ifndef TARN_CLI_TABLE_H
#define TARN_CLI_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/owned.h"

struct table;

/* Headers are copied. NULL only when out of memory: every function here takes NULL, and table_print says so. */
struct table *table_new(int columns, const char *const *headers);
void table_free(struct table *table);

/* The column holds numbers: right-aligned, and numbers in JSON. */
void table_number(struct table *table, int column);

/* A row: one cell a column, copied; NULL is shown as NULL. */
void table_add(struct table *table, const char *const *cells);
/* The next cell; a row is complete when every column has one. */
void table_cell(struct table *table, const char *text);
void table_cellf(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Numbers that people read otherwise than programs: 1,234,567 or 1.5 MiB or 2 min 5 s in a table, digits in JSON. They
 * make their column one of numbers. */
void table_cell_count(struct table *table, int64_t count);
void table_cell_bytes(struct table *table, int64_t bytes);
void table_cell_duration(struct table *table, int64_t ms);
int64_t table_row_count(const struct table *table);
/* A cell as it was added; NULL: NULL. Borrowed. */
const char *table_at(const struct table *table, int64_t row, int column);

struct table_style {
	bool unicode; /* box drawing; else + - | */
	bool bold; /* headers, by an ANSI sequence */
	int width; /* of the terminal in columns: cells are cut to it; 0: nothing is cut */
	const char *null; /* shown for NULL; NULL: "NULL" */
};

/* How `out` would like it: unicode where the locale's text is UTF-8, bold and width where it is a terminal. */
struct table_style table_style_of(FILE *out);

/* A box with a header row. No footer: the caller knows what the rows are. */
int table_print(const struct table *table, FILE *out, struct error *err);
int table_render(const struct table *table, const struct table_style *style, struct buffer *out, struct error *err);
/* An array of objects, one a row, and a newline. Keys are the headers with _ for spaces. */
int table_print_json(const struct table *table, FILE *out, struct error *err);
int table_render_json(const struct table *table, struct buffer *out, struct error *err);

static inline void owned_table(struct table **table)
{
	table_free(*table);
}
#define OWNED_TABLE OWNED_BY(owned_table)

/* Each writes to `text` (size >= HUMAN_SIZE) and returns it. */
#define HUMAN_SIZE 32
const char *human_bytes(int64_t bytes, char *text); /* 999 B, 1.5 KiB, 20 MiB */
const char *human_count(int64_t count, char *text); /* 1,234,567 */
const char *human_duration(int64_t ms, char *text); /* 250 ms, 1.5 s, 2 min 5 s, 3 h 4 min, 2 d 3 h */
const char *human_percent(double fraction, char *text); /* 0.5 -> 50 % */

/* --color: auto (a terminal, and no NO_COLOR), always, never. Set once by main. */
enum color_choice { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };
void color_choose(enum color_choice choice);
bool color_for(FILE *out);

#endif
