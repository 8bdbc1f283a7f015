/*
 * columns.h - what the columns of a SELECT are made of.
 *
 * DuckDB parses, and nothing is bound, so that the tables need not be there. Names are resolved as DuckDB resolves
 * them: through FROM, WITH, subqueries and the names of the select list, as far as the columns of the tables are known.
 * A source is a column that the value is made of, or one that stands in a condition:
 *
 *     of a column      CASE WHEN, FILTER, the PARTITION BY and ORDER BY of windows and aggregates
 *     of all rows      WHERE, GROUP BY, HAVING, QUALIFY, JOIN, DISTINCT ON, ORDER BY with LIMIT, and those of what it
 * reads
 *
 * A part of a JSON or STRUCT value (payload->>'plan') is told from its other parts, as far as the part is a constant.
 *
 * Invariants:
 *  1. Where the sources are not all known it is said why: `unknown` of a column or the rows, `open` of a SELECT that
 * may have further columns. A name that only one table of unknown columns can have is taken to be that table's.
 *
 * Life cycle: columns_read -> borrow -> made_columns_release.
 */
#ifndef TARN_LAYERS_COLUMNS_H
#define TARN_LAYERS_COLUMNS_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/owned.h"

struct duck_connection;
struct functions;

enum { USE_VALUE = 1, USE_CONDITION = 2 };

struct column_source {
	const char *schema, *table, *column;
	const char *part; /* "a.b" of a JSON or STRUCT value; NULL: all of it */
	unsigned uses; /* of the above, one or both */
	/* How many conditions stand between it and the value. One that alone decides the value, as in a CASE between
	 * constants or in a count with FILTER, does not count. */
	int through;
};

struct source_list {
	struct column_source *items;
	int count, capacity;
};

struct made_column {
	const char *name;
	struct source_list sources;
	bool plain; /* one column, or a part of one, perhaps cast: parts of it are parts of that */
	const char *unknown; /* why there may be sources that are not listed; NULL: there are none */
};

/* Everything is the arena's. */
struct made_columns {
	struct made_column *columns; /* in the order of the SELECT */
	int count;
	struct made_column rows; /* the conditions of all rows; no name */
	const char *open; /* why there may be columns that are not listed; NULL: there are none */
	/* The table that those are of, as they are: SELECT * of one whose columns are not known. NULL: several, or
	 * none. */
	const char *open_schema, *open_table;
	struct arena arena;
};

/* What is known of tables. Schema "main" unless written. */
struct table_finder {
	/* False: the columns are not known. Names are borrowed until made_columns_release. */
	bool (*find)(void *context, const char *schema, const char *table, const char *const **ret_names,
	             int *ret_count);
	void *context;
};

#define OWNED_COLUMNS OWNED_BY(made_columns_release)

/* sql: one SELECT; a mistake in it is INVALID. */
int columns_read(struct duck_connection *connection, const struct functions *functions, const char *sql,
                 const struct table_finder *tables, struct made_columns *ret_columns, struct error *err);
void made_columns_release(struct made_columns *columns);

/* By name, whatever its case. NULL: none. */
const struct made_column *made_columns_find(const struct made_columns *columns, const char *name);
/* Adds a source, or to one that is there already. -1: out of memory. */
int source_add(struct arena *arena, struct source_list *list, const struct column_source *source);
/* "a.b" of "a" and "b", either of which may be NULL. */
const char *part_join(struct arena *arena, const char *outer, const char *inner);

#endif
