/*
 * grouping.c - GROUP BY taken apart: keys, aggregates and their arguments, and what is made of them.
 *
 * The stage's outputs become the keys ("tarn k0"...) and the aggregates' arguments ("tarn a0"...), so that each CAST in
 * them is checked for each row, before anything is aggregated. The select list and HAVING become a stage of their own,
 * over keys and aggregates.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "layers/shape_private.h"

struct grouping {
	const struct node *items, *having;
	const char *table; /* what the one table that is read is called; NULL: unknown */
	const struct node **keys; /* owned */
	int key_count;
	const struct node **aggregates; /* owned; as written */
	int aggregate_count;
	int argument_count;
};

/* The select list's item that GROUP BY means by a number or an alias; NULL: it means none. */
static const struct node *find_item(const struct grouping *g, const struct node *expression, const char **ret_alias)
{
	const struct node *names = node_get(expression, "column_names"), *value = node_get(expression, "value");

	*ret_alias = NULL;
	for (int i = 0; i < node_count(g->items); i++) {
		const struct node *item = node_at(g->items, i);

		if (node_is(expression, "class", "CONSTANT") && node_number_is(value, "value", i + 1))
			return item;
		if (node_count(names) != 1 ||
		    strcasecmp(node_text(item, "alias"), node_text(node_at(names, 0), NULL)) != 0 ||
		    node_equals(item, expression, g->table))
			continue;
		*ret_alias = node_text(item, "alias");
		return item;
	}
	return NULL;
}

static void release_grouping(struct grouping *g)
{
	free(g->keys);
	free(g->aggregates);
}

static int add_node(struct reading *r, const struct node ***list, int *count, const struct node *node)
{
	const struct node **more = realloc(*list, (size_t)(*count + 1) * sizeof *more);

	if (!more)
		return error_no_memory(r->err);
	*list = more;
	more[(*count)++] = node;
	return 0;
}

static int add_alias(struct reading *r, const char *alias)
{
	struct shape *shape = r->shape;
	char **more = realloc(shape->aliases, (size_t)(shape->alias_count + 1) * sizeof *more);

	if (!more)
		return error_no_memory(r->err);
	shape->aliases = more;
	more[shape->alias_count] = strdup(alias);
	return more[shape->alias_count++] ? 0 : error_no_memory(r->err);
}

static enum answer read_keys(struct reading *r, const struct node *query, struct grouping *g)
{
	const struct node *groups = node_get(query, "group_expressions");
	bool all = node_is(query, "aggregate_handling", "FORCE_AGGREGATES");

	if (node_count(node_get(query, "group_sets")) > 1)
		return shape_whole(r, "it has several grouping sets");
	for (int i = 0; i < node_count(groups); i++) {
		const char *alias;
		const struct node *item = find_item(g, node_at(groups, i), &alias);

		if (add_node(r, &g->keys, &g->key_count, item ? item : node_at(groups, i)) ||
		    (alias && add_alias(r, alias)))
			return BROKEN;
	}
	for (int i = 0; all && !node_count(groups) && i < node_count(g->items); i++)
		if (!shape_find_aggregate(r, node_at(g->items, i)) &&
		    add_node(r, &g->keys, &g->key_count, node_at(g->items, i)))
			return BROKEN;
	return g->key_count ? TAKEN : shape_whole(r, "it has aggregates, but no GROUP BY");
}

/* Each aggregate once, however often it is written. */
static int find_aggregates(struct reading *r, struct grouping *g, const struct node *node)
{
	if (!node || node_is(node, "class", "SUBQUERY") || node_is(node, "class", "WINDOW"))
		return 0;
	if (node_is(node, "class", "FUNCTION") && function_aggregates(r->functions, node_text(node, "function_name"))) {
		for (int i = 0; i < g->aggregate_count; i++)
			if (node_equals(g->aggregates[i], node, g->table))
				return 0;
		return add_node(r, &g->aggregates, &g->aggregate_count, node);
	}
	for (int i = 0; i < node_count(node); i++)
		if (find_aggregates(r, g, node_at(node, i)))
			return -1;
	return 0;
}

