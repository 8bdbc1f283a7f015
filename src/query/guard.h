/*
 * guard.h - may this statement run for whoever asks? What is unknown is refused.
 *
 * DuckDB parses (tree.h), and each node of the tree is looked at: its kind must be on the list (guard_nodes.def), each
 * function on the list of functions (guard_functions.def), each table a name in the tables that may be read or of a
 * WITH around it. So no file, no URL, no other catalog or schema (information_schema, pg_catalog,
 * __ducklake_metadata_*, tarn), no table function but the harmless ones, no setting, no variable, no macro, no
 * extension.
 *
 * Invariants:
 *  1. Exactly one SELECT passes, or nothing. PRAGMA, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN, COPY, ATTACH, CALL, SET,
 *     PREPARE, EXECUTE and whatever is no SELECT do not parse as one, or do not pass.
 *  2. A node, member or function that the lists do not have is refused: a new DuckDB brings nothing by itself.
 *  3. The check has no side effects and binds nothing: names are compared as written, case aside.
 *  4. A table that may not be read and one that is not there are refused in the same words. So is whatever name DuckDB
 *     could take for a view of its own (duckdb_tables) or for a file (gold.csv), whoever asks.
 *  5. The statement's size, depth and number of words are bounded before it is parsed: neither time nor stack run out.
 */
#ifndef TARN_QUERY_GUARD_H
#define TARN_QUERY_GUARD_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"

struct duck_connection;

struct guard_rights {
	/* Patterns: SCHEMA.TABLE (or TABLE of main), * for any characters, case aside. Tables of Tarn's own
	 * schemas are meant only by patterns that begin with "tarn." or "tarn_layers." */
	const char *const *tables;
	int table_count; /* -1: all but those of Tarn's own schemas, tarn and tarn_layers */
};

enum guard_verdict {
	GUARD_PASSES,
	GUARD_SYNTAX, /* it cannot be parsed, it is too large or deep to be, or it is none or several SELECTs */
	GUARD_FORBIDDEN, /* it parses, and is not allowed: (part of) it is no SELECT, or is not known to be harmless */
	GUARD_FAILED, /* the check itself failed */
};

struct tree;
struct node;

struct guard_found { /* of a statement that passes */
	struct tree *tree; /* owned: the statement, for pin.h */
	struct node *
	        *places; /* its tables without an AT of their own, each where it stands; owned, the nodes the tree's */
	int place_count;
	char **tables; /* SCHEMA.TABLE, in lower case, each once */
	int table_count;
	bool travels; /* it has an AT (VERSION =>) or AT (TIMESTAMP =>) of its own */
	bool hidden; /* it may mean a column that no * shows (rowid): a copy of the table has others */
};

/* parser: any connection; json_serialize_sql alone is run on it, prepared once (one whose default catalog is a lake
 * asks that for the function's name, and takes milliseconds more the first time). *err has one sentence for whoever
 * asked. found: may be NULL; the caller releases it. */
enum guard_verdict guard_check(struct duck_connection *parser, const char *sql, const struct guard_rights *rights,
                               struct guard_found *found, struct error *err);
void guard_found_release(struct guard_found *found);
/* SCHEMA.TABLE against the rights. */
bool guard_may_read(const struct guard_rights *rights, const char *schema, const char *table);

#endif
