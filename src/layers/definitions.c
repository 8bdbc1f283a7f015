/*
 * definitions.c - the lake's own views and macros: they keep nothing, and so change with what they read.
 *
 * A model that reads one also reads what stands in its text, and what stands in the texts of those that it reads; the
 * text itself is part of the source's line (decide.c), so that another one makes the model anew. A text that calls
 * table functions, the clock, chance or a trained model, or that reads what is not there, cannot be followed: it is
 * left to decide.c as it is.
 *
 * Backend file tells a view by the rows that it has; only macros are looked for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "layers/layers_private.h"
#include "query/volatile.h"

enum cell { IS_VIEW, SCHEMA, NAME, TEXT, HASH };

static int read_all(struct refresh *r)
{
	static const char of_file[] =
	        "SELECT false, schema_name, function_name, macro_definition, md5(macro_definition) FROM "
	        "duckdb_functions() WHERE database_name = 'lake' AND function_type IN ('macro', 'table_macro') AND "
	        "macro_definition IS NOT NULL ORDER BY ALL";
	/* DuckLake has a placeholder where a text names the lake. */
	static const char of_lake[] =
	        "SELECT view, schema_name, name, replace(sql, '{DUCKLAKE_CATALOG}', 'lake'), md5(concat(sql, more)) "
	        "FROM "
	        "(SELECT true AS view, s.schema_name, v.view_name AS name, v.sql, v.column_aliases AS more "
	        "FROM " CATALOG "view v JOIN " CATALOG
	        "schema s ON s.schema_id = v.schema_id AND s.end_snapshot IS NULL WHERE "
	        "v.end_snapshot IS NULL UNION ALL SELECT false, s.schema_name, m.macro_name, i.sql, '' FROM " CATALOG
	        "macro m JOIN " CATALOG "schema s ON s.schema_id = m.schema_id AND s.end_snapshot IS NULL JOIN " CATALOG
	        "macro_impl i ON i.macro_id = m.macro_id WHERE m.end_snapshot IS NULL) ORDER BY ALL";

	if (r->definitions_known)
		return 0;
	if (duck_query(r->connection, r->snapshots ? of_lake : of_file, &r->definitions, r->err))
		return -1;
	r->definitions_known = true;
	return 0;
}

static bool is_view(const struct refresh *r, int64_t row)
{
	return !strcmp(duck_cell(&r->definitions, row, IS_VIEW), "true");
}

/* The row of the view; -1: there is none. A model's view is none of these. */
static int64_t find_view(const struct refresh *r, const char *schema, const char *name)
{
	for (int64_t i = 0; i < r->definitions.row_count; i++)
		if (is_view(r, i) && !strcasecmp(duck_cell(&r->definitions, i, SCHEMA), schema) &&
		    !strcasecmp(duck_cell(&r->definitions, i, NAME), name))
			return i;
	return -1;
}

/* A macro's may be an expression. */
static struct tree *parse(struct refresh *r, const char *text)
{
	OWNED_BUFFER struct buffer sql = {0};
	struct error ignored = {0};
	struct tree *tree;
	int line = 0;

	tree = tree_parse(r->connection, text, &line, &ignored);
	if (tree)
		return tree;
	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_printf(&sql, "SELECT %s", text);
	return buffer_ok(&sql) ? tree_parse(r->connection, buffer_string(&sql), &line, &ignored) : NULL;
}

static bool calls_table_functions(const struct node *node)
{
	if (node_is(node, "type", "TABLE_FUNCTION"))
		return true;
	for (int i = 0; i < node_count(node); i++)
		if (calls_table_functions(node_at(node, i)))
			return true;
	return false;
}

static int is_there(struct refresh *r, const struct reference *read, bool *ret_there)
{
	enum found found = FOUND_NONE;

	*ret_there = read->model >= 0 || find_view(r, read->schema, read->table) >= 0;
	if (*ret_there)
		return 0;
	if (look_for_table(r, read, &found))
		return -1;
	*ret_there = found == FOUND;
	return 0;
}

/* A name without a schema is one of the definition's own schema before it is one of main. */
static int resolve(struct refresh *r, const char *schema, struct reference *read, bool *ret_there)
{
	OWNED_FREE char *own = strdup(schema), *other = NULL;

	if (!own)
		return error_no_memory(r->err);
	*ret_there = false;
	if (!read->qualified && strcasecmp(schema, "main") != 0) {
		other = read->schema;
		read->schema = TAKE(own);
		if (is_there(r, read, ret_there))
			return -1;
		if (*ret_there)
			return 0;
		own = read->schema;
		read->schema = TAKE(other);
	}
	read->model = models_find(r->pipeline->models, read->schema, read->table);
	return is_there(r, read, ret_there);
}

