/* Exact sums in DuckDB: groups on all threads, FILTER and NULL, what is taken away, wrong bytes, and no memory. */
#include "test_exact.h"

#include "base/folder.h"
#include "batch/arrow_abi.h"
#include "lake/duck.h"
#include "lake/exact_sql.h"

/* Memory runs out for what is linked in, not for DuckDB, a shared library: tests/CMakeLists.txt. */
static int mallocs_left = -1;
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
	if (mallocs_left == 0)
		return NULL;
	if (mallocs_left > 0)
		mallocs_left--;
	return __real_malloc(size);
}

static struct duck *duck;
static struct duck_connection *connection;

static void open_duck(void)
{
	static const struct duck_setting threads[] = {{"threads", "2"}};
	struct error err = {0};

	duck = duck_open(NULL, threads, 1, &err);
	connection = duck ? duck_connect(duck, &err) : NULL;
	if (!connection || exact_sql_register(connection, &err)) {
		fprintf(stderr, "%s\n", err.message);
		exit(2);
	}
}

static void close_duck(void)
{
	duck_disconnect(connection);
	duck_close(duck);
}

/* The one cell of a statement, or its error. The text is good until the next call. */
static const char *ask(const char *sql)
{
	static char answer[600];
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	struct error err = {0};

	if (duck_query(connection, sql, &rows, &err))
		snprintf(answer, sizeof answer, "%s", err.message);
	else
		snprintf(answer, sizeof answer, "%s",
		         rows.row_count && duck_cell(&rows, 0, 0) ? duck_cell(&rows, 0, 0) : "NULL");
	return answer;
}

static void run(const char *sql)
{
	struct error err = {0};

	if (duck_exec(connection, sql, NULL, &err)) {
		CHECK_FAIL("%s: %s", sql, err.message);
		exit(1);
	}
}

static void registering_twice_is_no_error(void)
{
	struct error err = {0};
	struct duck_connection *other = duck_connect(duck, &err);

	CHECK_INT(exact_sql_register(connection, &err), 0);
	CHECK_INT(exact_sql_register(other, &err), 0);
	run("BEGIN");
	CHECK_INT(exact_sql_register(connection, &err), 0);
	run("ROLLBACK");
	CHECK_INT(duck_exec(other, "SELECT tarn_exact_value(tarn_exact_sum(1))", NULL, &err), 0);
	duck_disconnect(other);
	CHECK_TEXT(ask("SELECT count(*) FROM duckdb_functions() WHERE function_name LIKE 'tarn_exact_%'"), "5");
}

/* Adds up what DuckDB has in `rows`, in DuckDB's order. */
static int sum_up_rows(struct exact *sums)
{
	struct error err = {0};
	struct duck_stream *stream = duck_stream_open(connection, "SELECT g, x FROM rows WHERE x IS NOT NULL", &err);
	struct ArrowArray array;
	int got, failed = 0;

	while (stream && (got = duck_stream_next(stream, &array, &err)) == 1) {
		const int64_t *groups = array.children[0]->buffers[1];
		const double *values = array.children[1]->buffers[1];

		for (int64_t i = 0; i < array.length; i++)
			failed |= exact_add(&sums[groups[i]], values[i], &err);
		array.release(&array);
	}
	failed |= !stream || got < 0;
	duck_stream_close(stream);
	return failed;
}

static bool is_encoding_of(const char *hex, const struct exact *sum)
{
	uint8_t bytes[EXACT_BYTES_MAX];
	char text[2 * EXACT_BYTES_MAX + 1] = "";
	size_t size = exact_encode(sum, bytes);

	for (size_t i = 0; i < size; i++)
		snprintf(text + 2 * i, 3, "%02X", bytes[i]);
	return !strcmp(hex, text);
}

enum { GROUPS = 100000 };

