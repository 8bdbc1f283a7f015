/*
 * feed.c - what tables lost and got since a snapshot, from DuckLake's change feed, as temporary tables and views.
 *
 * A row that came and went in between is in both: what follows the changes adds what is new before it takes away what
 * is gone.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "layers/layers_private.h"

/* What snapshots say of a table that lost no rows by it: all else may have taken some. */
#define LOSES_NOTHING "(^|,)(inserted_into_table|inlined_insert|altered_table):[0-9]+"

/* What can be said of a table's changes without reading them. */
struct outline {
	const char *why; /* they are not known; NULL: they are */
	int64_t rows; /* that it got since, in files; 0: nobody says */
	bool touched; /* a snapshot since then names it */
	bool loses; /* it may have lost some */
};

/* In the order of read_outline's columns. */
static const char *const doubts[] = {
        /* Of a snapshot that has expired nobody knows any more what it did. */
        "snapshots since then have expired",
        /* The feed is of what now has the name. */
        "it was another table then, or had another name",
        "a column that it had is gone, or another one now",
        /* Rows that a DELETE had taken while they were inlined are in the feed once more. */
        "its files were rewritten without rows that were deleted",
        "deleted rows of it were flushed into files",
};

/* The snapshots c since then that name the table. */
static void append_changes(struct buffer *sql, int64_t since, int64_t until, const char *condition)
{
	buffer_printf(sql,
	              "(SELECT count(*) FROM (SELECT ',' || changes_made || ',' AS made FROM " CATALOG
	              "snapshot_changes WHERE snapshot_id > %" PRId64 " AND snapshot_id <= %" PRId64 ") c WHERE %s)",
	              since, until, condition);
}

static void append_outline(struct buffer *sql, int64_t since, int64_t until)
{
	/* Numbers have no gaps but where snapshots have expired. */
	buffer_printf(sql,
	              "SELECT (SELECT count(*) FROM " CATALOG "snapshot WHERE snapshot_id >= %" PRId64
	              " AND snapshot_id <= %" PRId64 ") < greatest(%" PRId64 ", 1), ",
	              since, until, until - since + 1);
	buffer_printf(sql,
	              "NOT EXISTS (SELECT 1 FROM " CATALOG
	              "table p WHERE p.table_id = t.table_id AND p.schema_id = t.schema_id AND lower(p.table_name) = "
	              "lower(t.table_name) AND p.begin_snapshot <= %" PRId64
	              " AND (p.end_snapshot IS NULL OR p.end_snapshot > %" PRId64 ")), ",
	              since, since);
	buffer_printf(sql,
	              "EXISTS (SELECT 1 FROM " CATALOG
	              "column l WHERE l.table_id = t.table_id AND l.end_snapshot > %" PRId64 "), ",
	              since);
	append_changes(sql, since, until, "contains(c.made, ',rewrite_delete:' || t.table_id || ',')");
	buffer_text(sql, " > 0, ");
	append_changes(sql, since, until,
	               "contains(c.made, ',deleted_from_table:' || t.table_id || ',') AND regexp_matches(c.made, "
	               "',(inline_flush|flushed_inlined[a-z_]*):' || t.table_id || ',')");
	buffer_printf(sql,
	              " > 0, (SELECT sum(f.record_count) FROM " CATALOG
	              "data_file f WHERE f.table_id = t.table_id AND f.begin_snapshot > %" PRId64 "), ",
	              since);
	append_changes(sql, since, until, "contains(c.made, ':' || t.table_id || ',')");
	buffer_text(sql, ", ");
	append_changes(sql, since, until,
	               "contains(regexp_replace(c.made, '" LOSES_NOTHING
	               "', '', 'g') || ',', ':' || t.table_id || ',')");
	buffer_text(sql,
	            " FROM " CATALOG "table t JOIN " CATALOG
	            "schema s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL WHERE t.end_snapshot IS NULL");
}

static int read_outline(struct refresh *r, const char *schema, const char *table, int64_t since,
                        struct outline *ret_outline)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	int column = 0;

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	append_outline(&sql, since, r->snapshot);
	buffer_text(&sql, " AND lower(s.schema_name) = lower(");
	buffer_sql_text(&sql, schema);
	buffer_text(&sql, ") AND lower(t.table_name) = lower(");
	buffer_sql_text(&sql, table);
	buffer_text(&sql, ")");
	if (query_sql(r, &sql, &rows))
		return -1;
	*ret_outline = (struct outline){.why = rows.row_count ? NULL : "it is no table"};
	for (; rows.row_count && column < (int)COUNT_OF(doubts); column++)
		if (!ret_outline->why && !strcmp(duck_cell(&rows, 0, column), "true"))
			ret_outline->why = doubts[column];
	if (ret_outline->why)
		return 0;
	ret_outline->rows = duck_cell_int(&rows, 0, column);
	ret_outline->touched = duck_cell_int(&rows, 0, column + 1) > 0;
	ret_outline->loses = duck_cell_int(&rows, 0, column + 2) > 0;
	return 0;
}

