/*
 * take.c - a message becomes rows: an Arrow message is a unit of the queue by itself; JSON messages of a lane are
 * gathered into one, for arrays of a row each would cost more than their values. What cannot be decoded is a unit with
 * a reason.
 *
 * Gathered rows wait GATHER_MS at most, and not at all when the reader has nothing else to do. Where one message of
 * several cannot be stored (a lane's careful_until), each is a unit of its own again, with its bytes, which may go to
 * quarantine; and with its own columns, where these are inferred: what one brings may be refused, and must not be in
 * the next ones' schema.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/owned.h"
#include "stream/stream_private.h"

#define GATHER_ROWS (8 * BATCH_ROWS_MAX)
#define GATHER_BYTES ((int64_t)1 << 20)
#define GATHER_LARGE ((size_t)4096) /* bytes of a message that is looked at by itself, */
#define GATHER_MADE (GATHER_BYTES / 16) /* or what its rows take */

/* Settles the lane's offsets up to `to`. */
static struct unit *unit_new(struct stream *stream, int32_t partition, int64_t to)
{
	struct lane *lane = &stream->lanes[partition];
	struct unit *unit = calloc(1, sizeof *unit);

	if (!unit)
		return NULL;
	unit->lane = partition;
	unit->generation = lane->generation;
	unit->from = lane->read_next;
	unit->to = lane->read_next = to;
	return unit;
}

static void push(struct stream *stream, struct unit *unit)
{
	if (unit->set.schema)
		memcpy(unit->fingerprint, unit->set.schema->fingerprint, sizeof unit->fingerprint);
	queue_push(&stream->queue, unit);
}

int take_stretch(struct stream *stream, int32_t partition, int64_t to, bool lost, struct error *err)
{
	struct unit *unit;

	if (take_flush(stream, err))
		return -1;
	unit = unit_new(stream, partition, to);
	if (!unit)
		return error_no_memory(err);
	if (lost)
		unit->lost = unit->to - unit->from;
	else
		unit->skipped = unit->to - unit->from;
	if (lost)
		log_event(EVENT_GAP,
		          FIELDS(LOG_TEXT("stream", stream->spec->name), LOG_NUMBER("partition", partition),
		                 LOG_NUMBER("from", unit->from), LOG_NUMBER("to", unit->to)),
		          "offsets %" PRId64 " to %" PRId64
		          " of partition %d are gone from the topic before they were read",
		          unit->from, unit->to - 1, partition);
	push(stream, unit);
	return 0;
}

/* ---- what is refused */

/* Why this message is not even looked at; NULL: it is. */
static const char *refused(struct stream *stream, const struct message *message)
{
	const struct lane *lane = &stream->lanes[message->partition];

	if (message->broken)
		return message->broken;
	if (!message->payload)
		return "a tombstone: the message has a key and no payload";
	if (lane->poison == message->offset)
		return lane->poison_reason ? lane->poison_reason : "the table refuses it";
	return fault_hit(FAULT_DECODE) ? "fault injected at decode" : NULL;
}

/* The unit's message goes to quarantine: nothing else may hold it. */
static int refuse(struct unit *unit, const char *reason, struct error *err)
{
	unit->reason = strdup(reason);
	if (!unit->reason)
		return error_no_memory(err);
	return message_keep(&unit->held->message, err);
}

/* ---- Arrow: a unit a message */

/* Fills unit->set, or unit->reason where the message cannot be decoded. -1: out of memory. */
static int decode(struct stream *stream, struct unit *unit, struct error *err)
{
	struct held_message *held = unit->held;
	const char *reason = refused(stream, &held->message);
	struct batch_bytes bytes = {.data = held->message.payload, .size = held->message.size, .release = held_release};
	struct error why = {0};

	if (reason)
		return refuse(unit, reason, err);
	bytes.opaque = held_retain(held);
	if (ipc_decode(stream->decoder, bytes, &unit->set, &why) == 0) {
		unit->messages = 1;
		unit->bytes += unit->set.made;
		held_grow(held, unit->set.made + unit->set.heads);
		return 0;
	}
	held_release(held);
	memcpy(unit->fingerprint, batch_decoder_fingerprint(stream->decoder), sizeof unit->fingerprint);
	if (why.kind != ERROR_FATAL)
		return refuse(unit, why.message, err);
	*err = why;
	return -1;
}

static int take_arrow(struct stream *stream, struct message *message, struct error *err)
{
	struct unit *unit = unit_new(stream, message->partition, message->offset + 1);

	if (!unit)
		return error_no_memory(err);
	unit->skipped = message->offset - unit->from;
	unit->bytes = (int64_t)message->size;
	unit->held = held_new(&stream->queue, message);
	if (!unit->held || decode(stream, unit, err)) {
		unit_free(unit);
		return err->kind ? -1 : error_no_memory(err);
	}
	push(stream, unit);
	return 0;
}

