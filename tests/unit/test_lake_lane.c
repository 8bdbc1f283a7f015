/*
 * test_lake_lane.c - lake/lane.h on catalogs of one writer: the versions of a lane's row are bounded, and only those
 * that hold no more are removed. Rivals are tests/race's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/folder.h"
#include "base/owned.h"
#include "check.h"
#include "lake/duck.h"
#include "lake/lake.h"
#include "lake/lane.h"

#define LANES 3

struct place {
	char folder[64], catalog_path[96], data[96];
	struct spec_catalog catalog;
	struct lake *lake;
	struct lake_session *session;
	struct lake_lane lanes[LANES];
	struct error err;
};

static const struct lane_key key = {.stream = "events", .topic = "topic"};
/* Another stream, whose table's name the first one's begins. */
static const struct lane_key other = {.stream = "events_1", .topic = "topic"};

static int first_offset(void *context, int32_t partition, int64_t *ret_offset, struct error *err)
{
	*ret_offset = 10 * partition;
	return 0;
}

static int claim(struct place *place, const struct lane_key *whose)
{
	struct lane_start start = {.first_offset = first_offset};

	for (int i = 0; i < LANES; i++)
		place->lanes[i] = (struct lake_lane){.partition = i};
	return lanes_claim(place->session, whose, "owner", place->lanes, LANES, &start, 0, &place->err);
}

static bool open_place(struct place *place, enum backend_type backend)
{
	struct lake_options options = {.writer = true, .threads = 1};

	*place = (struct place){.folder = "/tmp/tarn-lane.XXXXXX"};
	if (!mkdtemp(place->folder))
		return false;
	snprintf(place->catalog_path, sizeof place->catalog_path, "%s/catalog", place->folder);
	snprintf(place->data, sizeof place->data, "%s/data/", place->folder);
	place->catalog = (struct spec_catalog){
	        .name = (char[]){"main"},
	        .backend = {.type = backend, .path = place->catalog_path},
	        .data_path = backend == BACKEND_FILE ? NULL : place->data,
	};
	place->lake = lake_open(&place->catalog, &options, &place->err);
	place->session = place->lake ? lake_session_new(place->lake, &place->err) : NULL;
	if (!place->session)
		printf("# %s\n", place->err.message);
	return place->session != NULL;
}

static void close_place(struct place *place)
{
	struct error ignored;

	lake_session_free(place->session);
	lake_close(place->lake);
	folder_remove(place->folder, &ignored);
}

/* Lanes 0 and 1 go on by one offset; lane 2 rests. */
static int commit(struct place *place, const struct lane_key *whose)
{
	int64_t next[LANES] = {place->lanes[0].next_offset + 1, place->lanes[1].next_offset + 1,
	                       place->lanes[2].next_offset};

	if (lake_begin(place->session, &place->err))
		return -1;
	if (lanes_fence(place->session, whose, place->lanes, LANES, &place->err) ||
	    lanes_advance(place->session, whose, place->lanes, next, LANES, &place->err)) {
		lake_rollback(place->session);
		return -1;
	}
	for (int i = 0; i < LANES; i++)
		place->lanes[i].next_offset = next[i];
	return lake_commit(place->session, NULL, &place->err) == COMMIT_DONE ? 0 : -1;
}

static int64_t ask(struct place *place, const char *sql)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	if (duck_query(lake_connection(place->session), sql, &rows, &place->err))
		return -1;
	return rows.row_count ? duck_cell_int(&rows, 0, 0) : -2;
}

static int64_t inlined(struct place *place, const char *stream, const char *column)
{
	char sql[512];

	snprintf(sql, sizeof sql,
	         "SELECT i.%s FROM __ducklake_metadata_lake.ducklake_inlined_data_tables i JOIN "
	         "__ducklake_metadata_lake.ducklake_table t ON t.table_id = i.table_id WHERE t.table_name = "
	         "'offsets_%s'",
	         column, stream);
	return ask(place, sql);
}

/* Rows of the stream's table in the catalog, whatever they are. */
static int64_t versions(struct place *place, const char *stream)
{
	char sql[512];

	snprintf(sql, sizeof sql,
	         "SELECT count(*) FROM __ducklake_metadata_lake.ducklake_inlined_data_%" PRId64 "_%" PRId64,
	         inlined(place, stream, "table_id"), inlined(place, stream, "schema_version"));
	return ask(place, sql);
}

