#include "layers/shape.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SQL_MAXIMUM_BYTES ((size_t)16 << 20)

enum answer { BROKEN = -1, TAKEN, WHOLE };

/* WITH's queries that a query may name, the nearest first. One of them sees those before it. */
struct scope {
	const struct node *queries; /* [{key, value}]; NULL: none */
	int count;
	const struct scope *outer;
};

struct reading {
	struct tree *tree;
	struct duck_connection *connection;
	const struct functions *functions;
	struct shape *shape;
	struct error *err;
};

static void release_stage(struct stage *stage)
{
	for (int i = 0; i < stage->output_count; i++) {
		free(stage->outputs[i].name);
		checked_sql_release(&stage->outputs[i].sql);
	}
	for (int i = 0; i < stage->condition_count; i++) {
		free(stage->conditions[i].text);
		checked_sql_release(&stage->conditions[i].sql);
	}
	free(stage->outputs);
	free(stage->conditions);
	free(stage->from);
	free(stage->alias);
	free(stage->row);
	*stage = (struct stage){0};
}

/* All but why it is none of the other kinds. */
static void become_whole(struct shape *shape)
{
	for (int i = 0; i < shape->stage_count; i++)
		release_stage(&shape->stages[i]);
	for (int i = 0; i < shape->aggregate_count; i++) {
		free(shape->aggregates[i].call);
		free(shape->aggregates[i].filter);
		free(shape->aggregates[i].argument);
		free(shape->aggregates[i].name);
		free(shape->aggregates[i].function);
	}
	release_stage(&shape->result);
	free(shape->stages);
	free(shape->aggregates);
	free(shape->schema);
	free(shape->table);
	cast_sites_release(&shape->sites);
	shape->kind = SHAPE_WHOLE;
	shape->stages = NULL;
	shape->aggregates = NULL;
	shape->schema = shape->table = NULL;
	shape->stage_count = shape->aggregate_count = shape->key_count = 0;
}

void shape_release(struct shape *shape)
{
	become_whole(shape);
	*shape = (struct shape){0};
}

static enum answer whole(struct reading *r, const char *why)
{
	snprintf(r->shape->fixed, sizeof r->shape->fixed, "%s", why);
	return WHOLE;
}

/* The first reason is the one that is told. */
static void __attribute__((format(printf, 2, 3))) fix(struct reading *r, const char *format, ...)
{
	va_list args;

	if (*r->shape->fixed)
		return;
	va_start(args, format);
	vsnprintf(r->shape->fixed, sizeof r->shape->fixed, format, args);
	va_end(args);
}

/* ---- looking for what stands anywhere in an expression */

static const struct node *find_class(const struct node *node, const char *class)
{
	const struct node *found = NULL;

	if (node_is(node, "class", class))
		return node;
	for (int i = 0; !found && i < node_count(node); i++)
		found = find_class(node_at(node, i), class);
	return found;
}

/* Not in subqueries, which aggregate for themselves. */
static const struct node *find_aggregate(const struct reading *r, const struct node *node)
{
	const struct node *found = NULL;

	if (node_is(node, "class", "SUBQUERY") || node_is(node, "class", "WINDOW"))
		return NULL;
	if (node_is(node, "class", "FUNCTION") && function_aggregates(r->functions, node_text(node, "function_name")))
		return node;
	for (int i = 0; !found && i < node_count(node); i++)
		found = find_aggregate(r, node_at(node, i));
	return found;
}

static const struct node *find_varying(const struct reading *r, const struct node *node)
{
	const struct node *found = NULL;

	if (node_is(node, "class", "FUNCTION") && function_varies(r->functions, node_text(node, "function_name")))
		return node;
	for (int i = 0; !found && i < node_count(node); i++)
		found = find_varying(r, node_at(node, i));
	return found;
}

/* ---- one stage's parts */

static struct stage *add_stage(struct reading *r)
{
	struct shape *shape = r->shape;
	struct stage *stages = realloc(shape->stages, (size_t)(shape->stage_count + 1) * sizeof *stages);

