/* test_query_write.c - query/write.h and the parameters of lake/query.h: what is bound, and rows as bytes in each form.
 */
#include <pthread.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/owned.h"
#include "check.h"
#include "lake/duck.h"
#include "query/write.h"

static struct duck *duck;
static struct duck_connection *connection;
static struct error err;
static struct write_result result;

struct taken {
	struct buffer bytes;
	int64_t puts, most; /* of puts that are taken; 0: any */
	size_t largest;
};

static int take(void *context, const void *bytes, size_t size, struct error *error)
{
	struct taken *taken = context;

	taken->puts++;
	taken->largest = size > taken->largest ? size : taken->largest;
	if (taken->most && taken->puts > taken->most)
		return error_set(error, ERROR_TRANSIENT, 0, "the client went away");
	buffer_append(&taken->bytes, bytes, size);
	return 0;
}

static struct taken taken;

static int written(struct query *query, const struct write_options *options, int64_t most)
{
	int failed;

	err = (struct error){0};
	buffer_release(&taken.bytes);
	taken = (struct taken){.most = most};
	buffer_init(&taken.bytes, BUFFER_DEFAULT_MAXIMUM);
	failed = write_rows(query, options, &(struct write_sink){&taken, take}, &result, &err);
	query_close(query);
	return failed;
}

static struct query *opened(const char *sql)
{
	struct query *query = query_open(connection, sql, &err);

	if (!query)
		CHECK_FAIL("%s: %s", sql, err.message);
	return query;
}

/* Of a statement without parameters. NULL: it failed. */
static const char *text_of(const char *sql, const struct write_options *options)
{
	struct query *query = opened(sql);

	return query && !written(query, options, 0) ? buffer_string(&taken.bytes) : NULL;
}

static const struct write_options csv = {.format = ANSWER_CSV}, json = {.format = ANSWER_JSON},
                                  ndjson = {.format = ANSWER_NDJSON}, arrow = {.format = ANSWER_ARROW},
                                  parquet = {.format = ANSWER_PARQUET};

/* ---- parameters */

static struct query_value text(const char *value)
{
	return (struct query_value){.kind = QUERY_VALUE_TEXT, .text = value, .size = strlen(value)};
}

static struct query_value integer(int64_t value)
{
	return (struct query_value){.kind = QUERY_VALUE_INTEGER, .integer = value};
}

/* The answer with one named parameter; or the error's text. */
static const char *with(const char *sql, const char *name, struct query_value value,
                        const struct write_options *options)
{
	struct query *query = opened(sql);

	if (!query)
		return "";
	if (query_bind(query, name, &value, &err)) {
		query_close(query);
		return err.message;
	}
	return written(query, options, 0) ? err.message : buffer_string(&taken.bytes);
}

static void binds_values(void)
{
	struct query_value yes = {.kind = QUERY_VALUE_BOOLEAN, .boolean = true}, nothing = {.kind = QUERY_VALUE_NULL},
	                   real = {.kind = QUERY_VALUE_DOUBLE, .real = 0.5};

	CHECK_TEXT(with("SELECT i FROM t WHERE i = $i", "i", integer(7), &csv), "i\n7\n");
	CHECK_TEXT(with("SELECT i FROM t WHERE i = $1", "1", integer(7), &csv), "i\n7\n");
	CHECK_TEXT(with("SELECT i FROM t WHERE i = ?", "1", text("7"), &csv), "i\n7\n");
	CHECK_TEXT(with("SELECT count(*) AS n FROM t WHERE moment > $m", "m", text("2024-01-09"), &csv), "n\n2\n");
	CHECK_TEXT(with("SELECT i FROM t ORDER BY i LIMIT $n", "n", text("2"), &csv), "i\n0\n1\n");
	CHECK_TEXT(with("SELECT count(*) AS n FROM t WHERE even = $e", "e", yes, &csv), "n\n6\n");
	CHECK_TEXT(with("SELECT count(*) AS n FROM t WHERE $e IS NULL OR i = $e", "e", nothing, &csv), "n\n11\n");
	CHECK_TEXT(with("SELECT $x AS x", "x", real, &csv), "x\n0.5\n");
	CHECK_TEXT(with("SELECT $x AS x", "X", text("a\"b"), &json), "[{\"x\": \"a\\\"b\"}]\n");
	CHECK_TEXT(with("SELECT $x AS x", "x", integer(INT64_MIN), &json), "[{\"x\": -9223372036854775808}]\n");
	CHECK_TEXT(with("SELECT $x AS x, 1 AS x", "x", nothing, &json), "[{\"x\": null, \"x_2\": 1}]\n");
	CHECK_TEXT(with("SELECT i + $x AS i FROM t ORDER BY ALL LIMIT 1", "x", integer(5), &csv), "i\n5\n");
	CHECK_TEXT(with("SELECT $x AS x", "x", (struct query_value){.kind = QUERY_VALUE_TEXT, .text = "", .size = 0},
	                &csv),
	           "x\n\"\"\n");
}

