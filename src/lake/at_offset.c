#include "lake/at_offset.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/owned.h"
#include "lake/lake_private.h"

enum column { STREAM, TOPIC_ID, FIRST, NEXT, NEWEST, SNAPSHOT, LOST, EMPTY };

/*
 * A row a stream and incarnation, the newest first: where it begins and ends, and of the commit that took the offset
 * its snapshot, how many of its offsets were lost, and whether it holds no message at all. Sums, as an offset in two
 * commits (a doubling, which `tarn verify` finds) must not fail here.
 */
static void append_lanes(struct buffer *sql, const struct place *place)
{
	buffer_text(sql,
	            "WITH l AS (SELECT stream, topic_id, from_offset AS f, next_offset AS n, messages + quarantined "
	            "AS held, lost, snapshot_id AS s");
	buffer_printf(sql, ", from_offset <= %" PRId64 " AND next_offset > %" PRId64 " AS took", place->offset,
	              place->offset);
	buffer_text(sql, " FROM lake.tarn.ledger WHERE topic = ");
	buffer_sql_text(sql, place->topic);
	buffer_printf(sql, " AND \"partition\" = %" PRId32 ")", place->partition);
	buffer_text(sql, " SELECT stream, topic_id, min(f), max(n), max(s) AS newest, min(s) FILTER (took), sum(lost) "
	                 "FILTER (took), sum(held) FILTER (took) = 0 FROM l GROUP BY stream, topic_id ORDER BY newest "
	                 "DESC, stream");
}

static int no_lane(struct lake_session *session, const struct place *place, struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	OWNED_BUFFER struct buffer sql = {0};
	const char *known;

	buffer_init(&sql, 4096);
	buffer_text(&sql, "SELECT coalesce(string_agg(DISTINCT \"partition\"::VARCHAR, ', ' ORDER BY "
	                  "\"partition\"::VARCHAR) FILTER (topic = ");
	buffer_sql_text(&sql, place->topic);
	buffer_text(&sql,
	            "), ''), coalesce(string_agg(DISTINCT topic, ', ' ORDER BY topic), '') FROM lake.tarn.ledger");
	if (duck_query(session->connection, buffer_string(&sql), &rows, err))
		return -1;
	known = duck_cell(&rows, 0, 0);
	if (*known)
		return error_set(err, ERROR_INVALID, 0,
		                 "nothing of partition %" PRId32
		                 " of topic %s is committed; there are partitions %.200s",
		                 place->partition, place->topic, known);
	known = duck_cell(&rows, 0, 1);
	return error_set(err, ERROR_INVALID, 0, "nothing of a topic %s is committed in catalog %s%s%.200s",
	                 place->topic, lake_catalog(session->lake)->name, *known ? "; there are " : "", known);
}

/* No stream has a commit that took it. */
static int not_taken(const struct place *place, const struct duck_rows *rows, struct error *err)
{
	int64_t first = duck_cell_int(rows, 0, FIRST), next = duck_cell_int(rows, 0, NEXT);
	char text[PLACE_SIZE];

	place_text(text, place->topic, place->partition, place->offset);
	if (place->offset >= next)
		return error_set(err, ERROR_INVALID, 0,
		                 "%s is not committed yet: of this partition the lake has the offsets from %" PRId64
		                 " on, and the next one is %" PRId64,
		                 text, first, next);
	if (place->offset < first)
		return error_set(err, ERROR_INVALID, 0,
		                 "%s was never read: of this partition the lake has the offsets from %" PRId64
		                 " on, and the next one is %" PRId64,
		                 text, first, next);
	return error_set(err, ERROR_INVALID, 0, "no commit took %s, and it should have: `tarn verify` says more", text);
}

static int no_message(const struct place *place, const struct duck_rows *rows, int64_t row, struct error *err)
{
	char text[PLACE_SIZE];

	return error_set(err, ERROR_INVALID, 0,
	                 "%s holds no message: %s. The commit that passed it is snapshot %s (--at %s); the partition's "
	                 "offsets go from %s to %" PRId64,
	                 place_text(text, place->topic, place->partition, place->offset),
	                 duck_cell_int(rows, row, LOST) ? "the topic's retention removed it before it was read"
	                                                : "it was skipped, as transactions and compaction leave such",
	                 duck_cell(rows, row, SNAPSHOT), duck_cell(rows, row, SNAPSHOT), duck_cell(rows, row, FIRST),
	                 duck_cell_int(rows, row, NEXT) - 1);
}