	if (!stages) {
		error_no_memory(r->err);
		return NULL;
	}
	shape->stages = stages;
	stages[shape->stage_count] = (struct stage){0};
	return &stages[shape->stage_count++];
}

static struct output *add_output(struct reading *r, struct stage *stage)
{
	struct output *outputs = realloc(stage->outputs, (size_t)(stage->output_count + 1) * sizeof *outputs);

	if (!outputs) {
		error_no_memory(r->err);
		return NULL;
	}
	stage->outputs = outputs;
	outputs[stage->output_count] = (struct output){0};
	return &outputs[stage->output_count++];
}

/* What DuckDB calls it: its alias, its column's name, or its text. */
static char *name_of(struct reading *r, const struct node *expression)
{
	const struct node *names = node_get(expression, "column_names");
	OWNED_BUFFER struct buffer text = {0};
	char *name;

	buffer_init(&text, SQL_MAXIMUM_BYTES);
	if (*node_text(expression, "alias"))
		buffer_text(&text, node_text(expression, "alias"));
	else if (node_is(expression, "class", "COLUMN_REF"))
		buffer_text(&text, node_text(node_at(names, node_count(names) - 1), NULL));
	else if (tree_expression_sql(r->tree, r->connection, expression, &text, r->err))
		return NULL;
	name = strdup(buffer_string(&text));
	if (!name)
		error_no_memory(r->err);
	return name;
}

/* Of a stage that reads another one a star leaves out the columns that are Tarn's. */
static int add_star(struct reading *r, struct stage *stage, const struct node *expression)
{
	struct node *star = tree_copy(r->tree, expression);
	struct output *output = add_output(r, stage);

	if (!star || !output)
		return -1;
	if (!stage->from && r->shape->stage_count > 1 &&
	    (node_add_text(r->tree, node_get(star, "exclude_list"), COLUMN_FAILED) ||
	     node_add_text(r->tree, node_get(star, "exclude_list"), COLUMN_FILTERED) ||
	     node_add_text(r->tree, node_get(star, "exclude_list"), COLUMN_ROW)))
		return error_no_memory(r->err);
	return casts_check(r->tree, r->connection, star, "*", &r->shape->sites, &output->sql, r->err);
}

static int add_expression(struct reading *r, struct stage *stage, const struct node *expression)
{
	struct output *output;
	OWNED_FREE char *name = NULL;

	if (node_is(expression, "class", "STAR"))
		return add_star(r, stage, expression);
	name = name_of(r, expression);
	output = name ? add_output(r, stage) : NULL;
	if (!output)
		return -1;
	output->name = TAKE(name);
	return casts_check(r->tree, r->connection, expression, output->name, &r->shape->sites, &output->sql, r->err);
}

/* "(a > 1)" as "a > 1". */
static char *without_parentheses(const char *text)
{
	size_t size = strlen(text);
	int depth = 0;

	for (size_t i = 0; i + 1 < size; i++) {
		depth += (text[i] == '(') - (text[i] == ')');
		if (depth <= 0)
			return strdup(text);
	}
	return size > 1 ? strndup(text + 1, size - 2) : strdup(text);
}

static int add_condition(struct reading *r, struct stage *stage, const struct node *expression,
                         const struct node *written)
{
	struct condition *conditions =
	        realloc(stage->conditions, (size_t)(stage->condition_count + 1) * sizeof *conditions);
	OWNED_BUFFER struct buffer text = {0};
	struct condition *condition;

	if (!conditions)
		return error_no_memory(r->err);
	stage->conditions = conditions;
	condition = &conditions[stage->condition_count++];
	*condition = (struct condition){0};
	buffer_init(&text, SQL_MAXIMUM_BYTES);
	if (tree_expression_sql(r->tree, r->connection, written, &text, r->err))
		return -1;
	condition->text = without_parentheses(buffer_string(&text));
	if (!condition->text)
		return error_no_memory(r->err);
	return casts_check(r->tree, r->connection, expression, condition->text, &r->shape->sites, &condition->sql,
	                   r->err);
}

