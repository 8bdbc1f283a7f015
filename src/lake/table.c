#include "lake/table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/owned.h"
#include "batch/arrow_abi.h"
#include "batch/json.h"
#include "lake/type.h"

#define SQL_MAX ((size_t)1 << 22)

int table_init(struct table *table, struct lake_session *session, const char *schema, const char *name)
{
	*table = (struct table){.session = session, .schema = strdup(schema), .name = strdup(name)};
	return table->schema && table->name ? 0 : -1;
}

void table_release(struct table *table)
{
	free(table->schema);
	free(table->name);
	*table = (struct table){0};
}

void table_append_name(const struct table *table, struct buffer *sql)
{
	buffer_text(sql, "lake.");
	buffer_sql_name(sql, table->schema);
	buffer_char(sql, '.');
	buffer_sql_name(sql, table->name);
}

int table_columns(const struct table *table, struct duck_rows *ret_columns, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, 65536);
	buffer_text(&sql, "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = 'lake' AND "
	                  "lower(schema_name) = lower(");
	buffer_sql_text(&sql, table->schema);
	buffer_text(&sql, ") AND lower(table_name) = lower(");
	buffer_sql_text(&sql, table->name);
	buffer_text(&sql, ") ORDER BY column_index");
	return duck_query(table->session->connection, buffer_string(&sql), ret_columns, err);
}

