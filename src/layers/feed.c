/*
 * feed.c - what tables lost and got since a snapshot, from DuckLake's change feed, as temporary tables.
 *
 * A row that came and went in between is in both: what follows the changes adds what is new before it takes away what
 * is gone.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "layers/layers_private.h"

/* The snapshot is still there, and the table was the same one then. */
static int can_tell(struct refresh *r, const char *schema, const char *table, int64_t since, bool *ret_valid)
{
	OWNED_BUFFER struct buffer sql = {0};
	int64_t count = 0;

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_printf(
	        &sql,
	        "SELECT count(*) FROM __ducklake_metadata_lake.ducklake_table t JOIN "
	        "__ducklake_metadata_lake.ducklake_schema s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL "
	        "WHERE t.end_snapshot IS NULL AND (SELECT min(p.begin_snapshot) FROM "
	        "__ducklake_metadata_lake.ducklake_table p WHERE p.table_id = t.table_id) <= %" PRId64
	        " AND EXISTS (SELECT 1 FROM __ducklake_metadata_lake.ducklake_snapshot WHERE snapshot_id = %" PRId64
	        ") AND lower(s.schema_name) = lower(",
	        since, since);
	buffer_sql_text(&sql, schema);
	buffer_text(&sql, ") AND lower(t.table_name) = lower(");
	buffer_sql_text(&sql, table);
	buffer_text(&sql, ")");
	if (count_sql(r, &sql, &count))
		return -1;
	*ret_valid = count > 0;
	return 0;
}

static int read_one(struct refresh *r, const char *schema, const char *table, int64_t since, enum delta delta)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "CREATE OR REPLACE TEMP TABLE ");
	append_delta(&sql, delta, schema, table);
	if (since >= r->snapshot) {
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
	more[r->feed_count] = (struct fed){.schema = strdup(schema), .table = strdup(table), .since = -1};
	r->feed_count++;
	return more[r->feed_count - 1].schema && more[r->feed_count - 1].table ? &more[r->feed_count - 1] : NULL;
}

int feed_read(struct refresh *r, const char *schema, const char *table, int64_t since, bool *ret_valid)
{
	struct fed *feed;

	*ret_valid = false;
	if (!r->snapshots)
		return 0;
	feed = find_feed(r, schema, table);
	if (!feed)
		return error_no_memory(r->err);
	if (feed->since != since) {
		feed->since = -1;
		if (can_tell(r, schema, table, since, &feed->valid) ||
		    (feed->valid &&
		     (read_one(r, schema, table, since, DELTA_GONE) || read_one(r, schema, table, since, DELTA_NEW))))
			return -1;
		feed->since = since;
	}
	*ret_valid = feed->valid;
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

int feed_write(struct refresh *r, const struct model_run *run, enum delta delta, const struct buffer *rows,
               int64_t *ret_rows)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "CREATE OR REPLACE TEMP TABLE ");
	append_delta(&sql, delta, "main", run->model->name);
	append_columns(&sql, &run->columns);
	if (run_sql(r, &sql, NULL))
		return -1;
	buffer_clear(&sql);
	buffer_text(&sql, "INSERT INTO ");
	append_delta(&sql, delta, "main", run->model->name);
	buffer_printf(&sql, " %s", buffer_string(rows));
	return run_sql(r, &sql, ret_rows);
}

int feed_count(struct refresh *r, const char *schema, const char *table, enum delta delta, int64_t *ret_count)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "SELECT count(*) FROM ");
	append_delta(&sql, delta, schema, table);
	return count_sql(r, &sql, ret_count);
}

/* Those of a transaction that was rolled back are gone with it. */
void feed_drop(struct refresh *r)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	struct error ignored;

	if (duck_query(
	            r->connection,
	            "SELECT table_name FROM duckdb_tables() WHERE database_name = 'temp' AND table_name LIKE 'tarn %'",
	            &rows, &ignored))
		return;
	for (int64_t i = 0; i < rows.row_count; i++) {
		OWNED_BUFFER struct buffer sql = {0};

		buffer_init(&sql, SQL_MAXIMUM_BYTES);
		buffer_text(&sql, "DROP TABLE IF EXISTS temp.");
		buffer_sql_name(&sql, duck_cell(&rows, i, 0));
		duck_exec(r->connection, buffer_string(&sql), NULL, &ignored);
	}
}