/* What AND joins, each for itself. `written` is the same before it was changed. */
static int add_conditions(struct reading *r, struct stage *stage, const struct node *expression,
                          const struct node *written)
{
	const struct node *parts = node_get(expression, "children"), *written_parts = node_get(written, "children");

	if (!expression)
		return 0;
	if (!node_is(expression, "type", "CONJUNCTION_AND"))
		return add_condition(r, stage, expression, written);
	for (int i = 0; i < node_count(parts); i++)
		if (add_conditions(r, stage, node_at(parts, i), node_at(written_parts, i)))
			return -1;
	return 0;
}

/* ---- what stands behind FROM */

/* ret_scope: what that query sees. */
static const struct node *find_query(const struct scope *scope, const char *name, struct scope *ret_scope)
{
	for (; scope; scope = scope->outer) {
		for (int i = scope->count - 1; i >= 0; i--) {
			const struct node *entry = node_at(scope->queries, i);

			if (strcasecmp(node_text(entry, "key"), name) != 0)
				continue;
			*ret_scope = (struct scope){.queries = scope->queries, .count = i, .outer = scope->outer};
			return node_get(node_get(node_get(entry, "value"), "query"), "node");
		}
	}
	return NULL;
}

static bool has_queries(const struct scope *scope)
{
	for (; scope; scope = scope->outer)
		if (scope->count)
			return true;
	return false;
}

/* 'a': a, 'b': b */
static bool append_names(const struct node *from, struct buffer *out)
{
	const char *name = *node_text(from, "alias") ? node_text(from, "alias") : node_text(from, "table_name");

	if (node_is(from, "type", "JOIN"))
		return append_names(node_get(from, "left"), out) && append_names(node_get(from, "right"), out);
	if (!*name)
		return false;
	buffer_text(out, out->size ? ", " : "");
	buffer_sql_text(out, name);
	buffer_text(out, ": ");
	buffer_sql_name(out, name);
	return true;
}

/* Something else than one table: the stage has it as it is written. */
static enum answer read_other_from(struct reading *r, const struct node *from, const struct scope *scope,
                                   struct stage *stage)
{
	OWNED_BUFFER struct buffer sql = {0}, names = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_init(&names, SQL_MAXIMUM_BYTES);
	fix(r, "it %s",
	    node_is(from, "type", "JOIN")             ? "joins tables"
	    : node_is(from, "type", "TABLE_FUNCTION") ? "reads a table function"
	                                              : "does not read one table");
	if (has_queries(scope) || !append_names(from, &names))
		return WHOLE;
	if (tree_from_sql(r->tree, r->connection, from, &sql, r->err))
		return BROKEN;
	stage->from = strdup(buffer_string(&sql));
	if (!stage->from || asprintf(&stage->row, "{%s}", buffer_string(&names)) < 0) {
		stage->row = NULL;
		return error_no_memory(r->err);
	}
	return TAKEN;
}

static enum answer read_source(struct reading *r, const struct node *from)
{
	struct shape *shape = r->shape;
	const char *schema = node_text(from, "schema_name"), *catalog = node_text(from, "catalog_name");

	/* "lake.t" is a table of the catalog lake. */
	if (!*catalog && !strcasecmp(schema, "lake"))
		schema = "";
	if (node_get(from, "at_clause") || node_get(from, "sample"))
		return whole(r, "it reads a table at a snapshot, or a sample of one");
	shape->schema = strdup(*schema ? schema : "main");
	shape->table = strdup(node_text(from, "table_name"));
	return shape->schema && shape->table ? TAKEN : (enum answer)error_no_memory(r->err);
}

static enum answer read_query(struct reading *r, const struct node *query, const struct scope *outer, bool top);

