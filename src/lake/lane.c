#include "lake/lane.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/owned.h"
#include "lake/lake_private.h"
#include "lake/ledger.h"

#define EPOCH_APPENDED 1 /* of a row that was appended, and of no other */

/* The table that holds a lane's row: of the lane where many processes write, of the stream elsewhere. */
static const char *name_table(const struct lake_session *session, const struct lane_key *key, int32_t partition,
                              char *name, size_t size)
{
	if (lake_has_many_writers(session->lake))
		snprintf(name, size, "offsets_%s_%d", key->stream, partition);
	else
		snprintf(name, size, "offsets_%s", key->stream);
	return name;
}

static void append_table(struct buffer *sql, const struct lake_session *session, const struct lane_key *key,
                         int32_t partition)
{
	char name[256];

	buffer_text(sql, "lake.tarn.");
	buffer_sql_name(sql, name_table(session, key, partition, name, sizeof name));
}

/* Lanes i..end-1 share a table, so that one statement serves them all. */
static int table_end(const struct lake_session *session, int i, int count)
{
	return lake_has_many_writers(session->lake) ? i + 1 : count;
}

static void append_where_topic(struct buffer *sql, const struct lane_key *key)
{
	buffer_text(sql, " WHERE topic = ");
	buffer_sql_text(sql, key->topic);
}

/* Without WHERE: each column compared makes DuckLake ask its catalog for that column's statistics, 10 ms a table. */
static void append_select(struct buffer *sql, const struct lake_session *session, const struct lane_key *key,
                          const struct lake_lane *lanes, int count)
{
	for (int i = 0; i < count; i = table_end(session, i, count)) {
		buffer_text(sql, i ? " UNION ALL " : "");
		buffer_text(sql, "SELECT \"partition\", topic_id, first_offset, next_offset, epoch, topic FROM ");
		append_table(sql, session, key, lanes[i].partition);
	}
}

/* Of several rows, which first claims at once leave behind, the one that was claimed last holds. */
static bool holds_instead(const struct duck_rows *rows, int64_t row, const struct lake_lane *lane)
{
	int64_t epoch = duck_cell_int(rows, row, 4);

	return epoch > lane->epoch || (epoch == lane->epoch && duck_cell_int(rows, row, 3) > lane->next_offset);
}

/* ret_rows: how many each lane has; NULL: nobody asks. */
static int read_rows(struct lake_session *session, const struct lane_key *key, const struct lake_lane *lanes, int count,
                     struct lake_lane *ret_lanes, int64_t *ret_rows, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	if (!count)
		return 0;
	buffer_init(&sql, 1 << 20);
	append_select(&sql, session, key, lanes, count);
	if (duck_query(session->connection, buffer_string(&sql), &rows, err))
		return -1;
	for (int i = 0; i < count; i++) {
		ret_lanes[i] = (struct lake_lane){.partition = lanes[i].partition, .epoch = -1};
		for (int64_t r = 0; r < rows.row_count; r++) {
			if (duck_cell_int(&rows, r, 0) != lanes[i].partition ||
			    strcmp(duck_cell(&rows, r, 5), key->topic) != 0)
				continue;
			if (ret_rows)
				ret_rows[i]++;
			if (!holds_instead(&rows, r, &ret_lanes[i]))
				continue;
			snprintf(ret_lanes[i].topic_id, sizeof ret_lanes[i].topic_id, "%s", duck_cell(&rows, r, 1));
			ret_lanes[i].first_offset = duck_cell_int(&rows, r, 2);
			ret_lanes[i].next_offset = duck_cell_int(&rows, r, 3);
			ret_lanes[i].epoch = duck_cell_int(&rows, r, 4);
		}
	}
	return 0;
}

int lanes_read(struct lake_session *session, const struct lane_key *key, const struct lake_lane *lanes, int count,
               struct lake_lane *ret_lanes, struct error *err)
{
	return read_rows(session, key, lanes, count, ret_lanes, NULL, err);
}

