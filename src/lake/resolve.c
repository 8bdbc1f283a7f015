#include "lake/resolve.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "lake/lake_private.h"

#define CREATE_PATIENCE_MS 5000
#define SQL_MAX ((size_t)64 << 20)

/* One text stands for the four columns that name a message of a stream. */
#define KEY "concat_ws('/', topic, topic_id, \"partition\", \"offset\")"

/* ---- tables */

static const char *const tables[] = {
        "CREATE TABLE lake.tarn.resolutions (stream VARCHAR, topic VARCHAR, topic_id VARCHAR, \"partition\" INTEGER,"
        " \"offset\" BIGINT, table_name VARCHAR, \"action\" VARCHAR, \"rows\" BIGINT, reason VARCHAR, because VARCHAR,"
        " resolved_by VARCHAR, resolved_at TIMESTAMP)",
        /* With its row, in one commit: two that both insert the first row would both succeed. */
        "CREATE TABLE lake.tarn.resolution_turn AS SELECT 0::BIGINT AS turn",
};

int resolver_init(struct resolver *resolver, struct lake_session *session, struct error *err)
{
	int64_t until = clock_monotonic_ms() + CREATE_PATIENCE_MS;
	char host[64] = "localhost";
	struct error why = {0};
	bool exists;

	*resolver = (struct resolver){.session = session};
	gethostname(host, sizeof host - 1);
	snprintf(resolver->by, sizeof resolver->by, "%s:%d:%" PRIx64, host, (int)getpid(), clock_wall_ms());
	for (;;) {
		if (lake_has_table(session, "tarn", "resolution_turn", &exists, err))
			return -1;
		if (exists)
			return 0;
		if (lake_execute_all(session, tables, COUNT_OF(tables), &why) == 0)
			return 0;
		/* "already exists" is INVALID to who does not know better. */
		if (clock_monotonic_ms() > until)
			break;
		clock_sleep_ms(50 + getpid() % 17);
	}
	*err = why;
	return error_wrap(err, "make the table of resolved messages");
}

/* ---- a transaction */

int resolve_begin(struct resolver *resolver, struct apart *apart, struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	if (lake_begin(apart->session, err))
		return -1;
	resolver->apart = apart;
	if (duck_query(apart->session->connection, "SELECT turn FROM lake.tarn.resolution_turn", &rows, err)) {
		lake_rollback(apart->session);
		return -1;
	}
	if (rows.row_count != 1) {
		lake_rollback(apart->session);
		return error_set(err, ERROR_FATAL, 0, "tarn.resolution_turn has %" PRId64 " rows and should have one",
		                 rows.row_count);
	}
	resolver->turn = duck_cell_int(&rows, 0, 0);
	return 0;
}

enum commit_outcome resolve_commit(struct resolver *resolver, const char *note, struct error *err)
{
	struct lake_session *session = resolver->apart->session;
	OWNED_BUFFER struct buffer sql = {0};
	int64_t changed = 0;

	buffer_init(&sql, 4096);
	buffer_printf(&sql, "UPDATE lake.tarn.resolution_turn SET turn = turn + 1 WHERE turn = %" PRId64,
	              resolver->turn);
	if (duck_exec(session->connection, buffer_string(&sql), &changed, err)) {
		lake_rollback(session);
		return COMMIT_UNKNOWN;
	}
	if (changed != 1) {
		lake_rollback(session);
		error_set(err, ERROR_CONFLICT, 0, "another process resolves messages of this quarantine");
		return COMMIT_UNKNOWN;
	}
	return apart_commit(resolver->apart, note, err);
}

/* " WHERE ..." for these messages; partitions and offsets apart from the keys, for the statistics of files. */
static void append_messages(struct buffer *sql, const struct resolution *resolutions, int count)
{
	const struct quarantined *first = resolutions[0].message;
	int32_t low = first->partition, high = first->partition;
	int64_t from = first->offset, to = first->offset;

	buffer_text(sql, " WHERE stream = ");
	buffer_sql_text(sql, first->stream);
	buffer_text(sql, " AND " KEY " IN (");
	for (int i = 0; i < count; i++) {
		const struct quarantined *message = resolutions[i].message;
		char key[PLACE_SIZE + 128];

		low = message->partition < low ? message->partition : low;
		high = message->partition > high ? message->partition : high;
		from = message->offset < from ? message->offset : from;
		to = message->offset > to ? message->offset : to;
		snprintf(key, sizeof key, "%s/%s/%" PRId32 "/%" PRId64, message->topic, message->topic_id,
		         message->partition, message->offset);
		buffer_text(sql, i ? ", " : "");
		buffer_sql_text(sql, key);
	}
	buffer_printf(sql,
	              ") AND \"partition\" BETWEEN %" PRId32 " AND %" PRId32 " AND \"offset\" BETWEEN %" PRId64
	              " AND %" PRId64,
	              low, high, from, to);
}

