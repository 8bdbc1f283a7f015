/*
 * guard.c - the walk over a statement's tree.
 *
 * Each object belongs to a family, and what a member of it may hold is in guard_nodes.def. So the walk knows at each
 * place what may stand there, and meets nothing that it does not know.
 *
 * What a name means depends on the WITHs around it, as DuckDB 1.5.5 binds them (test_query_guard.c asks it): a query of
 * a WITH sees those before it and not itself; of a recursive one the second half alone sees itself.
 */
#include "query/guard.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/owned.h"
#include "query/guard_private.h"
#include "query/tree.h"

#define STATEMENT_BYTES_MAX ((size_t)1 << 20)
/* A thousand levels pass DuckDB's parser, and its binder then takes half a minute for them. */
#define DEPTH_MAX 250
/* Words and marks. The tree has some hundred bytes for each. */
#define ITEMS_MAX 100000
/* DuckDB's parser takes time by their square: 30 s for 100,000. */
#define LINKS_MAX 5000

enum what {
	PLAIN,
	NAMES,
	BARE,
	BLANK,
	WORD,
	DATA,
	CALL, /* a FUNCTION that stands in FROM */
	/* families */
	STATEMENT,
	PARAMETER_NAME,
	QUERY,
	WITH,
	WITH_QUERY,
	WITH_VALUE,
	MODIFIER,
	ORDER,
	SAMPLE,
	TABLE,
	AT,
	PIVOT,
	PIVOT_ENTRY,
	EXPRESSION,
	CASE_CHECK,
	REPLACEMENT,
	RENAMING,
	COLUMN,
	VALUE,
	TYPE,
	TYPE_INFO,
	FIELD_TYPE,
};

struct shape {
	enum what family;
	const char *kind;
	struct {
		const char *name;
		enum what what;
	} members[24];
};

#define NODE(family, kind, ...) {family, kind, {__VA_ARGS__}},
static const struct shape shapes[] = {
#include "query/guard_nodes.def"
};

#define WORDS(member, ...) {member, (const char *const[]){__VA_ARGS__, NULL}},
static const struct {
	const char *member;
	const char *const *words;
} words[] = {
#include "query/guard_nodes.def"
};

struct walk {
	const struct guard_rights *rights;
	struct guard_found found;
	struct guard_scope scope;
	int depth;
	bool failed; /* the check, rather than the statement */
	struct error *err;
};

static int refuse_unknown(const struct walk *w, const char *what)
{
	return error_set(w->err, ERROR_INVALID, 0,
	                 "the statement has something that is not known to be harmless: %.64s", what);
}

/* ---- plain values */

static bool is_of_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (c & 0x80);
}

static bool is_word(const char *member, const char *text)
{
	for (size_t i = 0; i < COUNT_OF(words); i++)
		for (int k = 0; !strcmp(words[i].member, member) && words[i].words[k]; k++)
			if (!strcmp(words[i].words[k], text))
				return true;
	return false;
}

/* A scalar, or lists of such; of DATA objects, too. */
static int check_data(struct walk *w, const char *member, const struct node *node, bool objects)
{
	struct node_iterator values;
	const struct node *each;
	const char *key;
	int failed = 0;

	if (node_form(node) == NODE_NULL || node_form(node) == NODE_PLAIN)
		return 0;
	if ((node_form(node) == NODE_OBJECT && !objects) || w->depth >= DEPTH_MAX)
		return refuse_unknown(w, member);
	w->depth++;
	node_iterate(&values, node);
	while (!failed && (each = node_next(&values, &key)))
		failed = check_data(w, member, each, objects);
	w->depth--;
	return failed;
}

/* A DuckLake table has columns that no * shows. One is the path of the file that a row lies in. A table's own column of
 * that name cannot be told from it here, but COLUMNS('filename') means that one alone. */
static int check_name(struct walk *w, const struct node *name)
{
	static const char *const hidden[] = {"rowid", "snapshot_id", "file_row_number", "file_index"};
	const char *text = node_text(name, NULL);

	for (size_t i = 0; i < COUNT_OF(hidden); i++)
		w->found.hidden |= !strcasecmp(text, hidden[i]);
	if (strcasecmp(text, "filename") != 0)
		return 0;
	return error_set(w->err, ERROR_INVALID, 0,
	                 "the column filename may not be asked for by name; COLUMNS('filename') is one that the table "
	                 "itself has");
}

