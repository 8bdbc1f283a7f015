/* shape_private.h - a shape while it is read: shape.c has stages, grouping.c what groups them. */
#ifndef TARN_LAYERS_SHAPE_PRIVATE_H
#define TARN_LAYERS_SHAPE_PRIVATE_H

#include "layers/shape.h"

#define SQL_MAXIMUM_BYTES ((size_t)16 << 20)

/* WHOLE: it is none of the other kinds, and shape.fixed says why. */
enum answer { BROKEN = -1, TAKEN, WHOLE };

struct reading {
	struct tree *tree;
	struct duck_connection *connection;
	const struct functions *functions;
	struct shape *shape;
	struct error *err;
};

enum answer shape_whole(struct reading *r, const char *why);
/* Why it cannot be incremental: the first reason is the one that is told. */
void shape_fix(struct reading *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What DuckDB calls a column of that expression. Owned; NULL: an error. */
char *shape_name_of(struct reading *r, const struct node *expression);

/* A further output, empty. NULL: an error. */
struct output *stage_add_output(struct reading *r, struct stage *stage);
/* What AND joins, each for itself. `written` is the same before it was changed. */
int stage_add_conditions(struct reading *r, struct stage *stage, const struct node *expression,
                         const struct node *written);

/* ---- shape_find.c */

/* The first node of that class in an expression; the first aggregate, but for those of subqueries and windows. NULL:
 * none. */
const struct node *shape_find_class(const struct node *node, const char *class);
const struct node *shape_find_aggregate(const struct reading *r, const struct node *node);
/* The first call or word whose value is not one of the tables' alone, and what it is called. */
const struct node *shape_find_varying(const struct reading *r, const struct node *node);
const char *shape_varying_name(const struct node *varying);
/* Is a column called so, or a whole row? */
bool shape_names_column(const struct node *node, const char *name);
/* Has what it selects a collation? What only WHERE compares by one does not count. */
bool shape_collates(const struct node *node);
/* May the SELECT read a row as one value? */
bool shape_reads_rows(const struct node *root);
/* Does it make several rows of one, or none? */
bool shape_multiplies(const struct node *node);
/* Which items of a select list have a CAST, themselves or by the alias of one before; not within what is_column says
 * that it is a column already (NULL: nothing is). Owned; NULL: no memory. */
bool *shape_find_casts(const struct node *items, bool (*is_column)(const void *context, const struct node *node),
                       const void *context);
/* The alias of such an item that the node is. Where the CAST refuses, DuckDB fails, and what Tarn makes of it has NULL.
 * Borrowed; NULL: it is none. */
const char *shape_cast_alias(const struct node *node, const struct node *items, const bool *casts);
/* Where the expression begins, as far as one of its nodes says. */
int64_t shape_location(const struct node *expression);

/* ---- grouping.c: keys and arguments become the outputs of that stage. */
enum answer shape_read_grouping(struct reading *r, const struct node *query, int stage);

#endif
