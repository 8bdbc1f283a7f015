/*
 * references.c - the tables that a SELECT reads, wherever in it they stand.
 *
 * A name may be a query of a WITH around it: then it is no table. One query of a WITH sees those before it, so that
 * `WITH t AS (SELECT * FROM t)` reads the table t; of a recursive one the second half alone sees itself, so that
 * `WITH RECURSIVE t AS (SELECT * FROM t UNION ALL SELECT * FROM t)` does, too (query/guard.c; its test asks DuckDB).
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "layers/references.h"

struct names {
	const struct node *queries; /* of a WITH; NULL: there is none */
	int count; /* of them that are seen */
	const char *own; /* of the recursive query around; NULL: there is none */
	const struct names *outer;
};

struct looking {
	const char *sql;
	struct reference **references;
	int *count;
	struct error *err;
};

static bool is_query(const struct names *names, const char *name)
{
	for (; names; names = names->outer) {
		if (names->own && !strcasecmp(names->own, name))
			return true;
		for (int i = 0; i < names->count; i++)
			if (!strcasecmp(node_text(node_at(names->queries, i), "key"), name))
				return true;
	}
	return false;
}

static int line_at(const char *sql, int64_t location)
{
	int line = 1;

	for (int64_t i = 0; i < location && sql[i]; i++)
		line += sql[i] == '\n';
	return location < 0 ? 0 : line;
}

static int add(const struct looking *l, const struct node *table)
{
	const char *schema = node_text(table, "schema_name"), *name = node_text(table, "table_name");
	bool qualified = *schema || *node_text(table, "catalog_name");
	struct reference *more;

	/* lake.t and lake.main.t are main.t: what is no schema of two names is the catalog. */
	if (!*schema || (!*node_text(table, "catalog_name") && !strcasecmp(schema, "lake")))
		schema = "main";
	for (int i = 0; i < *l->count; i++)
		if (!strcasecmp((*l->references)[i].table, name) && !strcasecmp((*l->references)[i].schema, schema)) {
			(*l->references)[i].qualified |= qualified;
			return 0;
		}
	more = realloc(*l->references, (size_t)(*l->count + 1) * sizeof *more);
	if (!more)
		return error_no_memory(l->err);
	*l->references = more;
	more[*l->count] = (struct reference){.schema = strdup(schema),
	                                     .table = strdup(name),
	                                     .line = line_at(l->sql, node_location(table)),
	                                     .model = -1,
	                                     .qualified = qualified};
	(*l->count)++;
	return more[*l->count - 1].schema && more[*l->count - 1].table ? 0 : error_no_memory(l->err);
}

static int look(const struct looking *l, const struct node *node, const struct names *names);

static int look_at_members(const struct looking *l, const struct node *node, const struct names *names)
{
	struct names recursive = {.own = node_text(node, "cte_name"), .outer = names};

	for (int i = 0; i < node_count(node); i++) {
		const char *key = node_key(node, i) ? node_key(node, i) : "";
		bool sees_itself = !strcmp(key, "right") && node_is(node, "type", "RECURSIVE_CTE_NODE");

		if (strcmp(key, "cte_map") != 0 && look(l, node_at(node, i), sees_itself ? &recursive : names))
			return -1;
	}
	return 0;
}

/* Recursion is as deep as the statement, which DuckDB's parser bounds. */
static int look(const struct looking *l, const struct node *node, const struct names *names)
{
	const struct node *queries = node_get(node_get(node, "cte_map"), "map");
	struct names own = {.queries = queries, .outer = names};

	if (node_is(node, "type", "BASE_TABLE") &&
	    (*node_text(node, "schema_name") || !is_query(names, node_text(node, "table_name"))) && add(l, node))
		return -1;
	for (int i = 0; i < node_count(queries); i++) {
		own.count = i;
		if (look(l, node_get(node_at(queries, i), "value"), &own))
			return -1;
	}
	own.count = node_count(queries);
	return look_at_members(l, node, node_count(queries) ? &own : names);
}

int references_find(struct tree *tree, const char *sql, struct reference **ret_references, int *ret_count,
                    struct error *err)
{
	struct looking l = {.sql = sql, .references = ret_references, .count = ret_count, .err = err};

	*ret_references = NULL;
	*ret_count = 0;
	return look(&l, tree_root(tree), NULL);
}

bool reference_is_own(const struct reference *reference)
{
	return !strcasecmp(reference->schema, "tarn") || !strcasecmp(reference->schema, PARTIALS_SCHEMA);
}

void references_release(struct reference *references, int count)
{
	for (int i = 0; i < count; i++) {
		free(references[i].schema);
		free(references[i].table);
	}
	free(references);
}