/* An expression becomes a column of the last stage, and the node a reference to it. */
static int add_argument(struct reading *r, struct grouping *g, struct stage *stage, struct node *expression,
                        const char *column)
{
	struct output *output = stage_add_output(r, stage);

	if (!output)
		return -1;
	if (asprintf(&output->name, "tarn a%d", g->argument_count++) < 0) {
		output->name = NULL;
		return error_no_memory(r->err);
	}
	output->shown = strdup(column);
	output->location = shape_location(expression);
	if (!output->shown)
		return error_no_memory(r->err);
	if (casts_check(r->tree, r->connection, expression, column, false, &r->shape->sites, &output->sql, r->err))
		return -1;
	return node_become_column(r->tree, expression, output->name) ? error_no_memory(r->err) : 0;
}

static bool reads_columns(const struct node *node)
{
	return shape_find_class(node, "COLUMN_REF") || shape_find_class(node, "STAR");
}

/* The item, or HAVING, that the aggregate stands in: what people call it. */
static char *column_of(struct reading *r, const struct grouping *g, const struct node *aggregate)
{
	for (int i = 0; i < node_count(g->items); i++) {
		const struct node *found = shape_find_aggregate(r, node_at(g->items, i));

		if (found && node_equals(found, aggregate, g->table))
			return shape_name_of(r, node_at(g->items, i));
	}
	return shape_name_of(r, aggregate);
}

static int read_arguments(struct reading *r, struct grouping *g, struct stage *stage, struct node *call,
                          struct aggregate *aggregate, const char *column)
{
	struct node *children = node_get(call, "children"), *filter = node_get(call, "filter"),
	            *orders = node_get(node_get(call, "order_bys"), "orders");

	for (int i = 0; i < node_count(children); i++)
		if (reads_columns(node_at(children, i)) && add_argument(r, g, stage, node_at(children, i), column))
			return -1;
	if (node_count(children) && reads_columns(node_at(children, 0))) {
		aggregate->argument =
		        strdup(node_text(node_at(node_get(node_at(children, 0), "column_names"), 0), NULL));
		if (!aggregate->argument)
			return error_no_memory(r->err);
	}
	for (int i = 0; i < node_count(orders); i++)
		if (add_argument(r, g, stage, node_get(node_at(orders, i), "expression"), column))
			return -1;
	if (!filter)
		return 0;
	if (add_argument(r, g, stage, filter, column))
		return -1;
	aggregate->filter = strdup(stage->outputs[stage->output_count - 1].name);
	return aggregate->filter ? 0 : error_no_memory(r->err);
}

/* list(x ORDER BY t): rows of the same t come in no order, and so in a different one each time. Of all orders that it
 * may have that of x is one. */
static int order_ties(struct reading *r, struct node *call)
{
	struct node *children = node_get(call, "children"), *orders = node_get(node_get(call, "order_bys"), "orders");
	int written = node_count(orders);

	for (int i = 0; written && !node_true(call, "distinct") && i < node_count(children); i++) {
		struct node *order = tree_copy(r->tree, node_at(orders, 0));
		struct node *argument = tree_copy(r->tree, node_at(children, i));

		if (!reads_columns(node_at(children, i)))
			continue;
		if (!order || !argument || node_set(r->tree, order, "expression", argument) ||
		    node_add(r->tree, orders, order))
			return error_no_memory(r->err);
	}
	return 0;
}

