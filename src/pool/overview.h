/*
 * overview.h - what a lake holds, as JSON for the console: REQUEST_OVERVIEW. docs/console.md has the shape.
 *
 * Invariants:
 *  1. Nothing of a table that the rights do not name is in it: neither its name, nor its columns, nor what was refused
 * on the way to it.
 *  2. It is of one snapshot, inside the caller's transaction: what a COMMIT adds meanwhile is in none of its parts.
 *  3. No rows of tables are read, but those of schema tarn; rows are counted as DuckLake counts them.
 *
 * Life cycle: one call. The caller's transaction is the worker's (worker.h), READ_ONLY.
 */
#ifndef TARN_POOL_OVERVIEW_H
#define TARN_POOL_OVERVIEW_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "query/guard.h"
#include "spec/spec.h"

struct duck_connection;

/* Appends one JSON object. The lake is attached as `lake`. ret_snapshot: -1 where the backend has none (file). */
int overview_write(struct duck_connection *connection, const struct manifest *manifest,
                   const struct spec_catalog *catalog, const struct guard_rights *rights, struct buffer *out,
                   int64_t *ret_snapshot, struct error *err);

#endif
