#include "query/tree.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yyjson.h>

#include "lake/duck.h"

#define SQL_MAXIMUM_BYTES ((size_t)16 << 20)
#define UNKNOWN_LOCATION UINT64_MAX

struct tree {
	yyjson_mut_doc *doc;
	struct node *statement, *root;
};

static yyjson_mut_val *value(const struct node *node)
{
	return (yyjson_mut_val *)(uintptr_t)node;
}

static struct node *as_node(yyjson_mut_val *val)
{
	return (struct node *)val;
}

/* ---- parsing */

static int line_at(const char *sql, int64_t position)
{
	int line = 1;

	for (int64_t i = 0; i < position && sql[i]; i++)
		line += sql[i] == '\n';
	return line;
}

/* {"error": true, "error_type": ..., "error_message": ..., "position": "13"} */
static enum tree_fault refused(const char *sql, yyjson_mut_val *root, int *ret_line, struct error *err)
{
	const char *message = yyjson_mut_get_str(yyjson_mut_obj_get(root, "error_message"));
	const char *position = yyjson_mut_get_str(yyjson_mut_obj_get(root, "position"));

	*ret_line = position ? line_at(sql, strtoll(position, NULL, 10)) : 0;
	if (message && strstr(message, "Only SELECT")) {
		error_set(err, ERROR_INVALID, 0, "is not a SELECT; would be one SELECT");
		return TREE_OTHER;
	}
	if (message && (!strncmp(message, "memory exhausted", 16) || strstr(message, "expression depth"))) {
		error_set(err, ERROR_INVALID, 0, "is nested too deeply");
		return TREE_DEPTH;
	}
	error_set(err, ERROR_INVALID, 0, "%s", message ? message : "DuckDB does not parse it");
	return TREE_SYNTAX;
}

static enum tree_fault take_root(struct tree *tree, const char *sql, int *ret_line, struct error *err)
{
	yyjson_mut_val *root = yyjson_mut_doc_get_root(tree->doc), *statements;

	if (yyjson_mut_get_bool(yyjson_mut_obj_get(root, "error")))
		return refused(sql, root, ret_line, err);
	statements = yyjson_mut_obj_get(root, "statements");
	if (yyjson_mut_arr_size(statements) == 1)
		tree->statement = as_node(yyjson_mut_arr_get_first(statements));
	tree->root = node_get(tree->statement, "node");
	if (tree->root)
		return TREE_PARSED;
	error_set(err, ERROR_INVALID, 0, "%s; would be one SELECT",
	          yyjson_mut_arr_size(statements) ? "has several statements" : "has no statement");
	return TREE_COUNT;
}

/* A number that is 1e999 has no JSON that DuckDB takes back: CAST('inf' AS DOUBLE) is the same. */
#define INFINITE_TYPE "{\"id\":\"DOUBLE\",\"type_info\":null}"
#define INFINITE_TEXT                                                                                                  \
	"{\"class\":\"CONSTANT\",\"type\":\"VALUE_CONSTANT\",\"alias\":\"\",\"value\":{\"type\":{\"id\":\"VARCHAR\","  \
	"\"type_info\":null},\"is_null\":false,\"value\":\"%sinf\"}}"

static bool spell_constant(struct tree *tree, struct node *constant, bool negative)
{
	char text[sizeof INFINITE_TEXT];
	struct node *child, *type = tree_value(tree, INFINITE_TYPE), *class = tree_value(tree, "\"CAST\""),
	                    *cast = tree_value(tree, "\"OPERATOR_CAST\""), *try_cast = tree_value(tree, "false");

	snprintf(text, sizeof text, INFINITE_TEXT, negative ? "-" : "");
	child = tree_value(tree, text);
	yyjson_mut_obj_remove_key(value(constant), "value");
	return child && type && class && cast && try_cast && !node_set(tree, constant, "class", class) &&
	       !node_set(tree, constant, "type", cast) && !node_set(tree, constant, "child", child) &&
	       !node_set(tree, constant, "cast_type", type) && !node_set(tree, constant, "try_cast", try_cast);
}

static bool spell_infinities(struct tree *tree, struct node *node)
{
	yyjson_mut_val *number = value(node_get(node_get(node, "value"), "value"));
	struct node_iterator iterator;
	struct node *member;
	const char *key;

	if (node_is(node, "class", "CONSTANT"))
		return !yyjson_mut_is_real(number) || !isinf(yyjson_mut_get_real(number)) ||
		       spell_constant(tree, node, yyjson_mut_get_real(number) < 0);
	node_iterate(&iterator, node);
	while ((member = node_next(&iterator, &key)))
		if (!spell_infinities(tree, member))
			return false;
	return true;
}

