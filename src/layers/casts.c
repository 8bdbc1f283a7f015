#include "layers/casts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SQL_MAXIMUM_BYTES ((size_t)16 << 20)

/* The CASTs of the expression at hand that became TRY_CASTs. */
struct tried {
	const struct node *node;
	int site;
};

struct checking {
	struct tree *tree;
	struct duck_connection *connection; /* borrowed */
	const char *column;
	struct cast_sites *sites;
	struct tried *tried; /* owned */
	int tried_count;
	struct error *err;
};

void cast_sites_release(struct cast_sites *sites)
{
	for (int i = 0; i < sites->count; i++) {
		free(sites->sites[i].column);
		free(sites->sites[i].type);
	}
	free(sites->sites);
	*sites = (struct cast_sites){0};
}

void checked_sql_release(struct checked_sql *checked)
{
	free(checked->value);
	free(checked->failure);
	*checked = (struct checked_sql){0};
}

/* ---- which CASTs */

static bool is_closed(const struct node *node)
{
	return node_is(node, "class", "SUBQUERY") || node_is(node, "class", "LAMBDA") ||
	       node_is(node, "class", "WINDOW");
}

static bool is_cast(const struct node *node)
{
	return node_is(node, "class", "CAST");
}

/* A CAST of constants alone is the same for each row: it is the author's mistake, not the row's. */
static bool reads_columns(const struct node *node)
{
	if (node_is(node, "class", "COLUMN_REF") || node_is(node, "class", "STAR"))
		return true;
	for (int i = 0; i < node_count(node); i++)
		if (reads_columns(node_at(node, i)))
			return true;
	return false;
}

static int add_site(struct checking *c, const struct node *node)
{
	struct cast_sites *sites = c->sites;
	struct cast_site *more = realloc(sites->sites, (size_t)(sites->count + 1) * sizeof *more);
	struct tried *tried = more ? realloc(c->tried, (size_t)(c->tried_count + 1) * sizeof *tried) : NULL;

	if (more)
		sites->sites = more;
	if (tried)
		c->tried = tried;
	if (!more || !tried)
		return error_no_memory(c->err);
	more[sites->count] = (struct cast_site){.column = strdup(c->column), .location = node_location(node)};
	tried[c->tried_count++] = (struct tried){.node = node, .site = sites->count};
	if (!more[sites->count++].column)
		return error_no_memory(c->err);
	return 0;
}

/* Recursion is as deep as the expression, which DuckDB's parser bounds. */
static int try_casts(struct checking *c, struct node *node)
{
	if (is_closed(node))
		return 0;
	if (is_cast(node) && !node_true(node, "try_cast") && reads_columns(node_get(node, "child"))) {
		if (add_site(c, node))
			return -1;
		node_set_true(c->tree, node, "try_cast");
	}
	for (int i = 0; i < node_count(node); i++) {
		const char *column = c->column;
		int failed;

		/* REPLACE (... AS name) */
		if (*node_text(node, "key"))
			c->column = node_text(node, "key");
		failed = try_casts(c, node_at(node, i));
		c->column = column;
		if (failed)
			return -1;
	}
	return 0;
}

static int site_of(const struct checking *c, const struct node *node)
{
	for (int i = 0; i < c->tried_count; i++)
		if (c->tried[i].node == node)
			return c->tried[i].site;
	return -1;
}

/* ---- what they refuse */

static int failure_of(struct checking *c, const struct node *node, struct buffer *out);

static int append_sql(struct checking *c, const struct node *node, struct buffer *out)
{
	buffer_char(out, '(');
	if (tree_expression_sql(c->tree, c->connection, node, out, c->err))
		return -1;
	buffer_char(out, ')');
	return 0;
}

/* One more of several failures, with ',' between them: coalesce() of them is the first. */
static void append_one_of(struct buffer *out, const struct buffer *failure)
{
	if (failure->size)
		buffer_printf(out, "%s%s", out->size ? ", " : "", buffer_string(failure));
}

