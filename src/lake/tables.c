/* tables.c - what the lake says of its tables (lake.h). */
#include "base/buffer.h"
#include "base/owned.h"
#include "lake/lake_private.h"

int lake_has_table(struct lake_session *session, const char *schema, const char *table, bool *ret_exists,
                   struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, 65536);
	buffer_text(&sql, "SELECT 1 FROM duckdb_tables() WHERE database_name = 'lake' AND lower(schema_name) = lower(");
	buffer_sql_text(&sql, schema);
	buffer_text(&sql, ") AND lower(table_name) = lower(");
	buffer_sql_text(&sql, table);
	buffer_text(&sql, ")");
	if (duck_query(session->connection, buffer_string(&sql), &rows, err))
		return -1;
	*ret_exists = rows.row_count > 0;
	return 0;
}

int lake_has_tables(struct lake_session *session, const char *tables, bool *ret_exist, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	struct error why = {0};
	int line;

	buffer_init(&sql, 65536);
	buffer_printf(&sql, "SELECT 1 FROM %s", tables);
	if (!buffer_ok(&sql))
		return error_no_memory(err);
	*ret_exist = !duck_check(session->connection, buffer_string(&sql), &line, &why);
	if (*ret_exist || duck_is_about_catalog(why.code))
		return 0;
	*err = why;
	return -1;
}

int lake_table_size(struct lake_session *session, const char *schema, const char *table,
                    struct lake_table_size *ret_size, struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0}, count = {0};
	OWNED_BUFFER struct buffer sql = {0};

	*ret_size = (struct lake_table_size){0};
	buffer_init(&sql, 65536);
	buffer_text(&sql, "SELECT count(*) FROM lake.");
	buffer_sql_name(&sql, schema);
	buffer_char(&sql, '.');
	buffer_sql_name(&sql, table);
	if (duck_query(session->connection, buffer_string(&sql), &count, err))
		return -1;
	ret_size->rows = duck_cell_int(&count, 0, 0);
	if (!lake_has_snapshots(session->lake))
		return 0;
	buffer_clear(&sql);
	buffer_text(&sql, "SELECT count(*), sum(data_file_size_bytes) FROM ducklake_list_files('lake', ");
	buffer_sql_text(&sql, table);
	buffer_text(&sql, ", schema => ");
	buffer_sql_text(&sql, schema);
	buffer_text(&sql, ")");
	if (duck_query(session->connection, buffer_string(&sql), &rows, err))
		return -1;
	ret_size->files = duck_cell_int(&rows, 0, 0);
	ret_size->bytes = duck_cell_int(&rows, 0, 1);
	return 0;
}
