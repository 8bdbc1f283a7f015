/* columns_private.h - a SELECT while its columns are read: columns.c has queries, columns_from.c what they read,
 * columns_expression.c what they compute. */
#ifndef TARN_LAYERS_COLUMNS_PRIVATE_H
#define TARN_LAYERS_COLUMNS_PRIVATE_H

#include "layers/columns.h"
#include "query/tree.h"

struct table_name {
	const char *schema, *table;
};

/* A table, or the rows of a query. */
struct relation {
	const char *alias; /* what qualifies its columns; NULL: nothing does */
	const char *schema, *table; /* of a table */
	struct made_column *columns;
	int count, capacity;
	struct table_name *opens; /* tables of unknown columns that it passes on */
	int open_count, open_capacity;
	const char *why; /* it has further columns that cannot be followed; NULL: it has none */
	const struct made_column *any; /* what each column is made of that is not listed; NULL */
	struct made_column rows; /* the conditions of its rows */
};

/* The queries of WITH that are seen, the nearest first. */
struct query_name {
	const char *name;
	struct relation *relation;
	const struct query_name *outer;
};

/* What names may mean in an expression. */
struct scope {
	struct relation **relations; /* of FROM */
	int count, capacity;
	const char **using; /* columns that a JOIN made one of two */
	int using_count, using_capacity;
	const struct relation *result; /* the select list so far; NULL: its names are not seen */
	const struct query_name *queries;
	const struct scope *outer;
};

/* Parameters of lambdas around an expression. */
struct lambda {
	const struct node *parameters; /* a COLUMN_REF, or a row of them */
	const struct lambda *outer;
};

struct columns_reading {
	struct tree *tree;
	struct duck_connection *connection;
	const struct functions *functions;
	const struct table_finder *tables;
	struct arena *arena;
	struct error *err;
};

/* ---- columns.c: each gives NULL or -1 where memory ran out, or with *err */

struct relation *columns_relation(struct columns_reading *r);
struct made_column *relation_add(struct columns_reading *r, struct relation *relation, const char *name);
int relation_add_open(struct columns_reading *r, struct relation *relation, const char *schema, const char *table);
const struct made_column *relation_find(const struct relation *relation, const char *name);
bool relation_is_open(const struct relation *relation);
/* Names its columns anew, those in front first. */
void relation_rename(struct relation *relation, const struct node *names);
/* A copy that can be changed. */
struct relation *relation_copy(struct columns_reading *r, const struct relation *relation);
struct relation *columns_query(struct columns_reading *r, const struct node *query, const struct query_name *queries,
                               const struct scope *outer);
/* Its sources to another's, as part of such an expression. */
int columns_merge(struct columns_reading *r, struct made_column *to, const struct made_column *from, unsigned use,
                  int through);
void columns_unknown(struct columns_reading *r, struct made_column *column, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* ---- columns_from.c */

/* What stands behind FROM becomes the scope's; the conditions of joins and of what is read become those of `rows`. */
int columns_from(struct columns_reading *r, const struct node *from, struct scope *scope, struct made_column *rows);

/* ---- columns_expression.c */

/* How an expression is part of a column. */
struct part_of {
	const struct scope *scope;
	const struct lambda *lambdas;
	unsigned use;
	int through;
	struct made_column *column;
};

int columns_expression(struct columns_reading *r, const struct part_of *part, const struct node *expression);
/* The same for the whole of a column: tells whether it is plain. */
int columns_output(struct columns_reading *r, const struct scope *scope, const struct node *expression,
                   struct made_column *column);
/* Of all rows. */
int columns_condition(struct columns_reading *r, const struct scope *scope, const struct node *expression,
                      struct made_column *rows);
/* What a list of expressions reads, each as a condition. */
int columns_conditions(struct columns_reading *r, const struct scope *scope, const struct node *list,
                       struct made_column *rows);

#endif
