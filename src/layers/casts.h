/*
 * casts.h - an expression that never fails for a value that a CAST refuses, and what tells that one did.
 *
 * Authors write plain CAST. Of each expression two others are made: its value, with every CAST a TRY_CAST, and its
 * failure, which is NULL where the value is what the plain expression would give, and otherwise says which CAST refused
 * what. As the plain expression does, the failure looks only where it would be computed: in the branch of a CASE that
 * is taken, behind the COALESCE that gets there, and behind AND and OR where they choose rows or branches. (Where they
 * compute a value DuckDB computes all of their operands.)
 *
 * Left as they are, and so fail the whole statement: CASTs in subqueries, window functions and lambdas, and expressions
 * of which the failure would be much longer than they are. TRY_CAST and TRY are the author's own words for null.
 *
 * Invariants:
 *  1. failure IS NULL  <=>  the plain expression does not raise a conversion error for the row, and value equals it.
 *
 * Life cycle: cast_sites {0} -> casts_check... -> cast_sites_release.
 */
#ifndef TARN_LAYERS_CASTS_H
#define TARN_LAYERS_CASTS_H

#include <stdbool.h>

#include "query/tree.h"

/* The columns that a failure has: STRUCT(site INTEGER, text VARCHAR). */
#define CAST_FAILURE_TYPE "STRUCT(site INTEGER, \"text\" VARCHAR)"

struct cast_site {
	char *column; /* the output column, or the condition, that it is part of; owned */
	char *type; /* what it casts to, as SQL; owned */
	int64_t location; /* byte of the model's text; -1: unknown */
};

/* Every CAST of a model that may refuse a value, numbered from 0. */
struct cast_sites {
	struct cast_site *sites; /* owned */
	int count;
};

void cast_sites_release(struct cast_sites *sites);

struct checked_sql {
	char *value; /* owned */
	char *failure; /* SQL of CAST_FAILURE_TYPE; NULL: no CAST of it can refuse anything; owned */
	bool null_when_refused; /* the value is NULL wherever there is a failure */
};

/* column: what the sites are named after. condition: it chooses rows, as WHERE and HAVING do, and is no value. */
int casts_check(struct tree *tree, struct duck_connection *connection, const struct node *expression,
                const char *column, bool condition, struct cast_sites *sites, struct checked_sql *ret_checked,
                struct error *err);
void checked_sql_release(struct checked_sql *checked);

#endif