/* The stages below, and what the next one calls what it reads. */
static enum answer read_from(struct reading *r, const struct node *from, const struct scope *scope,
                             struct stage *ret_stage)
{
	const char *table = node_text(from, "table_name"), *alias = node_text(from, "alias");
	struct scope inner = *scope;
	const struct node *query = NULL;
	enum answer answer;

	if (node_count(node_get(from, "column_name_alias")))
		return whole(r, "it renames the columns of what it reads");
	if (node_is(from, "type", "BASE_TABLE") && !*node_text(from, "schema_name"))
		query = find_query(scope, table, &inner);
	if (node_is(from, "type", "SUBQUERY"))
		query = node_get(node_get(from, "subquery"), "node");
	if (query)
		answer = read_query(r, query, &inner, false);
	else if (node_is(from, "type", "BASE_TABLE"))
		answer = read_source(r, from);
	else
		return read_other_from(r, from, scope, ret_stage);
	if (answer != TAKEN)
		return answer;
	ret_stage->alias = strdup(*alias ? alias : *table ? table : "subquery");
	return ret_stage->alias ? TAKEN : (enum answer)error_no_memory(r->err);
}

/* ---- a grouping */

/* The select list's item that GROUP BY means by a number or an alias; the expression itself where it means none. */
static const struct node *key_expression(const struct node *items, const struct node *expression, bool *ret_ambiguous)
{
	const struct node *names = node_get(expression, "column_names"), *value = node_get(expression, "value");
	char number[16];

	for (int i = 0; i < node_count(items); i++) {
		const struct node *item = node_at(items, i);

		snprintf(number, sizeof number, "%d", i + 1);
		if (node_is(expression, "class", "CONSTANT") && node_number_is(value, "value", i + 1))
			return item;
		if (node_count(names) == 1 &&
		    !strcasecmp(node_text(item, "alias"), node_text(node_at(names, 0), NULL)) &&
		    !node_equals(item, expression))
			*ret_ambiguous = true;
	}
	return expression;
}

struct grouping {
	const struct node *items, *having;
	const struct node **keys; /* owned */
	int key_count;
	const struct node **aggregates; /* owned; as written */
	int aggregate_count;
	int argument_count;
};

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

static enum answer read_keys(struct reading *r, const struct node *query, struct grouping *g)
{
	const struct node *groups = node_get(query, "group_expressions");
	bool all = node_is(query, "aggregate_handling", "FORCE_AGGREGATES"), ambiguous = false;

	if (node_count(node_get(query, "group_sets")) > 1)
		return whole(r, "it has several grouping sets");
	for (int i = 0; i < node_count(groups); i++)
		if (add_node(r, &g->keys, &g->key_count, key_expression(g->items, node_at(groups, i), &ambiguous)))
			return BROKEN;
	for (int i = 0; all && !node_count(groups) && i < node_count(g->items); i++)
		if (!find_aggregate(r, node_at(g->items, i)) &&
		    add_node(r, &g->keys, &g->key_count, node_at(g->items, i)))
			return BROKEN;
	if (ambiguous)
		return whole(r, "a name in its GROUP BY is an alias, too: write the expression, or its number");
	return g->key_count ? TAKEN : whole(r, "it has aggregates, but no GROUP BY");
}

