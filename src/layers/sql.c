/* sql.c - pieces of SQL and their results, for the files of layers/. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "layers/layers_private.h"

int run_sql(struct refresh *r, const struct buffer *sql, int64_t *ret_changed)
{
	if (!buffer_ok(sql))
		return error_no_memory(r->err);
	return duck_exec_long(r->connection, buffer_string(sql), ret_changed, r->err);
}

int query_sql(struct refresh *r, const struct buffer *sql, struct duck_rows *ret_rows)
{
	if (!buffer_ok(sql))
		return error_no_memory(r->err);
	return duck_query(r->connection, buffer_string(sql), ret_rows, r->err);
}

/* DuckDB's optimizer has DuckLake ask its catalog for what each column of a table holds: as long as to read one of
 * Tarn's own, which are small, and 3 ms a column of an empty one, of which nobody knows. For this connection alone, as
 * disabled_optimizers would not be. */
static int plan_as_it_stands(struct refresh *r)
{
	return duck_exec(r->connection, "PRAGMA disable_optimizer", NULL, r->err);
}

/* Where a statement has just failed this does, too: transaction_open does it again. */
static void plan_well(struct refresh *r)
{
	duck_exec(r->connection, OPTIMIZE, NULL, NULL);
}

int run_own(struct refresh *r, const struct buffer *sql, int64_t *ret_changed)
{
	int failed = plan_as_it_stands(r) || run_sql(r, sql, ret_changed);

	plan_well(r);
	return failed ? -1 : 0;
}

int query_own(struct refresh *r, const struct buffer *sql, struct duck_rows *ret_rows)
{
	int failed = plan_as_it_stands(r) || query_sql(r, sql, ret_rows);

	plan_well(r);
	return failed ? -1 : 0;
}

int count_sql(struct refresh *r, const struct buffer *sql, int64_t *ret_count)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	if (query_sql(r, sql, &rows))
		return -1;
	*ret_count = rows.row_count ? duck_cell_int(&rows, 0, 0) : 0;
	return 0;
}

/* One of DuckDB's threads has so many rows of a model in about 0.1 s; two ask each other for work all the time. */
#define THREAD_ROWS 20000

int use_threads_for(struct refresh *r, int64_t rows)
{
	int threads = rows < 0 || rows > THREAD_ROWS ? lake_threads(r->pipeline->lake) : 1;

	if (threads == r->threads)
		return 0;
	if (lake_use_threads(r->session, threads, r->err))
		return -1;
	r->threads = threads;
	return 0;
}

void append_create_temporary(struct refresh *r, struct buffer *sql, const char *name)
{
	buffer_printf(sql, "CREATE OR REPLACE TEMP TABLE %s", name);
	buffer_printf(&r->drops, "DROP TABLE IF EXISTS %s;", name);
}

/* Those of a transaction that was rolled back are gone with it. */
void drop_temporaries(struct refresh *r)
{
	struct error ignored;

	if (r->drops.size && buffer_ok(&r->drops))
		duck_exec(r->connection, buffer_string(&r->drops), NULL, &ignored);
	buffer_clear(&r->drops);
}

void described_release(struct described *columns)
{
	for (int i = 0; i < columns->count; i++) {
		free(columns->items[i].name);
		free(columns->items[i].type);
	}
	free(columns->items);
	free(columns->names);
	*columns = (struct described){0};
}

static int take_described(struct refresh *r, const struct duck_rows *rows, struct described *ret_columns)
{
	struct described columns = {0};

	columns.items = calloc((size_t)rows->row_count + 1, sizeof *columns.items);
	columns.names = calloc((size_t)rows->row_count + 1, sizeof *columns.names);
	for (int64_t i = 0; columns.items && columns.names && i < rows->row_count; i++) {
		struct column *column = &columns.items[columns.count++];

		column->name = strdup(duck_cell(rows, i, 0));
		column->type = strdup(duck_cell(rows, i, 1));
		columns.names[i] = column->name;
		if (!column->name || !column->type)
			break;
	}
	if (columns.count == rows->row_count && (!columns.count || columns.items[columns.count - 1].type)) {
		*ret_columns = columns;
		return 0;
	}
	described_release(&columns);
	return error_no_memory(r->err);
}