static bool lanes_are(struct place *place, const struct lane_key *whose, int64_t a, int64_t b, int64_t c)
{
	struct lake_lane now[LANES];

	return lanes_read(place->session, whose, place->lanes, LANES, now, &place->err) == 0 &&
	       now[0].next_offset == a && now[1].next_offset == b && now[2].next_offset == c;
}

static void prune_on(enum backend_type backend)
{
	OWNED_BY(close_place) struct place place;
	int64_t snapshot;

	CHECK(open_place(&place, backend));
	CHECK_INT(claim(&place, &other), 0);
	CHECK_INT(commit(&place, &other), 0);
	CHECK_INT(claim(&place, &key), 0);
	for (int i = 0; i < 5; i++)
		CHECK_INT(commit(&place, &key), 0);
	CHECK_INT(versions(&place, "events"), LANES + 5 * 2);
	/* What ended just now stays for its readers. */
	CHECK_INT(lanes_prune(place.session, &key, place.lanes, LANES, 60000, &place.err), 0);
	CHECK_INT(versions(&place, "events"), LANES + 5 * 2);
	CHECK_INT(lake_snapshot(place.session, &snapshot, &place.err), 0);
	CHECK_INT(lanes_prune(place.session, &key, place.lanes, LANES, 0, &place.err), 0);
	CHECK_INT(versions(&place, "events"), LANES);
	CHECK_INT(versions(&place, "events_1"), LANES + 2);
	CHECK(lanes_are(&place, &key, 5, 15, 20));
	CHECK(lanes_are(&place, &other, 1, 11, 20));
	/* It is no snapshot, and the next commit meets it as it was. */
	CHECK_INT(ask(&place, "SELECT id FROM lake.current_snapshot()"), snapshot);
	CHECK_INT(commit(&place, &key), 0);
	CHECK(lanes_are(&place, &key, 6, 16, 20));
	CHECK_INT(lanes_prune(place.session, &key, place.lanes, 0, 0, &place.err), 0);
}

static void prunes_sqlite(void)
{
	prune_on(BACKEND_SQLITE);
}

static void prunes_duckdb(void)
{
	prune_on(BACKEND_DUCKDB);
}

/* Commits, prunes and claims in turn: the row that holds is there after each. */
static void stays_bounded(void)
{
	OWNED_BY(close_place) struct place place;

	CHECK(open_place(&place, BACKEND_SQLITE));
	for (int64_t n = 0; n < 12; n++) {
		if (n % 4 == 0)
			CHECK_INT(claim(&place, &key), 0);
		CHECK_INT(place.lanes[1].next_offset, 10 + n);
		CHECK_INT(commit(&place, &key), 0);
		CHECK_INT(lanes_prune(place.session, &key, place.lanes, LANES, 0, &place.err), 0);
		CHECK_INT(versions(&place, "events"), LANES);
	}
}

/* The lake's owner moved the rows to files between two commits. */
static void goes_on_after_a_flush(void)
{
	OWNED_BY(close_place) struct place place;

	CHECK(open_place(&place, BACKEND_SQLITE));
	CHECK_INT(claim(&place, &key), 0);
	CHECK_INT(commit(&place, &key), 0);
	CHECK(ask(&place, "FROM ducklake_flush_inlined_data('lake')") != -1);
	CHECK_INT(lanes_prune(place.session, &key, place.lanes, LANES, 0, &place.err), 0);
	CHECK(lanes_are(&place, &key, 1, 11, 20));
	CHECK_INT(commit(&place, &key), 0);
	CHECK_INT(lanes_prune(place.session, &key, place.lanes, LANES, 0, &place.err), 0);
	CHECK(lanes_are(&place, &key, 2, 12, 20));
	CHECK_INT(versions(&place, "events"), 2);
}

static void has_nothing_to_do_in_a_file(void)
{
	OWNED_BY(close_place) struct place place;

	CHECK(open_place(&place, BACKEND_FILE));
	CHECK_INT(claim(&place, &key), 0);
	CHECK_INT(commit(&place, &key), 0);
	CHECK_INT(lanes_prune(place.session, &key, place.lanes, LANES, 0, &place.err), 0);
	CHECK(lanes_are(&place, &key, 1, 11, 20));
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(prunes_sqlite), TEST(prunes_duckdb), TEST(stays_bounded),
	                  TEST(goes_on_after_a_flush), TEST(has_nothing_to_do_in_a_file));
}
