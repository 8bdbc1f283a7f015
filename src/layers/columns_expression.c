/*
 * columns_expression.c - the columns that an expression reads, and how.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "layers/columns_private.h"

#define NAMES_MAX 16 /* of "a.b.c" */

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcasecmp(names[i], name))
			return true;
	return false;
}

/* ---- names */

struct name {
	const char *names[NAMES_MAX];
	int count;
};

/* What a name is found to be. */
struct found {
	struct relation *relation; /* NULL: it is a name of the select list */
	const struct made_column *column; /* NULL: the relation has it among those that are not known */
	int used; /* how many of the names */
};

/* TABLE.COLUMN, SCHEMA.TABLE.COLUMN, CATALOG.SCHEMA.TABLE.COLUMN: how many names name the relation; 0: they do not. */
static int qualifies(const struct relation *relation, const struct name *name)
{
	const char *const *names = name->names;
	bool table = relation->table && name->count > 2;

	if (name->count > 1 && relation->alias && !strcasecmp(names[0], relation->alias))
		return 1;
	if (table && !strcasecmp(names[1], relation->table) &&
	    (!strcasecmp(names[0], relation->schema) || !strcasecmp(names[0], "lake")))
		return 2;
	if (table && name->count > 3 && !strcasecmp(names[1], relation->schema) &&
	    !strcasecmp(names[2], relation->table))
		return 3;
	return 0;
}

static bool find_qualified(const struct scope *scope, const struct name *name, struct found *ret_found)
{
	for (int i = 0; i < scope->count; i++) {
		struct relation *relation = scope->relations[i];
		int used = qualifies(relation, name);
		const struct made_column *column = used ? relation_find(relation, name->names[used]) : NULL;

		if (!used || (!column && !relation_is_open(relation)))
			continue;
		*ret_found = (struct found){.relation = relation, .column = column, .used = used + 1};
		return true;
	}
	return false;
}

static bool find_column(const struct scope *scope, const struct name *name, struct found *ret_found)
{
	for (int i = 0; i < scope->count; i++) {
		const struct made_column *column = relation_find(scope->relations[i], name->names[0]);

		if (!column)
			continue;
		*ret_found = (struct found){.relation = scope->relations[i], .column = column, .used = 1};
		return true;
	}
	return false;
}

static bool find_result(const struct scope *scope, const struct name *name, struct found *ret_found)
{
	const struct made_column *column = scope->result ? relation_find(scope->result, name->names[0]) : NULL;

	*ret_found = (struct found){.column = column, .used = 1};
	return column != NULL;
}

/* What is known for certain, the nearest first. "t.a" is a table's column rather than a field of a column t. */
static bool find_known(const struct scope *scope, const struct name *name, struct found *ret_found)
{
	for (const struct scope *s = scope; s; s = s->outer)
		if (find_qualified(s, name, ret_found))
			return true;
	for (; scope; scope = scope->outer)
		if (find_column(scope, name, ret_found) || find_result(scope, name, ret_found))
			return true;
	return false;
}

static struct relation *find_row(const struct scope *scope, const char *name)
{
	for (; scope; scope = scope->outer)
		for (int i = 0; i < scope->count; i++)
			if (scope->relations[i]->alias && !strcasecmp(scope->relations[i]->alias, name))
				return scope->relations[i];
	return NULL;
}

/* The one relation that may have it. ret_second: another one that may. */
static struct relation *find_open(const struct scope *scope, const struct relation **ret_second)
{
	struct relation *found = NULL;

	*ret_second = NULL;
	for (; scope && !found; scope = scope->outer)
		for (int i = 0; i < scope->count; i++) {
			if (!relation_is_open(scope->relations[i]))
				continue;
			*ret_second = found;
			found = scope->relations[i];
		}
	return found;
}

/* "b.c" of the names behind those that were used, and of what is taken out of it. */
static const char *part_of_name(struct columns_reading *r, const struct name *name, int used, const char *part)
{
	const char *fields = NULL;

	for (int i = used; i < name->count; i++)
		fields = part_join(r->arena, fields, name->names[i]);
	return part_join(r->arena, fields, part);
}

static int add_source(struct columns_reading *r, const struct part_of *of, struct column_source source,
                      const char *part, bool plain)
{
	source.uses = of->use == USE_CONDITION ? USE_CONDITION : source.uses;
	source.through += of->through;
	if (plain)
		source.part = part_join(r->arena, source.part, part);
	return source_add(r->arena, &of->column->sources, &source);
}

static int add_column(struct columns_reading *r, const struct part_of *of, const struct made_column *column,
                      const char *part)
{
	for (int i = 0; i < column->sources.count; i++)
		if (add_source(r, of, column->sources.items[i], part, column->plain))
			return -1;
	if (column->unknown)
		columns_unknown(r, of->column, "%s", column->unknown);
	return 0;
}

