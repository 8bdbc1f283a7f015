/*
 * options.h - what a lake says of its Parquet files: zstd at level 1 (docs/benchmarks.md), unless its owner chose
 * otherwise. Private to lake/.
 *
 * DuckLake keeps such options in the catalog, and those that were there at its ATTACH in memory: what another process
 * has said since is in the catalog and not in force here. And DuckDB writes no file where a level stands beside another
 * codec than zstd. So codec and level are said together, the codec first; on a server by each process, whatever the
 * catalog has already; and no level where the owner has another codec anywhere.
 */
#ifndef TARN_LAKE_OPTIONS_H
#define TARN_LAKE_OPTIONS_H

#include "lake/lake_private.h"

/* Of a writer, behind ATTACH. INVALID: the lake's own options keep everybody from writing it. */
int lake_say_options(struct lake *lake, struct duck_connection *connection, struct error *err);

#endif
