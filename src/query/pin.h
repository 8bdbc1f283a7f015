/*
 * pin.h - a statement that the guard let pass, so that all of it is read from one snapshot, which is known.
 *
 * Each table gets its catalog and schema in full, and AT (VERSION => n); one of which there is a copy in memory that is
 * true at n is that copy. That is done to the statement's tree, so that a table's name in a text, a remark or a WITH is
 * nothing to be wrong about; and to its text, at the places that the tree's nodes came from, for a column without a
 * name is called by its text. Where DuckDB does not read the changed text as the changed tree, the tree is written as
 * SQL.
 *
 * Invariant: what comes out is read as the tree that was checked, or nothing comes out: DuckDB writes some names
 * without their quotes, and a name may be any text.
 *
 * A view that is read AT a version is made of what its tables were then.
 */
#ifndef TARN_QUERY_PIN_H
#define TARN_QUERY_PIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "query/guard.h"

struct pin {
	int64_t snapshot; /* -1: the catalog has none */
	const char *memory; /* the catalog of copies; NULL: there are none */
	/* Is there a copy that is true at the snapshot? Names as written. */
	bool (*in_memory)(void *context, const char *schema, const char *table);
	void *context;
};

/* sql: what was checked. May be done again and again, each time for another snapshot. */
int pin_sql(struct guard_found *found, const char *sql, struct duck_connection *parser, const struct pin *pin,
            struct buffer *out, struct error *err);

#endif
