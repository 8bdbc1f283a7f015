/*
 * columns_from.c - what a SELECT reads.
 */
#include <string.h>
#include <strings.h>

#include "layers/columns_private.h"

static int add_relation(struct columns_reading *r, struct scope *scope, struct relation *relation)
{
	struct relation **relations =
	        arena_grow(r->arena, scope->relations, scope->count, &scope->capacity, sizeof *relations);

	if (!relations || !relation)
		return -1;
	scope->relations = relations;
	relations[scope->count++] = relation;
	return 0;
}

static int add_using(struct columns_reading *r, struct scope *scope, const char *name)
{
	const char **using =
	        arena_grow(r->arena, scope->using, scope->using_count, &scope->using_capacity, sizeof *using);

	if (!using)
		return -1;
	scope->using = using;
	using[scope->using_count++] = name;
	return 0;
}

/* ---- a table, or a query by its name */

static const struct relation *find_query(const struct query_name *queries, const char *name)
{
	for (; queries; queries = queries->outer)
		if (!strcasecmp(queries->name, name))
			return queries->relation;
	return NULL;
}

static struct relation *read_table(struct columns_reading *r, const struct node *from)
{
	const char *schema = node_text(from, "schema_name"), *table = node_text(from, "table_name");
	struct relation *relation = columns_relation(r);
	const char *const *names = NULL;
	int count = 0;

	/* As references.c has it: "lake.t" is a table of the catalog lake. */
	if (!*schema || (!*node_text(from, "catalog_name") && !strcasecmp(schema, "lake")))
		schema = "main";
	if (!relation)
		return NULL;
	relation->schema = schema;
	relation->table = table;
	if (!r->tables->find(r->tables->context, schema, table, &names, &count))
		return relation_add_open(r, relation, schema, table) ? NULL : relation;
	for (int i = 0; i < count; i++) {
		struct column_source source = {.schema = schema, .table = table, .column = names[i], .uses = USE_VALUE};
		struct made_column *column = relation_add(r, relation, names[i]);

		if (!column || source_add(r->arena, &column->sources, &source))
			return NULL;
		column->plain = true;
	}
	return relation;
}

static struct relation *read_named(struct columns_reading *r, const struct node *from, const struct scope *scope)
{
	const struct relation *query =
	        *node_text(from, "schema_name") ? NULL : find_query(scope->queries, node_text(from, "table_name"));

	return query ? relation_copy(r, query) : read_table(r, from);
}

/* ---- others */

/* Functions whose columns are made of their arguments, and of nothing else. */
static bool is_of_arguments(const char *function)
{
	static const char *const names[] = {"unnest",
	                                    "range",
	                                    "generate_series",
	                                    "json_each",
	                                    "json_tree",
	                                    "generate_subscripts",
	                                    "regexp_split_to_table"};

	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (!strcasecmp(names[i], function))
			return true;
	return false;
}

static struct relation *read_function(struct columns_reading *r, const struct node *from, const struct scope *scope)
{
	const struct node *function = node_get(from, "function"), *names = node_get(from, "column_name_alias");
	const char *name = node_text(function, "function_name");
	struct relation *relation = columns_relation(r);
	struct made_column *made = arena_alloc(r->arena, sizeof *made);
	struct part_of part = {.scope = scope, .use = USE_VALUE, .column = made};

	if (!relation || !made || columns_expression(r, &part, function))
		return NULL;
	if (!is_of_arguments(name)) {
		relation->why = arena_printf(r->arena, "the table function %s() is not followed", name);
		return relation;
	}
	relation->any = made;
	for (int i = 0; i < node_count(names); i++) {
		struct made_column *column = relation_add(r, relation, node_text(node_at(names, i), NULL));

		if (!column || columns_merge(r, column, made, USE_VALUE, 0))
			return NULL;
	}
	if (!relation->count && !strcasecmp(name, "unnest")) {
		struct made_column *column = relation_add(r, relation, "unnest");

		if (!column || columns_merge(r, column, made, USE_VALUE, 0))
			return NULL;
	}
	return relation;
}

/* VALUES: its columns are col0, col1, ... */
static struct relation *read_values(struct columns_reading *r, const struct node *from, const struct scope *scope)
{
	const struct node *rows = node_get(from, "values");
	struct relation *relation = columns_relation(r);