/* ---- JSON: many messages a unit */

int take_flush(struct stream *stream, struct error *err)
{
	struct unit *unit = TAKE(stream->gathered);
	struct held_message *rows;

	if (!unit)
		return 0;
	/* What the rows take: with the raw event kept, twice the message and more. */
	if (json_bytes(stream->json) > unit->bytes)
		unit->bytes = json_bytes(stream->json);
	rows = held_made(&stream->queue, json_bytes(stream->json));
	if (!rows || json_take(stream->json, held_release, rows, &unit->set, err)) {
		if (rows)
			held_release(rows);
		unit_free(unit);
		return err->kind ? -1 : error_no_memory(err);
	}
	push(stream, unit);
	return 0;
}

/* A message that goes to quarantine, behind the rows that were gathered before it. */
static int take_refused(struct stream *stream, struct message *message, const char *reason, struct error *err)
{
	struct unit *unit;

	if (take_flush(stream, err))
		return -1;
	unit = unit_new(stream, message->partition, message->offset + 1);
	if (!unit)
		return error_no_memory(err);
	unit->skipped = message->offset - unit->from;
	unit->bytes = (int64_t)message->size;
	unit->held = held_new(&stream->queue, message);
	if (!unit->held || refuse(unit, reason, err)) {
		unit_free(unit);
		return error_no_memory(err);
	}
	push(stream, unit);
	return 0;
}

/* Rows' bytes are counted now and then: that takes a look at each column, and small messages add little. */
static bool is_full(const struct stream *stream, size_t size)
{
	bool large = size >= GATHER_LARGE || json_made(stream->json) >= GATHER_MADE;

	if (json_rows(stream->json) >= GATHER_ROWS)
		return true;
	return (large || stream->gathered->messages % 16 == 0) && json_bytes(stream->json) >= GATHER_BYTES;
}

static int tell_columns(struct json_decoder *decoder, const struct json_table *table, struct error *err)
{
	const struct append_columns *columns = &table->columns;

	return json_learn(decoder, (const char *const *)columns->names, (const char *const *)columns->types,
	                  columns->count, err);
}

/* The message's rows were added: its offset belongs to the unit now. */
static int gather(struct stream *stream, struct message *message, struct error *err)
{
	struct lane *lane = &stream->lanes[message->partition];
	struct unit *unit = stream->gathered;
	bool alone = lane->careful_until > message->offset;
	size_t size = message->size;
	int64_t skipped = message->offset - lane->read_next;

	if (!unit) {
		unit = stream->gathered = unit_new(stream, message->partition, message->offset + 1);
		if (!unit)
			return error_no_memory(err);
		stream->gathered_ms = clock_monotonic_ms();
	}
	unit->skipped += skipped;
	unit->to = lane->read_next = message->offset + 1;
	unit->bytes += (int64_t)message->size;
	unit->messages++;
	if (!alone) {
		message_release(message);
	} else {
		unit->held = held_new(&stream->queue, message);
		if (!unit->held)
			return error_no_memory(err);
	}
	if (!alone)
		return is_full(stream, size) ? take_flush(stream, err) : 0;
	if (take_flush(stream, err))
		return -1;
	return json_has_news(stream->json) ? tell_columns(stream->json, &stream->json_table, err) : 0;
}

int take_flush_old(struct stream *stream, struct error *err)
{
	if (!stream->gathered || clock_monotonic_ms() - stream->gathered_ms < GATHER_MS)
		return 0;
	return take_flush(stream, err);
}

static int take_json(struct stream *stream, struct message *message, struct error *err)
{
	const struct unit *unit = stream->gathered;
	const char *reason = refused(stream, message);
	struct error why = {0};

	if (reason)
		return take_refused(stream, message, reason, err);
	/* What was gathered is of another lane, or of another time of this one; or this message must stand alone. */
	if (unit &&
	    (unit->lane != message->partition || unit->generation != stream->lanes[message->partition].generation ||
	     stream->lanes[message->partition].careful_until > message->offset) &&
	    take_flush(stream, err))
		return -1;
	if (json_add(stream->json, message->payload, message->size, stream->now_us, &why) == 0)
		return gather(stream, message, err);
	if (why.kind == ERROR_CORRUPT)
		return take_refused(stream, message, why.message, err);
	*err = why;
	return -1;
}

/* ---- both */