/* In one group of 64 the values are of all magnitudes: they need more limbs than a state has in itself. */
static void groups_on_all_threads_equal_a_reference(void)
{
	OWNED_FREE struct exact *sums = calloc(GROUPS, sizeof *sums);
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	struct error err = {0};

	run("CREATE TABLE rows AS SELECT (hash(i) % 100000)::BIGINT AS g, i, CASE WHEN i % 10 = 0 THEN NULL "
	    "WHEN g % 64 = 0 THEN (hash(i + 1) % 2001 - 1000.0) * 10.0 ** ((hash(i + 2) % 600)::INTEGER - 300) "
	    "ELSE (hash(i + 1) % 2000001 - 1000000.0) / 100 END::DOUBLE AS x FROM range(1200000) AS t(i)");
	run("CREATE TABLE sums AS SELECT g, tarn_exact_sum(x) AS s FROM rows GROUP BY g");
	CHECK_INT(sum_up_rows(sums), 0);
	CHECK_INT(duck_query(connection,
	                     "SELECT g, hex(s), tarn_exact_value(s) FROM sums WHERE s IS NOT NULL ORDER BY g", &rows,
	                     &err),
	          0);
	CHECK(rows.row_count > 99000);
	for (int64_t row = 0; row < rows.row_count; row++) {
		struct exact *sum = &sums[duck_cell_int(&rows, row, 0)];

		CHECK(is_encoding_of(duck_cell(&rows, row, 1), sum));
		CHECK(strtod(duck_cell(&rows, row, 2), NULL) == exact_value(sum));
		exact_release(sum);
	}
}

#define SAME_AS_SUMS(table)                                                                                            \
	"SELECT count(*) = (SELECT count(*) FROM sums) AND bool_and(a.s IS NOT DISTINCT FROM b.s) FROM sums a JOIN "   \
	"(" table ") b USING (g)"

static void rows_in_another_order_give_the_same_bytes(void)
{
	CHECK_TEXT(ask(SAME_AS_SUMS("SELECT g, tarn_exact_sum(x) AS s FROM (FROM rows ORDER BY hash(i)) GROUP BY g")),
	           "true");
	CHECK_TEXT(ask(SAME_AS_SUMS("SELECT g, tarn_exact_merge(s) AS s FROM (SELECT g, tarn_exact_sum(x) AS s "
	                            "FROM rows GROUP BY g, i % 3) GROUP BY g")),
	           "true");
	/* DuckDB's own sum is the reason for all this */
	CHECK_TEXT(ask("SELECT count(*) > 0 FROM (SELECT g, sum(x) AS s FROM (FROM rows ORDER BY i) GROUP BY g) a "
	               "JOIN (SELECT g, sum(x) AS s FROM (FROM rows ORDER BY i DESC) GROUP BY g) b USING (g) "
	               "WHERE a.s <> b.s"),
	           "true");
}

/* A table of sums is brought up to date by what came and went: with and without each third row. */
static void what_is_taken_away_leaves_no_trace(void)
{
	run("CREATE TABLE fewer AS SELECT g, tarn_exact_sum(x) AS s FROM rows WHERE i % 3 <> 0 GROUP BY g");
	run("CREATE TABLE thirds AS SELECT g, tarn_exact_sum(x) AS s FROM rows WHERE i % 3 = 0 GROUP BY g");
	CHECK_TEXT(ask(SAME_AS_SUMS("SELECT g, tarn_exact_merge(s) AS s FROM (FROM fewer UNION ALL FROM thirds) "
	                            "GROUP BY g")),
	           "true");
	CHECK_TEXT(ask("SELECT bool_and(a.s = b.s) AND count(*) > 90000 FROM fewer a JOIN (SELECT g, "
	               "tarn_exact_merge(s) AS s FROM (FROM sums UNION ALL SELECT g, tarn_exact_negate(s) FROM thirds) "
	               "GROUP BY g) b USING (g)"),
	           "true");
	CHECK_TEXT(ask("SELECT DISTINCT s FROM (SELECT g, tarn_exact_merge(s) AS s FROM (FROM thirds UNION ALL "
	               "SELECT g, tarn_exact_negate(s) FROM thirds) GROUP BY g) WHERE s IS NOT NULL"),
	           "\\x01");
	CHECK_TEXT(ask("SELECT count(*) FROM thirds WHERE tarn_exact_value(s) + tarn_exact_value(tarn_exact_negate(s)) "
	               "<> 0"),
	           "0");
}

