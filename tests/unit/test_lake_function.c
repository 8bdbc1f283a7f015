/* test_lake_function.c - lake/duck_function.h, duck_vector.h and duck_scan.h: arguments and rows of any form are the
 * values that SQL says. */
#include <math.h>
#include <stdatomic.h>

#include "check.h"
#include "lake/duck.h"
#include "lake/duck_function.h"
#include "lake/duck_scan.h"

#define ROWS 2048

static struct duck *duck;
static struct duck_connection *connection;
static struct error err;
static int released;
static atomic_int states;
static char answer[4096];

/* total(NAME, ROW): the sum of the row's numbers, NULL counting 0.5; the name `refuse` is refused, `fail` fails. */
struct total {
	atomic_int references;
	int fields;
	bool fails;
};

static int total_bind(void *context, const struct duck_bind *bind, void **ret_state, struct error *error)
{
	OWNED_DUCK_FIELDS struct duck_fields fields = {0};
	OWNED_FREE char *name = NULL;
	struct total *total;

	if (duck_bind_text(bind, 0, &name, error) || duck_bind_fields(bind, 1, &fields, error))
		return -1;
	if (!name || !strcmp(name, "refuse"))
		return error_set(error, ERROR_INVALID, 0, "the name %s is refused", name ? name : "(none)");
	if (fields.count < 0)
		return error_set(error, ERROR_INVALID, 0, "a row would be right");
	for (int i = 0; i < fields.count; i++)
		if (!duck_class_is_number(fields.fields[i].class))
			return error_set(error, ERROR_INVALID, 0, "%s is no number", fields.fields[i].name);
	total = calloc(1, sizeof *total);
	total->references = 1;
	total->fields = fields.count;
	total->fails = !strcmp(name, "fail");
	states++;
	*ret_state = total;
	return 0;
}

static void *total_retain(void *state)
{
	((struct total *)state)->references++;
	return state;
}

static void total_release(void *state)
{
	struct total *total = state;

	if (--total->references)
		return;
	states--;
	free(total);
}

static void total_of(const struct total *total, const struct duck_vector *rows, size_t count, double *ret_sums)
{
	double numbers[ROWS];

	memset(ret_sums, 0, count * sizeof *ret_sums);
	for (int i = 0; i < total->fields; i++) {
		duck_vector_numbers(duck_vector_field(rows, (size_t)i), count, numbers);
		for (size_t row = 0; row < count; row++)
			ret_sums[row] += isnan(numbers[row]) ? 0.5 : numbers[row];
	}
}

static int total_call(const void *state, struct duck_call *call, struct error *error)
{
	const struct duck_vector *rows = duck_call_argument(call, 1);
	const struct total *total = state;
	double sums[ROWS];

	if (total->fails)
		return error_set(error, ERROR_INVALID, 0, "told to fail");
	total_of(total, rows, duck_call_rows(call), sums);
	for (size_t i = 0; i < duck_call_rows(call); i++) {
		if (duck_vector_is_null(rows, i))
			duck_call_null(call, i);
		else
			duck_call_number(call, i, sums[i]);
	}
	return 0;
}

/* twice(NAME, ROW): two elements a row, the second without a number. */
static int twice_call(const void *state, struct duck_call *call, struct error *error)
{
	double sums[ROWS];

	if (duck_call_reserve(call, 2 * duck_call_rows(call), error))
		return -1;
	total_of(state, duck_call_argument(call, 1), duck_call_rows(call), sums);
	for (size_t i = 0; i < duck_call_rows(call); i++) {
		duck_call_list(call, i, 2 * i, 2);
		duck_call_field_text(call, 2 * i, 0, "sum");
		duck_call_field_number(call, 2 * i, 1, sums[i]);
		duck_call_field_text(call, 2 * i + 1, 0, "none");
		duck_call_field_null(call, 2 * i + 1, 1);
	}
	return 0;
}

static void release(void *context)
{
	released++;
}

static int open_duck(void)
{
	struct duck_function total = {"total",    {"VARCHAR", "ANY"}, "DOUBLE",      NULL,      release,
	                              total_bind, total_retain,       total_release, total_call};
	struct duck_function twice = total;

	twice.name = "twice";
	twice.result = "STRUCT(\"name\" VARCHAR, number DOUBLE)[]";
	twice.call = twice_call;
	duck = duck_open(NULL, NULL, 0, &err);
	connection = duck ? duck_connect(duck, &err) : NULL;
	return !connection || duck_function_register(connection, &total, &err) ||
	       duck_function_register(connection, &twice, &err) ||
	       duck_exec(connection,
	                 "CREATE TABLE t AS SELECT range::INTEGER AS a, (range * 10)::BIGINT AS b FROM range(5)", NULL,
	                 &err);
}