/* A view where that costs nothing: each reader takes from the files the columns that it needs, on several threads. Over
 * a network they are read once. */
static void append_create_feed(struct refresh *r, struct buffer *sql, const char *name, enum delta delta)
{
	if (delta == DELTA_GONE || !lake_is_local(r->pipeline->lake)) {
		append_create_temporary(r, sql, name);
		return;
	}
	buffer_printf(sql, "CREATE OR REPLACE TEMP VIEW %s", name);
	buffer_printf(&r->drops, "DROP VIEW IF EXISTS %s;", name);
}

static int read_one(struct refresh *r, const char *schema, const char *table, int64_t since, enum delta delta,
                    bool nothing)
{
	OWNED_BUFFER struct buffer sql = {0}, name = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_init(&name, 4096);
	append_delta(&name, delta, schema, table);
	append_create_feed(r, &sql, buffer_string(&name), delta);
	if (nothing) {
		buffer_text(&sql, " AS SELECT * FROM ");
		append_table(&sql, schema, table);
		buffer_text(&sql, " WHERE false");
		return run_sql(r, &sql, NULL);
	}
	buffer_printf(&sql, " AS SELECT * FROM ducklake_table_%s('lake', ",
	              delta == DELTA_GONE ? "deletions" : "insertions");
	buffer_sql_text(&sql, schema);
	buffer_text(&sql, ", ");
	buffer_sql_text(&sql, table);
	buffer_printf(&sql, ", %" PRId64 ", %" PRId64 ")", since + 1, r->snapshot);
	return run_sql(r, &sql, NULL);
}

/* The table's entry; a new one knows of no snapshot. */
static struct fed *find_feed(struct refresh *r, const char *schema, const char *table)
{
	struct fed *more;

	for (int i = 0; i < r->feed_count; i++)
		if (!strcasecmp(r->feeds[i].schema, schema) && !strcasecmp(r->feeds[i].table, table))
			return &r->feeds[i];
	more = realloc(r->feeds, (size_t)(r->feed_count + 1) * sizeof *more);
	if (!more)
		return NULL;
	r->feeds = more;
	more[r->feed_count] =
	        (struct fed){.schema = strdup(schema), .table = strdup(table), .since = -1, .rows = {-1, -1}};
	r->feed_count++;
	return more[r->feed_count - 1].schema && more[r->feed_count - 1].table ? &more[r->feed_count - 1] : NULL;
}

static int read_both(struct refresh *r, struct fed *feed, int64_t since)
{
	bool local = lake_is_local(r->pipeline->lake), same = since >= r->snapshot;
	struct outline outline;

	feed->since = feed->rows[DELTA_GONE] = feed->rows[DELTA_NEW] = -1;
	if (read_outline(r, feed->schema, feed->table, since, &outline))
		return -1;
	feed->why = outline.why;
	feed->touched = outline.touched;
	if (!feed->why && (use_threads_for(r, local && !outline.loses ? 0 : outline.rows) ||
	                   read_one(r, feed->schema, feed->table, since, DELTA_GONE, same || !outline.loses) ||
	                   read_one(r, feed->schema, feed->table, since, DELTA_NEW, same) || use_threads_for(r, 0)))
		return -1;
	if (same || !outline.loses)
		feed->rows[DELTA_GONE] = 0;
	if (same)
		feed->rows[DELTA_NEW] = 0;
	feed->since = since;
	return 0;
}

int feed_read(struct refresh *r, const char *schema, const char *table, int64_t since, const struct fed **ret_feed)
{
	struct fed *feed;

	feed = find_feed(r, schema, table);
	if (!feed)
		return error_no_memory(r->err);
	if (feed->since != since && read_both(r, feed, since))
		return -1;
	*ret_feed = feed;
	return 0;
}

void feed_release(struct refresh *r)
{
	for (int i = 0; i < r->feed_count; i++) {
		free(r->feeds[i].schema);
		free(r->feeds[i].table);
	}
	free(r->feeds);
	r->feeds = NULL;
	r->feed_count = 0;
}

int feed_write(struct refresh *r, struct model_run *run, enum delta delta, const struct buffer *rows)
{
	OWNED_BUFFER struct buffer sql = {0}, name = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_init(&name, 4096);
	append_delta(&name, delta, "main", run->model->name);
	append_create_temporary(r, &sql, buffer_string(&name));
	append_columns(&sql, &run->columns);
	if (run_sql(r, &sql, NULL))
		return -1;
	buffer_clear(&sql);
	buffer_printf(&sql, "INSERT INTO %s %s", buffer_string(&name), buffer_string(rows));
	return run_sql(r, &sql, &run->delta_rows[delta]);
}