/* ret_followed: all that it reads is known. */
static int find_reads(struct refresh *r, int64_t row, struct definition *definition, bool *ret_followed)
{
	const char *text = duck_cell(&r->definitions, row, TEXT);
	OWNED_TREE struct tree *tree = parse(r, text);

	*ret_followed = tree && !calls_table_functions(tree_root(tree)) && !volatile_has(tree_root(tree)) &&
	                !volatile_asks_model(tree_root(tree));
	if (!*ret_followed)
		return 0;
	if (references_find(tree, text, &definition->reads, &definition->read_count, r->err))
		return -1;
	for (int i = 0; i < definition->read_count && *ret_followed; i++)
		if (resolve(r, duck_cell(&r->definitions, row, SCHEMA), &definition->reads[i], ret_followed))
			return -1;
	return 0;
}

static int add(struct refresh *r, struct model_run *run, int64_t row)
{
	struct definition *more, definition = {.row = row, .view = is_view(r, row)};
	bool followed = false;

	for (int i = 0; i < run->definition_count; i++)
		if (run->definitions[i].row == row)
			return 0;
	if (find_reads(r, row, &definition, &followed)) {
		references_release(definition.reads, definition.read_count);
		return -1;
	}
	/* A macro is called all the same: what it reads is not known, but that it is there is. */
	if (!followed) {
		references_release(definition.reads, definition.read_count);
		definition.reads = NULL;
		definition.read_count = 0;
		if (definition.view)
			return 0;
	}
	more = realloc(run->definitions, (size_t)(run->definition_count + 1) * sizeof *more);
	if (!more) {
		references_release(definition.reads, definition.read_count);
		return error_no_memory(r->err);
	}
	run->definitions = more;
	more[run->definition_count++] = definition;
	for (int i = 0; i < definition.read_count; i++)
		if (add_read(r, run, &definition.reads[i]))
			return -1;
	return definitions_called(r, run, duck_cell(&r->definitions, row, TEXT));
}

int definitions_called(struct refresh *r, struct model_run *run, const char *sql)
{
	if (read_all(r))
		return -1;
	for (int64_t i = 0; i < r->definitions.row_count; i++)
		if (!is_view(r, i) && has_word(sql, duck_cell(&r->definitions, i, NAME)) && add(r, run, i))
			return -1;
	return 0;
}

int definitions_of(struct refresh *r, struct model_run *run, const struct reference *read)
{
	int64_t row;

	if (read->model >= 0)
		return 0;
	if (read_all(r))
		return -1;
	row = find_view(r, read->schema, read->table);
	return row < 0 ? 0 : add(r, run, row);
}

const char *definition_hash(const struct refresh *r, const struct model_run *run, const struct reference *read)
{
	int64_t row = read->model < 0 ? find_view(r, read->schema, read->table) : -1;

	for (int i = 0; row >= 0 && i < run->definition_count; i++)
		if (run->definitions[i].row == row)
			return duck_cell(&r->definitions, row, HASH);
	return NULL;
}

void definitions_append(const struct refresh *r, const struct model_run *run, struct buffer *out)
{
	for (int i = 0; i < run->definition_count; i++) {
		int64_t row = run->definitions[i].row;

		if (!run->definitions[i].view)
			buffer_printf(out, "macro %s.%s %s\t\n", duck_cell(&r->definitions, row, SCHEMA),
			              duck_cell(&r->definitions, row, NAME), duck_cell(&r->definitions, row, HASH));
	}
}

void definitions_tell(const struct refresh *r, const struct model_run *run, char *ret_why, size_t size)
{
	if (run->definition_count)
		snprintf(ret_why, size, "it %s %.63s of the lake",
		         run->definitions[0].view ? "reads the view" : "calls the macro",
		         duck_cell(&r->definitions, run->definitions[0].row, NAME));
}

void definitions_release(struct model_run *run)
{
	for (int i = 0; i < run->definition_count; i++)
		references_release(run->definitions[i].reads, run->definitions[i].read_count);
	free(TAKE(run->definitions));
	run->definition_count = 0;
}
