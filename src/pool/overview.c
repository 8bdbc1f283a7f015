#include "pool/overview.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pool/overview_private.h"

#define META "__ducklake_metadata_lake."
#define SNAPSHOTS_MAX 200
#define LOOKED_AT_MAX 2000 /* snapshots, for what changed last; before that the files tell */

/* What is true of a row of DuckLake's tables at the snapshot. */
#define LIVE(t)                                                                                                        \
	"(" t ".begin_snapshot <= %" PRId64 " AND (" t ".end_snapshot IS NULL OR " t ".end_snapshot > %" PRId64 "))"
#define AT_SNAPSHOT(o) (o)->snapshot, (o)->snapshot

/* changes_made: 'created_table:"main"."t",inserted_into_table:7,...'. A table's name may look like anything: out with
 * it. */
#define CHANGES                                                                                                        \
	"unnest(regexp_extract_all(regexp_replace(changes_made, '\"([^\"]|\"\")*\"', '', 'g'), '[a-z_]+:[0-9]+'))"

/* ---- what both halves use */

bool overview_may_read_table(const struct overview *o, const char *schema, const char *table)
{
	return guard_may_read(o->rights, schema, table);
}

bool overview_may_read(const struct overview *o, const char *name)
{
	const char *dot = strchr(name, '.');
	char schema[256];

	if (!dot)
		return overview_may_read_table(o, "main", name);
	snprintf(schema, sizeof schema, "%.*s", (int)(dot - name), name);
	return overview_may_read_table(o, schema, dot + 1);
}

int overview_query(struct overview *o, struct duck_rows *ret_rows, const char *format, ...)
{
	OWNED_BUFFER struct buffer sql = {0};
	char text[8192];
	va_list args;
	int size;

	va_start(args, format);
	size = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (size < 0 || (size_t)size >= sizeof text)
		return error_set(o->err, ERROR_FATAL, 0, "a statement of the overview is too long");
	buffer_init(&sql, OVERVIEW_SQL_BYTES_MAX);
	buffer_text(&sql, text);
	return duck_query(o->connection, buffer_string(&sql), ret_rows, o->err);
}

static void write_text(struct buffer *out, const char *text)
{
	if (text)
		buffer_json_text(out, text, strlen(text));
	else
		buffer_text(out, "null");
}

static void write_member(struct buffer *out, const char *member, const char *cell)
{
	const char *colon = strchr(member, ':');

	buffer_char(out, '"');
	buffer_append(out, member, (size_t)(colon - member));
	buffer_text(out, "\": ");
	if (colon[1] == 't' || !cell)
		write_text(out, cell);
	else
		buffer_text(out, cell);
}

void overview_list(struct overview *o, const char *name, const struct duck_rows *rows, const char *const *members,
                   int table)
{
	const char *comma = "";

	buffer_printf(o->out, ", \"%s\": [", name);
	for (int64_t row = 0; row < rows->row_count; row++) {
		const char *of = table < 0 ? NULL : duck_cell(rows, row, table);

		if (table >= 0 && (!of || !overview_may_read(o, of)))
			continue;
		buffer_printf(o->out, "%s{", comma);
		for (int i = 0; members[i]; i++) {
			buffer_text(o->out, i ? ", " : "");
			write_member(o->out, members[i], duck_cell(rows, row, i));
		}
		buffer_char(o->out, '}');
		comma = ", ";
	}
	buffer_char(o->out, ']');
}

/* ---- layers */

static const char *const layers[] = {"bronze", "silver", "gold", "other"};

static bool is_named(const char *name, const char *schema, const char *table)
{
	const char *dot = strchr(name, '.');
	size_t size = dot ? (size_t)(dot - name) : 0;

	if (!dot)
		return !strcmp(schema, "main") && !strcmp(name, table);
	return strlen(schema) == size && !strncmp(name, schema, size) && !strcmp(dot + 1, table);
}

/* made: the layer that tarn.models says; NULL: no model makes it. */
static int layer_of(const struct overview *o, const char *schema, const char *table, const char *made)
{
	const struct manifest *m = o->manifest;

	for (int i = 0; i < 3; i++)
		if (made && !strcmp(made, layers[i]))
			return i;
	for (int i = 0; i < m->stream_count; i++)
		if (m->streams[i].catalog == o->catalog && !strcmp(m->streams[i].schema, schema) &&
		    !strcmp(m->streams[i].table, table))
			return 0;
	for (int i = 0; i < m->pipeline_count; i++)
		if (m->pipelines[i].catalog == o->catalog && m->pipelines[i].model.scores &&
		    is_named(m->pipelines[i].model.scores, schema, table))
			return 2;
	for (int i = 0; i < 3; i++)
		if (!strncmp(table, layers[i], strlen(layers[i])) && table[strlen(layers[i])] == '_')
			return i;
	return 3;
}

