#include "lake/append.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/owned.h"
#include "batch/arrow_abi.h"
#include "lake/publish.h"
#include "lake/table.h"

struct append_target {
	struct table table;
	struct duck_source *source;
	char name[64]; /* of the table function */
	char checked[33]; /* the fingerprint that append_prepare last let through */
	struct buffer select, insert;
	struct duck_rows columns; /* that come: name and type */
	struct layout layout; /* how the table's files are written where that is not INSERT's */
	struct table_changes changes; /* that the next rows need */
};

struct append_target *append_target_new(struct lake_session *session, const char *schema, const char *table,
                                        bool inferred, struct error *err)
{
	struct append_target *target = calloc(1, sizeof *target);

	if (!target) {
		error_no_memory(err);
		return NULL;
	}
	buffer_init(&target->select, 1 << 22);
	buffer_init(&target->insert, 1 << 22);
	snprintf(target->name, sizeof target->name, "tarn_source_%d",
	         __atomic_fetch_add(&session->lake->source_count, 1, __ATOMIC_RELAXED));
	if (table_init(&target->table, session, schema, table)) {
		error_no_memory(err);
	} else {
		target->table.inferred = inferred;
		target->source = duck_source_new(session->idle, target->name, err);
		if (target->source)
			return target;
	}
	append_target_free(target);
	return NULL;
}

void append_target_free(struct append_target *target)
{
	if (!target)
		return;
	duck_source_free(target->source);
	buffer_release(&target->select);
	buffer_release(&target->insert);
	duck_rows_release(&target->columns);
	layout_release(&target->layout);
	table_changes_release(&target->changes);
	table_release(&target->table);
	free(target);
}

/* A column of Arrow's null says nothing: it is left out until it comes with a type. */
static void drop_untyped(const struct batch_schema *schema, struct duck_rows *columns)
{
	int64_t kept = 0;

	for (int64_t i = 0; i < columns->row_count; i++) {
		char **cells = &columns->cells[2 * i];
		bool typed = strcmp(schema->arrow->children[i]->format, "n") != 0;

		if (!typed) {
			free(cells[0]);
			free(cells[1]);
		} else {
			columns->cells[2 * kept] = cells[0];
			columns->cells[2 * kept++ + 1] = cells[1];
		}
	}
	columns->row_count = kept;
}

/* Name and type of each column that comes, as DuckDB sees them. */
static int read_source(struct append_target *target, const struct batch_schema *schema, struct duck_rows *ret_rows,
                       struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, 4096);
	buffer_printf(&sql, "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM %s())", target->name);
	if (duck_query(target->table.session->connection, buffer_string(&sql), ret_rows, err))
		return -1;
	drop_untyped(schema, ret_rows);
	return ret_rows->row_count ? 0 : error_set(err, ERROR_INVALID, 0, "no column of the message has a type");
}

static void append_names(const struct duck_rows *source, struct buffer *sql)
{
	for (int64_t i = 0; i < source->row_count; i++) {
		buffer_text(sql, i ? ", " : "");
		buffer_sql_name(sql, duck_cell(source, i, 0));
	}
}

static void compose_select(struct append_target *target, const struct duck_rows *source)
{
	buffer_clear(&target->select);
	buffer_text(&target->select, "SELECT ");
	append_names(source, &target->select);
	buffer_printf(&target->select, " FROM %s()", target->name);
}

static void compose_insert(struct append_target *target, const struct duck_rows *source)
{
	struct buffer *sql = &target->insert;

	buffer_clear(sql);
	buffer_text(sql, "INSERT INTO ");
	table_append_name(&target->table, sql);
	buffer_text(sql, " (");
	append_names(source, sql);
	buffer_text(sql, ") ");
	buffer_append(sql, target->select.data, target->select.size);
}

/* The table as it is and the columns that come: made, or compared. */
static int prepare_table(struct append_target *target, const struct duck_rows *source, enum append_news *ret_news,
                         struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows columns = {0};

	target->checked[0] = 0;
	table_changes_release(&target->changes);
	if (table_columns(&target->table, &columns, err))
		return -1;
	if (!columns.row_count) {
		*ret_news = APPEND_CREATED;
		return table_create(&target->table, buffer_string(&target->select), err);
	}
	if (table_compare(&target->table, &columns, source, &target->changes, err)) {
		if (err->kind == ERROR_CONFLICT)
			*ret_news = APPEND_OUTDATED;
		return -1;
	}
	if (target->changes.count && table_try(&target->table, &target->changes, err))
		return -1;
	if (!target->changes.widened_count)
		return 0;
	*ret_news = APPEND_WIDENED;
	return table_widen(&target->table, &target->changes, err);
}

bool append_is_prepared(const struct append_target *target, const struct batch_schema *schema)
{
	return !strcmp(target->checked, schema->fingerprint);
}

const char *append_prepared(const struct append_target *target)
{
	return target->checked;
}

bool append_changes_table(const struct append_target *target)
{
	return target->changes.count > 0;
}

void append_forget(struct append_target *target)
{
	target->checked[0] = 0;
}

