/*
 * table.h - the table that a stream writes: made from the first batch, and changed as the batches' columns change.
 * Private to lake/.
 *
 * A column that the table has not is added (null before); one that the batch has not becomes null; where the types
 * differ, the table's column becomes the type that holds both (type.h). Anything else is refused, with the reason for
 * quarantine.
 *
 * Changes are statements, which run in the transaction of the first rows that need them: they commit or vanish with
 * these. They were tried before (table_try), so that one that fails then fails because somebody else was faster. An
 * ALTER reads no row: DATE holds years that no TIMESTAMP does, so where dates become timestamps the try reads them all.
 *
 * Columns that were inferred from JSON values change once more: BIGINT becomes DOUBLE. That is safe only for numbers
 * that DOUBLE holds exactly, which the stored ones must be as well: table_widen looks at them and changes the column in
 * one short transaction, which fails where anybody else has committed meanwhile. (DuckLake lets an ALTER and the rows
 * of another's INSERT commit side by side.)
 */
#ifndef TARN_LAKE_TABLE_H
#define TARN_LAKE_TABLE_H

#include "lake/lake_private.h"

struct table {
	struct lake_session *session; /* borrowed */
	char *schema, *name; /* owned */
	bool inferred; /* columns come from JSON values: the table's types rule, and BIGINT may become DOUBLE */
};

/* SQL statements that change a table, in order. */
struct table_changes {
	struct buffer sql; /* one after the other, each with its final 0 */
	int count;
	struct buffer widened; /* the names of BIGINT columns that are to become DOUBLE, as above */
	int widened_count;
	struct buffer dates; /* the names of columns whose dates become timestamps */
	int date_count;
};

/* 0, or -1: out of memory. Texts are copied. */
int table_init(struct table *table, struct lake_session *session, const char *schema, const char *name);
void table_release(struct table *table);

/* The table's name as SQL: lake."schema"."name". */
void table_append_name(const struct table *table, struct buffer *sql);
/* Name and type of each column; no rows where there is no such table. */
int table_columns(const struct table *table, struct duck_rows *ret_columns, struct error *err);
/* In a transaction of its own: CREATE TABLE with the query's columns. CONFLICT: somebody else made it. */
int table_create(const struct table *table, const char *select, struct error *err);
/* Parquet row groups by the size of the rows that come, where nobody chose for the table or the lake. */
int table_choose_row_group(const struct table *table, int64_t row_bytes, struct error *err);
/* INVALID where Parquet files would not hold the schema's values as they are. */
int table_check_storable(const struct ArrowSchema *schema, struct error *err);

/*
 * What must change in the table (its columns are given) before rows with the source's columns can be written.
 * Errors: INVALID - a column's types do not go together, or DuckDB does not make the change: the reason for quarantine;
 * CONFLICT - an inferred column of whole numbers is DOUBLE in the table: the rows are to be decoded again, knowing
 * that.
 */
int table_compare(const struct table *table, const struct duck_rows *columns, const struct duck_rows *source,
                  struct table_changes *ret_changes, struct error *err);
/* Widens the columns that are to become DOUBLE, in a transaction of its own. INVALID: one of them has numbers that
 * DOUBLE would round, and nothing has changed; CONFLICT: somebody else committed meanwhile. */
int table_widen(const struct table *table, const struct table_changes *changes, struct error *err);
/* Does the table have numbers beyond JSON_EXACT_MAX in its BIGINT column of that name? */
int table_holds_large(const struct table *table, const char *column, bool *ret_large, struct error *err);
/* CONFLICT where a column of whole numbers of 64 bits that comes (source, as above) is a floating one in the table as
 * the session's transaction sees it: INSERT would round its values without a word. */
int table_check_whole(const struct table *table, const struct duck_rows *source, struct error *err);
/* Runs the other changes, in the session's transaction. */
int table_change(const struct table *table, const struct table_changes *changes, struct error *err);
/* The same, to see whether it can be done: in a transaction of its own, which is rolled back. */
int table_try(const struct table *table, const struct table_changes *changes, struct error *err);
void table_changes_release(struct table_changes *changes);

#define OWNED_CHANGES OWNED_BY(table_changes_release)

#endif