/*
 * Of each stream the newest incarnation counts; of several streams the latest snapshot, which is the first that holds
 * the offset for all of them.
 */
static int choose(const struct place *place, const struct duck_rows *rows, struct offset_snapshot *found,
                  struct error *err)
{
	int64_t chosen = -1, empty = -1;

	for (int64_t i = 0; i < rows->row_count; i++) {
		bool older = false;

		for (int64_t k = 0; k < i; k++)
			older |= !strcmp(duck_cell(rows, k, STREAM), duck_cell(rows, i, STREAM));
		if (older)
			continue;
		found->streams++;
		if (!duck_cell(rows, i, SNAPSHOT))
			continue;
		if (!strcmp(duck_cell(rows, i, EMPTY), "true"))
			empty = i;
		else if (chosen < 0 || duck_cell_int(rows, i, SNAPSHOT) > duck_cell_int(rows, chosen, SNAPSHOT))
			chosen = i;
	}
	if (chosen < 0)
		return empty < 0 ? not_taken(place, rows, err) : no_message(place, rows, empty, err);
	found->snapshot = duck_cell_int(rows, chosen, SNAPSHOT);
	snprintf(found->stream, sizeof found->stream, "%s", duck_cell(rows, chosen, STREAM));
	for (int64_t i = 0; i < rows->row_count; i++)
		found->incarnations += !strcmp(duck_cell(rows, i, STREAM), found->stream);
	return 0;
}

/* DuckLake binds a table at a version only where that snapshot is still there. */
static int check_snapshot(struct lake_session *session, const struct place *place, int64_t snapshot, struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	OWNED_BUFFER struct buffer sql = {0};
	char text[PLACE_SIZE];
	struct error why;

	buffer_init(&sql, 4096);
	buffer_printf(&sql, "SELECT 1 FROM lake.tarn.ledger AT (VERSION => %" PRId64 ") LIMIT 0", snapshot);
	if (duck_query(session->connection, buffer_string(&sql), &rows, &why) == 0)
		return 0;
	if (!strstr(why.message, "No snapshot found")) {
		*err = why;
		return -1;
	}
	buffer_clear(&sql);
	buffer_printf(&sql, "SELECT min(snapshot_id) FROM lake.snapshots() WHERE snapshot_id > %" PRId64, snapshot);
	if (duck_query(session->connection, buffer_string(&sql), &rows, err))
		return -1;
	return error_set(err, ERROR_INVALID, 0,
	                 "%s came with snapshot %" PRId64 ", which has expired; the first one after it that is still "
	                 "there is %s (--at %s)",
	                 place_text(text, place->topic, place->partition, place->offset), snapshot,
	                 duck_cell(&rows, 0, 0) ? duck_cell(&rows, 0, 0) : "none",
	                 duck_cell(&rows, 0, 0) ? duck_cell(&rows, 0, 0) : "none");
}

int lake_at_offset(struct lake_session *session, const struct place *place, struct offset_snapshot *ret_found,
                   struct error *err)
{
	struct offset_snapshot found = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	OWNED_BUFFER struct buffer sql = {0};
	bool exists;

	if (!lake_has_snapshots(session->lake))
		return error_set(err, ERROR_INVALID, 0,
		                 "catalog %s has backend file, which keeps no snapshots: --at-offset needs sqlite, "
		                 "postgres or duckdb",
		                 lake_catalog(session->lake)->name);
	if (lake_has_table(session, "tarn", "ledger", &exists, err))
		return -1;
	if (!exists)
		return error_set(err, ERROR_INVALID, 0,
		                 "catalog %s has no ledger: no stream has written to it yet (`tarn run`)",
		                 lake_catalog(session->lake)->name);
	buffer_init(&sql, 4096);
	append_lanes(&sql, place);
	if (duck_query(session->connection, buffer_string(&sql), &rows, err))
		return -1;
	if (!rows.row_count)
		return no_lane(session, place, err);
	if (choose(place, &rows, &found, err) || check_snapshot(session, place, found.snapshot, err))
		return -1;
	*ret_found = found;
	return 0;
}
