#include "pool/schemas.h"

#include <inttypes.h>

#include "base/owned.h"
#include "lake/duck.h"

#define SCHEMAS_MAX 64
#define SQL_BYTES_MAX ((size_t)64 << 10)
#define META "__ducklake_metadata_lake."

/* The newest snapshot, and beside it a snapshot and a table of each schema that has inlined rows; not one of theirs,
 * where there is another. */
static const char schemas_sql[] =
        "WITH inlined AS (SELECT DISTINCT table_id, schema_version FROM " META "ducklake_inlined_data_tables), "
        "versions AS (SELECT max(snapshot_id) AS id FROM " META "ducklake_snapshot WHERE "
        "schema_version IN (SELECT schema_version FROM inlined) GROUP BY schema_version "
        "HAVING min(snapshot_id) > %" PRId64 "), "
        "there AS (SELECT v.id, s.schema_name, t.table_name, t.table_id + CASE WHEN i.table_id IS NULL THEN 0 ELSE "
        "1000000000000 END AS place FROM versions v JOIN " META "ducklake_table t ON t.begin_snapshot <= v.id AND "
        "(t.end_snapshot IS NULL OR t.end_snapshot > v.id) JOIN " META "ducklake_schema s ON s.schema_id = t.schema_id "
        "AND s.begin_snapshot <= v.id AND (s.end_snapshot IS NULL OR s.end_snapshot > v.id) "
        "LEFT JOIN (SELECT DISTINCT table_id FROM inlined) i ON i.table_id = t.table_id) "
        "SELECT newest, id, schema_name, table_name, (SELECT coalesce(max(schema_version), 0) FROM inlined) FROM "
        "(SELECT max(snapshot_id) AS newest FROM " META "ducklake_snapshot) LEFT JOIN (SELECT id, arg_min(schema_name, "
        "place) AS schema_name, arg_min(table_name, place) "
        "AS table_name FROM there GROUP BY id ORDER BY id DESC LIMIT %d) ON true";

/* One that cannot be asked for is told of to who asks for it. */
static void ask_for(struct duck_connection *connection, const struct duck_rows *rows, int64_t row)
{
	OWNED_BUFFER struct buffer sql = {0};
	struct error ignored;
	int line;

	buffer_init(&sql, SQL_BYTES_MAX);
	buffer_text(&sql, "SELECT 1 FROM lake.");
	buffer_sql_name(&sql, duck_cell(rows, row, 2));
	buffer_char(&sql, '.');
	buffer_sql_name(&sql, duck_cell(rows, row, 3));
	buffer_printf(&sql, " AT (VERSION => %s)", duck_cell(rows, row, 1));
	duck_check(connection, buffer_string(&sql), &line, &ignored);
}

int schemas_know(struct duck_connection *connection, struct schemas *known, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, SQL_BYTES_MAX);
	buffer_printf(&sql, schemas_sql, known->snapshot, SCHEMAS_MAX);
	if (duck_query(connection, buffer_string(&sql), &rows, err))
		return -1;
	for (int64_t row = 0; row < rows.row_count; row++)
		if (duck_cell(&rows, row, 1))
			ask_for(connection, &rows, row);
	*known = (struct schemas){duck_cell_int(&rows, 0, 0), duck_cell_int(&rows, 0, 4)};
	return 0;
}
