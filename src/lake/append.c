#include "lake/append.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/fault.h"
#include "base/owned.h"
#include "batch/arrow_abi.h"
#include "lake/lake_private.h"

struct append_target {
	struct lake_session *session; /* borrowed */
	struct duck_source *source;
	char name[64]; /* of the table function */
	char *schema, *table;
	char checked[33]; /* the fingerprint that append_prepare last let through */
	struct buffer insert;
};

struct append_target *append_target_new(struct lake_session *session, const char *schema, const char *table,
                                        struct error *err)
{
	struct append_target *target = calloc(1, sizeof *target);

	if (!target) {
		error_no_memory(err);
		return NULL;
	}
	target->session = session;
	buffer_init(&target->insert, 1 << 22);
	target->schema = strdup(schema);
	target->table = strdup(table);
	snprintf(target->name, sizeof target->name, "tarn_source_%d",
	         __atomic_fetch_add(&session->lake->source_count, 1, __ATOMIC_RELAXED));
	if (!target->schema || !target->table) {
		error_no_memory(err);
	} else {
		target->source = duck_source_new(session->idle, target->name, err);
		if (target->source)
			return target;
	}
	append_target_free(target);
	return NULL;
}

void append_target_free(struct append_target *target)
{
	if (!target)
		return;
	duck_source_free(target->source);
	buffer_release(&target->insert);
	free(target->schema);
	free(target->table);
	free(target);
}

static void append_name(const struct append_target *target, struct buffer *sql)
{
	buffer_text(sql, "lake.");
	buffer_sql_name(sql, target->schema);
	buffer_char(sql, '.');
	buffer_sql_name(sql, target->table);
}

/* name and type of each column of the table; no rows where there is no such table */
static int read_table(struct append_target *target, struct duck_rows *ret_rows, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, 65536);
	buffer_text(
	        &sql,
	        "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = 'lake' AND schema_name = ");
	buffer_sql_text(&sql, target->schema);
	buffer_text(&sql, " AND table_name = ");
	buffer_sql_text(&sql, target->table);
	buffer_text(&sql, " ORDER BY column_index");
	return duck_query(target->session->connection, buffer_string(&sql), ret_rows, err);
}

static int read_source(struct append_target *target, struct duck_rows *ret_rows, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, 4096);
	buffer_printf(&sql, "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM %s())", target->name);
	return duck_query(target->session->connection, buffer_string(&sql), ret_rows, err);
}

static int create_table(struct append_target *target, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	struct duck_connection *connection = target->session->connection;

	buffer_init(&sql, 65536);
	buffer_text(&sql, "CREATE SCHEMA IF NOT EXISTS lake.");
	buffer_sql_name(&sql, target->schema);
	if (lake_begin(target->session, err))
		return -1;
	if (duck_exec(connection, buffer_string(&sql), NULL, err))
		goto failed;
	buffer_clear(&sql);
	buffer_text(&sql, "CREATE TABLE ");
	append_name(target, &sql);
	buffer_printf(&sql, " AS SELECT * FROM %s() LIMIT 0", target->name);
	if (duck_exec(connection, buffer_string(&sql), NULL, err))
		goto failed;
	return lake_commit(target->session, NULL, err) == COMMIT_DONE ? 0 : -1;
failed:
	lake_rollback(target->session);
	return -1;
}

/*
 * Each of DuckDB's writers holds a row group, and twice its largest column while it is encoded: groups of wide rows
 * must be short, or they break the bound of memory. DuckLake has an option in bytes too, which no DuckDB that keeps the
 * order of rows (the default) can write with; so the rows are counted, once, where nobody chose for the table or the
 * lake.
 */
#define ROW_GROUP_BYTES ((int64_t)8 << 20)
#define ROW_GROUP_ROWS_MIN BATCH_ROWS_MAX
#define ROW_GROUP_ROWS_MAX 122880 /* DuckDB's own */

static int choose_row_group(struct append_target *target, int64_t row_bytes, struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	OWNED_BUFFER struct buffer sql = {0};
	struct duck_connection *connection = target->session->connection;
	int64_t size = ROW_GROUP_BYTES / (row_bytes < 1 ? 1 : row_bytes) / BATCH_ROWS_MAX * BATCH_ROWS_MAX;

	buffer_init(&sql, 65536);
	buffer_text(&sql,
	            "SELECT 1 FROM ducklake_options('lake') WHERE starts_with(option_name, 'parquet_row_group_size') "
	            "AND (scope <> 'TABLE' OR scope_entry = ");
	buffer_sql_text(&sql, target->schema);
	buffer_text(&sql, " || '.' || ");
	buffer_sql_text(&sql, target->table);
	buffer_text(&sql, ")");
	if (duck_query(connection, buffer_string(&sql), &rows, err))
		return -1;
	if (rows.row_count)
		return 0;
	size = size < ROW_GROUP_ROWS_MIN ? ROW_GROUP_ROWS_MIN : size > ROW_GROUP_ROWS_MAX ? ROW_GROUP_ROWS_MAX : size;
	buffer_clear(&sql);
	buffer_printf(&sql, "CALL lake.set_option('parquet_row_group_size', '%" PRId64 "', schema => ", size);
	buffer_sql_text(&sql, target->schema);
	buffer_text(&sql, ", table_name => ");
	buffer_sql_text(&sql, target->table);
	buffer_text(&sql, ")");
	return duck_exec(connection, buffer_string(&sql), NULL, err);
}