/* The first column, joined; or the error. */
static const char *ask(const char *sql)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	err = (struct error){0};
	*answer = 0;
	if (duck_query(connection, sql, &rows, &err)) {
		snprintf(answer, sizeof answer, "%s", err.message);
		return answer;
	}
	for (int64_t i = 0; i < rows.row_count; i++) {
		size_t size = strlen(answer);
		const char *cell = duck_cell(&rows, i, 0);

		snprintf(answer + size, sizeof answer - size, "%s%s", i ? " " : "", cell ? cell : "NULL");
	}
	return answer;
}

static void rows_of_any_form(void)
{
	CHECK_TEXT(ask("SELECT total('x', t) FROM t"), "0.0 11.0 22.0 33.0 44.0");
	/* a constant among the fields, and nothing but constants */
	CHECK_TEXT(ask("SELECT total('x', {'a': a, 'k': 100}) FROM t"), "100.0 101.0 102.0 103.0 104.0");
	CHECK_TEXT(ask("SELECT total('x', {'a': 1, 'k': 100}) FROM t"), "101.0 101.0 101.0 101.0 101.0");
	CHECK_TEXT(ask("SELECT total('x', {'a': 1})"), "1.0");
	/* a selection of rows, of a filter, a join, a CASE */
	CHECK_TEXT(ask("SELECT total('x', t) FROM t WHERE a % 2 = 1"), "11.0 33.0");
	CHECK_TEXT(ask("SELECT total('x', {'a': a, 'k': 1000}) FROM t WHERE a % 2 = 1"), "1001.0 1003.0");
	CHECK_TEXT(ask("SELECT total('x', u) FROM (SELECT t.a, s.b FROM t JOIN t s ON t.a + 1 = s.a ORDER BY 1) u"),
	           "10.0 21.0 32.0 43.0");
	CHECK_TEXT(ask("SELECT total('x', {'v': CASE WHEN a > 2 THEN b END, 'w': 1}) FROM t"), "1.5 1.5 1.5 31.0 41.0");
	CHECK_TEXT(ask("SELECT total('x', CASE WHEN a > 2 THEN NULL ELSE t END) FROM t"), "0.0 11.0 22.0 NULL NULL");
	/* a struct that is a constant, and one of few rows joined to many */
	CHECK_TEXT(ask("SELECT total('x', s.r) FROM (SELECT {'a': 5, 'b': 6} AS r) s, t"), "11.0 11.0 11.0 11.0 11.0");
	CHECK_TEXT(ask("SELECT total('x', s.r) FROM t LEFT JOIN (SELECT 3 AS k, {'a': 5, 'b': 6} AS r) s ON s.k = a "
	               "ORDER BY a"),
	           "NULL NULL NULL 11.0 NULL");
	/* out of lists, nested structs, unnamed ones, of rows without any */
	CHECK_TEXT(ask("SELECT total('x', r) FROM (SELECT unnest([{'a': 1, 'b': NULL}, NULL, {'a': 3, 'b': 4}]) AS r)"),
	           "1.5 NULL 7.0");
	CHECK_TEXT(ask("SELECT total('x', n.r) FROM (SELECT {'r': {'a': a}} AS n FROM t)"), "0.0 1.0 2.0 3.0 4.0");
	CHECK_TEXT(ask("SELECT total('x', row(a, b)) FROM t"), "0.0 11.0 22.0 33.0 44.0");
	CHECK_TEXT(ask("SELECT total('x', t) FROM t WHERE a > 99"), "");
}

static void many_rows_on_many_threads(void)
{
	CHECK_TEXT(ask("SELECT sum(total('x', {'a': range, 'k': 1, 'n': CASE WHEN range % 2 = 0 THEN 1 END})) FROM "
	               "range(1000000)"),
	           "500001250000.0");
	CHECK_TEXT(ask("SELECT sum(len(twice('x', {'a': range}))) FROM range(300000)"), "600000");
	CHECK_TEXT(ask("SELECT sum(twice('x', {'a': range})[1].number) FROM range(300000)"), "44999850000.0");
}