int describe_table(struct refresh *r, const char *table, struct described *ret_columns)
{
	OWNED_BUFFER struct buffer describe = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&describe, SQL_MAXIMUM_BYTES);
	buffer_printf(&describe, "DESCRIBE %s", table);
	return query_sql(r, &describe, &rows) ? -1 : take_described(r, &rows, ret_columns);
}

/* "HUGEINT" and "UHUGEINT" wherever they stand, but in names. */
static char *exact_type(const char *type)
{
	OWNED_BUFFER struct buffer out = {0};
	bool quoted = false;

	buffer_init(&out, SQL_MAXIMUM_BYTES);
	while (*type) {
		const char *huge = strncmp(type, "UHUGEINT", strlen("UHUGEINT")) ? type : type + 1;

		quoted ^= *type == '"';
		if (quoted || strncmp(huge, "HUGEINT", strlen("HUGEINT")) != 0) {
			buffer_char(&out, *type++);
			continue;
		}
		buffer_text(&out, "DECIMAL(38,0)");
		type = huge + strlen("HUGEINT");
	}
	return buffer_ok(&out) ? strdup(buffer_string(&out)) : NULL;
}

/* By a view, which ends where the text does, whatever stands there: DESCRIBE within another SELECT stumbles over ';'.
 * Columns of one name are called as they would be in a table. */
int describe_own(struct refresh *r, const char *sql, struct described *ret_columns)
{
	OWNED_BUFFER struct buffer view = {0};

	buffer_init(&view, SQL_MAXIMUM_BYTES);
	buffer_printf(&view, "CREATE OR REPLACE TEMP VIEW \"tarn described\" AS %s", sql);
	return run_sql(r, &view, NULL) ? -1 : describe_table(r, "temp.main.\"tarn described\"", ret_columns);
}

/* Parquet has no whole numbers of 128 bits and would keep them as floating ones, the sum of a BIGINT among them: they
 * are decimals. */
char *kept_type(const struct refresh *r, const char *type)
{
	return r->snapshots ? exact_type(type) : strdup(type);
}

int describe_sql(struct refresh *r, const char *sql, struct described *ret_columns)
{
	OWNED_BY(described_release) struct described columns = {0};

	if (describe_own(r, sql, &columns))
		return -1;
	for (int i = 0; i < columns.count; i++) {
		char *type = kept_type(r, columns.items[i].type);

		if (!type)
			return error_no_memory(r->err);
		free(columns.items[i].type);
		columns.items[i].type = type;
	}
	*ret_columns = columns;
	columns = (struct described){0};
	return 0;
}

static const char *find_type(const struct described *columns, const char *const *words, size_t count)
{
	for (int i = 0; i < columns->count; i++)
		for (size_t k = 0; k < count; k++)
			if (strstr(columns->items[i].type, words[k]))
				return columns->items[i].type;
	return NULL;
}

const char *inexact_type(const struct described *columns)
{
	static const char *const words[] = {"INTERVAL", "TIME WITH TIME ZONE"};

	return find_type(columns, words, COUNT_OF(words));
}

/* "[3]": an ARRAY's. */
const char *unkept_type(const struct described *columns)
{
	static const char *const words[] = {"ENUM(", "BIT", "UNION(", "BIGNUM", "\"NULL\"", "[1", "[2",
	                                    "[3",    "[4",  "[5",     "[6",     "[7",       "[8", "[9"};

	return find_type(columns, words, COUNT_OF(words));
}

void append_columns(struct buffer *sql, const struct described *columns)
{
	for (int i = 0; i < columns->count; i++) {
		buffer_text(sql, i ? ", " : " (");
		buffer_sql_name(sql, columns->items[i].name);
		buffer_printf(sql, " %s", columns->items[i].type);
	}
	buffer_text(sql, ")");
}

bool described_equal(const struct described *a, const struct described *b)
{
	if (a->count != b->count)
		return false;
	for (int i = 0; i < a->count; i++)
		if (strcasecmp(a->items[i].name, b->items[i].name) != 0 ||
		    strcmp(a->items[i].type, b->items[i].type) != 0)
			return false;
	return true;
}

void append_where_own(struct buffer *sql, const struct pipeline *pipeline)
{
	buffer_text(sql, " WHERE pipeline = ");
	buffer_sql_text(sql, pipeline->spec->name);
}

