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
#include "spec/spec.h"

struct version_sqlite;
struct version_postgres;

/* A snapshot of ducklake_snapshot_changes, the newest first. False: enough. changes: borrowed, may be NULL. */
typedef bool version_take(void *context, int64_t snapshot, const char *changes);

/* And the newest schema that has inlined rows. */
#define VERSION_NEWEST_SQL                                                                                             \
	"SELECT max(snapshot_id), (SELECT coalesce(max(schema_version), 0) FROM ducklake_inlined_data_tables) FROM "   \
	"ducklake_snapshot"
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
int version_sqlite_newest(struct version_sqlite *sqlite, int64_t *ret_snapshot, int64_t *ret_inlined,
                          struct error *err);
/* ret_id -1: there is no such table then. */
int version_sqlite_table(struct version_sqlite *sqlite, const char *schema, const char *table, int64_t snapshot,
                         int64_t *ret_id, int64_t *ret_begin, struct error *err);
int version_sqlite_changes(struct version_sqlite *sqlite, int64_t after, int64_t until, version_take *take,
                           void *context, struct error *err);

struct version_postgres *version_postgres_new(const char *connection, struct error *err);
void version_postgres_free(struct version_postgres *postgres);
int version_postgres_newest(struct version_postgres *postgres, int64_t *ret_snapshot, int64_t *ret_inlined,
                            struct error *err);
int version_postgres_table(struct version_postgres *postgres, const char *schema, const char *table, int64_t snapshot,
                           int64_t *ret_id, int64_t *ret_begin, struct error *err);
int version_postgres_changes(struct version_postgres *postgres, int64_t after, int64_t until, version_take *take,
                             void *context, struct error *err);

#endif
