/*
 * lake.h - one catalog, opened: DuckLake on sqlite, postgres or a DuckDB file, or one plain DuckDB file.
 *
 * A session is a connection of one thread. What Tarn itself keeps lies in the schema `tarn` of the same lake, so that
 * it commits with the rows: offsets (lane.h), the ledger and quarantine (ledger.h).
 *
 * The commit protocol, in this order (each step's reason is in docs/commit-protocol.md):
 *     lake_begin -> lanes_fence -> append_rows -> quarantine_append -> ledger_append -> lanes_advance -> lake_commit
 *
 * Invariants:
 *  1. The lanes' offsets are the first thing a transaction reads: DuckLake takes its snapshot at the first access, not
 * at BEGIN, and what is checked must be what is committed against.
 *  2. Any failed statement means lake_rollback: COMMIT after an error may commit the rest, or silently nothing.
 *  3. Any failed COMMIT means "outcome unknown": the offsets are read again in a new transaction before anything is
 * done.
 *  4. Where the catalog has one writer (all but postgres) a transaction holds the catalog lock from BEGIN to its end,
 * and one process holds the writer lock from lake_open to lake_close.
 *
 * Life cycle: lake_open -> lake_session_new... -> lake_session_free... -> lake_close.
 */
#ifndef TARN_LAKE_LAKE_H
#define TARN_LAKE_LAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "spec/spec.h"

struct lake;
struct lake_session;
struct batch_schema;

struct lake_options {
	bool writer; /* takes the writer lock, makes the lake where there is none */
	bool existing; /* a writer makes none: INVALID where there is none */
	int threads; /* of DuckDB; 0: one a core */
	bool rests; /* one thread alone asks it, and says by lake_use_threads how many DuckDB has; one until then */
	int64_t memory_bytes; /* DuckDB's bound; 0: its default */
	bool confined; /* it writes no file, not even a temporary one, and has no thread of its own until lake_confine
	                */
};

/* The spec is borrowed until lake_close. */
struct lake *lake_open(const struct spec_catalog *catalog, const struct lake_options *options, struct error *err);
void lake_close(struct lake *lake);
/*
 * SQLite's -wal and -shm are removed by whoever closes the catalog last, and made by whoever opens it first: who may
 * make no files must have them stay. Before lake_open, and until the descriptor is closed (-1: this catalog has none).
 */
int lake_hold_files(const struct spec_catalog *catalog, int *ret_fd, struct error *err);
/*
 * Locks DuckDB for good: no file, folder, URL, extension or other database is opened any more but the lake's own data,
 * nor is a setting changed; with `threads` threads from now on. The lake's catalog is open already, and stays.
 */
int lake_confine(struct lake_session *session, int threads, struct error *err);
/* A second catalog in memory, for copies. */
int lake_attach_memory(struct lake_session *session, const char *name, struct error *err);
/*
 * Its DuckDB met an internal error: all that helps is to close the lake and open it anew. What the old one holds open
 * is then left behind; in an embedded catalog that may be a lock, which ends with the process.
 */
bool lake_is_broken(struct lake *lake);
/* Of DuckDB, when it has much to do. */
int lake_threads(const struct lake *lake);
const struct spec_catalog *lake_catalog(const struct lake *lake);
/* False for backend file: it has no snapshots. */
bool lake_has_snapshots(const struct lake *lake);
/* True where several processes may write: each lane then has an offsets table of its own. */
bool lake_has_many_writers(const struct lake *lake);
/* Its files are in a folder, and reading them again costs no time of a network. */
bool lake_is_local(const struct lake *lake);

bool lake_session_has_snapshots(const struct lake_session *session);
struct lake_session *lake_session_new(struct lake *lake, struct error *err);
void lake_session_free(struct lake_session *session);
/* An idle connection's first failure after the catalog server went away heals by itself; a broken attach does not. */

/*
 * So many of DuckDB's threads from now on, where the lake was opened with `rests`; nothing happens otherwise.
 * Statements that ask the catalog, or that a few thousand rows are all of, take twice the time and CPU with two threads
 * as with one: DuckDB waits for the other thread by asking again and again.
 *
 * Only for a process whose one thread asks this lake: SET threads waits for DuckDB's threads to end, holding a lock
 * which DuckLake wants at the end of each question that such a thread asks of the catalog. Beside another session's
 * statement both wait for ever.
 */
int lake_use_threads(struct lake_session *session, int threads, struct error *err);

int lake_begin(struct lake_session *session, struct error *err);
/* What lake_commit learnt. UNKNOWN: read the offsets again before anything else. */
enum commit_outcome { COMMIT_DONE, COMMIT_UNKNOWN };
/* `note` is JSON for the snapshot's extra info (audit only: maintenance and expiry lose it). */
enum commit_outcome lake_commit(struct lake_session *session, const char *note, struct error *err);
void lake_rollback(struct lake_session *session);

/* Statements in a transaction of their own: all or none. */
int lake_execute_all(struct lake_session *session, const char *const *statements, size_t count, struct error *err);

/* Is there such a table, as the session's transaction sees it? */
int lake_has_table(struct lake_session *session, const char *schema, const char *table, bool *ret_exists,
                   struct error *err);

/* Are there all of "lake.a.b, lake.c.d"? Asked by binding them, which is quick. */
int lake_has_tables(struct lake_session *session, const char *tables, bool *ret_exist, struct error *err);

/* The newest snapshot's id; 0 for backend file. */
int lake_snapshot(struct lake_session *session, int64_t *ret_snapshot, struct error *err);

/* Data files, and their bytes, of a table; 0 for backend file. */
struct lake_table_size {
	int64_t files, bytes, rows;
};
int lake_table_size(struct lake_session *session, const char *schema, const char *table,
                    struct lake_table_size *ret_size, struct error *err);

/* A query for a person or a program. `at`: the snapshot to read, -1: the newest. */
struct duck_stream;
int lake_use(struct lake_session *session, int64_t at, struct error *err);
struct duck_connection *lake_connection(struct lake_session *session);

#endif