static int check_names(struct walk *w, const char *member, const struct node *names)
{
	struct node_iterator values;
	const struct node *each;
	const char *key;

	if (check_data(w, member, names, false) || check_name(w, names))
		return -1;
	if (node_form(names) != NODE_LIST)
		return 0;
	node_iterate(&values, names);
	while ((each = node_next(&values, &key)))
		if (check_name(w, each))
			return -1;
	return 0;
}

/* Where json_deserialize_sql writes a name without its quotes, what stands in it would be SQL. (pin.c looks at what it
 * wrote, too.) */
static int check_bare(struct walk *w, const char *member, const struct node *name)
{
	const char *text = node_text(name, NULL);

	if (check_data(w, member, name, false))
		return -1;
	for (; *text; text++)
		if (!is_of_word(*text) && *text != '$')
			return error_set(w->err, ERROR_INVALID, 0,
			                 "the name before .*, or of a parameter, has to be one of letters, digits and "
			                 "_: an alias "
			                 "of the table, for one");
	return 0;
}

/* ---- objects */

static const char *kind_of(enum what family, const struct node *node)
{
	if (family == EXPRESSION)
		return node_text(node, "class");
	return family == QUERY || family == MODIFIER || family == TABLE || family == TYPE_INFO ? node_text(node, "type")
	                                                                                       : "";
}

static const struct shape *find_shape(enum what family, const char *kind)
{
	for (size_t i = 0; i < COUNT_OF(shapes); i++)
		if (shapes[i].family == family && !strcmp(shapes[i].kind, kind))
			return &shapes[i];
	return NULL;
}

static int check_member(struct walk *w, enum what what, const char *name, const struct node *value);

static int check_members(struct walk *w, const struct shape *shape, const struct node *node)
{
	struct node_iterator members;
	const struct node *value;
	const char *name;
	int i;

	node_iterate(&members, node);
	while ((value = node_next(&members, &name))) {
		for (i = 0; shape->members[i].name && strcmp(shape->members[i].name, name) != 0; i++)
			;
		if (!shape->members[i].name)
			return refuse_unknown(w, name);
		if (check_member(w, shape->members[i].what, name, value))
			return -1;
	}
	return 0;
}

static int push(struct walk *w, const char *name)
{
	return guard_scope_push(&w->scope, name, w->err);
}

/* The queries of a WITH: each sees those before it. */
static int check_with(struct walk *w, const struct node *map)
{
	struct node_iterator queries;
	const struct node *query;
	const char *key;

	node_iterate(&queries, map);
	while ((query = node_next(&queries, &key)))
		if (check_member(w, WITH_QUERY, "map", query) || push(w, node_text(query, "key")))
			return -1;
	return 0;
}

static int check_recursive(struct walk *w, const struct shape *shape, const struct node *node)
{
	struct node_iterator members;
	const struct node *value;
	const char *name;
	int seen = w->scope.count, failed = 0, i;

	node_iterate(&members, node);
	while (!failed && (value = node_next(&members, &name))) {
		for (i = 0; shape->members[i].name && strcmp(shape->members[i].name, name) != 0; i++)
			;
		if (!shape->members[i].name)
			return refuse_unknown(w, name);
		if (!strcmp(name, "right") && push(w, node_text(node, "cte_name")))
			return -1;
		failed = check_member(w, shape->members[i].what, name, value);
		w->scope.count = seen;
	}
	return failed;
}

static int check_query(struct walk *w, const struct shape *shape, const struct node *node)
{
	const struct node *with = node_get(node, "cte_map");
	int seen = w->scope.count, failed;

	/* Before all else of the query, which sees its names, wherever in the object it stands. */
	if (with && (node_count(with) != 1 || !node_get(with, "map")))
		return refuse_unknown(w, "WITH");
	failed = check_with(w, node_get(with, "map"));
	if (!failed)
		failed = !strcmp(shape->kind, "RECURSIVE_CTE_NODE") ? check_recursive(w, shape, node)
		                                                    : check_members(w, shape, node);
	w->scope.count = seen;
	return failed;
}

static int check_function(struct walk *w, const struct node *node, bool in_from)
{
	const char *name = node_text(node, "function_name");
	bool plain = !*node_text(node, "catalog") && (!*node_text(node, "schema") || node_is(node, "schema", "main"));

	if (in_from && (!plain || !guard_knows_table_function(name)))
		return error_set(w->err, ERROR_INVALID, 0, "the table function %.64s may not be used here", name);
	/* x.upper() has a column where a schema would stand: a name that is harmless is so in any. */
	if (!in_from && !guard_knows_function(name))
		return error_set(w->err, ERROR_INVALID, 0, "the function %.64s may not be used here", name);
	return 0;
}