void append_table(struct buffer *sql, const char *schema, const char *table)
{
	buffer_text(sql, "lake.");
	buffer_sql_name(sql, schema);
	buffer_char(sql, '.');
	buffer_sql_name(sql, table);
}

void append_model(struct buffer *sql, const struct model *model)
{
	append_table(sql, "main", model->name);
}

void append_temporary(struct buffer *sql, const char *prefix, const struct model *model)
{
	OWNED_BUFFER struct buffer name = {0};

	buffer_init(&name, 4096);
	buffer_printf(&name, "tarn %s %s", prefix, model->name);
	buffer_text(sql, "temp.main.");
	buffer_sql_name(sql, buffer_string(&name));
}

void append_delta(struct buffer *sql, enum delta delta, const char *schema, const char *table)
{
	OWNED_BUFFER struct buffer name = {0};

	buffer_init(&name, 4096);
	buffer_printf(&name, "tarn %s %s.%s", delta == DELTA_GONE ? "gone" : "new", schema, table);
	buffer_text(sql, "temp.main.");
	buffer_sql_name(sql, buffer_string(&name));
}

/* Equal values that are not the same: 0.0 and -0.0, a month and 30 days. */
static bool has_twins(const char *type)
{
	return strstr(type, "DOUBLE") || strstr(type, "FLOAT") || strstr(type, "INTERVAL");
}

/* What tells a row from all others, one expression after the other: each column, and what tells its twins apart. */
static void append_part(struct buffer *sql, const char *from, const struct column *column, bool twins)
{
	bool floating = !strcmp(column->type, "DOUBLE") || !strcmp(column->type, "FLOAT");

	if (twins)
		buffer_text(sql, floating ? "signbit(" : "CAST(");
	buffer_printf(sql, "%s.", from);
	buffer_sql_name(sql, column->name);
	if (twins)
		buffer_text(sql, floating ? ")" : " AS VARCHAR)");
}

void append_exact_row(struct buffer *sql, const char *from, const struct described *columns)
{
	int number = 0;

	for (int i = 0; i < columns->count; i++)
		for (int twins = 0; twins <= has_twins(columns->items[i].type); twins++) {
			buffer_text(sql, number ? ", " : "");
			append_part(sql, from, &columns->items[i], twins);
			buffer_printf(sql, " AS \"tarn e%d\"", number++);
		}
}

/* from: an alias. parts: one of append_exact_row. */
static void append_same_row(struct buffer *sql, const char *from, const char *parts, const struct described *columns)
{
	int number = 0;

	for (int i = 0; i < columns->count; i++)
		for (int twins = 0; twins <= has_twins(columns->items[i].type); twins++) {
			buffer_text(sql, number ? " AND " : "");
			append_part(sql, from, &columns->items[i], twins);
			buffer_printf(sql, " IS NOT DISTINCT FROM %s.\"tarn e%d\"", parts, number++);
		}
}

int delete_rows(struct refresh *r, const char *table, const char *gone, const struct described *columns,
                int64_t *ret_missing)
{
	OWNED_BUFFER struct buffer sql = {0};
	int64_t deleted = 0, wanted = 0;

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_printf(&sql, "SELECT count(*) FROM %s", gone);
	if (count_sql(r, &sql, &wanted))
		return -1;
	*ret_missing = 0;
	if (!wanted)
		return 0;
	buffer_clear(&sql);
	buffer_printf(&sql,
	              "DELETE FROM %s WHERE rowid IN (SELECT r FROM (SELECT \"tarn t\".rowid AS r, g.\"tarn n\" AS n, "
	              "row_number() "
	              "OVER (PARTITION BY g.\"tarn i\") AS i FROM %s \"tarn t\" JOIN (SELECT *, row_number() OVER () "
	              "AS \"tarn i\" "
	              "FROM (SELECT ",
	              table, table);
	append_exact_row(&sql, "\"tarn x\"", columns);
	buffer_printf(&sql, ", count(*) AS \"tarn n\" FROM %s \"tarn x\" GROUP BY ALL)) g ON ", gone);
	append_same_row(&sql, "\"tarn t\"", "g", columns);
	buffer_text(&sql, ") WHERE i <= n)");
	if (run_sql(r, &sql, &deleted))
		return -1;
	*ret_missing = wanted - deleted;
	return 0;
}
