/*
 * ipc.c - the framing of an Arrow IPC stream: encapsulated messages, one after the other, to the end of the payload.
 *
 * The metadata is read where it lies (flat.h) and the body is never copied: what leaves are pointers into the payload.
 * Source: Arrow columnar format, "Encapsulated message format" and "IPC streaming format"; Message.fbs for the field
 * ids.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "batch/decode.h"

#define CONTINUATION 0xffffffffu

enum { HEADER_SCHEMA = 1, HEADER_DICTIONARY = 2, HEADER_BATCH = 3 };
enum { METADATA_V4 = 3, METADATA_V5 = 4 };

/* One encapsulated message of the payload. */
struct frame {
	struct flat metadata;
	const uint8_t *body;
	int64_t body_size;
	int header_type;
	uint32_t header; /* table */
	bool end;
};

static void write_path(const struct field *field, char *path, size_t size)
{
	size_t used;

	if (!field->parent) {
		path[0] = '\0';
		return;
	}
	write_path(field->parent, path, size);
	if (!*field->name)
		return;
	used = strlen(path);
	snprintf(path + used, size - used, "%s%s", used ? "." : "", field->name);
	text_end_whole(path);
}

int decode_error(struct decode *decode, const struct field *field, const char *format, ...)
{
	char path[160] = "", reason[320];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof reason, format, args);
	va_end(args);
	text_end_whole(reason);
	if (field)
		write_path(field, path, sizeof path);
	return error_set(decode->err, ERROR_CORRUPT, 0, "at byte %zu: %s%s%s%s%s%s", decode->at, decode->place,
	                 *decode->place ? ": " : "", *path ? "column '" : "", path, *path ? "': " : "", reason);
}

const char *decode_advice(const struct decode *decode)
{
	return decode->decoder->made_max < IPC_MADE_MAX ? "send smaller batches, or raise spec.memory"
	                                                : "send smaller batches";
}

int decode_count(struct decode *decode, const struct field *field, int64_t size)
{
	if (size > decode->decoder->made_max - decode->made)
		return decode_error(decode, field, "the message would take more than %lld MiB of memory: %s",
		                    (long long)(decode->decoder->made_max >> 20), decode_advice(decode));
	decode->made += size;
	return 0;
}

void *decode_make(struct decode *decode, const struct field *field, int64_t size, _Atomic int64_t *counter)
{
	void *space;

	if (decode_count(decode, field, size))
		return NULL;
	space = message_alloc(decode->message, (size_t)size);
	if (!space) {
		error_no_memory(decode->err);
		return NULL;
	}
	atomic_fetch_add_explicit(counter, size, memory_order_relaxed);
	return space;
}

struct batch_decoder *batch_decoder_new(struct batch_counters *counters, struct error *err)
{
	struct batch_decoder *decoder = calloc(1, sizeof *decoder);

	if (!decoder) {
		error_no_memory(err);
		return NULL;
	}
	decoder->counters = counters ? counters : &decoder->uncounted;
	decoder->made_max = IPC_MADE_MAX;
	return decoder;
}

void batch_decoder_bound(struct batch_decoder *decoder, int64_t made_max)
{
	decoder->made_max = made_max < IPC_MADE_MAX ? made_max : IPC_MADE_MAX;
}

static void forget_schema(struct batch_decoder *decoder)
{
	pool_release(&decoder->pool);
	free(decoder->schema_bytes);
	decoder->schema_bytes = NULL;
	batch_schema_release(decoder->schema);
	decoder->schema = NULL;
}

void batch_decoder_free(struct batch_decoder *decoder)
{
	if (!decoder)
		return;
	forget_schema(decoder);
	free(decoder);
}

const char *batch_decoder_fingerprint(const struct batch_decoder *decoder)
{
	return decoder->fingerprint;
}

