#include "lake/ledger.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/owned.h"
#include "lake/lake_private.h"
#include "lake/publish.h"
#include "lake/table.h"

static const char *const tables[] = {
        "CREATE SCHEMA IF NOT EXISTS lake.tarn",
        "CREATE TABLE IF NOT EXISTS lake.tarn.ledger (stream VARCHAR, topic VARCHAR, topic_id VARCHAR, \"partition\" "
        "INTEGER,"
        " table_name VARCHAR, epoch BIGINT, from_offset BIGINT, next_offset BIGINT, messages BIGINT, \"rows\" BIGINT,"
        " quarantined BIGINT, skipped BIGINT, lost BIGINT, committed_at TIMESTAMP WITH TIME ZONE)",
        "CREATE TABLE IF NOT EXISTS lake.tarn.quarantine (stream VARCHAR, topic VARCHAR, topic_id VARCHAR, "
        "\"partition\" INTEGER,"
        " \"offset\" BIGINT, table_name VARCHAR, message_time TIMESTAMP, message_key BLOB, headers VARCHAR, payload "
        "BLOB,"
        " reason VARCHAR, schema_fingerprint VARCHAR, quarantined_at TIMESTAMP)",
};

/*
 * Each commit adds a row a lane to the ledger and changes one a lane in the offsets: kept in the catalog, they make no
 * small files, and take a third of the time. Said of the schema, for tables that come later; quarantine holds whole
 * messages, and those belong in files, in short row groups: of DuckDB's own 122,880 rows a merge held 180 MB.
 * Two processes may both say it: it is said twice, to the same effect.
 *
 * DuckLake reads its options when it attaches. What another process has said since is in the catalog and not in force
 * here: so each process says once what the catalog has, which may be another's choice.
 */
static const struct {
	const char *name, *scope, *where, *value;
} own_options[] = {
        {"data_inlining_row_limit", "tarn.quarantine", "schema => 'tarn', table_name => 'quarantine'", "0"},
        {"parquet_row_group_size", "tarn.quarantine", "schema => 'tarn', table_name => 'quarantine'", "2048"},
        {"data_inlining_row_limit", "tarn", "schema => 'tarn'", "10000"},
};

/* Its value among options (name, scope, value); NULL: nobody said it. */
static const char *said(const struct duck_rows *options, size_t own)
{
	for (int64_t r = 0; r < options->row_count; r++)
		if (!strcmp(duck_cell(options, r, 0), own_options[own].name) && duck_cell(options, r, 1) &&
		    !strcmp(duck_cell(options, r, 1), own_options[own].scope))
			return duck_cell(options, r, 2);
	return NULL;
}

bool ledger_options_said(const struct duck_rows *options)
{
	for (size_t i = 0; i < COUNT_OF(own_options); i++)
		if (!said(options, i))
			return false;
	return true;
}

static int say_all(struct lake_session *session, struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	if (duck_query(session->connection, "SELECT option_name, scope_entry, value FROM ducklake_options('lake')",
	               &rows, err))
		return -1;
	for (size_t i = 0; i < COUNT_OF(own_options); i++) {
		const char *value = said(&rows, i);

		if (duck_execf(session->connection, err, "CALL lake.set_option('%s', '%s', %s)", own_options[i].name,
		               value ? value : own_options[i].value, own_options[i].where))
			return -1;
	}
	return 0;
}

#define SAY_TRIES 20
#define SAY_PAUSE_MS 50

static int say_options(struct lake_session *session, struct error *err)
{
	int failed;

	if (!lake_has_snapshots(session->lake) || session->lake->options_said)
		return 0;
	if (lake_take_turn(session, err))
		return -1;
	/* A server refuses one of two that say it at once, whose transactions are DuckLake's own. */
	for (int tries = 0; (failed = say_all(session, err)) && tries < SAY_TRIES; tries++)
		clock_sleep_ms(SAY_PAUSE_MS + getpid() % 17);
	lake_give_turn(session);
	session->lake->options_said = !failed;
	return failed;
}

int ledger_create(struct lake_session *session, struct error *err)
{
	bool there;

	if (lake_has_tables(session, "lake.tarn.ledger, lake.tarn.quarantine", &there, err) ||
	    (!there && lake_execute_all(session, tables, COUNT_OF(tables), err)))
		return -1;
	return say_options(session, err);
}