static void filter_null_and_distinct_mean_what_they_mean_elsewhere(void)
{
	CHECK_TEXT(
	        ask("SELECT tarn_exact_sum(x) FILTER (WHERE i < 1000) = (SELECT tarn_exact_sum(x) FROM rows WHERE i < "
	            "1000) FROM rows"),
	        "true");
	CHECK_TEXT(
	        ask("SELECT bool_and(a IS NOT DISTINCT FROM b) FROM (SELECT g, tarn_exact_sum(x) FILTER (WHERE i % 2 "
	            "= 0) AS a, tarn_exact_sum(CASE WHEN i % 2 = 0 THEN x END) AS b FROM rows GROUP BY g)"),
	        "true");
	CHECK_TEXT(ask("SELECT tarn_exact_sum(NULL) FROM range(10)"), "NULL");
	CHECK_TEXT(ask("SELECT tarn_exact_sum(1.0) FROM range(0)"), "NULL");
	CHECK_TEXT(ask("SELECT tarn_exact_sum(i) FILTER (WHERE i > 10) FROM range(10) AS t(i)"), "NULL");
	CHECK_TEXT(ask("SELECT tarn_exact_merge(NULL) FROM range(10)"), "NULL");
	CHECK_TEXT(ask("SELECT count(s) FROM (SELECT tarn_exact_sum(CASE WHEN i < 3 THEN 0 END) AS s FROM range(10) "
	               "AS t(i) GROUP BY i)"),
	           "3");
	CHECK_TEXT(ask("SELECT tarn_exact_sum(0)"), "\\x01");
	CHECK_TEXT(ask("SELECT tarn_exact_value(tarn_exact_sum(DISTINCT i % 3)) FROM range(10) AS t(i)"), "3.0");
	CHECK_TEXT(ask("SELECT tarn_exact_value(NULL)"), "NULL");
	CHECK_TEXT(ask("SELECT tarn_exact_negate(NULL)"), "NULL");
	CHECK_TEXT(
	        ask("SELECT string_agg(coalesce(tarn_exact_value(tarn_exact_negate(b))::VARCHAR, 'null'), ' ' ORDER BY "
	            "i) FROM (VALUES (1, '\\x01\\x86\\x00\\x04'::BLOB), (2, NULL), (3, '\\x01'::BLOB)) AS t(i, b)"),
	        "-1.0 null 0.0");
	CHECK_TEXT(ask("SELECT tarn_exact_value(tarn_exact_sum(x)) FROM (VALUES (1e308), (1), (-1e308)) AS t(x)"),
	           "1.0");
	CHECK_TEXT(ask("SELECT tarn_exact_value(tarn_exact_sum(x)) FROM (VALUES ('inf'::DOUBLE), (1)) AS t(x)"), "inf");
}

/* Two in a row are what a group of the two is, also where one is not there. */
static void plus_is_a_merge_of_two(void)
{
	run("CREATE TABLE others AS SELECT g + 50000 AS g, s FROM sums");
	CHECK_TEXT(
	        ask("SELECT count(*) > 150000 - 1000 AND bool_and(a.s IS NOT DISTINCT FROM b.s) FROM (SELECT "
	            "coalesce(l.g, r.g) AS g, tarn_exact_plus(l.s, r.s) AS s FROM sums l FULL JOIN others r ON l.g = "
	            "r.g) a JOIN (SELECT g, tarn_exact_merge(s) AS s FROM (FROM sums UNION ALL FROM others) GROUP BY "
	            "g) b USING (g)"),
	        "true");
	run("DROP TABLE others");
	CHECK_TEXT(ask("SELECT tarn_exact_plus(NULL, NULL)"), "NULL");
	CHECK_TEXT(ask("SELECT tarn_exact_plus(NULL, '\\x01'::BLOB)"), "\\x01");
	CHECK_TEXT(ask("SELECT tarn_exact_plus(tarn_exact_sum(1), tarn_exact_negate(tarn_exact_sum(1)))"), "\\x01");
}

static void bytes_that_are_no_sum_are_refused(void)
{
	CHECK_HAS(ask("SELECT tarn_exact_value('\\x01\\x86'::BLOB)"),
	          "Invalid Input Error: tarn_exact_value: not an exact sum (it is cut off)");
	CHECK_HAS(ask("SELECT tarn_exact_value(b) FROM (VALUES ('\\x01'::BLOB), (NULL), (''::BLOB)) AS t(b)"),
	          "Invalid Input Error: tarn_exact_value: not an exact sum (it is empty)");
	CHECK_HAS(ask("SELECT tarn_exact_negate('\\x02'::BLOB)"),
	          "Invalid Input Error: tarn_exact_negate: not an exact sum of version 1 (its first byte is 2)");
	CHECK_HAS(ask("SELECT tarn_exact_merge(b) FROM (SELECT '\\x01'::BLOB AS b UNION ALL SELECT 'rubbish'::BLOB)"),
	          "Invalid Input Error: tarn_exact_merge: not an exact sum");
	CHECK_HAS(ask("SELECT tarn_exact_merge('\\x01\\x0f\\x01\\x7f'::BLOB) FROM range(10)"),
	          "tarn_exact_merge: an exact sum holds at most 2^62 doubles");
	CHECK_HAS(ask("SELECT tarn_exact_plus('\\x01'::BLOB, 'rubbish'::BLOB)"),
	          "Invalid Input Error: tarn_exact_plus: not an exact sum");
	CHECK_HAS(ask("SELECT tarn_exact_plus('rubbish'::BLOB, NULL)"),
	          "Invalid Input Error: tarn_exact_plus: not an exact sum");
	CHECK_TEXT(ask("SELECT TRY(tarn_exact_value('rubbish'::BLOB))"), "NULL");
}

