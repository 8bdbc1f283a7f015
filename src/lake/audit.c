#include "lake/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/owned.h"
#include "lake/lake_private.h"

/* The names of the stream's offsets tables: one, or one a lane. */
static int append_offsets(struct lake_session *session, const char *stream, struct buffer *sql, struct error *err)
{
	OWNED_BUFFER struct buffer find = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&find, 65536);
	buffer_text(&find,
	            "SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake' AND schema_name = 'tarn' AND "
	            "regexp_full_match(table_name, 'offsets_' || ");
	buffer_sql_text(&find, stream);
	buffer_text(&find, " || '(_[0-9]+)?')");
	if (duck_query(session->connection, buffer_string(&find), &rows, err))
		return -1;
	buffer_text(sql, "SELECT NULL::VARCHAR AS topic, NULL::VARCHAR AS topic_id, NULL::INTEGER AS \"partition\", "
	                 "NULL::BIGINT AS first_offset, NULL::BIGINT AS next_offset WHERE false");
	for (int64_t i = 0; i < rows.row_count; i++) {
		buffer_text(
		        sql,
		        " UNION ALL SELECT topic, topic_id, \"partition\", first_offset, next_offset FROM lake.tarn.");
		buffer_sql_name(sql, duck_cell(&rows, i, 0));
	}
	return 0;
}

static void append_where_stream(struct buffer *sql, const char *stream, const char *topic)
{
	buffer_text(sql, " WHERE stream = ");
	buffer_sql_text(sql, stream);
	buffer_text(sql, " AND topic = ");
	buffer_sql_text(sql, topic);
}

/* Per lane: the messages that are in quarantine and those that left it. */
static void append_quarantine(struct buffer *sql, const char *stream, const char *topic, bool resolved)
{
	buffer_text(sql, "x AS (SELECT topic_id, \"partition\" AS p, \"offset\" AS o, 'waiting' AS state"
	                 " FROM lake.tarn.quarantine");
	append_where_stream(sql, stream, topic);
	if (resolved) {
		buffer_text(sql, " UNION ALL SELECT topic_id, \"partition\", \"offset\", \"action\" FROM "
		                 "lake.tarn.resolutions");
		append_where_stream(sql, stream, topic);
	}
	buffer_text(sql, "), q AS (SELECT topic_id, p, count(*) FILTER (state = 'waiting') AS waiting, "
	                 "count(*) FILTER (state = 'replayed') AS replayed, count(*) FILTER (state = 'discarded') AS "
	                 "discarded, count(DISTINCT o) AS offsets FROM x GROUP BY ALL)");
}

/*
 * Per lane: the commits in order of offset; between two, `from - previous next` is a gap (positive) or a doubling
 * (negative). The first must start at the lane's first offset.
 */
static void append_lanes(struct buffer *sql, const char *stream, const char *topic, const char *offsets, bool resolved)
{
	buffer_text(sql, "WITH o AS (");
	buffer_text(sql, offsets);
	buffer_text(sql,
	            "), own AS (SELECT topic_id, \"partition\" AS p, first_offset, next_offset FROM o WHERE topic = ");
	buffer_sql_text(sql, topic);
	buffer_text(sql, "), l AS (SELECT topic_id, \"partition\" AS p, from_offset AS f, next_offset AS n, messages, "
	                 "\"rows\" AS r,"
	                 " quarantined, skipped, lost, coalesce(max(next_offset) OVER (PARTITION BY topic_id, "
	                 "\"partition\" ORDER BY"
	                 " from_offset, next_offset ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), -1) AS before"
	                 " FROM lake.tarn.ledger");
	append_where_stream(sql, stream, topic);
	buffer_text(sql, "), sums AS (SELECT topic_id, p, min(f) AS first_f, max(n) AS last_n, count(*) AS commits, "
	                 "sum(messages) AS messages,"
	                 " sum(r) AS r, sum(quarantined) AS quarantined, sum(skipped) AS skipped, sum(lost) AS lost,"
	                 " sum(CASE WHEN before >= 0 AND f > before THEN f - before ELSE 0 END) AS gaps,"
	                 " sum(CASE WHEN before >= 0 AND f < before THEN least(before, n) - f ELSE 0 END) AS doubled,"
	                 " sum(CASE WHEN messages + quarantined + skipped + lost <> n - f OR n <= f THEN 1 ELSE 0 END) "
	                 "AS unbalanced"
	                 " FROM l GROUP BY ALL), ");
	append_quarantine(sql, stream, topic, resolved);
	buffer_text(
	        sql,
	        " SELECT coalesce(own.topic_id, sums.topic_id, q.topic_id), coalesce(own.p, sums.p, q.p),"
	        " coalesce(own.first_offset, first_f, 0), coalesce(own.next_offset, last_n, 0), coalesce(last_n, -1),"
	        " coalesce(commits, 0), coalesce(messages, 0), coalesce(r, 0), coalesce(quarantined, 0), "
	        "coalesce(skipped, 0),"
	        " coalesce(lost, 0), coalesce(gaps, 0) + CASE WHEN first_f > own.first_offset THEN first_f - "
	        "own.first_offset"
	        " ELSE 0 END, coalesce(doubled, 0), coalesce(unbalanced, 0), coalesce(waiting, 0), "
	        "coalesce(replayed, 0), coalesce(discarded, 0), coalesce(q.offsets, 0)"
	        " FROM own FULL JOIN sums ON own.topic_id = sums.topic_id AND own.p = sums.p"
	        " FULL JOIN q ON q.topic_id = coalesce(own.topic_id, sums.topic_id) AND q.p = coalesce(own.p, sums.p)"
	        " ORDER BY 1, 2");
}

