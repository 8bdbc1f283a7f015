/*
 * schemas.h - what DuckLake (of DuckDB 1.5.5) would keep wrong of the lake's tables.
 *
 * It keeps what tables a lake has by the number of its schema, and rows that are inlined in the catalog are read by the
 * schema that their table was made at. Where no table changed with that number (the commit only made the place for
 * inlined rows) it takes an older schema for it, and keeps that: from then on AT (VERSION =>) of those snapshots does
 * not find tables that are there. Asked for such a snapshot first, it keeps the right one. So a worker asks for
 * all that there are when it starts, and for more where the server says that more came (request.h, inlined_schema).
 */
#ifndef TARN_POOL_SCHEMAS_H
#define TARN_POOL_SCHEMAS_H

#include <stdint.h>

#include "base/error.h"

struct duck_connection;

struct schemas { /* up to where all is asked for; {-1, -1} at first */
	int64_t snapshot;
	int64_t inlined; /* the newest schema that has inlined rows; 0: none has */
};

/* Before anything of them is read. */
int schemas_know(struct duck_connection *connection, struct schemas *known, struct error *err);

#endif