	for (int i = 0; relation && i < node_count(node_at(rows, 0)); i++) {
		struct made_column made = {.name = arena_printf(r->arena, "col%d", i)}, *column;
		struct part_of part = {.scope = scope, .use = USE_VALUE, .column = &made};

		for (int k = 0; k < node_count(rows); k++)
			if (columns_expression(r, &part, node_at(node_at(rows, k), i)))
				return NULL;
		column = relation_add(r, relation, made.name);
		if (!column)
			return NULL;
		*column = made;
	}
	return relation;
}

static struct relation *read_strange(struct columns_reading *r, const struct node *from)
{
	struct relation *relation = columns_relation(r);

	if (relation)
		relation->why = arena_printf(r->arena, "%s in FROM is not followed", node_text(from, "type"));
	return relation;
}

/* ---- joins */

static int add_pair(struct columns_reading *r, struct scope *scope, const char *name, int first,
                    struct made_column *rows)
{
	if (add_using(r, scope, name))
		return -1;
	for (int i = first; i < scope->count; i++) {
		const struct relation *relation = scope->relations[i];
		const struct made_column *column = relation_find(relation, name);
		struct column_source source = {.column = name, .uses = USE_CONDITION, .through = 1};

		if (column && columns_merge(r, rows, column, USE_CONDITION, 1))
			return -1;
		if (column || relation->open_count != 1 || relation->why)
			continue;
		source.schema = relation->opens[0].schema;
		source.table = relation->opens[0].table;
		if (source_add(r->arena, &rows->sources, &source))
			return -1;
	}
	return 0;
}

static bool any_open(const struct scope *scope, int first, int end)
{
	for (int i = first; i < end; i++)
		if (relation_is_open(scope->relations[i]))
			return true;
	return false;
}

/* The columns that both sides have. */
static int add_natural(struct columns_reading *r, struct scope *scope, int first, int middle, struct made_column *rows)
{
	if (any_open(scope, first, scope->count))
		columns_unknown(r, rows, "a NATURAL JOIN of columns that are not known");
	for (int i = middle; i < scope->count; i++) {
		const struct relation *right = scope->relations[i];

		for (int k = 0; k < right->count; k++) {
			bool both = false;

			for (int l = first; l < middle && !both; l++)
				both = relation_find(scope->relations[l], right->columns[k].name) != NULL;
			if (both && add_pair(r, scope, right->columns[k].name, first, rows))
				return -1;
		}
	}
	return 0;
}

static int read_join(struct columns_reading *r, const struct node *join, struct scope *scope, struct made_column *rows)
{
	const struct node *using = node_get(join, "using_columns");
	int first = scope->count, middle;

	if (columns_from(r, node_get(join, "left"), scope, rows))
		return -1;
	middle = scope->count;
	if (columns_from(r, node_get(join, "right"), scope, rows) ||
	    columns_condition(r, scope, node_get(join, "condition"), rows))
		return -1;
	for (int i = 0; i < node_count(using); i++)
		if (add_pair(r, scope, node_text(node_at(using, i), NULL), first, rows))
			return -1;
	if (node_is(join, "ref_type", "NATURAL") && add_natural(r, scope, first, middle, rows))
		return -1;
	/* The right side of these only decides. */
	if (node_is(join, "join_type", "SEMI") || node_is(join, "join_type", "ANTI"))
		scope->count = middle;
	return 0;
}

int columns_from(struct columns_reading *r, const struct node *from, struct scope *scope, struct made_column *rows)
{
	/* What stands to its left is seen by a subquery or a function: LATERAL need not be written. */
	struct scope left = *scope;
	const char *alias = node_text(from, "alias");
	struct relation *relation;

	if (!from || node_is(from, "type", "EMPTY"))
		return 0;
	if (node_is(from, "type", "JOIN"))
		return read_join(r, from, scope, rows);
	if (node_is(from, "type", "BASE_TABLE"))
		relation = read_named(r, from, scope);
	else if (node_is(from, "type", "SUBQUERY"))
		relation = columns_query(r, node_get(node_get(from, "subquery"), "node"), scope->queries, &left);
	else if (node_is(from, "type", "TABLE_FUNCTION"))
		relation = read_function(r, from, &left);
	else if (node_is(from, "type", "EXPRESSION_LIST"))
		relation = read_values(r, from, &left);
	else
		relation = read_strange(r, from);
	if (!relation)
		return -1;
	relation->alias = *alias ? alias : node_is(from, "type", "BASE_TABLE") ? node_text(from, "table_name") : NULL;
	if (!node_is(from, "type", "TABLE_FUNCTION"))
		relation_rename(relation, node_get(from, "column_name_alias"));
	if (columns_merge(r, rows, &relation->rows, USE_CONDITION, 0))
		return -1;
	return add_relation(r, scope, relation);
}