int lanes_fence(struct lake_session *session, const struct lane_key *key, const struct lake_lane *lanes, int count,
                struct error *err)
{
	OWNED_FREE struct lake_lane *now = calloc((size_t)count + 1, sizeof *now);

	if (!now)
		return error_no_memory(err);
	/*
	 * One table is enough: this fixes the snapshot, by which lanes_advance counts in every table. What the others
	 * would tell now, the count tells later; each read costs 20 ms.
	 */
	if (count)
		count = table_end(session, 0, count);
	if (lanes_read(session, key, lanes, count, now, err))
		return -1;
	for (int i = 0; i < count; i++)
		if (now[i].epoch != lanes[i].epoch || now[i].next_offset != lanes[i].next_offset)
			return error_set(err, ERROR_CONFLICT, 0,
			                 "lane %d: the lake is at offset %" PRId64 " (epoch %" PRId64
			                 "), this owner at %" PRId64 " (epoch %" PRId64 "): another owner was first",
			                 lanes[i].partition, now[i].next_offset, now[i].epoch, lanes[i].next_offset,
			                 lanes[i].epoch);
	return fault_error(FAULT_FENCE_AFTER, err) ? -1 : 0;
}

/* One UPDATE for lanes[from..to-1], which share a table. */
static int advance_table(struct lake_session *session, const struct lane_key *key, const struct lake_lane *lanes,
                         const int64_t *next, int from, int to, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	int64_t wanted = 0, changed = 0;

	buffer_init(&sql, 1 << 20);
	buffer_text(&sql, "UPDATE ");
	append_table(&sql, session, key, lanes[from].partition);
	/* One text stands for the four columns, as these are compared one by one otherwise: see append_select. */
	buffer_text(&sql, " AS o SET next_offset = v.next, updated_at = now() FROM (VALUES ");
	for (int i = from; i < to; i++) {
		if (next[i] == lanes[i].next_offset)
			continue;
		buffer_printf(&sql, "%s('%d/%" PRId64 "/%" PRId64 "/', %" PRId64 "::BIGINT)", wanted ? ", " : "",
		              lanes[i].partition, lanes[i].epoch, lanes[i].next_offset, next[i]);
		wanted++;
	}
	buffer_text(&sql,
	            ") AS v(lane, next) WHERE concat_ws('/', \"partition\", epoch, next_offset, topic) = v.lane || ");
	buffer_sql_text(&sql, key->topic);
	if (!wanted)
		return 0;
	if (fault_error(FAULT_OFFSET_BEFORE, err) || duck_exec(session->connection, buffer_string(&sql), &changed, err))
		return -1;
	if (changed != wanted)
		return error_set(err, ERROR_CONFLICT, 0,
		                 "%" PRId64 " of %" PRId64
		                 " lanes (from partition %d) are still this owner's: another owner was first",
		                 changed, wanted, lanes[from].partition);
	return fault_error(FAULT_OFFSET_AFTER, err) ? -1 : 0;
}

int lanes_advance(struct lake_session *session, const struct lane_key *key, const struct lake_lane *lanes,
                  const int64_t *next, int count, struct error *err)
{
	for (int i = 0, end; i < count; i = end) {
		end = table_end(session, i, count);
		if (advance_table(session, key, lanes, next, i, end, err))
			return -1;
	}
	return 0;
}

/* ---- old versions */

/* The catalog's tables of the lanes' inlined rows, one a schema that each had; and the newest snapshot that is at least
 * grace_ms old: null where none is. */
