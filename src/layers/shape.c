#include "layers/shape_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* WITH's queries that a query may name, the nearest first. One of them sees those before it. */
struct scope {
	const struct node *queries; /* [{key, value}]; NULL: none */
	int count;
	const struct scope *outer;
};

static void release_stage(struct stage *stage)
{
	for (int i = 0; i < stage->output_count; i++) {
		free(stage->outputs[i].name);
		free(stage->outputs[i].shown);
		checked_sql_release(&stage->outputs[i].sql);
	}
	for (int i = 0; i < stage->condition_count; i++) {
		free(stage->conditions[i].text);
		checked_sql_release(&stage->conditions[i].sql);
	}
	for (int i = 0; i < stage->doubtful_count; i++)
		free(stage->doubtful[i]);
	free(stage->doubtful);
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
	for (int i = 0; i < shape->alias_count; i++)
		free(shape->aliases[i]);
	release_stage(&shape->result);
	free(shape->stages);
	free(shape->aggregates);
	free(shape->aliases);
	free(shape->schema);
	free(shape->table);
	cast_sites_release(&shape->sites);
	shape->kind = SHAPE_WHOLE;
	shape->stages = NULL;
	shape->aggregates = NULL;
	shape->aliases = NULL;
	shape->schema = shape->table = NULL;
	shape->stage_count = shape->aggregate_count = shape->alias_count = shape->key_count = 0;
}

void shape_release(struct shape *shape)
{
	become_whole(shape);
	*shape = (struct shape){0};
}

enum answer shape_whole(struct reading *r, const char *why)
{
	snprintf(r->shape->fixed, sizeof r->shape->fixed, "%s", why);
	return WHOLE;
}

/* The first reason is the one that is told. */
void shape_fix(struct reading *r, const char *format, ...)
{
	va_list args;

	if (*r->shape->fixed)
		return;
	va_start(args, format);
	vsnprintf(r->shape->fixed, sizeof r->shape->fixed, format, args);
	va_end(args);
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

struct output *stage_add_output(struct reading *r, struct stage *stage)
{
	struct output *outputs = realloc(stage->outputs, (size_t)(stage->output_count + 1) * sizeof *outputs);

	if (!outputs) {
		error_no_memory(r->err);
		return NULL;
	}
	stage->outputs = outputs;
	outputs[stage->output_count] = (struct output){.location = -1};
	return &outputs[stage->output_count++];
}

/* What DuckDB calls it: its alias, its column's name, or its text. */
char *shape_name_of(struct reading *r, const struct node *expression)
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
	struct output *output = stage_add_output(r, stage);

	if (!star || !output)
		return -1;
	if (!stage->from && r->shape->stage_count > 1 &&
	    (node_add_text(r->tree, node_get(star, "exclude_list"), COLUMN_FAILED) ||
	     node_add_text(r->tree, node_get(star, "exclude_list"), COLUMN_FILTERED) ||
	     node_add_text(r->tree, node_get(star, "exclude_list"), COLUMN_ROW)))
		return error_no_memory(r->err);
	return casts_check(r->tree, r->connection, star, "*", false, &r->shape->sites, &output->sql, r->err);
}

static int add_expression(struct reading *r, struct stage *stage, const struct node *expression)
{
	struct output *output;
	OWNED_FREE char *name = NULL;

	if (node_is(expression, "class", "STAR"))
		return add_star(r, stage, expression);
	name = shape_name_of(r, expression);
	output = name ? stage_add_output(r, stage) : NULL;
	if (!output)
		return -1;
	output->name = TAKE(name);
	output->location = shape_location(expression);
	return casts_check(r->tree, r->connection, expression, output->name, false, &r->shape->sites, &output->sql,
	                   r->err);
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
	*condition = (struct condition){.location = shape_location(written)};
	buffer_init(&text, SQL_MAXIMUM_BYTES);
	if (tree_expression_sql(r->tree, r->connection, written, &text, r->err))
		return -1;
	condition->text = without_parentheses(buffer_string(&text));
	if (!condition->text)
		return error_no_memory(r->err);
	return casts_check(r->tree, r->connection, expression, condition->text, true, &r->shape->sites, &condition->sql,
	                   r->err);
}