/* Each aggregate once, however often it is written. */
static int find_aggregates(struct reading *r, struct grouping *g, const struct node *node)
{
	if (!node || node_is(node, "class", "SUBQUERY") || node_is(node, "class", "WINDOW"))
		return 0;
	if (node_is(node, "class", "FUNCTION") && function_aggregates(r->functions, node_text(node, "function_name"))) {
		for (int i = 0; i < g->aggregate_count; i++)
			if (node_equals(g->aggregates[i], node))
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
	struct output *output = add_output(r, stage);

	if (!output)
		return -1;
	if (asprintf(&output->name, "tarn a%d", g->argument_count++) < 0) {
		output->name = NULL;
		return error_no_memory(r->err);
	}
	if (casts_check(r->tree, r->connection, expression, column, &r->shape->sites, &output->sql, r->err))
		return -1;
	return node_become_column(r->tree, expression, output->name) ? error_no_memory(r->err) : 0;
}

static bool reads_columns(const struct node *node)
{
	return find_class(node, "COLUMN_REF") || find_class(node, "STAR");
}

/* The item, or HAVING, that the aggregate stands in: what people call it. */
static char *column_of(struct reading *r, const struct grouping *g, const struct node *aggregate)
{
	for (int i = 0; i < node_count(g->items); i++) {
		const struct node *found = find_aggregate(r, node_at(g->items, i));

		if (found && node_equals(found, aggregate))
			return name_of(r, node_at(g->items, i));
	}
	return name_of(r, aggregate);
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
	if (aggregate->merging == MERGE_NONE)
		fix(r, "the result of %s may depend on the order of rows", aggregate->function);
	node_drop_alias(r->tree, call);
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
		if (node_equals(g->keys[i], node))
			return node_become_column(r->tree, node, name) ? error_no_memory(r->err) : 0;
	}
	for (int i = 0; i < g->aggregate_count; i++) {
		snprintf(name, sizeof name, "tarn g%d", i);
		if (node_equals(g->aggregates[i], node))
			return node_become_column(r->tree, node, name) ? error_no_memory(r->err) : 0;
	}
	for (int i = 0; i < node_count(node); i++)
		if (replace_grouped(r, g, node_at(node, i)))
			return -1;
	return 0;
}

static int read_result(struct reading *r, const struct grouping *g)
{
	struct node *having = g->having ? tree_copy(r->tree, g->having) : NULL;
	struct stage *result = &r->shape->result;

	for (int i = 0; i < node_count(g->items); i++) {
		struct node *item = tree_copy(r->tree, node_at(g->items, i));
		OWNED_FREE char *name = name_of(r, node_at(g->items, i));
		struct output *output = name ? add_output(r, result) : NULL;

		if (!item || !output)
			return error_no_memory(r->err);
		output->name = TAKE(name);
		node_drop_alias(r->tree, item);
		if (replace_grouped(r, g, item) ||
		    casts_check(r->tree, r->connection, item, output->name, &r->shape->sites, &output->sql, r->err))
			return -1;
	}
	if (replace_grouped(r, g, having))
		return -1;
	return add_conditions(r, result, having, g->having);
}

/* The keys and the arguments are the last stage's outputs. */
static enum answer read_grouping(struct reading *r, const struct node *query, int stage)
{
	OWNED_BY(release_grouping)
	struct grouping g = {.items = node_get(query, "select_list"), .having = node_get(query, "having")};
	enum answer answer = read_keys(r, query, &g);

	if (answer != TAKEN)
		return answer;
	for (int i = 0; i < node_count(g.items); i++) {
		if (find_class(node_at(g.items, i), "STAR") && !find_aggregate(r, node_at(g.items, i)))
			return whole(r, "it has * beside aggregates");
		if (find_aggregates(r, &g, node_at(g.items, i)))
			return BROKEN;
	}
	if (find_aggregates(r, &g, g.having))
		return BROKEN;
	r->shape->kind = SHAPE_GROUPS;
	r->shape->key_count = g.key_count;
	r->shape->aggregates = calloc((size_t)g.aggregate_count + 1, sizeof *r->shape->aggregates);
	if (!r->shape->aggregates)
		return (enum answer)error_no_memory(r->err);
	r->shape->aggregate_count = g.aggregate_count;
	for (int i = 0; i < g.key_count; i++) {
		struct output *output = add_output(r, &r->shape->stages[stage]);
		OWNED_FREE char *column = name_of(r, g.keys[i]);

		if (!output || !column || asprintf(&output->name, "tarn k%d", i) < 0)
			return (enum answer)error_no_memory(r->err);
		if (casts_check(r->tree, r->connection, g.keys[i], column, &r->shape->sites, &output->sql, r->err))
			return BROKEN;
	}
	for (int i = 0; i < g.aggregate_count; i++)
		if (read_aggregate(r, &g, &r->shape->stages[stage], i))
			return BROKEN;
	return read_result(r, &g) ? BROKEN : TAKEN;
}