/* Reads the frame at decode->at; *ret_next is where the following one begins. */
static int read_frame(struct decode *decode, struct frame *frame, size_t *ret_next)
{
	size_t left = decode->message->bytes.size - decode->at;
	const uint8_t *at = decode->message->bytes.data + decode->at;
	int64_t metadata_size, body_size;
	int version;
	uint32_t root;

	*frame = (struct frame){0};
	if (left < 8)
		return decode_error(decode, NULL, "%zu bytes are left, a message begins with 8", left);
	if ((uint32_t)load_i32(at) != CONTINUATION)
		return decode_error(decode, NULL, "no Arrow IPC message begins here (0xFFFFFFFF is missing)");
	metadata_size = load_i32(at + 4);
	*ret_next = decode->at + 8;
	frame->end = metadata_size == 0;
	if (frame->end)
		return 0;
	if (metadata_size < 0 || (uint64_t)metadata_size > left - 8)
		return decode_error(decode, NULL, "metadata of %lld bytes where %zu are left", (long long)metadata_size,
		                    left - 8);
	frame->metadata = (struct flat){.data = at + 8, .size = (uint32_t)metadata_size};
	root = flat_root(&frame->metadata);
	version = flat_field_i16(&frame->metadata, root, 0, 0);
	frame->header_type = flat_field_u8(&frame->metadata, root, 1, 0);
	frame->header = flat_table(&frame->metadata, root, 2);
	body_size = flat_field_i64(&frame->metadata, root, 3, 0);
	if (frame->metadata.bad || !frame->header)
		return decode_error(decode, NULL, "the metadata points outside itself");
	if (version != METADATA_V4 && version != METADATA_V5)
		return decode_error(decode, NULL, "metadata version V%d: V4 and V5 can be read", version + 1);
	left -= 8 + (size_t)metadata_size;
	if (body_size < 0 || (uint64_t)body_size > left)
		return decode_error(decode, NULL, "a body of %lld bytes where %zu are left", (long long)body_size,
		                    left);
	frame->body = at + 8 + metadata_size;
	frame->body_size = body_size;
	*ret_next += (size_t)metadata_size + (size_t)body_size;
	return 0;
}

/* Takes the schema over from the message before where its bytes are the same. */
static int read_schema(struct decode *decode, struct frame *frame)
{
	struct batch_decoder *decoder = decode->decoder;
	struct flat *flat = &frame->metadata;

	snprintf(decode->place, sizeof decode->place, "schema");
	if (!decoder->schema || flat->size != decoder->schema_size ||
	    memcmp(flat->data, decoder->schema_bytes, flat->size)) {
		forget_schema(decoder);
		if (schema_read(decode, flat, frame->header))
			return -1;
		decoder->schema_bytes = malloc(flat->size);
		if (!decoder->schema_bytes)
			return error_no_memory(decode->err);
		memcpy(decoder->schema_bytes, flat->data, flat->size);
		decoder->schema_size = flat->size;
		decoder->schema = schema_export(&decoder->root);
		if (!decoder->schema)
			return error_no_memory(decode->err);
		atomic_fetch_add_explicit(&decoder->counters->copied, flat->size, memory_order_relaxed);
	}
	memcpy(decoder->fingerprint, decoder->schema->fingerprint, sizeof decoder->fingerprint);
	for (int i = 0; i < decoder->dictionary_count; i++)
		decoder->dictionaries[i].values = (struct values){.kind = decoder->dictionaries[i].value->out};
	return 0;
}

static void set_body(struct decode *decode, const struct frame *frame)
{
	decode->flat = frame->metadata;
	decode->body = frame->body;
	decode->body_size = frame->body_size;
}

static int read_dictionary(struct decode *decode, struct frame *frame)
{
	struct batch_decoder *decoder = decode->decoder;
	int64_t id = flat_field_i64(&frame->metadata, frame->header, 0, 0);
	uint32_t table = flat_table(&frame->metadata, frame->header, 1);
	bool is_delta = flat_field_u8(&frame->metadata, frame->header, 2, 0);
	struct dictionary *dictionary = NULL;

	snprintf(decode->place, sizeof decode->place, "dictionary %lld", (long long)id);
	if (frame->metadata.bad || !table)
		return decode_error(decode, NULL, "the metadata points outside itself");
	for (int i = 0; i < decoder->dictionary_count && !dictionary; i++)
		if (decoder->dictionaries[i].id == id)
			dictionary = &decoder->dictionaries[i];
	if (!dictionary)
		return decode_error(decode, NULL, "no column of the schema uses it");
	set_body(decode, frame);
	if (body_read(decode, table, dictionary->value, 1))
		return -1;
	if (!is_delta)
		dictionary->values = (struct values){.kind = dictionary->value->out};
	return values_append(decode, dictionary->value, &dictionary->values, node_of(decode, dictionary->value));
}

