#include "layers/casts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query/volatile.h"

#define SQL_MAXIMUM_BYTES ((size_t)16 << 20)
/* What tells the CAST that failed repeats what each CAST and each condition reads: CASTs within CASTs make it grow with
 * the square of their depth, CASEs within conditions with more. Beyond these bounds an expression stays as it is
 * written, and a value that it refuses fails the statement. */
#define FAILURE_BYTES_FREE ((size_t)16 << 10)
#define FAILURE_BYTES_A_BYTE 16
#define CAST_DEPTH_MAX 32

/* The CASTs of the expression at hand that became TRY_CASTs. */
struct tried {
	const struct node *node;
	int site;
	char *sql; /* "TRY_CAST(child AS TYPE)", of nested types "CAST(child AS TYPE)"; owned */
	char *child; /* owned */
};

struct checking {
	struct tree *tree;
	struct duck_connection *connection; /* borrowed */
	const char *column;
	struct cast_sites *sites;
	struct tried *tried; /* owned */
	int tried_count;
	int depth; /* CASTs around the node at hand */
	size_t failure_maximum;
	bool too_large;
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
	       node_is(node, "class", "WINDOW") || node_is(node, "type", "OPERATOR_TRY");
}

/* TRY_CAST of a list of which one element is refused is a list with a NULL: nothing tells that it was refused. */
static bool is_nested(const struct node *cast)
{
	static const char *const ids[] = {"LIST", "ARRAY", "STRUCT", "MAP", "UNION"};

	for (size_t i = 0; i < COUNT_OF(ids); i++)
		if (node_is(node_get(cast, "cast_type"), "id", ids[i]))
			return true;
	return false;
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

static void release_tried(struct checking *c)
{
	for (int i = 0; i < c->tried_count; i++) {
		free(c->tried[i].sql);
		free(c->tried[i].child);
	}
	free(c->tried);
}

static int try_casts(struct checking *c, struct node *node);

static int try_children(struct checking *c, struct node *node)
{
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

/* Recursion is as deep as the expression, which DuckDB's parser bounds. */
static int try_casts(struct checking *c, struct node *node)
{
	int failed;

	if (is_closed(node))
		return 0;
	if (is_cast(node) && !node_true(node, "try_cast") && reads_columns(node_get(node, "child"))) {
		struct node *tried = is_nested(node) ? node_wrap(c->tree, node, "OPERATOR", "OPERATOR_TRY") : node;

		if (!tried)
			return error_no_memory(c->err);
		if (tried == node)
			node_set_true(c->tree, node, "try_cast");
		if (add_site(c, tried))
			return -1;
		node = tried;
	}
	c->depth += is_cast(node);
	c->too_large |= c->depth > CAST_DEPTH_MAX;
	failed = c->too_large ? 0 : try_children(c, node);
	c->depth -= is_cast(node);
	return failed;
}

static const struct tried *find_tried(const struct checking *c, const struct node *node)
{
	for (int i = 0; i < c->tried_count; i++)
		if (c->tried[i].node == node)
			return &c->tried[i];
	return NULL;
}

/* Where the child of "CAST(child AS TYPE)" ends: at the AS that no other parentheses or quotes have around them. */
static const char *find_as(const char *sql)
{
	int depth = 0;
	char quote = 0;

	for (const char *c = sql; *c; c++) {
		if (quote)
			quote = *c == quote ? 0 : quote;
		else if (*c == '\'' || *c == '"')
			quote = *c;
		else if (depth == 1 && !strncmp(c, " AS ", strlen(" AS ")))
			return c;
		else
			depth += (*c == '(' || *c == '[' || *c == '{') - (*c == ')' || *c == ']' || *c == '}');
	}
	return NULL;
}

/* The SQL of each, its child's and its type's: DuckDB is asked once, for asking costs more than all else here. */
static int fill_sql(struct checking *c)
{
	for (int i = 0; i < c->tried_count; i++) {
		struct tried *tried = &c->tried[i];
		const char *call = is_nested(tried->node) ? "CAST(" : "TRY_CAST(", *as;
		OWNED_BUFFER struct buffer sql = {0};
		char **type = &c->sites->sites[tried->site].type;

		buffer_init(&sql, SQL_MAXIMUM_BYTES);
		if (tree_expression_sql(c->tree, c->connection, tried->node, &sql, c->err))
			return -1;
		tried->sql = strdup(buffer_string(&sql));
		if (!tried->sql)
			return error_no_memory(c->err);
		as = find_as(tried->sql);
		if (!as || strncmp(tried->sql, call, strlen(call)))
			return error_set(c->err, ERROR_FATAL, 0, "DuckDB wrote a CAST as %.200s", tried->sql);
		tried->child = strndup(tried->sql + strlen(call), (size_t)(as - tried->sql) - strlen(call));
		as += strlen(" AS ");
		*type = strndup(as, strlen(as) - strlen(")"));
		if (!tried->child || !*type)
			return error_no_memory(c->err);
	}
	return 0;
}

/* ---- what they refuse */

/* Where rows are chosen - by WHERE, HAVING, and between a CASE's branches - DuckDB stops at the operand of AND or OR
 * that decides. Where it computes a value it computes all of them. */
enum context { CONTEXT_VALUE, CONTEXT_CHOICE };

static int failure_of(struct checking *c, const struct node *node, enum context context, struct buffer *out);

/* One more of several failures, with ',' between them: coalesce() of them is the first. */
static void append_one_of(struct checking *c, struct buffer *out, const struct buffer *failure)
{
	if (failure->size)
		buffer_printf(out, "%s%s", out->size ? ", " : "", buffer_string(failure));
	c->too_large |= !buffer_ok(failure) || !buffer_ok(out);
}

static int append_children(struct checking *c, const struct node *node, struct buffer *out)
{
	for (int i = 0; i < node_count(node); i++) {
		OWNED_BUFFER struct buffer failure = {0};

		buffer_init(&failure, c->failure_maximum);
		if (failure_of(c, node_at(node, i), CONTEXT_VALUE, &failure))
			return -1;
		append_one_of(c, out, &failure);
	}
	return 0;
}

/* JSON's null becomes NULL without being refused. */
static void append_cast(struct checking *c, const struct tried *tried, struct buffer *out)
{
	OWNED_BUFFER struct buffer own = {0};

	buffer_init(&own, c->failure_maximum);
	/* The CAST first: of most rows it has a value, and then what it reads is not computed again. */
	buffer_printf(&own,
	              "CASE WHEN %s%s%s IS NULL AND (%s) IS NOT NULL AND NOT (typeof(%s) = 'JSON' AND CAST(%s AS "
	              "VARCHAR) = 'null')",
	              is_nested(tried->node) ? "TRY(" : "", tried->sql, is_nested(tried->node) ? ")" : "", tried->child,
	              tried->child, tried->child);
	buffer_printf(&own, " THEN {'site': %d, 'text': CAST(%s AS VARCHAR)} END", tried->site, tried->child);
	append_one_of(c, out, &own);
}

static int append_sql(struct checking *c, const struct node *node, struct buffer *out)
{
	buffer_char(out, '(');
	if (tree_expression_sql(c->tree, c->connection, node, out, c->err))
		return -1;
	buffer_char(out, ')');
	return 0;
}

/* COALESCE, AND, OR: an operand is reached while what stands before it does not decide, which AND and OR take as a
 * BOOLEAN; where a row is chosen NULL is no more than false, and AND stops at it. Side by side and not one within the
 * other, for there may be more of them than DuckDB lets expressions be nested. */
static int append_lazy(struct checking *c, const struct node *operands, enum context context, const char *decided,
                       struct buffer *out)
{
	OWNED_BUFFER struct buffer all = {0};
	int count = node_count(operands);
	bool choice = context == CONTEXT_CHOICE, any = false;

	buffer_init(&all, c->failure_maximum);
	buffer_text(&all, "CASE ");
	for (int i = 0; i < count; i++) {
		OWNED_BUFFER struct buffer failure = {0}, condition = {0};

		buffer_init(&failure, c->failure_maximum);
		buffer_init(&condition, c->failure_maximum);
		if (failure_of(c, node_at(operands, i), context, &failure) ||
		    append_sql(c, node_at(operands, i), &condition))
			return -1;
		c->too_large |= !buffer_ok(&failure) || !buffer_ok(&condition);
		any |= failure.size > 0;
		if (failure.size)
			buffer_printf(&all, "WHEN coalesce(%s) IS NOT NULL THEN coalesce(%s) ", buffer_string(&failure),
			              buffer_string(&failure));
		if (i + 1 < count)
			buffer_printf(&all, choice ? "WHEN CAST(%s AS BOOLEAN)%s THEN NULL " : "WHEN %s%s THEN NULL ",
			              buffer_string(&condition), decided);
	}
	buffer_text(&all, "END");
	if (any)
		append_one_of(c, out, &all);
	return 0;
}

/* x BETWEEN a AND b is x >= a AND x <= b, and so is b reached where the first holds. Of an x that is another one each
 * time it is asked DuckDB computes all three at once. */
static int append_between(struct checking *c, const struct node *node, struct buffer *out)
{
	const struct node *input = node_get(node, "input"), *lower = node_get(node, "lower");
	OWNED_BUFFER struct buffer first = {0}, second = {0}, x = {0}, a = {0}, all = {0};

	buffer_init(&first, c->failure_maximum);
	buffer_init(&second, c->failure_maximum);
	buffer_init(&x, c->failure_maximum);
	buffer_init(&a, c->failure_maximum);
	buffer_init(&all, c->failure_maximum);
	if (failure_of(c, input, CONTEXT_VALUE, &first) || failure_of(c, lower, CONTEXT_VALUE, &first) ||
	    failure_of(c, node_get(node, "upper"), CONTEXT_VALUE, &second) || append_sql(c, input, &x) ||
	    append_sql(c, lower, &a))
		return -1;
	append_one_of(c, out, &first);
	c->too_large |= !buffer_ok(&second) || !buffer_ok(&x) || !buffer_ok(&a);
	if (second.size)
		buffer_printf(&all, "CASE WHEN %s >= %s THEN coalesce(%s) END", buffer_string(&x), buffer_string(&a),
		              buffer_string(&second));
	append_one_of(c, out, &all);
	return 0;
}

/* What failed of one branch: of its condition, or behind it. */
static int append_branch(struct checking *c, const struct node *check, struct buffer *out, bool *any)
{
	OWNED_BUFFER struct buffer when = {0}, then = {0}, condition = {0};

	buffer_init(&when, c->failure_maximum);
	buffer_init(&then, c->failure_maximum);
	buffer_init(&condition, c->failure_maximum);
	if (failure_of(c, node_get(check, "when_expr"), CONTEXT_CHOICE, &when) ||
	    failure_of(c, node_get(check, "then_expr"), CONTEXT_VALUE, &then) ||
	    append_sql(c, node_get(check, "when_expr"), &condition))
		return -1;
	c->too_large |= !buffer_ok(&when) || !buffer_ok(&then) || !buffer_ok(&condition);
	if (when.size)
		buffer_printf(out, "WHEN coalesce(%s) IS NOT NULL THEN coalesce(%s) ", buffer_string(&when),
		              buffer_string(&when));
	buffer_printf(out, "WHEN %s THEN ", buffer_string(&condition));
	buffer_printf(out, then.size ? "coalesce(%s) " : "NULL%s ", then.size ? buffer_string(&then) : "");
	*any |= when.size || then.size;
	return 0;
}

static int append_case(struct checking *c, const struct node *node, struct buffer *out)
{
	const struct node *checks = node_get(node, "case_checks");
	OWNED_BUFFER struct buffer all = {0}, otherwise = {0};
	bool any = false;

	buffer_init(&all, c->failure_maximum);
	buffer_init(&otherwise, c->failure_maximum);
	buffer_text(&all, "CASE ");
	for (int i = 0; i < node_count(checks); i++)
		if (append_branch(c, node_at(checks, i), &all, &any))
			return -1;
	if (failure_of(c, node_get(node, "else_expr"), CONTEXT_VALUE, &otherwise))
		return -1;
	c->too_large |= !buffer_ok(&otherwise);
	any |= otherwise.size > 0;
	if (otherwise.size)
		buffer_printf(&all, "ELSE coalesce(%s) ", buffer_string(&otherwise));
	buffer_text(&all, "END");
	if (any)
		append_one_of(c, out, &all);
	return 0;
}

static int failure_of(struct checking *c, const struct node *node, enum context context, struct buffer *out)
{
	const struct node *children = node_get(node, "children");
	bool choice = context == CONTEXT_CHOICE;
	const struct tried *tried = find_tried(c, node);

	/* What Tarn put into a TRY of its own. */
	if (node_is(node, "type", "OPERATOR_TRY") && find_tried(c, node_at(children, 0)))
		return failure_of(c, node_at(children, 0), CONTEXT_VALUE, out);
	if (c->too_large || !node_count(node) || is_closed(node))
		return 0;
	if (node_is(node, "class", "CASE"))
		return append_case(c, node, out);
	if (node_is(node, "type", "OPERATOR_COALESCE") || node_is(node, "function_name", "nvl"))
		return append_lazy(c, children, CONTEXT_VALUE, " IS NOT NULL", out);
	if (choice && node_is(node, "type", "CONJUNCTION_AND"))
		return append_lazy(c, children, context, " IS DISTINCT FROM true", out);
	if (choice && node_is(node, "type", "CONJUNCTION_OR"))
		return append_lazy(c, children, context, " IS NOT DISTINCT FROM true", out);
	if (choice && node_is(node, "type", "COMPARE_BETWEEN") && !volatile_has(node_get(node, "input")))
		return append_between(c, node, out);
	if (append_children(c, node, out))
		return -1;
	if (tried)
		append_cast(c, tried, out);
	return 0;
}

/* ---- whether the value tells */

static bool has_tried(const struct checking *c, const struct node *node)
{
	if (find_tried(c, node))
		return true;
	for (int i = 0; i < node_count(node); i++)
		if (has_tried(c, node_at(node, i)))
			return true;
	return false;
}

/* CASTs, one within the other or in the branches of a CASE: NULL comes through. */
static bool is_null_when_refused(const struct checking *c, const struct node *node)
{
	const struct node *checks = node_get(node, "case_checks");

	if (!has_tried(c, node))
		return true;
	if (node_is(node, "type", "OPERATOR_TRY"))
		return is_null_when_refused(c, node_at(node_get(node, "children"), 0));
	if (find_tried(c, node))
		return is_null_when_refused(c, node_get(node, "child"));
	if (!node_is(node, "class", "CASE"))
		return false;
	for (int i = 0; i < node_count(checks); i++)
		if (has_tried(c, node_get(node_at(checks, i), "when_expr")) ||
		    !is_null_when_refused(c, node_get(node_at(checks, i), "then_expr")))
			return false;
	return is_null_when_refused(c, node_get(node, "else_expr"));
}

/* ---- both */

/* As it is written. */
static int leave(struct checking *c, const struct node *expression, struct buffer *value, struct buffer *failure)
{
	struct node *copy = tree_copy(c->tree, expression);

	if (!copy)
		return error_no_memory(c->err);
	node_drop_alias(c->tree, copy);
	buffer_clear(value);
	buffer_clear(failure);
	return tree_expression_sql(c->tree, c->connection, copy, value, c->err);
}

static int check_each(struct checking *c, struct node *copy, bool condition, struct buffer *value,
                      struct buffer *failure)
{
	if (try_casts(c, copy))
		return -1;
	if (c->too_large)
		return 0;
	if (fill_sql(c) || tree_expression_sql(c->tree, c->connection, copy, value, c->err))
		return -1;
	c->failure_maximum = FAILURE_BYTES_FREE + FAILURE_BYTES_A_BYTE * value->size;
	return failure_of(c, copy, condition ? CONTEXT_CHOICE : CONTEXT_VALUE, failure);
}

int casts_check(struct tree *tree, struct duck_connection *connection, const struct node *expression,
                const char *column, bool condition, struct cast_sites *sites, struct checked_sql *ret_checked,
                struct error *err)
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
	failed = check_each(&c, copy, condition, &value, &failure);
	if (!failed && c.too_large)
		failed = leave(&c, expression, &value, &failure);
	ret_checked->null_when_refused = !c.too_large && is_null_when_refused(&c, copy);
	release_tried(&c);
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
