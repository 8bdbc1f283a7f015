/* guard_private.h - what the guard*.c share. Nobody else includes it. */
#ifndef TARN_QUERY_GUARD_PRIVATE_H
#define TARN_QUERY_GUARD_PRIVATE_H

#include <stdbool.h>

#include "base/error.h"
#include "query/guard.h"

struct node;

/* The names of WITHs that are seen where the walk is; innermost last. Borrowed from the tree. */
struct guard_scope {
	const char **names;
	int count, capacity;
};

/* 0, or -1: too many, or no memory. */
int guard_scope_push(struct guard_scope *scope, const char *name, struct error *err);

/* guard_functions.c: case aside. */
bool guard_knows_function(const char *name);
bool guard_knows_table_function(const char *name);
bool guard_knows_type(const char *name);

/* guard_names.c: a BASE_TABLE that is no query of a WITH is looked at and added to `found`. -1: it may not be read, or
 * ret_failed: no memory. */
int guard_table(const struct node *table, const struct guard_scope *scope, const struct guard_rights *rights,
                struct guard_found *found, bool *ret_failed, struct error *err);

#endif