static int append_children(struct checking *c, const struct node *node, struct buffer *out)
{
	for (int i = 0; i < node_count(node); i++) {
		OWNED_BUFFER struct buffer failure = {0};

		buffer_init(&failure, SQL_MAXIMUM_BYTES);
		if (failure_of(c, node_at(node, i), &failure))
			return -1;
		append_one_of(out, &failure);
	}
	return 0;
}

/* JSON's null becomes NULL without being refused. */
static int append_cast(struct checking *c, const struct node *node, int site, struct buffer *out)
{
	OWNED_BUFFER struct buffer child = {0}, whole = {0}, own = {0};

	buffer_init(&child, SQL_MAXIMUM_BYTES);
	buffer_init(&whole, SQL_MAXIMUM_BYTES);
	buffer_init(&own, SQL_MAXIMUM_BYTES);
	if (append_sql(c, node_get(node, "child"), &child) || append_sql(c, node, &whole))
		return -1;
	buffer_printf(&own,
	              "CASE WHEN %s IS NOT NULL AND %s IS NULL AND NOT (typeof(%s) = 'JSON' AND CAST(%s AS VARCHAR) = "
	              "'null') THEN {'site': %d, 'text': CAST(%s AS VARCHAR)} END",
	              buffer_string(&child), buffer_string(&whole), buffer_string(&child), buffer_string(&child), site,
	              buffer_string(&child));
	append_one_of(out, &own);
	return buffer_ok(&own) && buffer_ok(out) ? 0 : error_no_memory(c->err);
}

/* `failure` counts only where `condition` holds. */
static void append_where(struct buffer *out, const char *condition, const struct buffer *failure)
{
	OWNED_BUFFER struct buffer guarded = {0};

	if (!failure->size)
		return;
	buffer_init(&guarded, SQL_MAXIMUM_BYTES);
	buffer_printf(&guarded, "CASE WHEN %s THEN coalesce(%s) END", condition, buffer_string(failure));
	append_one_of(out, &guarded);
}

/* COALESCE, AND, OR: children behind the first are reached while what stands before them does not decide. */
static int append_lazy(struct checking *c, const struct node *children, int from, const char *undecided,
                       struct buffer *out)
{
	OWNED_BUFFER struct buffer first = {0}, rest = {0}, condition = {0};

	buffer_init(&first, SQL_MAXIMUM_BYTES);
	buffer_init(&rest, SQL_MAXIMUM_BYTES);
	buffer_init(&condition, SQL_MAXIMUM_BYTES);
	if (from >= node_count(children))
		return 0;
	if (failure_of(c, node_at(children, from), &first) || append_lazy(c, children, from + 1, undecided, &rest) ||
	    append_sql(c, node_at(children, from), &condition))
		return -1;
	buffer_text(&condition, undecided);
	append_one_of(out, &first);
	append_where(out, buffer_string(&condition), &rest);
	return 0;
}

/* CASE WHEN w THEN t ... ELSE e END, from its check `from` on. */
static int append_case(struct checking *c, const struct node *node, int from, struct buffer *out)
{
	const struct node *checks = node_get(node, "case_checks"), *check = node_at(checks, from);
	OWNED_BUFFER struct buffer when = {0}, then = {0}, rest = {0}, condition = {0}, opposite = {0};

	buffer_init(&when, SQL_MAXIMUM_BYTES);
	buffer_init(&then, SQL_MAXIMUM_BYTES);
	buffer_init(&rest, SQL_MAXIMUM_BYTES);
	buffer_init(&condition, SQL_MAXIMUM_BYTES);
	buffer_init(&opposite, SQL_MAXIMUM_BYTES);
	if (from >= node_count(checks))
		return node_get(node, "else_expr") ? failure_of(c, node_get(node, "else_expr"), out) : 0;
	if (failure_of(c, node_get(check, "when_expr"), &when) || failure_of(c, node_get(check, "then_expr"), &then) ||
	    append_case(c, node, from + 1, &rest) || append_sql(c, node_get(check, "when_expr"), &condition))
		return -1;
	append_one_of(out, &when);
	append_where(out, buffer_string(&condition), &then);
	buffer_printf(&opposite, "%s IS DISTINCT FROM true", buffer_string(&condition));
	append_where(out, buffer_string(&opposite), &rest);
	return 0;
}

