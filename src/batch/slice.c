/*
 * slice.c - validated columns become arrays of at most BATCH_ROWS_MAX rows, and a message lives until the last is
 * released.
 *
 * A slice begins at a multiple of BATCH_ROWS_MAX, hence at a whole byte of every bitmap: a slice is the same buffers
 * with pointers moved on, and every array's offset is 0. DuckDB reads a struct's offset wrongly, and others in part.
 *
 * Invariants:
 *  1. A slice is one allocation (a shard), which each of its arrays refers to once, and which refers to its message
 * once. An array may be moved out of its parent and released on any thread.
 *  2. null_count is exact: DuckDB takes -1 for none in places.
 */
#include <stdlib.h>

#include "batch/decode.h"

struct message_block {
	struct message_block *next;
	_Alignas(64) uint8_t data[];
};

struct shard {
	atomic_int references;
	struct message *message;
};

/* What a slice needs beyond its shard, and then where the next of each is taken from. */
struct room {
	struct shard *shard;
	struct ArrowArray *arrays;
	const void **pointers; /* buffers and children */
	int64_t *sizes; /* of view buffers */
	size_t array_count, pointer_count, size_count;
};

struct message *message_new(struct batch_bytes bytes)
{
	struct message *message = malloc(sizeof *message);

	if (!message)
		return NULL;
	*message = (struct message){.bytes = bytes};
	message->bytes.release = NULL;
	atomic_init(&message->references, 1);
	return message;
}

void *message_alloc(struct message *message, size_t size)
{
	struct message_block *block;

	if (size > SIZE_MAX - sizeof *block - 64)
		return NULL;
	block = aligned_alloc(64, (sizeof *block + size + 63) & ~(size_t)63);
	if (!block)
		return NULL;
	block->next = message->blocks;
	message->blocks = block;
	return block->data;
}

void message_unref(struct message *message)
{
	struct message_block *next;

	if (atomic_fetch_sub_explicit(&message->references, 1, memory_order_acq_rel) != 1)
		return;
	for (struct message_block *block = message->blocks; block; block = next) {
		next = block->next;
		free(block);
	}
	if (message->bytes.release)
		message->bytes.release(message->bytes.opaque);
	free(message);
}

static void release_array(struct ArrowArray *array)
{
	struct shard *shard = array->private_data;

	for (int64_t i = 0; i < array->n_children; i++)
		if (array->children[i]->release)
			array->children[i]->release(array->children[i]);
	array->release = NULL;
	if (atomic_fetch_sub_explicit(&shard->references, 1, memory_order_acq_rel) != 1)
		return;
	message_unref(shard->message);
	free(shard);
}

static size_t buffer_count(const struct node *node)
{
	switch (kinds[node->kind].layout) {
	case LAYOUT_NONE: return 0;
	case LAYOUT_FIXED_LIST:
	case LAYOUT_STRUCT:
	case LAYOUT_UNION: return 1;
	case LAYOUT_STRING32:
	case LAYOUT_STRING64: return 3;
	case LAYOUT_VIEW: return 3 + (size_t)node->view_count;
	default: return 2;
	}
}

/* A run-end encoded field has children on the wire only. */
static int child_count(const struct field *field)
{
	return field->kind == KIND_RUN_END ? 0 : field->child_count;
}

static void measure(const struct decode *decode, const struct field *field, struct room *room)
{
	const struct node *node = node_of(decode, field);

	room->array_count++;
	room->pointer_count += buffer_count(node) + (size_t)child_count(field);
	if (kinds[node->kind].layout == LAYOUT_VIEW)
		room->size_count += (size_t)node->view_count;
	for (int i = 0; i < child_count(field); i++)
		measure(decode, &field->children[i], room);
}

static int64_t count_nulls(const uint8_t *valid, int64_t length)
{
	int64_t set = 0, i = 0;
	uint64_t word;

	for (; i + 64 <= length; i += 64) {
		memcpy(&word, valid + i / 8, sizeof word);
		set += __builtin_popcountll(word);
	}
	for (; i < length; i++)
		set += bit_get(valid, i);
	return length - set;
}

static void fill_views(const struct node *node, struct room *room, const void **buffers)
{
	for (int64_t i = 0; i < node->view_count; i++) {
		buffers[2 + i] = node->views[i].data;
		room->sizes[i] = node->views[i].size;
	}
	buffers[2 + node->view_count] = node->view_count ? (const void *)room->sizes : empty_buffer;
	room->sizes += node->view_count;
}

