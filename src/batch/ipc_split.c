#include "batch/ipc_split.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owned.h"
#include "batch/flat.h"

#define MAGIC "ARROW1"
#define MAGIC_SIZE 6
#define HEAD_SIZE 8 /* of a message: a mark and the size of its metadata; of a file: its magic, padded */
#define TAIL_SIZE 10 /* of a file: the footer's size and the magic */
#define BLOCK_SIZE 24
#define METADATA_MAX ((int64_t)64 << 20)

enum { HEADER_SCHEMA = 1, HEADER_DICTIONARY = 2, HEADER_BATCH = 3 };

static const uint8_t end_mark[HEAD_SIZE] = {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0};

/* One message as it lies in the input. */
struct frame {
	int64_t at, size; /* with its head and its body */
	int type;
	int64_t dictionary_id;
	bool is_delta;
	bool is_end;
	bool is_cut; /* read_frame failed because the input ends first */
};

/* A message that is kept. */
struct kept {
	uint8_t *data; /* owned */
	size_t size;
	int64_t id;
};

struct ipc_split {
	struct ipc_input input;
	int64_t at; /* of a stream: the next message */
	int64_t end; /* messages end there: the input's size, or where the footer begins */
	bool over; /* of a stream */
	int64_t bad_from, bad_to;
	uint8_t *metadata; /* room for one message's; owned */
	size_t metadata_room;
	struct kept schema; /* data NULL: not read yet */
	struct kept *dictionaries; /* owned */
	int dictionary_count;
	int64_t kept_bytes;
	/* of a file */
	struct flat footer; /* data owned; NULL: a stream */
	uint32_t batches_at, batch_count, batch;
};

static int32_t load_i32(const uint8_t *at)
{
	int32_t value;

	memcpy(&value, at, sizeof value);
	return value;
}

static int corrupt(struct error *err, int64_t at, const char *what)
{
	return error_set(err, ERROR_CORRUPT, 0, "at byte %lld of the file: %s", (long long)at, what);
}

static int read_input(const struct ipc_split *split, int64_t at, void *to, size_t size, struct error *err)
{
	return size ? split->input.read(split->input.context, at, to, size, err) : 0;
}

/* ---- one message */

static int make_metadata_room(struct ipc_split *split, size_t size, struct error *err)
{
	uint8_t *room;

	if (size <= split->metadata_room)
		return 0;
	room = realloc(split->metadata, size);
	if (!room)
		return error_no_memory(err);
	split->metadata = room;
	split->metadata_room = size;
	return 0;
}

/* What the metadata in split->metadata says. */
static int read_metadata(const struct ipc_split *split, int64_t size, struct frame *frame, struct error *err)
{
	struct flat flat = {.data = split->metadata, .size = (uint32_t)size};
	uint32_t root = flat_root(&flat), header = flat_table(&flat, root, 2);
	int64_t body_size = flat_field_i64(&flat, root, 3, 0);

	frame->type = flat_field_u8(&flat, root, 1, 0);
	if (frame->type == HEADER_DICTIONARY) {
		frame->dictionary_id = flat_field_i64(&flat, header, 0, 0);
		frame->is_delta = flat_field_u8(&flat, header, 2, 0);
	}
	if (flat.bad || !header)
		return corrupt(err, frame->at, "the metadata points outside itself");
	if (body_size < 0)
		return corrupt(err, frame->at, "a body of a negative size");
	if (body_size > split->end - frame->at - HEAD_SIZE - size) {
		frame->is_cut = true;
		return corrupt(err, frame->at, "the body ends behind the file's end");
	}
	frame->size = HEAD_SIZE + size + body_size;
	return 0;
}

static int read_frame(struct ipc_split *split, int64_t at, struct frame *frame, struct error *err)
{
	uint8_t head[HEAD_SIZE];
	int64_t size;

	*frame = (struct frame){.at = at, .size = HEAD_SIZE};
	if (at < 0 || split->end - at < HEAD_SIZE) {
		frame->is_cut = true;
		return corrupt(err, at, "no message fits before the file's end");
	}
	if (read_input(split, at, head, sizeof head, err))
		return -1;
	if (memcmp(head, end_mark, 4) != 0)
		return corrupt(err, at, "no Arrow IPC message begins here (0xFFFFFFFF is missing)");
	size = load_i32(head + 4);
	frame->is_end = size == 0;
	if (frame->is_end)
		return 0;
	if (size < 0 || size > METADATA_MAX)
		return corrupt(err, at, "metadata of a size that no message has");
	if (size > split->end - at - HEAD_SIZE) {
		frame->is_cut = true;
		return corrupt(err, at, "the metadata ends behind the file's end");
	}
	if (make_metadata_room(split, (size_t)size, err) ||
	    read_input(split, at + HEAD_SIZE, split->metadata, (size_t)size, err))
		return -1;
	return read_metadata(split, size, frame, err);
}

