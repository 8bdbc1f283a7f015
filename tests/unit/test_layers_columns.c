/* layers/columns.h: what the columns of a SELECT are made of. Each test is a SELECT and its sources as a text:
 *
 *     NAME = sources of the value ? sources in conditions; ... : conditions of all rows
 *
 * "+2" behind a source counts the conditions between it and the value; "[p]" is the part p of it; "!" is what is not
 * known.
 */
#include "check.h"

#include <strings.h>

#include "base/buffer.h"
#include "lake/duck.h"
#include "layers/columns.h"
#include "layers/functions.h"

static const char *const columns_of_t[] = {"a", "b", "c", "j", "s"}, *const columns_of_u[] = {"a", "d", "t"};

/* t(a, b, c, j, s) and u(a, d, t) are known; x, y, z are not. */
static bool find(void *context, const char *schema, const char *table, const char *const **ret_names, int *ret_count)
{
	if (strcmp(schema, "main"))
		return false;
	if (!strcasecmp(table, "t")) {
		*ret_names = columns_of_t;
		*ret_count = COUNT_OF(columns_of_t);
	} else if (!strcasecmp(table, "u")) {
		*ret_names = columns_of_u;
		*ret_count = COUNT_OF(columns_of_u);
	} else {
		return false;
	}
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void append_list(struct buffer *out, const struct made_column *column, unsigned use, bool marked)
{
	char *texts[64];
	int count = 0;

	for (int i = 0; i < column->sources.count; i++) {
		const struct column_source *source = &column->sources.items[i];
		struct buffer text;

		if (!(source->uses & use))
			continue;
		buffer_init(&text, 4096);
		if (strcmp(source->schema, "main"))
			buffer_printf(&text, "%s.", source->schema);
		buffer_printf(&text, "%s.%s", source->table, source->column);
		if (source->part)
			buffer_printf(&text, "[%s]", source->part);
		if (marked && source->through)
			buffer_printf(&text, "+%d", source->through);
		texts[count++] = strdup(buffer_string(&text));
		buffer_release(&text);
	}
	qsort(texts, (size_t)count, sizeof *texts, by_name);
	for (int i = 0; i < count; i++) {
		buffer_printf(out, " %s", texts[i]);
		free(texts[i]);
	}
}

static void append_column(struct buffer *out, const struct made_column *column)
{
	struct buffer conditions;

	buffer_init(&conditions, 4096);
	append_list(out, column, USE_VALUE, false);
	append_list(&conditions, column, USE_CONDITION, true);
	if (conditions.size)
		buffer_printf(out, " ?%s", buffer_string(&conditions));
	if (column->unknown)
		buffer_printf(out, " !%s", column->unknown);
	buffer_release(&conditions);
}

static struct duck *duck;
static struct duck_connection *connection;
static struct functions *functions;

static void check_sql(const char *sql, const char *expected)
{
	struct made_columns columns = {0};
	const struct table_finder tables = {.find = find};
	struct error err = {0};
	struct buffer out;

	buffer_init(&out, 1 << 20);
	if (columns_read(connection, functions, sql, &tables, &columns, &err)) {
		CHECK_FAIL("%s: %s", sql, err.message);
		return;
	}
	for (int i = 0; i < columns.count; i++) {
		buffer_printf(&out, "%s%s =", i ? "; " : "", columns.columns[i].name);
		append_column(&out, &columns.columns[i]);
	}
	if (columns.open)
		buffer_printf(&out, "; !%s", columns.open);
	if (columns.rows.sources.count || columns.rows.unknown) {
		struct made_column rows = columns.rows;

		for (int i = 0; i < rows.sources.count; i++)
			rows.sources.items[i].through = 0;
		buffer_text(&out, " :");
		append_list(&out, &rows, USE_CONDITION, true);
		if (rows.unknown)
			buffer_printf(&out, " !%s", rows.unknown);
	}
	if (strcmp(buffer_string(&out), expected))
		CHECK_FAIL("%s\n#   gives    %s\n#   and not  %s", sql, buffer_string(&out), expected);
	buffer_release(&out);
	made_columns_release(&columns);
}

static void expressions(void)
{
	check_sql("SELECT a, b AS x, a + b AS sum, 1 AS one FROM t", "a = t.a; x = t.b; sum = t.a t.b; one =");
	check_sql("SELECT t.a, q.a FROM t JOIN u q ON t.a = q.d", "a = t.a; a = u.a : t.a u.d");
	check_sql("SELECT upper(A) FROM T", "upper(A) = T.a");
	check_sql("SELECT CASE WHEN a > 1 THEN b ELSE c END AS x FROM t", "x = t.b t.c ? t.a+1");
	check_sql("SELECT CASE WHEN a > 1 THEN 1 ELSE 0 END AS label FROM t", "label = ? t.a");
	check_sql("SELECT CASE WHEN CASE WHEN a = 1 THEN b ELSE c END > 1 THEN a END AS x FROM t",
	          "x = t.a ? t.a t.b+1 t.c+1");
	check_sql(
	        "SELECT coalesce(a, b), a IS NULL, a BETWEEN b AND c, CAST(a AS INTEGER) FROM t",
	        "COALESCE(a, b) = t.a t.b; (a IS NULL) = t.a; (a BETWEEN b AND c) = t.a t.b t.c; CAST(a AS INTEGER) = "
	        "t.a");
	check_sql("SELECT list_transform(s, lambda a: a + b) AS l, [c FOR c IN s IF c > 1] AS m FROM t",
	          "l = t.b t.s; m = t.s");
	check_sql("SELECT t AS row FROM u t", "row = u.t");
	check_sql("SELECT u AS row FROM u", "row = u.a u.d u.t");
	check_sql("SELECT a AS x, x + b AS y FROM t", "x = t.a; y = t.a t.b");
	check_sql("SELECT lake.t.a, main.t.b, lake.main.t.c FROM lake.main.t", "a = t.a; b = t.b; c = t.c");
	check_sql("SELECT nothing FROM t", "nothing = !there is no column nothing in what it reads");
}

static void parts(void)
{
	check_sql("SELECT j->>'plan' AS p, j->'$.a.b' AS q, j->>'/a/b' AS r, json_extract_string(j, '$.k') AS k, j AS "
	          "all_of_it FROM t",
	          "p = t.j[plan]; q = t.j[a.b]; r = t.j[a.b]; k = t.j[k]; all_of_it = t.j");
	check_sql("SELECT s.f, t.s.f.g, s['h'] AS h, CAST(j AS JSON)->'x'->>'y' AS y FROM t",
	          "f = t.s[f]; g = t.s[f.g]; h = t.s[h]; y = t.j[x.y]");
	check_sql("WITH q AS (SELECT j->'deep' AS d, upper(j) AS u FROM t) SELECT d->>'x' AS x, u->>'y' AS y FROM q",
	          "x = t.j[deep.x]; y = t.j");
	check_sql("SELECT j->>b AS p FROM t", "p = t.b t.j");
	check_sql("SELECT payload->>'x' AS x FROM x", "x = x.payload[x]");
}

static void groups(void)
{
	check_sql("SELECT a, count(*) AS n, sum(b) AS s FROM t WHERE c > 1 GROUP BY a HAVING max(j) > 2",
	          "a = t.a; n =; s = t.b : t.a t.c t.j");
	check_sql("SELECT a, b + 1 AS k, max(c) FROM t GROUP BY 1, k", "a = t.a; k = t.b; max(c) = t.c : t.a t.b");
	check_sql("SELECT a, max(c) AS m FROM t GROUP BY ALL", "a = t.a; m = t.c : t.a");
	check_sql(
	        "SELECT count(*) FILTER (a = 1) AS n, sum(b) FILTER (a = 1) AS s, arg_max(b, c) AS m, list(a ORDER BY "
	        "b) AS l FROM t",
	        "n = ? t.a; s = t.b ? t.a+1; m = t.b ? t.c+1; l = t.a ? t.b+1");
	check_sql(
	        "SELECT row_number() OVER (PARTITION BY a ORDER BY b) AS i, lag(c, 1, a) OVER (ORDER BY b) AS l FROM t "
	        "QUALIFY i = 1",
	        "i = ? t.a t.b; l = t.a t.c ? t.b+1 : t.a t.b");
	check_sql("SELECT DISTINCT ON (a) b FROM t ORDER BY c LIMIT 3", "b = t.b : t.a t.c");
	check_sql("SELECT b FROM t ORDER BY c", "b = t.b");
}

static void queries(void)
{
	check_sql("WITH q AS (SELECT a AS k, b FROM t WHERE c > 0), p AS (SELECT k, b + 1 AS d FROM q) SELECT p.k, d "
	          "FROM p",
	          "k = t.a; d = t.b : t.c");
	check_sql("WITH t AS (SELECT * FROM t) SELECT a FROM t", "a = t.a");
	check_sql("SELECT v.x FROM (SELECT a, b FROM t) v(x, y)", "x = t.a");
	check_sql("SELECT a FROM t UNION ALL SELECT d FROM u", "a = t.a u.d");
	check_sql("SELECT a FROM t UNION ALL BY NAME SELECT d, a FROM u", "a = t.a u.a; d = u.d");
	check_sql("SELECT a FROM t EXCEPT SELECT d FROM u", "a = t.a : u.d");
	check_sql("WITH RECURSIVE r(n) AS (SELECT a FROM t UNION ALL SELECT n + d FROM r JOIN u ON u.a = n) SELECT n "
	          "FROM r",
	          "n = t.a u.d : t.a u.a");
	check_sql("SELECT a, (SELECT max(d) FROM u WHERE u.a = t.b) AS m FROM t", "a = t.a; m = u.d ? t.b+1 u.a+1");
	check_sql("SELECT a FROM t WHERE b IN (SELECT d FROM u WHERE t = 1) AND EXISTS (FROM u WHERE u.a = c)",
	          "a = t.a : t.b t.c u.a u.d u.t");
	check_sql("SELECT x.v FROM t, unnest(t.s) AS x(v)", "v = t.s");
	check_sql("SELECT i FROM generate_series(1, 3) g(i)", "i =");
	check_sql("SELECT n, v FROM (VALUES (1, 'a'), (2, 'b')) w(n, v) JOIN t ON t.a = w.n", "n =; v = : t.a");
	check_sql("FROM t SELECT a", "a = t.a");
	check_sql("SELECT l.m FROM t, LATERAL (SELECT t.a + u.d AS m FROM u) l", "m = t.a u.d");
}

static void stars(void)
{
	check_sql("SELECT * FROM u", "a = u.a; d = u.d; t = u.t");
	check_sql("SELECT * EXCLUDE (d) REPLACE (a + d AS a) RENAME (t AS time) FROM u", "a = u.a u.d; time = u.t");
	check_sql("SELECT u.*, t.a AS other FROM t JOIN u USING (a)",
	          "a = u.a; d = u.d; t = u.t; other = t.a : t.a u.a");
	check_sql("SELECT * FROM t JOIN u USING (a)",
	          "a = t.a u.a; b = t.b; c = t.c; j = t.j; s = t.s; d = u.d; t = u.t : t.a u.a");
	check_sql("SELECT a FROM t NATURAL JOIN u", "a = t.a u.a : t.a u.a");
	check_sql("SELECT * FROM u SEMI JOIN t ON t.b = u.d", "a = u.a; d = u.d; t = u.t : t.b u.d");
	check_sql("SELECT COLUMNS('a.*') FROM t", "; !COLUMNS(), or * in an expression, is not followed");
}

static void tables_that_are_not_there(void)
{
	check_sql("SELECT a, b + c AS d FROM x WHERE e > 1", "a = x.a; d = x.b x.c : x.e");
	check_sql("SELECT * FROM x", "; !the columns of x are not known");
	check_sql("WITH q AS (SELECT *, k + 1 AS n FROM x) SELECT n, other FROM q", "n = x.k; other = x.other");
	check_sql("SELECT coalesce(k, 0) AS k FROM x WHERE k > 1", "k = x.k : x.k");
	check_sql("SELECT abs(k) AS n, n FROM x WHERE n > 1", "n = x.k; n = x.k : x.k");
	check_sql("SELECT x.a, b, d FROM x JOIN u ON x.k = u.a", "a = x.a; b = x.b; d = u.d : u.a x.k");
	check_sql("SELECT x.a, k FROM x JOIN y USING (i)",
	          "a = x.a; k = !k may be a column of x or y, which are not known : x.i y.i");
	check_sql("SELECT f FROM read_csv('f.csv')", "f = !f: the table function read_csv() is not followed");
	check_sql("SELECT a FROM x UNION ALL SELECT b FROM y", "a = x.a y.b");
	check_sql("SELECT a FROM (SELECT * FROM x UNION ALL SELECT * FROM y)",
	          "a = !a: a UNION, or its like, of columns that are not known");
	check_sql("SELECT s.y.a FROM s.y", "a = s.y.a");
	check_sql("SELECT x AS all_of_it FROM x", "all_of_it = !all columns of x, which are not known");
}

/* Whatever DuckDB parses is read to its end. */
static void strange_queries(void)
{
	static const char *const queries[] = {
	        "SELECT 1",
	        "VALUES (1, 2), (3, 4)",
	        "SELECT * FROM (VALUES (1)) UNION SELECT * FROM x UNION ALL BY NAME SELECT * FROM t",
	        "SELECT #1, #2 FROM t",
	        "SELECT t.* EXCLUDE (a), u.* REPLACE (d + 1 AS d) FROM t, u",
	        "SELECT s.* FROM t",
	        "SELECT unnest(s, recursive := true) FROM t",
	        "SELECT {'a': a, 'b': [b, c]}, MAP {'x': a}, a[1:2], s[1].f, [x FOR x IN s] FROM t",
	        "SELECT list_reduce(s, lambda x, y: x + y), list_filter(s, x -> x > a) FROM t",
	        "SELECT COLUMNS(* EXCLUDE (a)) + 1 FROM t",
	        "SELECT min(COLUMNS(*)) FROM t",
	        "SELECT * LIKE 'a%' FROM t",
	        "SELECT count(*), sum(a) FROM t GROUP BY GROUPING SETS ((a), (b), ())",
	        "SELECT a, grouping(a) FROM t GROUP BY ROLLUP (a, b) ORDER BY ALL LIMIT 10%",
	        "SELECT a FROM t WINDOW w AS (PARTITION BY b)",
	        "SELECT first(a ORDER BY b DESC) OVER (PARTITION BY c ROWS BETWEEN 1 PRECEDING AND a FOLLOWING EXCLUDE "
	        "TIES) "
	        "FROM t",
	        "SELECT * FROM t PIVOT (sum(a) FOR b IN ('x', 'y') GROUP BY c)",
	        "SELECT * FROM t UNPIVOT (v FOR k IN (a, b))",
	        "SELECT * FROM t ASOF JOIN u ON t.a >= u.a POSITIONAL JOIN x",
	        "SELECT * FROM t TABLESAMPLE 10%",
	        "SELECT * FROM (FROM t) q, LATERAL (SELECT q.a) r(z), unnest([q.b]) w",
	        "WITH RECURSIVE r AS (SELECT a FROM t UNION ALL SELECT r.a FROM r JOIN r AS again USING (a)) FROM r",
	        "WITH q(z) AS MATERIALIZED (SELECT a FROM t), p AS (SELECT z FROM q) SELECT (SELECT max(z) FROM p) "
	        "FROM q",
	        "SELECT a IN (1, 2), a = ANY (SELECT d FROM u), (a, b) IN (SELECT d, t FROM u), NOT EXISTS (FROM x) "
	        "FROM t",
	        "SELECT CASE a WHEN b THEN (SELECT max(d) FROM u WHERE u.a = t.a) END FROM t",
	        "SELECT a.b.c.d.e.f, \"t\".\"a\", main.t.a FROM t",
	        "SELECT j->'$', j->'$[0].x', j->0->'y', j #>> 'z', j->>'' FROM t",
	        "SELECT getvariable('x'), $1, ?, current_date, a COLLATE NOCASE, TRY_CAST(b AS DATE) FROM t",
	        "FROM t SELECT a QUALIFY row_number() OVER (PARTITION BY a ORDER BY b) = 1",
	        "FROM read_parquet('x.parquet')",
	        "SELECT x FROM range(10) r(x) JOIN json_each('{}') e ON e.key = x",
	        "SELECT t FROM t t(x, y)",
	        "DESCRIBE SELECT a FROM t",
	        "SELECT max(a) FILTER (WHERE EXISTS (SELECT 1 FROM u WHERE u.a = t.b)) FROM t HAVING count(*) > "
	        "(SELECT 1)",
	};
	const struct table_finder tables = {.find = find};

	for (size_t i = 0; i < COUNT_OF(queries); i++) {
		struct made_columns columns = {0};
		struct error err = {0};

		if (columns_read(connection, functions, queries[i], &tables, &columns, &err) &&
		    err.kind != ERROR_INVALID)
			CHECK_FAIL("%s: %s", queries[i], err.message);
		made_columns_release(&columns);
	}
}

static void a_mistake_is_told(void)
{
	struct made_columns columns = {0};
	const struct table_finder tables = {.find = find};
	struct error err = {0};

	CHECK_INT(columns_read(connection, functions, "SELECT FROM", &tables, &columns, &err), -1);
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_INT(columns_read(connection, functions, "DROP TABLE t", &tables, &columns, &err), -1);
	CHECK_HAS(err.message, "not a SELECT");
}

int main(int argc, char **argv)
{
	struct error err = {0};
	int failed;

	duck = duck_open(NULL, NULL, 0, &err);
	connection = duck ? duck_connect(duck, &err) : NULL;
	functions = connection ? functions_load(connection, &err) : NULL;
	if (!functions) {
		printf("not ok duckdb: %s\n", err.message);
		return 1;
	}
	failed = CHECK_MAIN(argc, argv, TEST(expressions), TEST(parts), TEST(groups), TEST(queries), TEST(stars),
	                    TEST(tables_that_are_not_there), TEST(strange_queries), TEST(a_mistake_is_told));
	functions_free(functions);
	duck_disconnect(connection);
	duck_close(duck);
	return failed;
}
