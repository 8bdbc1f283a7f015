#include "pool/describe.h"

#include <string.h>

#include "base/owned.h"
#include "lake/duck.h"

#define SAMPLE_ROWS 2000
#define SAMPLE_VALUES 6
#define SAMPLE_CHARACTERS 80

struct describing {
	struct duck_connection *connection;
	const struct guard_rights *rights;
	const atomic_bool *ended;
	struct duck_rows tables, columns; /* of all that there is, in one order */
	struct buffer *out;
	int sampled;
};

enum { TABLE_SCHEMA, TABLE_NAME, TABLE_KIND, TABLE_COMMENT };
enum { COLUMN_SCHEMA, COLUMN_TABLE, COLUMN_NAME, COLUMN_TYPE, COLUMN_COMMENT };

static const char tables_sql[] =
        "SELECT schema_name, table_name, 'table', comment FROM duckdb_tables() WHERE database_name = 'lake' "
        "UNION ALL SELECT schema_name, view_name, 'view', comment FROM duckdb_views() WHERE database_name = 'lake' AND "
        "NOT internal "
        "ORDER BY 1, 2";
static const char columns_sql[] =
        "SELECT schema_name, table_name, column_name, data_type, comment FROM duckdb_columns() "
        "WHERE database_name = 'lake' AND NOT internal ORDER BY schema_name, table_name, column_index";

static void add_member(struct buffer *out, const char *name, const char *text)
{
	buffer_printf(out, ",\"%s\":", name);
	if (text)
		buffer_json_text(out, text, strlen(text));
	else
		buffer_text(out, "null");
}

/* ---- figures and values of a table */

/* Values that are texts of some length, or none, say little. */
static bool has_samples(const char *type)
{
	static const char *const none[] = {"STRUCT", "MAP", "UNION", "BLOB", "BIT", "GEOMETRY"};

	for (size_t i = 0; i < COUNT_OF(none); i++)
		if (!strncmp(type, none[i], strlen(none[i])))
			return false;
	return !strchr(type, '[');
}

static void add_table_name(struct buffer *sql, const char *schema, const char *table)
{
	buffer_text(sql, "lake.");
	buffer_sql_name(sql, schema);
	buffer_char(sql, '.');
	buffer_sql_name(sql, table);
}

/* One row: the count, then a JSON list a column (NULL where it has no samples). */
static int sample(const struct describing *describing, int64_t first, int64_t end, struct duck_rows *ret_rows,
                  struct error *err)
{
	const struct duck_rows *columns = &describing->columns;
	const char *schema = duck_cell(columns, first, COLUMN_SCHEMA), *table = duck_cell(columns, first, COLUMN_TABLE);
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, 8 << 20);
	buffer_text(&sql, "SELECT (SELECT count(*) FROM ");
	add_table_name(&sql, schema, table);
	buffer_char(&sql, ')');
	for (int64_t i = first; i < end; i++) {
		if (!has_samples(duck_cell(columns, i, COLUMN_TYPE))) {
			buffer_text(&sql, ", NULL");
			continue;
		}
		buffer_text(&sql, ", to_json(approx_top_k(left(CAST(");
		buffer_sql_name(&sql, duck_cell(columns, i, COLUMN_NAME));
		buffer_printf(&sql, " AS VARCHAR), %d), %d))", SAMPLE_CHARACTERS, SAMPLE_VALUES);
	}
	buffer_text(&sql, " FROM (FROM ");
	add_table_name(&sql, schema, table);
	buffer_printf(&sql, " LIMIT %d)", SAMPLE_ROWS);
	if (!buffer_ok(&sql))
		return error_no_memory(err);
	return duck_query(describing->connection, buffer_string(&sql), ret_rows, err);
}

static bool is_ended(const struct describing *describing)
{
	return describing->ended && *describing->ended;
}

/* ---- the description */

