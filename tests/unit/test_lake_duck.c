/* A statement that runs through the pending interface fails as it does without: same type, same words. */
#include "base/log.h"
#include "base/owned.h"
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

/* Of duckdb_error_type. */
enum { CATALOG = 13, PARSER = 14, BINDER = 24, INVALID_INPUT = 32 };

/* Names in a statement are the user's: a column called connection_id has nothing to do with a connection. */
static void words_of_the_user_tell_nothing(void)
{
	CHECK_INT(duck_kind(BINDER, "Binder Error: Referenced column \"connection_id\" not found"), ERROR_INVALID);
	CHECK_INT(duck_kind(PARSER, "Parser Error: syntax error at or near \"timeout\""), ERROR_INVALID);
	CHECK_INT(duck_kind(INVALID_INPUT, "Invalid Input Error: " DUCK_NOT_NULL "connection_id"), ERROR_INVALID);
	CHECK_INT(duck_kind(CATALOG, "Catalog Error: Table with name connections does not exist!"), ERROR_INVALID);
	CHECK_INT(duck_kind(BINDER, "Binder Error: Failed to find \"connection\""), ERROR_INVALID);
	/* DuckLake's own question to its catalog. */
	CHECK_INT(duck_kind(BINDER,
	                    "Binder Error: Failed to query most recent snapshot for DuckLake: Failed to prepare query "
	                    "\"SELECT snapshot_id\nFROM t\": server closed the connection unexpectedly"),
	          ERROR_TRANSIENT);
	/* While a statement is prepared errors of servers have that type, too. */
	CHECK_INT(duck_kind(BINDER, "IO Error: Unable to connect: Connection refused"), ERROR_TRANSIENT);
}

/* Wherever the room for a message ends. */
static void no_half_of_a_secret_is_told(void)
{
	static const char secret[] = "a-password-of-32-characters-0123";
	struct error err = {0};
	struct duck *duck = duck_open(NULL, NULL, 0, &err);
	struct duck_connection *connection = duck_connect(duck, &err);
	char sql[800];

	log_mask_secret(secret);
	for (int at = (int)sizeof err.message - 80; at < (int)sizeof err.message; at++) {
		snprintf(sql, sizeof sql, "SELECT error('%*s%s')", at, "", secret);
		err = (struct error){0};
		CHECK_INT(duck_exec(connection, sql, NULL, &err), -1);
		if (strstr(err.message, "a-p"))
			CHECK_FAIL("with the secret at byte %d: %s", at, err.message);
	}
	duck_disconnect(connection);
	duck_close(duck);
}

/* DuckDB would take it, and nobody could read the file that it comes to be in. */
static void foreign_bytes_are_not_appended(void)
{
	struct error err = {0};
	struct duck *duck = duck_open(NULL, NULL, 0, &err);
	struct duck_connection *connection = duck_connect(duck, &err);
	struct duck_appender *appender;
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	CHECK_INT(duck_exec(connection, "CREATE TABLE t (a VARCHAR)", NULL, &err), 0);
	appender = duck_appender_open(connection, NULL, NULL, "t", &err);
	duck_append_text(appender, "caf\xc3\xa9 \xff, \xe6\xbc");
	CHECK_INT(duck_append_row(appender, &err), 0);
	CHECK_INT(duck_appender_finish(appender, &err), 0);
	CHECK_INT(duck_query(connection, "FROM t", &rows, &err), 0);
	CHECK_TEXT(duck_cell(&rows, 0, 0), "caf\xc3\xa9 ?, ??");
	duck_disconnect(connection);
	duck_close(duck);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(long_statements_fail_alike), TEST(words_of_the_user_tell_nothing),
	                  TEST(no_half_of_a_secret_is_told), TEST(foreign_bytes_are_not_appended));
}
