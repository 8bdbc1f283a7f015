/*
 * lineage_lake.c - what a lake knows of the tables of a lineage.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lake/lake.h"
#include "layers/lineage_private.h"

#define SQL_MAXIMUM_BYTES ((size_t)1 << 20)

struct looking {
	struct lineage *lineage;
	const struct spec_catalog *catalog;
	struct duck_connection *connection;
};

static struct lineage_node *find(const struct looking *l, const char *schema, const char *table)
{
	int index = lineage_find(l->lineage, l->catalog, schema, table);

	return index < 0 ? NULL : &l->lineage->nodes[index];
}

/* Columns as they are, which the manifest only promises. */
static int look_at_columns(const struct looking *l)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	struct lineage_node *last = NULL;

	if (duck_query(l->connection,
	               "SELECT schema_name, table_name, column_name FROM duckdb_columns() WHERE database_name = 'lake' "
	               "AND NOT internal ORDER BY schema_name, table_name, column_index",
	               &rows, l->lineage->err))
		return -1;
	for (int64_t i = 0; i < rows.row_count; i++) {
		struct lineage_node *node = find(l, duck_cell(&rows, i, 0), duck_cell(&rows, i, 1));

		if (node && node != last)
			node->column_count = 0;
		last = node;
		if (node && lineage_add_column(l->lineage, node, duck_cell(&rows, i, 2)))
			return error_no_memory(l->lineage->err);
	}
	return 0;
}

static int count_rows(const struct looking *l, struct lineage_node *node)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "SELECT count(*) FROM lake.");
	buffer_sql_name(&sql, node->schema);
	buffer_char(&sql, '.');
	buffer_sql_name(&sql, node->table);
	if (duck_query(l->connection, buffer_string(&sql), &rows, l->lineage->err))
		return -1;
	node->rows = duck_cell_int(&rows, 0, 0);
	return 0;
}

/* A view is not counted: that would compute it. */
static int look_at_tables(const struct looking *l, bool *ret_state)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	if (duck_query(l->connection,
	               "SELECT table_schema, table_name, table_type FROM information_schema.tables "
	               "WHERE table_catalog = 'lake'",
	               &rows, l->lineage->err))
		return -1;
	for (int64_t i = 0; i < rows.row_count; i++) {
		const char *schema = duck_cell(&rows, i, 0), *table = duck_cell(&rows, i, 1);
		struct lineage_node *node = find(l, schema, table);

		if (!strcmp(schema, "tarn") && !strcmp(table, "models"))
			*ret_state = true;
		if (!node)
			continue;
		node->there = true;
		if (strcmp(duck_cell(&rows, i, 2), "VIEW") != 0 && count_rows(l, node))
			return -1;
	}
	return 0;
}

static int look_at_models(const struct looking *l)
{
	struct arena *arena = &l->lineage->arena;
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	if (duck_query(l->connection,
	               "SELECT pipeline, model, how, why, strftime(timezone('UTC', refreshed_at), "
	               "'%Y-%m-%dT%H:%M:%S.%gZ') FROM lake.tarn.models",
	               &rows, l->lineage->err))
		return -1;
	for (int64_t i = 0; i < rows.row_count; i++) {
		struct lineage_node *node = find(l, "main", duck_cell(&rows, i, 1));

		if (!node || !node->model || strcmp(node->pipeline->name, duck_cell(&rows, i, 0)) != 0)
			continue;
		node->how = arena_text(arena, duck_cell(&rows, i, 2));
		node->how_why = duck_cell(&rows, i, 3) ? arena_text(arena, duck_cell(&rows, i, 3)) : NULL;
		node->refreshed_at = duck_cell(&rows, i, 4) ? arena_text(arena, duck_cell(&rows, i, 4)) : NULL;
	}
	return arena->failed ? error_no_memory(l->lineage->err) : 0;
}

/* All of it as of one snapshot. */
int lineage_look(struct lineage *lineage, const struct spec_catalog *catalog, struct lake_session *session,
                 struct error *err)
{
	struct looking l = {.lineage = lineage, .catalog = catalog, .connection = lake_connection(session)};
	bool state = false;
	int failed;

	lineage->err = err;
	if (lake_begin(session, err))
		return -1;
	failed = look_at_tables(&l, &state) || look_at_columns(&l) || (state && look_at_models(&l));
	lake_rollback(session);
	return failed ? -1 : 0;
}
