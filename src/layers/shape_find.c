/*
 * shape_find.c - what stands anywhere in an expression or a SELECT.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "layers/shape_private.h"

const struct node *shape_find_class(const struct node *node, const char *class)
{
	const struct node *found = NULL;

	if (node_is(node, "class", class))
		return node;
	for (int i = 0; !found && i < node_count(node); i++)
		found = shape_find_class(node_at(node, i), class);
	return found;
}

/* unnest(), and DuckDB's macros that call it. In a subquery it makes no rows of these. */
bool shape_multiplies(const struct node *node)
{
	static const char *const functions[] = {"unnest", "unlist", "generate_subscripts", "regexp_split_to_table"};

	if (node_is(node, "class", "SUBQUERY"))
		return false;
	for (size_t i = 0; node_is(node, "class", "FUNCTION") && i < COUNT_OF(functions); i++)
		if (!strcasecmp(node_text(node, "function_name"), functions[i]))
			return true;
	for (int i = 0; i < node_count(node); i++)
		if (shape_multiplies(node_at(node, i)))
			return true;
	return false;
}

/* Not in subqueries, which aggregate for themselves. */
const struct node *shape_find_aggregate(const struct reading *r, const struct node *node)
{
	const struct node *found = NULL;

	if (node_is(node, "class", "SUBQUERY") || node_is(node, "class", "WINDOW"))
		return NULL;
	if (node_is(node, "class", "FUNCTION") && function_aggregates(r->functions, node_text(node, "function_name")))
		return node;
	for (int i = 0; !found && i < node_count(node); i++)
		found = shape_find_aggregate(r, node_at(node, i));
	return found;
}

const struct node *shape_find_varying(const struct reading *r, const struct node *node)
{
	const struct node *found = NULL;

	if (node_varies(r->functions, node))
		return node;
	for (int i = 0; !found && i < node_count(node); i++)
		found = shape_find_varying(r, node_at(node, i));
	return found;
}

/* Does a FROM in it call something by that name? */
static bool calls_table(const struct node *node, const char *name)
{
	const char *alias = node_text(node, "alias"), *called = *alias ? alias : node_text(node, "table_name");

	if (!*node_text(node, "class") && *called && *node_text(node, "type") && !strcasecmp(called, name))
		return true;
	for (int i = 0; i < node_count(node); i++)
		if (calls_table(node_at(node, i), name))
			return true;
	return false;
}

bool shape_collates(const struct node *node)
{
	if (node_is(node, "class", "COLLATE"))
		return true;
	for (int i = 0; i < node_count(node); i++) {
		const char *key = node_key(node, i);

		if ((!key || strcmp(key, "where_clause") != 0) && shape_collates(node_at(node, i)))
			return true;
	}
	return false;
}

bool shape_names_column(const struct node *node, const char *name)
{
	const struct node *names = node_get(node, "column_names");

	if (node_is(node, "class", "COLUMN_REF") && node_count(names) &&
	    !strcasecmp(node_text(node_at(names, node_count(names) - 1), NULL), name))
		return true;
	for (int i = 0; i < node_count(node); i++)
		if (shape_names_column(node_at(node, i), name))
			return true;
	return false;
}

/* to_json(t), hash(t): the name of a table where a column's would be. */
static bool reads_row(const struct node *root, const struct node *node)
{
	const struct node *names = node_get(node, "column_names");

	if (node_is(node, "class", "COLUMN_REF") && node_count(names) &&
	    calls_table(root, node_text(node_at(names, node_count(names) - 1), NULL)))
		return true;
	for (int i = 0; i < node_count(node); i++)
		if (reads_row(root, node_at(node, i)))
			return true;
	return false;
}

bool shape_reads_rows(const struct node *root)
{
	return reads_row(root, root);
}

const char *shape_varying_name(const struct node *varying)
{
	return node_is(varying, "class", "FUNCTION") ? node_text(varying, "function_name")
	                                             : node_text(node_at(node_get(varying, "column_names"), 0), NULL);
}

int64_t shape_location(const struct node *expression)
{
	int64_t location = node_location(expression);

	for (int i = 0; location < 0 && i < node_count(expression); i++)
		location = shape_location(node_at(expression, i));
	return location;
}

/* Which of the first `count` items the name is the alias of; -1: none. An item that has a column of its alias in it
 * tells that there is one, which goes before. */
static int alias_of(const struct node *node, const struct node *items, int count)
{
	const struct node *names = node_get(node, "column_names");

	for (int i = 0; node_is(node, "class", "COLUMN_REF") && node_count(names) == 1 && i < count; i++) {
		const char *alias = node_text(node_at(items, i), "alias");

		if (*alias && !strcasecmp(alias, node_text(node_at(names, 0), NULL)) &&
		    !shape_names_column(node_at(items, i), alias))
			return i;
	}
	return -1;
}

static bool casts_something(const struct node *node, const struct node *items, const bool *casts, int count,
                            bool (*is_column)(const void *context, const struct node *node), const void *context)
{
	int item = alias_of(node, items, count);

	if (is_column && is_column(context, node))
		return false;
	if (node_is(node, "class", "CAST") || (item >= 0 && casts[item]))
		return true;
	for (int i = 0; i < node_count(node); i++)
		if (casts_something(node_at(node, i), items, casts, count, is_column, context))
			return true;
	return false;
}

bool *shape_find_casts(const struct node *items, bool (*is_column)(const void *context, const struct node *node),
                       const void *context)
{
	bool *casts = calloc((size_t)node_count(items) + 1, sizeof *casts);

	for (int i = 0; casts && i < node_count(items); i++)
		casts[i] = casts_something(node_at(items, i), items, casts, i, is_column, context);
	return casts;
}

const char *shape_cast_alias(const struct node *node, const struct node *items, const bool *casts)
{
	int item = alias_of(node, items, node_count(items));

	return item >= 0 && casts[item] ? node_text(node_at(items, item), "alias") : NULL;
}
