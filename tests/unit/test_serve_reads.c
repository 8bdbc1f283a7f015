/* What an endpoint's SELECT reads (endpoint_reads.h), and volatile.def beside what DuckDB says of its functions. */
#include "test_spec.h"

#include <strings.h>

#include "base/owned.h"
#include "lake/duck.h"
#include "serve/endpoint_reads.h"

static struct reads_parser *parser;
static struct endpoint_reads reads;

static int look_at(const char *sql)
{
	struct spec_endpoint endpoint = {.name = "e", .sql = (char *)(uintptr_t)sql, .sql_line = 7};

	endpoint_reads_release(&reads);
	memset(&err, 0, sizeof err);
	return endpoint_reads(parser, "t.yaml", &endpoint, &reads, &err);
}

/* The tables, with ',' between them. */
static const char *tables_of(const char *sql)
{
	static char names[200];

	if (look_at(sql))
		return err.message;
	names[0] = 0;
	for (int i = 0; i < reads.table_count; i++)
		snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? "," : "", reads.tables[i]);
	return names;
}

static void tables_are_told(void)
{
	CHECK_TEXT(tables_of("SELECT 1"), "");
	CHECK_TEXT(tables_of("SELECT * FROM People"), "main.people");
	CHECK_TEXT(tables_of("SELECT * FROM a, gold.b JOIN a AS c USING (x) WHERE x IN (SELECT y FROM d)"),
	           "main.a,gold.b,main.d");
	CHECK_TEXT(tables_of("WITH w AS (SELECT * FROM a) SELECT * FROM w;"), "main.a");
	CHECK_TEXT(tables_of("SELECT $x FROM range(3)"), "");
}

static void what_may_not_run_is_told_with_its_line(void)
{
	CHECK_INT(look_at("SELECT * FROM read_csv('x')"), -1);
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_HAS(err.message, "t.yaml:7: DuckLakeEndpoint e: spec.sql: ");
	CHECK_HAS(err.message, "read_csv");
	CHECK_INT(look_at("DROP TABLE a"), -1);
	CHECK_INT(look_at("SELECT * FROM tarn.lanes"), -1);
	CHECK_INT(look_at("SELECT"), -1);
}

static void what_may_differ_is_seen(void)
{
	static const char *const differ[] = {
	        "SELECT now()",
	        "SELECT * FROM a WHERE t > NOW() - INTERVAL 1 DAY",
	        "SELECT current_date",
	        "SELECT CURRENT_TIMESTAMP",
	        "SELECT localtime",
	        "SELECT current_localtimestamp()",
	        "SELECT x FROM a ORDER BY random() LIMIT 1",
	        "SELECT uuid()",
	        "SELECT age(t) FROM a",
	        "WITH w AS (SELECT today() AS d) SELECT * FROM a, w",
	        "SELECT * FROM a TABLESAMPLE 10%",
	        "SELECT * FROM a USING SAMPLE 3 ROWS",
	        "SELECT (SELECT max(x) FILTER (WHERE d = current_date) FROM a)",
	        "SELECT list_transform([1], lambda v: random()) FROM a",
	        "SELECT x, row_number() OVER (ORDER BY random()) FROM a",
	};
	static const char *const same[] = {
	        "SELECT count(*), avg(x) FROM a",
	        "SELECT a.now, a.current_date, 'now()', \"random()\" FROM a",
	        "SELECT x FROM a ORDER BY hash(x) LIMIT 1",
	        "SELECT date_trunc('day', t) FROM a WHERE t > TIMESTAMP '2024-01-01'",
	        "SELECT md5(x) FROM a GROUP BY ALL",
	};

	for (size_t i = 0; i < COUNT_OF(differ); i++)
		if (look_at(differ[i]) || !reads.is_volatile)
			CHECK_FAIL("%s: %s", differ[i], err.message);
	for (size_t i = 0; i < COUNT_OF(same); i++)
		if (look_at(same[i]) || reads.is_volatile)
			CHECK_FAIL("%s: %s", same[i], err.message);
}

static void models_are_seen(void)
{
	CHECK(!look_at("SELECT predict('churn', g) FROM gold AS g") && reads.models && !reads.is_volatile);
	CHECK(!look_at("SELECT EXPLAIN('churn', g) FROM gold AS g") && reads.models);
	CHECK(!look_at("SELECT x AS predict FROM gold AS g") && !reads.models);
}

/* A new DuckDB with another function of this kind fails here. */
static void duckdbs_own_list(void)
{
	static const char *const names[] = {
#define VOLATILE(name) name,
#include "query/volatile.def"
#undef VOLATILE
	};
	struct duck *duck = duck_open(NULL, NULL, 0, &err);
	struct duck_connection *connection = duck ? duck_connect(duck, &err) : NULL;
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	CHECK(connection);
	CHECK(!duck_query(connection,
	                  "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT' AND "
	                  "function_type IN ('scalar', 'aggregate')",
	                  &rows, &err));
	CHECK(rows.row_count > 20);
	for (int64_t row = 0; row < rows.row_count; row++) {
		bool listed = false;

		for (size_t i = 0; i < COUNT_OF(names); i++)
			listed |= !strcasecmp(names[i], duck_cell(&rows, row, 0));
		if (!listed)
			CHECK_FAIL("%s is not in volatile.def", duck_cell(&rows, row, 0));
	}
	duck_disconnect(connection);
	duck_close(duck);
}

int main(int argc, char **argv)
{
	int rc;

	parser = reads_parser_open(&err);
	if (!parser) {
		printf("# %s\n", err.message);
		return 1;
	}
	rc = CHECK_MAIN(argc, argv, TEST(tables_are_told), TEST(what_may_not_run_is_told_with_its_line),
	                TEST(what_may_differ_is_seen), TEST(models_are_seen), TEST(duckdbs_own_list));
	endpoint_reads_release(&reads);
	reads_parser_close(parser);
	return rc;
}
