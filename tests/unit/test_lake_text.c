/* test_lake_text.c - lake/duck_text.h: byte for byte what DuckDB's casts write, and query.h's names of types. */
#include "base/buffer.h"
#include "base/owned.h"
#include "check.h"
#include "lake/duck.h"
#include "lake/query.h"

static struct duck *duck;
static struct duck_connection *connection;
static struct error err;

static bool equal(const struct query_cell *a, const struct query_cell *b)
{
	if (!a->text || !b->text)
		return !a->text && !b->text;
	return a->size == b->size && !memcmp(a->text, b->text, a->size);
}

/* Of a SELECT of pairs (value, its cast). */
static void equals_casts(const char *name, const char *sql, int64_t at_least)
{
	struct query *query = query_open(connection, sql, &err);
	const struct query_cell *cells;
	int64_t rows = 0;
	int got = -1, wrong = 0;

	if (!query || query_start(query, false, &err)) {
		CHECK_FAIL("%s: %s", name, err.message);
		query_close(query);
		return;
	}
	while (wrong < 3 && (got = query_next(query, &cells, &err)) == 1) {
		rows++;
		if (equal(&cells[0], &cells[1]))
			continue;
		wrong++;
		CHECK_FAIL("%s: %.*s, and DuckDB writes %.*s", name, (int)cells[0].size,
		           cells[0].text ? cells[0].text : "NULL", (int)cells[1].size,
		           cells[1].text ? cells[1].text : "NULL");
	}
	if (got < 0)
		CHECK_FAIL("%s: %s", name, err.message);
	if (!wrong && rows < at_least)
		CHECK_FAIL("%s: %d rows", name, (int)rows);
	query_close(query);
}

