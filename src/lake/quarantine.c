#include "lake/quarantine.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "batch/arrow_abi.h"
#include "lake/lake_private.h"

/* Places in a message (lines, bytes, rows) make each reason another one: its shape has N for every number. */
#define SHAPE "regexp_replace(reason, '\\b[0-9]+\\b', 'N', 'g')"

int quarantine_check(struct lake_session *session, struct error *err)
{
	bool exists;

	if (lake_has_table(session, "tarn", "quarantine", &exists, err))
		return -1;
	return exists ? 0
	              : error_set(err, ERROR_INVALID, 0,
	                          "catalog %s has no quarantine: no stream has written to it yet (`tarn run`)",
	                          lake_catalog(session->lake)->name);
}

static void append_place(struct buffer *sql, const struct place *place)
{
	buffer_text(sql, "(topic = ");
	buffer_sql_text(sql, place->topic);
	if (place->partition >= 0)
		buffer_printf(sql, " AND \"partition\" = %" PRId32, place->partition);
	if (place->offset >= 0)
		buffer_printf(sql, " AND \"offset\" = %" PRId64, place->offset);
	buffer_char(sql, ')');
}

void quarantine_where(const struct quarantine_selection *selection, struct buffer *sql)
{
	buffer_text(sql, " WHERE true");
	if (selection->stream) {
		buffer_text(sql, " AND stream = ");
		buffer_sql_text(sql, selection->stream);
	}
	for (int i = 0; i < selection->place_count; i++) {
		buffer_text(sql, i ? " OR " : " AND (");
		append_place(sql, &selection->places[i]);
	}
	buffer_text(sql, selection->place_count ? ")" : "");
	if (selection->reason) {
		buffer_text(sql, " AND (contains(reason, ");
		buffer_sql_text(sql, selection->reason);
		buffer_text(sql, ") OR contains(" SHAPE ", ");
		buffer_sql_text(sql, selection->reason);
		buffer_text(sql, "))");
	}
	if (selection->since_ms)
		buffer_printf(sql, " AND quarantined_at >= make_timestamp_ms(%" PRId64 ")", selection->since_ms);
}

void quarantine_list_sql(const struct quarantine_selection *selection, int64_t limit, bool people, struct buffer *sql)
{
	buffer_text(sql, people ? "SELECT stream, topic || '/' || \"partition\" || ':' || \"offset\" AS message, "
	                          "date_trunc('second', quarantined_at) AS quarantined_at, octet_length(payload) AS "
	                          "bytes, reason"
	                        : "SELECT stream, topic, topic_id, \"partition\", \"offset\", table_name, "
	                          "message_time, quarantined_at, octet_length(payload) AS bytes, reason, "
	                          "schema_fingerprint");
	buffer_text(sql, " FROM lake.tarn.quarantine AS q");
	quarantine_where(selection, sql);
	buffer_text(sql, " ORDER BY q.quarantined_at DESC, stream, topic, q.\"partition\", q.\"offset\" DESC");
	if (limit >= 0)
		buffer_printf(sql, " LIMIT %" PRId64, limit);
}

void quarantine_totals_sql(const struct quarantine_selection *selection, struct buffer *sql)
{
	buffer_text(sql, "SELECT count(*) AS messages, sum(octet_length(payload))::BIGINT AS bytes, "
	                 "date_trunc('second', min(quarantined_at)) AS first, date_trunc('second', "
	                 "max(quarantined_at)) AS last, " SHAPE " AS reason FROM lake.tarn.quarantine");
	quarantine_where(selection, sql);
	buffer_text(sql, " GROUP BY ALL ORDER BY messages DESC, reason");
}

/* ---- reading */

enum column {
	STREAM,
	TOPIC,
	TOPIC_ID,
	PARTITION,
	OFFSET,
	TABLE,
	MESSAGE_MS,
	KEY,
	HEADERS,
	PAYLOAD,
	REASON,
	FINGERPRINT,
	QUARANTINED_MS,
	COLUMNS
};