/* What with() says of a parameter $x that is a number, and of its type. */
static const char *number(const char *sql, const char *digits)
{
	return with(sql, "x", (struct query_value){.kind = QUERY_VALUE_NUMBER, .text = digits, .size = strlen(digits)},
	            &csv);
}

static void numbers_keep_their_digits(void)
{
	static const char any[] = "SELECT $x AS x, typeof($x) AS t";

	CHECK_TEXT(number(any, "1.5"), "x,t\n1.5,DOUBLE\n");
	CHECK_TEXT(number(any, "1e2"), "x,t\n100.0,DOUBLE\n");
	CHECK_TEXT(number(any, "-0.1"), "x,t\n-0.1,DOUBLE\n");
	CHECK_TEXT(number(any, "0.30000000000000004"), "x,t\n0.30000000000000004,DOUBLE\n");
	CHECK_TEXT(number(any, "0.0"), "x,t\n0.0,DOUBLE\n");
	CHECK_TEXT(number(any, "5e-324"), "x,t\n5e-324,DOUBLE\n");
	CHECK_TEXT(number(any, "1.7976931348623157E+308"), "x,t\n1.7976931348623157e+308,DOUBLE\n");
	CHECK_TEXT(number(any, "-9223372036854775808"), "x,t\n-9223372036854775808,BIGINT\n");
	CHECK_TEXT(number(any, "9223372036854775809"), "x,t\n9223372036854775809,HUGEINT\n");
	CHECK_TEXT(number(any, "-18446744073709551615"), "x,t\n-18446744073709551615,HUGEINT\n");
	CHECK_TEXT(number(any, "9.223372036854775809e20"), "x,t\n922337203685477580900,HUGEINT\n");
	CHECK_TEXT(number(any, "18446744073709551616"), "x,t\n18446744073709551616,HUGEINT\n");
	CHECK_TEXT(number(any, "1e23"), "x,t\n1e+23,DOUBLE\n");
	CHECK_TEXT(number(any, "12345678901234567890.12"), "x,t\n12345678901234567890.12,\"DECIMAL(22,2)\"\n");
	CHECK_TEXT(number(any, "-0.010000000000000000200"), "x,t\n-0.0100000000000000002,\"DECIMAL(20,19)\"\n");
	CHECK_TEXT(number(any, "340282366920938463463374607431768211455"),
	           "x,t\n340282366920938463463374607431768211455,VARCHAR\n");
	CHECK_TEXT(number("SELECT $x::HUGEINT AS x", "18446744073709551615"), "x\n18446744073709551615\n");
	CHECK_TEXT(number("SELECT $x::UBIGINT AS x", "18446744073709551615"), "x\n18446744073709551615\n");
	CHECK_TEXT(number("SELECT $x::UHUGEINT AS x", "340282366920938463463374607431768211455"),
	           "x\n340282366920938463463374607431768211455\n");
	CHECK_TEXT(number("SELECT $x::DECIMAL(38,2) AS x", "12345678901234567890.12"), "x\n12345678901234567890.12\n");
	CHECK_TEXT(number("SELECT $x::DECIMAL(38,10) AS x", "1234567890123.45"), "x\n1234567890123.4500000000\n");
	CHECK_TEXT(number("SELECT $x::DECIMAL(5,2) AS x", "1.005"), "x\n1.01\n");
	CHECK_TEXT(number("SELECT $x::HUGEINT AS x", "1e23"), "x\n100000000000000000000000\n");
	CHECK_TEXT(number("SELECT $x::BIGINT AS x", "12345678901234567e2"), "x\n1234567890123456700\n");
	CHECK_TEXT(number("SELECT $x::BIGNUM AS x", "100000000000000000000000000000000000000000000000000"),
	           "x\n100000000000000000000000000000000000000000000000000\n");
	CHECK_TEXT(number("SELECT count(*) AS n FROM t WHERE i < $x", "1.5"), "n\n2\n");
	CHECK_TEXT(number("SELECT i FROM t ORDER BY i LIMIT $x", "1.0"), "i\n0\n");
	CHECK_TEXT(number("SELECT $x::DECIMAL(5,2) AS x", "1e300"), "the parameter $x is no DECIMAL(5,2): 1e300");
	CHECK_TEXT(number("SELECT $x::DOUBLE AS x", "3.141592653589793238462643383279502884197169"),
	           "x\n3.141592653589793\n");
	CHECK_TEXT(number("SELECT $x::DOUBLE AS x", "12345678901234567890"), "x\n1.2345678901234567e+19\n");
	CHECK_TEXT(number("SELECT v FROM (VALUES (18446744073709551614::UBIGINT), (18446744073709551615)) t(v) "
	                  "WHERE v = $x",
	                  "18446744073709551615"),
	           "v\n18446744073709551615\n");
	CHECK_TEXT(number("SELECT v FROM (VALUES (12345678901234567890.12::DECIMAL(38,2)), (12345678901234567890.13)) "
	                  "t(v) WHERE v < $x",
	                  "12345678901234567890.13"),
	           "v\n12345678901234567890.12\n");
	CHECK_TEXT(number("SELECT count(*) AS n FROM t WHERE i < $x", "12345678901234567890"), "n\n11\n");
	CHECK_TEXT(number("SELECT $x::BIGINT AS x", "12345678901234567890"),
	           "the parameter $x is no BIGINT: 12345678901234567890");
}

