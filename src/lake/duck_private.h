/* duck_private.h - what duck.c and duck_source.c share. Nobody else includes it. */
#ifndef TARN_LAKE_DUCK_PRIVATE_H
#define TARN_LAKE_DUCK_PRIVATE_H

#include <duckdb.h>

#include "base/error.h"

struct duck {
	duckdb_database database;
};

struct duck_connection {
	duckdb_connection handle;
};

/* Fill *err from DuckDB's words. Return -1. duck_fail_data frees `data`. */
int duck_fail(int type, const char *message, struct error *err);
int duck_fail_data(duckdb_error_data data, struct error *err);

#endif