static int remove_messages(struct resolver *resolver, const struct resolution *resolutions, int count,
                           struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	int64_t removed = 0;

	buffer_init(&sql, SQL_MAX);
	buffer_text(&sql, "DELETE FROM lake.tarn.quarantine");
	append_messages(&sql, resolutions, count);
	if (!buffer_ok(&sql))
		return error_no_memory(err);
	if (duck_exec(resolver->apart->session->connection, buffer_string(&sql), &removed, err))
		return -1;
	if (removed != count)
		return error_set(err, ERROR_CONFLICT, 0,
		                 "%" PRId64
		                 " of %d messages are still in quarantine: somebody else resolved the others",
		                 removed, count);
	return fault_error(FAULT_RESOLVE_REMOVED, err) ? -1 : 0;
}

static int note_message(struct duck_appender *appender, const struct resolver *resolver, const char *table,
                        const struct resolution *resolution, struct error *err)
{
	const struct quarantined *message = resolution->message;

	duck_append_text(appender, message->stream);
	duck_append_text(appender, message->topic);
	duck_append_text(appender, message->topic_id);
	duck_append_int(appender, message->partition);
	duck_append_int(appender, message->offset);
	duck_append_text(appender, table);
	duck_append_text(appender, "replayed");
	duck_append_int(appender, resolution->rows);
	duck_append_text(appender, message->reason);
	duck_append_text(appender, NULL);
	duck_append_text(appender, resolver->by);
	duck_append_timestamp_ms(appender, clock_wall_ms());
	return duck_append_row(appender, err);
}

int resolve_replayed(struct resolver *resolver, const char *table, const struct resolution *resolutions, int count,
                     struct error *err)
{
	struct duck_appender *appender;

	if (remove_messages(resolver, resolutions, count, err))
		return -1;
	appender = duck_appender_open(resolver->apart->session->connection, "lake", "tarn", "resolutions", err);
	if (!appender)
		return -1;
	for (int i = 0; i < count; i++) {
		if (note_message(appender, resolver, table, &resolutions[i], err)) {
			duck_appender_free(appender);
			return -1;
		}
	}
	if (duck_appender_finish(appender, err))
		return -1;
	return fault_error(FAULT_RESOLVE_NOTED, err) ? -1 : 0;
}

int resolve_outcome(struct resolver *resolver, const struct resolution *resolutions, int count, int64_t *ret_mine,
                    bool *ret_waiting, struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows mine = {0}, waiting = {0};
	OWNED_BUFFER struct buffer sql = {0}, messages = {0};
	int failed;

	buffer_init(&sql, SQL_MAX);
	buffer_init(&messages, SQL_MAX);
	append_messages(&messages, resolutions, count);
	buffer_text(&sql, "SELECT count(*) FROM lake.tarn.resolutions");
	buffer_text(&sql, buffer_string(&messages));
	buffer_text(&sql, " AND resolved_by = ");
	buffer_sql_text(&sql, resolver->by);
	if (lake_begin(resolver->session, err))
		return -1;
	failed = duck_query(resolver->session->connection, buffer_string(&sql), &mine, err);
	buffer_clear(&sql);
	buffer_text(&sql, "SELECT topic, topic_id, \"partition\", \"offset\" FROM lake.tarn.quarantine");
	buffer_text(&sql, buffer_string(&messages));
	failed = failed || duck_query(resolver->session->connection, buffer_string(&sql), &waiting, err);
	lake_rollback(resolver->session);
	if (failed)
		return -1;
	*ret_mine = duck_cell_int(&mine, 0, 0);
	for (int i = 0; i < count; i++) {
		const struct quarantined *message = resolutions[i].message;

		ret_waiting[i] = false;
		for (int64_t r = 0; r < waiting.row_count && !ret_waiting[i]; r++)
			ret_waiting[i] = duck_cell_int(&waiting, r, 3) == message->offset &&
			                 duck_cell_int(&waiting, r, 2) == message->partition &&
			                 !strcmp(duck_cell(&waiting, r, 0), message->topic) &&
			                 !strcmp(duck_cell(&waiting, r, 1), message->topic_id);
	}
	return 0;
}

/* ---- discarding */

static void append_discard(struct buffer *sql, const struct resolver *resolver,
                           const struct quarantine_selection *selection, const char *because)
{
	buffer_text(sql, "INSERT INTO lake.tarn.resolutions SELECT stream, topic, topic_id, \"partition\", \"offset\", "
	                 "table_name, 'discarded', 0, reason, ");
	buffer_sql_text(sql, because);
	buffer_text(sql, ", ");
	buffer_sql_text(sql, resolver->by);
	buffer_printf(sql, ", make_timestamp_ms(%" PRId64 ") FROM lake.tarn.quarantine", clock_wall_ms());
	quarantine_where(selection, sql);
}