/* ---- one SELECT */

static bool is_grouped(const struct reading *r, const struct node *query)
{
	return node_count(node_get(query, "group_expressions")) ||
	       !node_is(query, "aggregate_handling", "STANDARD_HANDLING") ||
	       find_aggregate(r, node_get(query, "select_list")) || node_get(query, "having");
}

/* The order of rows is not kept by a table, and does not count where nothing is cut off. */
static bool orders_only(const struct node *modifiers)
{
	for (int i = 0; i < node_count(modifiers); i++)
		if (!node_is(node_at(modifiers, i), "type", "ORDER_MODIFIER"))
			return false;
	return true;
}

static enum answer check_query(struct reading *r, const struct node *query, const struct scope *scope, bool top)
{
	const struct node *items = node_get(query, "select_list");

	if (!node_is(query, "type", "SELECT_NODE"))
		return whole(r, "it is not one SELECT, but a UNION or its like");
	if (!orders_only(node_get(query, "modifiers")))
		return whole(r, "it has DISTINCT or LIMIT");
	if (node_get(query, "qualify") || find_class(items, "WINDOW"))
		return whole(r, "it has window functions");
	if (node_get(query, "sample"))
		return whole(r, "it takes a sample");
	if (is_grouped(r, query) && !top)
		return whole(r, "it aggregates below another SELECT");
	for (int i = 0; i < node_count(items); i++)
		if (node_is(node_at(items, i), "class", "STAR") ? node_true(node_at(items, i), "columns")
		                                                : find_class(node_at(items, i), "STAR") != NULL)
			return whole(r, "it has COLUMNS()");
	if (find_class(items, "SUBQUERY") || find_class(node_get(query, "where_clause"), "SUBQUERY") ||
	    find_class(node_get(query, "having"), "SUBQUERY")) {
		fix(r, "it has a subquery");
		if (has_queries(scope))
			return WHOLE;
	}
	return TAKEN;
}

static enum answer read_query(struct reading *r, const struct node *query, const struct scope *outer, bool top)
{
	const struct node *queries = node_get(node_get(query, "cte_map"), "map");
	struct scope scope = {.queries = queries, .count = node_count(queries), .outer = outer};
	const struct node *items = node_get(query, "select_list"), *where = node_get(query, "where_clause");
	struct stage from = {0}, *stage;
	enum answer answer = check_query(r, query, &scope, top);

	if (answer == TAKEN)
		answer = read_from(r, node_get(query, "from_table"), &scope, &from);
	stage = answer == TAKEN ? add_stage(r) : NULL;
	if (!stage) {
		release_stage(&from);
		return answer == TAKEN ? BROKEN : answer;
	}
	*stage = from;
	if (add_conditions(r, stage, where, where))
		return BROKEN;
	if (is_grouped(r, query))
		return read_grouping(r, query, r->shape->stage_count - 1);
	for (int i = 0; i < node_count(items); i++)
		if (add_expression(r, stage, node_at(items, i)))
			return BROKEN;
	return TAKEN;
}

int shape_read(struct tree *tree, struct duck_connection *connection, const struct functions *functions,
               struct shape *ret_shape, struct error *err)
{
	struct shape shape = {.kind = SHAPE_ROWS};
	struct reading r = {
	        .tree = tree, .connection = connection, .functions = functions, .shape = &shape, .err = err};
	const struct node *varying = find_varying(&r, tree_root(tree));
	enum answer answer;

	if (varying)
		fix(&r, "it calls %s(), whose result changes by itself", node_text(varying, "function_name"));
	answer = read_query(&r, tree_root(tree), NULL, true);
	if (answer == BROKEN) {
		shape_release(&shape);
		return -1;
	}
	if (answer == WHOLE)
		become_whole(&shape);
	*ret_shape = shape;
	return 0;
}
