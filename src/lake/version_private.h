/*
 * version_private.h - how a version asks each kind of catalog; for version*.c.
 *
 * A catalog is asked three things, in DuckLake's own tables. What they mean is version.c's.
 */
#ifndef TARN_LAKE_VERSION_PRIVATE_H
#define TARN_LAKE_VERSION_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "lake/version.h"
#include "spec/spec.h"

struct version_sqlite;
struct version_postgres;

/* A snapshot of ducklake_snapshot_changes, the newest first. False: enough. changes: borrowed, may be NULL. */
typedef bool version_take(void *context, int64_t snapshot, const char *changes);

struct version_seen { /* what the catalog says of the newest snapshot */
	int64_t snapshot, inlined; /* inlined: the newest schema that has inlined rows */
	char lake[VERSION_LAKE_SIZE]; /* the UUID of its first schema, which the lake was made with */
	char time[VERSION_TIME_SIZE]; /* of the snapshot, as the catalog writes it */
};

/* $1 snapshot */
#define VERSION_TIME_SQL "SELECT CAST(snapshot_time AS VARCHAR) FROM ducklake_snapshot WHERE snapshot_id = $1"
/* The columns are version_seen's. */
#define VERSION_NEWEST_SQL                                                                                             \
	"SELECT snapshot_id, (SELECT coalesce(max(schema_version), 0) FROM ducklake_inlined_data_tables), (SELECT "    \
	"CAST(schema_uuid AS VARCHAR) FROM ducklake_schema ORDER BY schema_id LIMIT 1), CAST(snapshot_time AS "        \
	"VARCHAR) FROM ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1"
/* $1 schema, $2 table, $3 snapshot */
#define VERSION_TABLE_SQL                                                                                              \
	"SELECT t.table_id, t.begin_snapshot FROM ducklake_table t JOIN ducklake_schema s ON s.schema_id = "           \
	"t.schema_id WHERE lower(s.schema_name) = lower($1) AND lower(t.table_name) = lower($2) AND "                  \
	"t.begin_snapshot <= $3 AND (t.end_snapshot IS NULL OR t.end_snapshot > $3) AND s.begin_snapshot <= $3 AND "   \
	"(s.end_snapshot IS NULL OR s.end_snapshot > $3)"
/* $1 newer than, $2 up to */
#define VERSION_CHANGES_SQL                                                                                            \
	"SELECT snapshot_id, changes_made FROM ducklake_snapshot_changes WHERE snapshot_id > $1 AND snapshot_id <= "   \
	"$2 ORDER BY snapshot_id DESC LIMIT 1000"

struct version_sqlite *version_sqlite_new(const char *path, struct error *err);
void version_sqlite_free(struct version_sqlite *sqlite);
int version_sqlite_newest(struct version_sqlite *sqlite, struct version_seen *ret_seen, struct error *err);
/* "": there is no such snapshot. */
int version_sqlite_time(struct version_sqlite *sqlite, int64_t snapshot, char ret_time[VERSION_TIME_SIZE],
                        struct error *err);
/* ret_id -1: there is no such table then. */
int version_sqlite_table(struct version_sqlite *sqlite, const char *schema, const char *table, int64_t snapshot,
                         int64_t *ret_id, int64_t *ret_begin, struct error *err);
int version_sqlite_changes(struct version_sqlite *sqlite, int64_t after, int64_t until, version_take *take,
                           void *context, struct error *err);

struct version_postgres *version_postgres_new(const char *connection, struct error *err);
void version_postgres_free(struct version_postgres *postgres);
int version_postgres_newest(struct version_postgres *postgres, struct version_seen *ret_seen, struct error *err);
int version_postgres_time(struct version_postgres *postgres, int64_t snapshot, char ret_time[VERSION_TIME_SIZE],
                          struct error *err);
int version_postgres_table(struct version_postgres *postgres, const char *schema, const char *table, int64_t snapshot,
                           int64_t *ret_id, int64_t *ret_begin, struct error *err);
int version_postgres_changes(struct version_postgres *postgres, int64_t after, int64_t until, version_take *take,
                             void *context, struct error *err);

#endif
