/*
 * tree.h - the parsed tree of one SELECT, as DuckDB's json_serialize_sql gives it, and parts of it back as SQL.
 *
 * DuckDB parses, Tarn looks: what a model reads, where its CASTs stand, which of its expressions aggregate. Nothing is
 * bound: names are as written. yyjson is seen by tree.c alone.
 *
 * Invariants:
 *  1. A tree is one statement, a SELECT; anything else is INVALID, with DuckDB's sentence and the line.
 *  2. Nodes live as long as their tree, copies made of them too.
 *
 * Life cycle: tree_parse -> look, change copies, tree_sql... -> tree_free. One thread. The connection is borrowed for
 * each call that takes it.
 */
#ifndef TARN_QUERY_TREE_H
#define TARN_QUERY_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/owned.h"

struct duck_connection;
struct tree;
struct node; /* a value of the tree: an object, a list, a text... */

enum tree_fault {
	TREE_PARSED,
	TREE_SYNTAX, /* DuckDB does not parse it */
	TREE_COUNT, /* it is several SELECTs, or none */
	TREE_DEPTH, /* it is nested more deeply than DuckDB's parser goes */
	TREE_OTHER, /* it parses, and (part of) it is no SELECT */
	TREE_FAILED, /* no memory, or no answer */
};

/* ret_line: of the mistake, 0 where DuckDB does not say. */
enum tree_fault tree_read(struct duck_connection *connection, const char *sql, struct tree **ret_tree, int *ret_line,
                          struct error *err);
/* The same; NULL where it is not TREE_PARSED. */
struct tree *tree_parse(struct duck_connection *connection, const char *sql, int *ret_line, struct error *err);
void tree_free(struct tree *tree);
void tree_freep(struct tree **tree);

#define OWNED_TREE OWNED_BY(tree_freep)

/* The SELECT's own node: type SELECT_NODE, SET_OPERATION_NODE, ... */
struct node *tree_root(struct tree *tree);
/* What it stands in: node, named_param_map. */
struct node *tree_statement(const struct tree *tree);

/* A member of an object; NULL where there is none, where it is null, or where the node is no object. */
struct node *node_get(const struct node *node, const char *name);
/* Its text; "" where it has none. */
const char *node_text(const struct node *node, const char *name);
bool node_is(const struct node *node, const char *name, const char *text);
bool node_number_is(const struct node *node, const char *name, int number);
bool node_true(const struct node *node, const char *name);
/* Members of a list (or values of an object). */
int node_count(const struct node *list);
struct node *node_at(const struct node *list, int index);
/* The key of value `index` of an object; NULL of a list. */
const char *node_key(const struct node *object, int index);
/* The byte of the statement that the node was read from; -1: unknown. */
int64_t node_location(const struct node *node);

/* Each value of a list or object in turn, however long it is: node_at counts from the first. */
struct node_iterator {
	size_t state[6];
	bool object;
};

void node_iterate(struct node_iterator *iterator, const struct node *container);
/* NULL: the end. ret_key: of an object's value; NULL of a list's. */
struct node *node_next(struct node_iterator *iterator, const char **ret_key);

enum node_form { NODE_NULL, NODE_PLAIN, NODE_LIST, NODE_OBJECT };

enum node_form node_form(const struct node *node);
/* null, "", false, or a list or object without values. */
bool node_is_blank(const struct node *node);

/* The same expression, whatever its alias and place, and however its columns are spelled: t.a is A where the one table
 * that is read is called `table` (NULL: unknown). */
bool node_equals(const struct node *a, const struct node *b, const char *table);

/* Copies can be changed; the tree owns them. NULL: out of memory. */
struct node *tree_copy(struct tree *tree, const struct node *node);
void node_set_true(struct tree *tree, struct node *object, const char *name);
/* Makes the node an unqualified reference to a column. -1: out of memory. */
int node_become_column(struct tree *tree, struct node *node, const char *column);
/* -1: out of memory. */
int node_add_text(struct tree *tree, struct node *list, const char *text);
int node_add(struct tree *tree, struct node *list, struct node *node);
/* The node becomes an operator of one child, which is what the node was. NULL: out of memory. */
struct node *node_wrap(struct tree *tree, struct node *node, const char *class, const char *type);
/* Instead of the member of that name. */
int node_set(struct tree *tree, struct node *object, const char *name, struct node *node);
/* Removes the alias. */
void node_drop_alias(struct tree *tree, struct node *node);

/* A new value of the tree, from JSON of our own. NULL: out of memory. */
struct node *tree_value(struct tree *tree, const char *json);

/* The same, but for the places that their parts were read from. False also where there is no memory to know. */
bool tree_equals(const struct tree *a, const struct tree *b);
/* The statement, as it was changed, as SQL. */
int tree_sql(struct tree *tree, struct duck_connection *connection, struct buffer *out, struct error *err);
/* An expression as SQL. */
int tree_expression_sql(struct tree *tree, struct duck_connection *connection, const struct node *expression,
                        struct buffer *out, struct error *err);
/* What stands behind FROM, as SQL. */
int tree_from_sql(struct tree *tree, struct duck_connection *connection, const struct node *from, struct buffer *out,
                  struct error *err);

#endif