/* TYPE, values beside those of test_all_types(), an expression of random ones over range r. */
static const struct {
	const char *type, *values, *random;
} types[] = {
        {"BOOLEAN", "true, false", "random() < 0.5"},
        {"TINYINT", "-128, 127, 0, -1", "(random() * 255 - 128)::INT::TINYINT"},
        {"SMALLINT", "-32768, 32767, 0", "(random() * 65535 - 32768)::INT::SMALLINT"},
        {"INTEGER", "-2147483648, 2147483647, 0", "(random() * 4e9 - 2e9)::INTEGER"},
        {"BIGINT", "-9223372036854775808, 9223372036854775807, 0, -10, 100", "(random() * 1.8e19 - 9e18)::BIGINT"},
        {"UTINYINT", "0, 255", "(random() * 255)::UTINYINT"},
        {"USMALLINT", "0, 65535", "(random() * 65535)::USMALLINT"},
        {"UINTEGER", "0, 4294967295", "(random() * 4e9)::UINTEGER"},
        {"UBIGINT", "0, 18446744073709551615", "(random() * 1.8e19)::UBIGINT"},
        {"HUGEINT",
         "'-170141183460469231731687303715884105728', 170141183460469231731687303715884105727, 0, -1, "
         "18446744073709551615, 18446744073709551616, 1000000000000000000, 100000000000000000000000000000000000000, "
         "-18446744073709551617",
         "hash(r)::HUGEINT * (hash(r + 1) // 16)::HUGEINT * CASE WHEN r % 2 = 0 THEN 1 ELSE -1 END"},
        {"UHUGEINT", "'0', '340282366920938463463374607431768211455', '18446744073709551616'",
         "hash(r)::UHUGEINT * hash(r + 1)::UHUGEINT"},
        {"FLOAT",
         "'nan', 'inf', '-inf', 0, '-0', 1, 0.1, 1e10, 1e15, 1e16, 1e17, 1e-4, 1e-5, 3.4028235e38, 1.1754944e-38, "
         "1e-45, "
         "16777216, 16777217, 123456.789, 9999999, 0.3",
         "(random() * power(10, (random() * 76 - 38)::INT))::FLOAT * CASE WHEN r % 2 = 0 THEN 1 ELSE -1 END"},
        {"DOUBLE",
         "'nan', 'inf', '-inf', 0, '-0', 1, 0.1, 1e15, 1e16, 1e17, 123456789012345680, 9007199254740993, 1e22, 1e23, "
         "1e-4, 1e-5, 0.0001, 0.00012345, 1.7976931348623157e308, 2.2250738585072014e-308, 5e-324, 0.3, 1e100, "
         "123456.789, "
         "5.684341886080802e-14, 9999999999999998, 99999999999999990, 4.35, 2.5, 1234567890123456.7",
         "random() * power(10, (random() * 600 - 300)::INT) * CASE WHEN r % 2 = 0 THEN 1 ELSE -1 END"},
        {"DOUBLE", "1", "power(2, CASE WHEN r % 2000 IN (1081, 1091, 1807) THEN 0 ELSE r % 2000 - 1000 END)"},
        {"DOUBLE", "1", "round(random() * 10000, (r % 6)::INT)"},
        {"DOUBLE", "1", "(r * 1000 - 5000000)::DOUBLE"},
        {"FLOAT", "1", "power(2, r % 250 - 125)::FLOAT"},
        {"DECIMAL(4,1)", "-999.9, 999.9, 0, 0.1, -0.1", "(random() * 1000 - 500)::DECIMAL(4,1)"},
        {"DECIMAL(9,4)", "-99999.9999, 0.0001, -0.0001", "(random() * 10000)::DECIMAL(9,4)"},
        {"DECIMAL(18,6)", "-999999999999.999999, 0.000001", "(random() * 1e11 - 5e10)::DECIMAL(18,6)"},
        {"DECIMAL(38,10)", "'-9999999999999999999999999999.9999999999', '0', '-0.0000000001', '12345678901234567890.5'",
         "(random() * 1e25 - 5e24)::DECIMAL(38,10)"},
        {"DECIMAL(3,3)", "0.123, -0.999, 0", "(random() - 0.5)::DECIMAL(3,3)"},
        {"DECIMAL(38,38)", "0.1, -0.1, 0", "(random() - 0.5)::DECIMAL(38,38)"},
        {"DECIMAL(18,0)", "-999999999999999999, 0", "(random() * 1e17)::DECIMAL(18,0)"},
        {"DATE",
         "'infinity', '-infinity', '0001-01-01', '0001-01-01 (BC)', '5877642-06-25 (BC)', '5881580-07-10', "
         "'1970-01-01', "
         "'2000-02-29', '10000-01-01', '0044-03-15 (BC)', '1900-03-01', '1582-10-15'",
         "'2000-01-01'::DATE + (random() * 4000000 - 2000000)::INT"},
        {"TIME", "'00:00:00', '23:59:59.999999', '24:00:00', '12:34:56.1', '00:00:00.000001', '00:00:00.10001'",
         "'00:00:00'::TIME + to_microseconds((random() * 86399999999)::BIGINT)"},
        {"TIMESTAMP",
         "'infinity', '-infinity', '1970-01-01', '1969-12-31 23:59:59.999999', '0001-01-01 00:00:00.5', "
         "'290309-12-22 (BC) 00:00:00', '294247-01-10 04:00:54.775806', '2024-02-29 12:34:56.789', '0005-01-01 (BC) "
         "10:00:00.25'",
         "make_timestamp((random() * 4e17 - 2e17)::BIGINT)"},
        {"UUID",
         "'00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', "
         "'80000000-0000-0000-0000-000000000001', '7fffffff-ffff-ffff-7fff-ffffffffffff'",
         "uuid()"},
        {"ENUM('a', 'b''c', 'größe', '')", "'a', 'b''c', 'größe', ''", "CASE WHEN r % 2 = 0 THEN 'a' ELSE '' END"},
        {"VARCHAR", "'', 'x', 'exactly12ch.', 'more than twelve', chr(0) || 'x', '🦆'",
         "repeat(chr(97 + (r % 26)::INT), (r % 30)::INT)"},
};

static void writes_what_casts_write(void)
{
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		OWNED_BUFFER struct buffer sql = {0};
		const char *type = types[i].type;

		buffer_init(&sql, 1 << 16);
		buffer_printf(&sql,
		              "SELECT v, CAST(v AS VARCHAR) FROM (SELECT CAST(NULL AS %s) AS v UNION ALL SELECT "
		              "unnest(CAST([%s] AS %s[])) UNION ALL SELECT CAST(%s AS %s) FROM range(20000) t(r))",
		              type, types[i].values, type, types[i].random, type);
		equals_casts(type, buffer_string(&sql), 20000);
	}
}

/* Here DuckDB 1.5.5 writes twice as much, and one time "A.07e+242". When it does not any more, they are no exceptions.
 */