/* DELTA as a view, for as long as the refresh lasts. */
static void append_create_view(struct refresh *r, struct buffer *sql, const struct model_run *run, enum delta delta)
{
	OWNED_BUFFER struct buffer name = {0};

	buffer_init(&name, 4096);
	append_delta(&name, delta, "main", run->model->name);
	buffer_printf(sql, "CREATE OR REPLACE TEMP VIEW %s AS SELECT ", buffer_string(&name));
	buffer_printf(&r->drops, "DROP VIEW IF EXISTS %s;", buffer_string(&name));
}

int feed_write_nothing(struct refresh *r, struct model_run *run, enum delta delta)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	append_create_view(r, &sql, run, delta);
	for (int i = 0; i < run->columns.count; i++) {
		buffer_printf(&sql, "%sCAST(NULL AS %s) AS ", i ? ", " : "", run->columns.items[i].type);
		buffer_sql_name(&sql, run->columns.items[i].name);
	}
	buffer_text(&sql, " WHERE false");
	run->delta_rows[delta] = 0;
	return run_sql(r, &sql, NULL);
}

/* The types are those of the table: of a HUGEINT, which alone differs, only the values that it will have. */
static void append_fates(struct buffer *sql, const struct described *columns, const char *rows)
{
	buffer_text(sql, " AS SELECT ");
	for (int i = 0; i < columns->count; i++) {
		bool differs = strstr(columns->items[i].type, "DECIMAL(38,0)");

		buffer_text(sql, differs ? "CASE WHEN \"" COLUMN_FAILED "\" IS NULL AND \"" COLUMN_FILTERED
		                           "\" IS NULL THEN CAST("
		                         : "");
		buffer_printf(sql, "\"tarn c%d\"", i);
		if (differs)
			buffer_printf(sql, " AS %s) END", columns->items[i].type);
		buffer_text(sql, " AS ");
		buffer_sql_name(sql, columns->items[i].name);
		buffer_text(sql, ", ");
	}
	buffer_text(sql, "\"" COLUMN_FAILED "\", \"" COLUMN_FILTERED "\", CASE WHEN \"" COLUMN_FAILED
	                 "\" IS NOT NULL THEN \"" COLUMN_ROW "\" END AS \"" COLUMN_ROW "\" FROM (");
	buffer_printf(sql, "%s) AS w(", rows);
	for (int i = 0; i < columns->count; i++)
		buffer_printf(sql, "\"tarn c%d\", ", i);
	buffer_text(sql, "\"" COLUMN_FAILED "\", \"" COLUMN_FILTERED "\", \"" COLUMN_ROW "\")");
}

int fates_write(struct refresh *r, const struct model_run *run, const char *name, const char *rows)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	append_create_temporary(r, &sql, name);
	append_fates(&sql, &run->columns, rows);
	return run_sql(r, &sql, NULL);
}

int feed_write_fates(struct refresh *r, struct model_run *run, enum delta delta, const char *rows,
                     struct buffer *ret_fates)
{
	OWNED_BUFFER struct buffer sql = {0}, fates = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_init(&fates, 4096);
	append_temporary(&fates, delta == DELTA_GONE ? "fates of gone" : "fates of new", run->model);
	if (fates_write(r, run, buffer_string(&fates), rows))
		return -1;
	append_create_view(r, &sql, run, delta);
	buffer_printf(&sql, COLUMNS_KEPT " FROM %s" WHERE_KEPT, buffer_string(&fates));
	buffer_printf(ret_fates, "SELECT * FROM %s", buffer_string(&fates));
	return run_sql(r, &sql, NULL);
}

/* Where it is noted; NULL: nowhere. */
static int64_t *noted_rows(struct refresh *r, const char *schema, const char *table, enum delta delta)
{
	int model = models_find(r->pipeline->models, schema, table);

	if (model >= 0)
		return &r->runs[model].delta_rows[delta];
	for (int i = 0; i < r->feed_count; i++)
		if (!strcasecmp(r->feeds[i].schema, schema) && !strcasecmp(r->feeds[i].table, table))
			return &r->feeds[i].rows[delta];
	return NULL;
}

int feed_count(struct refresh *r, const char *schema, const char *table, enum delta delta, int64_t *ret_count)
{
	int64_t *noted = noted_rows(r, schema, table, delta);
	OWNED_BUFFER struct buffer sql = {0};

	if (noted && *noted >= 0) {
		*ret_count = *noted;
		return 0;
	}
	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "SELECT count(*) FROM ");
	append_delta(&sql, delta, schema, table);
	if (count_sql(r, &sql, ret_count))
		return -1;
	if (noted)
		*noted = *ret_count;
	return 0;
}