static int take_lanes(const struct duck_rows *rows, struct stream_audit *audit, struct error *err)
{
	audit->lanes = calloc((size_t)rows->row_count + 1, sizeof *audit->lanes);
	if (!audit->lanes)
		return error_no_memory(err);
	audit->lane_count = (int)rows->row_count;
	for (int i = 0; i < audit->lane_count; i++) {
		struct lane_audit *lane = &audit->lanes[i];

		snprintf(lane->topic_id, sizeof lane->topic_id, "%s",
		         duck_cell(rows, i, 0) ? duck_cell(rows, i, 0) : "");
		lane->partition = (int32_t)duck_cell_int(rows, i, 1);
		lane->first_offset = duck_cell_int(rows, i, 2);
		lane->next_offset = duck_cell_int(rows, i, 3);
		lane->ledger_next = duck_cell_int(rows, i, 4);
		lane->commits = duck_cell_int(rows, i, 5);
		lane->messages = duck_cell_int(rows, i, 6);
		lane->rows = duck_cell_int(rows, i, 7);
		lane->quarantined = duck_cell_int(rows, i, 8);
		lane->skipped = duck_cell_int(rows, i, 9);
		lane->lost = duck_cell_int(rows, i, 10);
		lane->gap_offsets = duck_cell_int(rows, i, 11);
		lane->duplicate_offsets = duck_cell_int(rows, i, 12);
		lane->unbalanced = duck_cell_int(rows, i, 13);
		lane->quarantine_rows = duck_cell_int(rows, i, 14);
		lane->replayed = duck_cell_int(rows, i, 15);
		lane->discarded = duck_cell_int(rows, i, 16);
		lane->distinct = duck_cell_int(rows, i, 17);
	}
	return 0;
}

/* Whatever the case of its letters: names of tables are the same then, and a manifest may change it. */
static void append_is_table(const char *schema, const char *table, struct buffer *sql)
{
	buffer_text(sql, "lower(table_name) = lower(");
	buffer_sql_text(sql, schema);
	buffer_text(sql, " || '.' || ");
	buffer_sql_text(sql, table);
	buffer_char(sql, ')');
}

static int audit_replayed(struct lake_session *session, const char *schema, const char *table,
                          struct stream_audit *audit, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, 65536);
	buffer_text(&sql, "SELECT coalesce(sum(\"rows\"), 0) FROM lake.tarn.resolutions WHERE ");
	append_is_table(schema, table, &sql);
	buffer_text(&sql, " AND \"action\" = 'replayed'");
	if (duck_query(session->connection, buffer_string(&sql), &rows, err))
		return -1;
	audit->replayed_rows = duck_cell_int(&rows, 0, 0);
	return 0;
}

static int audit_table(struct lake_session *session, const char *stream, const char *schema, const char *table,
                       bool resolved, struct stream_audit *audit, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0}, count = {0};
	bool exists;

	buffer_init(&sql, 65536);
	if (resolved && audit_replayed(session, schema, table, audit, err))
		return -1;
	buffer_text(&sql, "SELECT coalesce(sum(\"rows\"), 0), coalesce(max(epoch_ms(committed_at)) FILTER (stream = ");
	buffer_sql_text(&sql, stream);
	buffer_text(&sql, "), 0) FROM lake.tarn.ledger WHERE ");
	append_is_table(schema, table, &sql);
	if (duck_query(session->connection, buffer_string(&sql), &rows, err))
		return -1;
	audit->ledger_rows = duck_cell_int(&rows, 0, 0);
	audit->last_commit_ms = duck_cell_int(&rows, 0, 1);
	audit->table_rows = -1;
	if (lake_has_table(session, schema, table, &exists, err))
		return -1;
	if (!exists)
		return 0;
	buffer_clear(&sql);
	buffer_text(&sql, "SELECT count(*) FROM lake.");
	buffer_sql_name(&sql, schema);
	buffer_char(&sql, '.');
	buffer_sql_name(&sql, table);
	if (duck_query(session->connection, buffer_string(&sql), &count, err))
		return -1;
	audit->table_rows = duck_cell_int(&count, 0, 0);
	return 0;
}

static int audit_in_transaction(struct lake_session *session, const char *stream, const char *topic, const char *schema,
                                const char *table, struct stream_audit *audit, struct error *err)
{
	OWNED_BUFFER struct buffer offsets = {0}, sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	bool exists, resolved;

	buffer_init(&offsets, 1 << 20);
	buffer_init(&sql, 1 << 21);
	if (lake_snapshot(session, &audit->snapshot, err) || lake_has_table(session, "tarn", "ledger", &exists, err))
		return -1;
	audit->table_rows = -1;
	if (!exists)
		return 0;
	if (lake_has_table(session, "tarn", "resolutions", &resolved, err) ||
	    append_offsets(session, stream, &offsets, err))
		return -1;
	append_lanes(&sql, stream, topic, buffer_string(&offsets), resolved);
	if (duck_query(session->connection, buffer_string(&sql), &rows, err) || take_lanes(&rows, audit, err))
		return -1;
	return audit_table(session, stream, schema, table, resolved, audit, err);
}

int lake_audit(struct lake_session *session, const char *stream, const char *topic, const char *schema,
               const char *table, struct stream_audit *ret_audit, struct error *err)
{
	struct stream_audit audit = {0};
	int failed;

	if (lake_begin(session, err))
		return -1;
	failed = audit_in_transaction(session, stream, topic, schema, table, &audit, err);
	lake_rollback(session);
	if (failed) {
		stream_audit_release(&audit);
		return -1;
	}
	*ret_audit = audit;
	return 0;
}

void stream_audit_release(struct stream_audit *audit)
{
	free(audit->lanes);
	*audit = (struct stream_audit){0};
}