int append_prepare(struct append_target *target, struct batch_schema *schema, int64_t row_bytes,
                   enum append_news *ret_news, struct error *err)
{
	struct duck_rows *source = &target->columns;
	bool files = lake_has_snapshots(target->table.session->lake);

	*ret_news = APPEND_NO_NEWS;
	duck_rows_release(source);
	if (files && table_check_storable(schema->arrow, err))
		return -1;
	if (duck_source_set(target->source, schema, NULL, err) || read_source(target, schema, source, err))
		return -1;
	compose_select(target, source);
	if (prepare_table(target, source, ret_news, err))
		return -1;
	if (files && table_choose_row_group(&target->table, row_bytes, err))
		return -1;
	if (layout_read(&target->table, source, &target->layout, err))
		return -1;
	compose_insert(target, source);
	if (!buffer_ok(&target->insert))
		return error_no_memory(err);
	snprintf(target->checked, sizeof target->checked, "%s", schema->fingerprint);
	return 0;
}

int append_compare(struct append_target *target, struct batch_schema *schema, struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows source = {0}, columns = {0};

	target->checked[0] = 0;
	table_changes_release(&target->changes);
	if (lake_has_snapshots(target->table.session->lake) && table_check_storable(schema->arrow, err))
		return -1;
	if (duck_source_set(target->source, schema, NULL, err) || read_source(target, schema, &source, err) ||
	    table_columns(&target->table, &columns, err))
		return -1;
	return columns.row_count ? table_compare(&target->table, &columns, &source, &target->changes, err) : 0;
}

/* In the rows' transaction. What passed append_prepare fails here only where the table has changed since. */
static int change_table(struct append_target *target, struct error *err)
{
	if (!target->changes.count)
		return 0;
	target->checked[0] = 0; /* whatever becomes of it: look at the table again before the next INSERT */
	if (table_change(&target->table, &target->changes, err) == 0 &&
	    layout_read(&target->table, &target->columns, &target->layout, err) == 0)
		return 0;
	if (err->kind == ERROR_INVALID)
		err->kind = ERROR_TRANSIENT;
	return -1;
}

/* By DuckLake, or where the catalog is a server by a file of our own. */
static int write_rows(struct append_target *target, int64_t *ret_rows, struct error *err)
{
	char from[sizeof target->name + 2];

	if (target->layout.folder) {
		snprintf(from, sizeof from, "%s()", target->name);
		return publish_rows(&target->table, &target->layout, from, ret_rows, err);
	}
	if (table_check_whole(&target->table, &target->columns, err))
		return -1;
	target->table.session->inserts = true;
	return duck_exec_long(target->table.session->connection, buffer_string(&target->insert), ret_rows, err);
}

int append_rows(struct append_target *target, struct batch_schema *schema, const struct append_pull *pull,
                int64_t *ret_rows, struct error *err)
{
	struct duck_pull from = {.context = pull->context, .next = pull->next};
	struct error why = {0};

	if (fault_error(FAULT_INSERT_BEFORE, err) || change_table(target, err) ||
	    duck_source_set(target->source, schema, &from, err))
		return -1;
	if (write_rows(target, ret_rows, &why)) {
		/* The table may have changed under us: look at it again before the next INSERT. */
		target->checked[0] = 0;
		if (why.kind == ERROR_INVALID && duck_is_about_catalog(why.code))
			why.kind = ERROR_TRANSIENT;
		duck_tell_memory(&why);
		*err = why;
		return -1;
	}
	return fault_error(FAULT_INSERT_AFTER, err) ? -1 : 0;
}

bool append_table_holds_large(struct lake_session *session, const char *schema, const char *table, const char *column)
{
	OWNED_BY(table_release) struct table of = {0};
	bool large = false;

	return table_init(&of, session, schema, table) == 0 && table_holds_large(&of, column, &large, NULL) == 0 &&
	       large;
}

int append_table_columns(struct lake_session *session, const char *schema, const char *table,
                         struct append_columns *ret_columns, struct error *err)
{
	OWNED_BY(table_release) struct table of = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	struct append_columns columns = {0};

	if (table_init(&of, session, schema, table))
		return error_no_memory(err);
	if (table_columns(&of, &rows, err))
		return -1;
	columns.names = calloc((size_t)rows.row_count + 1, sizeof *columns.names);
	columns.types = calloc((size_t)rows.row_count + 1, sizeof *columns.types);
	if (!columns.names || !columns.types) {
		append_columns_release(&columns);
		return error_no_memory(err);
	}
	for (; columns.count < rows.row_count; columns.count++) {
		columns.names[columns.count] = TAKE(rows.cells[2 * columns.count]);
		columns.types[columns.count] = TAKE(rows.cells[2 * columns.count + 1]);
	}
	*ret_columns = columns;
	return 0;
}

void append_columns_release(struct append_columns *columns)
{
	for (int i = 0; i < columns->count; i++) {
		free(columns->names[i]);
		free(columns->types[i]);
	}
	free(columns->names);
	free(columns->types);
	*columns = (struct append_columns){0};
}
