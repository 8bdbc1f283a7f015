#include "layers/columns_private.h"

#include <string.h>
#include <strings.h>

#include "layers/functions.h"

#define SQL_MAXIMUM_BYTES ((size_t)16 << 20)

/* ---- the select list */

static bool has_star(const struct node *node)
{
	if (node_is(node, "class", "STAR"))
		return true;
	if (node_is(node, "class", "SUBQUERY"))
		return false;
	for (int i = 0; i < node_count(node); i++)
		if (has_star(node_at(node, i)))
			return true;
	return false;
}

/* As DuckDB calls it: its alias, its column's name, or its text. */
static const char *name_of(struct columns_reading *r, const struct node *expression)
{
	const struct node *names = node_get(expression, "column_names");
	OWNED_BUFFER struct buffer sql = {0};

	if (*node_text(expression, "alias"))
		return node_text(expression, "alias");
	if (node_is(expression, "class", "COLUMN_REF"))
		return node_text(node_at(names, node_count(names) - 1), NULL);
	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	if (tree_expression_sql(r->tree, r->connection, expression, &sql, r->err))
		return NULL;
	return arena_text(r->arena, buffer_string(&sql));
}

static const struct node *find_text(const struct node *list, const char *text)
{
	for (int i = 0; i < node_count(list); i++)
		if (!strcasecmp(node_text(node_at(list, i), NULL), text))
			return node_at(list, i);
	return NULL;
}

static bool is_excluded(const struct node *star, const struct relation *relation, const char *name)
{
	const struct node *qualified = node_get(star, "qualified_exclude_list");

	for (int i = 0; i < node_count(qualified); i++) {
		const char *table = node_text(node_at(qualified, i), "table");

		if (!strcasecmp(node_text(node_at(qualified, i), "column"), name) &&
		    (!*table || (relation->alias && !strcasecmp(table, relation->alias))))
			return true;
	}
	return find_text(node_get(star, "exclude_list"), name) != NULL;
}

static const char *renamed(const struct node *star, const char *name)
{
	const struct node *list = node_get(star, "rename_list");

	for (int i = 0; i < node_count(list); i++)
		if (!strcasecmp(node_text(node_get(node_at(list, i), "key"), "column"), name))
			return node_text(node_at(list, i), "value");
	return name;
}

static const struct node *replaced(const struct node *star, const char *name)
{
	const struct node *list = node_get(star, "replace_list");

	for (int i = 0; i < node_count(list); i++)
		if (!strcasecmp(node_text(node_at(list, i), "key"), name))
			return node_get(node_at(list, i), "value");
	return NULL;
}

static bool is_using(const struct scope *scope, const char *name)
{
	for (int i = 0; i < scope->using_count; i++)
		if (!strcasecmp(scope->using[i], name))
			return true;
	return false;
}

static int add_star_column(struct columns_reading *r, const struct scope *scope, const struct node *star,
                           const struct relation *relation, const struct made_column *column, struct relation *result)
{
	const char *name = renamed(star, column->name);
	const struct node *instead = replaced(star, column->name);
	struct made_column *made = NULL;

	if (is_excluded(star, relation, column->name))
		return 0;
	for (int i = 0; i < result->count && is_using(scope, column->name); i++)
		if (!strcasecmp(result->columns[i].name, name))
			return columns_merge(r, &result->columns[i], column, USE_VALUE, 0);
	made = relation_add(r, result, name);
	if (!made)
		return -1;
	if (instead)
		return columns_output(r, scope, instead, made);
	made->plain = column->plain;
	return columns_merge(r, made, column, USE_VALUE, 0);
}

static int add_star_of(struct columns_reading *r, const struct scope *scope, const struct node *star,
                       const struct relation *relation, struct relation *result)
{
	for (int i = 0; i < relation->count; i++)
		if (add_star_column(r, scope, star, relation, &relation->columns[i], result))
			return -1;
	for (int i = 0; i < relation->open_count; i++)
		if (relation_add_open(r, result, relation->opens[i].schema, relation->opens[i].table))
			return -1;
	if (relation->why && !result->why)
		result->why = relation->why;
	if (relation->any)
		result->any = relation->any;
	return 0;
}

