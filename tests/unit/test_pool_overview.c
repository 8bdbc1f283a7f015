/* test_pool_overview.c - pool/overview.h on a lake: what is in it, of what may be read, and nothing else. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/folder.h"
#include "base/owned.h"
#include "check.h"
#include "lake/duck.h"
#include "lake/lake.h"
#include "pool/overview.h"
#include "pool/schemas.h"

static char folder[] = "/tmp/tarn-test-overview-XXXXXX", path[256], data[256];
static struct spec_catalog catalog = {
        .name = "main", .backend = {.type = BACKEND_SQLITE, .path = path}, .data_path = data};
static struct spec_stream stream = {.name = "s", .catalog = &catalog, .schema = "main", .table = "raw"};
static struct manifest manifest = {.catalogs = &catalog, .catalog_count = 1, .streams = &stream, .stream_count = 1};
static struct lake *lake;
static struct lake_session *session;
static struct error err;

/* What each statement commits is a snapshot of its own. */
static const char *const history[] = {
        "CREATE SCHEMA lake.tarn",
        "CREATE TABLE lake.tarn.ledger (stream VARCHAR, topic VARCHAR, topic_id VARCHAR, \"partition\" INTEGER, "
        "table_name VARCHAR, "
        "epoch BIGINT, from_offset BIGINT, next_offset BIGINT, messages BIGINT, \"rows\" BIGINT, quarantined BIGINT, "
        "skipped BIGINT, "
        "lost BIGINT, committed_at TIMESTAMP WITH TIME ZONE)", /* its rows are inlined, which is said behind it: begin()
                                                                */
        "CREATE SCHEMA lake.ref",
        "CREATE TABLE lake.raw (id BIGINT, \"<b>\" VARCHAR)",
        "CREATE TABLE lake.gold_sums AS SELECT 1 AS n",
        "INSERT INTO lake.raw SELECT range, 'x' FROM range(1000)",
        "CREATE TABLE lake.ref.\"inserted_into_table:2\" AS SELECT range AS r FROM range(20)",
        "DELETE FROM lake.raw WHERE id < 100",
        "CREATE VIEW lake.silver_view AS SELECT id FROM lake.raw",
        "ALTER TABLE lake.gold_sums ADD COLUMN more DOUBLE",
        "CREATE TABLE lake.gone AS SELECT 1 AS n",
        "DROP TABLE lake.gone",
        "INSERT INTO lake.tarn.ledger VALUES "
        "('s', 't', 'i', 0, 'main.raw', 1, 0, 10, 9, 9, 1, 0, 0, '2026-11-29 10:00:01+00'), "
        "('s', 't', 'i', 0, 'main.raw', 1, 10, 30, 20, 20, 0, 0, 0, '2026-11-29 10:00:09+00'), "
        "('s', 't', 'i', 1, 'main.raw', 1, 0, 7, 7, 7, 0, 0, 0, '2026-11-29 10:00:31+00'), "
        "('o', 't', 'i', 0, 'ref.other', 1, 0, 5, 5, 5, 0, 0, 0, '2026-11-29 09:00:00+00')",
        "CREATE TABLE lake.tarn.quarantine (stream VARCHAR, table_name VARCHAR, reason VARCHAR, quarantined_at "
        "TIMESTAMP)",
        "INSERT INTO lake.tarn.quarantine VALUES ('s', 'main.raw', 'line 7, byte 12: ''secret'' is bad', '2026-11-29 "
        "10:00:00'), "
        "('s', 'main.raw', 'line 8, byte 9: ''other'' is bad', '2026-11-29 10:00:02'), ('o', 'ref.other', 'no', "
        "'2026-11-29 10:00:00')",
        "CREATE TABLE lake.tarn.models (pipeline VARCHAR, model VARCHAR, layer VARCHAR, how VARCHAR, rows_in BIGINT, "
        "rows_out BIGINT, "
        "quarantined BIGINT, filtered VARCHAR, refreshed_at TIMESTAMP WITH TIME ZONE)",
        "INSERT INTO lake.tarn.models VALUES ('p', 'gold_sums', 'silver', 'anew', 900, 1, 2, '3,4', '2026-11-29 "
        "10:00:00+00')",
};

/* NULL: it failed, or is of another snapshot, and no check passes. */
static yyjson_doc *overview_of(const char *const *tables, int count)
{
	OWNED_BUFFER struct buffer out = {0};
	struct guard_rights rights = {.tables = tables, .table_count = count};
	static struct schemas known = {-1, -1};
	int64_t snapshot = -1;

	buffer_init(&out, 1 << 20);
	if (duck_exec(lake_connection(session), "BEGIN", NULL, &err) ||
	    schemas_know(lake_connection(session), &known, &err) ||
	    overview_write(lake_connection(session), &manifest, &catalog, &rights, &out, &snapshot, &err) ||
	    duck_exec(lake_connection(session), "COMMIT", NULL, &err))
		printf("# %s\n", err.message);
	return snapshot == (int64_t)COUNT_OF(history) ? yyjson_read(out.data, out.size, 0) : NULL;
}