#define GROUPED                                                                                                        \
	"SELECT i % 700000 AS g, tarn_exact_sum(CASE WHEN i % 64 = 0 THEN i * 10.0 ** (i % 300) ELSE i / 100 END) AS " \
	"s FROM range(2100000) AS t(i)"

/* Groups that do not fit in memory go to disk as bytes, and what a state holds outside of itself stays where it is. */
static void states_come_back_from_disk(void)
{
	OWNED_FREE char *folder = folder_make(NULL, "tarn-exact-", NULL);
	struct error err = {0};

	CHECK(folder);
	run("SET memory_limit = '80MB'");
	run("SET temp_directory = ''");
	CHECK_INT(duck_exec(connection, "CREATE TABLE spilled AS " GROUPED " GROUP BY g", NULL, &err), -1);
	CHECK_HAS(err.message, "Out of Memory Error");
	CHECK_INT(duck_execf(connection, &err, "SET temp_directory = '%s'", folder), 0);
	run("CREATE TABLE spilled AS " GROUPED " GROUP BY g");
	run("SET memory_limit = '1GB'");
	CHECK_TEXT(
	        ask("SELECT count(*) = 700000 AND count(*) FILTER (WHERE octet_length(s) > 40) > 10000 FROM spilled"),
	        "true");
	/* as without the disk */
	CHECK_TEXT(ask("SELECT count(*) FROM (SELECT g, s FROM spilled WHERE g % 16 = 0 EXCEPT " GROUPED
	               " WHERE g % 16 = 0 GROUP BY g)"),
	           "0");
	run("DROP TABLE spilled");
	CHECK_INT(folder_remove(folder, NULL), 0);
}

/* A place for the first n of what needs more than a state has, and none for the next. */
static void without_memory_a_statement_fails_and_no_more(void)
{
	static const int left[] = {0, 1, 50, 1000};

	run("CREATE TABLE large AS SELECT g, s FROM sums WHERE g % 64 = 0");
	for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
		mallocs_left = left[i];
		CHECK_TEXT(ask("SELECT count(s) FROM (SELECT tarn_exact_sum(x) AS s FROM rows GROUP BY g)"),
		           "Invalid Input Error: tarn_exact_sum: out of memory");
		mallocs_left = left[i];
		CHECK_TEXT(ask("SELECT count(s) FROM (SELECT tarn_exact_merge(s) AS s FROM large GROUP BY g)"),
		           "Invalid Input Error: tarn_exact_merge: out of memory");
		mallocs_left = left[i];
		CHECK_TEXT(ask("SELECT count(tarn_exact_negate(s)) FROM large"),
		           "Invalid Input Error: tarn_exact_negate: out of memory");
		mallocs_left = left[i];
		CHECK_TEXT(ask("SELECT count(tarn_exact_plus(s, s)) FROM large"),
		           "Invalid Input Error: tarn_exact_plus: out of memory");
		mallocs_left = -1;
	}
	CHECK_TEXT(
	        ask("SELECT count(*) > 1500 AND count(s) = count(*) FROM (SELECT tarn_exact_merge(s) AS s FROM large "
	            "GROUP BY g)"),
	        "true");
}

int main(int argc, char **argv)
{
	int failed;

	open_duck();
	failed = CHECK_MAIN(argc, argv, TEST(registering_twice_is_no_error),
	                    TEST(groups_on_all_threads_equal_a_reference),
	                    TEST(rows_in_another_order_give_the_same_bytes), TEST(what_is_taken_away_leaves_no_trace),
	                    TEST(filter_null_and_distinct_mean_what_they_mean_elsewhere), TEST(plus_is_a_merge_of_two),
	                    TEST(bytes_that_are_no_sum_are_refused), TEST(states_come_back_from_disk),
	                    TEST(without_memory_a_statement_fails_and_no_more));
	close_duck();
	return failed;
}