/* What REPLACE makes of columns that are not known. */
static int add_replaced(struct columns_reading *r, const struct scope *scope, const struct node *star,
                        struct relation *result)
{
	const struct node *list = node_get(star, "replace_list");

	for (int i = 0; i < node_count(list); i++) {
		const char *name = node_text(node_at(list, i), "key");
		struct made_column *made;

		if (relation_find(result, name))
			continue;
		made = relation_add(r, result, name);
		if (!made || columns_output(r, scope, node_get(node_at(list, i), "value"), made))
			return -1;
	}
	return 0;
}

static int add_star(struct columns_reading *r, const struct scope *scope, const struct node *star,
                    struct relation *result)
{
	const char *of = node_text(star, "relation_name");
	bool any = false;

	for (int i = 0; i < scope->count; i++) {
		const struct relation *relation = scope->relations[i];

		if (*of && (!relation->alias || strcasecmp(relation->alias, of) != 0))
			continue;
		any = true;
		if (add_star_of(r, scope, star, relation, result))
			return -1;
	}
	if (!any && !result->why)
		result->why = arena_printf(r->arena, "the fields of %s are not known", *of ? of : "*");
	return add_replaced(r, scope, star, result);
}

static int add_item(struct columns_reading *r, const struct scope *scope, const struct node *item,
                    struct relation *result)
{
	struct made_column made = {0}, *column;

	if (node_is(item, "class", "STAR") && !node_true(item, "columns"))
		return add_star(r, scope, item, result);
	if (has_star(item)) {
		result->why = "COLUMNS(), or * in an expression, is not followed";
		return 0;
	}
	made.name = name_of(r, item);
	if (!made.name || columns_output(r, scope, item, &made))
		return -1;
	column = relation_add(r, result, made.name);
	if (!column)
		return -1;
	*column = made;
	return 0;
}

/* ---- what decides which rows there are */

static bool aggregates(const struct columns_reading *r, const struct node *node)
{
	if (node_is(node, "class", "SUBQUERY") || node_is(node, "class", "WINDOW"))
		return false;
	if (node_is(node, "class", "FUNCTION") && function_aggregates(r->functions, node_text(node, "function_name")))
		return true;
	for (int i = 0; i < node_count(node); i++)
		if (aggregates(r, node_at(node, i)))
			return true;
	return false;
}

/* A number stands for an item of the select list. */
static int add_key(struct columns_reading *r, const struct scope *scope, const struct node *items,
                   const struct node *key, struct made_column *rows)
{
	const struct node *value = node_get(key, "value");

	for (int i = 0; i < node_count(items) && node_is(key, "class", "CONSTANT"); i++)
		if (node_number_is(value, "value", i + 1))
			return columns_condition(r, scope, node_at(items, i), rows);
	return columns_condition(r, scope, key, rows);
}

static int add_keys(struct columns_reading *r, const struct scope *scope, const struct node *query,
                    struct made_column *rows)
{
	const struct node *items = node_get(query, "select_list"), *keys = node_get(query, "group_expressions");
	bool all = node_is(query, "aggregate_handling", "FORCE_AGGREGATES") && !node_count(keys);

	for (int i = 0; i < node_count(keys); i++)
		if (add_key(r, scope, items, node_at(keys, i), rows))
			return -1;
	for (int i = 0; all && i < node_count(items); i++)
		if (!aggregates(r, node_at(items, i)) && !has_star(node_at(items, i)) &&
		    columns_condition(r, scope, node_at(items, i), rows))
			return -1;
	return 0;
}

/* The order counts where rows are cut off behind it. */
static int add_modifiers(struct columns_reading *r, const struct scope *scope, const struct node *query,
                         struct made_column *rows)
{
	const struct node *modifiers = node_get(query, "modifiers"), *items = node_get(query, "select_list");
	bool limited = false;

