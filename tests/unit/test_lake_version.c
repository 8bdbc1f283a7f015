/* Has the lake anything new, and which of its snapshots changed a table: DuckLake's own tables in SQLite, written here.
 */
#include "lake/version.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/owned.h"
#include "check.h"

static char folder[64], path[96];
static struct error err;
static sqlite3 *writer;
static struct version *version;
static struct spec_catalog catalog;

static void run(const char *sql)
{
	char *message = NULL;

	if (sqlite3_exec(writer, sql, NULL, NULL, &message) != SQLITE_OK)
		CHECK_FAIL("%s: %s", sql, message);
	sqlite3_free(message);
}

static void open_writer(void)
{
	CHECK_INT(sqlite3_open(path, &writer), SQLITE_OK);
	run("PRAGMA journal_mode = WAL");
}

static void make_lake(void)
{
	open_writer();
	run("CREATE TABLE ducklake_snapshot (snapshot_id BIGINT PRIMARY KEY, snapshot_time VARCHAR)");
	run("CREATE TABLE ducklake_inlined_data_tables (table_id BIGINT, table_name VARCHAR, schema_version BIGINT)");
	run("CREATE TABLE ducklake_schema (schema_id BIGINT, schema_uuid VARCHAR, begin_snapshot BIGINT, end_snapshot "
	    "BIGINT, schema_name VARCHAR)");
	run("CREATE TABLE ducklake_table (table_id BIGINT, begin_snapshot BIGINT, end_snapshot BIGINT, schema_id "
	    "BIGINT, "
	    "table_name VARCHAR)");
	run("CREATE TABLE ducklake_snapshot_changes (snapshot_id BIGINT PRIMARY KEY, changes_made VARCHAR)");
	run("INSERT INTO ducklake_schema VALUES (0, 'lake ' || random(), 0, NULL, 'main')");
}

static void snapshot(int id, const char *changes)
{
	char sql[256];

	snprintf(sql, sizeof sql, "INSERT INTO ducklake_snapshot VALUES (%d, 'at ' || random())", id);
	run(sql);
	snprintf(sql, sizeof sql, "INSERT INTO ducklake_snapshot_changes VALUES (%d, '%s')", id, changes);
	run(sql);
}