int stage_add_conditions(struct reading *r, struct stage *stage, const struct node *expression,
                         const struct node *written)
{
	const struct node *parts = node_get(expression, "children"), *written_parts = node_get(written, "children");

	if (!expression)
		return 0;
	if (!node_is(expression, "type", "CONJUNCTION_AND"))
		return add_condition(r, stage, expression, written);
	for (int i = 0; i < node_count(parts); i++)
		if (stage_add_conditions(r, stage, node_at(parts, i), node_at(written_parts, i)))
			return -1;
	return 0;
}

static int add_doubtful(struct reading *r, struct stage *stage, const char *name)
{
	char **more = realloc(stage->doubtful, (size_t)(stage->doubtful_count + 1) * sizeof *more);

	if (!more)
		return error_no_memory(r->err);
	stage->doubtful = more;
	more[stage->doubtful_count] = strdup(name);
	return more[stage->doubtful_count++] ? 0 : error_no_memory(r->err);
}

/* The names in a WHERE that an item of the select list has for an alias. */
static int add_doubtful_of(struct reading *r, struct stage *stage, const struct node *where, const struct node *items,
                           const bool *casts)
{
	const char *alias = shape_cast_alias(where, items, casts);

	if (alias && add_doubtful(r, stage, alias))
		return -1;
	for (int i = 0; i < node_count(where); i++)
		if (add_doubtful_of(r, stage, node_at(where, i), items, casts))
			return -1;
	return 0;
}

static int find_doubtful(struct reading *r, struct stage *stage, const struct node *where, const struct node *items)
{
	OWNED_FREE bool *casts = where ? shape_find_casts(items, NULL, NULL) : NULL;

	if (!where)
		return 0;
	return casts ? add_doubtful_of(r, stage, where, items, casts) : error_no_memory(r->err);
}

/* ---- what stands behind FROM */

