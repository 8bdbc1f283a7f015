/* A statement that runs through the pending interface fails as it does without: same type, same words. */
#include "check.h"
#include "lake/duck.h"

static void long_statements_fail_alike(void)
{
	static const char *const wrong[] = {
	        "INSERT INTO t VALUES (NULL)",
	        "INSERT INTO t VALUES (1), (1)",
	        "INSERT INTO t SELECT 'a' || range FROM range(3)",
	        "INSERT INTO t SELECT 10000000000 * range FROM range(3)",
	        "INSERT INTO absent VALUES (1)",
	        "INSERT INTO t VALUES (1, 2)",
	        "INSERT t",
	        "INSERT INTO t SELECT nothing FROM range(3)",
	        "INSERT INTO t SELECT error('told by the query') FROM range(3)",
	        "COPY (SELECT 1) TO '/nowhere/at/all.parquet'",
	};
	struct error err = {0}, expected;
	struct duck *duck = duck_open(NULL, NULL, 0, &err);
	struct duck_connection *connection = duck_connect(duck, &err);
	int64_t changed = 0;

	CHECK_INT(duck_exec(connection, "CREATE TABLE t (i INTEGER NOT NULL PRIMARY KEY)", NULL, &err), 0);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		expected = err = (struct error){0};
		CHECK_INT(duck_exec(connection, wrong[i], NULL, &expected), -1);
		CHECK_INT(duck_exec_long(connection, wrong[i], NULL, &err), -1);
		CHECK_TEXT(err.message, expected.message);
		CHECK_INT(err.kind, expected.kind);
		CHECK_INT(err.code, expected.code);
	}
	CHECK_INT(duck_exec_long(connection, "INSERT INTO t SELECT range FROM range(5000)", &changed, &err), 0);
	CHECK_INT(changed, 5000);
	CHECK_INT(duck_exec_long(connection, "COPY t TO '/dev/null' (FORMAT csv)", &changed, &err), 0);
	CHECK_INT(changed, 5000);
	CHECK(!duck_is_broken(connection));
	duck_disconnect(connection);
	duck_close(duck);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(long_statements_fail_alike));
}