static void begin(void)
{
	snprintf(folder, sizeof folder, "/tmp/tarn-version-XXXXXX");
	CHECK(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/c.sqlite", folder);
	catalog = (struct spec_catalog){.name = "main", .backend = {.type = BACKEND_SQLITE, .path = path}};
	err = (struct error){0};
	version = version_open(&catalog, &err);
	CHECK(version);
}

static void end(void)
{
	char command[128];

	version_close(version);
	sqlite3_close(writer);
	writer = NULL;
	snprintf(command, sizeof command, "rm -r %s", folder);
	CHECK_INT(system(command), 0);
}

static int64_t now(void)
{
	int64_t found = -2;

	err = (struct error){0};
	return version_now(version, &found, &err) ? -1 : found;
}

static int64_t changed(const char *table, int64_t at)
{
	int64_t found = -2;

	err = (struct error){0};
	return version_of_table(version, "main", table, at, &found, &err) < 0 ? -1 : found;
}

static void tells_the_newest(void)
{
	begin();
	CHECK_INT(now(), -1);
	CHECK_INT(err.kind, ERROR_TRANSIENT);
	make_lake();
	CHECK_INT(now(), -1); /* it has no snapshot yet */
	for (int i = 0; i < 50; i++) {
		snapshot(i, "");
		CHECK_INT(now(), i);
		CHECK_INT(now(), i);
	}
	/* In a transaction it is not there yet. */
	run("BEGIN");
	snapshot(50, "");
	CHECK_INT(now(), 49);
	run("COMMIT");
	CHECK_INT(now(), 50);
	end();
}

/* Another process writes, and closes: SQLite's -wal and -shm are removed then, as this process's locks do not keep them
 * when those of its other SQLite, DuckDB's, were closed. */
static void write_elsewhere(int id)
{
	char command[256], shared[128];

	snprintf(shared, sizeof shared, "%s-wal", path);
	unlink(shared);
	snprintf(shared, sizeof shared, "%s-shm", path);
	unlink(shared);
	snprintf(command, sizeof command, "/proc/%d/exe write %s %d", (int)getpid(), path, id);
	CHECK_INT(system(command), 0);
}

static int be_writer(char **argv)
{
	snprintf(path, sizeof path, "%s", argv[2]);
	open_writer();
	snapshot(atoi(argv[3]), "");
	sqlite3_close(writer);
	return check_failed;
}

static void follows_a_lake_that_was_closed(void)
{
	begin();
	make_lake();
	snapshot(1, "");
	sqlite3_close(writer);
	CHECK_INT(now(), 1);
	for (int i = 2; i < 6; i++) {
		write_elsewhere(i);
		CHECK_INT(now(), i);
	}
	/* The lake made anew. */
	unlink(path);
	CHECK_INT(now(), -1);
	make_lake();
	snapshot(0, "");
	CHECK_INT(now(), 0);
	end();
}

static void finds_changes_of_a_table(void)
{
	int64_t found;

	begin();
	make_lake();
	snapshot(0, "created_schema:\"main\"");
	snapshot(1, "created_table:\"main\".\"a\"");
	run("INSERT INTO ducklake_table VALUES (1, 1, NULL, 0, 'a')");
	snapshot(2, "created_table:\"main\".\"b,inserted_into_table:1\"");
	run("INSERT INTO ducklake_table VALUES (2, 2, NULL, 0, 'b')");
	snapshot(3, "inserted_into_table:2,inserted_into_table:1");
	snapshot(4, "inserted_into_table:2");
	snapshot(5, "merge_adjacent:1");
	snapshot(6, "inserted_into_table:11");
	CHECK_INT(changed("a", 6), 3);
	CHECK_INT(changed("A", 6), 3);
	CHECK_INT(changed("b", 6), 4);
	CHECK_INT(changed("a", 2), 1);
	snapshot(7, "deleted_from_table:1");
	snapshot(8, "");
	CHECK_INT(changed("a", 8), 7);
	CHECK_INT(changed("b", 8), 4);
	CHECK_INT(changed("a", 6), 3);
	/* What is no table may be anything. */
	CHECK_INT(changed("nope", 8), 8);
	CHECK_INT(version_of_table(version, "main", "nope", 8, &found, &err), 1);
	CHECK_INT(version_of_table(version, "main", "a", 8, &found, &err), 0);
	/* Dropped and made again under its name. */
	snapshot(9, "dropped_table:1");
	snapshot(10, "created_table:\"main\".\"a\"");
	run("UPDATE ducklake_table SET end_snapshot = 9 WHERE table_id = 1");
	run("INSERT INTO ducklake_table VALUES (3, 10, NULL, 0, 'a')");
	CHECK_INT(changed("a", 9), 9);
	CHECK_INT(changed("a", 10), 10);
	end();
}

/* Equal answers mean equal rows, also where snapshots expired between two questions. */
static void expiry_hides_no_change(void)
{
	struct version *other;
	int64_t found;

	begin();
	make_lake();
	snapshot(1, "created_table:\"main\".\"a\"");
	run("INSERT INTO ducklake_table VALUES (1, 1, NULL, 0, 'a')");
	for (int i = 2; i < 6; i++)
		snapshot(i, "");
	CHECK_INT(changed("a", 5), 1);
	snapshot(6, "deleted_from_table:1");
	for (int i = 7; i < 10; i++)
		snapshot(i, "");
	run("DELETE FROM ducklake_snapshot_changes WHERE snapshot_id < 8");
	run("DELETE FROM ducklake_snapshot WHERE snapshot_id < 8");
	CHECK_INT(changed("a", 9), 8);
	/* Somebody who did not know of it before says no other. */
	other = version_open(&catalog, &err);
	CHECK_INT(version_of_table(other, "main", "a", 9, &found, &err), 0);
	CHECK_INT(found, 8);
	version_close(other);
	snapshot(10, "");
	CHECK_INT(changed("a", 10), 8);
	run("DELETE FROM ducklake_snapshot_changes WHERE snapshot_id = 9");
	CHECK_INT(changed("a", 10), 8); /* it is known */
	snapshot(11, "");
	CHECK_INT(changed("a", 11), 8);
	end();
}

/* A second lake in the place of the first, and snapshots that were and were not. */
static void knows_another_lake(void)
{
	char was[VERSION_LAKE_SIZE], is[VERSION_LAKE_SIZE], then[VERSION_TIME_SIZE], later[VERSION_TIME_SIZE];

	begin();
	make_lake();
	run("INSERT INTO ducklake_table VALUES (1, 1, NULL, 0, 't')");
	snapshot(1, "inserted_into_table:1");
	snapshot(2, "");
	CHECK_INT(now(), 2);
	snapshot(3, "");
	CHECK_INT(now(), 3);
	CHECK_INT(now(), 3);
	run("DELETE FROM ducklake_snapshot WHERE snapshot_id = 2");
	snapshot(4, "");
	CHECK_INT(now(), 4);
	run("BEGIN; DELETE FROM ducklake_snapshot WHERE snapshot_id = 4");
	snapshot(5, ""); /* 4 expired: nothing is said of it */
	run("COMMIT");
	CHECK_INT(now(), 5);
	CHECK_INT(version_lineage(version), 0);
	CHECK_INT(changed("t", 5), 1);
	version_lake(version, was);
	version_time(version, 5, then);
	CHECK(*was && *then);
	version_time(version, 4, later);
	CHECK_TEXT(later, "");
	/* made anew, with as many snapshots */
	sqlite3_close(writer);
	unlink(path);
	make_lake();
	run("INSERT INTO ducklake_table VALUES (1, 1, NULL, 0, 't')");
	for (int i = 1; i < 6; i++)
		snapshot(i, i == 4 ? "inserted_into_table:1" : "");
	CHECK_INT(now(), 5);
	CHECK_INT(version_lineage(version), 1);
	CHECK_INT(changed("t", 5), 4);
	version_lake(version, is);
	version_time(version, 5, later);
	CHECK(strcmp(was, is) != 0 && strcmp(then, later) != 0);
	/* brought back to what it was before, and further on from there: in one look, or in two */
	run("BEGIN; DELETE FROM ducklake_snapshot WHERE snapshot_id = 5; DELETE FROM ducklake_snapshot_changes WHERE "
	    "snapshot_id = 5");
	snapshot(5, "");
	snapshot(6, "");
	run("COMMIT");
	CHECK_INT(now(), 6);
	CHECK_INT(version_lineage(version), 2);
	run("DELETE FROM ducklake_snapshot WHERE snapshot_id = 6");
	CHECK_INT(now(), 5);
	CHECK_INT(version_lineage(version), 3);
	snapshot(7, "");
	CHECK_INT(now(), 7);
	CHECK_INT(version_lineage(version), 3);
	end();
}

static void reads_what_ducklake_says(void)
{
	CHECK(version_changes_touch("inserted_into_table:4", 4));
	CHECK(!version_changes_touch("inserted_into_table:4", 44));
	CHECK(!version_changes_touch("inserted_into_table:44", 4));
	CHECK(version_changes_touch("inserted_into_table:1,altered_table:4", 4));
	CHECK(version_changes_touch("something_new:4", 4));
	CHECK(!version_changes_touch("merge_adjacent:4,flushed_inlined:4", 4));
	CHECK(!version_changes_touch("created_table:\"main\".\"x,dropped_table:4\"", 4));
	CHECK(version_changes_touch("created_table:\"main\".\"x\"\",y\",dropped_table:4", 4));
	CHECK(!version_changes_touch("created_table:\"main\".\"x", 4));
	CHECK(!version_changes_touch("", 4) && !version_changes_touch(NULL, 4) && !version_changes_touch(",,::\"", 4));
}

static void constant_for_others(void)
{
	struct spec_catalog file = {.name = "main", .backend = {.type = BACKEND_FILE, .path = "/nowhere"}};
	struct version *own = version_open(&file, &err);
	int64_t found = -1;

	CHECK(own);
	CHECK_INT(version_now(own, &found, &err), 0);
	CHECK_INT(found, 0);
	CHECK_INT(version_of_table(own, "main", "t", 0, &found, &err), 0);
	CHECK_INT(found, 0);
	version_close(own);
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "write"))
		return be_writer(argv);
	return CHECK_MAIN(argc, argv, TEST(tells_the_newest), TEST(follows_a_lake_that_was_closed),
	                  TEST(knows_another_lake), TEST(finds_changes_of_a_table), TEST(expiry_hides_no_change),
	                  TEST(reads_what_ducklake_says), TEST(constant_for_others));
}