static int read_aggregate(struct reading *r, struct grouping *g, struct stage *stage, int index)
{
	struct aggregate *aggregate = &r->shape->aggregates[index];
	const struct node *written = g->aggregates[index];
	const struct node *orders = node_get(node_get(written, "order_bys"), "orders");
	struct node *call = tree_copy(r->tree, written);
	OWNED_FREE char *column = column_of(r, g, written);
	OWNED_BUFFER struct buffer sql = {0};

	if (!call || !column)
		return error_no_memory(r->err);
	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	aggregate->distinct = node_true(written, "distinct");
	aggregate->function = strdup(node_text(written, "function_name"));
	if (!aggregate->function || asprintf(&aggregate->name, "tarn g%d", index) < 0) {
		aggregate->name = NULL;
		return error_no_memory(r->err);
	}
	aggregate->merging = function_merging(aggregate->function, aggregate->distinct, node_count(orders) > 0);
	/* max(x, 3): a list, which max() of two of them does not merge. */
	if (aggregate->merging != MERGE_NONE && node_count(node_get(written, "children")) > 1)
		aggregate->merging = MERGE_AGAIN;
	if (aggregate->merging == MERGE_NONE)
		shape_fix(r, "the result of %s may depend on the order of rows", aggregate->function);
	node_drop_alias(r->tree, call);
	if (order_ties(r, call))
		return -1;
	if (read_arguments(r, g, stage, call, aggregate, column) ||
	    tree_expression_sql(r->tree, r->connection, call, &sql, r->err))
		return -1;
	aggregate->call = strdup(buffer_string(&sql));
	return aggregate->call ? 0 : error_no_memory(r->err);
}

/* Keys and aggregates in an expression become columns. */
static int replace_grouped(struct reading *r, const struct grouping *g, struct node *node)
{
	char name[32];

	if (!node)
		return 0;
	for (int i = 0; i < g->key_count; i++) {
		snprintf(name, sizeof name, "tarn k%d", i);
		if (node_equals(g->keys[i], node, g->table))
			return node_become_column(r->tree, node, name) ? error_no_memory(r->err) : 0;
	}
	for (int i = 0; i < g->aggregate_count; i++) {
		snprintf(name, sizeof name, "tarn g%d", i);
		if (node_equals(g->aggregates[i], node, g->table))
			return node_become_column(r->tree, node, name) ? error_no_memory(r->err) : 0;
	}
	for (int i = 0; i < node_count(node); i++)
		if (replace_grouped(r, g, node_at(node, i)))
			return -1;
	return 0;
}

static void free_names(char ***names)
{
	for (int i = 0; *names && (*names)[i]; i++)
		free((*names)[i]);
	free(*names);
}

/* A group, for the quarantine, as people call its parts. */
static int name_group(struct reading *r, const struct grouping *g)
{
	int count = g->key_count + g->aggregate_count;
	OWNED_BY(free_names) char **names = calloc((size_t)count + 1, sizeof *names);
	OWNED_BUFFER struct buffer row = {0};

	buffer_init(&row, SQL_MAXIMUM_BYTES);
	for (int i = 0; names && i < count; i++) {
		bool key = i < g->key_count;

		names[i] = shape_name_of(r, key ? g->keys[i] : g->aggregates[i - g->key_count]);
		if (!names[i])
			return -1;
		buffer_text(&row, i ? ", " : "{");
		buffer_sql_text(&row, names[i]);
		/* The fields of a STRUCT have different names. */
		for (int k = 0; k < i; k++) {
			if (strcasecmp(names[k], names[i]) != 0)
				continue;
			row.size--;
			buffer_printf(&row, " (%d)'", i + 1);
			break;
		}
		buffer_printf(&row, ": \"tarn %c%d\"", key ? 'k' : 'g', key ? i : i - g->key_count);
	}
	buffer_char(&row, '}');
	r->shape->result.row = names && buffer_ok(&row) ? strdup(buffer_string(&row)) : NULL;
	return r->shape->result.row ? 0 : error_no_memory(r->err);
}

/* The node itself, or by the alias of one. */
static bool is_key(const struct grouping *g, const struct node *node)
{
	const char *alias;
	const struct node *item = find_item(g, node, &alias);

	for (int i = 0; i < g->key_count; i++)
		if (node_equals(g->keys[i], node, g->table) || (item && node_equals(g->keys[i], item, g->table)))
			return true;
	return false;
}

/* To the result keys and aggregates are columns, whose CASTs were checked for each row (replace_grouped). */
static bool is_of_group(const void *context, const struct node *node)
{
	const struct grouping *g = context;

	for (int i = 0; i < g->aggregate_count; i++)
		if (node_equals(g->aggregates[i], node, g->table))
			return true;
	return is_key(g, node);
}

