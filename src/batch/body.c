/*
 * body.c - the columns of a record batch: which bytes of the body each buffer is, decompressed where it has to be.
 *
 * The wire lists a node (length, nulls) for each field and then the buffers of each field, both depth first. Here one
 * walk over the fields takes from both lists; after each field's children it is validated and converted. Source:
 * Message.fbs, RecordBatch; Arrow columnar format, "RecordBatch message".
 */
#include "batch/decode.h"

const uint8_t empty_buffer[16];

struct slot {
	const uint8_t *data;
	int64_t size;
};

static size_t payload_offset(const struct decode *decode, const uint8_t *at)
{
	return (size_t)(at - decode->message->bytes.data);
}

static int decompress(struct decode *decode, const struct field *field, struct slot *slot)
{
	size_t offset = payload_offset(decode, slot->data);
	int64_t size;
	uint8_t *to;

	if (slot->size < 8)
		return decode_error(decode, field, "the compressed buffer at byte %zu has %lld bytes", offset,
		                    (long long)slot->size);
	size = load_i64(slot->data);
	slot->data += 8;
	slot->size -= 8;
	if (size == -1)
		return 0;
	if (size < 0 || size > decode->decoder->made_max)
		return decode_error(decode, field,
		                    "the buffer at byte %zu says it has %lld bytes uncompressed, at most %lld do: %s",
		                    offset, (long long)size, (long long)decode->decoder->made_max,
		                    decode_advice(decode));
	to = decode_make(decode, field, size, &decode->decoder->counters->decompressed);
	if (!to)
		return -1;
	if (size && codec_decompress(decode->codec, slot->data, (size_t)slot->size, to, (size_t)size))
		return decode_error(decode, field, "the buffer at byte %zu does not decompress to its %lld bytes",
		                    offset, (long long)size);
	*slot = (struct slot){to, size};
	return 0;
}

/* Only x86-64 is known to read every column at any alignment as DuckDB compiles it. */
static int align_buffer(struct decode *decode, const struct field *field, struct slot *slot)
{
#if !defined(__x86_64__)
	if ((uintptr_t)slot->data % 16) {
		uint8_t *to = decode_make(decode, field, slot->size, &decode->decoder->counters->copied);

		if (!to)
			return -1;
		memcpy(to, slot->data, (size_t)slot->size);
		slot->data = to;
	}
#endif
	return 0;
}

/* The next buffer of the body. wanted false: the wire has it, but its bytes do not matter. */
static int next_buffer(struct decode *decode, const struct field *field, bool wanted, struct slot *slot)
{
	int64_t offset, size;

	if (!decode->buffers_left)
		return decode_error(decode, field, "the metadata lists too few buffers");
	offset = flat_i64(&decode->flat, decode->buffers_at);
	size = flat_i64(&decode->flat, decode->buffers_at + 8);
	decode->buffers_at += 16;
	decode->buffers_left--;
	if (offset < 0 || size < 0 || offset > decode->body_size || size > decode->body_size - offset)
		return decode_error(decode, field, "a buffer at %lld of %lld bytes in a body of %lld",
		                    (long long)offset, (long long)size, (long long)decode->body_size);
	*slot = (struct slot){empty_buffer, 0};
	if (!size || !wanted)
		return 0;
	*slot = (struct slot){decode->body + offset, size};
	if (decode->codec >= 0 && decompress(decode, field, slot))
		return -1;
	if (!slot->size)
		slot->data = empty_buffer;
	return align_buffer(decode, field, slot);
}

static int next_views(struct decode *decode, const struct field *field, struct node *node)
{
	int64_t count;
	struct slot slot = {empty_buffer, 0};

	if (!decode->variadic_left)
		return decode_error(decode, field, "the metadata lists too few counts of view buffers");
	count = flat_i64(&decode->flat, decode->variadic_at);
	decode->variadic_at += 8;
	decode->variadic_left--;
	if (count < 0 || count > decode->buffers_left)
		return decode_error(decode, field, "%lld view buffers of %u", (long long)count, decode->buffers_left);
	node->view_count = count;
	node->views = message_alloc(decode->message, (size_t)count * sizeof *node->views);
	if (!node->views)
		return error_no_memory(decode->err);
	for (int64_t i = 0; i < count; i++) {
		if (next_buffer(decode, field, true, &slot))
			return -1;
		node->views[i] = (struct view_buffer){slot.data, slot.size};
	}
	return 0;
}

