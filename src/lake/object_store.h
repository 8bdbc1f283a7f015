/*
 * object_store.h - DuckDB's access to the bucket that a catalog's data lie in. Private to lake/.
 *
 * Requests are tried again a bounded number of times by DuckDB's httpfs; what fails then fails the statement, and the
 * stream tries its whole transaction again. An object appears when its upload is complete, and not before.
 *
 * Keys are given to DuckDB as a secret of the open database: they stand in no file, argument, or log line.
 */
#ifndef TARN_LAKE_OBJECT_STORE_H
#define TARN_LAKE_OBJECT_STORE_H

#include <stdbool.h>

#include "base/error.h"
#include "lake/duck.h"
#include "spec/spec.h"

/* Does the catalog's data lie in a bucket? */
bool object_store_used(const struct spec_catalog *catalog);
/*
 * Loads what DuckDB needs, sets its bounds, and gives it the keys: for all connections of the database, for URLs that
 * begin with `scope` (NULL: for all). Asks nothing of the store. Errors: INVALID - the environment has no keys; FATAL -
 * an extension cannot be loaded.
 */
int object_store_open(const struct spec_catalog *catalog, const char *scope, struct duck_connection *connection,
                      struct error *err);
/* Does it answer, and may these keys read it? Errors: INVALID - it says no; TRANSIENT - it does not answer. */
int object_store_check(const struct spec_catalog *catalog, struct duck_connection *connection, struct error *err);

#endif