/* ---- what is kept */

static int keep(struct ipc_split *split, const struct frame *frame, struct kept *ret, struct error *err)
{
	OWNED_FREE uint8_t *data = NULL;

	if (frame->size > IPC_SPLIT_KEPT_MAX - split->kept_bytes)
		return corrupt(err, frame->at, "schema and dictionaries take more than 256 MiB");
	data = malloc((size_t)frame->size);
	if (!data)
		return error_no_memory(err);
	if (read_input(split, frame->at, data, (size_t)frame->size, err))
		return -1;
	*ret = (struct kept){.data = TAKE(data), .size = (size_t)frame->size, .id = frame->dictionary_id};
	split->kept_bytes += frame->size;
	return 0;
}

/* A dictionary that is no delta stands for what was told under its id before. */
static void forget_dictionary(struct ipc_split *split, int64_t id)
{
	int left = 0;

	for (int i = 0; i < split->dictionary_count; i++) {
		struct kept *kept = &split->dictionaries[i];

		if (kept->id == id) {
			split->kept_bytes -= (int64_t)kept->size;
			free(kept->data);
			continue;
		}
		split->dictionaries[left++] = *kept;
	}
	split->dictionary_count = left;
}

static int keep_dictionary(struct ipc_split *split, const struct frame *frame, struct error *err)
{
	struct kept *dictionaries, kept;

	if (!frame->is_delta)
		forget_dictionary(split, frame->dictionary_id);
	dictionaries = realloc(split->dictionaries, (size_t)(split->dictionary_count + 1) * sizeof *dictionaries);
	if (!dictionaries)
		return error_no_memory(err);
	split->dictionaries = dictionaries;
	if (keep(split, frame, &kept, err))
		return -1;
	dictionaries[split->dictionary_count++] = kept;
	return 0;
}

/* ---- a batch as a message of its own */

/* Looked at also where the batch is passed over: what is refused once is refused again. */
static int check_batch(const struct ipc_split *split, const struct frame *frame, struct error *err)
{
	if (!split->schema.data)
		return corrupt(err, frame->at, "a record batch without a schema before it");
	if (frame->size > IPC_SPLIT_BATCH_MAX)
		return corrupt(err, frame->at, "a record batch of more than 1 GiB");
	return 0;
}

static int make_message(struct ipc_split *split, const struct frame *frame, uint8_t **ret_data, size_t *ret_size,
                        struct error *err)
{
	size_t size = (size_t)split->kept_bytes + (size_t)frame->size + sizeof end_mark, used = 0;
	OWNED_FREE uint8_t *data = NULL;

	data = malloc(size);
	if (!data)
		return error_no_memory(err);
	memcpy(data, split->schema.data, split->schema.size);
	used = split->schema.size;
	for (int i = 0; i < split->dictionary_count; i++) {
		memcpy(data + used, split->dictionaries[i].data, split->dictionaries[i].size);
		used += split->dictionaries[i].size;
	}
	if (read_input(split, frame->at, data + used, (size_t)frame->size, err))
		return -1;
	used += (size_t)frame->size;
	memcpy(data + used, end_mark, sizeof end_mark);
	*ret_data = TAKE(data);
	*ret_size = size;
	return 0;
}

/* ---- a stream */

/* 1: the frame is a batch; 0: it was taken in, or is the end; -1: *err. */
static int take_frame(struct ipc_split *split, const struct frame *frame, struct error *err)
{
	if (frame->is_end) {
		split->over = true;
		if (frame->at + HEAD_SIZE < split->end)
			return corrupt(err, frame->at + HEAD_SIZE, "more bytes follow the end of the stream");
		return 0;
	}
	switch (frame->type) {
	case HEADER_SCHEMA:
		if (split->schema.data)
			return corrupt(err, frame->at, "a second schema: a file holds one stream");
		return keep(split, frame, &split->schema, err);
	case HEADER_DICTIONARY: return keep_dictionary(split, frame, err);
	case HEADER_BATCH: return 1;
	default: return corrupt(err, frame->at, "only schemas, dictionaries and record batches are read");
	}
}

