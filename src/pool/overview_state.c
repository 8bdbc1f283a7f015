/* overview_state.c - what schema tarn knows of a lake: quarantine, lanes, ingest, models, expectations. */
#include <string.h>

#include "pool/overview_private.h"

#define QUARANTINE_MAX 200

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

static const char messages_sql[] =
        "SELECT stream, 'message', table_name, " SHAPE("reason") " AS shape, count(*), " OVERVIEW_TIME(
                "max(quarantined_at)") " FROM lake.tarn.quarantine GROUP BY stream, table_name, shape";
static const char refused_rows_sql[] = "SELECT model, 'row', 'main.' || model, \"column\" || ' ' || " SHAPE(
        "reason") " AS shape, count(*), " OVERVIEW_TIME("max(quarantined_at)") " FROM lake.tarn.quarantined_rows WHERE "
                                                                               "discarded_at IS NULL GROUP BY model, "
                                                                               "shape";
static const char lanes_sql[] = "SELECT stream, topic, \"partition\", arg_max(table_name, next_offset), "
                                "max(next_offset), sum(messages)::BIGINT, "
                                "sum(\"rows\")::BIGINT, sum(quarantined)::BIGINT, sum(skipped)::BIGINT, " OVERVIEW_TIME(
                                        "max(committed_at)") " FROM lake.tarn.ledger GROUP BY stream, topic, topic_id, "
                                                             "\"partition\" ORDER BY stream, topic, \"partition\"";
static const char ingest_sql[] = "SELECT stream, " OVERVIEW_TIME(
        "to_timestamp(step * 10)") ", sum(\"rows\")::BIGINT, sum(messages)::BIGINT, "
                                   "sum(quarantined)::BIGINT, table_name FROM (SELECT *, epoch_ms(committed_at) // "
                                   "10000 AS step FROM lake.tarn.ledger) "
                                   "WHERE committed_at > (SELECT max(committed_at) FROM lake.tarn.ledger) - INTERVAL "
                                   "15 MINUTE "
                                   "GROUP BY stream, table_name, step ORDER BY step, stream";
static const char pipelines_sql[] =
        "SELECT pipeline, model, layer, how, rows_in, rows_out, quarantined, coalesce(list_sum(list_transform("
        "string_split(filtered, ','), lambda n: try_cast(n AS BIGINT))), 0)::BIGINT, " OVERVIEW_TIME(
                "refreshed_at") ", 'main.' || model FROM lake.tarn.models "
                                "ORDER BY pipeline, CASE layer WHEN 'bronze' THEN 0 WHEN 'silver' THEN 1 ELSE 2 END, "
                                "model";
static const char expectations_sql[] =
        "SELECT pipeline, table_name, name, severity, passed, failed_rows, held_back, " OVERVIEW_TIME(
                "checked_at") " FROM lake.tarn.expectations ORDER BY passed, pipeline, table_name, name";

static int write_quarantine(struct overview *o)
{
	static const char *const members[] = {"source:t", "kind:t", "table:t", "reason:t", "count:n", "newest:t", NULL};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	int messages = overview_has(o, "quarantine"), models = overview_has(o, "quarantined_rows");

	if (messages < 0 || models < 0)
		return -1;
	if (messages + models > 0 &&
	    overview_query(o, &rows,
	                   "SELECT * FROM (%s%s%s) q(source, kind, of, reason, n, newest) ORDER BY n DESC, source, "
	                   "reason LIMIT %d",
	                   messages ? messages_sql : "", messages && models ? " UNION ALL " : "",
	                   models ? refused_rows_sql : "", QUARANTINE_MAX))
		return -1;
	overview_list(o, "quarantine", &rows, members, 2);
	return 0;
}

static int write_lanes(struct overview *o)
{
	static const char *const members[] = {"stream:t",      "topic:t",        "lane:n", "table:t",
	                                      "next_offset:n", "messages:n",     "rows:n", "quarantined:n",
	                                      "skipped:n",     "committed_at:t", NULL};

	return write_list(o, "lanes", "ledger", lanes_sql, members, 3);
}

static int write_ingest(struct overview *o)
{
	static const char *const members[] = {"stream:t", "at:t", "rows:n", "messages:n", "quarantined:n", NULL};

	return write_list(o, "ingest", "ledger", ingest_sql, members, 5);
}

static int write_pipelines(struct overview *o)
{
	static const char *const members[] = {"name:t",         "model:t",    "layer:t",       "how:t",
	                                      "rows_in:n",      "rows_out:n", "quarantined:n", "filtered:n",
	                                      "refreshed_at:t", NULL};

	return write_list(o, "pipelines", "models", pipelines_sql, members, 9);
}

/* One without a table is of a query of its own, which may read any table: nobody is told of it. */
static int write_expectations(struct overview *o)
{
	static const char *const members[] = {"pipeline:t",    "table:t",     "name:t",       "severity:t", "passed:b",
	                                      "failed_rows:n", "held_back:b", "checked_at:t", NULL};

	return write_list(o, "expectations", "expectations", expectations_sql, members, 1);
}

int overview_write_state(struct overview *o)
{
	return write_quarantine(o) || write_lanes(o) || write_ingest(o) || write_pipelines(o) || write_expectations(o)
	               ? -1
	               : 0;
}