static int read_batch(struct decode *decode, struct frame *frame)
{
	const struct field *root = &decode->decoder->root;
	int64_t rows = flat_field_i64(&frame->metadata, frame->header, 0, 0);

	snprintf(decode->place, sizeof decode->place, "record batch %d", decode->batches);
	if (decode->batches++ == IPC_BATCHES_MAX)
		return decode_error(decode, NULL, "a message holds at most %d batches", IPC_BATCHES_MAX);
	set_body(decode, frame);
	if (body_read(decode, frame->header, root->children, root->child_count))
		return -1;
	decode->rows += rows;
	if (decode->rows > IPC_ROWS_MAX)
		return decode_error(decode, NULL, "a message holds at most %lld rows", (long long)IPC_ROWS_MAX);
	return slice_batch(decode, rows);
}

static int read_one(struct decode *decode, struct frame *frame, bool has_schema)
{
	decode->place[0] = '\0';
	if (!has_schema && frame->header_type != HEADER_SCHEMA)
		return decode_error(decode, NULL, "the message does not begin with a schema");
	switch (frame->header_type) {
	case HEADER_SCHEMA:
		if (has_schema)
			return decode_error(decode, NULL, "a second schema: a message holds one stream");
		return read_schema(decode, frame);
	case HEADER_DICTIONARY: return read_dictionary(decode, frame);
	case HEADER_BATCH: return read_batch(decode, frame);
	default:
		return decode_error(decode, NULL,
		                    "a header numbered %d: only schemas, dictionaries and record batches are read",
		                    frame->header_type);
	}
}

static int read_stream(struct decode *decode)
{
	size_t next = 0, size = decode->message->bytes.size;
	bool has_schema = false;
	struct frame frame;

	if (size >= 6 && !memcmp(decode->message->bytes.data, "ARROW1", 6))
		return decode_error(
		        decode, NULL,
		        "this is the Arrow IPC file format: send the stream format (pyarrow: ipc.new_stream)");
	while (decode->at < size) {
		decode->place[0] = '\0';
		if (read_frame(decode, &frame, &next))
			return -1;
		if (frame.end) {
			decode->at = next;
			if (next < size)
				return decode_error(decode, NULL, "%zu bytes follow the end of the stream",
				                    size - next);
			break;
		}
		if (read_one(decode, &frame, has_schema))
			return -1;
		has_schema = true;
		decode->at = next;
	}
	decode->place[0] = '\0';
	return has_schema ? 0 : decode_error(decode, NULL, "the message holds no schema");
}

static void drop_arrays(struct ArrowArray *arrays, int count)
{
	for (int i = 0; i < count; i++)
		if (arrays[i].release)
			arrays[i].release(&arrays[i]);
	free(arrays);
}

int ipc_decode(struct batch_decoder *decoder, struct batch_bytes bytes, struct batch_set *ret_set, struct error *err)
{
	struct message *message = message_new(bytes);
	struct decode decode = {.decoder = decoder, .message = message, .err = err};

	*ret_set = (struct batch_set){0};
	decoder->fingerprint[0] = '\0';
	if (!message)
		return error_no_memory(err);
	atomic_fetch_add_explicit(&decoder->counters->payload, (int64_t)bytes.size, memory_order_relaxed);
	if (read_stream(&decode)) {
		drop_arrays(decode.arrays, decode.array_count);
		message_unref(message);
		return -1;
	}
	*ret_set = (struct batch_set){.schema = batch_schema_retain(decoder->schema),
	                              .arrays = decode.arrays,
	                              .count = decode.array_count,
	                              .rows = decode.rows,
	                              .made = decode.made - decode.heads,
	                              .heads = decode.heads};
	message->bytes.release = bytes.release;
	message_unref(message);
	return 0;
}

void batch_set_release(struct batch_set *set)
{
	drop_arrays(set->arrays, set->count);
	batch_schema_release(set->schema);
	*set = (struct batch_set){0};
}