/* A NATURAL JOIN finds the right table's columns that no * shows, by the names of the left one's; of RIGHT and FULL it
 * shows what they hold. */
static int check_natural(struct walk *w, const struct node *join)
{
	if (!node_is(join, "ref_type", "NATURAL"))
		return 0;
	w->found.hidden = true;
	if (!node_is(join, "join_type", "RIGHT") && !node_is(join, "join_type", "FULL"))
		return 0;
	return error_set(w->err, ERROR_INVALID, 0,
	                 "NATURAL RIGHT and NATURAL FULL JOIN may not be used here: USING (names) says which columns");
}

/* What a kind's members do not say. */
static int check_meaning(struct walk *w, enum what family, const char *kind, const struct node *node)
{
	if (family == EXPRESSION && (!strcmp(kind, "FUNCTION") || !strcmp(kind, "WINDOW")))
		return check_function(w, node, false);
	if (family == TABLE && !strcmp(kind, "BASE_TABLE"))
		return guard_table(node, &w->scope, w->rights, &w->found, &w->failed, w->err);
	if (family == TABLE && !strcmp(kind, "JOIN"))
		return check_natural(w, node);
	if (family == TYPE_INFO && !strcmp(kind, "UNBOUND_TYPE_INFO") && !guard_knows_type(node_text(node, "name")))
		return error_set(w->err, ERROR_INVALID, 0, "there is no type %.64s that may be used here",
		                 node_text(node, "name"));
	return 0;
}

static int refuse_kind(const struct walk *w, enum what family, const char *kind)
{
	if (family == TABLE && !strcmp(kind, "SHOW_REF"))
		return error_set(w->err, ERROR_INVALID, 0, "DESCRIBE, SHOW and SUMMARIZE may not be used here");
	return refuse_unknown(w, kind);
}

static int check_object(struct walk *w, enum what what, const struct node *node)
{
	enum what family = what == CALL ? EXPRESSION : what;
	const char *kind = kind_of(family, node);
	const struct shape *shape = find_shape(family, kind);
	int failed;

	if (w->depth >= DEPTH_MAX)
		return error_set(w->err, ERROR_INVALID, 0, "the statement is nested too deeply");
	if (!shape || (what == CALL && strcmp(kind, "FUNCTION") != 0))
		return refuse_kind(w, family, kind);
	w->depth++;
	failed = what == CALL ? check_function(w, node, true) : check_meaning(w, family, kind, node);
	if (!failed)
		failed = family == QUERY ? check_query(w, shape, node) : check_members(w, shape, node);
	w->depth--;
	return failed;
}

/* Objects of a family, in lists or not. */
static int check_objects(struct walk *w, enum what what, const char *name, const struct node *value)
{
	struct node_iterator values;
	const struct node *each;
	const char *key;

	switch (node_form(value)) {
	case NODE_NULL: return 0;
	case NODE_PLAIN: return refuse_unknown(w, name);
	case NODE_OBJECT: return check_object(w, what, value);
	case NODE_LIST: break;
	}
	node_iterate(&values, value);
	while ((each = node_next(&values, &key))) {
		int failed;

		if (node_form(each) != NODE_LIST) {
			failed = check_objects(w, what, name, each);
		} else if (w->depth < DEPTH_MAX) {
			w->depth++;
			failed = check_objects(w, what, name, each);
			w->depth--;
		} else {
			failed = refuse_unknown(w, name);
		}
		if (failed)
			return -1;
	}
	return 0;
}

static int check_member(struct walk *w, enum what what, const char *name, const struct node *value)
{
	switch (what) {
	case PLAIN: return check_data(w, name, value, false);
	case NAMES: return check_names(w, name, value);
	case BARE: return check_bare(w, name, value);
	case DATA: return check_data(w, name, value, true);
	case BLANK: return node_is_blank(value) ? 0 : refuse_unknown(w, name);
	case WORD: return is_word(name, node_text(value, NULL)) ? 0 : refuse_unknown(w, node_text(value, NULL));
	/* check_query has looked at it. */
	case WITH: return 0;
	default: return check_objects(w, what, name, value);
	}
}

/* ---- bounds, before anything is parsed */