int table_create(const struct table *table, const char *select, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	struct duck_connection *connection = table->session->connection;

	buffer_init(&sql, 65536);
	buffer_text(&sql, "CREATE SCHEMA IF NOT EXISTS lake.");
	buffer_sql_name(&sql, table->schema);
	if (lake_begin(table->session, err))
		return -1;
	if (duck_exec(connection, buffer_string(&sql), NULL, err))
		goto failed;
	buffer_clear(&sql);
	buffer_text(&sql, "CREATE TABLE ");
	table_append_name(table, &sql);
	buffer_printf(&sql, " AS %s LIMIT 0", select);
	if (duck_exec(connection, buffer_string(&sql), NULL, err))
		goto failed;
	return lake_commit(table->session, NULL, err) == COMMIT_DONE ? 0 : -1;
failed:
	lake_rollback(table->session);
	if (err && err->kind == ERROR_INVALID && strstr(err->message, "already exists"))
		err->kind = ERROR_CONFLICT;
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

int table_choose_row_group(const struct table *table, int64_t row_bytes, struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	OWNED_BUFFER struct buffer sql = {0};
	struct duck_connection *connection = table->session->connection;
	int failed;
	int64_t size = ROW_GROUP_BYTES / (row_bytes < 1 ? 1 : row_bytes) / BATCH_ROWS_MAX * BATCH_ROWS_MAX;

	buffer_init(&sql, 65536);
	buffer_text(&sql,
	            "SELECT 1 FROM ducklake_options('lake') WHERE starts_with(option_name, 'parquet_row_group_size') "
	            "AND (scope <> 'TABLE' OR scope_entry = ");
	buffer_sql_text(&sql, table->schema);
	buffer_text(&sql, " || '.' || ");
	buffer_sql_text(&sql, table->name);
	buffer_text(&sql, ")");
	if (duck_query(connection, buffer_string(&sql), &rows, err))
		return -1;
	if (rows.row_count)
		return 0;
	size = size < ROW_GROUP_ROWS_MIN ? ROW_GROUP_ROWS_MIN : size > ROW_GROUP_ROWS_MAX ? ROW_GROUP_ROWS_MAX : size;
	buffer_clear(&sql);
	buffer_printf(&sql, "CALL lake.set_option('parquet_row_group_size', '%" PRId64 "', schema => ", size);
	buffer_sql_text(&sql, table->schema);
	buffer_text(&sql, ", table_name => ");
	buffer_sql_text(&sql, table->name);
	buffer_text(&sql, ")");
	/* An option is a write of the catalog, too: in somebody's transaction on SQLite it would be the end of that. */
	if (lake_take_turn(table->session, err))
		return -1;
	failed = duck_exec(connection, buffer_string(&sql), NULL, err);
	lake_give_turn(table->session);
	return failed;
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

int table_check_storable(const struct ArrowSchema *schema, struct error *err)
{
	return check_storable(schema, "", err);
}

/* ---- changes */

static int64_t find_column(const struct duck_rows *columns, const char *name)
{
	for (int64_t i = 0; i < columns->row_count; i++)
		if (!strcasecmp(duck_cell(columns, i, 0), name))
			return i;
	return -1;
}

static void add_change(const struct table *table, struct table_changes *changes, const char *verb, const char *column,
                       const char *before_type, const char *type)
{
	struct buffer *sql = &changes->sql;

	buffer_text(sql, "ALTER TABLE ");
	table_append_name(table, sql);
	buffer_text(sql, verb);
	buffer_sql_name(sql, column);
	buffer_text(sql, before_type);
	buffer_text(sql, type);
	buffer_append(sql, "", 1);
	changes->count++;
}

static void add_widened(struct table_changes *changes, const char *column)
{
	buffer_append(&changes->widened, column, strlen(column) + 1);
	changes->widened_count++;
}

static int compare_column(const struct table *table, const struct duck_rows *columns, const char *name,
                          const char *type, struct table_changes *changes, struct error *err)
{
	OWNED_BUFFER struct buffer merged = {0};
	int64_t at = find_column(columns, name);
	const char *old = at < 0 ? NULL : duck_cell(columns, at, 1);

	buffer_init(&merged, SQL_MAX);
	if (at < 0) {
		add_change(table, changes, " ADD COLUMN ", name, " ", type);
		return 0;
	}
	if (table->inferred && json_fills(old, type))
		return 0;
	if (table->inferred && !strcmp(old, "BIGINT") && !strcmp(type, "DOUBLE")) {
		add_widened(changes, duck_cell(columns, at, 0));
		return 0;
	}
	if (table->inferred && !strcmp(old, "DOUBLE") && !strcmp(type, "BIGINT"))
		return error_set(err, ERROR_CONFLICT, 0, "column '%s' became DOUBLE in the table", name);
	if (!type_merge(old, type, &merged))
		return error_set(err, ERROR_INVALID, 0,
		                 "column '%s' is %s in the message and %s in the table, and no type holds both", name,
		                 type, old);
	if (!strcmp(old, buffer_string(&merged)))
		return 0;
	add_change(table, changes, " ALTER COLUMN ", duck_cell(columns, at, 0), " TYPE ", buffer_string(&merged));
	if (strstr(old, "DATE")) {
		buffer_append(&changes->dates, duck_cell(columns, at, 0), strlen(duck_cell(columns, at, 0)) + 1);
		changes->date_count++;
	}
	return 0;
}

int table_compare(const struct table *table, const struct duck_rows *columns, const struct duck_rows *source,
                  struct table_changes *ret_changes, struct error *err)
{
	*ret_changes = (struct table_changes){0};
	buffer_init(&ret_changes->sql, SQL_MAX);
	buffer_init(&ret_changes->widened, SQL_MAX);
	buffer_init(&ret_changes->dates, SQL_MAX);
	for (int64_t i = 0; i < source->row_count; i++)
		if (compare_column(table, columns, duck_cell(source, i, 0), duck_cell(source, i, 1), ret_changes, err))
			return -1;
	return buffer_ok(&ret_changes->sql) && buffer_ok(&ret_changes->widened) && buffer_ok(&ret_changes->dates)
	               ? 0
	               : error_no_memory(err);
}

int table_change(const struct table *table, const struct table_changes *changes, struct error *err)
{
	const char *sql = buffer_string(&changes->sql);

	for (int i = 0; i < changes->count; i++, sql += strlen(sql) + 1)
		if (duck_exec(table->session->connection, sql, NULL, err))
			return -1;
	return 0;
}

/* After the change. */
static int read_dates(const struct table *table, const char *column, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, 65536);
	buffer_text(&sql, "SELECT bit_xor(hash(");
	buffer_sql_name(&sql, column);
	buffer_text(&sql, ")) FROM ");
	table_append_name(table, &sql);
	if (duck_exec(table->session->connection, buffer_string(&sql), NULL, err) == 0)
		return 0;
	if (!duck_is_about_rows(err->code))
		return -1;
	return error_set(err, ERROR_INVALID, 0,
	                 "column '%s' has timestamps in the message, and the table has dates there that no timestamp "
	                 "holds, beyond the years 290309 BC to 294247",
	                 column);
}

int table_try(const struct table *table, const struct table_changes *changes, struct error *err)
{
	const char *date = buffer_string(&changes->dates);
	int failed;

	if (lake_begin(table->session, err))
		return -1;
	failed = table_change(table, changes, err);
	for (int i = 0; i < changes->date_count && !failed; i++, date += strlen(date) + 1)
		failed = read_dates(table, date, err);
	lake_rollback(table->session);
	return failed;
}

/* ---- whole numbers that become DOUBLE */

int table_holds_large(const struct table *table, const char *column, bool *ret_large, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, 65536);
	buffer_text(&sql, "SELECT 1 FROM (SELECT ");
	buffer_sql_name(&sql, column);
	buffer_text(&sql, " AS c FROM ");
	table_append_name(table, &sql);
	/* Which the statistics of files answer, where no number is so large. */
	buffer_printf(&sql, ") WHERE typeof(c) = 'BIGINT' AND (c > %" PRId64 " OR c < -%" PRId64 ") LIMIT 1",
	              JSON_EXACT_MAX, JSON_EXACT_MAX);
	if (duck_query(table->session->connection, buffer_string(&sql), &rows, err))
		return -1;
	*ret_large = rows.row_count > 0;
	return 0;
}