enum tree_fault tree_read(struct duck_connection *connection, const char *sql, struct tree **ret_tree, int *ret_line,
                          struct error *err)
{
	OWNED_TREE struct tree *tree = calloc(1, sizeof *tree);
	OWNED_BUFFER struct buffer json = {0};
	enum tree_fault fault;
	yyjson_doc *doc;

	*ret_line = 0;
	buffer_init(&json, BUFFER_DEFAULT_MAXIMUM);
	if (!tree) {
		error_no_memory(err);
		return TREE_FAILED;
	}
	if (duck_parse(connection, sql, &json, err))
		return TREE_FAILED;
	/* DuckDB writes 1e999 as Infinity, which it does not read. */
	doc = yyjson_read(buffer_string(&json), json.size, YYJSON_READ_ALLOW_INF_AND_NAN);
	tree->doc = yyjson_doc_mut_copy(doc, NULL);
	yyjson_doc_free(doc);
	if (!tree->doc) {
		error_no_memory(err);
		return TREE_FAILED;
	}
	fault = take_root(tree, sql, ret_line, err);
	if (fault == TREE_PARSED && strstr(buffer_string(&json), "Infinity") &&
	    !spell_infinities(tree, tree->statement)) {
		error_no_memory(err);
		return TREE_FAILED;
	}
	if (fault == TREE_PARSED)
		*ret_tree = TAKE(tree);
	return fault;
}

struct tree *tree_parse(struct duck_connection *connection, const char *sql, int *ret_line, struct error *err)
{
	struct tree *tree;

	return tree_read(connection, sql, &tree, ret_line, err) == TREE_PARSED ? tree : NULL;
}

void tree_free(struct tree *tree)
{
	if (!tree)
		return;
	yyjson_mut_doc_free(tree->doc);
	free(tree);
}

void tree_freep(struct tree **tree)
{
	tree_free(*tree);
}

struct node *tree_root(struct tree *tree)
{
	return tree->root;
}

struct node *tree_statement(const struct tree *tree)
{
	return tree->statement;
}

/* ---- looking */

struct node *node_get(const struct node *node, const char *name)
{
	yyjson_mut_val *val = yyjson_mut_obj_get(value(node), name);

	return yyjson_mut_is_null(val) ? NULL : as_node(val);
}

const char *node_text(const struct node *node, const char *name)
{
	yyjson_mut_val *val = name ? yyjson_mut_obj_get(value(node), name) : value(node);
	const char *text = yyjson_mut_get_str(val);

	return text ? text : "";
}

bool node_is(const struct node *node, const char *name, const char *text)
{
	return !strcmp(node_text(node, name), text);
}

bool node_number_is(const struct node *node, const char *name, int number)
{
	yyjson_mut_val *val = yyjson_mut_obj_get(value(node), name);

	return yyjson_mut_is_int(val) && yyjson_mut_get_sint(val) == number;
}

bool node_true(const struct node *node, const char *name)
{
	return yyjson_mut_get_bool(yyjson_mut_obj_get(value(node), name));
}

int node_count(const struct node *list)
{
	return (int)yyjson_mut_get_len(value(list)) * (yyjson_mut_is_ctn(value(list)) ? 1 : 0);
}

struct node *node_at(const struct node *list, int index)
{
	yyjson_mut_val *list_value = value(list);
	yyjson_mut_obj_iter members;
	yyjson_mut_val *key = NULL;

	if (yyjson_mut_is_arr(list_value))
		return as_node(yyjson_mut_arr_get(list_value, (size_t)index));
	yyjson_mut_obj_iter_init(list_value, &members);
	for (int i = 0; i <= index; i++)
		key = yyjson_mut_obj_iter_next(&members);
	return key ? as_node(yyjson_mut_obj_iter_get_val(key)) : NULL;
}

const char *node_key(const struct node *object, int index)
{
	yyjson_mut_obj_iter members;
	yyjson_mut_val *key = NULL;

	if (!yyjson_mut_is_obj(value(object)))
		return NULL;
	yyjson_mut_obj_iter_init(value(object), &members);
	for (int i = 0; i <= index; i++)
		key = yyjson_mut_obj_iter_next(&members);
	return yyjson_mut_get_str(key);
}

_Static_assert(sizeof(yyjson_mut_arr_iter) <= sizeof(size_t[6]), "an iterator's state is too small");
_Static_assert(sizeof(yyjson_mut_obj_iter) <= sizeof(size_t[6]), "an iterator's state is too small");

