#include "lake/publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/owned.h"
#include "lake/object_store.h"

#define SQL_MAX ((size_t)1 << 22)

void layout_release(struct layout *layout)
{
	free(layout->folder);
	buffer_release(&layout->options);
	buffer_release(&layout->columns);
	*layout = (struct layout){0};
}

/* ---- where its files stand */

static void append_table_ids(const struct table *table, struct buffer *sql)
{
	buffer_text(sql,
	            " FROM __ducklake_metadata_lake.ducklake_table t JOIN __ducklake_metadata_lake.ducklake_schema s "
	            "ON s.schema_id = t.schema_id WHERE t.end_snapshot IS NULL AND s.end_snapshot IS NULL AND "
	            "lower(t.table_name) = lower(");
	buffer_sql_text(sql, table->name);
	buffer_text(sql, ") AND lower(s.schema_name) = lower(");
	buffer_sql_text(sql, table->schema);
	buffer_char(sql, ')');
}

/* A partitioned table's rows belong in a file a partition: DuckLake's INSERT sorts that out. */
static int is_partitioned(const struct table *table, bool *ret_partitioned, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, 65536);
	buffer_text(&sql,
	            "SELECT 1 FROM __ducklake_metadata_lake.ducklake_partition_info WHERE end_snapshot IS NULL AND "
	            "table_id IN (SELECT t.table_id");
	append_table_ids(table, &sql);
	buffer_char(&sql, ')');
	if (duck_query(table->session->connection, buffer_string(&sql), &rows, err))
		return -1;
	*ret_partitioned = rows.row_count > 0;
	if (*ret_partitioned && object_store_used(table->session->lake->catalog))
		return error_set(
		        err, ERROR_FATAL, 0,
		        "table %s.%s is partitioned: with a postgres catalog and an object store Tarn cannot keep "
		        "its files safe through a lost COMMIT. ALTER TABLE ... RESET PARTITIONED BY, or use "
		        "another table",
		        table->schema, table->name);
	return 0;
}

/* A folder of the manifest's may lack its final '/'; DuckLake's paths have theirs. */
static int find_folder(const struct table *table, struct layout *layout, struct error *err)
{
	const char *data_path = table->session->lake->catalog->data_path;
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, 65536);
	buffer_text(&sql, "SELECT CASE WHEN t.path_is_relative THEN CASE WHEN s.path_is_relative THEN ");
	buffer_sql_text(&sql, data_path);
	if (data_path[strlen(data_path) - 1] != '/')
		buffer_text(&sql, " || '/'");
	buffer_text(&sql, " ELSE '' END || s.path ELSE '' END || t.path");
	append_table_ids(table, &sql);
	if (duck_query(table->session->connection, buffer_string(&sql), &rows, err))
		return -1;
	if (rows.row_count != 1 || !duck_cell(&rows, 0, 0))
		return error_set(err, ERROR_TRANSIENT, 0, "the catalog does not say where the files of %s.%s stand",
		                 table->schema, table->name);
	layout->folder = TAKE(rows.cells[0]);
	return 0;
}

/* ---- how they are written */

/* DuckLake's options of Parquet files in COPY's words: the table's win over the schema's, these over the lake's. */
static int read_options(const struct table *table, struct layout *layout, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, 65536);
	buffer_text(&sql,
	            "SELECT upper(substr(option_name, 9)), arg_max(value, CASE scope WHEN 'TABLE' THEN 3 WHEN 'SCHEMA' "
	            "THEN 2 ELSE 1 END) FROM ducklake_options('lake') WHERE option_name IN ('parquet_compression', "
	            "'parquet_compression_level', 'parquet_row_group_size', 'parquet_version') AND (scope NOT IN "
	            "('TABLE', 'SCHEMA') OR (scope = 'SCHEMA' AND scope_entry = ");
	buffer_sql_text(&sql, table->schema);
	buffer_text(&sql, ") OR (scope = 'TABLE' AND scope_entry = ");
	buffer_sql_text(&sql, table->schema);
	buffer_text(&sql, " || '.' || ");
	buffer_sql_text(&sql, table->name);
	buffer_text(&sql, ")) GROUP BY 1");
	if (duck_query(table->session->connection, buffer_string(&sql), &rows, err))
		return -1;
	for (int64_t i = 0; i < rows.row_count; i++) {
		const char *name = duck_cell(&rows, i, 0), *value = duck_cell(&rows, i, 1);

		buffer_printf(&layout->options, ", %s ", strcmp(name, "VERSION") ? name : "PARQUET_VERSION");
		if (strspn(value, "0123456789") == strlen(value))
			buffer_text(&layout->options, value);
		else
			buffer_sql_text(&layout->options, value);
	}
	return 0;
}

/* ---- which columns */

static bool comes(const struct duck_rows *source, const char *name, const char **ret_type)
{
	for (int64_t i = 0; i < source->row_count; i++) {
		if (strcasecmp(duck_cell(source, i, 0), name) != 0)
			continue;
		*ret_type = duck_cell(source, i, 1);
		return true;
	}
	return false;
}

struct column {
	const char *name, *type, *fallback;
	bool nullable;
};

/* What INSERT does: cast to the table's type, the default for what does not come, no null where none may be. */
static void append_value(struct buffer *sql, const struct column *column, const char *type)
{
	bool cast = !type || strcmp(type, column->type) != 0;

	if (!column->nullable) {
		buffer_text(sql, "CASE WHEN ");
		buffer_sql_name(sql, column->name);
		buffer_text(sql, " IS NULL THEN error('" DUCK_NOT_NULL "' || ");
		buffer_sql_text(sql, column->name);
		buffer_text(sql, ") ELSE ");
	}
	buffer_text(sql, cast ? "CAST(" : "");
	if (type)
		buffer_sql_name(sql, column->name);
	else
		buffer_text(sql, column->fallback);
	if (cast)
		buffer_printf(sql, " AS %s)", column->type);
	buffer_text(sql, column->nullable ? " AS " : " END AS ");
	buffer_sql_name(sql, column->name);
}

