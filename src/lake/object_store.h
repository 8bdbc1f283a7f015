/*
 * object_store.h - DuckDB's access to the bucket that a catalog's data lie in. Private to lake/.
 *
 * Requests are tried again a bounded number of times by DuckDB's httpfs; what fails then fails the statement, and the
 * stream tries its whole transaction again. An object appears when its upload is complete, and not before.
 *
 * Keys are given to DuckDB as a secret of the open database: they stand in no file, argument, or log line.
 *
 * An instance's keys expire, and DuckDB takes new ones by itself only where the store answers 401 or 403; AWS answers
 * 400 (ExpiredToken). So they are asked for again every RENEW_MS, before a transaction: AWS gives new ones five minutes
 * before the old ones end. Where they ended all the same a transaction fails, and the next one has new keys.
 */
#ifndef TARN_LAKE_OBJECT_STORE_H
#define TARN_LAKE_OBJECT_STORE_H

#include <stdbool.h>
#include <stdint.h>

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

/* When an open database asks for an instance's keys again. Zeros: it was opened just now. */
struct object_store_keys {
	_Atomic int64_t asked_ms, next_ms; /* monotonic */
};

/*
 * Asks for an instance's keys again where it is time to; on a connection without a transaction. `scope` as it was
 * opened with. Where there are none to be had the old ones stay, and a log line says so. Any number of threads.
 */
void object_store_renew(const struct spec_catalog *catalog, const char *scope, struct object_store_keys *keys,
                        struct duck_connection *connection);
/* Something failed, and it may be the keys: the next object_store_renew asks, but not within a second of the last. */
void object_store_doubt(struct object_store_keys *keys);
/* Does it answer, and may these keys read it? Errors: INVALID - it says no; TRANSIENT - it does not answer. */
int object_store_check(const struct spec_catalog *catalog, struct duck_connection *connection, struct error *err);

#endif