void node_iterate(struct node_iterator *iterator, const struct node *container)
{
	yyjson_mut_obj_iter members = {0};
	yyjson_mut_arr_iter values = {0};

	iterator->object = yyjson_mut_is_obj(value(container));
	if (iterator->object) {
		yyjson_mut_obj_iter_init(value(container), &members);
		memcpy(iterator->state, &members, sizeof members);
	} else {
		yyjson_mut_arr_iter_init(value(container), &values);
		memcpy(iterator->state, &values, sizeof values);
	}
}

struct node *node_next(struct node_iterator *iterator, const char **ret_key)
{
	yyjson_mut_obj_iter members;
	yyjson_mut_arr_iter values;
	yyjson_mut_val *next;

	*ret_key = NULL;
	if (iterator->object) {
		memcpy(&members, iterator->state, sizeof members);
		next = yyjson_mut_obj_iter_next(&members);
		memcpy(iterator->state, &members, sizeof members);
		*ret_key = yyjson_mut_get_str(next);
		return as_node(yyjson_mut_obj_iter_get_val(next));
	}
	memcpy(&values, iterator->state, sizeof values);
	next = yyjson_mut_arr_iter_next(&values);
	memcpy(iterator->state, &values, sizeof values);
	return as_node(next);
}

enum node_form node_form(const struct node *node)
{
	yyjson_mut_val *val = value(node);

	if (!val || yyjson_mut_is_null(val))
		return NODE_NULL;
	if (yyjson_mut_is_obj(val))
		return NODE_OBJECT;
	return yyjson_mut_is_arr(val) ? NODE_LIST : NODE_PLAIN;
}

bool node_is_blank(const struct node *node)
{
	yyjson_mut_val *val = value(node);

	return node_form(node) == NODE_NULL || yyjson_mut_is_false(val) ||
	       (!yyjson_mut_is_true(val) && !yyjson_mut_is_num(val) && yyjson_mut_get_len(val) == 0);
}

int64_t node_location(const struct node *node)
{
	yyjson_mut_val *location = yyjson_mut_obj_get(value(node), "query_location");

	if (!yyjson_mut_is_uint(location) || yyjson_mut_get_uint(location) == UNKNOWN_LOCATION)
		return -1;
	return (int64_t)yyjson_mut_get_uint(location);
}

static bool is_incidental(const char *key)
{
	return !strcmp(key, "alias") || !strcmp(key, "query_location");
}

/* The names of a column without the table's. */
static int first_name(const struct node *names, const char *table)
{
	return table && node_count(names) > 1 && !strcasecmp(node_text(node_at(names, 0), NULL), table);
}

static bool equal_columns(const struct node *a, const struct node *b, const char *table)
{
	int i = first_name(a, table), k = first_name(b, table);

	if (node_count(a) - i != node_count(b) - k)
		return false;
	for (; i < node_count(a); i++, k++)
		if (strcasecmp(node_text(node_at(a, i), NULL), node_text(node_at(b, k), NULL)) != 0)
			return false;
	return true;
}

static bool equal_objects(yyjson_mut_val *a, yyjson_mut_val *b, const char *table)
{
	yyjson_mut_obj_iter members = yyjson_mut_obj_iter_with(a);
	yyjson_mut_val *key;

	if (node_is(as_node(a), "class", "COLUMN_REF") && node_is(as_node(b), "class", "COLUMN_REF"))
		return equal_columns(node_get(as_node(a), "column_names"), node_get(as_node(b), "column_names"), table);
	if (yyjson_mut_obj_size(a) != yyjson_mut_obj_size(b))
		return false;
	while ((key = yyjson_mut_obj_iter_next(&members))) {
		const char *name = yyjson_mut_get_str(key);

		if (!is_incidental(name) && !node_equals(as_node(yyjson_mut_obj_iter_get_val(key)),
		                                         as_node(yyjson_mut_obj_get(b, name)), table))
			return false;
	}
	return true;
}

bool node_equals(const struct node *a, const struct node *b, const char *table)
{
	yyjson_mut_val *x = value(a), *y = value(b);

	if (!x || !y)
		return x == y;
	if (yyjson_mut_is_obj(x) && yyjson_mut_is_obj(y))
		return equal_objects(x, y, table);
	if (!yyjson_mut_is_arr(x) || !yyjson_mut_is_arr(y))
		return yyjson_mut_equals(x, y);
	if (yyjson_mut_arr_size(x) != yyjson_mut_arr_size(y))
		return false;
	for (int i = 0; i < node_count(a); i++)
		if (!node_equals(node_at(a, i), node_at(b, i), table))
			return false;
	return true;
}