static yyjson_val *at(yyjson_doc *doc, const char *pointer)
{
	return yyjson_doc_ptr_get(doc, pointer);
}

static const char *text(yyjson_doc *doc, const char *pointer)
{
	const char *found = yyjson_get_str(at(doc, pointer));

	return found ? found : "";
}

static int64_t number(yyjson_doc *doc, const char *pointer)
{
	return yyjson_is_int(at(doc, pointer)) ? yyjson_get_sint(at(doc, pointer)) : -1;
}

/* Of schema tarn nothing is a table, nor what has a name that nobody may ask for; layers are the stream's, the model's
 * and the name's. */
static void tables(void)
{
	yyjson_doc *doc = overview_of(NULL, -1);

	CHECK_INT((int64_t)yyjson_arr_size(at(doc, "/tables")), 3);
	CHECK_TEXT(text(doc, "/tables/0/name"), "raw");
	CHECK_TEXT(text(doc, "/tables/0/layer"), "bronze");
	CHECK_INT(number(doc, "/tables/0/rows"), 900);
	CHECK_INT(number(doc, "/tables/0/files"), 1);
	CHECK(number(doc, "/tables/0/bytes") > 0);
	CHECK_INT(number(doc, "/tables/0/changed_snapshot"), 8);
	CHECK_TEXT(text(doc, "/tables/0/columns/1/name"), "<b>");
	CHECK_TEXT(text(doc, "/tables/0/columns/0/type"), "BIGINT");
	CHECK_TEXT(text(doc, "/tables/1/name"), "gold_sums");
	CHECK_TEXT(text(doc, "/tables/1/layer"), "silver");
	CHECK_INT(number(doc, "/tables/1/changed_snapshot"), 10);
	CHECK_TEXT(text(doc, "/tables/2/kind"), "view");
	CHECK(yyjson_is_null(at(doc, "/tables/2/rows")));
	yyjson_doc_free(doc);
}

static void check_change(yyjson_doc *doc, int snapshot, int index, const char *what, const char *table, int64_t rows)
{
	char pointer[128];

	snprintf(pointer, sizeof pointer, "/snapshots/%d/changes/%d/what", (int)COUNT_OF(history) - snapshot, index);
	CHECK_TEXT(text(doc, pointer), what);
	snprintf(pointer, sizeof pointer, "/snapshots/%d/changes/%d/table", (int)COUNT_OF(history) - snapshot, index);
	CHECK_TEXT(text(doc, pointer), table);
	snprintf(pointer, sizeof pointer, "/snapshots/%d/changes/%d/rows", (int)COUNT_OF(history) - snapshot, index);
	CHECK_INT(number(doc, pointer), rows);
}

/* A table's name that looks like a change is none. */
static void snapshots(void)
{
	yyjson_doc *doc = overview_of(NULL, -1);

	CHECK_INT((int64_t)yyjson_arr_size(at(doc, "/snapshots")), (int64_t)COUNT_OF(history) + 1);
	check_change(doc, 4, 0, "created", "raw", -1);
	check_change(doc, 6, 0, "inserted", "raw", 1000);
	check_change(doc, 8, 0, "deleted", "raw", -1);
	check_change(doc, 9, 0, "created", "silver_view", -1);
	check_change(doc, 10, 0, "altered", "gold_sums", -1);
	check_change(doc, 11, 0, "created", "gone", -1);
	check_change(doc, 12, 0, "dropped", "gone", -1);
	CHECK_INT((int64_t)yyjson_arr_size(at(doc, "/snapshots/1/changes")), 0);
	yyjson_doc_free(doc);
}

static void state(void)
{
	yyjson_doc *doc = overview_of(NULL, -1);

	CHECK_INT((int64_t)yyjson_arr_size(at(doc, "/lanes")), 3);
	CHECK_TEXT(text(doc, "/lanes/1/stream"), "s");
	CHECK_INT(number(doc, "/lanes/1/next_offset"), 30);
	CHECK_INT(number(doc, "/lanes/1/rows"), 29);
	CHECK_INT(number(doc, "/lanes/1/quarantined"), 1);
	CHECK_TEXT(text(doc, "/lanes/1/committed_at"), "2026-11-29T10:00:09.000Z");
	CHECK_INT((int64_t)yyjson_arr_size(at(doc, "/ingest")), 2);
	CHECK_INT(number(doc, "/ingest/0/rows"), 29);
	CHECK_TEXT(text(doc, "/ingest/1/at"), "2026-11-29T10:00:30.000Z");
	CHECK_INT((int64_t)yyjson_arr_size(at(doc, "/quarantine")), 2);
	CHECK_INT(number(doc, "/quarantine/0/count"), 2);
	CHECK_TEXT(text(doc, "/quarantine/0/reason"), "line N, byte N: '…' is bad");
	CHECK_TEXT(text(doc, "/quarantine/0/newest"), "2026-11-29T10:00:02.000Z");
	CHECK_INT(number(doc, "/pipelines/0/filtered"), 7);
	CHECK_INT((int64_t)yyjson_arr_size(at(doc, "/expectations")), 0);
	yyjson_doc_free(doc);
}