/* Everything between BEGIN and COMMIT. */
static int discard_messages(struct resolver *resolver, const struct quarantine_selection *selection,
                            const char *because, int64_t *ret_messages, struct error *err)
{
	struct duck_connection *connection = resolver->apart->session->connection;
	OWNED_BUFFER struct buffer sql = {0};
	int64_t noted = 0, removed = 0;

	buffer_init(&sql, SQL_MAX);
	append_discard(&sql, resolver, selection, because);
	if (!buffer_ok(&sql))
		return error_no_memory(err);
	if (duck_exec(connection, buffer_string(&sql), &noted, err) || fault_error(FAULT_RESOLVE_NOTED, err))
		return -1;
	buffer_clear(&sql);
	buffer_text(&sql, "DELETE FROM lake.tarn.quarantine");
	quarantine_where(selection, &sql);
	if (duck_exec(connection, buffer_string(&sql), &removed, err) || fault_error(FAULT_RESOLVE_REMOVED, err))
		return -1;
	if (noted != removed)
		return error_set(err, ERROR_FATAL, 0, "%" PRId64 " messages were noted and %" PRId64 " removed", noted,
		                 removed);
	*ret_messages = removed;
	return 0;
}

/* How many this resolver has discarded. */
static int count_mine(struct resolver *resolver, int64_t *ret_messages, struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, 4096);
	buffer_text(&sql, "SELECT count(*) FROM lake.tarn.resolutions WHERE resolved_by = ");
	buffer_sql_text(&sql, resolver->by);
	if (duck_query(resolver->session->connection, buffer_string(&sql), &rows, err))
		return -1;
	*ret_messages = duck_cell_int(&rows, 0, 0);
	return 0;
}

static int discard_in(struct resolver *resolver, struct apart *apart, const struct quarantine_selection *selection,
                      const char *because, int64_t *ret_messages, struct error *err)
{
	if (resolve_begin(resolver, apart, err))
		return -1;
	if (discard_messages(resolver, selection, because, ret_messages, err)) {
		lake_rollback(apart->session);
		return -1;
	}
	if (!*ret_messages) {
		lake_rollback(apart->session);
		return 0;
	}
	return resolve_commit(resolver, NULL, err) == COMMIT_DONE ? 0 : -1;
}

static int discard_once(struct resolver *resolver, const struct quarantine_selection *selection, const char *because,
                        int64_t *ret_messages, struct error *err)
{
	struct apart apart;
	int failed;

	if (apart_open(resolver->session, &apart, err))
		return -1;
	failed = discard_in(resolver, &apart, selection, because, ret_messages, err);
	apart_close(&apart);
	return failed;
}

int resolve_discard(struct resolver *resolver, const struct quarantine_selection *selection, const char *because,
                    int64_t patience_ms, int64_t *ret_messages, struct error *err)
{
	int64_t until = clock_monotonic_ms() + patience_ms;
	struct error why = {0}, ignored;

	for (int64_t wait_ms = 20;; wait_ms = wait_ms < 1000 ? wait_ms * 2 : 1000) {
		if (discard_once(resolver, selection, because, ret_messages, &why) == 0)
			return 0;
		/* All or nothing: what is noted as ours says that the COMMIT succeeded. */
		if (count_mine(resolver, ret_messages, &ignored) == 0 && *ret_messages)
			return 0;
		if (!error_may_pass(&why) || clock_monotonic_ms() > until)
			break;
		clock_sleep_ms(wait_ms + getpid() % 17);
	}
	*err = why;
	return error_wrap(err, "discard");
}

/* ---- looking back */

int resolve_tell(struct lake_session *session, const struct quarantine_selection *selection, struct buffer *ret_text,
                 struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	OWNED_BUFFER struct buffer sql = {0};
	struct quarantine_selection places = {
	        .stream = selection->stream, .places = selection->places, .place_count = selection->place_count};
	bool exists;

	if (lake_has_table(session, "tarn", "resolutions", &exists, err))
		return -1;
	if (!exists)
		return 0;
	buffer_init(&sql, SQL_MAX);
	buffer_text(&sql,
	            "SELECT CASE \"action\" WHEN 'replayed' THEN 'it was replayed into ' || table_name || ' (' || "
	            "\"rows\" || CASE \"rows\" WHEN 1 THEN ' row)' ELSE ' rows)' END ELSE 'it was discarded (' || "
	            "because || ')' END || ' at ' || strftime(resolved_at, '%Y-%m-%dT%H:%M:%SZ') FROM "
	            "lake.tarn.resolutions");
	quarantine_where(&places, &sql);
	buffer_text(&sql, " ORDER BY resolved_at DESC LIMIT 1");
	if (duck_query(session->connection, buffer_string(&sql), &rows, err))
		return -1;
	if (rows.row_count)
		buffer_text(ret_text, duck_cell(&rows, 0, 0));
	return 0;
}