/* ---- changing */

struct node *tree_copy(struct tree *tree, const struct node *node)
{
	return as_node(yyjson_mut_val_mut_copy(tree->doc, value(node)));
}

void node_set_true(struct tree *tree, struct node *object, const char *name)
{
	yyjson_mut_val *val = yyjson_mut_obj_get(value(object), name);

	if (val)
		yyjson_mut_set_bool(val, true);
}

int node_become_column(struct tree *tree, struct node *node, const char *column)
{
	yyjson_mut_val *object = value(node), *names = yyjson_mut_arr(tree->doc);

	yyjson_mut_obj_clear(object);
	if (yyjson_mut_arr_add_strcpy(tree->doc, names, column) &&
	    yyjson_mut_obj_add_str(tree->doc, object, "class", "COLUMN_REF") &&
	    yyjson_mut_obj_add_str(tree->doc, object, "type", "COLUMN_REF") &&
	    yyjson_mut_obj_add_str(tree->doc, object, "alias", "") &&
	    yyjson_mut_obj_add_val(tree->doc, object, "column_names", names))
		return 0;
	return -1;
}

int node_add_text(struct tree *tree, struct node *list, const char *text)
{
	return yyjson_mut_arr_add_strcpy(tree->doc, value(list), text) ? 0 : -1;
}

int node_add(struct tree *tree, struct node *list, struct node *node)
{
	return yyjson_mut_arr_append(value(list), value(node)) ? 0 : -1;
}

struct node *node_wrap(struct tree *tree, struct node *node, const char *class, const char *type)
{
	yyjson_mut_val *inner = yyjson_mut_val_mut_copy(tree->doc, value(node)), *object = value(node);
	yyjson_mut_val *children = yyjson_mut_arr(tree->doc);

	yyjson_mut_obj_clear(object);
	if (inner && yyjson_mut_arr_append(children, inner) &&
	    yyjson_mut_obj_add_strcpy(tree->doc, object, "class", class) &&
	    yyjson_mut_obj_add_strcpy(tree->doc, object, "type", type) &&
	    yyjson_mut_obj_add_str(tree->doc, object, "alias", "") &&
	    yyjson_mut_obj_add_val(tree->doc, object, "children", children))
		return as_node(inner);
	return NULL;
}

int node_set(struct tree *tree, struct node *object, const char *name, struct node *node)
{
	return yyjson_mut_obj_put(value(object), yyjson_mut_strcpy(tree->doc, name), value(node)) ? 0 : -1;
}

struct node *tree_value(struct tree *tree, const char *json)
{
	yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
	yyjson_mut_val *copy = doc ? yyjson_val_mut_copy(tree->doc, yyjson_doc_get_root(doc)) : NULL;

	yyjson_doc_free(doc);
	return as_node(copy);
}

/* Members in whatever order: the copy's that were set anew stand last. */
static bool same(yyjson_mut_val *a, yyjson_mut_val *b)
{
	yyjson_mut_obj_iter pairs;
	yyjson_mut_arr_iter items;
	yyjson_mut_val *key, *other = yyjson_mut_arr_get_first(b);

	if (yyjson_mut_is_obj(a) && yyjson_mut_is_obj(b)) {
		yyjson_mut_obj_iter_init(a, &pairs);
		while ((key = yyjson_mut_obj_iter_next(&pairs))) {
			const char *name = yyjson_mut_get_str(key);

			if (strcmp(name, "query_location") != 0 &&
			    !same(yyjson_mut_obj_iter_get_val(key), yyjson_mut_obj_get(b, name)))
				return false;
		}
		return yyjson_mut_obj_size(a) - (yyjson_mut_obj_get(a, "query_location") != NULL) ==
		       yyjson_mut_obj_size(b) - (yyjson_mut_obj_get(b, "query_location") != NULL);
	}
	if (!yyjson_mut_is_arr(a) || !yyjson_mut_is_arr(b))
		return a && b && yyjson_mut_equals(a, b);
	if (yyjson_mut_arr_size(a) != yyjson_mut_arr_size(b))
		return false;
	yyjson_mut_arr_iter_init(a, &items);
	for (yyjson_mut_val *item; (item = yyjson_mut_arr_iter_next(&items)); other = other->next)
		if (!same(item, other))
			return false;
	return true;
}