#define READ                                                                                                           \
	"SELECT stream, topic, topic_id, \"partition\", \"offset\", table_name, coalesce(epoch_ms(message_time), "     \
	"-1), "                                                                                                        \
	"message_key, headers, payload, reason, schema_fingerprint, coalesce(epoch_ms(quarantined_at), -1)"            \
	" FROM lake.tarn.quarantine"

static bool is_null(const struct ArrowArray *column, int64_t row)
{
	const uint8_t *validity = column->buffers[0];

	row += column->offset;
	return column->null_count && validity && !(validity[row / 8] >> (row % 8) & 1);
}

/* DuckDB gives text and blobs as Arrow's string and binary, whose offsets have 32 bits. */
static const char *bytes_at(const struct ArrowArray *column, int64_t row, size_t *ret_size)
{
	const int32_t *offsets = (const int32_t *)column->buffers[1] + column->offset;

	*ret_size = 0;
	if (is_null(column, row))
		return NULL;
	*ret_size = (size_t)(offsets[row + 1] - offsets[row]);
	return *ret_size ? (const char *)column->buffers[2] + offsets[row] : "";
}

static int64_t number_at(const struct ArrowArray *column, int64_t row)
{
	return is_null(column, row) ? -1 : ((const int64_t *)column->buffers[1])[column->offset + row];
}

/* Copies what the row points to, so that it outlives the array. */
static int copy_message(struct quarantined *message, const struct ArrowArray *rows, int64_t row)
{
	static const int texts[] = {STREAM, TOPIC, TOPIC_ID, TABLE, KEY, HEADERS, PAYLOAD, REASON, FINGERPRINT};
	const char *at[COLUMNS];
	size_t sizes[COLUMNS], total = 1;
	char *memory;

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		at[texts[i]] = bytes_at(rows->children[texts[i]], row, &sizes[texts[i]]);
		total += sizes[texts[i]] + 1;
	}
	message->memory = memory = malloc(total);
	if (!memory)
		return -1;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		int c = texts[i];

		if (!at[c])
			continue;
		at[c] = memcpy(memory, at[c], sizes[c]);
		memory[sizes[c]] = 0;
		memory += sizes[c] + 1;
	}
	message->stream = at[STREAM];
	message->topic = at[TOPIC];
	message->topic_id = at[TOPIC_ID] ? at[TOPIC_ID] : "";
	message->table = at[TABLE];
	message->key = at[KEY];
	message->key_size = sizes[KEY];
	message->headers = at[HEADERS];
	message->payload = at[PAYLOAD];
	message->size = sizes[PAYLOAD];
	message->reason = at[REASON] ? at[REASON] : "";
	message->fingerprint = at[FINGERPRINT] ? at[FINGERPRINT] : "";
	message->partition = ((const int32_t *)rows->children[PARTITION]->buffers[1])[row];
	message->offset = number_at(rows->children[OFFSET], row);
	message->message_ms = number_at(rows->children[MESSAGE_MS], row);
	message->quarantined_ms = number_at(rows->children[QUARANTINED_MS], row);
	return 0;
}

static int take_array(struct quarantine_batch *batch, const struct ArrowArray *rows)
{
	size_t count = (size_t)batch->count + (size_t)rows->length;
	struct quarantined *messages = realloc(batch->messages, (count + 1) * sizeof *messages);

	if (!messages)
		return -1;
	batch->messages = messages;
	for (int64_t row = 0; row < rows->length; row++, batch->count++)
		if (copy_message(&messages[batch->count], rows, row))
			return -1;
	return 0;
}

int quarantine_read(struct lake_session *session, const char *where, struct quarantine_batch *ret_batch,
                    struct error *err)
{
	OWNED_QUARANTINE_BATCH struct quarantine_batch batch = {0};
	OWNED_BUFFER struct buffer sql = {0};
	struct duck_stream *stream;
	struct ArrowArray rows;
	int got;

