/*
 * guard_names.c - which table a name means, and whether it may be read.
 *
 * Nothing is bound, so a name must not be able to mean anything but a table of the lake. Where the lake has no table of
 * a name DuckDB goes on: to its own views (duckdb_tables, pg_class, sqlite_master), and at last to files, for which the
 * whole name counts: FROM events.csv reads the file events.csv. So such names are refused whoever asks, and in the same
 * words as tables that are not there.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/owned.h"
#include "query/guard_private.h"
#include "query/tree.h"

#define TABLES_MAX 1000 /* of one statement */
#define SCOPE_MAX 1000 /* queries of WITHs that are seen at one place */
#define NAME_BYTES_MAX 256

int guard_scope_push(struct guard_scope *scope, const char *name, struct error *err)
{
	if (scope->count == SCOPE_MAX)
		return error_set(err, ERROR_INVALID, 0, "WITH has more than %d queries", SCOPE_MAX);
	if (scope->count == scope->capacity) {
		int capacity = scope->capacity ? 2 * scope->capacity : 16;
		const char **names = realloc(scope->names, (size_t)capacity * sizeof *names);

		if (!names)
			return error_no_memory(err);
		scope->names = names;
		scope->capacity = capacity;
	}
	scope->names[scope->count++] = name;
	return 0;
}

static bool sees(const struct guard_scope *scope, const char *name)
{
	for (int i = scope->count - 1; i >= 0; i--)
		if (!strcasecmp(scope->names[i], name))
			return true;
	return false;
}

/* ---- rights */

/* * stands for any characters, none too; case aside. */
static bool matches(const char *pattern, const char *text)
{
	const char *star = NULL, *again = NULL;

	while (*text) {
		if (*pattern == '*') {
			star = ++pattern;
			again = text;
		} else if (*pattern && tolower((unsigned char)*pattern) == tolower((unsigned char)*text)) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star;
			text = ++again;
		} else {
			return false;
		}
	}
	return pattern[strspn(pattern, "*")] == 0;
}

static bool matches_part(const char *pattern, size_t size, const char *text)
{
	OWNED_FREE char *part = strndup(pattern, size);

	return part && matches(part, text);
}

static bool matches_name(const char *pattern, const char *schema, const char *table)
{
	const char *dot = strchr(pattern, '.');

	if (!dot)
		return !strcasecmp(schema, "main") && matches(pattern, table);
	return matches_part(pattern, (size_t)(dot - pattern), schema) && matches(dot + 1, table);
}

/* The schemas of Tarn's own tables (quarantined messages, what layers keep of groups) are never meant by a *. */
static bool is_own_schema(const char *schema)
{
	return !strcasecmp(schema, "tarn") || !strcasecmp(schema, "tarn_layers");
}

static bool names_schema(const char *pattern, const char *schema)
{
	size_t size = strlen(schema);

	return !strncasecmp(pattern, schema, size) && pattern[size] == '.';
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcasecmp(name, names[i]))
			return true;
	return false;
}

/* Of DuckDB, or of the catalog. */
static bool is_reserved_schema(const char *schema)
{
	static const char *const reserved[] = {"information_schema", "pg_catalog", "system", "temp", "memory", "lake"};

	return is_one_of(schema, reserved, COUNT_OF(reserved)) || !strncmp(schema, "__", 2);
}

static bool is_reserved_table(const char *schema, const char *table)
{
	static const char *const starts[] = {"duckdb_", "pg_", "sqlite_", "pragma_", "__", "ducklake_"};

	for (size_t i = 0; i < COUNT_OF(starts) && !strcasecmp(schema, "main"); i++)
		if (!strncasecmp(table, starts[i], strlen(starts[i])))
			return true;
	return false;
}

/* Schema and table as DuckDB would read them as a file, with a dot between. */
static bool is_like_file(const char *name)
{
	static const char *const ends[] = {"csv",    "tsv",     "txt",      "parquet", "json",   "jsonl",
	                                   "ndjson", "geojson", "geojsonl", "gz",      "zst",    "arrow",
	                                   "arrows", "db",      "ddb",      "duckdb",  "sqlite", "xlsx"};

	return is_one_of(name, ends, COUNT_OF(ends));
}

/* A name that a table may have and a path may not. */
static bool is_plain(const char *name)
{
	if (!*name || strlen(name) > NAME_BYTES_MAX)
		return false;
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127 || strchr("./\\:*?[]{}~%$", *c))
			return false;
	return true;
}

bool guard_may_read(const struct guard_rights *rights, const char *schema, const char *table)
{
	if (!is_plain(schema) || !is_plain(table) || is_reserved_schema(schema) || is_reserved_table(schema, table))
		return false;
	if (rights->table_count < 0)
		return !is_own_schema(schema);
	for (int i = 0; i < rights->table_count; i++)
		if (matches_name(rights->tables[i], schema, table) &&
		    (!is_own_schema(schema) || names_schema(rights->tables[i], schema)))
			return true;
	return false;
}

/* ---- tables of a statement */

static int refuse(const char *schema, const char *table, struct error *err)
{
	return error_set(err, ERROR_INVALID, 0, "there is no table %.64s%s%.128s that may be read", schema,
	                 *schema ? "." : "", table);
}

static int add(struct guard_found *found, const char *schema, const char *table, struct error *err)
{
	OWNED_FREE char *name = NULL;
	char **more;

	if (asprintf(&name, "%s.%s", schema, table) < 0) {
		name = NULL;
		return error_no_memory(err);
	}
	for (char *c = name; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	for (int i = 0; i < found->table_count; i++)
		if (!strcmp(found->tables[i], name))
			return 0;
	more = realloc(found->tables, (size_t)(found->table_count + 1) * sizeof *more);
	if (!more)
		return error_no_memory(err);
	found->tables = more;
	found->tables[found->table_count++] = TAKE(name);
	return 0;
}

static int add_place(struct guard_found *found, const struct node *table, struct error *err)
{
	struct node **more;

	if (node_get(table, "at_clause"))
		return 0;
	more = realloc(found->places, (size_t)(found->place_count + 1) * sizeof *more);
	if (!more)
		return error_no_memory(err);
	found->places = more;
	found->places[found->place_count++] = (struct node *)(uintptr_t)table;
	return 0;
}

int guard_table(const struct node *table, const struct guard_scope *scope, const struct guard_rights *rights,
                struct guard_found *found, bool *ret_failed, struct error *err)
{
	const char *catalog = node_text(table, "catalog_name"), *schema = node_text(table, "schema_name"),
	           *name = node_text(table, "table_name"), *meant = schema;
	bool qualified = *catalog || *schema;

	if (node_get(table, "at_clause"))
		found->travels = true;
	if (!qualified && sees(scope, name))
		return 0;
	if (*catalog && strcasecmp(catalog, "lake") != 0)
		return refuse(catalog, name, err);
	/* lake.t is main.t: what is no schema of two names is the catalog. */
	if (!*schema || (!*catalog && !strcasecmp(schema, "lake")))
		meant = "main";
	if ((qualified && is_like_file(name)) || !guard_may_read(rights, meant, name))
		return refuse(schema, name, err);
	if (found->table_count == TABLES_MAX)
		return error_set(err, ERROR_INVALID, 0, "the statement reads more than %d tables", TABLES_MAX);
	if (add(found, meant, name, err) || add_place(found, table, err)) {
		*ret_failed = true;
		return -1;
	}
	return 0;
}
