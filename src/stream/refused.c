/*
 * refused.c - the messages of a window that go to quarantine: written in its transaction, and told in the log.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"
#include "stream/stream_private.h"

/* What goes to quarantine in one statement: a statement a message is a file a message. */
#define PORTION_ROWS 1024
#define PORTION_BYTES ((int64_t)8 << 20)

struct portion {
	struct quarantine_row rows[PORTION_ROWS];
	struct buffer headers[PORTION_ROWS];
	int count;
	int64_t bytes;
};

static void portion_clear(struct portion *portion)
{
	for (int i = 0; i < portion->count; i++)
		buffer_release(&portion->headers[i]);
	portion->count = 0;
	portion->bytes = 0;
}

static void portion_free(struct portion **portion)
{
	if (*portion)
		portion_clear(*portion);
	free(*portion);
}

static void portion_add(struct stream *stream, struct portion *portion, const struct unit *unit)
{
	const struct message *message = &unit->held->message;
	struct buffer *headers = &portion->headers[portion->count];

	buffer_init(headers, BUFFER_DEFAULT_MAXIMUM);
	message_headers_json(message, headers);
	portion->rows[portion->count++] = (struct quarantine_row){
	        .partition = message->partition,
	        .topic_id = stream->lanes[unit->lane].lake.topic_id,
	        .offset = message->offset,
	        .timestamp_ms = message->timestamp_ms,
	        .key = message->key,
	        .key_size = message->key_size,
	        .headers = headers->size ? buffer_string(headers) : NULL,
	        .payload = message->payload,
	        .size = message->size,
	        .reason = unit->reason,
	        .fingerprint = unit->fingerprint,
	};
	portion->bytes += (int64_t)message->size;
	if (!telling_one(&stream->telling, unit->reason, clock_monotonic_ms()))
		return;
	log_event(EVENT_QUARANTINE,
	          FIELDS(LOG_TEXT("stream", stream->spec->name), LOG_NUMBER("partition", message->partition),
	                 LOG_NUMBER("offset", message->offset), LOG_TEXT("reason", unit->reason)),
	          "partition %d offset %" PRId64 " goes to quarantine", message->partition, message->offset);
}

void refused_tell(struct stream *stream, bool all)
{
	char kind[TELLING_KIND_SIZE];
	int64_t untold;

	while (telling_rest(&stream->telling, clock_monotonic_ms(), all, kind, &untold))
		log_event(EVENT_QUARANTINE_MORE,
		          FIELDS(LOG_TEXT("stream", stream->spec->name), LOG_TEXT("reason", kind),
		                 LOG_NUMBER("messages", untold)),
		          "%" PRId64 " more messages went to quarantine: %s", untold, kind);
}

static int portion_write(struct stream *stream, struct portion *portion, struct error *err)
{
	int failed = quarantine_append(stream->session, &stream->key, stream->table_name, portion->rows, portion->count,
	                               err);

	portion_clear(portion);
	return failed ? error_wrap(err, "quarantine") : 0;
}

int refused_write(struct stream *stream, struct error *err)
{
	OWNED_BY(portion_free) struct portion *portion = NULL;

	if (!stream->queue.window.quarantined)
		return 0;
	portion = calloc(1, sizeof *portion);
	if (!portion)
		return error_no_memory(err);
	for (const struct unit *unit = stream->queue.window.quarantined; unit; unit = unit->next) {
		portion_add(stream, portion, unit);
		if ((portion->count == PORTION_ROWS || portion->bytes >= PORTION_BYTES) &&
		    portion_write(stream, portion, err))
			return -1;
	}
	return portion_write(stream, portion, err);
}