static int64_t find_column(const struct duck_rows *rows, const char *name)
{
	for (int64_t i = 0; i < rows->row_count; i++)
		if (!strcasecmp(duck_cell(rows, i, 0), name))
			return i;
	return -1;
}

/*
 * What DuckDB's Parquet writer spoils. Time of nanoseconds it does not know, and breaks the whole database. An interval
 * it cuts to milliseconds, wraps around beyond 49 days, both without a word, and refuses where it is negative.
 */
static const char *spoiled_by_parquet(const char *format)
{
	if (!strcmp(format, "ttn"))
		return "a time of nanoseconds, which Parquet files do not hold: send time64[us]";
	if (!strncmp(format, "tD", 2) || !strncmp(format, "ti", 2))
		return "an interval, which Parquet files do not hold whole: send int64";
	return NULL;
}

static int check_storable(const struct ArrowSchema *schema, const char *column, struct error *err)
{
	const char *why = spoiled_by_parquet(schema->format);

	if (why)
		return error_set(err, ERROR_INVALID, 0, "column '%s' has %s", column, why);
	for (int64_t i = 0; i < schema->n_children; i++)
		if (check_storable(schema->children[i], *column ? column : schema->children[i]->name, err))
			return -1;
	return 0;
}

/* The message's columns must be the table's: by name, in any order, of the same types. The table may have more: null.
 */
static int compare_columns(const struct duck_rows *table, const struct duck_rows *source, struct error *err)
{
	for (int64_t i = 0; i < source->row_count; i++) {
		int64_t at = find_column(table, duck_cell(source, i, 0));

		if (at < 0)
			return error_set(err, ERROR_INVALID, 0, "column '%s' (%s) is not in the table",
			                 duck_cell(source, i, 0), duck_cell(source, i, 1));
		if (strcmp(duck_cell(table, at, 1), duck_cell(source, i, 1)) != 0)
			return error_set(err, ERROR_INVALID, 0, "column '%s' is %s in the message and %s in the table",
			                 duck_cell(source, i, 0), duck_cell(source, i, 1), duck_cell(table, at, 1));
	}
	return 0;
}

static void compose_insert(struct append_target *target, const struct duck_rows *source)
{
	struct buffer *sql = &target->insert;

	buffer_clear(sql);
	buffer_text(sql, "INSERT INTO ");
	append_name(target, sql);
	buffer_text(sql, " (");
	for (int64_t i = 0; i < source->row_count; i++) {
		buffer_text(sql, i ? ", " : "");
		buffer_sql_name(sql, duck_cell(source, i, 0));
	}
	buffer_printf(sql, ") SELECT * FROM %s()", target->name);
}

bool append_is_prepared(const struct append_target *target, const struct batch_schema *schema)
{
	return !strcmp(target->checked, schema->fingerprint);
}

int append_prepare(struct append_target *target, struct batch_schema *schema, int64_t row_bytes, bool *ret_created,
                   struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows source = {0}, table = {0};

	*ret_created = false;
	if (lake_has_snapshots(target->session->lake) && check_storable(schema->arrow, "", err))
		return -1;
	if (duck_source_set(target->source, schema, NULL, err) || read_source(target, &source, err) ||
	    read_table(target, &table, err))
		return -1;
	if (!table.row_count) {
		if (create_table(target, err)) {
			/* Somebody else may have made it: a conflict is tried again by the caller. */
			if (err && err->kind == ERROR_INVALID && strstr(err->message, "already exists"))
				err->kind = ERROR_CONFLICT;
			return -1;
		}
		*ret_created = true;
		if (read_table(target, &table, err))
			return -1;
	}
	if (compare_columns(&table, &source, err))
		return -1;
	if (lake_has_snapshots(target->session->lake) && choose_row_group(target, row_bytes, err))
		return -1;
	compose_insert(target, &source);
	if (!buffer_ok(&target->insert))
		return error_no_memory(err);
	snprintf(target->checked, sizeof target->checked, "%s", schema->fingerprint);
	return 0;
}

int append_rows(struct append_target *target, struct batch_schema *schema, const struct append_pull *pull,
                int64_t *ret_rows, struct error *err)
{
	struct duck_pull from = {.context = pull->context, .next = pull->next};
	struct error why = {0};

	if (fault_error(FAULT_INSERT_BEFORE, err) || duck_source_set(target->source, schema, &from, err))
		return -1;
	if (duck_exec(target->session->connection, buffer_string(&target->insert), ret_rows, &why)) {
		/* The table may have changed under us: look at it again before the next INSERT. */
		target->checked[0] = 0;
		if (why.kind == ERROR_INVALID && duck_is_about_catalog(why.code))
			why.kind = ERROR_TRANSIENT;
		duck_tell_memory(&why);
		*err = why;
		return -1;
	}
	return fault_error(FAULT_INSERT_AFTER, err) ? -1 : 0;
}
