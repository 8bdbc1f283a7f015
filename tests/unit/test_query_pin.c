/* test_query_pin.c - query/pin.h: what comes out of a statement is read as its tree, or nothing comes out. */
#include "base/buffer.h"
#include "base/owned.h"
#include "check.h"
#include "lake/duck.h"
#include "query/guard.h"
#include "query/pin.h"
#include "query/tree.h"

static struct duck *duck;
static struct duck_connection *connection;
static struct error err;

static bool everywhere(void *context, const char *schema, const char *table)
{
	return true;
}

/* What comes out for the statement, as the guard leaves it: "" for nothing. */
static const char *pinned(const char *sql, struct buffer *out)
{
	struct pin pin = {.snapshot = 7};
	struct guard_rights all = {NULL, -1};
	struct guard_found found = {0};

	err = (struct error){0};
	buffer_clear(out);
	if (guard_check(connection, sql, &all, &found, &err) == GUARD_PASSES)
		pin_sql(&found, sql, connection, &pin, out, &err);
	guard_found_release(&found);
	return buffer_string(out);
}

static void changes_the_text(void)
{
	OWNED_BUFFER struct buffer out = {0};

	buffer_init(&out, 1 << 20);
	CHECK_TEXT(pinned("SELECT a+b FROM t -- t", &out),
	           "SELECT a+b FROM \"lake\".\"main\".\"t\" AT (VERSION => 7) -- t");
	CHECK_TEXT(pinned("FROM gold.t/* /* t */ /**/ */AS x /*/**/*/ (a, b)", &out),
	           "FROM \"lake\".\"gold\".\"t\"/* /* t */ /**/ */AS x /*/**/*/ (a, b) AT (VERSION => 7)");
}

static void writes_the_tree_where_the_text_cannot_be(void)
{
	OWNED_BUFFER struct buffer out = {0};

	buffer_init(&out, 1 << 20);
	CHECK_TEXT(pinned("SELECT t.* FROM (TABLE t) t", &out),
	           "SELECT t.* FROM (SELECT * FROM lake.main.t AT (VERSION => 7)) AS t");
}

/* What the guard would refuse, too. */
static void lets_no_name_become_sql(void)
{
	static const char *const statements[] = {
	        "SELECT \"1 AS z, p FROM lake.main.secrets p --\".* FROM (TABLE t)",
	        "SELECT $\"a, (SELECT max(x) FROM secrets)\" FROM (TABLE t)",
	        "SELECT COLUMNS(\"x.*), p FROM secrets p --\".*) FROM (TABLE t) x",
	        "SELECT \"my table\".* FROM (TABLE t) AS \"my table\"",
	};
	static const char *const below[] = {"subquery", "node", "from_table"};
	struct pin pin = {.snapshot = 7};
	OWNED_BUFFER struct buffer out = {0};
	int line;

	buffer_init(&out, 1 << 20);
	for (size_t i = 0; i < COUNT_OF(statements); i++) {
		struct tree *tree = tree_parse(connection, statements[i], &line, &err);
		struct node *table = tree ? node_get(tree_root(tree), "from_table") : NULL;
		struct guard_found found = {.tree = tree, .places = &table, .place_count = 1};

		for (size_t k = 0; table && k < COUNT_OF(below); k++)
			table = node_get(table, below[k]);
		CHECK(table);
		CHECK_INT(pin_sql(&found, statements[i], connection, &pin, &out, &err), -1);
		CHECK_INT(err.kind, ERROR_INVALID);
		CHECK_TEXT(buffer_string(&out), "");
		tree_free(tree);
	}
}

static void reads_the_lake_for_columns_that_copies_have_not(void)
{
	static const char *const statements[] = {
	        "SELECT rowid FROM t", "SELECT t.\"RowId\" FROM t", "SELECT max(snapshot_id) FROM t",
	        "SELECT 1 FROM t ORDER BY file_row_number", "SELECT 1 FROM (SELECT 1 AS rowid) x NATURAL JOIN t"};
	struct pin pin = {.snapshot = 7, .memory = "hot", .in_memory = everywhere};
	struct guard_rights all = {NULL, -1};
	OWNED_BUFFER struct buffer out = {0};

	buffer_init(&out, 1 << 20);
	for (size_t i = 0; i <= COUNT_OF(statements); i++) {
		const char *sql = i < COUNT_OF(statements) ? statements[i] : "SELECT id FROM t";
		struct guard_found found = {0};

		buffer_clear(&out);
		CHECK_INT(guard_check(connection, sql, &all, &found, &err), GUARD_PASSES);
		CHECK_INT(pin_sql(&found, sql, connection, &pin, &out, &err), 0);
		CHECK_HAS(buffer_string(&out), i < COUNT_OF(statements) ? "\"lake\".\"main\".\"t\" AT (VERSION => 7)"
		                                                        : "\"hot\".\"main\".\"t\"");
		guard_found_release(&found);
	}
}

int main(int argc, char **argv)
{
	int failed = 1;

	duck = duck_open(NULL, NULL, 0, &err);
	connection = duck ? duck_connect(duck, &err) : NULL;
	if (connection)
		failed = CHECK_MAIN(argc, argv, TEST(changes_the_text), TEST(writes_the_tree_where_the_text_cannot_be),
		                    TEST(lets_no_name_become_sql),
		                    TEST(reads_the_lake_for_columns_that_copies_have_not));
	duck_disconnect(connection);
	duck_close(duck);
	return failed;
}
