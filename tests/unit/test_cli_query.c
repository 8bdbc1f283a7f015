/* A statement asked of a lake: rows as text, CSV, JSON, Arrow and Parquet. */
#include "check.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/owned.h"
#include "cli/query_write.h"
#include "lake/duck.h"
#include "lake/lake.h"

static char folder[] = "/tmp/tarn-test-query-XXXXXX", path[256], answer[1 << 16];
static struct spec_catalog catalog = {.name = "main", .backend = {.type = BACKEND_FILE, .path = path}};
static struct lake *lake;
static struct lake_session *session;
static struct error err;

static const char *const setup[] = {
        "CREATE TABLE lake.t AS SELECT range AS i, 'name ' || range AS s FROM range(3)",
        "CREATE TABLE lake.odd (n DOUBLE, s STRUCT(a DOUBLE, b VARCHAR), t VARCHAR, e VARCHAR, d DECIMAL(30, 3), b "
        "BOOLEAN, "
        "l INTEGER[], x BLOB)",
        "INSERT INTO lake.odd VALUES ('nan', {'a': '-inf', 'b': 'NaN \"x'}, 'a,\"b\"' || chr(10), '', "
        "12345678901234567890.5, true, "
        "[1, NULL], '\\xAA'), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
};

static int open_lake(void)
{
	struct lake *writer;
	struct lake_session *writing;
	int failed = 0;

	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof path, "%s/x.duckdb", folder);
	writer = lake_open(&catalog, &(struct lake_options){.writer = true}, &err);
	writing = writer ? lake_session_new(writer, &err) : NULL;
	for (size_t i = 0; writing && i < COUNT_OF(setup); i++)
		failed |= duck_exec(lake_connection(writing), setup[i], NULL, &err);
	lake_session_free(writing);
	lake_close(writer);
	lake = writing && !failed ? lake_open(&catalog, &(struct lake_options){0}, &err) : NULL;
	session = lake ? lake_session_new(lake, &err) : NULL;
	return session ? lake_use(session, -1, &err) : -1;
}

static const char *asked(const char *sql, int (*write)(struct query *, struct output_file *, struct error *))
{
	struct query *query = query_open(lake_connection(session), sql, &err);
	struct output_file output = {.file = tmpfile()};
	size_t size;

	snprintf(answer, sizeof answer, "%s", err.message);
	if (query && output.file && !write(query, &output, &err)) {
		rewind(output.file);
		size = fread(answer, 1, sizeof answer - 1, output.file);
		answer[size] = 0;
	} else if (query) {
		snprintf(answer, sizeof answer, "%s", err.message);
	}
	query_close(query);
	fclose(output.file);
	return answer;
}

static void shows_tables(void)
{
	setenv("LC_ALL", "C", 1);
	CHECK_TEXT(asked("FROM t LIMIT 2;", query_write_table), "+---+--------+\n"
	                                                        "| i | s      |\n"
	                                                        "+---+--------+\n"
	                                                        "| 0 | name 0 |\n"
	                                                        "| 1 | name 1 |\n"
	                                                        "+---+--------+\n"
	                                                        "2 rows\n");
	CHECK_HAS(asked("SELECT 1 AS a WHERE false", query_write_table), "| a |\n+---+\n+---+\n0 rows\n");
	CHECK_HAS(asked("SELECT NULL AS a", query_write_table), "| NULL |\n+------+\n1 row\n");
	CHECK_HAS(asked("SELECT 1 AS a, 2 AS a", query_write_table), "| a | a |\n");
}

static void shows_other_statements(void)
{
	CHECK_HAS(asked("SHOW TABLES", query_write_table), "| odd  |");
	CHECK_HAS(asked("DESCRIBE t", query_write_table), "| i           | BIGINT");
	CHECK_HAS(asked("SUMMARIZE t", query_write_table), "approx_unique");
	CHECK_HAS(asked("PRAGMA table_info('t')", query_write_table), "|   0 | i    | BIGINT");
	CHECK_HAS(asked(" /* a */ -- b\n call pragma_version();", query_write_table), "library_version");
	CHECK_HAS(asked("EXPLAIN FROM t", query_write_table), "SEQ_SCAN");
	CHECK_HAS(asked("PRAGMA table_info('t')", query_write_json),
	          "{\"cid\": 0, \"name\": \"i\", \"type\": \"BIGINT\"");
	CHECK_TEXT(asked("SET threads = 1", query_write_table), "");
}

static void writes_csv(void)
{
	CHECK_TEXT(asked("SELECT t, e, n, b, l, x FROM odd -- end", query_write_csv),
	           "t,e,n,b,l,x\n\"a,\"\"b\"\"\n\",\"\",nan,true,\"[1, NULL]\",\\xAA\n,,,,,\n");
	CHECK_TEXT(asked("SELECT t AS \"a,b\" FROM odd WHERE t IS NULL", query_write_csv), "\"a,b\"\n\"\"\n");
}