static int widen_column(const struct table *table, const char *column, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	bool large;

	if (table_holds_large(table, column, &large, err))
		return -1;
	if (large)
		return error_set(err, ERROR_INVALID, 0,
		                 "column '%s' is DOUBLE in the message, and the table has whole numbers beyond 2^53 "
		                 "there, which DOUBLE would round: declare the columns and their types in "
		                 "spec.json.columns",
		                 column);
	buffer_init(&sql, 65536);
	buffer_text(&sql, "ALTER TABLE ");
	table_append_name(table, &sql);
	buffer_text(&sql, " ALTER COLUMN ");
	buffer_sql_name(&sql, column);
	buffer_text(&sql, " TYPE DOUBLE");
	return duck_exec(table->session->connection, buffer_string(&sql), NULL, err);
}

int table_widen(const struct table *table, const struct table_changes *changes, struct error *err)
{
	const char *column = buffer_string(&changes->widened);

	if (lake_begin_alone(table->session, err))
		return -1;
	for (int i = 0; i < changes->widened_count; i++, column += strlen(column) + 1) {
		if (widen_column(table, column, err) == 0)
			continue;
		lake_rollback(table->session);
		return -1;
	}
	return lake_commit(table->session, NULL, err) == COMMIT_DONE ? 0 : -1;
}

static bool comes_whole(const struct duck_rows *source, const char *column)
{
	for (int64_t i = 0; i < source->row_count; i++)
		if (!strcmp(duck_cell(source, i, 1), "BIGINT") &&
		    (!column || !strcasecmp(duck_cell(source, i, 0), column)))
			return true;
	return false;
}

int table_check_whole(const struct table *table, const struct duck_rows *source, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	if (!comes_whole(source, NULL))
		return 0;
	buffer_init(&sql, 65536);
	buffer_text(&sql, "SELECT column_name FROM (DESCRIBE SELECT * FROM ");
	table_append_name(table, &sql);
	buffer_text(&sql, ") WHERE column_type IN ('DOUBLE', 'FLOAT')");
	if (duck_query(table->session->connection, buffer_string(&sql), &rows, err))
		return -1;
	for (int64_t i = 0; i < rows.row_count; i++)
		if (comes_whole(source, duck_cell(&rows, i, 0)))
			return error_set(err, ERROR_CONFLICT, 0,
			                 "column '%s' of %s.%s does not hold whole numbers any more",
			                 duck_cell(&rows, i, 0), table->schema, table->name);
	return 0;
}

void table_changes_release(struct table_changes *changes)
{
	buffer_release(&changes->sql);
	buffer_release(&changes->widened);
	buffer_release(&changes->dates);
	changes->count = changes->widened_count = changes->date_count = 0;
}