static int find_versions(struct lake_session *session, const struct lane_key *key, const struct lake_lane *lanes,
                         int count, int64_t grace_ms, struct duck_rows *ret_tables, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	char name[256];

	buffer_init(&sql, 1 << 20);
	buffer_printf(&sql,
	              "SELECT i.table_name, (SELECT max(snapshot_id) FROM __ducklake_metadata_lake.ducklake_snapshot "
	              "WHERE snapshot_time::TIMESTAMPTZ <= now() - INTERVAL %" PRId64 " MILLISECOND) FROM "
	              "__ducklake_metadata_lake.ducklake_inlined_data_tables i JOIN "
	              "__ducklake_metadata_lake.ducklake_table t ON t.table_id = i.table_id JOIN "
	              "__ducklake_metadata_lake.ducklake_schema s ON s.schema_id = t.schema_id WHERE t.end_snapshot IS "
	              "NULL AND s.end_snapshot IS NULL AND s.schema_name = 'tarn' AND t.table_name IN (",
	              grace_ms);
	for (int i = 0; i < count; i = table_end(session, i, count)) {
		buffer_text(&sql, i ? ", " : "");
		buffer_sql_text(&sql, name_table(session, key, lanes[i].partition, name, sizeof name));
	}
	buffer_char(&sql, ')');
	return duck_query(session->connection, buffer_string(&sql), ret_tables, err);
}

/* Of a server the server's own DELETE: the scanner's reads first and then deletes by ctid. */
static int prune_table(struct lake_session *session, const char *table, int64_t snapshot, struct error *err)
{
	bool server = lake_has_many_writers(session->lake);
	OWNED_BUFFER struct buffer sql = {0}, remove = {0};

	buffer_init(&sql, 4096);
	buffer_init(&remove, 4096);
	buffer_text(&remove, server ? "DELETE FROM public." : "DELETE FROM __ducklake_metadata_lake.");
	buffer_sql_name(&remove, table);
	buffer_printf(&remove, " WHERE end_snapshot <= %" PRId64, snapshot);
	if (!server)
		return duck_exec(session->connection, buffer_string(&remove), NULL, err);
	buffer_text(&sql, "CALL postgres_execute('__ducklake_metadata_lake', ");
	buffer_sql_text(&sql, buffer_string(&remove));
	buffer_char(&sql, ')');
	return duck_exec(session->connection, buffer_string(&sql), NULL, err);
}

static int prune_in_transaction(struct lake_session *session, const struct lane_key *key, const struct lake_lane *lanes,
                                int count, int64_t grace_ms, struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows tables = {0};

	if (find_versions(session, key, lanes, count, grace_ms, &tables, err))
		return -1;
	for (int64_t i = 0; i < tables.row_count; i++)
		if (duck_cell(&tables, i, 1) &&
		    prune_table(session, duck_cell(&tables, i, 0), duck_cell_int(&tables, i, 1), err))
			return -1;
	return fault_error(FAULT_PRUNE_AFTER, err) ? -1 : 0;
}

int lanes_prune(struct lake_session *session, const struct lane_key *key, const struct lake_lane *lanes, int count,
                int64_t grace_ms, struct error *err)
{
	if (!count || !lake_has_snapshots(session->lake))
		return 0;
	if (lake_begin(session, err))
		return -1;
	if (prune_in_transaction(session, key, lanes, count, grace_ms, err)) {
		lake_rollback(session);
		return -1;
	}
	return lake_commit(session, NULL, err) == COMMIT_DONE ? 0 : -1;
}

/* ---- claiming */

static int create_tables(struct lake_session *session, const struct lane_key *key, const struct lake_lane *lanes,
                         int count, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, 1 << 16);
	for (int i = 0; i < count; i = table_end(session, i, count)) {
		buffer_clear(&sql);
		buffer_text(&sql, "CREATE TABLE IF NOT EXISTS ");
		append_table(&sql, session, key, lanes[i].partition);
		buffer_text(
		        &sql,
		        " (stream VARCHAR, topic VARCHAR, topic_id VARCHAR, \"partition\" INTEGER, owner VARCHAR,"
		        " epoch BIGINT, first_offset BIGINT, next_offset BIGINT, updated_at TIMESTAMP WITH TIME ZONE)");
		if (duck_exec(session->connection, buffer_string(&sql), NULL, err))
			return -1;
	}
	return 0;
}