static int read_buffers(struct decode *decode, const struct field *field, struct node *node)
{
	enum layout layout = kinds[field->kind].layout;
	struct slot slot = {empty_buffer, 0};

	if (layout == LAYOUT_NONE || layout == LAYOUT_RUN_END)
		return 0;
	if (layout != LAYOUT_UNION) {
		if (next_buffer(decode, field, node->nulls != 0, &slot))
			return -1;
		if (node->nulls < 0 && !slot.size)
			node->nulls = 0; /* unknown, and no bitmap: none */
		if (node->nulls && slot.size < (node->length + 7) / 8)
			return decode_error(decode, field, "a validity bitmap of %lld bytes for %lld values",
			                    (long long)slot.size, (long long)node->length);
		node->valid = node->nulls ? slot.data : NULL;
	}
	if (layout == LAYOUT_STRUCT || layout == LAYOUT_FIXED_LIST)
		return 0;
	if (next_buffer(decode, field, true, &slot))
		return -1;
	node->first = slot.data;
	node->first_size = slot.size;
	if (layout == LAYOUT_VIEW)
		return next_views(decode, field, node);
	if (layout != LAYOUT_STRING32 && layout != LAYOUT_STRING64 && layout != LAYOUT_LIST_VIEW32 &&
	    layout != LAYOUT_LIST_VIEW64)
		return 0;
	if (next_buffer(decode, field, true, &slot))
		return -1;
	node->second = slot.data;
	node->second_size = slot.size;
	return 0;
}

/* minimum: what the parent needs of this field; exact for a column. */
static int read_field(struct decode *decode, const struct field *field, int64_t minimum, bool exact)
{
	struct node *node = node_of(decode, field);
	int64_t child_minimum = 0;

	if (!decode->nodes_left)
		return decode_error(decode, field, "the metadata lists too few nodes");
	*node = (struct node){.kind = field->kind, .first = empty_buffer, .second = empty_buffer};
	node->length = flat_i64(&decode->flat, decode->nodes_at);
	node->nulls = flat_i64(&decode->flat, decode->nodes_at + 8);
	decode->nodes_at += 16;
	decode->nodes_left--;
	if (node->length < minimum || (exact && node->length != minimum))
		return decode_error(decode, field, "%lld values where there are %lld rows", (long long)node->length,
		                    (long long)minimum);
	if (node->length > IPC_ROWS_MAX)
		return decode_error(decode, field, "%lld values, a message holds at most %lld", (long long)node->length,
		                    (long long)IPC_ROWS_MAX);
	if (node->nulls < -1 || node->nulls > node->length)
		return decode_error(decode, field, "%lld nulls of %lld values", (long long)node->nulls,
		                    (long long)node->length);
	if (read_buffers(decode, field, node))
		return -1;
	if (field->kind == KIND_STRUCT || field->kind == KIND_UNION)
		child_minimum = node->length;
	else if (field->kind == KIND_FIXED_LIST)
		child_minimum = node->length * field->list_size;
	for (int i = 0; i < field->child_count; i++)
		if (read_field(decode, &field->children[i], child_minimum, false))
			return -1;
	return validate_node(decode, field, node) ? -1 : convert_node(decode, field, node);
}

int body_read(struct decode *decode, uint32_t table, const struct field *fields, int count)
{
	struct flat *flat = &decode->flat;
	int64_t rows = flat_field_i64(flat, table, 0, 0);
	uint32_t compression = flat_table(flat, table, 3);

	decode->nodes_at = flat_vector(flat, table, 1, 16, &decode->nodes_left);
	decode->buffers_at = flat_vector(flat, table, 2, 16, &decode->buffers_left);
	decode->variadic_at = flat_vector(flat, table, 4, 8, &decode->variadic_left);
	decode->codec = compression ? flat_field_u8(flat, compression, 0, 0) : -1;
	if (flat->bad)
		return decode_error(decode, NULL, "the metadata points outside itself");
	if (decode->codec > 1 || (compression && flat_field_u8(flat, compression, 1, 0)))
		return decode_error(decode, NULL, "compression numbered %d: LZ4_FRAME and ZSTD can be read",
		                    decode->codec);
	if (rows < 0 || rows > IPC_ROWS_MAX)
		return decode_error(decode, NULL, "%lld rows, a message holds 0 to %lld", (long long)rows,
		                    (long long)IPC_ROWS_MAX);
	for (int i = 0; i < count; i++)
		if (read_field(decode, &fields[i], rows, true))
			return -1;
	if (decode->nodes_left || decode->buffers_left)
		return decode_error(decode, NULL, "%u nodes and %u buffers more than the schema has",
		                    decode->nodes_left, decode->buffers_left);
	return 0;
}