static void casts_times(void)
{
	struct query_value date = {.kind = QUERY_VALUE_DATE, .text = "2024-01-05", .size = 10},
	                   moment = {.kind = QUERY_VALUE_TIMESTAMP, .text = "2024-01-05T10:00:00", .size = 19},
	                   bad = {.kind = QUERY_VALUE_DATE, .text = "yesterday", .size = 9};

	CHECK_TEXT(with("SELECT date_trunc('month', $d) AS d, typeof($d) AS t", "d", date, &csv),
	           "d,t\n2024-01-01 00:00:00,DATE\n");
	CHECK_TEXT(with("SELECT date_trunc('hour', $d) AS d, typeof($d) AS t", "d", moment, &csv),
	           "d,t\n2024-01-05 10:00:00,TIMESTAMP\n");
	CHECK_TEXT(with("SELECT $d", "d", bad, &csv), "the parameter $d is no DATE: yesterday");
	CHECK_INT(err.kind, ERROR_INVALID);
}

/* Columns that DuckDB must cast stand in a statement around this one; so do Arrow's and Parquet's. */
static void binds_inside_another_statement(void)
{
	static const char *const forms[] = {
	        "SELECT [i, $x] AS l FROM t WHERE i = $x",
	        "SELECT [i, $x] AS l FROM t WHERE i = $x;",
	        "SELECT [i, $x] AS l FROM t WHERE i = $x -- ; the end",
	        "SELECT [i, $x] AS l FROM t WHERE i = $x ; -- the; end",
	        "SELECT [i, $x] AS l FROM t WHERE i = $x /* ) ; */ ; /* ; */ ;",
	        "FROM (SELECT [i, $x] AS l FROM t WHERE i = $x AND ';' != '--')",
	        "WITH a AS (SELECT $x AS x) SELECT [i, x] AS l FROM t, a WHERE i = x",
	};

	for (size_t i = 0; i < COUNT_OF(forms); i++) {
		CHECK_TEXT(with(forms[i], "x", integer(3), &json), "[{\"l\": [3,3]}]\n");
		CHECK_TEXT(with(forms[i], "x", integer(3), &csv), "l\n\"[3, 3]\"\n");
		with(forms[i], "x", integer(3), &arrow);
		CHECK(taken.bytes.size > 100 && result.rows == 1 && !memcmp(taken.bytes.data, "\xff\xff\xff\xff", 4));
		with(forms[i], "x", integer(3), &parquet);
		CHECK(taken.bytes.size > 100 && result.rows == 1 && !memcmp(taken.bytes.data, "PAR1", 4));
	}
}

