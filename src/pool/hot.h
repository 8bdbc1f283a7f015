/*
 * hot.h - tables that a worker keeps in memory (DuckLakePool's hotTables): 0.3 ms instead of 6.
 *
 * A copy is true for the snapshots from its table's last change on, up to the last one that was looked at. Each is
 * asked about before it is read (hot_is_true). When the lake has another version of the table a query reads the lake
 * (6 to 10 ms) rather than wait for a new copy (30 ms and more, and as much for an index); the copy is made in idle
 * time, and between two queries where there is none for long.
 *
 * Invariant: what a copy is read for is what the lake would give at that snapshot. Where that is not certain (a
 * snapshot between expired, the table is gone, the copy does not fit into memory) the lake is read.
 *
 * Threads: the worker's. Life cycle: hot_new -> hot_renew... -> hot_free.
 */
#ifndef TARN_POOL_HOT_H
#define TARN_POOL_HOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "lake/lake.h"
#include "spec/spec.h"

struct hot;

/* The pool is borrowed: its hot_tables, and of these hot_indexes. Makes the catalog for them (HOT_CATALOG), and no copy
 * yet. */
struct hot *hot_new(const struct spec_pool *pool, struct lake_session *session, struct error *err);
void hot_free(struct hot *hot);
/* Learns which copies are true at the snapshot; makes none. */
int hot_follow(struct hot *hot, struct lake_session *session, int64_t snapshot, struct error *err);
/* The same of what the server knows (request.h, hot_changed). False: it is of other tables. */
bool hot_tell(struct hot *hot, int64_t snapshot, const int64_t *changed, int count);
/* Has a copy been waiting for that long to be made? */
bool hot_waits(const struct hot *hot, int64_t most_ms);
/*
 * Brings all copies up to the snapshot. A copy that cannot be made is left out, and a log line says so once; only what
 * makes the lake itself unreadable is an error.
 */
int hot_renew(struct hot *hot, struct lake_session *session, int64_t snapshot, struct error *err);
/* May the copy be read for the snapshot? Names as somebody wrote them. */
bool hot_is_true(const struct hot *hot, const char *schema, const char *table, int64_t snapshot);
/* Another number whenever a copy was made or dropped. */
int64_t hot_generation(const struct hot *hot);

#endif