/* A column of a relation that does not know its columns. From then on it knows that one: no later name of the select
 * list hides it. */
static int add_open(struct columns_reading *r, const struct part_of *of, struct relation *relation, const char *column,
                    const char *part)
{
	struct column_source source = {.column = column, .uses = USE_VALUE};
	struct made_column *learnt;

	if (relation->open_count == 1 && !relation->why && !relation->any) {
		source.schema = relation->opens[0].schema;
		source.table = relation->opens[0].table;
		learnt = relation_add(r, relation, column);
		if (!learnt || source_add(r->arena, &learnt->sources, &source))
			return -1;
		learnt->plain = true;
		return add_source(r, of, source, part, true);
	}
	if (relation->any && !relation->why && !relation->open_count)
		return columns_merge(r, of->column, relation->any, of->use, of->through);
	if (relation->why)
		columns_unknown(r, of->column, "%s: %s", column, relation->why);
	else
		columns_unknown(r, of->column, "%s may be a column of %s or %s, which are not known", column,
		                relation->open_count ? relation->opens[0].table : "a function",
		                relation->open_count > 1 ? relation->opens[1].table : "a function");
	return 0;
}

/* t in SELECT t FROM t: all that it has. */
static int add_row(struct columns_reading *r, const struct part_of *of, const struct relation *relation)
{
	for (int i = 0; i < relation->count; i++)
		if (add_column(r, of, &relation->columns[i], NULL))
			return -1;
	if (relation_is_open(relation))
		columns_unknown(r, of->column, "all columns of %s, which are not known", relation->alias);
	return 0;
}

static bool is_using(const struct scope *scope, const char *name)
{
	for (int i = 0; scope && i < scope->using_count; i++)
		if (!strcasecmp(scope->using[i], name))
			return true;
	return false;
}

/* A column that a JOIN made one of two is made of both. */
static int add_others(struct columns_reading *r, const struct part_of *of, const char *name, const char *part)
{
	for (int i = 0; i < of->scope->count; i++) {
		const struct made_column *column = relation_find(of->scope->relations[i], name);

		if (column && add_column(r, of, column, part))
			return -1;
	}
	return 0;
}

static bool is_parameter(const struct lambda *lambdas, const char *name)
{
	for (; lambdas; lambdas = lambdas->outer) {
		const struct node *all = node_get(lambdas->parameters, "children");

		if (!strcasecmp(node_text(node_at(node_get(lambdas->parameters, "column_names"), 0), NULL), name))
			return true;
		for (int i = 0; i < node_count(all); i++)
			if (!strcasecmp(node_text(node_at(node_get(node_at(all, i), "column_names"), 0), NULL), name))
				return true;
	}
	return false;
}

/* ret_plain: it is one column as it is. */
static int add_name(struct columns_reading *r, const struct part_of *of, const struct node *names, const char *part,
                    bool *ret_plain)
{
	const struct relation *second;
	struct relation *open;
	struct found found;
	struct name name = {.count = 0};

	*ret_plain = false;
	while (name.count < node_count(names) && name.count < NAMES_MAX) {
		name.names[name.count] = node_text(node_at(names, name.count), NULL);
		name.count++;
	}
	if (!name.count || is_parameter(of->lambdas, name.names[0]))
		return 0;
	if (find_known(of->scope, &name, &found)) {
		part = part_of_name(r, &name, found.used, part);
		*ret_plain = found.column ? found.column->plain : !found.relation->why && !found.relation->any;
		if (!found.column)
			return add_open(r, of, found.relation, name.names[found.used - 1], part);
		if (found.used == 1 && is_using(of->scope, name.names[0]))
			return add_others(r, of, name.names[0], part);
		return add_column(r, of, found.column, part);
	}
	open = find_row(of->scope, name.names[0]);
	if (open)
		return add_row(r, of, open);
	open = find_open(of->scope, &second);
	if (open && second)
		columns_unknown(r, of->column, "%s may be a column of %s or %s, which are not known", name.names[0],
		                second->alias ? second->alias : "a subquery", open->alias ? open->alias : "a subquery");
	else if (!open)
		columns_unknown(r, of->column, "there is no column %s in what it reads", name.names[0]);
	if (!open || second)
		return 0;
	*ret_plain = !open->why && !open->any;
	return add_open(r, of, open, name.names[0], part_of_name(r, &name, 1, part));
}

/* ---- parts of JSON and STRUCT values */