/* A value stays a value, whatever is in it. */
static void is_not_injected(void)
{
	static const char attack[] = "x'); DROP TABLE t; --";

	CHECK_TEXT(with("SELECT $x AS x, [$x] AS l", "x", text(attack), &csv),
	           "x,l\nx'); DROP TABLE t; --,['x\\'); DROP TABLE t; --']\n");
	CHECK_TEXT(with("SELECT count(*) AS n FROM t WHERE i::VARCHAR = $x", "x", text("0' OR '1'='1"), &csv),
	           "n\n0\n");
	CHECK_TEXT(text_of("SELECT count(*) AS n FROM t", &csv), "n\n11\n");
}

static void tells_what_is_wrong_with_parameters(void)
{
	struct query_value one = integer(1), bad = text("a\xff"), word = text("word");
	struct query *query = opened("SELECT $a + $b AS s");

	CHECK(query);
	CHECK_INT(query_parameter_count(query), 2);
	CHECK_INT(query_bind(query, "c", &one, &err), -1);
	CHECK_HAS(err.message, "the statement has no parameter $c; it has $");
	CHECK_INT(query_bind(query, "a", &bad, &err), -1);
	CHECK_TEXT(err.message, "the value of the parameter $a is not UTF-8");
	CHECK_INT(query_bind(query, "a", &one, &err), 0);
	CHECK_INT(query_bind(query, "A", &one, &err), -1);
	CHECK_TEXT(err.message, "the parameter $A is given twice");
	CHECK_INT(query_bind_place(query, 1, &one, &err), -1);
	CHECK_HAS(err.message, "the statement's parameters have names: $");
	CHECK_INT(written(query, &csv, 0), -1);
	CHECK_TEXT(err.message, "no value is given for $b");
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_TEXT(with("SELECT 1", "a", one, &csv), "the statement has no parameter $a; it has none");
	CHECK_TEXT(with("SELECT $1", "2", one, &csv), "the statement has no parameter $2; it has $1");
	CHECK_TEXT(with("SELECT i FROM t WHERE i = $x", "x", word, &csv), "the parameter $x is no BIGINT: word");
	CHECK_TEXT(with("SELECT [i] FROM t WHERE i = $x", "x", word, &csv), "the parameter $x is no BIGINT: word");
	CHECK_TEXT(with("SELECT i FROM t WHERE moment = ?", "1", word, &arrow),
	           "the parameter $1 is no TIMESTAMP: word");
	CHECK_TEXT(with("SELECT i FROM t LIMIT $n", "n", word, &parquet), "the parameter $n is no BIGINT: word");
	CHECK_HAS(with("SELECT $x::INTEGER", "x", word, &csv), "the parameter $x is no INTEGER: word");
	CHECK_INT(err.kind, ERROR_INVALID);
	query = opened("SELECT $1::INT + $2::INT AS s");
	CHECK(!query_bind_place(query, 2, &one, &err) && !query_bind_place(query, 1, &one, &err));
	CHECK_INT(written(query, &csv, 0), 0);
	CHECK_TEXT(buffer_string(&taken.bytes), "s\n2\n");
}

static void bounds_parameters(void)
{
	OWNED_BUFFER struct buffer sql = {0};
	struct query_value large = {.kind = QUERY_VALUE_TEXT, .text = "", .size = QUERY_PARAMETER_BYTES_MAX + 1};

	buffer_init(&sql, 1 << 20);
	buffer_text(&sql, "SELECT 1");
	for (int i = 0; i < QUERY_PARAMETERS_MAX + 1; i++)
		buffer_printf(&sql, ", $p%d", i);
	CHECK(!query_open(connection, buffer_string(&sql), &err));
	CHECK_HAS(err.message, "more than 1000 parameters");
	CHECK_HAS(with("SELECT $x", "x", large, &csv), "is larger than");
}

/* ---- forms */

static void writes_csv(void)
{
	CHECK_TEXT(write_content_type(ANSWER_CSV), "text/csv; charset=utf-8; header=present");
	CHECK_TEXT(
	        text_of("SELECT 'a,b' AS x, 'say \"hi\"' AS \"y,z\", NULL AS n, '' AS e, 'l' || chr(10) || 'm' AS l, "
	                "chr(13) AS r, -1.50 AS d, 'nan'::DOUBLE AS f, true AS b, DATE '2024-02-29' AS t",
	                &csv),
	        "x,\"y,z\",n,e,l,r,d,f,b,t\n\"a,b\",\"say "
	        "\"\"hi\"\"\",,\"\",\"l\nm\",\"\r\",-1.50,nan,true,2024-02-29\n");
	CHECK_TEXT(text_of("SELECT NULL AS x UNION ALL SELECT ''", &csv), "x\n\"\"\n\"\"\n");
	CHECK_TEXT(text_of("SELECT 1 AS x WHERE false", &csv), "x\n");
	CHECK_INT(result.rows, 0);
}

