/*
 * duck_scan.h - the rows of a statement chunk by chunk, as numbers and texts. Private to lake/ and score/.
 *
 * Invariant: rows are streamed. What is held is what DuckDB holds for the statement, and one chunk.
 * Life cycle: duck_scan_open -> duck_scan_next... -> duck_scan_close. One thread; the connection is borrowed, and runs
 * nothing else meanwhile.
 */
#ifndef TARN_LAKE_DUCK_SCAN_H
#define TARN_LAKE_DUCK_SCAN_H

#include <stddef.h>

#include "base/error.h"
#include "base/owned.h"
#include "lake/duck_vector.h"

#define DUCK_SCAN_ROWS_MAX 2048 /* of a chunk */

struct duck_connection;
struct duck_scan;

/* NULL with *err where DuckDB refuses the statement. */
struct duck_scan *duck_scan_open(struct duck_connection *connection, const char *sql, struct error *err);
void duck_scan_close(struct duck_scan *scan);
/* 1: a chunk of *ret_rows rows; 0: the end; -1: error. */
int duck_scan_next(struct duck_scan *scan, size_t *ret_rows, struct error *err);
/* A column of the chunk; borrowed until the next one. */
const struct duck_vector *duck_scan_column(const struct duck_scan *scan, int column);

static inline void owned_duck_scan(struct duck_scan **scan)
{
	duck_scan_close(*scan);
}
#define OWNED_DUCK_SCAN OWNED_BY(owned_duck_scan)

#endif