/* A topic that was deleted and made anew has another id: its offsets mean other messages. */
int lane_check_topic_id(const struct lane_key *key, const struct lake_lane *lane, const char *topic_id,
                        struct error *err)
{
	if (!*topic_id || !*lane->topic_id || !strcmp(topic_id, lane->topic_id))
		return 0;
	return error_set(err, ERROR_INVALID, 0,
	                 "topic %s was deleted and made anew (its id was %s and is %s): offset %" PRId64
	                 " of partition %d means another message now. " LANE_READ_ANEW,
	                 key->topic, lane->topic_id, topic_id, lane->next_offset, lane->partition);
}

static int insert_row(struct lake_session *session, const struct lane_key *key, const char *owner,
                      const struct lake_lane *lane, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, 1 << 16);
	buffer_text(&sql, "INSERT INTO ");
	append_table(&sql, session, key, lane->partition);
	buffer_text(&sql, " VALUES (");
	buffer_sql_text(&sql, key->stream);
	buffer_text(&sql, ", ");
	buffer_sql_text(&sql, key->topic);
	buffer_text(&sql, ", ");
	buffer_sql_text(&sql, lane->topic_id);
	buffer_printf(&sql, ", %d, ", lane->partition);
	buffer_sql_text(&sql, owner);
	buffer_printf(&sql, ", %" PRId64 ", %" PRId64 ", %" PRId64 ", now())", lane->epoch, lane->first_offset,
	              lane->next_offset);
	return duck_exec(session->connection, buffer_string(&sql), NULL, err);
}

/* INVARIANT 5: several rows become one. Of two that do so at once one meets a conflict, as of two UPDATEs. */
static int join_rows(struct lake_session *session, const struct lane_key *key, const char *owner,
                     const struct lake_lane *lane, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, 1 << 16);
	buffer_text(&sql, "DELETE FROM ");
	append_table(&sql, session, key, lane->partition);
	append_where_topic(&sql, key);
	buffer_printf(&sql, " AND \"partition\" = %d", lane->partition);
	if (duck_exec(session->connection, buffer_string(&sql), NULL, err))
		return -1;
	return insert_row(session, key, owner, lane, err);
}

static int update_row(struct lake_session *session, const struct lane_key *key, const char *owner,
                      const struct lake_lane *lane, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	int64_t changed = 0;

	buffer_init(&sql, 1 << 16);
	buffer_text(&sql, "UPDATE ");
	append_table(&sql, session, key, lane->partition);
	buffer_text(&sql, " SET owner = ");
	buffer_sql_text(&sql, owner);
	buffer_text(&sql, ", topic_id = ");
	buffer_sql_text(&sql, lane->topic_id);
	buffer_printf(&sql,
	              ", epoch = %" PRId64 ", first_offset = %" PRId64 ", next_offset = %" PRId64
	              ", updated_at = now()",
	              lane->epoch, lane->first_offset, lane->next_offset);
	append_where_topic(&sql, key);
	buffer_printf(&sql, " AND \"partition\" = %d AND epoch = %" PRId64, lane->partition, lane->epoch - 1);
	if (duck_exec(session->connection, buffer_string(&sql), &changed, err))
		return -1;
	if (changed != 1)
		return error_set(err, ERROR_CONFLICT, 0, "lane %d changed hands while it was claimed", lane->partition);
	return 0;
}