static void writes_json(void)
{
	CHECK_TEXT(text_of("SELECT 1 AS a, 'x' AS b UNION ALL SELECT NULL, chr(10) || '\"\\' || chr(1) || 'ü'", &json),
	           "[{\"a\": 1, \"b\": \"x\"},\n {\"a\": null, \"b\": \"\\n\\\"\\\\\\u0001ü\"}]\n");
	CHECK_TEXT(text_of("SELECT 1 AS a, 'x' AS b UNION ALL SELECT NULL, 'y'", &ndjson),
	           "{\"a\": 1, \"b\": \"x\"}\n{\"a\": null, \"b\": \"y\"}\n");
	CHECK_TEXT(text_of("SELECT 1 AS a WHERE false", &ndjson), "");
	CHECK_TEXT(text_of("SELECT 1 AS a WHERE false", &json), "[]\n");
	/* JSON's numbers have a digit before the point, and no NaN, wherever they stand. */
	CHECK_TEXT(
	        text_of("SELECT 0.123::DECIMAL(3,3) AS d, (-0.5)::DECIMAL(1,1) AS m, 'inf'::FLOAT AS f, "
	                "['nan'::DOUBLE, 1] "
	                "AS l, {'x': '-inf'::DOUBLE, 'NaN': 'NaN'} AS s, MAP {'a': 1} AS p, '{\"k\":1.0}'::JSON AS j",
	                &json),
	        "[{\"d\": 0.123, \"m\": -0.5, \"f\": null, \"l\": [null,1.0], \"s\": {\"x\":null,\"NaN\":\"NaN\"}, "
	        "\"p\": "
	        "{\"a\":1}, \"j\": {\"k\":1.0}}]\n");
	CHECK_TEXT(text_of("SELECT DATE '2024-01-01' AS d, 1::HUGEINT AS h, '01'::BIT AS b, INTERVAL 1 DAY AS i, "
	                   "TIMESTAMPTZ '2024-01-01 00:00:00+00' AS z, uuid() IS NULL AS u",
	                   &ndjson),
	           "{\"d\": \"2024-01-01\", \"h\": 1, \"b\": \"01\", \"i\": \"1 day\", \"z\": \"2024-01-01 "
	           "00:00:00+00\", \"u\": "
	           "false}\n");
}

/* A document that is stored as JSON goes as it is, on one line; what is none passes for nothing else. */
static void writes_stored_json(void)
{
	CHECK_TEXT(text_of("SELECT ('{\"a\":' || chr(13) || chr(10) || ' [1E5,' || chr(10) || "
	                   "'1.10, 123456789012345678901234567890]}')::JSON AS j, 1 AS b",
	                   &ndjson),
	           "{\"j\": {\"a\":   [1E5, 1.10, 123456789012345678901234567890]}, \"b\": 1}\n");
	CHECK_TEXT(text_of("SELECT '{\"k\": [NaN, \"NaN\"]}'::JSON AS j, ['{\"a\": 1}'::JSON] AS l", &json),
	           "[{\"j\": {\"k\": [null, \"NaN\"]}, \"l\": [{\"a\":1}]}]\n");
	CHECK_TEXT(text_of("SELECT ('[1,' || chr(10) || ']')::JSON AS j", &ndjson), "{\"j\": \"[1,\\n]\"}\n");
}

static void replaces_nulls(void)
{
	struct spec_property null_as[] = {{"a", "\"none\""}, {"*", "0"}};
	struct write_options options = {.format = ANSWER_JSON, .null_as = null_as, .null_as_count = 2};

	CHECK_TEXT(text_of("SELECT NULL AS a, 'nan'::DOUBLE AS b, NULL::INTEGER[] AS c, 1 AS d", &options),
	           "[{\"a\": \"none\", \"b\": 0, \"c\": 0, \"d\": 1}]\n");
	options.null_as_count = 1;
	options.format = ANSWER_NDJSON;
	CHECK_TEXT(text_of("SELECT NULL AS a, NULL AS b", &options), "{\"a\": \"none\", \"b\": null}\n");
	null_as[0].name = "Avg_Bill"; /* names are one name in every case, as in SQL */
	CHECK_TEXT(text_of("SELECT NULL AS avg_bill, NULL AS avg", &options),
	           "{\"avg_bill\": \"none\", \"avg\": null}\n");
}

