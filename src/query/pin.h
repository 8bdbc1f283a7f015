/*
 * pin.h - a statement that the guard let pass, so that all of it is read from one snapshot, which is known.
 *
 * Each table gets its catalog and schema in full, and AT (VERSION => n); one of which there is a copy in memory that is
 * true at n is that copy. What DuckDB then sees is the statement's tree, changed and written as SQL again, so that a
 * table's name in a text, a comment or a WITH is nothing to be wrong about.
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

/* May be done again and again, each time for another snapshot. ret_lake (may be NULL): tables that are no copies. */
int pin_sql(struct guard_found *found, struct duck_connection *parser, const struct pin *pin, struct buffer *out,
            int *ret_lake, struct error *err);

#endif