	buffer_init(&sql, 1 << 22);
	buffer_text(&sql, READ);
	buffer_text(&sql, where);
	if (!buffer_ok(&sql))
		return error_no_memory(err);
	stream = duck_stream_open(session->connection, buffer_string(&sql), err);
	if (!stream)
		return -1;
	while ((got = duck_stream_next(stream, &rows, err)) == 1) {
		if (take_array(&batch, &rows))
			got = error_no_memory(err);
		rows.release(&rows);
		if (got < 0)
			break;
	}
	duck_stream_close(stream);
	if (got < 0)
		return -1;
	*ret_batch = batch;
	batch = (struct quarantine_batch){0};
	return 0;
}

void quarantine_batch_release(struct quarantine_batch *batch)
{
	for (int i = 0; i < batch->count; i++)
		free(batch->messages[i].memory);
	free(batch->messages);
	*batch = (struct quarantine_batch){0};
}

/* ---- portions */

/* The places where portions begin, and the last one of all. */
static void append_cuts(struct buffer *sql, const struct quarantine_selection *selection, int64_t messages,
                        int64_t bytes)
{
	buffer_text(sql, "WITH m AS (SELECT topic AS t, topic_id AS id, \"partition\" AS p, \"offset\" AS o, "
	                 "coalesce(octet_length(payload), 0) AS size FROM lake.tarn.quarantine");
	quarantine_where(selection, sql);
	buffer_text(sql, "), n AS (SELECT *, row_number() OVER w - 1 AS i, sum(size) OVER w - size AS before FROM m "
	                 "WINDOW w AS (ORDER BY t, id, p, o ROWS UNBOUNDED PRECEDING)), c AS (SELECT *, ");
	buffer_printf(sql, "i // %" PRId64 " + before // %" PRId64 " AS cut FROM n)", messages, bytes);
	buffer_text(sql, " SELECT t, id, p, o, i, cut IS DISTINCT FROM lag(cut) OVER (ORDER BY i) AS begins FROM c "
	                 "QUALIFY begins OR lead(cut) OVER (ORDER BY i) IS NULL ORDER BY i");
}

/* The place stands behind the cut, or before it; `last` compares the offsets. By hand, as DuckDB makes a BETWEEN of two
 * comparisons of rows, and then knows none for rows. */
static void append_bound(struct buffer *sql, char side, const char *last, const struct duck_rows *cuts, int64_t row)
{
	static const char *const columns[] = {"topic", "topic_id", "\"partition\""};

	buffer_text(sql, " AND (");
	for (int i = 0; i < (int)COUNT_OF(columns); i++) {
		buffer_printf(sql, "%s %c ", columns[i], side);
		buffer_sql_text(sql, duck_cell(cuts, row, i));
		buffer_printf(sql, " OR (%s = ", columns[i]);
		buffer_sql_text(sql, duck_cell(cuts, row, i));
		buffer_text(sql, " AND (");
	}
	buffer_printf(sql, "\"offset\" %s %s", last, duck_cell(cuts, row, 3));
	for (size_t i = 0; i < COUNT_OF(columns); i++)
		buffer_text(sql, "))");
	buffer_char(sql, ')');
}

/* Places are compared in full, which no file's statistics help with: the partitions, and in one lane the offsets, do.
 */
static void append_hints(struct buffer *sql, const struct duck_rows *cuts, int64_t from, int64_t to)
{
	if (strcmp(duck_cell(cuts, from, 0), duck_cell(cuts, to, 0)) ||
	    strcmp(duck_cell(cuts, from, 1), duck_cell(cuts, to, 1)))
		return;
	buffer_printf(sql, " AND \"partition\" BETWEEN %s AND %s", duck_cell(cuts, from, 2), duck_cell(cuts, to, 2));
	if (!strcmp(duck_cell(cuts, from, 2), duck_cell(cuts, to, 2)))
		buffer_printf(sql, " AND \"offset\" BETWEEN %s AND %s", duck_cell(cuts, from, 3),
		              duck_cell(cuts, to, 3));
}