static int compose_columns(const struct table *table, const struct duck_rows *source, struct layout *layout,
                           struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, 65536);
	buffer_text(&sql, "SELECT column_name, data_type, is_nullable, column_default FROM duckdb_columns() WHERE "
	                  "database_name = 'lake' AND lower(schema_name) = lower(");
	buffer_sql_text(&sql, table->schema);
	buffer_text(&sql, ") AND lower(table_name) = lower(");
	buffer_sql_text(&sql, table->name);
	buffer_text(&sql, ") ORDER BY column_index");
	if (duck_query(table->session->connection, buffer_string(&sql), &rows, err))
		return -1;
	for (int64_t i = 0; i < rows.row_count; i++) {
		struct column column = {.name = duck_cell(&rows, i, 0),
		                        .type = duck_cell(&rows, i, 1),
		                        .fallback = duck_cell(&rows, i, 3),
		                        .nullable = strcmp(duck_cell(&rows, i, 2), "false") != 0};
		const char *type = NULL;

		if (!comes(source, column.name, &type) && column.nullable &&
		    (!column.fallback || !strcasecmp(column.fallback, "NULL")))
			continue; /* null, by allow_missing */
		if (!type && !column.fallback)
			column.fallback = "NULL"; /* of a column that takes none: refused with its name */
		buffer_text(&layout->columns, layout->columns.size ? ", " : "");
		append_value(&layout->columns, &column, type);
	}
	return 0;
}

int layout_read(const struct table *table, const struct duck_rows *source, struct layout *ret_layout, struct error *err)
{
	struct layout layout = {0};
	bool partitioned;

	layout_release(ret_layout);
	if (!lake_has_many_writers(table->session->lake))
		return 0;
	if (is_partitioned(table, &partitioned, err))
		return -1;
	if (partitioned)
		return 0;
	buffer_init(&layout.options, 4096);
	buffer_init(&layout.columns, SQL_MAX);
	if (find_folder(table, &layout, err) || read_options(table, &layout, err) ||
	    compose_columns(table, source, &layout, err)) {
		layout_release(&layout);
		return -1;
	}
	*ret_layout = layout;
	return 0;
}

/* ---- rows */

/* FOLDER/ducklake-UUID.parquet, as DuckLake's own; remembered by the session until its transaction ends. */
static int name_file(const struct table *table, const struct layout *layout, char **ret_path, struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	struct buffer *files = &table->session->published;

	if (duck_query(table->session->connection, "SELECT uuidv7()", &rows, err))
		return -1;
	if (asprintf(ret_path, "%sducklake-%s.parquet", layout->folder, duck_cell(&rows, 0, 0)) < 0) {
		*ret_path = NULL;
		return error_no_memory(err);
	}
	buffer_append(files, *ret_path, strlen(*ret_path) + 1);
	return buffer_ok(files) ? 0 : error_no_memory(err);
}

static int make_folder(const struct layout *layout, struct error *err)
{
	return *layout->folder == '/' ? lake_make_folders(layout->folder, err) : 0;
}

static int register_file(const struct table *table, const char *path, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAX);
	buffer_text(&sql, "CALL ducklake_add_data_files('lake', ");
	buffer_sql_text(&sql, table->name);
	buffer_text(&sql, ", ");
	buffer_sql_text(&sql, path);
	buffer_text(&sql, ", schema => ");
	buffer_sql_text(&sql, table->schema);
	/* Left to DuckLake, a folder "env=prod" on the way to the file would be the column env, whatever the file has.
	 */
	buffer_text(&sql, ", allow_missing => true, hive_partitioning => false)");
	if (duck_exec(table->session->connection, buffer_string(&sql), NULL, err) == 0)
		return 0;
	/* The file's columns were the table's: somebody has changed it since. No row is to blame, unless a value's
	 * statistics cannot be had. */
	if (err->kind == ERROR_INVALID && !duck_is_about_rows(err->code))
		err->kind = ERROR_TRANSIENT;
	return -1;
}

int publish_rows(const struct table *table, const struct layout *layout, const char *from, int64_t *ret_rows,
                 struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_FREE char *path = NULL;

	if (make_folder(layout, err) || name_file(table, layout, &path, err))
		return -1;
	buffer_init(&sql, SQL_MAX);
	buffer_text(&sql, "COPY (SELECT ");
	buffer_append(&sql, layout->columns.data, layout->columns.size);
	buffer_printf(&sql, " FROM %s) TO ", from);
	buffer_sql_text(&sql, path);
	buffer_text(&sql, " (FORMAT parquet");
	buffer_append(&sql, layout->options.data, layout->options.size);
	buffer_char(&sql, ')');
	if (!buffer_ok(&sql))
		return error_no_memory(err);
	if (duck_exec_long(table->session->connection, buffer_string(&sql), ret_rows, err) ||
	    fault_error(FAULT_PUBLISH_WRITTEN, err))
		return -1;
	return *ret_rows ? register_file(table, path, err) : 0;
}

void publish_end(struct lake_session *session, bool nothing_committed)
{
	struct buffer *files = &session->published;
	const char *path = files->data, *end = path ? path + files->size : NULL;

	for (; path < end && nothing_committed; path += strlen(path) + 1)
		if (*path == '/')
			unlink(path);
	buffer_clear(files);
}