static void writes_json(void)
{
	CHECK_TEXT(asked("FROM odd", query_write_json),
	           "[{\"n\": null, \"s\": {\"a\":null,\"b\":\"NaN \\\"x\"}, \"t\": \"a,\\\"b\\\"\\n\", \"e\": \"\", "
	           "\"d\": 12345678901234567890.500, \"b\": true, \"l\": [1,null], \"x\": \"\\\\xAA\"},\n"
	           " {\"n\": null, \"s\": null, \"t\": null, \"e\": null, \"d\": null, \"b\": null, \"l\": null, "
	           "\"x\": null}]\n");
	CHECK_TEXT(asked("SELECT 1 WHERE false", query_write_json), "[]\n");
	CHECK_TEXT(asked("SELECT 1 AS a, 2 AS a, 3 AS a_2", query_write_json),
	           "[{\"a\": 1, \"a_3\": 2, \"a_2\": 3}]\n");
	CHECK_TEXT(asked("SELECT '{\"k\": [1, 2]}'::JSON AS j, '-inf'::DOUBLE AS f, 1e300 AS g", query_write_json),
	           "[{\"j\": {\"k\": [1, 2]}, \"f\": null, \"g\": 1e+300}]\n");
}

static void writes_arrow_and_parquet(void)
{
	char file[300], sql[400];
	struct query *query;
	int64_t rows;

	/* An IPC stream begins with the continuation marker. */
	CHECK(!memcmp(asked("FROM t;", query_write_arrow), "\xff\xff\xff\xff", 4));
	CHECK(!memcmp(asked("FROM t;", query_write_parquet), "PAR1", 4));
	snprintf(file, sizeof file, "%s/x.parquet", folder);
	query = query_open(lake_connection(session), "FROM t -- all", &err);
	CHECK(query);
	CHECK_INT(query_copy_parquet(query, file, 0, &rows, &err), 0);
	CHECK_INT(rows, 3);
	query_close(query);
	snprintf(sql, sizeof sql, "SELECT count(*) AS n FROM '%s'", file);
	CHECK_TEXT(asked(sql, query_write_csv), "n\n3\n");
	CHECK_HAS(asked("EXPLAIN FROM t", query_write_parquet), "only the rows of a SELECT");
	unlink(file);
}

static void refuses(void)
{
	CHECK_TEXT(asked("SELECT 1; SELECT 2", query_write_csv),
	           "one statement would be right, these are 2 (a PIVOT without IN (...) counts as two)");
	CHECK_TEXT(asked("", query_write_csv), "there is no statement");
	CHECK_TEXT(asked("-- nothing", query_write_csv), "there is no statement");
	CHECK_TEXT(asked("SELECT ?", query_write_csv), "the statement has parameters: write their values into it");
	CHECK_HAS(asked("SELEC 1", query_write_csv), "syntax error at or near \"SELEC\"");
	CHECK_HAS(asked("SELECT sx FROM t", query_write_csv), "Candidate bindings: \"s\"");
	CHECK_HAS(asked("CREATE TABLE u (i INTEGER)", query_write_csv), "read-only");
	CHECK_HAS(asked("SELECT error('stop') FROM t", query_write_csv), "stop");
	CHECK_INT(err.kind, ERROR_INVALID);
}

/* A full disk is the output's error, not the query's. */
static void tells_a_failed_write(void)
{
	int (*const writers[])(struct query *, struct output_file *, struct error *) = {
	        query_write_table, query_write_csv, query_write_json, query_write_arrow, query_write_parquet};

	for (size_t i = 0; i < COUNT_OF(writers); i++) {
		struct query *query =
		        query_open(lake_connection(session), "SELECT repeat('x', 100) FROM range(2000)", &err);
		struct output_file output = {.file = fopen("/dev/full", "w")};

		CHECK(query && output.file);
		setvbuf(output.file, NULL, _IONBF, 0);
		CHECK_INT(writers[i](query, &output, &err), -1);
		CHECK_INT(output.code, ENOSPC);
		query_close(query);
		fclose(output.file);
	}
}

/* More rows than one chunk of DuckDB's, in order. */
static void streams_many_rows(void)
{
	struct query *query = query_open(lake_connection(session), "SELECT range FROM range(100000)", &err);
	const struct query_cell *cells;
	int64_t rows = 0, sum = 0;

	CHECK(query);
	CHECK_INT(query_start(query, false, &err), 0);
	CHECK_INT(query_column_count(query), 1);
	CHECK_INT(query_columns(query)[0].type, QUERY_NUMBER);
	while (query_next(query, &cells, &err) == 1) {
		char digits[32];

		snprintf(digits, sizeof digits, "%.*s", (int)cells[0].size, cells[0].text);
		sum += atoll(digits) == rows++;
	}
	query_close(query);
	CHECK_INT(rows, 100000);
	CHECK_INT(sum, 100000);
}

int main(int argc, char **argv)
{
	int failed;

	if (open_lake()) {
		printf("# %s\nnot ok open_lake\n", err.message);
		return 1;
	}
	failed = CHECK_MAIN(argc, argv, TEST(shows_tables), TEST(shows_other_statements), TEST(writes_csv),
	                    TEST(writes_json), TEST(writes_arrow_and_parquet), TEST(refuses),
	                    TEST(tells_a_failed_write), TEST(streams_many_rows));
	lake_session_free(session);
	lake_close(lake);
	snprintf(answer, sizeof answer, "rm -r %s", folder);
	return system(answer) || failed;
}