/* ---- tables */

enum table_cell { SCHEMA, NAME, KIND, BYTES, FILES, CHANGED, CHANGED_AT, LAYER };

/* Where there are snapshots: what the catalog knows of each table, by its id. */
static const char known_sql[] =
        "WITH ids AS (SELECT s.schema_name, t.table_name, t.table_id, t.begin_snapshot FROM " META
        "ducklake_table t JOIN " META "ducklake_schema s USING (schema_id) WHERE " LIVE("t") " AND " LIVE(
                "s") "), "
                     "views AS (SELECT s.schema_name, v.view_name AS table_name, v.view_id AS table_id, "
                     "v.begin_snapshot FROM " META "ducklake_view v JOIN " META
                     "ducklake_schema s USING (schema_id) WHERE " LIVE("v") " AND " LIVE(
                             "s") "), "
                                  "changes AS (SELECT snapshot_id, " CHANGES " AS change FROM " META
                                  "ducklake_snapshot_changes "
                                  "WHERE snapshot_id <= %" PRId64 " AND snapshot_id > %" PRId64 "), "
                                  "newest AS (SELECT split_part(change, ':', 2)::BIGINT AS table_id, max(snapshot_id) "
                                  "AS snapshot FROM changes WHERE "
                                  "split_part(change, ':', 1) IN ('inserted_into_table', 'deleted_from_table', "
                                  "'altered_table', 'inlined_insert', "
                                  "'inlined_delete', 'altered_view') GROUP BY 1), "
                                  "files AS (SELECT table_id, count(*) FILTER (" LIVE(
                                          "f") ") AS files, "
                                               "coalesce(sum(file_size_bytes) FILTER (" LIVE(
                                                       "f") "), 0) AS bytes, "
                                                            "max(greatest(begin_snapshot, CASE WHEN end_snapshot <= "
                                                            "%" PRId64 " THEN end_snapshot END)) AS snapshot "
                                                            "FROM " META
                                                            "ducklake_data_file f WHERE begin_snapshot <= %" PRId64
                                                            " GROUP BY 1), "
                                                            "known AS (SELECT schema_name, table_name, coalesce(bytes, "
                                                            "0) AS bytes, coalesce(files, 0) AS files, "
                                                            "greatest(ids.begin_snapshot, newest.snapshot, "
                                                            "files.snapshot) AS changed FROM ids LEFT JOIN newest "
                                                            "USING (table_id) "
                                                            "LEFT JOIN files USING (table_id) UNION ALL SELECT "
                                                            "schema_name, table_name, NULL, NULL, "
                                                            "greatest(views.begin_snapshot, newest.snapshot) FROM "
                                                            "views LEFT JOIN newest USING (table_id)) "
                                                            "SELECT k.schema_name, k.table_name, k.bytes, k.files, "
                                                            "k.changed, " OVERVIEW_TIME_F(
                                                                    "s.snapshot_time::TIMESTAMPTZ") " AS changed_at "
                                                                                                    "FROM known k LEFT "
                                                                                                    "JOIN " META
                                                                                                    "ducklake_snapshot "
                                                                                                    "s ON "
                                                                                                    "s.snapshot_id = "
                                                                                                    "k.changed";

static const char unknown_sql[] =
        "SELECT NULL AS schema_name, NULL AS table_name, NULL AS bytes, NULL AS files, NULL AS "
        "changed, NULL AS changed_at WHERE false";

