/* quarantine_show.c - tarn quarantine show: all that is known of a message, for a person, as JSON, or its bytes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/owned.h"
#include "cli/display.h"
#include "cli/quarantine.h"
#include "cli/table.h"
#include "lake/resolve.h"
#include "wire/headers.h"

#define TEXT_BYTES ((size_t)64 << 10) /* of a payload that is text */
#define DUMP_BYTES ((size_t)4 << 10) /* of one that is not */
#define DUMP_WIDTH 16

static void print_field(const char *name, const char *text)
{
	OWNED_BUFFER struct buffer shown = {0};

	buffer_init(&shown, 1 << 26);
	display_text(&shown, text);
	printf("%-13s %s\n", name, buffer_string(&shown));
}

static void print_time(const char *name, int64_t wall_ms)
{
	char text[40];

	if (wall_ms < 0)
		return;
	clock_format(wall_ms, text, sizeof text);
	print_field(name, text);
}

/* As `hexdump -C`. */
static void print_dump(const unsigned char *bytes, size_t size)
{
	for (size_t at = 0; at < size; at += DUMP_WIDTH) {
		size_t end = at + DUMP_WIDTH < size ? at + DUMP_WIDTH : size;

		printf("%08zx ", at);
		for (size_t i = at; i < at + DUMP_WIDTH; i++) {
			if (i % 8 == 0)
				putchar(' ');
			if (i < end)
				printf("%02x ", bytes[i]);
			else
				fputs("   ", stdout);
		}
		fputs(" |", stdout);
		for (size_t i = at; i < end; i++)
			putchar(bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '.');
		puts("|");
	}
}

/* Line by line, for display_text would make one line of all. */
static void print_text(const char *text, size_t size)
{
	OWNED_BUFFER struct buffer line = {0}, shown = {0};

	buffer_init(&line, TEXT_BYTES + 4);
	buffer_init(&shown, 4 * TEXT_BYTES + 4);
	for (size_t at = 0; at < size;) {
		const char *end = memchr(text + at, '\n', size - at);
		size_t length = end ? (size_t)(end - text) - at : size - at;

		buffer_clear(&line);
		buffer_clear(&shown);
		buffer_append(&line, text + at, length);
		display_text(&shown, buffer_string(&line));
		puts(buffer_string(&shown));
		at += length + 1;
	}
}

static bool is_text(const void *bytes, size_t size)
{
	return headers_is_utf8(bytes, size) && !memchr(bytes, 0, size);
}

static void print_payload(const struct quarantined *message)
{
	bool text = message->payload && is_text(message->payload, message->size);
	size_t most = text ? TEXT_BYTES : DUMP_BYTES, shown = message->size < most ? message->size : most;
	char size[HUMAN_SIZE];

	if (!message->payload) {
		print_field("payload", message->key ? "none: the message is a tombstone" : "none");
		return;
	}
	printf("%-13s %s bytes%s\n", "payload", human_count((int64_t)message->size, size),
	       text || !message->size ? "" : ", not UTF-8 text");
	if (!message->size)
		return;
	puts("");
	if (text)
		print_text(message->payload, shown);
	else
		print_dump(message->payload, shown);
	if (shown < message->size)
		printf("... %s more bytes: --payload writes all of them\n",
		       human_count((int64_t)(message->size - shown), size));
}

static void print_message(const struct quarantined *message)
{
	OWNED_BUFFER struct buffer key = {0};
	char place[PLACE_SIZE];

	print_field("message", place_text(place, message->topic, message->partition, message->offset));
	if (*message->topic_id)
		print_field("topic id", message->topic_id);
	print_field("stream", message->stream);
	print_field("for table", message->table);
	print_time("message time", message->message_ms);
	print_time("quarantined", message->quarantined_ms);
	print_field("reason", message->reason);
	if (*message->fingerprint)
		print_field("schema", message->fingerprint);
	buffer_init(&key, 1 << 26);
	if (message->key && is_text(message->key, message->key_size)) {
		print_field("key", message->key);
	} else if (message->key) {
		for (size_t i = 0; i < message->key_size; i++)
			buffer_printf(&key, "%02x", ((const unsigned char *)message->key)[i]);
		buffer_text(&key, " (hexadecimal)");
		print_field("key", buffer_string(&key));
	}
	if (message->headers)
		print_field("headers", message->headers);
	print_payload(message);
}

/* Text where it is UTF-8, and the bytes in base64 in every case. */
static int print_json(struct quarantine_job *job, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, 1 << 22);
	buffer_text(&sql,
	            "SELECT stream, topic, topic_id, \"partition\", \"offset\", table_name, message_time, "
	            "quarantined_at, reason, schema_fingerprint, try(decode(message_key)) AS \"key\", "
	            "base64(message_key) AS key_base64, headers::JSON AS headers, octet_length(payload) AS bytes, "
	            "try(decode(payload)) AS payload, base64(payload) AS payload_base64 FROM lake.tarn.quarantine");
	quarantine_where(&job->selection, &sql);
	buffer_text(&sql, " ORDER BY stream, topic, topic_id, \"partition\", \"offset\"");
	return quarantine_print(job, buffer_string(&sql), err);
}

static int print_raw(const struct quarantine_batch *batch, struct error *err)
{
	char place[PLACE_SIZE];
	const struct quarantined *message = &batch->messages[0];

	if (batch->count > 1)
		return error_set(err, ERROR_INVALID, 0,
		                 "these are %d messages, and --payload writes one: name one place, and --stream where "
		                 "several read the topic",
		                 batch->count);
	if (!message->payload)
		return error_set(err, ERROR_INVALID, 0, "%s has no payload: %s",
		                 place_text(place, message->topic, message->partition, message->offset),
		                 message->key ? "it is a tombstone" : message->reason);
	if (isatty(STDOUT_FILENO) && !is_text(message->payload, message->size))
		return error_set(err, ERROR_INVALID, 0, "the payload is not for a terminal: > PATH would be right");
	fwrite(message->payload, 1, message->size, stdout);
	return 0;
}

static int nothing_found(struct quarantine_job *job, struct error *err)
{
	OWNED_BUFFER struct buffer told = {0};
	char place[PLACE_SIZE];
	const struct place *first = &job->places[0];

	buffer_init(&told, 1 << 20);
	if (resolve_tell(job->session, &job->selection, &told, err))
		return -1;
	return error_set(err, ERROR_INVALID, 0, "%s is not in quarantine%s%.300s",
	                 place_text(place, first->topic, first->partition, first->offset), told.size ? ": " : "",
	                 buffer_string(&told));
}

static int show(struct quarantine_job *job, struct error *err)
{
	OWNED_QUARANTINE_BATCH struct quarantine_batch batch = {0};
	OWNED_BUFFER struct buffer where = {0};

	buffer_init(&where, 1 << 22);
	quarantine_where(&job->selection, &where);
	if (quarantine_read(job->session, buffer_string(&where), &batch, err))
		return -1;
	if (!batch.count)
		return nothing_found(job, err);
	if (option_flag(job->invocation, "payload"))
		return print_raw(&batch, err);
	if (quarantine_format(job, "json"))
		return print_json(job, err);
	for (int i = 0; i < batch.count; i++) {
		if (i)
			puts("");
		print_message(&batch.messages[i]);
	}
	return 0;
}

int quarantine_show(struct quarantine_job *job, struct error *err)
{
	*err = (struct error){0};
	if (show(job, err) == 0)
		return EXIT_DONE;
	return err->kind ? cli_fail(err) : EXIT_OUTPUT;
}