bool tree_equals(const struct tree *a, const struct tree *b)
{
	return same(value(a->statement), value(b->statement));
}

void node_drop_alias(struct tree *tree, struct node *node)
{
	yyjson_mut_val *alias = yyjson_mut_obj_get(value(node), "alias");

	if (alias)
		yyjson_mut_set_str(alias, "");
}

/* ---- back to SQL */

#define NODE_BEFORE                                                                                                    \
	"{\"error\":false,\"statements\":[{\"node\":{\"type\":\"SELECT_NODE\",\"modifiers\":[],\"cte_map\":{\"map\":[" \
	"]},\"select_list\":["
#define NODE_BETWEEN "],\"from_table\":"
#define NODE_AFTER                                                                                                     \
	",\"where_clause\":null,\"group_expressions\":[],\"group_sets\":[],\"aggregate_handling\":\"STANDARD_"         \
	"HANDLING\","                                                                                                  \
	"\"having\":null,\"sample\":null,\"qualify\":null},\"named_param_map\":[]}]}"
#define NO_FROM "{\"type\":\"EMPTY\",\"alias\":\"\",\"sample\":null}"
#define STAR                                                                                                           \
	"{\"class\":\"STAR\",\"type\":\"STAR\",\"alias\":\"\",\"relation_name\":\"\",\"exclude_list\":[],\"replace_"   \
	"list\":[],"                                                                                                   \
	"\"columns\":false,\"expr\":null,\"qualified_exclude_list\":[],\"rename_list\":[]}"

/* SELECT select FROM from, of which `prefix` is cut off. */
static int select_sql(struct duck_connection *connection, const char *select, const char *from, const char *prefix,
                      struct buffer *out, struct error *err)
{
	OWNED_BUFFER struct buffer json = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	const char *sql;

	buffer_init(&json, SQL_MAXIMUM_BYTES);
	buffer_printf(&json, NODE_BEFORE "%s" NODE_BETWEEN "%s" NODE_AFTER, select, from);
	if (!buffer_ok(&json))
		return error_no_memory(err);
	if (duck_ask(connection, "SELECT json_deserialize_sql(CAST($1 AS JSON))", buffer_string(&json), &rows, err))
		return -1;
	sql = duck_cell(&rows, 0, 0);
	if (strncmp(sql, prefix, strlen(prefix)))
		return error_set(err, ERROR_FATAL, 0, "DuckDB gave no such SQL back: %.200s", sql);
	buffer_text(out, sql + strlen(prefix));
	return buffer_ok(out) ? 0 : error_no_memory(err);
}

static char *write_json(const struct node *node, struct error *err)
{
	char *json = yyjson_mut_val_write(value(node), 0, NULL);

	if (!json)
		error_no_memory(err);
	return json;
}

int tree_sql(struct tree *tree, struct duck_connection *connection, struct buffer *out, struct error *err)
{
	OWNED_FREE char *json = yyjson_mut_val_write(value(tree->statement), YYJSON_WRITE_ALLOW_INF_AND_NAN, NULL);
	OWNED_BUFFER struct buffer whole = {0}, query = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	if (!json)
		return error_no_memory(err);
	buffer_init(&whole, SQL_MAXIMUM_BYTES);
	buffer_init(&query, SQL_MAXIMUM_BYTES);
	buffer_text(&whole, "{\"error\":false,\"statements\":[");
	buffer_text(&whole, json);
	buffer_text(&whole, "]}");
	buffer_text(&query, "SELECT json_deserialize_sql(CAST(");
	buffer_sql_text(&query, buffer_string(&whole));
	buffer_text(&query, " AS JSON))");
	if (!buffer_ok(&whole) || !buffer_ok(&query))
		return error_no_memory(err);
	if (duck_query(connection, buffer_string(&query), &rows, err))
		return -1;
	buffer_text(out, duck_cell(&rows, 0, 0));
	return buffer_ok(out) ? 0 : error_no_memory(err);
}

int tree_expression_sql(struct tree *tree, struct duck_connection *connection, const struct node *expression,
                        struct buffer *out, struct error *err)
{
	OWNED_FREE char *json = write_json(expression, err);

	return json ? select_sql(connection, json, NO_FROM, "SELECT ", out, err) : -1;
}

int tree_from_sql(struct tree *tree, struct duck_connection *connection, const struct node *from, struct buffer *out,
                  struct error *err)
{
	OWNED_FREE char *json = write_json(from, err);

	return json ? select_sql(connection, STAR, json, "SELECT * FROM ", out, err) : -1;
}