static int failure_of(struct checking *c, const struct node *node, struct buffer *out)
{
	int site;

	if (!node_count(node) || is_closed(node))
		return 0;
	if (node_is(node, "class", "CASE"))
		return append_case(c, node, 0, out);
	if (node_is(node, "type", "OPERATOR_COALESCE"))
		return append_lazy(c, node_get(node, "children"), 0, " IS NULL", out);
	if (node_is(node, "type", "CONJUNCTION_AND"))
		return append_lazy(c, node_get(node, "children"), 0, " IS DISTINCT FROM false", out);
	if (node_is(node, "type", "CONJUNCTION_OR"))
		return append_lazy(c, node_get(node, "children"), 0, " IS DISTINCT FROM true", out);
	site = site_of(c, node);
	if (append_children(c, node, out))
		return -1;
	return site < 0 ? 0 : append_cast(c, node, site, out);
}

/* ---- types */

/* "CAST(NULL AS TYPE)" without what stands around the type: the SQL of a CAST ends with it. */
static int fill_types(struct checking *c)
{
	for (int i = 0; i < c->tried_count; i++) {
		OWNED_BUFFER struct buffer whole = {0}, child = {0};
		const char *sql;
		size_t before;

		buffer_init(&whole, SQL_MAXIMUM_BYTES);
		buffer_init(&child, SQL_MAXIMUM_BYTES);
		if (tree_expression_sql(c->tree, c->connection, c->tried[i].node, &whole, c->err) ||
		    tree_expression_sql(c->tree, c->connection, node_get(c->tried[i].node, "child"), &child, c->err))
			return -1;
		sql = buffer_string(&whole);
		before = strlen("TRY_CAST(") + child.size + strlen(" AS ");
		if (whole.size <= before + 1 || strncmp(sql, "TRY_CAST(", strlen("TRY_CAST(")))
			return error_set(c->err, ERROR_FATAL, 0, "DuckDB wrote a CAST as %.200s", sql);
		c->sites->sites[c->tried[i].site].type = strndup(sql + before, whole.size - before - 1);
		if (!c->sites->sites[c->tried[i].site].type)
			return error_no_memory(c->err);
	}
	return 0;
}

int casts_check(struct tree *tree, struct duck_connection *connection, const struct node *expression,
                const char *column, struct cast_sites *sites, struct checked_sql *ret_checked, struct error *err)
{
	struct checking c = {.tree = tree, .connection = connection, .column = column, .sites = sites, .err = err};
	struct node *copy = tree_copy(tree, expression);
	OWNED_BUFFER struct buffer value = {0}, failure = {0};
	int failed;

	*ret_checked = (struct checked_sql){0};
	if (!copy)
		return error_no_memory(err);
	buffer_init(&value, SQL_MAXIMUM_BYTES);
	buffer_init(&failure, SQL_MAXIMUM_BYTES);
	node_drop_alias(tree, copy);
	failed = try_casts(&c, copy) || fill_types(&c) || tree_expression_sql(tree, connection, copy, &value, err) ||
	         failure_of(&c, copy, &failure);
	free(c.tried);
	if (failed)
		return -1;
	ret_checked->value = strdup(buffer_string(&value));
	if (failure.size && asprintf(&ret_checked->failure, "coalesce(%s)", buffer_string(&failure)) < 0)
		ret_checked->failure = NULL;
	if (ret_checked->value && (ret_checked->failure || !failure.size))
		return 0;
	checked_sql_release(ret_checked);
	return error_no_memory(err);
}
