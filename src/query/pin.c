#include "query/pin.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/owned.h"
#include "query/tree.h"

/* ---- the tree */

/* As the guard reads it: lake.t is main.t. */
static const char *schema_of(const struct node *table)
{
	const char *schema = node_text(table, "schema_name");

	if (!*schema || (!*node_text(table, "catalog_name") && !strcasecmp(schema, "lake")))
		return "main";
	return schema;
}

static int set_text(struct tree *tree, struct node *object, const char *name, const char *text, struct error *err)
{
	OWNED_BUFFER struct buffer json = {0};
	struct node *node;

	buffer_init(&json, 65536);
	buffer_json_text(&json, text, strlen(text));
	node = buffer_ok(&json) ? tree_value(tree, buffer_string(&json)) : NULL;
	return node && node_set(tree, object, name, node) == 0 ? 0 : error_no_memory(err);
}

/* As the parser makes it of a number. */
static int set_version(struct tree *tree, struct node *table, int64_t snapshot, struct error *err)
{
	OWNED_BUFFER struct buffer json = {0};
	struct node *at;

	buffer_init(&json, 65536);
	if (snapshot < 0)
		buffer_text(&json, "null");
	else
		buffer_printf(&json,
		              "{\"unit\":\"VERSION\",\"expr\":{\"class\":\"CONSTANT\",\"type\":\"VALUE_CONSTANT\","
		              "\"alias\":\"\",\"value\":{\"type\":{\"id\":\"%s\",\"type_info\":null},"
		              "\"is_null\":false,\"value\":%" PRId64 "}}}",
		              snapshot > INT32_MAX ? "BIGINT" : "INTEGER", snapshot);
	at = tree_value(tree, buffer_string(&json));
	return at && node_set(tree, table, "at_clause", at) == 0 ? 0 : error_no_memory(err);
}

static int pin_node(const struct guard_found *found, struct node *table, const struct pin *pin, struct error *err)
{
	OWNED_BUFFER struct buffer schema = {0}; /* the node's own text is replaced */
	struct tree *tree = found->tree;
	bool copy = pin->memory && !found->hidden;

	buffer_init(&schema, 65536);
	buffer_text(&schema, schema_of(table));
	copy = copy && pin->in_memory(pin->context, buffer_string(&schema), node_text(table, "table_name"));
	if (set_text(tree, table, "schema_name", buffer_string(&schema), err) ||
	    set_text(tree, table, "catalog_name", copy ? pin->memory : "lake", err))
		return -1;
	return set_version(tree, table, copy ? -1 : pin->snapshot, err);
}

/* ---- the text: what is not as it is mostly written is left to the tree */

/* Behind the remark that begins here, with the remarks in it; NULL: it has no end. */
static const char *skip_remark(const char *at)
{
	int depth = 0;

	do {
		at += strcspn(at, "/*");
		if (!strncmp(at, "/*", 2) || !strncmp(at, "*/", 2)) {
			depth += *at == '/' ? 1 : -1;
			at++;
		}
		if (!*at)
			return NULL;
		at++;
	} while (depth);
	return at;
}

static const char *skip_blank(const char *at)
{
	while (at) {
		at += strspn(at, " \t\r\n\f\v");
		if (!strncmp(at, "--", 2))
			at += strcspn(at, "\n");
		else if (!strncmp(at, "/*", 2))
			at = skip_remark(at);
		else
			return at;
	}
	return NULL;
}

static bool is_of_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$' || (c & 0x80);
}

/* Behind the name that begins here; NULL: none does. */
static const char *skip_name(const char *at)
{
	const char *start = at;

	if (*at == '"') {
		for (at++; *at && (*at != '"' || at[1] == '"'); at++)
			at += *at == '"';
		return *at ? at + 1 : NULL;
	}
	while (is_of_name(*at))
		at++;
	return at > start && !isdigit((unsigned char)*start) ? at : NULL;
}