static int next_of_stream(struct ipc_split *split, bool skip, uint8_t **ret_data, size_t *ret_size, struct error *err)
{
	while (!split->over && split->at < split->end) {
		struct frame frame;
		int taken;

		if (read_frame(split, split->at, &frame, err))
			return -1;
		taken = take_frame(split, &frame, err);
		if (taken < 0 || (taken && check_batch(split, &frame, err)) ||
		    (taken && !skip && make_message(split, &frame, ret_data, ret_size, err)))
			return -1;
		split->at += frame.size;
		if (taken)
			return 1;
	}
	return 0;
}

/* ---- a file, by its footer */

/* Where the message of a block lies; false where that is not inside the messages, or before `least`. */
static bool block_at(struct flat *footer, uint32_t blocks, uint32_t index, int64_t least, int64_t end,
                     int64_t *ret_from, int64_t *ret_to)
{
	uint32_t at = blocks + index * BLOCK_SIZE;
	int64_t from = flat_i64(footer, at), metadata = flat_i32(footer, at + 8), body = flat_i64(footer, at + 16);

	if (footer->bad || from < least || from > end || metadata < HEAD_SIZE || metadata > end - from || body < 0 ||
	    body > end - from - metadata)
		return false;
	*ret_from = from;
	*ret_to = from + metadata + body;
	return true;
}

static int read_dictionaries(struct ipc_split *split, struct error *err)
{
	uint32_t count, blocks = flat_vector(&split->footer, flat_root(&split->footer), 2, BLOCK_SIZE, &count);
	int64_t from, to, least = HEAD_SIZE;
	struct frame frame;

	for (uint32_t i = 0; i < count; i++) {
		if (!block_at(&split->footer, blocks, i, least, split->end, &from, &to))
			return corrupt(err, split->end, "the footer's dictionaries overlap, or lie outside the file");
		if (read_frame(split, from, &frame, err))
			return -1;
		if (frame.type != HEADER_DICTIONARY || from + frame.size > to)
			return corrupt(err, from, "the footer says that a dictionary is here, and it is not");
		if (keep_dictionary(split, &frame, err))
			return -1;
		least = to;
	}
	return 0;
}

static int read_footer(struct ipc_split *split, struct error *err)
{
	uint8_t tail[TAIL_SIZE];
	int64_t size;
	uint8_t *data;
	struct frame schema;

	if (split->input.size < HEAD_SIZE + TAIL_SIZE)
		return corrupt(err, 0, "the file is too short to have a footer");
	if (read_input(split, split->input.size - TAIL_SIZE, tail, sizeof tail, err))
		return -1;
	size = load_i32(tail);
	if (memcmp(tail + 4, MAGIC, MAGIC_SIZE) != 0 || size <= 0 || size > METADATA_MAX ||
	    size > split->input.size - HEAD_SIZE - TAIL_SIZE)
		return corrupt(err, split->input.size - TAIL_SIZE, "the file does not end in a footer");
	split->end = split->input.size - TAIL_SIZE - size;
	data = malloc((size_t)size);
	split->footer = (struct flat){.data = data, .size = (uint32_t)size};
	if (!data)
		return error_no_memory(err);
	if (read_input(split, split->end, data, (size_t)size, err))
		return -1;
	split->batches_at = flat_vector(&split->footer, flat_root(&split->footer), 3, BLOCK_SIZE, &split->batch_count);
	if (split->footer.bad)
		return corrupt(err, split->end, "the footer points outside itself");
	if (read_frame(split, HEAD_SIZE, &schema, err))
		return -1;
	if (schema.type != HEADER_SCHEMA)
		return corrupt(err, HEAD_SIZE, "the file does not begin with a schema");
	split->at = HEAD_SIZE;
	return keep(split, &schema, &split->schema, err) || read_dictionaries(split, err) ? -1 : 0;
}

static int next_of_file(struct ipc_split *split, bool skip, uint8_t **ret_data, size_t *ret_size, struct error *err)
{
	int64_t from, to;
	struct frame frame;

	if (split->batch == split->batch_count)
		return 0;
	if (!block_at(&split->footer, split->batches_at, split->batch, split->at, split->end, &from, &to)) {
		split->bad_from = split->at;
		split->bad_to = split->end;
		split->batch = split->batch_count; /* which ones are right cannot be told */
		return corrupt(err, split->end, "the footer's record batches overlap, or lie outside the file");
	}
	split->bad_from = from;
	split->bad_to = to;
	if (!skip) {
		if (read_frame(split, from, &frame, err))
			return -1;
		if (frame.type != HEADER_BATCH || frame.is_end || from + frame.size > to)
			return corrupt(err, from, "the footer says that a record batch is here, and it is not");
		if (check_batch(split, &frame, err) || make_message(split, &frame, ret_data, ret_size, err))
			return -1;
	}
	split->batch++;
	split->at = to;
	return 1;
}

