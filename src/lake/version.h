/*
 * version.h - has the lake anything new? Asked of the catalog directly, without DuckDB: a server asks before each
 * answer, and DuckDB would take 2 ms (libsqlite3 0.001 ms where nothing changed, libpq 0.1 ms).
 *
 * The newest snapshot's id is the version of everything in the lake, and HTTP's ETag. Catalogs that one process holds
 * alone (duckdb, file) cannot change while somebody else reads: their version is what was read when they were opened.
 *
 * A Postgres server is given VERSION_PATIENCE_MS for each answer, and after a failure it is left alone for a moment:
 * what is asked meanwhile is TRANSIENT at once. A SQLite file stays open, and is looked at each time whether it and its
 * -shm are still the ones that are there. A descriptor that is closed takes the locks of all of the process's SQLites
 * on that file with it, and DuckDB has one of its own: so it is closed only with the version, or when DuckDB had closed
 * its own before (its -shm is another one). What is lost then is that the file is in use, which keeps a writer of
 * another process from removing the -wal; there is none (lake.h, invariant 4).
 *
 * An `err` may be NULL: who asks before an answer can do without.
 *
 * A lake may be made anew at the same place, or be brought back from a copy: its snapshots have the old numbers then
 * and other content. It is another lake where its first schema has another UUID, where its newest snapshot is an older
 * one than before, or where the one that was the newest has another time. What is remembered of the old one is
 * forgotten, and who keeps something asks version_lineage. Of catalogs that one process holds alone nothing is told.
 *
 * Threads: any; a version has a lock of its own. Life cycle: version_open -> version_now... -> version_close.
 */
#ifndef TARN_LAKE_VERSION_H
#define TARN_LAKE_VERSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "spec/spec.h"

#define VERSION_PATIENCE_MS 2000
#define VERSION_LAKE_SIZE 48
#define VERSION_TIME_SIZE 48

struct version;

/* The catalog is borrowed until version_close. A lake that is not there yet, or a server that does not answer, is no
 * error here. */
struct version *version_open(const struct spec_catalog *catalog, struct error *err);
void version_close(struct version *version);
/* The newest snapshot's id (0 for backend file). TRANSIENT: the catalog does not answer; it is asked again next time.
 */
int version_now(struct version *version, int64_t *ret_snapshot, struct error *err);
/* Another number where the last version_now found another lake than the one before; whoever kept anything under the
 * last number drops it. */
int64_t version_lineage(struct version *version);
/* Which lake it is, also to another process, as of the last version_now; "" before, and of other catalogs. */
void version_lake(struct version *version, char ret_lake[VERSION_LAKE_SIZE]);
/* When the snapshot was committed, as the catalog writes it: of two lakes' snapshots of one number another one. ""
 * where it is not there any more, or the catalog does not answer. */
void version_time(struct version *version, int64_t snapshot, char ret_time[VERSION_TIME_SIZE]);
/* The newest schema that has rows inlined in the catalog, as of the last version_now or later; 0: none has. */
int64_t version_inlined(struct version *version);
/*
 * The newest snapshot at or before `snapshot` in which the table's rows or columns changed (ducklake_snapshot_changes);
 * what was read at one of two snapshots with the same answer is what would be read at the other, whenever they were
 * asked. Snapshots that expired meanwhile may have had changes: behind a gap the first one that is there counts as one.
 * Merges of files change no rows. Returns 1 where it is no table there (a view, or nothing): *ret_changed is
 * `snapshot`.
 */
int version_of_table(struct version *version, const char *schema, const char *table, int64_t snapshot,
                     int64_t *ret_changed, struct error *err);
/* The same of TABLE, which is one of schema main, or SCHEMA.TABLE; -1 also where the name is too long. */
int version_of_name(struct version *version, const char *name, int64_t snapshot, int64_t *ret_changed);
/* What DuckLake says of a snapshot ("inserted_into_table:4,altered_table:5"): is the table's content another one? */
bool version_changes_touch(const char *changes, int64_t table_id);

#endif