/* "$.a.b", "/a/b" and "a" as "a.b" and "a"; NULL: no constant. */
static const char *path_of(struct columns_reading *r, const struct node *constant)
{
	const struct node *value = node_get(constant, "value");
	const char *text = node_text(value, "value");
	char *path;

	if (!node_is(constant, "class", "CONSTANT"))
		return NULL;
	for (int i = -1; i < 1000 && !*text; i++)
		if (node_number_is(value, "value", i))
			return arena_printf(r->arena, "%d", i);
	if (*text == '$')
		text += 1 + (text[1] == '.');
	path = *text ? arena_text(r->arena, text + (*text == '/')) : NULL;
	for (char *c = path; c && *text == '/' && *c; c++)
		if (*c == '/')
			*c = '.';
	return path;
}

/* What the expression takes a part out of. NULL: it does not. */
static const struct node *taken_from(struct columns_reading *r, const struct node *node, const char **ret_part)
{
	static const char *const functions[] = {"->",
	                                        "->>",
	                                        "json_extract",
	                                        "json_extract_string",
	                                        "json_extract_path",
	                                        "json_extract_path_text",
	                                        "struct_extract",
	                                        "array_extract",
	                                        "map_extract_value"};
	const struct node *children = node_get(node, "children");
	bool takes = (node_is(node, "class", "FUNCTION") &&
	              is_one_of(node_text(node, "function_name"), functions, COUNT_OF(functions))) ||
	             node_is(node, "type", "ARRAY_EXTRACT") || node_is(node, "type", "STRUCT_EXTRACT");

	*ret_part = NULL;
	if (takes && node_count(children) == 2)
		*ret_part = path_of(r, node_at(children, 1));
	else if (node_is(node, "class", "LAMBDA"))
		*ret_part = path_of(r, node_get(node, "expr")); /* j -> 'a' is read as a lambda */
	if (!*ret_part)
		return NULL;
	return node_is(node, "class", "LAMBDA") ? node_get(node, "lhs") : node_at(children, 0);
}

/* The column that is cast, or taken a part out of, until nothing else is left. NULL: it is something else. */
static const struct node *plain_column(struct columns_reading *r, const struct node *node, const char **ret_part)
{
	*ret_part = NULL;
	while (!node_is(node, "class", "COLUMN_REF")) {
		const char *part = NULL;
		const struct node *from = taken_from(r, node, &part);

		if (!from && node_is(node, "class", "CAST"))
			from = node_get(node, "child");
		if (!from)
			return NULL;
		*ret_part = part_join(r->arena, part, *ret_part);
		node = from;
	}
	return node;
}

/* ---- expressions */

static int add_members(struct columns_reading *r, const struct part_of *of, const struct node *node)
{
	for (int i = 0; i < node_count(node); i++)
		if (columns_expression(r, of, node_at(node, i)))
			return -1;
	return 0;
}

static bool is_constant(const struct node *node)
{
	if (node_is(node, "class", "COLUMN_REF") || node_is(node, "class", "SUBQUERY") ||
	    node_is(node, "class", "STAR"))
		return false;
	for (int i = 0; i < node_count(node); i++)
		if (!is_constant(node_at(node, i)))
			return false;
	return true;
}

/* decides: the value is nothing else than what the condition says. */
static struct part_of as_condition(const struct part_of *of, bool decides)
{
	struct part_of condition = *of;

	condition.use = USE_CONDITION;
	condition.through += !decides;
	return condition;
}

static int add_case(struct columns_reading *r, const struct part_of *of, const struct node *node)
{
	const struct node *checks = node_get(node, "case_checks"), *otherwise = node_get(node, "else_expr");
	bool decides = is_constant(otherwise);
	struct part_of condition;

	for (int i = 0; i < node_count(checks); i++)
		decides &= is_constant(node_get(node_at(checks, i), "then_expr"));
	condition = as_condition(of, decides);
	for (int i = 0; i < node_count(checks); i++)
		if (columns_expression(r, &condition, node_get(node_at(checks, i), "when_expr")) ||
		    columns_expression(r, of, node_get(node_at(checks, i), "then_expr")))
			return -1;
	return columns_expression(r, of, otherwise);
}

/* The second argument chooses the row that the first one is taken from. */
static bool chooses(const char *function)
{
	static const char *const names[] = {"arg_max", "argmax",       "max_by",       "arg_min",
	                                    "argmin",  "arg_max_null", "arg_min_null", "min_by"};

	return is_one_of(function, names, COUNT_OF(names));
}

static bool takes_lambda(const char *function)
{
	static const char *const names[] = {"list_transform", "array_transform", "list_apply",   "array_apply",
	                                    "apply",          "list_filter",     "array_filter", "filter",
	                                    "list_reduce",    "array_reduce",    "reduce"};

	return is_one_of(function, names, COUNT_OF(names));
}