/* A table is there at each snapshot since it was made, also behind a look at rows that are inlined. */
static void snapshots_are_read_behind_it(void)
{
	char sql[96];

	for (int id = 6; id <= (int)COUNT_OF(history); id++) {
		OWNED_DUCK_ROWS struct duck_rows rows = {0};

		snprintf(sql, sizeof sql, "SELECT count(*) FROM lake.raw AT (VERSION => %d)", id);
		CHECK_TEXT(duck_query(lake_connection(session), sql, &rows, &err) ? err.message : "", "");
		CHECK_INT(duck_cell_int(&rows, 0, 0), id < 8 ? 1000 : 900);
	}
}

/* Nothing of what may not be read is in any part of it. */
static void rights(void)
{
	static const char *const gold[] = {"gold_*"}, *const named[] = {"tarn.ledger", "ref.*"};
	yyjson_doc *doc = overview_of(gold, 1);
	char *all = yyjson_write(doc, 0, NULL);

	CHECK_INT((int64_t)yyjson_arr_size(at(doc, "/tables")), 1);
	CHECK_INT((int64_t)yyjson_arr_size(at(doc, "/pipelines")), 1);
	CHECK(!strstr(all, "raw") && !strstr(all, "silver_view") && !strstr(all, "\"ref\"") && !strstr(all, "ref.") &&
	      !strstr(all, "gone") && !strstr(all, "bad"));
	free(all);
	yyjson_doc_free(doc);
	doc = overview_of(named, 2);
	CHECK_INT((int64_t)yyjson_arr_size(at(doc, "/tables")), 1);
	CHECK_TEXT(text(doc, "/tables/0/name"), "ledger");
	CHECK_INT((int64_t)yyjson_arr_size(at(doc, "/lanes")), 1);
	CHECK_TEXT(text(doc, "/lanes/0/table"), "ref.other");
	yyjson_doc_free(doc);
}

/* Without DuckLake there are no snapshots, and nobody knows of files. */
static void plain_file(void)
{
	static char file[280];
	struct spec_catalog plain = {.name = "plain", .backend = {.type = BACKEND_FILE, .path = file}};
	OWNED_BUFFER struct buffer out = {0};
	struct guard_rights rights = {.table_count = -1};
	struct lake *other;
	struct lake_session *there;
	int64_t snapshot = 7;
	yyjson_doc *doc;

	snprintf(file, sizeof file, "%s/plain.duckdb", folder);
	other = lake_open(&plain, &(struct lake_options){.writer = true}, &err);
	there = other ? lake_session_new(other, &err) : NULL;
	CHECK(there && !duck_exec(lake_connection(there),
	                          "CREATE TABLE lake.bronze_x AS SELECT range AS r FROM range(7)", NULL, &err));
	buffer_init(&out, 1 << 20);
	CHECK_INT(overview_write(lake_connection(there), &manifest, &plain, &rights, &out, &snapshot, &err), 0);
	doc = yyjson_read(out.data, out.size, 0);
	CHECK_INT(snapshot, -1);
	CHECK(yyjson_is_null(at(doc, "/snapshot")) && yyjson_is_null(at(doc, "/tables/0/bytes")));
	CHECK_INT(number(doc, "/tables/0/rows"), 7);
	CHECK_TEXT(text(doc, "/tables/0/layer"), "bronze");
	CHECK_INT((int64_t)yyjson_arr_size(at(doc, "/snapshots")), 0);
	yyjson_doc_free(doc);
	lake_session_free(there);
	lake_close(other);
}

static int begin(void)
{
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof path, "%s/catalog.sqlite", folder);
	snprintf(data, sizeof data, "%s/data/", folder);
	lake = lake_open(&catalog, &(struct lake_options){.writer = true}, &err);
	session = lake ? lake_session_new(lake, &err) : NULL;
	for (size_t i = 0; session && i < COUNT_OF(history); i++) {
		if (duck_exec(lake_connection(session), history[i], NULL, &err))
			return -1;
		if (!strncmp(history[i], "CREATE TABLE lake.tarn.ledger", 29) &&
		    duck_exec(lake_connection(session),
		              "CALL lake.set_option('data_inlining_row_limit', '10', schema => 'tarn')", NULL, &err))
			return -1;
	}
	/* One that knows nothing from having written it, as a worker. */
	lake_session_free(session);
	lake_close(lake);
	lake = lake_open(&catalog, &(struct lake_options){0}, &err);
	session = lake ? lake_session_new(lake, &err) : NULL;
	return session ? 0 : -1;
}

static void everything_is_given_back(void)
{
	lake_session_free(session);
	lake_close(lake);
	CHECK_INT(folder_remove(folder, &err), 0);
}

int main(int argc, char **argv)
{
	if (begin()) {
		printf("not ok begin: %s\n", err.message);
		return 1;
	}
	return CHECK_MAIN(argc, argv, TEST(tables), TEST(snapshots), TEST(state), TEST(snapshots_are_read_behind_it),
	                  TEST(rights), TEST(plain_file), TEST(everything_is_given_back));
}