static int read_tables(struct overview *o, struct duck_rows *ret_rows)
{
	char known[sizeof known_sql + 512];
	int has_models = overview_has(o, "models");

	if (has_models < 0)
		return -1;
	snprintf(known, sizeof known, known_sql, AT_SNAPSHOT(o), AT_SNAPSHOT(o), AT_SNAPSHOT(o), AT_SNAPSHOT(o),
	         o->snapshot, o->snapshot - LOOKED_AT_MAX, AT_SNAPSHOT(o), AT_SNAPSHOT(o), o->snapshot, o->snapshot);
	return overview_query(
	        o, ret_rows,
	        "SELECT t.table_schema, t.table_name, CASE t.table_type WHEN 'VIEW' THEN 'view' ELSE 'table' END, "
	        "k.bytes, k.files, k.changed, k.changed_at, m.layer FROM information_schema.tables t "
	        "LEFT JOIN (%s) k ON k.schema_name = t.table_schema AND k.table_name = t.table_name "
	        "LEFT JOIN %s m ON t.table_schema = 'main' AND m.model = t.table_name "
	        "WHERE t.table_catalog = 'lake' ORDER BY t.table_schema, t.table_name",
	        o->has_snapshots ? known : unknown_sql,
	        has_models ? "(SELECT model, any_value(layer) AS layer FROM lake.tarn.models GROUP BY model)"
	                   : "(SELECT NULL AS model, NULL AS layer WHERE false)");
}

static int count_rows(struct overview *o, const char *schema, const char *table, int64_t *ret_rows)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, OVERVIEW_SQL_BYTES_MAX);
	buffer_text(&sql, "SELECT count(*) FROM lake.");
	buffer_sql_name(&sql, schema);
	buffer_char(&sql, '.');
	buffer_sql_name(&sql, table);
	if (duck_query(o->connection, buffer_string(&sql), &rows, o->err))
		return -1;
	*ret_rows = duck_cell_int(&rows, 0, 0);
	return 0;
}

static void write_columns(struct overview *o, const struct duck_rows *columns, const char *schema, const char *table)
{
	const char *comma = "";

	buffer_text(o->out, ", \"columns\": [");
	for (int64_t i = 0; i < columns->row_count; i++) {
		if (strcmp(duck_cell(columns, i, 0), schema) != 0 || strcmp(duck_cell(columns, i, 1), table) != 0)
			continue;
		buffer_printf(o->out, "%s{\"name\": ", comma);
		write_text(o->out, duck_cell(columns, i, 2));
		buffer_text(o->out, ", \"type\": ");
		write_text(o->out, duck_cell(columns, i, 3));
		buffer_char(o->out, '}');
		comma = ", ";
	}
	buffer_char(o->out, ']');
}

static int write_table(struct overview *o, const struct duck_rows *tables, int64_t row, const struct duck_rows *columns,
                       const char *layer)
{
	static const char *const members[] = {"schema:t",           "name:t",      "kind:t", "bytes:n", "files:n",
	                                      "changed_snapshot:n", "changed_at:t"};
	const char *schema = duck_cell(tables, row, SCHEMA), *name = duck_cell(tables, row, NAME);
	int64_t count = 0;

	/* A view is not counted: that would compute it. */
	bool counted = !strcmp(duck_cell(tables, row, KIND), "table");

	if (counted && count_rows(o, schema, name, &count))
		return -1;
	buffer_char(o->out, '{');
	for (size_t i = 0; i < COUNT_OF(members); i++) {
		write_member(o->out, members[i], duck_cell(tables, row, (int)i));
		buffer_text(o->out, ", ");
	}
	buffer_printf(o->out, "\"layer\": \"%s\", \"rows\": ", layer);
	if (counted)
		buffer_printf(o->out, "%" PRId64, count);
	else
		buffer_text(o->out, "null");
	write_columns(o, columns, schema, name);
	buffer_char(o->out, '}');
	return 0;
}

static int write_tables(struct overview *o)
{
	OWNED_DUCK_ROWS struct duck_rows tables = {0}, columns = {0};
	const char *comma = "";

	if (read_tables(o, &tables) ||
	    overview_query(
	            o, &columns,
	            "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() WHERE database_name "
	            "= 'lake' ORDER BY schema_name, table_name, column_index"))
		return -1;
	buffer_text(o->out, ", \"tables\": [");
	for (int layer = 0; layer < 4; layer++) {
		for (int64_t row = 0; row < tables.row_count; row++) {
			const char *schema = duck_cell(&tables, row, SCHEMA), *name = duck_cell(&tables, row, NAME);

			if (layer_of(o, schema, name, duck_cell(&tables, row, LAYER)) != layer ||
			    !overview_may_read_table(o, schema, name))
				continue;
			buffer_text(o->out, comma);
			comma = ", ";
			if (write_table(o, &tables, row, &columns, layers[layer]))
				return -1;
		}
	}
	buffer_char(o->out, ']');
	return 0;
}