int quarantine_plan(struct lake_session *session, const struct quarantine_selection *selection, int64_t messages,
                    int64_t bytes, struct quarantine_plan *ret_plan, struct error *err)
{
	OWNED_QUARANTINE_PLAN struct quarantine_plan plan = {0};
	OWNED_DUCK_ROWS struct duck_rows cuts = {0};
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, 1 << 22);
	append_cuts(&sql, selection, messages, bytes);
	if (!buffer_ok(&sql))
		return error_no_memory(err);
	if (duck_query(session->connection, buffer_string(&sql), &cuts, err))
		return -1;
	plan.wheres = calloc((size_t)cuts.row_count + 1, sizeof *plan.wheres);
	if (!plan.wheres)
		return error_no_memory(err);
	for (int64_t from = 0; from < cuts.row_count; from++) {
		int64_t to = from + 1 < cuts.row_count ? from + 1 : from;
		bool last = to == from || strcmp(duck_cell(&cuts, to, 5), "true") != 0;

		if (strcmp(duck_cell(&cuts, from, 5), "true"))
			break; /* the last of all, which belongs to the portion before */
		buffer_clear(&sql);
		quarantine_where(selection, &sql);
		append_bound(&sql, '>', ">=", &cuts, from);
		append_bound(&sql, '<', last ? "<=" : "<", &cuts, to);
		append_hints(&sql, &cuts, from, to);
		if (!buffer_ok(&sql) || !(plan.wheres[plan.count] = strdup(buffer_string(&sql))))
			return error_no_memory(err);
		plan.count++;
	}
	if (cuts.row_count)
		plan.messages = duck_cell_int(&cuts, cuts.row_count - 1, 4) + 1;
	*ret_plan = plan;
	memset(&plan, 0, sizeof plan);
	return 0;
}

void quarantine_plan_release(struct quarantine_plan *plan)
{
	for (int i = 0; i < plan->count; i++)
		free(plan->wheres[i]);
	free(plan->wheres);
	*plan = (struct quarantine_plan){0};
}

/* ---- streams */

int quarantine_streams(struct lake_session *session, const struct quarantine_selection *selection,
                       struct quarantine_streams *ret_streams, struct error *err)
{
	OWNED_QUARANTINE_STREAMS struct quarantine_streams streams = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, 1 << 22);
	buffer_text(&sql, "SELECT stream, count(*), coalesce(sum(octet_length(payload)), 0) FROM lake.tarn.quarantine");
	quarantine_where(selection, &sql);
	buffer_text(&sql, " GROUP BY stream ORDER BY stream");
	if (!buffer_ok(&sql))
		return error_no_memory(err);
	if (duck_query(session->connection, buffer_string(&sql), &rows, err))
		return -1;
	streams.names = calloc((size_t)rows.row_count + 1, sizeof *streams.names);
	streams.messages = calloc((size_t)rows.row_count + 1, sizeof *streams.messages);
	streams.bytes = calloc((size_t)rows.row_count + 1, sizeof *streams.bytes);
	if (!streams.names || !streams.messages || !streams.bytes)
		return error_no_memory(err);
	for (; streams.count < rows.row_count; streams.count++) {
		streams.names[streams.count] = TAKE(rows.cells[streams.count * rows.column_count]);
		streams.messages[streams.count] = duck_cell_int(&rows, streams.count, 1);
		streams.bytes[streams.count] = duck_cell_int(&rows, streams.count, 2);
	}
	*ret_streams = streams;
	memset(&streams, 0, sizeof streams);
	return 0;
}

void quarantine_streams_release(struct quarantine_streams *streams)
{
	for (int i = 0; i < streams->count; i++)
		free(streams->names[i]);
	free(streams->names);
	free(streams->messages);
	free(streams->bytes);
	*streams = (struct quarantine_streams){0};
}