/* WITH's {aliases, query}. ret_scope: what that query sees. */
static const struct node *find_with(const struct scope *scope, const char *name, struct scope *ret_scope)
{
	for (; scope; scope = scope->outer) {
		for (int i = scope->count - 1; i >= 0; i--) {
			const struct node *entry = node_at(scope->queries, i);

			if (strcasecmp(node_text(entry, "key"), name) != 0)
				continue;
			*ret_scope = (struct scope){.queries = scope->queries, .count = i, .outer = scope->outer};
			return node_get(entry, "value");
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
	shape_fix(r, "it %s",
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
		return shape_whole(r, "it reads a table at a snapshot, or a sample of one");
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
	const struct node *with = NULL, *query;
	enum answer answer;

	if (node_is(from, "type", "BASE_TABLE") && !*node_text(from, "schema_name"))
		with = find_with(scope, table, &inner);
	if (node_count(node_get(from, "column_name_alias")) || node_count(node_get(with, "aliases")))
		return shape_whole(r, "it renames the columns of what it reads");
	query = node_get(with ? node_get(with, "query") : node_get(from, "subquery"), "node");
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

/* A row of another stage has Tarn's columns, too. */
static bool reads_row_of_stage(const struct reading *r, const struct node *query, const struct stage *from)
{
	static const char *const parts[] = {"select_list", "where_clause", "group_expressions", "having"};
	const struct stage *below = r->shape->stage_count ? &r->shape->stages[r->shape->stage_count - 1] : NULL;

	for (int i = 0; below && i < below->output_count; i++)
		if (below->outputs[i].name && !strcasecmp(below->outputs[i].name, from->alias))
			return false;
	for (size_t i = 0; below && i < COUNT_OF(parts); i++)
		if (shape_names_column(node_get(query, parts[i]), from->alias))
			return true;
	return false;
}

/* ---- one SELECT */

static bool is_grouped(const struct reading *r, const struct node *query)
{
	return node_count(node_get(query, "group_expressions")) ||
	       !node_is(query, "aggregate_handling", "STANDARD_HANDLING") ||
	       shape_find_aggregate(r, node_get(query, "select_list")) || node_get(query, "having");
}

/* The order of rows is not kept by a table, and does not count where nothing is cut off. */
static bool orders_only(const struct node *modifiers)
{
	for (int i = 0; i < node_count(modifiers); i++)
		if (!node_is(node_at(modifiers, i), "type", "ORDER_MODIFIER"))
			return false;
	return true;
}

/* #2 is the second column of what is read, which has Tarn's columns, too, once it is taken apart. */
static bool counts_columns(const struct node *query)
{
	static const char *const parts[] = {"select_list", "from_table", "where_clause", "group_expressions", "having"};

	for (size_t i = 0; i < COUNT_OF(parts); i++)
		if (shape_find_class(node_get(query, parts[i]), "POSITIONAL_REFERENCE"))
			return true;
	return false;
}

static enum answer check_query(struct reading *r, const struct node *query, const struct scope *scope, bool top)
{
	const struct node *items = node_get(query, "select_list");

	if (!node_is(query, "type", "SELECT_NODE"))
		return shape_whole(r, "it is not one SELECT, but a UNION or its like");
	if (!orders_only(node_get(query, "modifiers")))
		return shape_whole(r, "it has DISTINCT or LIMIT");
	if (node_get(query, "qualify") || shape_find_class(items, "WINDOW"))
		return shape_whole(r, "it has window functions");
	if (node_get(query, "sample"))
		return shape_whole(r, "it takes a sample");
	if (counts_columns(query))
		return shape_whole(r, "it names a column by its number");
	if (is_grouped(r, query) && !top)
		return shape_whole(r, "it aggregates below another SELECT");
	for (int i = 0; i < node_count(items); i++)
		if (node_is(node_at(items, i), "class", "STAR") ? node_true(node_at(items, i), "columns")
		                                                : shape_find_class(node_at(items, i), "STAR") != NULL)
			return shape_whole(r, "it has COLUMNS()");
	if (shape_multiplies(items) || shape_multiplies(node_get(query, "group_expressions")))
		return shape_whole(r, "it makes several rows of one");
	if (shape_find_class(items, "SUBQUERY") || shape_find_class(node_get(query, "where_clause"), "SUBQUERY") ||
	    shape_find_class(node_get(query, "group_expressions"), "SUBQUERY") ||
	    shape_find_class(node_get(query, "having"), "SUBQUERY")) {
		shape_fix(r, "it has a subquery");
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
	if (answer == TAKEN && reads_row_of_stage(r, query, &from))
		answer = shape_whole(r, "it reads the rows of another SELECT as one value");
	stage = answer == TAKEN ? add_stage(r) : NULL;
	if (!stage) {
		release_stage(&from);
		return answer == TAKEN ? BROKEN : answer;
	}
	*stage = from;
	if (stage_add_conditions(r, stage, where, where) || find_doubtful(r, stage, where, items))
		return BROKEN;
	if (is_grouped(r, query))
		return shape_read_grouping(r, query, r->shape->stage_count - 1);
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
	const struct node *varying = shape_find_varying(&r, tree_root(tree));
	enum answer answer;

	if (varying)
		shape_fix(&r, "it calls %s, whose result changes by itself", shape_varying_name(varying));
	answer = read_query(&r, tree_root(tree), NULL, true);
	if (answer == BROKEN) {
		shape_release(&shape);
		return -1;
	}
	if (answer == WHOLE)
		become_whole(&shape);
	shape.varies = varying;
	shape.collates = shape_collates(tree_root(tree));
	shape.whole_rows = shape_reads_rows(tree_root(tree));
	*ret_shape = shape;
	return 0;
}
