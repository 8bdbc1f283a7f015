/*
 * fuzz_guard.c - any text as a statement from outside: refused with a reason, or a SELECT of tables that may be read.
 *
 * What the guard lets pass is shown to DuckDB: it must be exactly one SELECT, and the tables that DuckDB itself finds
 * in it (duckdb_get_table_names, which knows nothing of the guard) must be those that the guard reports.
 */
#include <ctype.h>
#include <duckdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lake/duck.h"
#include "query/guard.h"

#define SIZE_MAX_TRIED 4096

#define REQUIRE(condition)                                                                                             \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, sql);                               \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct duck_connection *parser;
static duckdb_connection oracle;

static void open_all(void)
{
	struct error err;
	struct duck *duck = duck_open(NULL, NULL, 0, &err);
	duckdb_database database;

	parser = duck ? duck_connect(duck, &err) : NULL;
	if (!parser || duckdb_open(NULL, &database) || duckdb_connect(database, &oracle))
		abort();
}

/* lake.t, lake.main.t and t are main.t. */
static bool is_reported(const struct guard_found *found, const char *name)
{
	char qualified[2048], plain[1024];
	bool quoted = false;
	size_t size = 0;

	/* Names are quoted where they must be; behind them an alias, a sample or a version may stand. */
	for (const char *c = name; *c && size + 1 < sizeof plain && (quoted || *c != ' '); c++) {
		if (*c == '"')
			quoted = !quoted;
		else
			plain[size++] = (char)tolower((unsigned char)*c);
	}
	plain[size] = 0;
	name = plain;
	if (!strncmp(name, "lake.", 5))
		name += 5;
	snprintf(qualified, sizeof qualified, "%s%s", strchr(name, '.') ? "" : "main.", name);
	for (int i = 0; i < found->table_count; i++) {
		char without[1024];

		size = 0;
		for (const char *c = found->tables[i]; *c && size + 1 < sizeof without; c++)
			if (*c != '"')
				without[size++] = *c;
		without[size] = 0;
		if (!strcmp(without, qualified))
			return true;
	}
	return false;
}

static void compare(const char *sql, const struct guard_found *found)
{
	duckdb_extracted_statements statements = NULL;
	duckdb_value names;

	REQUIRE(duckdb_extract_statements(oracle, sql, &statements) == 1);
	duckdb_destroy_extracted(&statements);
	names = duckdb_get_table_names(oracle, sql, true);
	for (idx_t i = 0, count = names ? duckdb_get_list_size(names) : 0; i < count; i++) {
		duckdb_value value = duckdb_get_list_child(names, i);
		char *name = duckdb_get_varchar(value);

		if (!is_reported(found, name)) {
			fprintf(stderr, "DuckDB finds %s\n", name);
			REQUIRE(false);
		}
		duckdb_free(name);
		duckdb_destroy_value(&value);
	}
	if (names)
		duckdb_destroy_value(&names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const patterns[] = {"gold.*", "silver.*", "events"};
	struct guard_rights rights = {patterns, size % 2 ? 3 : -1};
	struct guard_found found = {0};
	struct error err = {0};
	enum guard_verdict verdict;
	char *sql;

	if (size > SIZE_MAX_TRIED)
		return 0;
	if (!parser)
		open_all();
	sql = malloc(size + 1);
	if (!sql)
		abort();
	memcpy(sql, data, size);
	sql[size] = 0;
	verdict = guard_check(parser, sql, &rights, &found, &err);
	REQUIRE(verdict != GUARD_FAILED);
	REQUIRE(verdict == GUARD_PASSES || *err.message);
	if (verdict == GUARD_PASSES)
		compare(sql, &found);
	guard_found_release(&found);
	free(sql);
	return 0;
}