	for (int i = 0; i < node_count(modifiers); i++)
		limited |= !strncmp(node_text(node_at(modifiers, i), "type"), "LIMIT", 5);
	for (int i = 0; i < node_count(modifiers); i++) {
		const struct node *modifier = node_at(modifiers, i), *orders = node_get(modifier, "orders");

		if (columns_conditions(r, scope, node_get(modifier, "distinct_on_targets"), rows))
			return -1;
		for (int k = 0; limited && k < node_count(orders); k++)
			if (add_key(r, scope, items, node_get(node_at(orders, k), "expression"), rows))
				return -1;
	}
	return 0;
}

static struct relation *read_select(struct columns_reading *r, const struct node *query,
                                    const struct query_name *queries, const struct scope *outer)
{
	const struct node *items = node_get(query, "select_list");
	struct scope scope = {.queries = queries, .outer = outer};
	struct relation *result = columns_relation(r);

	if (!result || columns_from(r, node_get(query, "from_table"), &scope, &result->rows))
		return NULL;
	scope.result = result;
	for (int i = 0; i < node_count(items); i++)
		if (add_item(r, &scope, node_at(items, i), result))
			return NULL;
	if (columns_condition(r, &scope, node_get(query, "where_clause"), &result->rows) ||
	    add_keys(r, &scope, query, &result->rows) ||
	    columns_condition(r, &scope, node_get(query, "having"), &result->rows) ||
	    columns_condition(r, &scope, node_get(query, "qualify"), &result->rows) ||
	    add_modifiers(r, &scope, query, &result->rows))
		return NULL;
	return result;
}

/* ---- several queries */

static int merge_columns(struct columns_reading *r, struct relation *result, const struct relation *other, bool by_name)
{
	for (int i = 0; i < other->count; i++) {
		const char *name = other->columns[i].name;
		struct made_column *column = !by_name && i < result->count ? &result->columns[i] : NULL;

		for (int k = 0; by_name && k < result->count; k++)
			if (!strcasecmp(result->columns[k].name, name))
				column = &result->columns[k];
		if (!column && by_name)
			column = relation_add(r, result, name);
		if (column && columns_merge(r, column, &other->columns[i], USE_VALUE, 0))
			return -1;
		if (column)
			column->plain = false;
	}
	if ((relation_is_open(result) || relation_is_open(other)) && !result->why)
		result->why = "a UNION, or its like, of columns that are not known";
	return columns_merge(r, &result->rows, &other->rows, USE_CONDITION, 0);
}

static struct relation *read_set(struct columns_reading *r, const struct node *query, const struct query_name *queries,
                                 const struct scope *outer)
{
	struct relation *left = columns_query(r, node_get(query, "left"), queries, outer);
	struct relation *right = left ? columns_query(r, node_get(query, "right"), queries, outer) : NULL, *result;
	struct scope scope = {.queries = queries, .outer = outer};

	result = right ? relation_copy(r, left) : NULL;
	if (!result)
		return NULL;
	scope.result = result;
	if (node_is(query, "setop_type", "EXCEPT") || node_is(query, "setop_type", "INTERSECT")) {
		for (int i = 0; i < right->count; i++)
			if (columns_merge(r, &result->rows, &right->columns[i], USE_CONDITION, 1))
				return NULL;
		if (relation_is_open(right))
			columns_unknown(r, &result->rows, "%s of columns that are not known",
			                node_text(query, "setop_type"));
		if (columns_merge(r, &result->rows, &right->rows, USE_CONDITION, 0))
			return NULL;
	} else if (merge_columns(r, result, right, node_is(query, "setop_type", "UNION_BY_NAME"))) {
		return NULL;
	}
	return add_modifiers(r, &scope, query, &result->rows) ? NULL : result;
}

/* What it reads of itself is made of what it begins with. */
static struct relation *read_recursive(struct columns_reading *r, const struct node *query, const char *name,
                                       const struct node *names, const struct query_name *queries,
                                       const struct scope *outer)
{
	struct relation *begins = columns_query(r, node_get(query, "left"), queries, outer), *goes_on, *result;
	struct query_name itself = {.name = name, .outer = queries};

	itself.relation = begins ? relation_copy(r, begins) : NULL;
	if (!itself.relation)
		return NULL;
	relation_rename(itself.relation, names);
	goes_on = columns_query(r, node_get(query, "right"), &itself, outer);
	result = goes_on ? relation_copy(r, itself.relation) : NULL;
	return result && !merge_columns(r, result, goes_on, false) ? result : NULL;
}