int take_message(struct stream *stream, struct message *message, struct error *err)
{
	struct lane *lane = stream_lane(stream, message->partition, err);

	if (!lane)
		return -1;
	/* A message of a lane that is not read here, or from before a seek took hold. */
	if (lane->state != LANE_READING || message->offset < lane->read_next) {
		message_release(message);
		return 0;
	}
	metric_add(lane->metrics, METRIC_MESSAGES, 1);
	metric_add(lane->metrics, METRIC_BYTES, (int64_t)message->size);
	metric_put(lane->metrics, METRIC_POSITION, message->offset + 1);
	return stream->json ? take_json(stream, message, err) : take_arrow(stream, message, err);
}

int take_json_learn(struct json_decoder *decoder, struct json_table *table, struct error *err)
{
	struct append_columns columns;

	if (table->spec->json.column_count)
		return 0;
	/* What it was last, until the lake answers: what messages brought since may have come to nothing. */
	if (tell_columns(decoder, table, err) ||
	    append_table_columns(table->session, table->spec->schema, table->spec->table, &columns, err))
		return -1;
	append_columns_release(&table->columns);
	table->columns = columns;
	return tell_columns(decoder, table, err);
}

int take_learn(struct stream *stream, struct error *err)
{
	if (!stream->json || !stream->learn)
		return 0;
	/* Cleared first: what the committer sees to be learnt meanwhile must not be forgotten. */
	stream->learn = false;
	if (take_flush(stream, err) == 0 && take_json_learn(stream->json, &stream->json_table, err) == 0)
		return 0;
	stream->learn = true;
	return -1;
}

/* ---- life */

struct batch_decoder *take_arrow_decoder(const struct spec_stream *spec, struct batch_counters *counters,
                                         struct error *err)
{
	struct batch_decoder *decoder = batch_decoder_new(counters, err);

	if (decoder)
		batch_decoder_bound(decoder, stream_memory(spec).message);
	return decoder;
}

static bool holds_large(void *context, const char *column)
{
	const struct json_table *table = context;

	return append_table_holds_large(table->session, table->spec->schema, table->spec->table, column);
}

struct json_decoder *take_json_decoder(struct json_table *table, struct batch_counters *counters, struct error *err)
{
	const struct spec_stream *spec = table->spec;
	OWNED_FREE struct json_column *columns = calloc((size_t)spec->json.column_count + 1, sizeof *columns);
	struct json_rules rules = {
	        .columns = columns,
	        .column_count = spec->json.column_count,
	        .raw = spec->json.raw,
	        .score = spec->json.score,
	        .reasons = spec->json.reasons,
	        .ingested_at = spec->json.ingested_at,
	        .missing = spec->json.missing,
	        .wrong_type = spec->json.wrong_type,
	        .out_of_range = spec->json.out_of_range,
	        .made_max = stream_memory(spec).message,
	        .holds_large = holds_large,
	        .context = table,
	};

	if (!columns) {
		error_no_memory(err);
		return NULL;
	}
	for (int i = 0; i < spec->json.column_count; i++) {
		const struct spec_column *from = &spec->json.columns[i];

		columns[i] = (struct json_column){
		        .name = from->name,
		        .unstored = !from->stored,
		        .pointer = from->pointer,
		        .required = from->required,
		        .has_minimum = from->minimum,
		        .has_maximum = from->maximum,
		        .minimum = from->minimum ? strtod(from->minimum, NULL) : 0,
		        .maximum = from->maximum ? strtod(from->maximum, NULL) : 0,
		        .allowed = from->allowed_count ? (const char *const *)from->allowed : NULL,
		        .allowed_count = from->allowed_count,
		        .weight = strtod(from->weight, NULL),
		};
		if (!json_type_parse(from->type, &columns[i].type, &columns[i].precision, &columns[i].scale)) {
			error_set(err, ERROR_INVALID, 0, "column %s: no such type: %s", from->name, from->type);
			return NULL;
		}
	}
	return json_decoder_new(&rules, counters, err);
}

int take_open(struct stream *stream, struct error *err)
{
	if (stream->spec->format == FORMAT_JSON) {
		stream->json_table = (struct json_table){.spec = stream->spec, .session = stream->claims};
		stream->json = take_json_decoder(&stream->json_table, &stream->counters, err);
		stream->learn = true;
		return stream->json ? 0 : -1;
	}
	stream->decoder = take_arrow_decoder(stream->spec, &stream->counters, err);
	return stream->decoder ? 0 : -1;
}

void take_close(struct stream *stream)
{
	unit_free(TAKE(stream->gathered));
	batch_decoder_free(TAKE(stream->decoder));
	json_decoder_free(TAKE(stream->json));
	append_columns_release(&stream->json_table.columns);
}