static void writes_what_doubles_are(void)
{
	struct query *query =
	        query_open(connection,
	                   "SELECT v, CAST(CAST(v AS VARCHAR) = w AS VARCHAR) FROM (VALUES (power(2, 81), "
	                   "'2.4178516392292583e+24'), (-power(2, 91), '-2.4758800785707605e+27'), (power(2, "
	                   "807), '8.535058474086213e+242')) t(v, w)",
	                   &err);
	static const char *const right[] = {"2.4178516392292583e+24", "-2.4758800785707605e+27",
	                                    "8.535058474086213e+242"};
	const struct query_cell *cells;

	CHECK(query && !query_start(query, false, &err));
	for (size_t i = 0; i < COUNT_OF(right); i++) {
		CHECK_INT(query_next(query, &cells, &err), 1);
		CHECK(cells[0].size == strlen(right[i]) && !memcmp(cells[0].text, right[i], cells[0].size));
		CHECK(cells[1].size == 5);
	}
	query_close(query);
}

/* Each type that DuckDB has, with the least and the greatest of each; those that are cast, too. */
static void writes_all_types(void)
{
	OWNED_DUCK_ROWS struct duck_rows names = {0};

	if (duck_query(connection, "SELECT column_name FROM (DESCRIBE FROM test_all_types())", &names, &err)) {
		CHECK_FAIL("%s", err.message);
		return;
	}
	CHECK(names.row_count > 50);
	for (int64_t i = 0; i < names.row_count; i++) {
		OWNED_BUFFER struct buffer sql = {0};

		buffer_init(&sql, 1 << 12);
		buffer_printf(&sql, "SELECT \"%s\", CAST(\"%s\" AS VARCHAR) FROM test_all_types()",
		              duck_cell(&names, i, 0), duck_cell(&names, i, 0));
		equals_casts(duck_cell(&names, i, 0), buffer_string(&sql), 3);
	}
}

static void names_types(void)
{
	OWNED_DUCK_ROWS struct duck_rows described = {0};
	struct query *query = query_open(connection, "FROM test_all_types()", &err);

	CHECK(query);
	CHECK_INT(duck_query(connection, "SELECT column_type FROM (DESCRIBE FROM test_all_types())", &described, &err),
	          0);
	CHECK_INT(query_column_count(query), described.row_count);
	for (int i = 0; i < query_column_count(query); i++) {
		OWNED_DUCK_ROWS struct duck_rows same = {0};
		OWNED_BUFFER struct buffer sql = {0};

		/* Spelled differently (quotes), and the same type. */
		buffer_init(&sql, 1 << 20);
		buffer_printf(&sql, "SELECT typeof(CAST(NULL AS %s)) = typeof(CAST(NULL AS %s))",
		              query_columns(query)[i].type_name, duck_cell(&described, i, 0));
		if (duck_query(connection, buffer_string(&sql), &same, &err))
			CHECK_FAIL("%s: %s", query_columns(query)[i].type_name, err.message);
		else if (strcmp(duck_cell(&same, 0, 0), "true") != 0)
			CHECK_FAIL("%s, and DuckDB names it %s", query_columns(query)[i].type_name,
			           duck_cell(&described, i, 0));
	}
	query_close(query);
	query = query_open(connection, "SELECT 1::DECIMAL(18,3) AS d, '{}'::JSON AS j, {'a b': [1]} AS s", &err);
	CHECK(query);
	CHECK_TEXT(query_columns(query)[0].type_name, "DECIMAL(18,3)");
	CHECK_TEXT(query_columns(query)[1].type_name, "JSON");
	CHECK_TEXT(query_columns(query)[2].type_name, "STRUCT(\"a b\" INTEGER[])");
	query_close(query);
}

int main(int argc, char **argv)
{
	int failed;

	duck = duck_open(NULL, NULL, 0, &err);
	connection = duck ? duck_connect(duck, &err) : NULL;
	if (!connection) {
		printf("# %s\nnot ok duck_open\n", err.message);
		return 1;
	}
	failed = CHECK_MAIN(argc, argv, TEST(writes_what_casts_write), TEST(writes_what_doubles_are),
	                    TEST(writes_all_types), TEST(names_types));
	duck_disconnect(connection);
	duck_close(duck);
	return failed;
}