/* Each query of a WITH sees those before it. NULL: an error, or none. */
static int add_queries(struct columns_reading *r, const struct node *map, const struct scope *outer,
                       const struct query_name **queries)
{
	for (int i = 0; i < node_count(map); i++) {
		const struct node *value = node_get(node_at(map, i), "value"), *names = node_get(value, "aliases");
		const struct node *query = node_get(node_get(value, "query"), "node");
		struct query_name *more = arena_alloc(r->arena, sizeof *more);
		struct relation *relation;

		if (!more)
			return -1;
		more->name = node_text(node_at(map, i), "key");
		more->outer = *queries;
		if (node_is(query, "type", "RECURSIVE_CTE_NODE"))
			relation = read_recursive(r, query, more->name, names, *queries, outer);
		else
			relation = columns_query(r, query, *queries, outer);
		more->relation = relation ? relation_copy(r, relation) : NULL;
		if (!more->relation)
			return -1;
		relation_rename(more->relation, names);
		*queries = more;
	}
	return 0;
}

struct relation *columns_query(struct columns_reading *r, const struct node *query, const struct query_name *queries,
                               const struct scope *outer)
{
	struct relation *relation;

	if (add_queries(r, node_get(node_get(query, "cte_map"), "map"), outer, &queries))
		return NULL;
	if (node_is(query, "type", "SELECT_NODE"))
		return read_select(r, query, queries, outer);
	if (node_is(query, "type", "SET_OPERATION_NODE"))
		return read_set(r, query, queries, outer);
	relation = columns_relation(r);
	if (relation)
		relation->why = "it is not a SELECT";
	return relation;
}

/* ---- all of it */

static void take_relation(struct made_columns *columns, const struct relation *relation)
{
	columns->columns = relation->columns;
	columns->count = relation->count;
	columns->rows = relation->rows;
	columns->open = relation->why;
	if (!columns->open && relation->open_count == 1 && !relation->any) {
		columns->open_schema = arena_text(&columns->arena, relation->opens[0].schema);
		columns->open_table = arena_text(&columns->arena, relation->opens[0].table);
	}
	if (!columns->open && relation->open_count)
		columns->open =
		        arena_printf(&columns->arena, "the columns of %s are not known", relation->opens[0].table);
	if (!columns->open && relation->any)
		columns->open = "the columns of a table function are not known";
}

/* Names in it are the tree's. */
static int own_names(struct made_columns *columns)
{
	for (int i = 0; i < columns->count; i++)
		columns->columns[i].name = arena_text(&columns->arena, columns->columns[i].name);
	for (int i = -1; i < columns->count; i++) {
		const struct source_list *list = i < 0 ? &columns->rows.sources : &columns->columns[i].sources;

		for (int k = 0; k < list->count; k++) {
			struct column_source *source = &list->items[k];

			source->schema = arena_text(&columns->arena, source->schema);
			source->table = arena_text(&columns->arena, source->table);
			source->column = arena_text(&columns->arena, source->column);
		}
	}
	return columns->arena.failed ? -1 : 0;
}

int columns_read(struct duck_connection *connection, const struct functions *functions, const char *sql,
                 const struct table_finder *tables, struct made_columns *ret_columns, struct error *err)
{
	OWNED_COLUMNS struct made_columns columns = {0};
	OWNED_TREE struct tree *tree = NULL;
	struct error why = {0};
	struct columns_reading r = {.connection = connection,
	                            .functions = functions,
	                            .tables = tables,
	                            .arena = &columns.arena,
	                            .err = &why};
	struct relation *relation;
	int line = 0;

	tree = r.tree = tree_parse(connection, sql, &line, err);
	if (!tree)
		return -1;
	relation = columns_query(&r, tree_root(tree), NULL, NULL);
	if (!relation || columns.arena.failed) {
		if (why.kind == ERROR_NONE)
			return error_no_memory(err);
		*err = why;
		return -1;
	}
	take_relation(&columns, relation);
	if (own_names(&columns))
		return error_no_memory(err);
	*ret_columns = columns;
	columns = (struct made_columns){0};
	return 0;
}
