/*
 * shape.h - what kind of SELECT a model is, taken apart so far that it can be composed anew: with each CAST checked,
 * and over the changes of its source instead of all of it.
 *
 * A SELECT is read as stages: the innermost reads the source (or a join, or what else stands behind its FROM), each
 * further one the stage before it, as WITH and subqueries in FROM nest them. A stage has outputs and conditions and
 * neither aggregates nor orders. Behind the last stage there may be a grouping.
 *
 *     rows    each row of the source becomes one row, or none
 *     groups  all rows of a key become one row, or none
 *     whole   anything else: set operations, windows, DISTINCT, LIMIT, aggregates below others...; it runs as it is
 * written
 *
 * Life cycle: shape_read -> look, compose.h -> shape_release.
 */
#ifndef TARN_LAYERS_SHAPE_H
#define TARN_LAYERS_SHAPE_H

#include "layers/casts.h"
#include "layers/functions.h"

enum shape_kind { SHAPE_ROWS, SHAPE_GROUPS, SHAPE_WHOLE };

struct output {
	char *name; /* NULL: a star, which has the names of what it stands for */
	char *shown; /* what people call it, where the name is Tarn's own; NULL: by its name */
	int64_t location; /* byte of the model's text; -1: unknown */
	struct checked_sql sql;
};

/* One of the conditions that WHERE or HAVING joins by AND. */
struct condition {
	char *text; /* as written: why a row was filtered */
	int64_t location;
	struct checked_sql sql;
};

struct stage {
	char *from; /* SQL behind FROM; NULL: the stage before it, or of the first the source */
	char *alias; /* what outputs and conditions call what they read; NULL: it is in `from` */
	char *row; /* SQL of a row of `from`, as a STRUCT; NULL where from is */
	struct output *outputs;
	int output_count;
	struct condition *conditions;
	int condition_count;
	/* Names in its WHERE that are those of outputs with a CAST, too. DuckDB means the output where what is read has
	 * no such column, and then a row that the CAST refuses would seem to be filtered. Owned. */
	char **doubtful;
	int doubtful_count;
};

/* Over the columns of the last stage, which are its arguments: "tarn a0", "tarn a1", ... */
struct aggregate {
	char *call; /* SQL, with its FILTER */
	char *filter; /* the name of the column that filters; NULL: none */
	char *argument; /* the name of its first argument's column; NULL: none */
	char *name; /* what the result stage calls it: "tarn g0" */
	char *function;
	enum merging merging;
	bool distinct;
};

struct shape {
	enum shape_kind kind;
	char fixed[256]; /* why it cannot be incremental; "": it can, as far as the text says */
	char *schema, *table; /* the one table that it reads; NULL: another FROM, or several */
	struct stage *stages;
	int stage_count; /* 0 of SHAPE_WHOLE */
	/* Of SHAPE_GROUPS: the last stage's outputs are the keys, "tarn k0"..., and the arguments. */
	int key_count;
	struct aggregate *aggregates;
	int aggregate_count;
	/* GROUP BY means aliases by them, as long as what is grouped has no columns of these names. Owned. */
	char **aliases;
	int alias_count;
	struct stage result; /* outputs and HAVING over "tarn k0"... and "tarn g0"... */
	struct cast_sites sites;
	bool varies; /* it calls what gives another result each time */
	bool collates; /* values or keys of it may have a collation */
	bool whole_rows; /* it may read a row as one value, which has all columns that its table has */
};

#define OWNED_SHAPE OWNED_BY(shape_release)

/* What the columns are called that every stage has beside its own. */
#define COLUMN_FAILED "tarn failed" /* of CAST_FAILURE_TYPE: the first CAST that refused; NULL: none */
#define COLUMN_FILTERED "tarn filtered" /* the number of the first condition that is not true, from 1; NULL: none */
#define COLUMN_ROW "tarn row" /* the row of the source, as a STRUCT */

int shape_read(struct tree *tree, struct duck_connection *connection, const struct functions *functions,
               struct shape *ret_shape, struct error *err);
void shape_release(struct shape *shape);

#endif