/* ---- snapshots */

/* Words for people, of DuckLake's own. */
static const char words_sql[] =
        "CASE WHEN what IN ('inserted_into_table', 'inlined_insert') THEN 'inserted' "
        "WHEN what IN ('deleted_from_table', 'inlined_delete') THEN 'deleted' "
        "WHEN what IN ('altered_table', 'altered_view') THEN 'altered' WHEN what IN ('dropped_table', 'dropped_view') "
        "THEN "
        "'dropped' WHEN what LIKE '%merge%' OR what LIKE '%compacted%' OR what LIKE '%rewrite%' THEN 'merged' "
        "WHEN what LIKE '%flush%' THEN 'flushed' ELSE 'other' END";

/* A row a change, sorted by snapshot; tables by the names that they had then. */
static int read_changes(struct overview *o, struct duck_rows *ret_rows)
{
	return overview_query(
	        o, ret_rows,
	        "WITH names AS (SELECT t.table_id, t.table_name, s.schema_name, t.begin_snapshot, t.end_snapshot "
	        "FROM " META "ducklake_table t JOIN (SELECT DISTINCT schema_id, schema_name FROM " META
	        "ducklake_schema) s USING (schema_id) "
	        "UNION ALL SELECT v.view_id, v.view_name, s.schema_name, v.begin_snapshot, v.end_snapshot FROM " META
	        "ducklake_view v JOIN (SELECT DISTINCT schema_id, schema_name FROM " META
	        "ducklake_schema) s USING (schema_id)), "
	        "made AS (SELECT snapshot_id, " CHANGES " AS change FROM " META "ducklake_snapshot_changes "
	        "WHERE snapshot_id <= %" PRId64 " AND snapshot_id > %" PRId64 "), "
	        "changes AS (SELECT DISTINCT snapshot_id, %s AS what, table_id FROM (SELECT snapshot_id, "
	        "split_part(change, ':', 1) AS "
	        "what, split_part(change, ':', 2)::BIGINT AS table_id FROM made) WHERE what NOT LIKE '%%schema%%' "
	        "UNION ALL SELECT min(begin_snapshot), 'created', table_id FROM names GROUP BY table_id), "
	        "files AS (SELECT table_id, begin_snapshot AS snapshot_id, sum(record_count)::BIGINT AS n FROM " META
	        "ducklake_data_file WHERE partial_max IS NULL AND begin_snapshot > %" PRId64 " GROUP BY ALL) "
	        "SELECT c.snapshot_id, c.what, n.schema_name, n.table_name, CASE c.what WHEN 'inserted' THEN f.n END, "
	        "n.schema_name || '.' || n.table_name FROM changes c "
	        "JOIN names n ON n.table_id = c.table_id AND n.begin_snapshot <= c.snapshot_id AND (n.end_snapshot IS "
	        "NULL OR "
	        "n.end_snapshot > c.snapshot_id OR (c.what = 'dropped' AND n.end_snapshot = c.snapshot_id)) "
	        "LEFT JOIN files f ON f.table_id = c.table_id AND f.snapshot_id = c.snapshot_id "
	        "WHERE c.snapshot_id <= %" PRId64 " AND c.snapshot_id > %" PRId64
	        " ORDER BY c.snapshot_id DESC, n.schema_name, n.table_name, c.what",
	        o->snapshot, o->snapshot - SNAPSHOTS_MAX * 4, words_sql, o->snapshot - SNAPSHOTS_MAX * 4, o->snapshot,
	        o->snapshot - SNAPSHOTS_MAX * 4);
}

/* What a commit says of itself may name any table: it is told to those who may read them all. */
static bool may_read_all(const struct overview *o)
{
	for (int i = 0; i < o->rights->table_count; i++)
		if (!strcmp(o->rights->tables[i], "*.*"))
			return true;
	return o->rights->table_count < 0;
}