/* ---- both */

int ipc_split_next(struct ipc_split *split, bool skip, uint8_t **ret_data, size_t *ret_size, struct error *err)
{
	int got;

	*ret_data = NULL;
	*ret_size = 0;
	if (split->footer.data) {
		uint32_t batch = split->batch;

		got = next_of_file(split, skip, ret_data, ret_size, err);
		if (got < 0 && err->kind == ERROR_CORRUPT && split->batch == batch) {
			split->batch++;
			split->at = split->bad_to;
		}
		return got;
	}
	got = next_of_stream(split, skip, ret_data, ret_size, err);
	if (got < 0 && err->kind == ERROR_CORRUPT) {
		split->bad_from = split->at;
		split->bad_to = split->end;
		split->over = true;
	}
	return got;
}

void ipc_split_bad(const struct ipc_split *split, int64_t *ret_from, int64_t *ret_to)
{
	*ret_from = split->bad_from;
	*ret_to = split->bad_to;
}

int64_t ipc_split_at(const struct ipc_split *split)
{
	return split->at;
}

static bool begins_with_magic(const struct ipc_split *split, bool *ret_failed, struct error *err)
{
	char magic[MAGIC_SIZE] = "";

	*ret_failed = split->input.size >= MAGIC_SIZE && read_input(split, 0, magic, sizeof magic, err);
	return !*ret_failed && !memcmp(magic, MAGIC, sizeof magic);
}

struct ipc_split *ipc_split_open(const struct ipc_input *input, struct error *err)
{
	struct ipc_split *split = calloc(1, sizeof *split);
	bool failed;

	if (!split) {
		error_no_memory(err);
		return NULL;
	}
	split->input = *input;
	split->end = input->size;
	if (begins_with_magic(split, &failed, err))
		failed = read_footer(split, err) != 0;
	if (!failed)
		return split;
	ipc_split_free(split);
	return NULL;
}

void ipc_split_free(struct ipc_split *split)
{
	if (!split)
		return;
	for (int i = 0; i < split->dictionary_count; i++)
		free(split->dictionaries[i].data);
	free(split->dictionaries);
	free(split->schema.data);
	free(split->metadata);
	free((uint8_t *)(uintptr_t)split->footer.data);
	free(split);
}

/* ---- is it whole? */

static bool file_is_whole(const struct ipc_split *split, char *why, size_t size)
{
	uint8_t tail[TAIL_SIZE] = {0};
	struct error err;

	if (split->input.size >= HEAD_SIZE + TAIL_SIZE &&
	    !read_input(split, split->input.size - TAIL_SIZE, tail, sizeof tail, &err) &&
	    !memcmp(tail + 4, MAGIC, MAGIC_SIZE))
		return true;
	snprintf(why, size, "its footer is missing: its writer has not ended it");
	return false;
}

/* From message to message: bodies are passed over. */
static bool stream_is_whole(struct ipc_split *split, char *why, size_t size)
{
	uint8_t tail[HEAD_SIZE] = {0};
	struct error err;
	struct frame frame;

	if (split->end >= HEAD_SIZE && !read_input(split, split->end - HEAD_SIZE, tail, sizeof tail, &err) &&
	    !memcmp(tail, end_mark, sizeof tail))
		return true;
	for (int64_t at = 0; at < split->end; at += frame.size) {
		if (read_frame(split, at, &frame, &err)) {
			if (err.kind == ERROR_CORRUPT && !frame.is_cut)
				return true;
			snprintf(why, size, "it ends within a message: its writer has not ended it");
			return false;
		}
	}
	if (split->end)
		return true;
	snprintf(why, size, "it is empty: its writer has not begun it");
	return false;
}

bool ipc_is_whole(const struct ipc_input *input, char *why, size_t size)
{
	struct ipc_split split = {.input = *input, .end = input->size};
	struct error err = {0};
	bool failed, whole;

	if (begins_with_magic(&split, &failed, &err))
		return file_is_whole(&split, why, size);
	if (failed) {
		snprintf(why, size, "%s", err.message);
		return false;
	}
	whole = stream_is_whole(&split, why, size);
	free(split.metadata);
	return whole;
}