static void writes_one_object(void)
{
	struct write_options options = {.format = ANSWER_JSON, .object = true};

	CHECK_TEXT(text_of("SELECT 1 AS a UNION ALL SELECT 2 ORDER BY 1", &options), "{\"a\": 1}\n");
	CHECK_INT(result.rows, 1);
	CHECK_TEXT(text_of("SELECT 1 AS a WHERE false", &options), "");
	CHECK_INT(result.rows, 0);
	CHECK_INT(taken.puts, 0);
}

/* Rows until the one whose first value is context's; "x" is no row at all. */
static int until(void *context, const struct query_cell *cells, struct error *error)
{
	if (cells[0].size == 1 && *cells[0].text == 'x')
		return error_set(error, ERROR_INVALID, 0, "no such row");
	return cells[0].size != 1 || *cells[0].text != *(const char *)context;
}

static void shows_each_row_first(void)
{
	char end[] = "3";
	struct write_options options = {.format = ANSWER_JSON, .row = until, .row_context = end};
	const char *sql = "SELECT unnest(['1', '2', '3', '4']) AS a";

	CHECK_TEXT(text_of(sql, &options), "[{\"a\": \"1\"},\n {\"a\": \"2\"}]\n");
	CHECK_INT(result.rows, 2);
	options.format = ANSWER_NDJSON;
	CHECK_TEXT(text_of(sql, &options), "{\"a\": \"1\"}\n{\"a\": \"2\"}\n");
	options.format = ANSWER_CSV;
	CHECK_TEXT(text_of(sql, &options), "a\n1\n2\n");
	CHECK_TEXT(text_of("SELECT '3' AS a", &options), "a\n");
	CHECK(!text_of("SELECT 'x' AS a", &options));
	CHECK_TEXT(err.message, "no such row");
}

static void *stop_soon(void *query)
{
	usleep(300000);
	query_stop(query);
	return NULL;
}

static const char many[] = "SELECT range AS i, 'row ' || range AS s FROM range(100000)";

/* As many rows as are allowed pass; one more is an error, and what was written has no end. */
static void bounds_rows(void)
{
	struct write_options options = {.max_rows = 100000};

	for (int format = ANSWER_CSV; format <= ANSWER_PARQUET; format++) {
		struct query *query = opened(many);
		size_t complete;

		options.format = (enum answer_format)format;
		options.max_rows = 100000;
		CHECK_INT(written(query, &options, 0), 0);
		CHECK(!result.too_many && result.rows == 100000);
		complete = taken.bytes.size;
		options.max_rows = 99999;
		CHECK_INT(written(opened(many), &options, 0), -1);
		CHECK(result.too_many && result.rows <= 99999 && taken.bytes.size < complete);
		CHECK_INT(err.kind, ERROR_INVALID);
		CHECK_HAS(err.message, "more than 99999 rows");
		if (format == ANSWER_JSON)
			CHECK(!taken.bytes.size || taken.bytes.data[taken.bytes.size - 1] != ']');
		if (format == ANSWER_PARQUET && taken.bytes.size >= 4)
			CHECK(memcmp(taken.bytes.data + taken.bytes.size - 4, "PAR1", 4) != 0);
	}
}

/* Also one that comes after rows were written. */
static void has_no_end_after_an_error(void)
{
	static const char late[] =
	        "SELECT CASE WHEN range = 90000 THEN 'x' ELSE '1' END::INTEGER AS i, repeat('y', 20) AS s "
	        "FROM range(100000)";

	for (int format = ANSWER_CSV; format <= ANSWER_PARQUET; format++) {
		struct write_options options = {.format = (enum answer_format)format};

		CHECK_INT(written(opened(late), &options, 0), -1);
		CHECK_HAS(err.message, "Could not convert string 'x'");
		CHECK_INT(err.kind, ERROR_INVALID);
		if (format == ANSWER_PARQUET && taken.bytes.size >= 4)
			CHECK(memcmp(taken.bytes.data + taken.bytes.size - 4, "PAR1", 4) != 0);
		if (format == ANSWER_ARROW && taken.bytes.size >= 8)
			CHECK(memcmp(taken.bytes.data + taken.bytes.size - 8, "\xff\xff\xff\xff\0\0\0\0", 8) != 0);
	}
}

