/* overview_state.c - what schema tarn knows of a lake: quarantine, lanes, ingest, models, expectations. */
#include <string.h>

#include "pool/overview_private.h"

#define QUARANTINE_MAX 200
#define INGEST_STEP_MS 10000
#define INGEST_MS (15 * 60 * 1000)

/* Places in a message (lines, bytes) and values in quotes make each reason another one. */
#define SHAPE(reason) "regexp_replace(regexp_replace(" reason ", '''[^'']*''', '''…''', 'g'), '\\b[0-9]+\\b', 'N', 'g')"

int overview_has(struct overview *o, const char *table)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	if (overview_query(o, &rows,
	                   "SELECT 1 FROM information_schema.tables WHERE table_catalog = 'lake' AND table_schema = "
	                   "'tarn' AND "
	                   "table_name = '%s'",
	                   table))
		return -1;
	return rows.row_count > 0;
}

/* A list of a query over lake.tarn.TABLE, which is empty where the lake has no such table. */
static int write_list(struct overview *o, const char *name, const char *of, const char *sql, const char *const *members,
                      int table)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	int there = overview_has(o, of);

	if (there < 0 || (there && duck_query(o->connection, sql, &rows, o->err)))
		return -1;
	overview_list(o, name, &rows, members, table);
	return 0;
}

static int write_quarantine(struct overview *o)
{
	static const char *const members[] = {"source:t", "kind:t", "table:t", "reason:t", "count:n", "newest:t", NULL};
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	int messages = overview_has(o, "quarantine"), models = overview_has(o, "quarantined_rows");

	if (messages < 0 || models < 0)
		return -1;
	buffer_init(&sql, OVERVIEW_SQL_BYTES_MAX);
	buffer_text(
	        &sql,
	        "SELECT source, kind, table_name, reason, n, newest FROM (SELECT NULL AS source, NULL AS kind, NULL AS "
	        "table_name, NULL AS reason, 0 AS n, NULL AS newest WHERE false");
	if (messages)
		buffer_text(&sql,
		            " UNION ALL SELECT stream, 'message', table_name, " SHAPE(
		                    "reason") " AS shape, count(*), " OVERVIEW_TIME("max(quarantined_at)") " FROM "
		                                                                                           "lake.tarn."
		                                                                                           "quarantine "
		                                                                                           "GROUP BY "
		                                                                                           "stream, "
		                                                                                           "table_name,"
		                                                                                           " shape");
	if (models)
		buffer_text(&sql, " UNION ALL SELECT model, 'row', 'main.' || model, \"column\" || ' ' || " SHAPE(
		                          "reason") " AS shape, "
		                                    "count(*), " OVERVIEW_TIME(
		                                            "max(quarantined_at)") " FROM lake.tarn.quarantined_rows "
		                                                                   "WHERE discarded_at IS "
		                                                                   "NULL GROUP BY model, shape");
	buffer_printf(&sql, ") ORDER BY n DESC, source, reason LIMIT %d", QUARANTINE_MAX);
	if (duck_query(o->connection, buffer_string(&sql), &rows, o->err))
		return -1;
	overview_list(o, "quarantine", &rows, members, 2);
	return 0;
}

static int write_lanes(struct overview *o)
{
	static const char *const members[] = {"stream:t",      "topic:t",        "lane:n", "table:t",
	                                      "next_offset:n", "messages:n",     "rows:n", "quarantined:n",
	                                      "skipped:n",     "committed_at:t", NULL};

	return write_list(
	        o, "lanes", "ledger",
	        "SELECT stream, topic, \"partition\", arg_max(table_name, committed_at), arg_max(next_offset, "
	        "committed_at), sum(messages)::BIGINT, sum(\"rows\")::BIGINT, sum(quarantined)::BIGINT, "
	        "sum(skipped)::BIGINT, " OVERVIEW_TIME(
	                "max(committed_at)") " FROM lake.tarn.ledger GROUP BY stream, topic, "
	                                     "\"partition\" ORDER BY stream, topic, \"partition\"",
	        members, 3);
}

static int write_ingest(struct overview *o)
{
	static const char *const members[] = {"stream:t", "at:t", "rows:n", "messages:n", "quarantined:n", NULL};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	int there = overview_has(o, "ledger");

	if (there < 0 ||
	    (there &&
	     overview_query(
	             o, &rows,
	             "SELECT stream, " OVERVIEW_TIME_F(
	                     "to_timestamp(step * %d / 1000)") ", sum(\"rows\")::BIGINT, "
	                                                       "sum(messages)::BIGINT, sum(quarantined)::BIGINT, "
	                                                       "table_name FROM (SELECT *, "
	                                                       "epoch_ms(committed_at) // %d AS step FROM "
	                                                       "lake.tarn.ledger) WHERE epoch_ms(committed_at) > "
	                                                       "(SELECT max(epoch_ms(committed_at)) FROM "
	                                                       "lake.tarn.ledger) - %d "
	                                                       "GROUP BY stream, table_name, step ORDER BY step, "
	                                                       "stream",
	             INGEST_STEP_MS, INGEST_STEP_MS, INGEST_MS)))
		return -1;
	overview_list(o, "ingest", &rows, members, 5);
	return 0;
}

static int write_pipelines(struct overview *o)
{
	static const char *const members[] = {"name:t",         "model:t",    "layer:t",       "how:t",
	                                      "rows_in:n",      "rows_out:n", "quarantined:n", "filtered:n",
	                                      "refreshed_at:t", NULL};

	return write_list(
	        o, "pipelines", "models",
	        "SELECT pipeline, model, layer, how, rows_in, rows_out, quarantined, coalesce(list_sum(list_transform("
	        "string_split(filtered, ','), lambda n: try_cast(n AS BIGINT))), 0)::BIGINT, " OVERVIEW_TIME(
	                "refreshed_at") ", 'main.' || model FROM lake.tarn.models ORDER BY pipeline, CASE layer WHEN "
	                                "'bronze' THEN 0 WHEN 'silver' "
	                                "THEN 1 ELSE 2 END, model",
	        members, 9);
}

/* One without a table is of a query of its own, which may read any: for those who may, too. */
static int write_expectations(struct overview *o)
{
	static const char *const members[] = {"pipeline:t",    "table:t",     "name:t",       "severity:t", "passed:b",
	                                      "failed_rows:n", "held_back:b", "checked_at:t", NULL};

	return write_list(
	        o, "expectations", "expectations",
	        "SELECT pipeline, table_name, name, severity, passed, failed_rows, held_back, " OVERVIEW_TIME(
	                "checked_at") " FROM lake.tarn.expectations ORDER BY passed, pipeline, table_name, name",
	        members, 1);
}

int overview_write_state(struct overview *o)
{
	return write_quarantine(o) || write_lanes(o) || write_ingest(o) || write_pipelines(o) || write_expectations(o)
	               ? -1
	               : 0;
}