static void numbers_of_every_type(void)
{
	CHECK_TEXT(ask("SELECT total('x', {'a': (-1)::TINYINT, 'b': (-2)::SMALLINT, 'c': 3::UTINYINT, 'd': "
	               "4::USMALLINT, 'e': 5::UINTEGER, 'f': 6::UBIGINT})"),
	           "15.0");
	CHECK_TEXT(ask("SELECT total('x', {'a': 7::HUGEINT, 'b': 8::UHUGEINT, 'c': 0.25::FLOAT, 'd': 0.5::DOUBLE})"),
	           "15.75");
	CHECK_TEXT(ask("SELECT total('x', {'a': 1.5::DECIMAL(4, 1), 'b': -2.25::DECIMAL(9, 2), 'c': 0.125::DECIMAL(18, "
	               "3), 'd': 4.5::DECIMAL(30, 1)})"),
	           "3.875");
	CHECK_TEXT(ask("SELECT total('x', {'a': true, 'b': false, 'c': NULL})"), "1.5");
	CHECK_TEXT(ask("SELECT total('x', {'a': DATE '1970-01-03'})"), "172800.0");
	CHECK_TEXT(ask("SELECT total('x', {'a': TIMESTAMP '1970-01-01 00:01:00.5'})"), "60.5");
	CHECK_TEXT(ask("SELECT total('x', {'a': TIMESTAMP_S '1970-01-01 00:01:00', 'b': TIMESTAMP_MS '1970-01-01 "
	               "00:00:00.25', 'c': TIMESTAMP_NS '1970-01-01 00:00:00.5'})"),
	           "60.75");
	CHECK_TEXT(ask("SELECT total('x', {'a': DATE 'infinity', 'b': TIMESTAMP 'infinity'})"), "inf");
	CHECK_TEXT(ask("SELECT total('x', {'a': DATE '-infinity', 'b': TIMESTAMP '-infinity'})"), "-inf");
}

static void lists_of_structs(void)
{
	CHECK_TEXT(ask("SELECT twice('x', {'a': 2})"),
	           "[{'name': sum, 'number': 2.0}, {'name': none, 'number': NULL}]");
	CHECK_TEXT(ask("SELECT unnest(twice('x', t)).\"name\" FROM t LIMIT 3"), "sum none sum");
}

static void what_is_refused(void)
{
	CHECK_HAS(ask("SELECT total('refuse', t) FROM t"), "the name refuse is refused");
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_HAS(ask("SELECT total(a::VARCHAR, t) FROM t"), "the name (none) is refused");
	CHECK_HAS(ask("SELECT total('x', {'p': 'text'})"), "p is no number");
	CHECK_HAS(ask("SELECT total('x', {'p': [1]})"), "p is no number");
	CHECK_HAS(ask("SELECT total('x', 5)"), "a row would be right");
	CHECK_HAS(ask("SELECT total('fail', t) FROM t"), "told to fail");
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_HAS(ask("SELECT total('fail', {'a': 1})"), "told to fail");
	CHECK_HAS(ask("SELECT total('x')"), "No function matches");
	CHECK_TEXT(ask("SELECT total('x', NULL)"), "NULL");
	CHECK_TEXT(ask("SELECT total(NULL, t) FROM t LIMIT 1"), "NULL");
	CHECK_TEXT(ask("SELECT total(CAST(NULL AS VARCHAR), t) FROM t LIMIT 1"), "NULL");
}

/* The types of a statement's parameters are known when it runs: it is bound again then. */
static double executed(const char *sql)
{
	OWNED_DUCK_SCAN struct duck_scan *scan = duck_scan_open(connection, sql, &err);
	double numbers[DUCK_SCAN_ROWS_MAX];
	size_t rows = 0;

	if (!scan || duck_scan_next(scan, &rows, &err) != 1 || !rows)
		return NAN;
	duck_vector_numbers(duck_scan_column(scan, 0), rows, numbers);
	return numbers[rows - 1];
}

static void prepared_statements_and_views(void)
{
	CHECK_INT(duck_exec(connection, "CREATE VIEW v AS SELECT total('x', t) AS n FROM t", NULL, &err), 0);
	CHECK_TEXT(ask("FROM v"), "0.0 11.0 22.0 33.0 44.0");
	CHECK_INT(duck_exec(connection, "PREPARE p AS SELECT total('x', {'a': $1, 'b': a}) FROM t", NULL, &err), 0);
	CHECK(executed("EXECUTE p(7)") == 11);
	CHECK(executed("EXECUTE p(7.5::DOUBLE)") == 11.5);
	CHECK(executed("EXECUTE p(DATE '1970-01-02')") == 86404);
	CHECK(isnan(executed("EXECUTE p('text')")));
	CHECK_HAS(err.message, "a is no number");
	CHECK_INT(duck_exec(connection, "DEALLOCATE p", NULL, &err), 0);
}