/* An alias in HAVING whose item has a CAST of what a group became. */
static const char *find_cast_alias(const struct grouping *g, const struct node *node, const bool *casts)
{
	const char *found = NULL;

	if (is_of_group(g, node))
		return NULL;
	found = shape_cast_alias(node, g->items, casts);
	for (int i = 0; !found && i < node_count(node); i++)
		found = find_cast_alias(g, node_at(node, i), casts);
	return found;
}

static enum answer check_having(struct reading *r, const struct grouping *g)
{
	OWNED_FREE bool *casts = g->having ? shape_find_casts(g->items, is_of_group, g) : NULL;
	const char *alias = casts ? find_cast_alias(g, g->having, casts) : NULL;

	if (g->having && !casts)
		return (enum answer)error_no_memory(r->err);
	if (!alias)
		return TAKEN;
	shape_fix(r, "its HAVING has the alias %.63s of a CAST: write the expression", alias);
	return WHOLE;
}

static int read_result(struct reading *r, const struct grouping *g)
{
	struct node *having = g->having ? tree_copy(r->tree, g->having) : NULL;
	struct stage *result = &r->shape->result;

	for (int i = 0; i < node_count(g->items); i++) {
		struct node *item = tree_copy(r->tree, node_at(g->items, i));
		OWNED_FREE char *name = shape_name_of(r, node_at(g->items, i));
		struct output *output = name ? stage_add_output(r, result) : NULL;

		if (!item || !output)
			return error_no_memory(r->err);
		output->name = TAKE(name);
		output->location = shape_location(item);
		node_drop_alias(r->tree, item);
		if (replace_grouped(r, g, item) || casts_check(r->tree, r->connection, item, output->name, false,
		                                               &r->shape->sites, &output->sql, r->err))
			return -1;
	}
	if (replace_grouped(r, g, having) || name_group(r, g))
		return -1;
	return stage_add_conditions(r, result, having, g->having);
}

/* The keys and the arguments are the last stage's outputs. */
enum answer shape_read_grouping(struct reading *r, const struct node *query, int stage)
{
	OWNED_BY(release_grouping)
	struct grouping g = {.items = node_get(query, "select_list"),
	                     .having = node_get(query, "having"),
	                     .table = r->shape->stages[stage].alias};
	enum answer answer = read_keys(r, query, &g);

	if (answer != TAKEN)
		return answer;
	for (int i = 0; i < node_count(g.items); i++) {
		if (shape_find_class(node_at(g.items, i), "STAR") && !shape_find_aggregate(r, node_at(g.items, i)))
			return shape_whole(r, "it has * beside aggregates");
		if (find_aggregates(r, &g, node_at(g.items, i)))
			return BROKEN;
	}
	if (find_aggregates(r, &g, g.having))
		return BROKEN;
	answer = check_having(r, &g);
	if (answer != TAKEN)
		return answer;
	r->shape->kind = SHAPE_GROUPS;
	r->shape->key_count = g.key_count;
	r->shape->aggregates = calloc((size_t)g.aggregate_count + 1, sizeof *r->shape->aggregates);
	if (!r->shape->aggregates)
		return (enum answer)error_no_memory(r->err);
	r->shape->aggregate_count = g.aggregate_count;
	for (int i = 0; i < g.key_count; i++) {
		struct output *output = stage_add_output(r, &r->shape->stages[stage]);
		OWNED_FREE char *column = shape_name_of(r, g.keys[i]);

		if (!output || !column || asprintf(&output->name, "tarn k%d", i) < 0)
			return (enum answer)error_no_memory(r->err);
		output->location = shape_location(g.keys[i]);
		output->shown = strdup(column);
		if (!output->shown)
			return (enum answer)error_no_memory(r->err);
		if (casts_check(r->tree, r->connection, g.keys[i], column, false, &r->shape->sites, &output->sql,
		                r->err))
			return BROKEN;
	}
	for (int i = 0; i < g.aggregate_count; i++)
		if (read_aggregate(r, &g, &r->shape->stages[stage], i))
			return BROKEN;
	return read_result(r, &g) ? BROKEN : TAKEN;
}