int ledger_append(struct lake_session *session, const struct lane_key *key, const char *table,
                  const struct ledger_row *rows, int count, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};

	if (!count)
		return 0;
	buffer_init(&sql, 1 << 20);
	buffer_text(&sql, "INSERT INTO lake.tarn.ledger VALUES ");
	for (int i = 0; i < count; i++) {
		const struct ledger_row *row = &rows[i];

		buffer_text(&sql, i ? ", (" : "(");
		buffer_sql_text(&sql, key->stream);
		buffer_text(&sql, ", ");
		buffer_sql_text(&sql, key->topic);
		buffer_text(&sql, ", ");
		buffer_sql_text(&sql, row->topic_id);
		buffer_printf(&sql, ", %d, ", row->partition);
		buffer_sql_text(&sql, table);
		buffer_printf(&sql,
		              ", %" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64
		              ", %" PRId64 ", to_timestamp(%.3f))",
		              row->epoch, row->from_offset, row->next_offset, row->messages, row->rows,
		              row->quarantined, row->skipped, row->lost,
		              (double)clock_wall_ms() / 1000); /* now() is when the transaction began */
	}
	if (!buffer_ok(&sql))
		return error_no_memory(err);
	if (duck_exec(session->connection, buffer_string(&sql), NULL, err))
		return -1;
	return fault_error(FAULT_LEDGER_AFTER, err) ? -1 : 0;
}

static int append_quarantined(struct duck_appender *appender, const struct lane_key *key, const char *table,
                              const struct quarantine_row *row, struct error *err)
{
	duck_append_text(appender, key->stream);
	duck_append_text(appender, key->topic);
	duck_append_text(appender, row->topic_id);
	duck_append_int(appender, row->partition);
	duck_append_int(appender, row->offset);
	duck_append_text(appender, table);
	duck_append_timestamp_ms(appender, row->timestamp_ms);
	duck_append_blob(appender, row->key, row->key_size);
	duck_append_text(appender, row->headers);
	duck_append_blob(appender, row->payload, row->size);
	duck_append_text(appender, row->reason);
	duck_append_text(appender, row->fingerprint);
	duck_append_timestamp_ms(appender, clock_wall_ms());
	return duck_append_row(appender, err);
}

static int append_all(struct lake_session *session, const char *catalog, const char *schema, const char *table,
                      const struct lane_key *key, const char *target, const struct quarantine_row *rows, int count,
                      struct error *err)
{
	struct duck_appender *appender = duck_appender_open(session->connection, catalog, schema, table, err);

	if (!appender)
		return -1;
	for (int i = 0; i < count; i++) {
		if (append_quarantined(appender, key, target, &rows[i], err)) {
			duck_appender_free(appender);
			return -1;
		}
	}
	return duck_appender_finish(appender, err);
}

/* By way of a temporary table, into a file of our own (publish.h). */
static int publish_quarantine(struct lake_session *session, const struct lane_key *key, const char *target,
                              const struct quarantine_row *rows, int count, struct error *err)
{
	OWNED_BY(table_release) struct table table = {0};
	OWNED_BY(layout_release) struct layout layout = {0};
	OWNED_DUCK_ROWS struct duck_rows columns = {0};
	int64_t written;

	if (table_init(&table, session, "tarn", "quarantine"))
		return error_no_memory(err);
	if (duck_exec(session->connection,
	              "CREATE OR REPLACE TEMPORARY TABLE tarn_quarantined AS FROM lake.tarn.quarantine LIMIT 0", NULL,
	              err))
		return -1;
	if (table_columns(&table, &columns, err) || layout_read(&table, &columns, &layout, err))
		return -1;
	if (!layout.folder)
		return error_set(err, ERROR_FATAL, 0,
		                 "the table tarn.quarantine was partitioned: that is Tarn's own, undo it");
	if (append_all(session, "temp", "main", "tarn_quarantined", key, target, rows, count, err) ||
	    publish_rows(&table, &layout, "temp.main.tarn_quarantined", &written, err))
		return -1;
	return duck_exec(session->connection, "DROP TABLE temp.main.tarn_quarantined", NULL, err);
}

int quarantine_append(struct lake_session *session, const struct lane_key *key, const char *table,
                      const struct quarantine_row *rows, int count, struct error *err)
{
	int failed;

	if (!count)
		return 0;
	failed = lake_has_many_writers(session->lake)
	                 ? publish_quarantine(session, key, table, rows, count, err)
	                 : append_all(session, "lake", "tarn", "quarantine", key, table, rows, count, err);
	if (failed)
		return -1;
	return fault_error(FAULT_QUARANTINE_AFTER, err) ? -1 : 0;
}