static void scans_give_the_same_numbers(void)
{
	OWNED_DUCK_SCAN struct duck_scan *scan = NULL;
	double numbers[DUCK_SCAN_ROWS_MAX], sum = 0;
	size_t rows, size, total = 0;
	int got;

	scan = duck_scan_open(connection,
	                      "SELECT CASE WHEN range % 3 = 0 THEN NULL ELSE range / 2.0 END, 'n' || range, 1.25 AS k "
	                      "FROM range(5000)",
	                      &err);
	CHECK(scan);
	while ((got = duck_scan_next(scan, &rows, &err)) == 1) {
		CHECK(rows <= DUCK_SCAN_ROWS_MAX);
		duck_vector_numbers(duck_scan_column(scan, 0), rows, numbers);
		for (size_t i = 0; i < rows; i++)
			sum += isnan(numbers[i]) ? 0 : numbers[i];
		duck_vector_numbers(duck_scan_column(scan, 2), rows, numbers);
		for (size_t i = 0; i < rows; i++)
			CHECK(numbers[i] == 1.25);
		CHECK(!memcmp(duck_vector_text(duck_scan_column(scan, 1), 0, &size), "n", 1) && size >= 2);
		total += rows;
	}
	CHECK_INT(got, 0);
	CHECK_INT(total, 5000);
	CHECK(sum == (4999 * 5000.0 / 2 - 3 * (1666 * 1667 / 2)) / 2);
	CHECK(!duck_scan_open(connection, "SELECT nothing", &err));
	CHECK_INT(err.kind, ERROR_INVALID);
}

/* Whichever of DuckDB's threads learns of it first. */
static void a_scan_that_fails_on_its_way(void)
{
	for (int i = 0; i < 50; i++) {
		OWNED_DUCK_SCAN struct duck_scan *scan = NULL;
		size_t rows;
		int got = -1;

		scan = duck_scan_open(
		        connection,
		        "SELECT CASE WHEN range = 400000 THEN error('told by the query') END FROM range(500000)", &err);
		while (scan && (got = duck_scan_next(scan, &rows, &err)) == 1)
			;
		CHECK_INT(got, -1);
		CHECK_HAS(err.message, "told by the query");
	}
}

static void types_by_name(void)
{
	CHECK_INT(duck_class_named("INTEGER"), DUCK_WHOLE);
	CHECK_INT(duck_class_named("DECIMAL(18,3)"), DUCK_REAL);
	CHECK_INT(duck_class_named("TIMESTAMP WITH TIME ZONE"), DUCK_TIME);
	CHECK_INT(duck_class_named("VARCHAR"), DUCK_TEXT);
	CHECK_INT(duck_class_named("INTEGER[]"), DUCK_OTHER);
	CHECK_INT(duck_class_named("DECIMAL(18,3)[4]"), DUCK_OTHER);
	CHECK_INT(duck_class_named("STRUCT(a INTEGER)"), DUCK_STRUCT);
	CHECK_INT(duck_class_named("ENUM('INTEGER')"), DUCK_OTHER);
	CHECK_INT(duck_class_named(""), DUCK_OTHER);
}

/* Last: states that statements held are gone, and so are the functions' contexts once the database is. */
static void everything_is_given_back(void)
{
	CHECK_INT(states, 0);
	CHECK_INT(released, 0);
	duck_disconnect(connection);
	duck_close(duck);
	CHECK_INT(released, 2);
}

int main(int argc, char **argv)
{
	if (open_duck()) {
		printf("not ok open_duck: %s\n", err.message);
		return 1;
	}
	return CHECK_MAIN(argc, argv, TEST(rows_of_any_form), TEST(many_rows_on_many_threads),
	                  TEST(numbers_of_every_type), TEST(lists_of_structs), TEST(what_is_refused),
	                  TEST(prepared_statements_and_views), TEST(scans_give_the_same_numbers),
	                  TEST(a_scan_that_fails_on_its_way), TEST(types_by_name), TEST(everything_is_given_back));
}