/* DuckDB says "Interrupted!" now and then, when another of its threads met the value. */
static void tells_the_reason(void)
{
	static const char late[] =
	        "SELECT CASE WHEN range = 90000 THEN 'x' ELSE '1' END::INTEGER AS i, [$p] AS l FROM range(100000)";

	for (int i = 0; i < 300; i++) {
		struct write_options options = {.format = i % 2 ? ANSWER_ARROW : ANSWER_CSV};
		struct query_value value = integer(i);
		struct query *query = opened(late);

		CHECK(query && !query_bind(query, "p", &value, &err));
		CHECK_INT(written(query, &options, 0), -1);
		CHECK_HAS(err.message, "Could not convert string 'x'");
		CHECK_INT(err.kind, ERROR_INVALID);
	}
}

/* What was stopped is told as such. */
static void tells_an_interrupt(void)
{
	struct query *query =
	        opened("SELECT count(*) FROM range(1000000000) a, range(100) b WHERE a.range % 7 = b.range % 5");
	pthread_t thread;

	CHECK(query);
	CHECK(!pthread_create(&thread, NULL, stop_soon, query));
	CHECK_INT(query_start(query, false, &err) || query_next(query, &(const struct query_cell *){NULL}, &err), 1);
	CHECK_HAS(err.message, "Interrupted");
	pthread_join(thread, NULL);
	query_close(query);
}

/* The sink's word is the error, at once and later; the connection goes on. */
static void ends_with_its_sink(void)
{
	static const char large[] = "SELECT range AS i, md5(range::VARCHAR) AS s FROM range(2000000)";

	for (int format = ANSWER_CSV; format <= ANSWER_PARQUET; format++)
		for (int most = 1; most <= 4; most += 3) {
			struct write_options options = {.format = (enum answer_format)format};

			CHECK_INT(written(opened(large), &options, most), -1);
			CHECK_TEXT(err.message, "the client went away");
			CHECK_INT(taken.puts, most + 1);
			CHECK_TEXT(text_of("SELECT 1 AS a", &csv), "a\n1\n");
		}
}

static void puts_blocks(void)
{
	CHECK(text_of(many, &csv));
	CHECK(taken.puts > 10 && taken.largest < 80 << 10);
	CHECK(text_of(many, &json));
	CHECK(taken.puts > 10 && taken.largest < 80 << 10);
}

static void refuses_what_has_no_rows(void)
{
	CHECK_INT(written(opened("EXPLAIN SELECT 1"), &parquet, 0), -1);
	CHECK_HAS(err.message, "only the rows of a SELECT");
	CHECK_TEXT(text_of("SET threads = 2", &csv), "");
}

int main(int argc, char **argv)
{
	int failed;

	duck = duck_open(NULL, NULL, 0, &err);
	connection = duck ? duck_connect(duck, &err) : NULL;
	if (!connection ||
	    duck_exec(
	            connection,
	            "CREATE TABLE t AS SELECT range AS i, TIMESTAMP '2024-01-01' + to_days(range::INTEGER) AS moment, "
	            "range % 2 = 0 AS even FROM range(11)",
	            NULL, &err)) {
		printf("# %s\nnot ok duck_open\n", err.message);
		return 1;
	}
	failed = CHECK_MAIN(argc, argv, TEST(binds_values), TEST(numbers_keep_their_digits), TEST(casts_times),
	                    TEST(binds_inside_another_statement), TEST(is_not_injected),
	                    TEST(tells_what_is_wrong_with_parameters), TEST(bounds_parameters), TEST(writes_csv),
	                    TEST(writes_json), TEST(writes_stored_json), TEST(replaces_nulls), TEST(writes_one_object),
	                    TEST(shows_each_row_first), TEST(bounds_rows), TEST(has_no_end_after_an_error),
	                    TEST(tells_the_reason), TEST(tells_an_interrupt), TEST(ends_with_its_sink),
	                    TEST(puts_blocks), TEST(refuses_what_has_no_rows));
	buffer_release(&taken.bytes);
	duck_disconnect(connection);
	duck_close(duck);
	return failed;
}