static bool is_utf8(const unsigned char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		int more = text[i] < 0x80 ? 0 : text[i] < 0xe0 ? 1 : text[i] < 0xf0 ? 2 : 3;
		unsigned char low = text[i] == 0xe0 ? 0xa0 : text[i] == 0xf0 ? 0x90 : 0x80;
		unsigned char high = text[i] == 0xed ? 0x9f : text[i] == 0xf4 ? 0x8f : 0xbf;

		if ((text[i] >= 0x80 && text[i] < 0xc2) || text[i] > 0xf4 || i + (size_t)more >= size)
			return false;
		for (; more; more--, low = 0x80, high = 0xbf)
			if (text[++i] < low || text[i] > high)
				return false;
	}
	return true;
}

static bool is_link(const char *word, size_t size)
{
	static const char *const links[] = {"and", "or", "union", "except", "intersect", "between"};

	for (size_t i = 0; i < COUNT_OF(links); i++)
		if (size == strlen(links[i]) && !strncasecmp(word, links[i], size))
			return true;
	return false;
}

/* Counts what stands in texts and comments, too: where these end is the parser's to say. */
static int check_size(const char *sql, struct error *err)
{
	size_t size = strlen(sql);
	int items = 0, links = 0;

	if (size > STATEMENT_BYTES_MAX)
		return error_set(err, ERROR_INVALID, 0, "the statement is larger than %zu bytes", STATEMENT_BYTES_MAX);
	if (!is_utf8((const unsigned char *)sql, size))
		return error_set(err, ERROR_INVALID, 0, "the statement is not UTF-8");
	for (const char *c = sql; *c && items <= ITEMS_MAX && links <= LINKS_MAX;) {
		const char *start = c;

		while (is_of_word(*c))
			c++;
		links += is_link(start, (size_t)(c - start));
		items += c > start || !strchr(" \t\r\n\f\v", *c);
		c += c == start;
	}
	if (items > ITEMS_MAX || links > LINKS_MAX)
		return error_set(
		        err, ERROR_INVALID, 0,
		        "the statement has more than %d words and marks, or more than %d ANDs, ORs and UNIONs: "
		        "a join with a table would be right",
		        ITEMS_MAX, LINKS_MAX);
	return 0;
}

/* ---- the check */

static enum guard_verdict verdict_of(enum tree_fault fault, int line, struct error *err)
{
	switch (fault) {
	case TREE_PARSED: return GUARD_PASSES;
	case TREE_FAILED: return GUARD_FAILED;
	case TREE_OTHER:
		error_set(err, ERROR_INVALID, 0,
		          "only one SELECT may be asked (a PIVOT needs its values: ON column IN (...))");
		return GUARD_FORBIDDEN;
	case TREE_DEPTH: error_set(err, ERROR_INVALID, 0, "the statement is nested too deeply"); break;
	case TREE_COUNT: error_set(err, ERROR_INVALID, 0, "exactly one statement, a SELECT, would be right"); break;
	case TREE_SYNTAX:
		if (line > 1)
			error_wrap(err, "line %d", line);
		break;
	}
	return GUARD_SYNTAX;
}

static enum guard_verdict walk(const struct tree *tree, struct walk *w)
{
	int failed = check_object(w, STATEMENT, tree_statement(tree));

	free(w->scope.names);
	if (!failed)
		return GUARD_PASSES;
	return w->failed ? GUARD_FAILED : GUARD_FORBIDDEN;
}

enum guard_verdict guard_check(struct duck_connection *parser, const char *sql, const struct guard_rights *rights,
                               struct guard_found *found, struct error *err)
{
	OWNED_TREE struct tree *tree = NULL;
	struct walk w = {.rights = rights, .err = err};
	enum guard_verdict verdict;
	enum tree_fault fault;
	int line;

	if (check_size(sql, err))
		return GUARD_SYNTAX;
	fault = tree_read(parser, sql, &tree, &line, err);
	if (fault != TREE_PARSED)
		return verdict_of(fault, line, err);
	verdict = walk(tree, &w);
	if (verdict == GUARD_PASSES && found) {
		*found = w.found;
		found->tree = TAKE(tree);
		return verdict;
	}
	guard_found_release(&w.found);
	return verdict;
}

void guard_found_release(struct guard_found *found)
{
	for (int i = 0; i < found->table_count; i++)
		free(found->tables[i]);
	free(found->tables);
	free(found->places);
	tree_free(found->tree);
	*found = (struct guard_found){0};
}