static void add_columns(const struct describing *describing, int64_t first, int64_t end,
                        const struct duck_rows *samples)
{
	const struct duck_rows *columns = &describing->columns;
	struct buffer *out = describing->out;

	buffer_text(out, ",\"columns\":[");
	for (int64_t i = first; i < end; i++) {
		const char *name = duck_cell(columns, i, COLUMN_NAME);
		const char *values = samples->row_count ? duck_cell(samples, 0, (int)(i - first) + 1) : NULL;

		buffer_printf(out, "%s{\"name\":", i > first ? "," : "");
		buffer_json_text(out, name, strlen(name));
		add_member(out, "type", duck_cell(columns, i, COLUMN_TYPE));
		add_member(out, "comment", duck_cell(columns, i, COLUMN_COMMENT));
		buffer_printf(out, ",\"samples\":%s}", values ? values : "[]");
	}
	buffer_char(out, ']');
}

static int add_table(struct describing *describing, int64_t table, int64_t first, int64_t end, struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows samples = {0};
	const struct duck_rows *tables = &describing->tables;
	const char *schema = duck_cell(tables, table, TABLE_SCHEMA), *kind = duck_cell(tables, table, TABLE_KIND);
	struct buffer *out = describing->out;

	if (end > first && !strcmp(kind, "table") && describing->sampled++ < DESCRIBE_SAMPLED &&
	    sample(describing, first, end, &samples, err) && is_ended(describing))
		return -1;
	buffer_text(out, out->data[out->size - 1] == '[' ? "{\"schema\":" : ",\n{\"schema\":");
	buffer_json_text(out, schema, strlen(schema));
	add_member(out, "name", duck_cell(tables, table, TABLE_NAME));
	add_member(out, "kind", kind);
	add_member(out, "comment", duck_cell(tables, table, TABLE_COMMENT));
	if (samples.row_count)
		buffer_printf(out, ",\"rows\":%s", duck_cell(&samples, 0, 0));
	else
		buffer_text(out, ",\"rows\":null");
	add_columns(describing, first, end, &samples);
	buffer_char(out, '}');
	return 0;
}

static int compare(const struct describing *describing, int64_t column, int64_t table)
{
	int order = strcmp(duck_cell(&describing->columns, column, COLUMN_SCHEMA),
	                   duck_cell(&describing->tables, table, TABLE_SCHEMA));

	return order ? order
	             : strcmp(duck_cell(&describing->columns, column, COLUMN_TABLE),
	                      duck_cell(&describing->tables, table, TABLE_NAME));
}

static int add_tables(struct describing *describing, struct error *err)
{
	const struct duck_rows *tables = &describing->tables;
	int64_t first = 0, end;

	for (int64_t i = 0; i < tables->row_count; i++, first = end) {
		while (first < describing->columns.row_count && compare(describing, first, i) < 0)
			first++;
		for (end = first; end < describing->columns.row_count && !compare(describing, end, i);)
			end++;
		if (!guard_may_read(describing->rights, duck_cell(tables, i, TABLE_SCHEMA),
		                    duck_cell(tables, i, TABLE_NAME)))
			continue;
		if (is_ended(describing))
			return error_set(err, ERROR_TRANSIENT, 0, "the description is not wanted any more");
		if (add_table(describing, i, first, end, err))
			return -1;
	}
	return 0;
}

int describe_tables(struct duck_connection *connection, const struct guard_rights *rights, const atomic_bool *ended,
                    struct buffer *out, struct error *err)
{
	struct describing describing = {.connection = connection, .rights = rights, .ended = ended, .out = out};
	int failed;

	buffer_text(out, "{\"tables\":[");
	failed = duck_query(connection, tables_sql, &describing.tables, err) ||
	         duck_query(connection, columns_sql, &describing.columns, err);
	if (!failed && buffer_ok(out))
		failed = add_tables(&describing, err);
	duck_rows_release(&describing.tables);
	duck_rows_release(&describing.columns);
	buffer_text(out, "]}\n");
	if (!failed && !buffer_ok(out))
		failed = error_set(err, ERROR_MEMORY, 0, "the description of the tables is too large");
	return failed ? -1 : 0;
}