/* What the lane is in the hands of its next owner. known: what the lake has; epoch -1: no row. */
static int take_over(const struct lane_key *key, struct lake_lane *lane, const struct lake_lane *known,
                     const struct lane_start *start, struct error *err)
{
	struct error why = {0};
	bool anew = known->epoch < 0 || lane_check_topic_id(key, known, lane->topic_id, &why);

	if (why.kind && !start->may_restart) {
		*err = why;
		return -1;
	}
	if (!*lane->topic_id) /* this broker says none, and the ledger's rows are of the lane's */
		memcpy(lane->topic_id, known->topic_id, sizeof lane->topic_id);
	lane->epoch = known->epoch < 0 ? EPOCH_APPENDED : known->epoch + 1;
	lane->first_offset = known->first_offset;
	lane->next_offset = known->next_offset;
	if (!anew)
		return 0;
	if (start->first_offset(start->context, lane->partition, &lane->first_offset, err))
		return -1;
	lane->next_offset = lane->first_offset;
	return 0;
}

static int claim_in_transaction(struct lake_session *session, const struct lane_key *key, const char *owner,
                                struct lake_lane *lanes, int count, const struct lane_start *start, struct error *err)
{
	OWNED_FREE struct lake_lane *known = calloc((size_t)count + 1, sizeof *known);
	OWNED_FREE int64_t *rows = calloc((size_t)count + 1, sizeof *rows);

	if (!known || !rows)
		return error_no_memory(err);
	if (read_rows(session, key, lanes, count, known, rows, err))
		return -1;
	for (int i = 0; i < count; i++) {
		if (take_over(key, &lanes[i], &known[i], start, err))
			return -1;
		if ((!rows[i] ? insert_row : rows[i] > 1 ? join_rows : update_row)(session, key, owner, &lanes[i], err))
			return -1;
	}
	return 0;
}

/* Tables first, in a commit of their own: DuckLake fixes a new table's options only once it is there. */
static int make_tables(struct lake_session *session, const struct lane_key *key, const struct lake_lane *lanes,
                       int count, struct error *err)
{
	if (ledger_create(session, err) || lake_begin(session, err))
		return -1;
	if (create_tables(session, key, lanes, count, err)) {
		lake_rollback(session);
		return -1;
	}
	return lake_commit(session, NULL, err) == COMMIT_DONE ? 0 : -1;
}

static int claim_once(struct lake_session *session, const struct lane_key *key, const char *owner,
                      struct lake_lane *lanes, int count, const struct lane_start *start, struct error *err)
{
	if (make_tables(session, key, lanes, count, err) || lake_begin(session, err))
		return -1;
	if (claim_in_transaction(session, key, owner, lanes, count, start, err)) {
		lake_rollback(session);
		return -1;
	}
	/* An unknown outcome only costs an epoch: the claim is tried again, and raises it once more. */
	if (lake_commit(session, NULL, err) != COMMIT_DONE)
		return -1;
	return fault_error(FAULT_CLAIM_AFTER, err) ? -1 : 0;
}

static bool has_appended(const struct lake_lane *lanes, int count)
{
	for (int i = 0; i < count; i++)
		if (lanes[i].epoch == EPOCH_APPENDED)
			return true;
	return false;
}

int lanes_claim(struct lake_session *session, const struct lane_key *key, const char *owner, struct lake_lane *lanes,
                int count, const struct lane_start *start, int64_t patience_ms, struct error *err)
{
	int64_t until = clock_monotonic_ms() + patience_ms;
	struct error last = {0};

	for (int64_t wait_ms = 10;; wait_ms = wait_ms < 500 ? wait_ms * 2 : 500) {
		int failed = claim_once(session, key, owner, lanes, count, start, &last);

		/* INVARIANT 5: another one's row may have come beside ours, and now both are seen. */
		if (!failed && lake_has_many_writers(session->lake) && has_appended(lanes, count))
			failed = claim_once(session, key, owner, lanes, count, start, &last);
		if (!failed)
			return 0;
		if (!error_may_pass(&last) || clock_monotonic_ms() > until)
			break;
		/* Two claimers in step would meet again: the pid spreads them. */
		wait_ms += getpid() % 17;
		clock_sleep_ms(wait_ms);
	}
	if (err)
		*err = last;
	return error_wrap(err, "claim the lanes of %s", key->topic);
}