static void fill_buffers(const struct field *field, const struct node *node, int64_t start, struct room *room,
                         const void **buffers)
{
	enum layout layout = kinds[node->kind].layout;
	int width = node->kind == KIND_FIXED_BINARY ? (field->value ? field->value : field)->width
	                                            : kinds[node->kind].width;

	if (field->kind == KIND_RUN_END && node->kind == KIND_FIXED_BINARY)
		width = field->children[1].width;
	switch (layout) {
	case LAYOUT_UNION: buffers[0] = node->first + start; return;
	case LAYOUT_BITS: buffers[1] = node->first + start / 8; return;
	case LAYOUT_FIXED: buffers[1] = node->first + width * start; return;
	case LAYOUT_STRING32:
	case LAYOUT_STRING64: buffers[2] = node->second; /* fall through */
	case LAYOUT_LIST32:
	case LAYOUT_LIST64: buffers[1] = node->first + offset_width(node->kind) * start; return;
	case LAYOUT_VIEW:
		buffers[1] = node->first + 16 * start;
		fill_views(node, room, buffers);
		return;
	default: return;
	}
}

/* Rows [start, start + length) of a field; start is a multiple of 8. */
static void fill(const struct decode *decode, const struct field *field, int64_t start, int64_t length,
                 struct room *room, struct ArrowArray *array)
{
	const struct node *node = node_of(decode, field);
	const void **buffers = room->pointers;
	int children = child_count(field);
	int64_t child_start = 0, child_length;

	*array = (struct ArrowArray){.length = length,
	                             .n_buffers = (int64_t)buffer_count(node),
	                             .n_children = children,
	                             .buffers = buffers,
	                             .release = release_array,
	                             .private_data = room->shard};
	array->children = (struct ArrowArray **)(void *)(buffers + array->n_buffers);
	room->pointers += array->n_buffers + children;
	if (node->kind == KIND_NULL)
		array->null_count = length;
	else if (node->valid)
		array->null_count = count_nulls(node->valid + start / 8, length);
	if (array->null_count && array->n_buffers)
		buffers[0] = node->valid + start / 8;
	fill_buffers(field, node, start, room, buffers);
	for (int i = 0; i < children; i++) {
		array->children[i] = room->arrays++;
		child_length = node_of(decode, &field->children[i])->length;
		if (field->kind == KIND_STRUCT || field->kind == KIND_UNION) {
			child_start = start;
			child_length = length;
		} else if (field->kind == KIND_FIXED_LIST) {
			child_start = start * field->list_size;
			child_length = length * field->list_size;
		}
		fill(decode, &field->children[i], child_start, child_length, room, array->children[i]);
	}
}

/* 4 pointers to spare: DuckDB looks up buffers of an array of 0 rows that it takes for another layout */
static size_t shard_size(const struct room *room)
{
	return sizeof *room->shard + room->array_count * sizeof *room->arrays +
	       (room->pointer_count + 4) * sizeof *room->pointers + room->size_count * sizeof *room->sizes;
}

static int make_slice(struct decode *decode, struct room room, int64_t start, int64_t length, struct ArrowArray *array)
{
	const struct field *root = &decode->decoder->root;

	room.shard = calloc(1, shard_size(&room));
	if (!room.shard)
		return error_no_memory(decode->err);
	room.arrays = (struct ArrowArray *)(room.shard + 1);
	room.sizes = (int64_t *)(room.arrays + room.array_count);
	room.pointers = (const void **)(room.sizes + room.size_count);
	atomic_init(&room.shard->references, (int)room.array_count);
	room.shard->message = decode->message;
	atomic_fetch_add_explicit(&decode->message->references, 1, memory_order_relaxed);
	room.arrays++; /* the root is in the set */
	fill(decode, root, start, length, &room, array);
	return 0;
}

static int reserve_arrays(struct decode *decode, int64_t more)
{
	int64_t capacity = decode->array_count + more;
	struct ArrowArray *arrays;

	if (capacity <= decode->array_capacity)
		return 0;
	if (capacity < 2 * (int64_t)decode->array_capacity)
		capacity = 2 * (int64_t)decode->array_capacity;
	arrays = realloc(decode->arrays, (size_t)capacity * sizeof *arrays);
	if (!arrays)
		return error_no_memory(decode->err);
	decode->arrays = arrays;
	decode->array_capacity = (int)capacity;
	return 0;
}

int slice_batch(struct decode *decode, int64_t rows)
{
	struct field *root = &decode->decoder->root;
	struct room room = {0};
	int64_t slices = (rows + BATCH_ROWS_MAX - 1) / BATCH_ROWS_MAX, heads, length;

	*node_of(decode, root) = (struct node){.kind = KIND_STRUCT, .length = rows};
	measure(decode, root, &room);
	/* Rows of nulls and buffers of nothing take no bytes of the message. */
	heads = slices * (int64_t)(shard_size(&room) + sizeof *decode->arrays);
	if (decode_count(decode, NULL, heads) || reserve_arrays(decode, slices))
		return -1;
	decode->heads += heads;
	for (int64_t start = 0; start < rows; start += BATCH_ROWS_MAX) {
		length = rows - start < BATCH_ROWS_MAX ? rows - start : BATCH_ROWS_MAX;
		if (make_slice(decode, room, start, length, &decode->arrays[decode->array_count]))
			return -1;
		decode->array_count++;
	}
	return 0;
}
