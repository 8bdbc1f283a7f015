/* layers/references.h: which names of a SELECT are tables. What DuckDB means by each is in test_query_guard.c. */
#include "check.h"

#include "base/buffer.h"
#include "lake/duck.h"
#include "layers/references.h"

static struct duck_connection *connection;

static void check_tables(const char *sql, const char *expected)
{
	OWNED_TREE struct tree *tree = NULL;
	struct reference *references;
	struct error err = {0};
	struct buffer names;
	int count, line;

	buffer_init(&names, 4096);
	tree = tree_parse(connection, sql, &line, &err);
	if (!tree || references_find(tree, sql, &references, &count, &err)) {
		CHECK_FAIL("%s: %s", sql, err.message);
		return;
	}
	for (int i = 0; i < count; i++)
		buffer_printf(&names, "%s%s.%s", i ? " " : "", references[i].schema, references[i].table);
	CHECK_TEXT(buffer_string(&names), expected);
	references_release(references, count);
	buffer_release(&names);
}

static void names_of_a_with(void)
{
	check_tables("WITH a AS (SELECT * FROM t) SELECT * FROM a, u", "main.t main.u");
	check_tables("WITH t AS (SELECT * FROM t) SELECT * FROM t", "main.t");
	check_tables("WITH a AS (SELECT 1), t AS (SELECT * FROM a) SELECT * FROM T", "");
	check_tables("WITH t AS (SELECT 1) SELECT * FROM main.t", "main.t");
}

/* The second half alone sees the query itself. */
static void recursive(void)
{
	check_tables("WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 3) FROM t", "");
	check_tables("WITH RECURSIVE t AS (SELECT n FROM t UNION ALL SELECT n + 1 FROM t WHERE n < 3) FROM t",
	             "main.t");
	check_tables("WITH RECURSIVE t AS (SELECT n FROM t) FROM t", "main.t");
	check_tables("WITH RECURSIVE a AS (SELECT n FROM t UNION SELECT a.n FROM a JOIN u USING (n)) FROM a, t",
	             "main.t main.u");
	check_tables("WITH RECURSIVE a AS (SELECT 1 AS n UNION (WITH b AS (FROM a) FROM b)), b AS (FROM b) FROM b",
	             "main.b");
}

int main(int argc, char **argv)
{
	struct error err = {0};
	struct duck *duck = duck_open(NULL, NULL, 0, &err);
	int failed;

	connection = duck ? duck_connect(duck, &err) : NULL;
	if (!connection) {
		printf("not ok duckdb: %s\n", err.message);
		return 1;
	}
	failed = CHECK_MAIN(argc, argv, TEST(names_of_a_with), TEST(recursive));
	duck_disconnect(connection);
	duck_close(duck);
	return failed;
}