/* Behind "a.b.c". */
static const char *skip_names(const char *at)
{
	const char *end = skip_name(at), *dot;

	while (end && (dot = skip_blank(end)) && *dot == '.') {
		at = skip_blank(dot + 1);
		end = at ? skip_name(at) : NULL;
	}
	return end;
}

static const char *skip_columns(const char *at)
{
	for (at = skip_blank(at + 1); at; at = skip_blank(at + 1)) {
		at = skip_name(at);
		at = at ? skip_blank(at) : NULL;
		if (!at || *at != ',')
			return at && *at == ')' ? at + 1 : NULL;
	}
	return NULL;
}

/* Behind "AS x (a, b)", which the table has. */
static const char *skip_alias(const char *at)
{
	const char *end;

	at = skip_blank(at);
	if (at && !strncasecmp(at, "as", 2) && !is_of_name(at[2]))
		at = skip_blank(at + 2);
	at = at ? skip_name(at) : NULL;
	end = at ? skip_blank(at) : NULL;
	return end && *end == '(' ? skip_columns(end) : at;
}

static int compare_places(const void *a, const void *b)
{
	int64_t x = node_location(*(struct node *const *)a), y = node_location(*(struct node *const *)b);

	return (x > y) - (x < y);
}

static void append_name(struct buffer *out, const struct node *table)
{
	buffer_sql_name(out, node_text(table, "catalog_name"));
	buffer_char(out, '.');
	buffer_sql_name(out, node_text(table, "schema_name"));
	buffer_char(out, '.');
	buffer_sql_name(out, node_text(table, "table_name"));
}

/* The text with the tables as they are in the tree now. False: it is not written as one expects. */
static bool change_text(struct guard_found *found, const char *sql, const struct pin *pin, struct buffer *out)
{
	const char *done = sql;
	size_t size = strlen(sql);

	if (found->place_count) /* qsort takes no null pointer */
		qsort(found->places, (size_t)found->place_count, sizeof *found->places, compare_places);
	for (int i = 0; i < found->place_count; i++) {
		const struct node *table = found->places[i];
		int64_t place = node_location(table);
		const char *at, *end;

		if (place < done - sql || (size_t)place >= size)
			return false;
		at = sql + place;
		end = skip_names(at);
		if (!end)
			return false;
		buffer_append(out, done, (size_t)(at - done));
		append_name(out, table);
		done = end;
		if (*node_text(table, "alias"))
			end = skip_alias(end);
		if (!end)
			return false;
		buffer_append(out, done, (size_t)(end - done));
		if (node_get(table, "at_clause"))
			buffer_printf(out, " AT (VERSION => %" PRId64 ")", pin->snapshot);
		done = end;
	}
	buffer_text(out, done);
	return buffer_ok(out);
}

static bool reads_the_same(struct duck_connection *parser, const char *sql, const struct tree *tree)
{
	OWNED_TREE struct tree *read = NULL;
	struct error ignored;
	int line;

	return tree_read(parser, sql, &read, &line, &ignored) == TREE_PARSED && tree_equals(read, tree);
}

int pin_sql(struct guard_found *found, const char *sql, struct duck_connection *parser, const struct pin *pin,
            struct buffer *out, struct error *err)
{
	for (int i = 0; i < found->place_count; i++)
		if (pin_node(found, found->places[i], pin, err))
			return -1;
	if (change_text(found, sql, pin, out) && reads_the_same(parser, buffer_string(out), found->tree))
		return 0;
	buffer_clear(out);
	if (tree_sql(found->tree, parser, out, err))
		return -1;
	/* DuckDB writes some names without their quotes: what runs is what was looked at, or nothing. */
	if (reads_the_same(parser, buffer_string(out), found->tree))
		return 0;
	buffer_clear(out);
	return error_set(
	        err, ERROR_INVALID, 0,
	        "DuckDB does not write this statement as it reads it: (TABLE t) would better be SELECT * FROM t, and "
	        "the names of tables and parameters have letters, digits and _ alone");
}