static int add_lambda(struct columns_reading *r, const struct part_of *of, const struct node *node)
{
	struct lambda lambda = {.parameters = node_get(node, "lhs"), .outer = of->lambdas};
	struct part_of inner = *of;

	inner.lambdas = &lambda;
	return columns_expression(r, &inner, node_get(node, "expr"));
}

static int add_function(struct columns_reading *r, const struct part_of *of, const struct node *node)
{
	const struct node *children = node_get(node, "children"),
	                  *orders = node_get(node_get(node, "order_bys"), "orders");
	const char *name = node_text(node, "function_name");
	struct part_of condition = as_condition(of, is_constant(children)), choice = as_condition(of, false);

	for (int i = 0; i < node_count(children); i++) {
		const struct node *child = node_at(children, i);
		const struct part_of *as = i == 1 && chooses(name) ? &choice : of;
		bool lambda = node_is(child, "class", "LAMBDA") && takes_lambda(name);

		if (lambda ? add_lambda(r, of, child) : columns_expression(r, as, child))
			return -1;
	}
	for (int i = 0; i < node_count(orders); i++)
		if (columns_expression(r, &choice, node_get(node_at(orders, i), "expression")))
			return -1;
	return columns_expression(r, &condition, node_get(node, "filter"));
}

static int add_window(struct columns_reading *r, const struct part_of *of, const struct node *node)
{
	static const char *const values[] = {"children", "offset_expr", "default_expr"};
	static const char *const conditions[] = {"partitions",  "orders",     "arg_orders",
	                                         "filter_expr", "start_expr", "end_expr"};
	/* A rank is nothing else than its order. */
	struct part_of condition = as_condition(of, is_constant(node_get(node, "children")));

	for (size_t i = 0; i < COUNT_OF(values); i++)
		if (columns_expression(r, of, node_get(node, values[i])))
			return -1;
	for (size_t i = 0; i < COUNT_OF(conditions); i++)
		if (columns_expression(r, &condition, node_get(node, conditions[i])))
			return -1;
	return 0;
}

static int add_subquery(struct columns_reading *r, const struct part_of *of, const struct node *node)
{
	bool exists = strstr(node_text(node, "subquery_type"), "EXISTS") != NULL;
	struct relation *rows =
	        columns_query(r, node_get(node_get(node, "subquery"), "node"), of->scope->queries, of->scope);

	if (!rows || columns_expression(r, of, node_get(node, "child")))
		return -1;
	/* The conditions of rows count one already. */
	if (columns_merge(r, of->column, &rows->rows, USE_CONDITION, of->through - exists))
		return -1;
	if (exists)
		return 0;
	for (int i = 0; i < rows->count; i++)
		if (add_column(r, of, &rows->columns[i], NULL))
			return -1;
	if (relation_is_open(rows))
		columns_unknown(r, of->column, "a subquery of columns that are not known");
	return 0;
}

/* Recursion is as deep as the statement, which DuckDB's parser bounds. */
int columns_expression(struct columns_reading *r, const struct part_of *of, const struct node *expression)
{
	const char *part = NULL;
	const struct node *column = expression ? plain_column(r, expression, &part) : NULL;
	bool plain;

	if (!expression)
		return 0;
	if (column)
		return add_name(r, of, node_get(column, "column_names"), part, &plain);
	if (node_is(expression, "class", "CASE"))
		return add_case(r, of, expression);
	if (node_is(expression, "class", "FUNCTION"))
		return add_function(r, of, expression);
	if (node_is(expression, "class", "WINDOW"))
		return add_window(r, of, expression);
	if (node_is(expression, "class", "SUBQUERY"))
		return add_subquery(r, of, expression);
	if (node_is(expression, "class", "LAMBDA"))
		return columns_expression(r, of, node_get(expression, "lhs")) ||
		                       columns_expression(r, of, node_get(expression, "expr"))
		               ? -1
		               : 0;
	return add_members(r, of, expression);
}

int columns_output(struct columns_reading *r, const struct scope *scope, const struct node *expression,
                   struct made_column *column)
{
	struct part_of of = {.scope = scope, .use = USE_VALUE, .column = column};
	const char *part;
	const struct node *plain = plain_column(r, expression, &part);

	if (plain)
		return add_name(r, &of, node_get(plain, "column_names"), part, &column->plain);
	return columns_expression(r, &of, expression);
}

int columns_condition(struct columns_reading *r, const struct scope *scope, const struct node *expression,
                      struct made_column *rows)
{
	struct part_of of = {.scope = scope, .use = USE_CONDITION, .through = 1, .column = rows};

	return columns_expression(r, &of, expression);
}

int columns_conditions(struct columns_reading *r, const struct scope *scope, const struct node *list,
                       struct made_column *rows)
{
	for (int i = 0; i < node_count(list); i++)
		if (columns_condition(r, scope, node_at(list, i), rows))
			return -1;
	return 0;
}