/* Those of one snapshot, from *row on, which is moved behind them. */
static void write_changes(struct overview *o, const struct duck_rows *changes, int64_t *row, int64_t snapshot)
{
	static const char *const members[] = {"what:t", "schema:t", "table:t", "rows:n"};
	int told = 0;

	while (*row < changes->row_count && duck_cell_int(changes, *row, 0) > snapshot)
		(*row)++;
	for (; *row < changes->row_count && duck_cell_int(changes, *row, 0) == snapshot; (*row)++) {
		if (!overview_may_read_table(o, duck_cell(changes, *row, 2), duck_cell(changes, *row, 3)))
			continue;
		buffer_text(o->out, told++ ? ", {" : "{");
		for (size_t i = 0; i < COUNT_OF(members); i++) {
			buffer_text(o->out, i ? ", " : "");
			write_member(o->out, members[i], duck_cell(changes, *row, (int)i + 1));
		}
		buffer_char(o->out, '}');
	}
}

static int write_snapshots(struct overview *o)
{
	static const char *const members[] = {"author:t", "message:t", "note:t"};
	OWNED_DUCK_ROWS struct duck_rows snapshots = {0}, changes = {0};
	int64_t change = 0;

	buffer_text(o->out, ", \"snapshots\": [");
	if (o->has_snapshots &&
	    (read_changes(o, &changes) ||
	     overview_query(
	             o, &snapshots,
	             "SELECT s.snapshot_id, " OVERVIEW_TIME_F(
	                     "s.snapshot_time::TIMESTAMPTZ") ", c.author, c.commit_message, "
	                                                     "c.commit_extra_info FROM " META
	                                                     "ducklake_snapshot s LEFT JOIN " META
	                                                     "ducklake_snapshot_changes c "
	                                                     "USING (snapshot_id) WHERE s.snapshot_id <= %" PRId64
	                                                     " ORDER BY s.snapshot_id DESC LIMIT %d",
	             o->snapshot, SNAPSHOTS_MAX)))
		return -1;
	for (int64_t row = 0; row < snapshots.row_count; row++) {
		buffer_printf(o->out, "%s{\"id\": %s, \"at\": ", row ? ", " : "", duck_cell(&snapshots, row, 0));
		write_text(o->out, duck_cell(&snapshots, row, 1));
		buffer_text(o->out, ", \"changes\": [");
		write_changes(o, &changes, &change, duck_cell_int(&snapshots, row, 0));
		buffer_char(o->out, ']');
		for (size_t i = 0; i < COUNT_OF(members); i++) {
			buffer_text(o->out, ", ");
			write_member(o->out, members[i],
			             may_read_all(o) ? duck_cell(&snapshots, row, (int)i + 2) : NULL);
		}
		buffer_char(o->out, '}');
	}
	buffer_char(o->out, ']');
	return 0;
}

/* ---- all of it */

static int write_head(struct overview *o)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	o->snapshot = -1;
	if (o->has_snapshots) {
		/* By DuckLake itself: what this transaction reads. */
		if (overview_query(o, &rows, "SELECT id FROM lake.current_snapshot()"))
			return -1;
		o->snapshot = duck_cell_int(&rows, 0, 0);
		duck_rows_release(&rows);
		if (overview_query(o, &rows,
		                   "SELECT " OVERVIEW_TIME_F("snapshot_time::TIMESTAMPTZ") " FROM " META
		                                                                           "ducklake_snapshot WHERE "
		                                                                           "snapshot_id = %" PRId64,
		                   o->snapshot))
			return -1;
	}
	buffer_text(o->out, "{\"catalog\": ");
	write_text(o->out, o->catalog->name);
	if (o->has_snapshots)
		buffer_printf(o->out, ", \"snapshot\": %" PRId64 ", \"at\": ", o->snapshot);
	else
		buffer_text(o->out, ", \"snapshot\": null, \"at\": ");
	write_text(o->out, rows.row_count ? duck_cell(&rows, 0, 0) : NULL);
	return 0;
}

int overview_write(struct duck_connection *connection, const struct manifest *manifest,
                   const struct spec_catalog *catalog, const struct guard_rights *rights, struct buffer *out,
                   int64_t *ret_snapshot, struct error *err)
{
	struct overview o = {.connection = connection,
	                     .manifest = manifest,
	                     .catalog = catalog,
	                     .rights = rights,
	                     .out = out,
	                     .has_snapshots = catalog->backend.type != BACKEND_FILE,
	                     .err = err};

	if (write_head(&o) || write_tables(&o) || write_snapshots(&o) || overview_write_state(&o))
		return -1;
	buffer_text(out, "}\n");
	*ret_snapshot = o.snapshot;
	return buffer_ok(out) ? 0 : error_set(err, ERROR_INVALID, 0, "the overview is larger than is allowed");
}
